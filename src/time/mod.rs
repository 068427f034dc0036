//! Time: the scheduler's clock, the one timer of a timed operator, and a scheduler for user interfaces.

mod clock;
#[cfg(not(target_arch = "wasm32"))]
mod event_loop;
mod grid;
mod sleeper;
mod timer;

pub use clock::Clock;
#[cfg(not(target_arch = "wasm32"))]
pub use event_loop::{EventLoop, LocalEventLoop, SharedEventLoop, Sleep};
pub(crate) use grid::Grid;
pub(crate) use sleeper::Sleeper;
pub(crate) use timer::deadline;
pub use timer::{Cancel, Tick, Timer, TimerTask};

/// How much a task does in a row, be it ticks, items or reads, before other tasks run.
pub(crate) const BUDGET: usize = 64;

/// A handle that is neither finished nor unsubscribed. rxRust has no public constructor for one: its own scheduler
/// makes it, for a task that is thrown away.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn open_handle() -> rxrust::scheduler::TaskHandle {
    use rxrust::scheduler::{LocalScheduler, Scheduler};
    let tasks = rxrust::scheduler::tokio::task::LocalSet::new();
    let _entered = tasks.enter();
    LocalScheduler.schedule(std::future::pending::<()>(), None)
}
