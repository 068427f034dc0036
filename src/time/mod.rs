//! Time: the scheduler's clock, and the one timer of a timed operator.

mod clock;
mod grid;
mod timer;

pub use clock::Clock;
pub(crate) use grid::Grid;
pub(crate) use timer::deadline;
pub use timer::{Cancel, Tick, Timer, TimerTask};
