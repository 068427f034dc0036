//! Sources.

mod defer;
mod emitter;
mod from_iter;
mod from_stream;
mod poll_every;
mod ticks;
mod trivial;

pub use defer::*;
pub use emitter::*;
pub use from_iter::*;
pub use from_stream::*;
pub use poll_every::*;
pub use ticks::*;
pub use trivial::*;

use std::{future::Future, time::Duration};

use futures::Stream;
use rxrust::context::Context;

use super::{
    combine::MergeAll,
    share::{BehaviorSubject, Hosts, Subject},
};

/// Sources: `Local::from_iter(..)` for one thread, `Shared::from_iter(..)` for many.
pub trait CreateOps: Context<Inner = ()> {
    /// The items of an iterator, at the subscription, on the subscribing thread (ReactiveX `from`). It is asked for
    /// the next item only when the chain has handled the one before, and for no more once nobody listens.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..).take(2).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2]);
    /// ```
    fn from_iter<I: IntoIterator>(iter: I) -> Self::With<FromIter<I>> {
        Self::lift(FromIter(iter))
    }

    /// One item (ReactiveX `just`).
    fn of<T>(item: T) -> Self::With<FromIter<Option<T>>> {
        Self::lift(FromIter(Some(item)))
    }

    /// Completes at once.
    fn empty<T>() -> Self::With<Empty<T>> {
        Self::lift(Empty::default())
    }

    /// Emits nothing and never ends.
    fn never<T>() -> Self::With<Never<T>> {
        Self::lift(Never::default())
    }

    /// Fails at once (ReactiveX `throw`).
    fn throw_err<T, E>(error: E) -> Self::With<Throw<T, E>> {
        Self::lift(Throw::new(error))
    }

    /// Makes the source when somebody subscribes (ReactiveX `defer`). A panic in `f` goes where
    /// [`StreamError::Panic`](crate::StreamError::Panic) goes.
    fn defer<F, S, T, E>(f: F) -> Self::With<Defer<F, S, T, E>>
    where
        F: FnOnce() -> Self::With<S>,
        Self::With<S>: super::Events<T, E>,
    {
        Self::lift(Defer::new(f))
    }

    /// A source by hand: `f` gets an [`Emitter`], now or to keep; what it returns is told of the unsubscription
    /// (ReactiveX `create`).
    ///
    /// [`Emitter::next`] says when nobody listens any more, so that a loop ends.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// Local::create(|mut emitter: LocalEmitter<u32, ()>| {
    ///     let mut n = 0;
    ///     while emitter.next(n).is_ok() {
    ///         n += 1;
    ///     }
    /// })
    /// .take(3)
    /// .on_error_return(|()| 0)
    /// .subscribe(move |v| log.borrow_mut().push(v));
    /// assert_eq!(*seen.borrow(), [0, 1, 2]);
    /// ```
    fn create<T, E, F, U>(f: F) -> Self::With<Create<F, T, E>>
    where
        Self::Scope: Hosts<T, E>,
        F: FnOnce(Emitter<<Self::Scope as Hosts<T, E>>::Listener, T, E>) -> U,
    {
        Self::lift(Create::new(f))
    }

    /// `()` once, after `delay` (ReactiveX `timer`).
    fn timer(delay: Duration) -> Self::With<Ticks<()>> {
        Self::lift(Ticks::once(delay))
    }

    /// 0, 1, 2 … every `period` (ReactiveX `interval`), on a grid that starts with the subscription: late ticks do
    /// not move it; a period of zero is taken as one nanosecond. Ticks that were missed are skipped; see [`interval_with`](Self::interval_with).
    fn interval(period: Duration) -> Self::With<Ticks<u64>> {
        Self::interval_with(period, MissedTicks::Skip)
    }

    /// [`interval`](Self::interval) with a named policy for missed ticks.
    fn interval_with(period: Duration, missed: MissedTicks) -> Self::With<Ticks<u64>> {
        Self::lift(Ticks::every(period, missed))
    }

