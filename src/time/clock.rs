use std::{sync::OnceLock, time::Duration};

use chrono::{DateTime, Utc};
use rxrust::{
    Instant,
    scheduler::{LocalScheduler, SharedScheduler},
};

#[cfg(not(target_arch = "wasm32"))]
use crate::error::catch;

/// What a scheduler takes for the time. rxRust's schedulers have no clock; operators of this crate ask no other.
///
/// ```
/// use rxevents::{prelude::*, time::Clock};
///
/// let before = LocalScheduler.now();
/// assert!(LocalScheduler.now() >= before);
/// ```
pub trait Clock: Clone {
    /// Time since some fixed moment; never goes back (wall-clock jumps do not touch it).
    fn now(&self) -> Duration;
    /// The wall clock, for stamps that people and other machines read.
    fn utc(&self) -> DateTime<Utc>;
    /// Runs `wait`, which blocks the calling thread until a task of this scheduler has made progress; `false`, without
    /// running it, where that could be for ever because the task needs this thread. By default it never runs.
    fn wait(&self, _wait: impl FnOnce()) -> bool {
        false
    }
}

fn monotonic() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

impl Clock for LocalScheduler {
    fn now(&self) -> Duration {
        monotonic()
    }

    fn utc(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

impl Clock for SharedScheduler {
    fn now(&self) -> Duration {
        monotonic()
    }

    fn utc(&self) -> DateTime<Utc> {
        Utc::now()
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn wait(&self, wait: impl FnOnce()) -> bool {
        use rxrust::scheduler::tokio::{
            runtime::{Handle, RuntimeFlavor, worker_index},
            task::block_in_place,
        };
        // A task that blocks its worker is for the others as if that thread were gone.
        if worker_index().is_some() {
            return false;
        }
        match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            Err(_) => wait(),
            // Refused, with a panic, on a thread that runs a `LocalSet`.
            Ok(RuntimeFlavor::MultiThread) => return catch("observe_on", || block_in_place(wait)).is_ok(),
            Ok(_) => return false,
        }
        true
    }
}
