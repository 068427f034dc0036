use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use chrono::{DateTime, Utc};
use rxrust::{
    scheduler::{LocalScheduler, Schedulable, Scheduler, TaskHandle},
    subscription::Subscription,
};

use super::{Clock, open_handle};
use crate::error::{catch, unhandled};

/// A scheduler that gives each task a plain thread of its own, which sleeps while the task waits and ends with it (Rx.NET
/// `NewThreadScheduler`). For few tasks that last, such as the consumer of a
/// [`hand_off`](crate::operator::time::TimeOps::hand_off); it needs no runtime.
///
/// ```
/// use rxevents::{prelude::*, time::NewThread};
/// use std::{sync::mpsc, thread};
/// let (send, received) = mpsc::channel();
/// let here = thread::current().id();
/// Shared::from_iter(0..3).observe_on(NewThread).subscribe(move |n| {
///     assert_ne!(thread::current().id(), here);
///     send.send(n).unwrap();
/// });
/// assert_eq!(received.iter().collect::<Vec<_>>(), [0, 1, 2]);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct NewThread;

impl Clock for NewThread {
    fn now(&self) -> Duration {
        LocalScheduler.now()
    }

    fn utc(&self) -> DateTime<Utc> {
        Utc::now()
    }

    /// A thread that runs tasks is not blocked; see [`SharedScheduler`](rxrust::scheduler::SharedScheduler).
    fn wait(&self, wait: impl FnOnce()) -> bool {
        let runs_tasks = rxrust::scheduler::tokio::runtime::worker_index().is_some();
        if !runs_tasks {
            wait();
        }
        !runs_tasks
    }
}

impl<S> Scheduler<S> for NewThread
where
    S: Schedulable<Self>,
    S::Future: Send + 'static,
{
    /// Panics where the system has no thread for it, as schedulers without a runtime do.
    fn schedule(&self, source: S, delay: Option<Duration>) -> TaskHandle {
        let (handle, future) = (open_handle(), source.into_future(self));
        let ended = handle.clone();
        let run = move || {
            if let Some(delay) = delay {
                thread::sleep(delay);
            }
            if let Err(panic) = catch("task", || run(future, ended.clone())) {
                unhandled(&panic.into());
            }
            ended.unsubscribe();
        };
        match thread::Builder::new().name("rxevents".into()).spawn(run) {
            Ok(_) => handle,
            Err(error) => panic!("no thread: {error}"),
        }
    }
}

/// Wakes the thread that runs a task.
struct Alarm {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

/// Polls it until it has ended, or its handle was unsubscribed.
fn run(future: impl Future<Output = ()>, mut handle: TaskHandle) {
    let alarm = Arc::new(Alarm { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(alarm.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    // To poll the handle is to be woken when it is unsubscribed.
    while Pin::new(&mut handle).poll(&mut context).is_pending() {
        // As long as the task alone has woken itself, nobody has unsubscribed the handle.
        loop {
            if future.as_mut().poll(&mut context).is_ready() {
                return;
            }
            if !alarm.woken.swap(false, Ordering::AcqRel) {
                break;
            }
            if handle.is_closed() {
                return;
            }
        }
        while !alarm.woken.swap(false, Ordering::AcqRel) {
            thread::park();
        }
    }
}