    /// Reads something every `period`, such as a sensor or a web service: each tick starts one `read`, and its result,
    /// usually a `Result`, is the item. A read that fails is the failure of one event; the stream goes on.
    ///
    /// Two reads never run at once. The ticks are those of [`interval`](Self::interval): on a grid that starts with the
    /// subscription, the first after one period. The time that reads take does not move it. Ticks while a read runs
    /// start none; see [`poll_every_with`](Self::poll_every_with).
    ///
    /// ```text
    /// ticks:      --1--2--3--4--5--6
    /// reads:        a| b------| c|
    /// poll_every: ---a--------b--c--
    /// ```
    ///
    /// It never completes. A panic of `read` or its future goes where
    /// [`StreamError::Panic`](crate::StreamError::Panic) goes. Unsubscribing drops a read that is running. Holds one
    /// read and one timer.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let scheduler = VirtualScheduler::new();
    /// let rejects = MemoryQueue::new(10);
    /// let mut n = 0;
    /// let read = move || {
    ///     n += 1;
    ///     async move { if n == 2 { Err(std::io::Error::other("no answer")) } else { Ok(n) } }
    /// };
    /// let values = scheduler
    ///     .on(Local::poll_every(Duration::from_secs(10), read))
    ///     .map(|read| read.map_err(|error| Rejected::new("sensor 7", "read", error)))
    ///     .dead_letter(rejects.clone());
    /// let seen = record(values.take(2));
    /// scheduler.advance_by(Duration::from_secs(60));
    /// assert_eq!(seen.items(), [1, 3]);
    /// assert_eq!(rejects.letters()[0].message, "no answer");
    /// ```
    fn poll_every<F, Fut>(period: Duration, read: F) -> Self::With<PollEvery<F, Fut>>
    where
        F: FnMut() -> Fut,
        Fut: Future,
    {
        Self::poll_every_with(period, MissedTicks::Skip, read)
    }

    /// [`poll_every`](Self::poll_every) with a named policy for the ticks that passed while a read ran (or the thread was
    /// busy). A tick at the very moment in which a read ends is not missed.
    ///
    /// - [`Skip`](MissedTicks::Skip): they start none; the next read is on the grid.
    /// - [`Burst`](MissedTicks::Burst): they are made up for, one read right after the other.
    /// - [`Delay`](MissedTicks::Delay): they start none; the grid starts anew where the read ended, so that there is a
    ///   whole period of rest.
    ///
    /// ```text
    /// ticks:      --1--2--3--4--5--6
    /// Skip:         a------| b  c  d      only a takes time
    /// Burst:        a------bcd  e  f
    /// Delay:        a------|  b  c
    /// ```
    fn poll_every_with<F, Fut>(
        period: Duration,
        missed: MissedTicks,
        read: F,
    ) -> Self::With<PollEvery<F, Fut>>
    where
        F: FnMut() -> Fut,
        Fut: Future,
    {
        Self::lift(PollEvery::new(period, missed, read))
    }

    /// The items of a [`Stream`], polled by one task of the scheduler. It is polled for the next item only when the
    /// chain has handled the one before; after 64 items in a row other tasks run first; unsubscribing drops it at
    /// once.
    fn from_stream<St: Stream>(stream: St) -> Self::With<FromStream<St>> {
        Self::lift(FromStream(stream))
    }

    /// [`from_stream`](Self::from_stream) of results: the first `Err` is the stream's error.
    fn from_stream_result<St, T, E>(stream: St) -> Self::With<FromStreamResult<St>>
    where
        St: Stream<Item = Result<T, E>>,
    {
        Self::lift(FromStreamResult(stream))
    }

    /// The value of a future.
    fn from_future<F: Future>(future: F) -> Self::With<FromStream<futures::stream::Once<F>>> {
        Self::from_stream(futures::stream::once(future))
    }

    /// A [`Subject`].
    fn subject<T, E>() -> Self::With<Subject<T, E, Self::Scope>>
    where
        T: Clone + 'static,
        E: Clone + 'static,
        Self::Scope: Hosts<T, E>,
    {
        Self::lift(Subject::new())
    }

    /// A [`BehaviorSubject`] with an initial value.
    fn behavior_subject<T, E>(initial: T) -> Self::With<BehaviorSubject<T, E, Self::Scope>>
    where
        T: Clone + 'static,
        E: Clone + 'static,
        Self::Scope: Hosts<T, E>,
    {
        Self::lift(BehaviorSubject::new(initial))
    }

    /// All of many sources of one type, as they come (ReactiveX `merge`); for sources of different types use
    /// [`merge`](super::combine::CombineOps::merge), or box them.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::merge_all([Local::of(1), Local::of(2), Local::of(3)]).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2, 3]);
    /// ```
    fn merge_all<I, S, T, E>(sources: I) -> Self::With<MergeAll<S, T, E>>
    where
        I: IntoIterator<Item = Self::With<S>>,
        Self::With<S>: super::Events<T, E> + Context<Inner = S>,
    {
        Self::lift(MergeAll::new(sources.into_iter().map(Context::into_inner).collect()))
    }
}

impl<C: Context<Inner = ()>> CreateOps for C {}
