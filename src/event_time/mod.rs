//! Event time: when things happened, as the events themselves say, not when they arrive.
//!
//! Whole nanoseconds throughout; never a float. An [`EventTime`] says how events may be out of order, and so how far the
//! *watermark* is behind the newest of them: no event older than it is waited for any more (Flink's bounded
//! out-of-orderness; as there, it never goes back).

mod clock;
mod nanos;
mod run;

pub use clock::{EventClock, EventTime, Regression, Seen};
pub use nanos::Nanos;
pub(crate) use nanos::whole_nanos;
pub(crate) use run::{Run, Stop, run};
