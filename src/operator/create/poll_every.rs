use std::{
    convert::Infallible,
    future::Future,
    marker::PhantomData,
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

use super::MissedTicks;
use crate::{
    error::{PanicError, catch, drop_caught, fail, schedule},
    time::{BUDGET, Cancel, Clock, Grid, Sleeper},
};

/// See [`poll_every`](super::CreateOps::poll_every).
#[derive(Debug)]
pub struct PollEvery<F, Fut> {
    grid: Grid,
    missed: MissedTicks,
    read: F,
    future: PhantomData<fn() -> Fut>,
}

impl<F, Fut> PollEvery<F, Fut> {
    pub(super) fn new(period: Duration, missed: MissedTicks, read: F) -> Self {
        Self { grid: Grid::new(period), missed, read, future: PhantomData }
    }
}

impl<F: Clone, Fut> Clone for PollEvery<F, Fut> {
    fn clone(&self) -> Self {
        Self { grid: self.grid, missed: self.missed, read: self.read.clone(), future: PhantomData }
    }
}

impl<F, Fut: Future> ObservableType for PollEvery<F, Fut> {
    type Item<'a>
        = Fut::Output
    where
        Self: 'a;
    type Err = Infallible;
}

impl<F, Fut, C> CoreObservable<C> for PollEvery<F, Fut>
where
    F: FnMut() -> Fut,
    Fut: Future,
    C: Context,
    C::Inner: Observer<Fut::Output, Infallible>,
    C::Scheduler: Clock + SleepProvider + Scheduler<PollTask<C::Inner, C::Scheduler, F, Fut>>,
{
    type Unsub = Cancel;

    fn subscribe(mut self, context: C) -> Cancel {
        let (down, scheduler) = context.into_parts();
        let cancel = Cancel::default();
        let due = self.grid.start(scheduler.now());
        let task = PollTask {
            live: Some(Live { down, source: self, running: Box::pin(None), sleeper: Sleeper::default() }),
            due,
            started: None,
            scheduler: scheduler.clone(),
            cancel: cancel.clone(),
        };
        if !schedule("poll_every", || drop(scheduler.schedule(task, None))) {
            cancel.cancel();
        }
        cancel
    }
}

/// Waits for each tick, then for the read that it started, and delivers what was read.
pub struct PollTask<O, Sch: SleepProvider, F, Fut> {
    live: Option<Live<O, Sch, F, Fut>>,
    due: Duration,
    /// When the read that is running began.
    started: Option<Duration>,
    scheduler: Sch,
    cancel: Cancel,
}

struct Live<O, Sch: SleepProvider, F, Fut> {
    down: O,
    source: PollEvery<F, Fut>,
    /// One place for all reads, one after the other.
    running: Pin<Box<Option<Fut>>>,
    sleeper: Sleeper<Sch>,
}

impl<O, Sch: SleepProvider, F, Fut> Drop for PollTask<O, Sch, F, Fut> {
    fn drop(&mut self) {
        // The scheduler has dropped the task, with its runtime: no more reads.
        self.cancel.cancel();
    }
}

// The sleep and the read are boxed; nothing else is ever pinned.
impl<O, Sch: SleepProvider, F, Fut> Unpin for PollTask<O, Sch, F, Fut> {}

impl<O, Sch, F, Fut> Live<O, Sch, F, Fut>
where
    O: Observer<Fut::Output, Infallible>,
    Sch: SleepProvider,
    F: FnMut() -> Fut,
    Fut: Future,
{
    /// Polls the read, which it starts if none is running; whether it is done, and delivered.
    fn read(&mut self, start: bool, context: &mut TaskContext<'_>) -> Result<bool, PanicError> {
        let read = catch("poll_every", || {
            if start {
                self.running.set(Some((self.source.read)()));
            }
            self.running.as_mut().as_pin_mut().map(|read| read.poll(context))
        })?;
        let Some(Poll::Ready(item)) = read else { return Ok(false) };
        catch("poll_every", || self.running.set(None))?;
        catch("downstream", || self.down.next(item))?;
        Ok(true)
    }
}

impl<F, Fut> PollEvery<F, Fut> {
    /// The tick after that of the read that began at `started` and ended at `now`.
    fn next_due(&mut self, started: Duration, now: Duration) -> Duration {
        let due = self.grid.next();
        if due >= now && due > started {
            return due;
        }
        match self.missed {
            MissedTicks::Burst => due,
            // A tick right at the end is not missed.
            MissedTicks::Skip => self.grid.after(started.max(now.saturating_sub(Duration::from_nanos(1)))),
            MissedTicks::Delay => self.grid.start(now),
        }
    }
}

impl<O, Sch, F, Fut> Future for PollTask<O, Sch, F, Fut>
where
    O: Observer<Fut::Output, Infallible>,
    Sch: SleepProvider + Clock,
    F: FnMut() -> Fut,
    Fut: Future,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        this.cancel.register(context);
        for _ in 0..BUDGET {
            let Some(live) = &mut this.live else { return Poll::Ready(()) };
            if this.cancel.cancelled() || live.down.is_closed() {
                this.cancel.cancel();
                drop_caught(this.live.take());
                return Poll::Ready(());
            }
            let begun = match this.started {
                None => live.sleeper.until(this.due, &this.scheduler, context),
                started => Ok(started),
            };
            let step = match begun {
                Ok(Some(started)) => {
                    let read = live.read(this.started.is_none(), context);
                    this.started = Some(started);
                    if matches!(read, Ok(true)) {
                        this.started = None;
                        this.due = live.source.next_due(started, this.scheduler.now());
                    }
                    read
                }
                Ok(None) => Ok(false),
                Err(panic) => Err(panic),
            };
            match step {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(panic) => {
                    this.cancel.cancel();
                    if let Some(Live { down, source, running, sleeper }) = this.live.take() {
                        drop_caught((source, running, sleeper));
                        fail(down, panic);
                    }
                    return Poll::Ready(());
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
