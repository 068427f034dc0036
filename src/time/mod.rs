//! Time: the scheduler's clock, and the one timer of a timed operator.

mod clock;
mod grid;
mod sleeper;
mod timer;

pub use clock::Clock;
pub(crate) use grid::Grid;
pub(crate) use sleeper::Sleeper;
pub(crate) use timer::deadline;
pub use timer::{Cancel, Tick, Timer, TimerTask};

/// How much a task does in a row, be it ticks, items or reads, before other tasks run.
pub(crate) const BUDGET: usize = 64;
