//! Operators that let some items pass.

mod distinct;
mod distinct_by_flush;
mod distinct_until_changed;
mod element_at;
mod ignore_elements;
mod keep;
mod last;
mod single;
mod skip;
mod skip_last;
mod skip_until;
mod skip_while;
mod take;
mod take_last;
mod take_until;
mod take_while;
mod take_while_inclusive;

pub use distinct::*;
pub use distinct_by_flush::*;
pub use distinct_until_changed::*;
pub use element_at::*;
pub use ignore_elements::*;
pub use last::*;
pub use single::*;
pub use skip::*;
pub use skip_last::*;
pub use skip_until::*;
pub use skip_while::*;
pub use take::*;
pub use take_last::*;
pub use take_until::*;
pub use take_while::*;
pub use take_while_inclusive::*;

use std::hash::BuildHasher;

use rxrust::observable::Observable;

use super::{
    Events,
    apply::Apply,
    key::{FastHasher, Key, Keys},
};
pub use keep::Filter;

/// Operators that let some items pass.
pub trait FilterOps: Observable + 'static {
    /// The items for which `keep` is true (ReactiveX `filter`).
    ///
    /// ```text
    /// --1--2--3--4-|
    ///   filter(even)
    /// -----2-----4-|
    /// ```
    /// Time O(1) per item, no memory. A panic in `keep` ends the stream with `StreamError::Panic`.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..=4).filter(|v| v % 2 == 0).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [2, 4]);
    /// ```
    fn filter<F, I>(self, keep: F) -> Self::With<Apply<Self::Inner, Filter<F>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> bool,
    {
        self.transform(|source| Apply::new(source, Filter(keep)))
    }

    /// The first `count` items, then the end (ReactiveX `take`). The source is stopped with the last of them, also
    /// an endless one; `take(0)` completes with the first item that would come.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(0..).take(2).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [0, 1]);
    /// ```
    fn take<I>(self, count: usize) -> Self::With<Apply<Self::Inner, Take, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, Take { left: count }))
    }

    /// The first item, then the end: [`take(1)`](Self::take).
    fn first<I>(self) -> Self::With<Apply<Self::Inner, Take, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        FilterOps::take(self, 1)
    }

    /// The first item, then the end; `default` where there is none (ReactiveX `firstOrDefault`).
    ///
    /// ```text
    /// --1--2-|     ---|
    ///   first_or(0)
    /// --(1|)       ---(0|)
    /// ```
    /// An error before the first item is passed on.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2]).first_or(0).subscribe(|v| seen.push(v));
    /// Local::empty().map(|()| 1).first_or(0).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 0]);
    /// ```
    fn first_or<I>(self, default: I) -> Self::With<Apply<Self::Inner, ElementAt<I>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.element_at_or(0, default)
    }

    /// The item with number `index`, counted from 0, then the end (ReactiveX `elementAt`). Completes without one where
    /// there are not so many, as [`first`](Self::first) does (RxJava; RxJS fails).
    ///
    /// ```text
    /// --a--b--c-|
    ///   element_at(1)
    /// -----(b|)
    /// ```
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter("abc".chars()).element_at(1).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, ['b']);
    /// ```
    fn element_at<I>(self, index: usize) -> Self::With<Apply<Self::Inner, ElementAt<I>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, ElementAt::new(index, None)))
    }

    /// [`element_at`](Self::element_at), or `default` where there are not so many items (RxJS `elementAt` with a default).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter("abc".chars()).element_at_or(9, '-').subscribe(|v| seen.push(v));
    /// assert_eq!(seen, ['-']);
    /// ```
    fn element_at_or<I>(self, index: usize, default: I) -> Self::With<Apply<Self::Inner, ElementAt<I>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, ElementAt::new(index, Some(default))))
    }

    /// The last item, when the source completes; none where there was none (ReactiveX `last`).
    ///
    /// ```text
    /// --1--2--3-|
    ///   last
    /// ----------(3|)
    /// ```
    /// An error is passed on, without an item. Memory: one item.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..=3).last().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3]);
    /// ```
    fn last<I>(self) -> Self::With<Apply<Self::Inner, Last<I>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, Last::new(None)))
    }

    /// [`last`](Self::last), or `default` where there was no item (ReactiveX `lastOrDefault`).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::empty().map(|()| 1).last_or(0).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [0]);
    /// ```
    fn last_or<I>(self, default: I) -> Self::With<Apply<Self::Inner, Last<I>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, Last::new(Some(default))))
    }

    /// The only item, when the source completes (ReactiveX `single`). None, or a second one, is an error.
    ///
    /// ```text
    /// --1---|     --1--2      -----|
    ///   single
    /// ------(1|)  -----#      -----#
    /// ```
    /// The errors are [`StreamError::NoItem`](crate::StreamError::NoItem) and
    /// [`StreamError::SeveralItems`](crate::StreamError::SeveralItems); the second item stops the source. In a stream with
    /// another error type they go where a [`StreamError`](crate::StreamError) goes there: put
    /// [`stream_error`](super::error::ErrorOps::stream_error) above. Memory: one item.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// for numbers in [vec![7], vec![], vec![7, 8]] {
    ///     Local::from_iter(numbers)
    ///         .stream_error()
    ///         .single()
    ///         .map(|v| v.to_string())
    ///         .on_error_return(|error| error.to_string())
    ///         .subscribe(|v| seen.push(v));
    /// }
    /// assert_eq!(seen[0], "7");
    /// assert_eq!(seen[1], "`single`: the source has completed without an item");
    /// assert_eq!(seen[2], "`single`: the source has more than one item");
    /// ```
    fn single<I>(self) -> Self::With<Apply<Self::Inner, Single<I>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, Single::new()))
    }

    /// Only the end: the completion, or the error (ReactiveX `ignoreElements`). The output's items, of which there are
    /// none, are of any type `T`, so that it can be merged with what has some.
    ///
    /// ```text
    /// --1--2-|
    ///   ignore_elements
    /// -------|
    /// ```
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// let saved = Local::from_iter([1, 2]).ignore_elements();
    /// saved.merge(Local::of("saved")).subscribe(|v: &str| seen.push(v));
    /// assert_eq!(seen, ["saved"]);
    /// ```
    fn ignore_elements<T, I>(self) -> Self::With<Apply<Self::Inner, IgnoreElements, I, T>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, IgnoreElements))
    }

    /// Items while `go_on` is true; the first that fails it ends the output (ReactiveX `takeWhile`).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(0..).take_while(|v| *v < 3).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [0, 1, 2]);
    /// ```
    fn take_while<F, I>(self, go_on: F) -> Self::With<Apply<Self::Inner, TakeWhile<F>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> bool,
    {
        self.transform(|source| Apply::new(source, TakeWhile(go_on)))
    }

    /// As [`take_while`](Self::take_while), with the item that ends it (RxJS `takeWhile(…, true)`; RxJava `takeUntil` of a
    /// condition, negated).
    ///
    /// ```text
    /// --1--2--3--4
    ///   take_while_inclusive(v < 3)
    /// --1--2--(3|)
    /// ```
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..).take_while_inclusive(|v| *v < 3).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2, 3]);
    /// ```
    fn take_while_inclusive<F, I>(
        self,
        go_on: F,
    ) -> Self::With<Apply<Self::Inner, TakeWhileInclusive<F>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> bool,
    {
        self.transform(|source| Apply::new(source, TakeWhileInclusive(go_on)))
    }

    /// Items until `notifier` emits (ReactiveX `takeUntil`).
    ///
    /// ```text
    /// --1--2--3--4-|
    /// --------x
    ///   take_until
    /// --1--2--|
    /// ```
    /// The notifier's completion is ignored, its error ends the output with that error. The notifier is subscribed
    /// first: if it emits at once, the source is never subscribed.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, convert::Infallible, rc::Rc};
    /// let stop = Local::subject::<(), Infallible>();
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let (mut halt, log) = (stop.clone(), seen.clone());
    /// Local::from_iter(0..)
    ///     .tap(move |v| if *v == 2 { halt.next(()) })
    ///     .take_until(stop)
    ///     .subscribe(move |v| log.borrow_mut().push(v));
    /// assert_eq!(*seen.borrow(), [0, 1]);
    /// ```
    fn take_until<N, T, U>(self, notifier: N) -> Self::With<TakeUntil<Self::Inner, N::Inner, T, U, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        N: Events<U, Self::Err>,
    {
        self.transform(|source| TakeUntil::new(source, notifier.into_inner()))
    }

    /// All but the first `count` items (ReactiveX `skip`).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..=4).skip(2).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3, 4]);
    /// ```
    fn skip<I>(self, count: usize) -> Self::With<Apply<Self::Inner, Skip, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, Skip { left: count }))
    }

    /// The last `count` items, when the source completes (ReactiveX `takeLast`). Memory: `count` items, as they come.
    ///
    /// ```text
    /// --1--2--3-|
    ///   take_last(2)
    /// ----------(23|)
    /// ```
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..=4).take_last(2).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3, 4]);
    /// ```
    fn take_last<I>(self, count: usize) -> Self::With<Apply<Self::Inner, TakeLast<I>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, TakeLast::new(count)))
    }

    /// All but the last `count` items, each `count` items later (ReactiveX `skipLast`). Memory: `count` items.
    ///
    /// ```text
    /// --1--2--3--4-|
    ///   skip_last(2)
    /// --------1--2-|
    /// ```
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..=4).skip_last(2).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2]);
    /// ```
    fn skip_last<I>(self, count: usize) -> Self::With<Apply<Self::Inner, SkipLast<I>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, SkipLast::new(count)))
    }

    /// Not the items while `skip` is true; from the first for which it is false, all of them (ReactiveX `skipWhile`).
    ///
    /// ```text
    /// --1--2--3--1-|
    ///   skip_while(v < 3)
    /// --------3--1-|
    /// ```
    /// `skip` is not called any more after that.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2, 3, 1]).skip_while(|v| *v < 3).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3, 1]);
    /// ```
    fn skip_while<F, I>(self, skip: F) -> Self::With<Apply<Self::Inner, SkipWhile<F>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> bool,
    {
        self.transform(|source| Apply::new(source, SkipWhile::new(skip)))
    }

    /// No items until `notifier` emits, then all of them (ReactiveX `skipUntil`).
    ///
    /// ```text
    /// --1--2--3--4-|
    /// ------x
    ///   skip_until
    /// --------3--4-|
    /// ```
    /// The notifier is subscribed first, and unsubscribed with its first item. Its completion without one is ignored: no
    /// item comes then. Its error before that ends the output with that error.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, convert::Infallible, rc::Rc};
    /// let start = Local::subject::<(), Infallible>();
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let (mut go, log) = (start.clone(), seen.clone());
    /// Local::from_iter(0..4)
    ///     .tap(move |v| if *v == 2 { go.next(()) })
    ///     .skip_until(start)
    ///     .subscribe(move |v| log.borrow_mut().push(v));
    /// assert_eq!(*seen.borrow(), [2, 3]);
    /// ```
    fn skip_until<N, T, U>(
        self,
        notifier: N,
    ) -> Self::With<SkipUntil<Self::Inner, Apply<N::Inner, Take, U, U>, T, U, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        N: Events<U, Self::Err>,
    {
        let first = Apply::new(notifier.into_inner(), Take { left: 1 });
        self.transform(|source| SkipUntil::new(source, first))
    }

    /// Each item once: none that equals one before it (ReactiveX `distinct`).
    ///
    /// ```text
    /// --1--2--1--3--2-|
    ///   distinct
    /// --1--2-----3----|
    /// ```
    /// It remembers a copy of each item that has passed: the default [`Keys`], so that the 1,048,577th different one ends
    /// the stream with [`StreamError::Overflow`](crate::StreamError::Overflow). Where items are large or for ever new, go by
    /// a key with a bound: [`distinct_by_with`](Self::distinct_by_with). Time: one look-up an item. Floats have no hash: go
    /// by their bits.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2, 1, 3, 2]).distinct().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2, 3]);
    /// ```
    fn distinct<I>(self) -> Self::With<Apply<Self::Inner, Distinct<I, FastHasher>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        I: Key,
    {
        self.transform(|source| Apply::new(source, Distinct::new(Keys::default())))
    }

    /// The first item of each key (ReactiveX `distinct` with a key selector). The key is borrowed from the item, as in
    /// [`KeyOps`](super::key::KeyOps), and copied when it is new: the default [`Keys`], which fails when full.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// let payments = [("id-1", 10), ("id-2", 20), ("id-1", 10)];
    /// Local::from_iter(payments).distinct_by(|(id, _)| *id).subscribe(|(_, amount)| seen.push(amount));
    /// assert_eq!(seen, [10, 20]);
    /// ```
    fn distinct_by<K, Q, I>(
        self,
        key: K,
    ) -> Self::With<Apply<Self::Inner, DistinctBy<K, Q, FastHasher>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: FnMut(&I) -> &Q,
        Q: Key + ?Sized,
    {
        self.distinct_by_with(Keys::default(), key)
    }

    /// [`distinct_by`](Self::distinct_by) with a bound and a policy of your own. An item of a key that was forgotten
    /// passes again. With
    /// [`KeyOverflow::Forget`](super::key::KeyOverflow::Forget) it remembers the latest keys, about: enough against
    /// repetitions that come soon, as of a sender that tries again.
    ///
    /// To remember each key for a stretch of event time, use
    /// [`throttle_first_by_key`](super::rate::RateOps::throttle_first_by_key); to forget all of them now and then,
    /// [`distinct_by_flush`](Self::distinct_by_flush).
    ///
    /// ```
    /// use rxevents::{operator::key::KeyOverflow, prelude::*};
    /// let keys = Keys::new(2).on_overflow(KeyOverflow::Forget);
    /// let (forgotten, mut seen) = (keys.forgotten(), String::new());
    /// Local::from_iter("aabcab".chars()).distinct_by_with(keys, |v| v).subscribe(|v| seen.push(v));
    /// assert_eq!((seen.as_str(), forgotten.get()), ("abcb", 2)); // c made it forget b, which had come only once
    /// ```
    fn distinct_by_with<K, Q, H, I>(
        self,
        keys: Keys<H>,
        key: K,
    ) -> Self::With<Apply<Self::Inner, DistinctBy<K, Q, H>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: FnMut(&I) -> &Q,
        Q: Key + ?Sized,
        H: BuildHasher,
    {
        self.transform(|source| Apply::new(source, DistinctBy::new(keys, key)))
    }

    /// [`distinct_by_with`](Self::distinct_by_with), and all keys are forgotten whenever `flushes` emits (RxJS `distinct`
    /// with `flushes`).
    ///
    /// ```text
    /// --a--a--b--a--b-|
    /// ---------x
    ///   distinct_by_flush
    /// --a-----b--a--b-|
    /// ```
    /// `flushes` is subscribed first; its completion is ignored, its error ends the output. What it makes forget is not
    /// counted as forgotten.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, convert::Infallible, rc::Rc};
    /// let (mut clicks, mut midnight) = (Local::subject::<&str, Infallible>(), Local::subject::<(), Infallible>());
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// let once_a_day = clicks.clone().distinct_by_flush(Keys::default(), |user| *user, midnight.clone());
    /// once_a_day.subscribe(move |user| log.borrow_mut().push(user));
    /// ["ann", "bob", "ann"].map(|user| clicks.next(user));
    /// midnight.next(());
    /// clicks.next("ann");
    /// assert_eq!(*seen.borrow(), ["ann", "bob", "ann"]);
    /// ```
    fn distinct_by_flush<K, Q, H, N, T, U>(
        self,
        keys: Keys<H>,
        key: K,
        flushes: N,
    ) -> Self::With<DistinctByFlush<Self::Inner, N::Inner, DistinctBy<K, Q, H>, T, U, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        K: FnMut(&T) -> &Q,
        Q: Key + ?Sized,
        H: BuildHasher,
        N: Events<U, Self::Err>,
    {
        let distinct = DistinctBy::new(keys, key);
        self.transform(|source| DistinctByFlush::new(source, flushes.into_inner(), distinct))
    }

    /// Leaves out an item that equals the one before it (RxJS `distinctUntilChanged`).
    ///
    /// ```text
    /// --1-1-2-2-1-|
    ///   distinct_until_changed
    /// --1---2---1-|
    /// ```
    /// A NaN equals nothing, so it always passes. Memory: one item, cloned.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 1, 2, 1]).distinct_until_changed().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2, 1]);
    /// ```
    fn distinct_until_changed<I>(self) -> Self::With<Apply<Self::Inner, DistinctUntilChanged<I>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        I: PartialEq + Clone,
    {
        self.transform(|source| Apply::new(source, DistinctUntilChanged { latest: None }))
    }

    /// Leaves out an item whose key equals that of the one before it (RxJS `distinctUntilKeyChanged`). The key is borrowed
    /// from the item. Memory: one key.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// let states = [("up", 1), ("up", 2), ("down", 3)];
    /// Local::from_iter(states).distinct_until_key_changed(|(state, _)| *state).subscribe(|(_, at)| seen.push(at));
    /// assert_eq!(seen, [1, 3]);
    /// ```
    fn distinct_until_key_changed<K, Q, I>(
        self,
        key: K,
    ) -> Self::With<Apply<Self::Inner, DistinctUntilKeyChanged<K, Q>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: FnMut(&I) -> &Q,
        Q: ToOwned + PartialEq + ?Sized,
    {
        self.transform(|source| Apply::new(source, DistinctUntilKeyChanged::new(key)))
    }
}

impl<S: Observable + 'static> FilterOps for S {}
