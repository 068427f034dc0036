use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::{Scheduler, SleepProvider},
};

use crate::{
    error::{catch, complete, drop_caught, fail, schedule},
    time::{BUDGET, Cancel, Clock, Grid, Sleeper, deadline},
};

/// What [`interval_with`](super::CreateOps::interval_with) does with ticks whose moment passed while it could not run
/// (a subscriber took long, the thread was busy). Names and meaning are tokio's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedTicks {
    /// Sends them one right after the other until it has caught up.
    Burst,
    /// Sends one, and goes on with the next on the grid.
    #[default]
    Skip,
    /// Sends one, and starts the grid anew from there.
    Delay,
}

/// See [`interval`](super::CreateOps::interval) and [`timer`](super::CreateOps::timer).
#[derive(Debug, Clone)]
pub struct Ticks<T> {
    first: Duration,
    grid: Grid,
    missed: MissedTicks,
    item: fn(u64) -> Tick<T>,
}

/// An item, and whether it is the last.
type Tick<T> = (T, bool);

impl Ticks<()> {
    pub(super) fn once(delay: Duration) -> Self {
        Self { first: delay, grid: Grid::new(delay), missed: MissedTicks::Skip, item: |_| ((), true) }
    }
}

impl Ticks<u64> {
    pub(super) fn every(period: Duration, missed: MissedTicks) -> Self {
        Self {
            first: period.max(Duration::from_nanos(1)),
            grid: Grid::new(period),
            missed,
            item: |n| (n, false),
        }
    }
}

impl<T> ObservableType for Ticks<T> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = Infallible;
}

impl<T, C> CoreObservable<C> for Ticks<T>
where
    C: Context,
    C::Inner: Observer<T, Infallible>,
    C::Scheduler: Clock + SleepProvider + Scheduler<TicksTask<C::Inner, C::Scheduler, T>>,
{
    type Unsub = Cancel;

    fn subscribe(mut self, context: C) -> Cancel {
        let (down, scheduler) = context.into_parts();
        let cancel = Cancel::default();
        let now = scheduler.now();
        self.grid.start(now);
        let due = deadline(now, self.first);
        let task = TicksTask {
            down: Some(down),
            ticks: self,
            count: 0,
            due,
            scheduler: scheduler.clone(),
            sleeper: Sleeper::default(),
            cancel: cancel.clone(),
        };
        if !schedule("interval", || drop(scheduler.schedule(task, None))) {
            cancel.cancel();
        }
        cancel
    }
}

/// Waits for each tick and delivers it.
pub struct TicksTask<O, Sch: SleepProvider, T> {
    down: Option<O>,
    ticks: Ticks<T>,
    count: u64,
    due: Duration,
    scheduler: Sch,
    sleeper: Sleeper<Sch>,
    cancel: Cancel,
}

impl<O, Sch: SleepProvider, T> Drop for TicksTask<O, Sch, T> {
    fn drop(&mut self) {
        // The scheduler has dropped the task, with its runtime: no more ticks.
        self.cancel.cancel();
    }
}

// The sleep is boxed; nothing else is ever pinned.
impl<O, Sch: SleepProvider, T> Unpin for TicksTask<O, Sch, T> {}

impl<O, Sch, T> Future for TicksTask<O, Sch, T>
where
    O: Observer<T, Infallible>,
    Sch: SleepProvider + Clock,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        this.cancel.register(context);
        for _ in 0..BUDGET {
            let Some(down) = &mut this.down else { return Poll::Ready(()) };
            if this.cancel.cancelled() || down.is_closed() {
                this.cancel.cancel();
                drop_caught(this.down.take());
                this.sleeper = Sleeper::default();
                return Poll::Ready(());
            }
            let now = match this.sleeper.until(this.due, &this.scheduler, context) {
                Ok(Some(now)) => now,
                Ok(None) => return Poll::Pending,
                Err(panic) => {
                    this.cancel.cancel();
                    if let Some(down) = this.down.take() {
                        fail(down, panic);
                    }
                    return Poll::Ready(());
                }
            };
            let (item, last) = (this.ticks.item)(this.count);
            this.count += 1;
            if let Err(panic) = catch("downstream", || down.next(item)) {
                this.cancel.cancel();
                if let Some(down) = this.down.take() {
                    fail(down, panic);
                }
                return Poll::Ready(());
            }
            if last {
                let ended = this.cancel.cancelled();
                this.cancel.cancel();
                if let Some(down) = this.down.take().filter(|_| !ended) {
                    complete(down);
                }
                return Poll::Ready(());
            }
            this.due = match this.ticks.missed {
                MissedTicks::Burst => this.ticks.grid.next(),
                MissedTicks::Skip => this.ticks.grid.after(now),
                MissedTicks::Delay => this.ticks.grid.start(now),
            };
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
