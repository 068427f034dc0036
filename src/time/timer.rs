use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::task::AtomicWaker;
use rxrust::scheduler::{Scheduler, SleepProvider};

use super::{BUDGET, Clock};
use crate::{
    error::{PanicError, catch, drop_caught, drop_with},
    operator::time::{Feeding, Rooms},
};

/// No deadline.
const NONE: u64 = u64::MAX;

/// `now + delay`, which may be for ever.
pub(crate) fn deadline(now: Duration, delay: Duration) -> Duration {
    now.saturating_add(delay)
}

fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(NONE)
}

/// Stops a task at once: the task is woken, finds that it was cancelled, and is gone.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    cancelled: AtomicBool,
    waker: AtomicWaker,
}

impl Cancel {
    pub(crate) fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    #[inline]
    pub(crate) fn cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Registers the task before it looks: a cancellation after this wakes it.
    pub(crate) fn register(&self, context: &Context<'_>) {
        self.0.waker.register(context.waker());
    }

    pub(crate) fn wake(&self) {
        self.0.waker.wake();
    }
}

impl rxrust::subscription::Subscription for Cancel {
    fn unsubscribe(self) {
        self.cancel();
    }

    fn is_closed(&self) -> bool {
        self.cancelled()
    }
}

/// The one timer of a timed operator: armed and disarmed by the operator, waited for by one task of the scheduler.
///
/// Moving the deadline later wakes nobody. Dropping the last handle that the operator holds ends the task.
#[derive(Debug)]
pub struct Timer(Arc<TimerState>);

/// `arm` writes the deadline and then looks until when the task sleeps; the task writes that and then looks at the
/// deadline. One of them must see the other's, so both are sequentially consistent.
#[derive(Debug)]
struct TimerState {
    deadline: AtomicU64,
    sleeping_until: AtomicU64,
    /// The scheduler has taken the task.
    taken: AtomicBool,
    cancel: Cancel,
}

impl Default for Timer {
    fn default() -> Self {
        Self(Arc::new(TimerState {
            deadline: AtomicU64::new(NONE),
            sleeping_until: AtomicU64::new(NONE),
            taken: AtomicBool::new(false),
            cancel: Cancel::default(),
        }))
    }
}

impl Timer {
    /// Sets the deadline, in the scheduler's time.
    #[inline]
    pub fn arm(&self, at: Duration) {
        let at = nanos(at);
        self.0.deadline.store(at, Ordering::SeqCst);
        if at < self.0.sleeping_until.load(Ordering::SeqCst) {
            self.0.cancel.wake();
        }
    }

    /// Takes the deadline away.
    #[inline]
    pub fn disarm(&self) {
        self.0.deadline.store(NONE, Ordering::SeqCst);
    }

    /// What ends the task.
    pub(crate) fn cancel(&self) -> Cancel {
        self.0.cancel.clone()
    }

    /// What starts the task that waits for this timer.
    pub(crate) fn starter(&self) -> TimerStarter {
        TimerStarter(self.0.clone())
    }
}

/// Starts the task of a [`Timer`]; does not keep the timer alive.
pub(crate) struct TimerStarter(Arc<TimerState>);

impl TimerStarter {
    /// Starts the task that calls `target` each time, on its scheduler. A scheduler without a runtime panics: that
    /// becomes an error.
    pub(crate) fn start<G, S>(self, target: G, scheduler: S) -> Result<(), PanicError>
    where
        G: Tick,
        S: SleepProvider + Scheduler<TimerTask<G, S>>,
    {
        let timer = self.0.clone();
        let task = TimerTask {
            timer,
            target: Some(target),
            scheduler: scheduler.clone(),
            sleep: None,
            rooms: Rooms::default(),
        };
        // The task ends by the timer's own cancellation, so its handle is not needed.
        catch("schedule", || drop(scheduler.schedule(task, None)))?;
        self.0.taken.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.cancel.cancel();
    }
}

