//! Operators that let some items pass.

mod keep;
mod take;
mod take_until;
mod take_while;

pub use take::*;
pub use take_until::*;
pub use take_while::*;

use rxrust::{
    observable::Observable,
    ops::{
        distinct_until_changed::DistinctUntilChanged, skip::Skip, skip_last::SkipLast, take_last::TakeLast,
    },
};

use super::{Events, apply::Apply};
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

    /// All but the first `count` items (rxRust's own).
    fn skip(self, count: usize) -> Self::With<Skip<Self::Inner>> {
        Observable::skip(self, count)
    }

    /// The last `count` items, at the end (rxRust's own). Memory: `count` items.
    fn take_last(self, count: usize) -> Self::With<TakeLast<Self::Inner>> {
        Observable::take_last(self, count)
    }

    /// All but the last `count` items (rxRust's own). Memory: `count` items.
    fn skip_last(self, count: usize) -> Self::With<SkipLast<Self::Inner>> {
        Observable::skip_last(self, count)
    }

    /// Leaves out an item that equals the one before it (rxRust's own). Memory: one item.
    fn distinct_until_changed<I>(self) -> Self::With<DistinctUntilChanged<Self::Inner>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        I: PartialEq + Clone,
    {
        Observable::distinct_until_changed(self)
    }
}

impl<S: Observable + 'static> FilterOps for S {}
