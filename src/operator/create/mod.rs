//! Sources.

mod defer;
mod emitter;
mod from_callback;
mod from_iter;
mod from_stream;
mod generate;
mod poll_every;
mod ticks;
mod trivial;
mod using;

pub use defer::*;
pub use emitter::*;
pub use from_callback::*;
pub use from_iter::*;
pub use from_stream::*;
pub use generate::*;
pub use poll_every::*;
pub use ticks::*;
pub use trivial::*;
pub use using::*;

use std::{convert::Infallible, future::Future, ops::RangeBounds, time::Duration, vec::Drain};

use futures::Stream;
use rxrust::context::Context;

use super::{
    combine::{
        AmbAll, CompositeError, Delayed, Each, InRows, LatestRow, MergeAll, NoFirst, Pattern, PatternRow,
        Sequence, ZipRow,
    },
    share::{AsyncSubject, BehaviorSubject, Hosts, Replay, ReplaySubject, Subject},
};
use crate::buffer::Buffer;

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

    /// [`from_iter`](Self::from_iter) of results: the first `Err` is the stream's error, and nothing is asked for after it.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter_result(["1", "2", "x", "3"].map(str::parse::<i32>))
    ///     .on_error_route(observer(|error: std::num::ParseIntError| {
    ///         assert_eq!(error.to_string(), "invalid digit found in string");
    ///     }))
    ///     .subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2]);
    /// ```
    fn from_iter_result<I, T, E>(iter: I) -> Self::With<FromIterResult<I>>
    where
        I: IntoIterator<Item = Result<T, E>>,
    {
        Self::lift(FromIterResult(iter))
    }

    /// One item (ReactiveX `just`).
    fn of<T>(item: T) -> Self::With<FromIter<Option<T>>> {
        Self::lift(FromIter(Some(item)))
    }

    /// The numbers of a range, `a..b` or `a..=b`, at the subscription (ReactiveX `range`): [`from_iter`](Self::from_iter)
    /// of a range, under its usual name.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::range(3..6).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3, 4, 5]);
    /// ```
    fn range<R, T>(range: R) -> Self::With<FromIter<R>>
    where
        R: RangeBounds<T> + IntoIterator<Item = T>,
    {
        Self::lift(FromIter(range))
    }

    /// `select(state)` for each state from `state` on, as long as `condition` holds; `iterate` makes the next state (RxJS
    /// `generate`): a `for` loop as a source, at the subscription. It goes no further than somebody listens.
    ///
    /// A panic in a closure goes where [`StreamError::Panic`](crate::StreamError::Panic) goes.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::generate(1, |n| *n < 100, |n| n * 3, |n| format!("{n}")).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, ["1", "3", "9", "27", "81"]);
    /// ```
    fn generate<A, C, I, F, T>(
        state: A,
        condition: C,
        iterate: I,
        select: F,
    ) -> Self::With<FromIter<Generate<A, C, I, F>>>
    where
        C: FnMut(&A) -> bool,
        I: FnMut(A) -> A,
        F: FnMut(&A) -> T,
    {
        Self::lift(FromIter(Generate::new(state, condition, iterate, select)))
    }

    /// What `f` returns, as the one item; it is called for each subscriber, at the subscription (ReactiveX `start`, RxJava
    /// `fromCallable`). A panic in it goes where [`StreamError::Panic`](crate::StreamError::Panic) goes.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_fn(|| 6 * 7).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [42]);
    /// ```
    fn from_fn<F, T>(f: F) -> Self::With<FromIter<Call<F>>>
    where
        F: FnOnce() -> T,
    {
        Self::lift(FromIter(Call(Some(f))))
    }

    /// The value that a function hands to its callback, as the one item (RxJS `bindCallback`). `f` is called for each
    /// subscriber, at the subscription; it gets the [`Callback`], to call now or later, in `Shared` on any thread.
    ///
    /// Unsubscribed before, the value is dropped: [`Callback::is_closed`] says so. For more than one value, or an error,
    /// see [`create`](Self::create).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// fn ask(question: &str, answer: impl FnOnce(usize)) {
    ///     answer(question.len());
    /// }
    /// let source = Local::from_callback(|callback| ask("how long?", |n| callback.call(n)));
    /// source.subscribe(|n| assert_eq!(n, 9));
    /// ```
    fn from_callback<F, T>(f: F) -> Self::With<FromCallback<F, T>>
    where
        Self::Scope: Hosts<T, Infallible>,
        F: FnOnce(Callback<<Self::Scope as Hosts<T, Infallible>>::Listener, T>),
    {
        Self::lift(FromCallback::new(f))
    }

    /// A source with a resource that lives as long as the subscription (ReactiveX `using`): `acquire` makes the resource
    /// when somebody subscribes, `make` the source from it, and `dispose` gets it in the end.
    ///
    /// `dispose` is called exactly once for each resource: after the subscriber was told that the source has completed or
    /// failed, when it is unsubscribed, when a panic above or below ends the stream, and when `make` panics. A panic in
    /// `acquire` or `make` goes where [`StreamError::Panic`](crate::StreamError::Panic) goes; one in `dispose` to the
    /// [`on_unhandled`](crate::on_unhandled) hook.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    /// let log = Rc::new(RefCell::new(vec![]));
    /// let (opened, seen, closed) = (log.clone(), log.clone(), log.clone());
    /// Local::using(
    ///     move || opened.borrow_mut().push("open".to_owned()),
    ///     |()| Local::from_iter([1, 2]),
    ///     move |()| closed.borrow_mut().push("close".to_owned()),
    /// )
    /// .subscribe(move |v| seen.borrow_mut().push(v.to_string()));
    /// assert_eq!(*log.borrow(), ["open", "1", "2", "close"]);
    /// ```
    fn using<A, F, D, R, S, T, E>(acquire: A, make: F, dispose: D) -> Self::With<Using<A, F, D, R, S, T, E>>
    where
        A: FnOnce() -> R,
        F: FnOnce(&mut R) -> Self::With<S>,
        D: FnOnce(R),
        Self::With<S>: super::Events<T, E>,
    {
        Self::lift(Using::new(acquire, make, dispose))
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

    /// A [`ReplaySubject`] that keeps what `replay` says, by the time of this context's default scheduler.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::convert::Infallible;
    /// let mut prices = Local::replay_subject::<u32, Infallible>(Replay::last(2));
    /// (1..=5).for_each(|v| prices.next(v));
    /// let mut seen = vec![];
    /// prices.take(2).subscribe(move |v| {
    ///     seen.push(v);
    ///     assert!([4, 5].starts_with(&seen));
    /// });
    /// ```
    fn replay_subject<T, E>(replay: Replay) -> Self::With<ReplaySubject<T, E, Self::Scope, Self::Scheduler>>
    where
        T: Clone + 'static,
        E: Clone + 'static,
        Self::Scope: Hosts<T, E>,
        Self::Scheduler: crate::time::Clock,
    {
        Self::lift(ReplaySubject::new(replay, Self::Scheduler::default()))
    }

    /// An [`AsyncSubject`].
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::Cell, convert::Infallible, rc::Rc};
    /// let mut answer = Local::async_subject::<u32, Infallible>();
    /// let told = Rc::new(Cell::new(0));
    /// let seen = told.clone();
    /// answer.clone().subscribe(move |v| seen.set(v));
    /// answer.next(41);
    /// answer.next(42);
    /// answer.complete();
    /// assert_eq!(told.get(), 42);
    /// ```
    fn async_subject<T, E>() -> Self::With<AsyncSubject<T, E, Self::Scope>>
    where
        T: Clone + 'static,
        E: Clone + 'static,
        Self::Scope: Hosts<T, E>,
    {
        Self::lift(AsyncSubject::new())
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
        Self::lift(MergeAll::new(inner(sources)))
    }

    /// [`merge_all`](Self::merge_all) whose errors wait until all have ended, as in
    /// [`merge_delay_error`](super::combine::CombineOps::merge_delay_error).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let sources = [Local::throw_err::<u32, _>("a"), Local::throw_err("b"), Local::throw_err("c")];
    /// Local::merge_all_delay_error(sources)
    ///     .on_error_route(observer(|error: CompositeError<_>| assert_eq!((error.first, error.others.len()), ("a", 2))))
    ///     .subscribe(|_| {});
    /// ```
    #[allow(clippy::type_complexity, reason = "it is the operator's own type")]
    fn merge_all_delay_error<I, S, T, E>(
        sources: I,
    ) -> Self::With<MergeAll<S, T, E, Delayed<E>, CompositeError<E>>>
    where
        I: IntoIterator<Item = Self::With<S>>,
        Self::With<S>: super::Events<T, E> + Context<Inner = S>,
    {
        Self::lift(MergeAll::new(inner(sources)))
    }

    /// Many sources of one type, one after the other (ReactiveX `concat`); for two of different types, see
    /// [`concat_with`](super::combine::CombineOps::concat_with).
    ///
    /// Each is subscribed when the one before has completed; the iterator is asked for it only then, so it may be
    /// endless. The first error ends the output; without a source it completes. A loop, not a recursion.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::concat_all([Local::from_iter([1, 2]), Local::from_iter([3, 4])]).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2, 3, 4]);
    /// ```
    fn concat_all<I, S, T, E>(sources: I) -> Self::With<Sequence<NoFirst, Each<I::IntoIter>, T, E>>
    where
        I: IntoIterator<Item = Self::With<S>>,
        Self::With<S>: super::Events<T, E> + Context<Inner = S>,
    {
        Self::lift(Sequence::new(None, Each(sources.into_iter())))
    }

    /// All of the one of many sources of one type that is the first to emit, fail or complete; the others are unsubscribed
    /// (ReactiveX `amb`, RxJS `race`). They are subscribed in order, until one has emitted. Without a source it completes.
    /// For two of different types, see [`amb`](super::combine::CombineOps::amb).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let (slow, mut quick) = (Local::subject::<u32, ()>(), Local::subject::<u32, ()>());
    /// Local::amb_all([slow.clone(), quick.clone()]).on_error_return(|()| 0).subscribe(|v| assert!(v < 10));
    /// quick.next(1);
    /// slow.clone().next(10); // it is too late
    /// quick.next(2);
    /// ```
    fn amb_all<I, S, T, E>(sources: I) -> Self::With<AmbAll<S, T, E>>
    where
        I: IntoIterator<Item = Self::With<S>>,
        Self::With<S>: super::Events<T, E> + Context<Inner = S>,
    {
        Self::lift(AmbAll::new(inner(sources)))
    }

    /// `f` of the latest items of many sources of one type, in their order, whenever one emits, once all have (ReactiveX
    /// `combineLatest`). `f` is lent the items: no allocation, no clone. For two of different types, see
    /// [`combine_latest`](super::combine::CombineOps::combine_latest).
    ///
    /// Completes when all have, when one completes without an item, and without a source. Memory: an item per source.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// let sources = [vec![1, 2], vec![10], vec![100, 200]].map(Local::from_iter);
    /// Local::combine_latest_all(sources, |latest| latest.to_vec()).subscribe(|row| seen.push(row));
    /// assert_eq!(seen, [[2, 10, 100], [2, 10, 200]]);
    /// ```
    fn combine_latest_all<I, F, S, T, R, E>(
        sources: I,
        f: F,
    ) -> Self::With<InRows<S, LatestRow<F, T>, T, R, E>>
    where
        I: IntoIterator<Item = Self::With<S>>,
        Self::With<S>: super::Events<T, E> + Context<Inner = S>,
        F: FnMut(&[T]) -> R,
    {
        Self::lift(InRows::new(inner(sources), LatestRow::new(f)))
    }

    /// `f` of the n-th items of many sources of one type, in their order (ReactiveX `zip`), the default [`Buffer`] per
    /// source. `f` gets an iterator of them: no allocation, no clone. For two of different types, see
    /// [`zip`](super::combine::CombineOps::zip).
    ///
    /// Completes when a source has completed and its items are used up, and without a source. Memory: the items of the
    /// sources that are ahead, at most the buffer for each. They are subscribed in order: one that emits at once is all in
    /// the buffer before the next begins.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// let sources = [Local::from_iter([1, 2]), Local::from_iter([10, 20]), Local::from_iter([100, 200])];
    /// Local::zip_all(sources, |row| row.collect::<Vec<_>>()).subscribe(|row| seen.push(row));
    /// assert_eq!(seen, [[1, 10, 100], [2, 20, 200]]);
    /// ```
    fn zip_all<I, F, S, T, R, E>(sources: I, f: F) -> Self::With<InRows<S, ZipRow<F, T>, T, R, E>>
    where
        I: IntoIterator<Item = Self::With<S>>,
        Self::With<S>: super::Events<T, E> + Context<Inner = S>,
        F: FnMut(Drain<'_, T>) -> R,
    {
        Self::zip_all_with_buffer(sources, Buffer::default(), f)
    }

    /// [`zip_all`](Self::zip_all) with a stated bound per source and what happens beyond it. Dropping shifts the rows: the
    /// n-th item is then the n-th that was kept.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let latest = Buffer::new(1).on_overflow(Overflow::DropOldest);
    /// let sources = [Local::from_iter([1, 2, 3]), Local::from_iter([10, 20, 30])];
    /// Local::zip_all_with_buffer(sources, latest.clone(), |row| row.sum()).subscribe(|sum: u32| assert_eq!(sum, 13));
    /// assert_eq!(latest.drops().get(), 2);
    /// ```
    fn zip_all_with_buffer<I, F, S, T, R, E>(
        sources: I,
        buffer: Buffer,
        f: F,
    ) -> Self::With<InRows<S, ZipRow<F, T>, T, R, E>>
    where
        I: IntoIterator<Item = Self::With<S>>,
        Self::With<S>: super::Events<T, E> + Context<Inner = S>,
        F: FnMut(Drain<'_, T>) -> R,
    {
        Self::lift(InRows::new(inner(sources), ZipRow::new(f, buffer)))
    }

    /// Rows of items of many sources of one type, by patterns (ReactiveX `and`, `then`, `when`): a [`Pattern`] matches when
    /// each of its sources has an item waiting, and takes these; `f` gets the number of the pattern, from 0, and its items,
    /// in the pattern's order. For sources of different types, map them to an `enum`.
    ///
    /// ```text
    /// --1-----2---|            source 0
    /// ----a-----------b-|      source 1
    /// ------x--------|         source 2
    ///   when([0 and 1, 0 and 2])
    /// ----1a--2x--|
    /// ```
    /// An item waits until a pattern takes it, and goes to one only: to the first that matches. So each source has one
    /// queue, at most the default [`Buffer`]. Where no pattern can take it any more, it is dropped as it comes.
    ///
    /// A pattern is over when one of its sources has completed and too little of it waits; the output completes when all
    /// are. The first error ends it. A pattern that names a source that there is not is an [`UnknownSource`] error at the
    /// subscription. Time per item: the sum of the patterns' lengths.
    ///
    /// [`UnknownSource`]: super::combine::UnknownSource
    ///
    /// ```
    /// use rxevents::{operator::combine::Pattern, prelude::*};
    /// let mut seen = vec![];
    /// let sources = [vec![1, 2], vec![10], vec![100]].map(Local::from_iter);
    /// let patterns = [Pattern::of(0).and(1), Pattern::of(0).and(2)];
    /// Local::when(sources, patterns, |n, row| (n, row.sum::<u32>())).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [(0, 11), (1, 102)]);
    /// ```
    fn when<I, P, F, S, T, R, E>(
        sources: I,
        patterns: P,
        f: F,
    ) -> Self::With<InRows<S, PatternRow<F, T>, T, R, E>>
    where
        I: IntoIterator<Item = Self::With<S>>,
        P: IntoIterator<Item = Pattern>,
        Self::With<S>: super::Events<T, E> + Context<Inner = S>,
        F: FnMut(usize, Drain<'_, T>) -> R,
    {
        Self::when_with_buffer(sources, patterns, Buffer::default(), f)
    }

    /// [`when`](Self::when) with a stated bound per source and what happens beyond it.
    ///
    /// ```
    /// use rxevents::{operator::combine::Pattern, prelude::*};
    /// let latest = Buffer::new(1).on_overflow(Overflow::DropOldest);
    /// let sources = [vec![1, 2, 3], vec![10]].map(Local::from_iter);
    /// Local::when_with_buffer(sources, [Pattern::of(0).and(1)], latest.clone(), |_, row| row.sum())
    ///     .subscribe(|sum: u32| assert_eq!(sum, 13));
    /// assert_eq!(latest.drops().get(), 2);
    /// ```
    fn when_with_buffer<I, P, F, S, T, R, E>(
        sources: I,
        patterns: P,
        buffer: Buffer,
        f: F,
    ) -> Self::With<InRows<S, PatternRow<F, T>, T, R, E>>
    where
        I: IntoIterator<Item = Self::With<S>>,
        P: IntoIterator<Item = Pattern>,
        Self::With<S>: super::Events<T, E> + Context<Inner = S>,
        F: FnMut(usize, Drain<'_, T>) -> R,
    {
        let rows = PatternRow::new(patterns.into_iter().collect(), buffer, f);
        Self::lift(InRows::new(inner(sources), rows))
    }
}

impl<C: Context<Inner = ()>> CreateOps for C {}

/// The sources, out of their contexts.
fn inner<C: Context>(sources: impl IntoIterator<Item = C>) -> Vec<C::Inner> {
    sources.into_iter().map(Context::into_inner).collect()
}