/// What a timer calls.
pub trait Tick {
    /// The time has come. `false`: nobody needs the timer any more.
    fn tick(&self) -> bool;
    /// The timer cannot go on: the scheduler failed (`Some`), or has dropped the task with its runtime.
    fn lost(&self, failure: Option<PanicError>);
}

/// A future that waits for a [`Timer`]; idle, it costs nothing.
pub struct TimerTask<G: Tick, S: SleepProvider> {
    timer: Arc<TimerState>,
    target: Option<G>,
    scheduler: S,
    sleep: Option<Pin<Box<S::SleepFuture>>>,
    /// The full queues below, whose room it awaits before the next tick.
    rooms: Rooms,
}

// The sleep is boxed, nothing else is ever pinned.
impl<G: Tick, S: SleepProvider> Unpin for TimerTask<G, S> {}

impl<G: Tick, S: SleepProvider> Drop for TimerTask<G, S> {
    fn drop(&mut self) {
        // A scheduler that panics has not taken the task: its caller says so.
        if let Some(target) = self.target.take()
            && self.timer.taken.load(Ordering::Acquire)
            && !self.timer.cancel.cancelled()
            && !std::thread::panicking()
        {
            target.lost(None);
        }
    }
}

impl<G: Tick, S: SleepProvider + Clock> TimerTask<G, S> {
    /// Sleeps until `at`; whether that is over.
    fn sleep(&mut self, at: u64, now: u64, context: &mut Context<'_>) -> bool {
        if self.timer.sleeping_until.swap(at, Ordering::SeqCst) != at || self.sleep.is_none() {
            self.sleep = Some(Box::pin(self.scheduler.sleep(Duration::from_nanos(at - now))));
        }
        let over = self.sleep.as_mut().is_none_or(|sleep| sleep.as_mut().poll(context).is_ready());
        if over {
            self.sleep = None;
        }
        over
    }
}

impl<G: Tick, S: SleepProvider + Clock> Future for TimerTask<G, S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let feeding = Feeding::begin();
        for _ in 0..BUDGET {
            this.timer.cancel.register(context);
            let Some(target) = &this.target else { return Poll::Ready(()) };
            if this.timer.cancel.cancelled() {
                this.sleep = None;
                drop_caught(this.target.take());
                return Poll::Ready(());
            }
            if this.rooms.poll(context).is_pending() {
                return Poll::Pending;
            }
            let at = this.timer.deadline.load(Ordering::SeqCst);
            if at == NONE {
                this.sleep = None;
                this.timer.sleeping_until.store(NONE, Ordering::SeqCst);
                // Armed meanwhile? Then `arm` may not have seen that we sleep.
                if this.timer.deadline.load(Ordering::SeqCst) == NONE {
                    return Poll::Pending;
                }
                continue;
            }
            let now = nanos(this.scheduler.now());
            if now >= at {
                let due = this.timer.deadline.compare_exchange(at, NONE, Ordering::SeqCst, Ordering::SeqCst);
                this.sleep = None;
                match if due.is_ok() { catch("downstream", || target.tick()) } else { Ok(true) } {
                    Ok(true) => {
                        feeding.asked(&mut this.rooms);
                        continue;
                    }
                    Ok(false) => drop_caught(this.target.take()),
                    Err(panic) => drop_with(this.target.take(), panic.into()),
                }
                return Poll::Ready(());
            }
            // A runtime without a timer panics here.
            match catch("sleep", || this.sleep(at, now, context)) {
                Ok(true) => {}
                Ok(false) => {
                    // Armed for an earlier moment between the two looks?
                    if this.timer.deadline.load(Ordering::SeqCst) >= at {
                        return Poll::Pending;
                    }
                }
                Err(panic) => {
                    if let Some(target) = this.target.take() {
                        target.lost(Some(panic));
                        drop_caught(target);
                    }
                    return Poll::Ready(());
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
