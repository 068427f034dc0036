//! Time: the scheduler's clock, the one timer of a timed operator, and a scheduler for user interfaces.

/// How a scheduler of this crate takes a task: boxed, and behind a sleep where it shall begin later.
#[cfg(not(target_arch = "wasm32"))]
macro_rules! schedules_boxed {
    ($scheduler:ident $(, $send:ident)?) => {
        impl<S> rxrust::scheduler::Scheduler<S> for $scheduler
        where
            S: rxrust::scheduler::Schedulable<Self> + 'static $(+ $send)?,
            S::Future: 'static $(+ $send)?,
        {
            fn schedule(
                &self,
                source: S,
                delay: Option<std::time::Duration>,
            ) -> rxrust::scheduler::TaskHandle {
                use rxrust::scheduler::SleepProvider;
                let future: std::pin::Pin<Box<dyn Future<Output = ()> $(+ $send)?>> =
                    Box::pin(source.into_future(self));
                let Some(delay) = delay else { return self.spawn(future) };
                let sleep = self.sleep(delay);
                self.spawn(Box::pin(async move {
                    sleep.await;
                    future.await;
                }))
            }
        }
    };
}
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
pub(crate) use schedules_boxed;

mod clock;
#[cfg(not(target_arch = "wasm32"))]
mod event_loop;
mod grid;
#[cfg(not(target_arch = "wasm32"))]
mod new_thread;
mod sleeper;
mod sliding;
mod timer;

pub use clock::Clock;
#[cfg(not(target_arch = "wasm32"))]
pub use event_loop::{EventLoop, LocalEventLoop, SharedEventLoop, Sleep};
pub(crate) use grid::Grid;
#[cfg(not(target_arch = "wasm32"))]
pub use new_thread::NewThread;
pub(crate) use sleeper::Sleeper;
pub(crate) use sliding::Sliding;
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
