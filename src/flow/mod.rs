//! Where Rx meets [`Stream`](futures::Stream) and [`Sink`](futures::Sink): demand goes through a chain of operators, and
//! back-pressure reaches the source.
//!
//! | from | to | |
//! |---|---|---|
//! | a `Stream` | a `Stream` | [`through`](StreamOps::through): operators in between |
//! | a `Stream` | an observable | [`from_stream`](crate::operator::create::CreateOps::from_stream) |
//! | an observable | a `Stream` | [`into_bounded_stream`](FlowOps::into_bounded_stream) |
//! | a `Stream` of deliveries | a `Sink` | [`forward_acked`](DeliveryStreamOps::forward_acked): acknowledged when flushed |

mod bounded_stream;
mod forward_acked;
mod outlet;
mod through;

pub use bounded_stream::{BoundedStream, FlowOps};
pub use forward_acked::{DeliveryStreamOps, ForwardError};
pub use outlet::{Outlet, OutletObserver};
pub use through::{
    Drive, Driver, Drives, IntoDriver, Link, LinkOf, OutletOf, StreamOps, StreamSource, StreamSubscription,
    Through,
};
