//! The task that polls the futures of a `try_map_async_with_retry`.

use std::{
    any::Any,
    collections::VecDeque,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    future::{
        AbortRegistration, Abortable, Aborted, CatchUnwind, Either, Join, Map, OptionFuture, Ready, join,
        ready,
    },
    stream::FuturesUnordered,
};
use rxrust::context::RcDerefMut;

use super::{event_retry::Past, try_map_async::NAME};
use crate::{
    dead_letter::Reason,
    delivery::fate::abandoning,
    error::{PanicError, catch, caught, drop_caught, panic_error},
    time::{BUDGET, Cancel, Tick},
};

/// An item that is to be tried now.
pub struct Start<I> {
    pub(super) number: u64,
    pub(super) item: I,
    pub(super) key: Option<u64>,
    pub(super) past: Past,
    /// What the circuit breaker has said.
    pub(super) permit: u64,
    /// What stops the attempt when it takes too long.
    pub(super) stop: Option<AbortRegistration>,
    /// When that is.
    pub(super) due: Option<Duration>,
}

/// An attempt that is over.
pub struct Settled<I, T> {
    pub(super) start: Start<I>,
    pub(super) result: Result<Result<T, Reason>, PanicError>,
}

/// What the tasks tell the machine in gate `G`; functions, so that they need not know it.
pub(super) struct Calls<G, I, T> {
    pub(super) settled: fn(&G, Settled<I, T>),
    pub(super) tick: fn(&G),
    pub(super) lost: fn(&G, Option<PanicError>),
    pub(super) closed: fn(&G) -> bool,
}

impl<G, I, T> Clone for Calls<G, I, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<G, I, T> Copy for Calls<G, I, T> {}

/// The gate as the target of the timer.
pub struct Wake<G, I, T> {
    pub(super) gate: G,
    pub(super) calls: Calls<G, I, T>,
}

impl<G, I, T> Tick for Wake<G, I, T> {
    fn tick(&self) -> bool {
        (self.calls.tick)(&self.gate);
        !(self.calls.closed)(&self.gate)
    }

    fn lost(&self, failure: Option<PanicError>) {
        (self.calls.lost)(&self.gate, failure);
    }
}

/// A future with its item, for as long as it is wanted.
type Run<Fut, I, T> = OptionFuture<Join<Ready<Start<I>>, Attempt<Fut, T>>>;
type Caught<Fut> = CatchUnwind<AssertUnwindSafe<Fut>>;
/// What comes of it: a panic, or a result, if it is there in time.
type Ended<T> = Result<Result<T, Reason>, Box<dyn Any + Send>>;
/// One attempt, for as long as it may take.
type Attempt<Fut, T> =
    Either<Caught<Fut>, Map<Abortable<Caught<Fut>>, fn(Result<Ended<T>, Aborted>) -> Ended<T>>>;

/// Says what an attempt that was stopped has failed with; a function, so that it has a name.
fn in_time<T>(ended: Result<Ended<T>, Aborted>) -> Ended<T> {
    // The machine knows how long that is.
    ended.unwrap_or(Ok(Err(Reason::Timeout { within: Duration::ZERO })))
}

/// Polls the futures.
pub struct Worker<G, R, F, Fut: Future<Output = Result<T, Reason>>, I, T> {
    gate: G,
    starts: R,
    f: F,
    stage: &'static str,
    running: FuturesUnordered<Run<Fut, I, T>>,
    cancel: Cancel,
    calls: Calls<G, I, T>,
}

impl<G, R, F, Fut: Future<Output = Result<T, Reason>>, I, T> Worker<G, R, F, Fut, I, T> {
    pub(super) fn new(
        gate: G,
        starts: R,
        f: F,
        stage: &'static str,
        cancel: Cancel,
        calls: Calls<G, I, T>,
    ) -> Self {
        Self { gate, starts, f, stage, running: FuturesUnordered::new(), cancel, calls }
    }
}

impl<G, R, F, Fut: Future<Output = Result<T, Reason>>, I, T> Worker<G, R, F, Fut, I, T> {
    /// Drops the futures, each for itself: where one panics, `FuturesUnordered` would leak the others.
    fn release(&mut self) {
        for mut run in Pin::new(&mut self.running).iter_pin_mut() {
            abandoning(|| caught("drop", || run.set(None.into())));
        }
        self.running.clear();
    }
}

impl<G, R, F, Fut: Future<Output = Result<T, Reason>>, I, T> Drop for Worker<G, R, F, Fut, I, T> {
    fn drop(&mut self) {
        // The scheduler has dropped the task, with its runtime: no more results.
        if !self.cancel.cancelled() && !std::thread::panicking() {
            (self.calls.lost)(&self.gate, None);
        }
        self.release();
    }
}

// The futures are pinned in their own places; nothing else is ever pinned.
impl<G, R, F, Fut: Future<Output = Result<T, Reason>>, I, T> Unpin for Worker<G, R, F, Fut, I, T> {}

impl<G, R, F, Fut, I, T> Worker<G, R, F, Fut, I, T>
where
    R: RcDerefMut<Target = VecDeque<Start<I>>>,
    F: FnMut(&I) -> Fut,
    Fut: Future<Output = Result<T, Reason>>,
{
    /// Makes the futures of the items that are to be tried.
    fn begin(&mut self) {
        loop {
            // Nothing is held while the user's closure runs.
            let start = self.starts.rc_deref_mut().pop_front();
            let Some(mut start) = start else { return };
            match catch(self.stage, || (self.f)(&start.item)) {
                Ok(future) => {
                    let future = AssertUnwindSafe(future).catch_unwind();
                    let attempt = match start.stop.take() {
                        None => Either::Left(future),
                        Some(stop) => Either::Right(Abortable::new(future, stop).map(in_time as fn(_) -> _)),
                    };
                    self.running.push(Some(join(ready(start), attempt)).into());
                }
                Err(panic) => (self.calls.settled)(&self.gate, Settled { start, result: Err(panic) }),
            }
        }
    }
}

impl<G, R, F, Fut, I, T> Future for Worker<G, R, F, Fut, I, T>
where
    R: RcDerefMut<Target = VecDeque<Start<I>>>,
    F: FnMut(&I) -> Fut,
    Fut: Future<Output = Result<T, Reason>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.cancel.register(context);
        for _ in 0..BUDGET {
            if this.cancel.cancelled() {
                this.release();
                let starts = std::mem::take(&mut *this.starts.rc_deref_mut());
                drop_caught(starts);
                return Poll::Ready(());
            }
            this.begin();
            // A future may panic when it is dropped.
            match catch(NAME, || this.running.poll_next_unpin(context)) {
                Ok(Poll::Ready(Some(None))) => {}
                Ok(Poll::Ready(Some(Some((start, result))))) => {
                    let result = result.map_err(|payload| panic_error(this.stage, payload));
                    (this.calls.settled)(&this.gate, Settled { start, result });
                }
                Ok(Poll::Ready(None) | Poll::Pending) => return Poll::Pending,
                Err(panic) => {
                    (this.calls.lost)(&this.gate, Some(panic));
                    this.cancel.cancel();
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
