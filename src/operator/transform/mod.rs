//! Operators that make something else of an item.

mod dematerialize;
mod filter_map;
mod flat_map;
mod flatten;
mod index;
mod map;
mod materialize;
mod pairwise;
mod scan;
mod switch_map;
mod tap;

pub use dematerialize::*;
pub use filter_map::*;
pub use flat_map::*;
pub use flatten::*;
pub use index::*;
pub use map::*;
pub use materialize::*;
pub use pairwise::*;
pub use scan::*;
pub use switch_map::*;
pub use tap::*;

use rxrust::observable::Observable;

use super::{
    Events,
    apply::{Apply, Kernel},
    rate::{HandTo, Ignore},
    timed::{TimedApply, TimedKernel},
};

use crate::buffer::Buffer;
/// What a [`materialize`](TransformOps::materialize) makes of what an observer is told.
pub use crate::gate::Signal as Notification;

/// Operators that make something else of an item.
pub trait TransformOps: Observable + 'static {
    /// An operator of your own with one input: see [`Kernel`].
    fn apply<K, I, T>(self, kernel: K) -> Self::With<Apply<Self::Inner, K, I, T>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: Kernel<I, T>,
    {
        self.transform(|source| Apply::new(source, kernel))
    }

    /// An operator of your own with one input and a timer: see [`TimedKernel`].
    ///
    /// ```
    /// use rxevents::{operator::{apply::Emit, timed::{Time, TimedKernel}}, prelude::*, time::Clock};
    ///
    /// /// Completes when it hears nothing within the hour.
    /// struct UntilSilent;
    /// impl TimedKernel<u32, u32> for UntilSilent {
    ///     const NAME: &'static str = "until_silent";
    ///     fn next<S: Clock>(&mut self, item: u32, time: &Time<S>) -> Emit<u32> {
    ///         time.arm(time.now() + std::time::Duration::from_secs(3600));
    ///         Emit::Item(item)
    ///     }
    ///     fn tick<S: Clock>(&mut self, _time: &Time<S>) -> Emit<u32> {
    ///         Emit::End
    ///     }
    ///     fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<u32> {
    ///         Emit::End
    ///     }
    ///     fn is_idle(&self) -> bool {
    ///         true
    ///     }
    /// }
    /// # fn chain(numbers: LocalSubject<u32, StreamError>) -> LocalEvents<u32, StreamError> {
    /// numbers.apply_timed(UntilSilent).boxed()
    /// # }
    /// ```
    fn apply_timed<K, I, T>(self, kernel: K) -> Self::With<TimedApply<Self::Inner, K, I, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: TimedKernel<I, T>,
    {
        self.transform(|source| TimedApply::new(source, kernel))
    }

    /// Each item through `f` (ReactiveX `map`).
    ///
    /// ```text
    /// --1--2--3-|
    ///   map(v * 10)
    /// --10-20-30|
    /// ```
    /// Time O(1) per item, no memory. A panic in `f` ends the stream with `StreamError::Panic`.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2]).map(|v| v * 10).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [10, 20]);
    /// ```
    fn map<F, I, T>(self, f: F) -> Self::With<Apply<Self::Inner, Map<F>, I, T>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(I) -> T,
    {
        self.apply(Map(f))
    }

    /// `f(item)` where it is `Some`, nothing where it is `None` (ReactiveX `filter` and `map` in one, as
    /// [`Iterator::filter_map`]).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(["1", "x", "3"]).filter_map(|s| s.parse::<i32>().ok()).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 3]);
    /// ```
    fn filter_map<F, I, T>(self, f: F) -> Self::With<Apply<Self::Inner, FilterMap<F>, I, T>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(I) -> Option<T>,
    {
        self.apply(FilterMap(f))
    }

    /// Emits the accumulator after each item (ReactiveX `scan` with a seed; the seed itself is not emitted).
    ///
    /// ```text
    /// --1--2--3-|
    ///   scan(0, +)
    /// --1--3--6-|
    /// ```
    /// The accumulator is cloned once per item.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2, 3]).scan(0, |sum, v| sum + v).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 3, 6]);
    /// ```
    fn scan<A, F, I>(self, seed: A, f: F) -> Self::With<Apply<Self::Inner, Scan<A, F>, I, A>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        A: Clone,
        F: FnMut(A, I) -> A,
    {
        self.apply(Scan { state: Some(seed), f })
    }

    /// Each item with the one before it (RxJS `pairwise`); nothing for the first.
    ///
    /// ```text
    /// --1--2--3-|
    ///   pairwise
    /// -----12-23|
    /// ```
    /// Memory: one item, cloned.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 4, 9]).pairwise().map(|(before, v)| v - before).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3, 5]);
    /// ```
    fn pairwise<I: Clone>(self) -> Self::With<Apply<Self::Inner, Pairwise<I>, I, (I, I)>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.apply(Pairwise { before: None })
    }

    /// Each item with its number, counted from 0 (Reactor `index`; RxJS gives it to the closure of `map`).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(["a", "b"]).index().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [(0, "a"), (1, "b")]);
    /// ```
    fn index<I>(self) -> Self::With<Apply<Self::Inner, Index, I, (u64, I)>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.apply(Index::default())
    }

    /// What an observer is told, as items: each item, then the completion or the error, then the output completes
    /// (ReactiveX `materialize`).
    ///
    /// ```text
    /// --1--2-#
    ///   materialize
    /// --Next(1)--Next(2)-(Error|)
    /// ```
    /// The output itself cannot fail; [`stream_error`](super::error::ErrorOps::stream_error) below takes panics. A
    /// [`Notification`] can be written and read as JSON where its item and error can.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1]).merge(Local::empty()).materialize().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [Notification::Next(1), Notification::Complete]);
    /// ```
    fn materialize<T>(self) -> Self::With<Materialize<Self::Inner, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
    {
        self.transform(Materialize::new)
    }

    /// What [`materialize`](Self::materialize) was called on: tells the notifications to the observer (ReactiveX
    /// `dematerialize`).
    ///
    /// ```text
    /// --Next(1)--Next(2)-Error--Next(3)
    ///   dematerialize
    /// --1--------2-------#
    /// ```
    /// The first that is an end stops the source; a source that completes without one completes the output. The error type
    /// beside them is `Infallible`, as `materialize` leaves it, or `StreamError` where that is the one in the notifications.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([Notification::Next(1), Notification::Error("down"), Notification::Next(2)])
    ///     .dematerialize()
    ///     .on_error_return(|_| -1)
    ///     .subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, -1]);
    /// ```
    fn dematerialize<T, E>(self) -> Self::With<Dematerialize<Self::Inner, T, E>>
    where
        Self: for<'a> Observable<Item<'a> = Notification<T, E>>,
        Self::Err: BesideError<E>,
    {
        self.transform(Dematerialize::new)
    }

    /// Looks at each item on its way (ReactiveX `do`).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::Cell, rc::Rc};
    /// let count = Rc::new(Cell::new(0));
    /// let counter = count.clone();
    /// Local::from_iter([1, 2]).tap(move |_| counter.set(counter.get() + 1)).subscribe(|_| {});
    /// assert_eq!(count.get(), 2);
    /// ```
    fn tap<F, I>(self, f: F) -> Self::With<Apply<Self::Inner, Tap<F>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I),
    {
        self.apply(Tap(f))
    }

    /// Subscribes to `f(item)` for each item at once and merges what they emit (ReactiveX `flatMap`).
    ///
    /// ```text
    /// --a-----b---|
    ///   flat_map(x -> x1--x2|)
    /// --a1--a2b1--b2|
    /// ```
    /// Completes when the source and all inner ones have; the first error ends it all. Memory: the inner ones that
    /// are live, each O(1) to start and to end. A panic in `f` ends the stream with `StreamError::Panic`.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2]).flat_map(|v| Local::from_iter([v, v * 10])).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 10, 2, 20]);
    /// ```
    fn flat_map<F, In, I, T>(self, f: F) -> Self::With<FlatMap<Self::Inner, F, I, In, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(I) -> In,
        In: Events<T, Self::Err>,
    {
        self.flat_map_with(usize::MAX, Buffer::default(), f)
    }

    /// As [`flat_map`](Self::flat_map), with at most `concurrency` inner ones at a time (0 is taken as 1); items
    /// that come meanwhile wait in `buffer`, in order.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2, 3])
    ///     .flat_map_with(2, Buffer::new(16), |v| Local::from_iter([v, -v]))
    ///     .subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, -1, 2, -2, 3, -3]);
    /// ```
    fn flat_map_with<F, In, I, T>(
        self,
        concurrency: usize,
        buffer: Buffer,
        f: F,
    ) -> Self::With<FlatMap<Self::Inner, F, I, In, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(I) -> In,
        In: Events<T, Self::Err>,
    {
        self.transform(|source| FlatMap::new(source, f, concurrency, buffer, Wait))
    }

    /// One inner source after the other, in order (ReactiveX `concatMap`): [`flat_map_with`](Self::flat_map_with)
    /// with a concurrency of 1 and the default buffer.
    fn concat_map<F, In, I, T>(self, f: F) -> Self::With<FlatMap<Self::Inner, F, I, In, T, Self::Err, InTurn>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(I) -> In,
        In: Events<T, Self::Err>,
    {
        self.transform(|source| FlatMap::new(source, f, 1, Buffer::default(), InTurn))
    }

    /// Only the latest inner source: a new item ends the one before (ReactiveX `switchMap`).
    ///
    /// ```text
    /// --a-----b-----|
    ///   switch_map(x -> x1--x2--x3|)
    /// --a1--a2b1--b2--b3|
    /// ```
    /// Completes when the source and the latest inner one have. Memory: one inner source.
    fn switch_map<F, In, I, T>(self, f: F) -> Self::With<SwitchMap<Self::Inner, F, I, In, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(I) -> In,
        In: Events<T, Self::Err>,
    {
        self.transform(|source| SwitchMap::new(source, f))
    }

    /// One inner source at a time: items that come while it is live are dropped (RxJS `exhaustMap`).
    ///
    /// ```text
    /// --a-b-----c---|
    ///   exhaust_map(x -> x1--x2--x3|)
    /// --a1--a2--c1--c2--c3|          (b is dropped; c comes as a ends)
    /// ```
    /// Completes when the source and the live inner one have; the first error ends it all. Memory: one inner source.
    /// What it drops is handed on by [`exhaust_map_on_dropped`](Self::exhaust_map_on_dropped).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, convert::Infallible, rc::Rc};
    /// let (mut clicks, mut answer) = (Local::subject::<u32, Infallible>(), Local::subject::<char, Infallible>());
    /// let (seen, request) = (Rc::new(RefCell::new(vec![])), answer.clone());
    /// let log = seen.clone();
    /// clicks.clone()
    ///     .exhaust_map(move |n| request.clone().map(move |c| (n, c)).take(1))
    ///     .subscribe(move |v| log.borrow_mut().push(v));
    /// clicks.next(1);
    /// clicks.next(2); // the first is still under way
    /// answer.next('a');
    /// clicks.next(3);
    /// answer.next('b');
    /// assert_eq!(*seen.borrow(), [(1, 'a'), (3, 'b')]);
    /// ```
    fn exhaust_map<F, In, I, T>(
        self,
        f: F,
    ) -> Self::With<FlatMap<Self::Inner, F, I, In, T, Self::Err, Exhaust<Ignore>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(I) -> In,
        In: Events<T, Self::Err>,
    {
        self.transform(|source| FlatMap::new(source, f, 1, Buffer::default(), Exhaust(Ignore)))
    }

    /// [`exhaust_map`](Self::exhaust_map) that hands what it drops to `on_dropped`, to be counted or kept.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::Cell, rc::Rc};
    /// let dropped = Rc::new(Cell::new(0));
    /// let count = dropped.clone();
    /// Local::from_iter([1, 2, 3])
    ///     .exhaust_map_on_dropped(|_| Local::never::<u32>(), move |_| count.set(count.get() + 1))
    ///     .subscribe(|_| {});
    /// assert_eq!(dropped.get(), 2);
    /// ```
    fn exhaust_map_on_dropped<F, In, D, I, T>(
        self,
        f: F,
        on_dropped: D,
    ) -> Self::With<FlatMap<Self::Inner, F, I, In, T, Self::Err, Exhaust<HandTo<D>>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(I) -> In,
        In: Events<T, Self::Err>,
        D: FnMut(I),
    {
        self.transform(|source| FlatMap::new(source, f, 1, Buffer::default(), Exhaust(HandTo(on_dropped))))
    }

    /// Of a stream of streams, the items of all (RxJava `merge`, RxJS `mergeAll`): [`flat_map`](Self::flat_map) where
    /// the items are the inner sources.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// let streams = Local::from_iter([Local::from_iter([1, 2]), Local::from_iter([3, 4])]);
    /// streams.merge_on_next().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2, 3, 4]);
    /// ```
    fn merge_on_next<In, T>(self) -> Self::With<Flatten<Self::Inner, In, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = In>,
        In: Events<T, Self::Err>,
    {
        TransformOps::flat_map(self, (|inner| inner) as Itself<In>)
    }

    /// Of a stream of streams, the items of one after the other, in order (RxJava `concat`, RxJS `concatAll`):
    /// [`concat_map`](Self::concat_map) where the items are the inner sources. At most 1,048,576 of them wait.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// let streams = Local::from_iter([Local::from_iter([1, 2]), Local::from_iter([3, 4])]);
    /// streams.concat_on_next().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2, 3, 4]);
    /// ```
    fn concat_on_next<In, T>(self) -> Self::With<Flatten<Self::Inner, In, T, Self::Err, InTurn>>
    where
        Self: for<'a> Observable<Item<'a> = In>,
        In: Events<T, Self::Err>,
    {
        TransformOps::concat_map(self, (|inner| inner) as Itself<In>)
    }

    /// Of a stream of streams, the items of the latest (ReactiveX `switch`, RxJava `switchOnNext`, RxJS `switchAll`):
    /// [`switch_map`](Self::switch_map) where the items are the inner sources.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// let streams = Local::from_iter([Local::never().boxed(), Local::from_iter([3, 4]).boxed()]);
    /// streams.switch_on_next().subscribe(move |v| log.borrow_mut().push(v));
    /// assert_eq!(*seen.borrow(), [3, 4]);
    /// ```
    fn switch_on_next<In, T>(self) -> Self::With<SwitchMap<Self::Inner, Itself<In>, In, In, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = In>,
        In: Events<T, Self::Err>,
    {
        TransformOps::switch_map(self, (|inner| inner) as Itself<In>)
    }
}

impl<S: Observable + 'static> TransformOps for S {}
