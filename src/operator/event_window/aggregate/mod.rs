//! What is made of the events of a window, one after the other.

mod basic;
mod extreme;
#[cfg(feature = "sketches")]
mod sketches;
mod statistics;
mod top_k;
mod tuples;

pub use basic::*;
pub use extreme::*;
#[cfg(feature = "sketches")]
pub use sketches::*;
pub use statistics::*;
pub use top_k::*;

/// What is made of the events `T` of a window, one after the other, without keeping them (Flink's `AggregateFunction`).
///
/// A tuple of aggregates is one. [`fold`] makes one of closures.
///
/// ```
/// use rxevents::operator::event_window::aggregate::{Aggregate, count, mean};
///
/// let both = (count(), mean(|v: &f64| *v));
/// let mut so_far = both.create();
/// both.add(&mut so_far, &2.0, 0);
/// both.add(&mut so_far, &4.0, 1);
/// assert_eq!(both.result(&so_far), (2, Some(3.0)));
/// ```
pub trait Aggregate<T> {
    /// What it is so far.
    type Acc: Clone;
    /// What it is in the end.
    type Out;
    /// Of no events.
    fn create(&self) -> Self::Acc;
    /// One event more, of this time in nanoseconds. Events come in any order.
    fn add(&self, acc: &mut Self::Acc, event: &T, at: i64);
    /// That of other events more: of panes, which are later, or of sessions that have become one.
    fn merge(&self, acc: &mut Self::Acc, other: &Self::Acc);
    /// What it comes to.
    fn result(&self, acc: &Self::Acc) -> Self::Out;
}
