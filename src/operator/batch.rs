//! Items that arrive together: one call, one gate, one look at the clock for all of them.
//!
//! A source says so by [`batched`](BatchOps::batched). The operators of the chain then see the same items in the same
//! order as without. What a batch saves is what else each item costs: the boxed call of a subject, the gate of `merge`
//! and `zip`, the clock of `throttle_first`.
//!
//! Below it stand operators of this crate, up to the first that takes a batch apart: one with a gate or a timer, a
//! subscriber, or [`each`](BatchOps::each), after which any observer may follow.

use std::{convert::Infallible, iter, vec};

use rxrust::{
    context::Context,
    observable::{CoreObservable, Observable, ObservableType},
    observer::Observer,
};

use super::create::FromIter;
use crate::delivery::fate::Abandoned;
use crate::error::push;

/// The most items that are made before they are handed on; how many of an iterator make a batch.
pub(crate) const BATCH: usize = 256;

/// An observer that can be given several items at once.
///
/// What is given at once arrives at the same moment, in order: it is as if [`next`](Observer::next) was called for each
/// of them, and that is what happens unless an observer does better. Items that are left when nobody listens any more
/// are not asked for.
///
/// ```
/// use rxevents::{operator::batch::BatchObserver, prelude::*};
/// use std::{cell::RefCell, convert::Infallible, rc::Rc};
///
/// let seen = Rc::new(RefCell::new(vec![]));
/// let log = seen.clone();
/// let mut readings = Local::subject::<u32, Infallible>();
/// readings.clone().batched().filter(|v| v % 2 == 0).subscribe(move |v| log.borrow_mut().push(v));
/// readings.inner_mut().next_batch([1, 2, 3, 4]);
/// assert_eq!(*seen.borrow(), [2, 4]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` takes no batches",
    note = "put `.each()` before it, or implement `BatchObserver` for it (its method has a default)"
)]
pub trait BatchObserver<T, E>: Observer<T, E> {
    /// Takes items that arrive together.
    #[inline(always)]
    fn next_batch<I: IntoIterator<Item = T>>(&mut self, items: I) {
        self.take_batch(&mut items.into_iter());
    }

    /// [`next_batch`](Self::next_batch), for who implements it.
    #[inline(always)]
    fn take_batch<B: Batch<T>>(&mut self, items: &mut B) {
        while !self.is_closed()
            && let Some(item) = items.pull()
        {
            self.next(item);
        }
    }
}

/// Items that arrive together: an iterator, or what an operator makes of them.
///
/// It is no `Iterator`, whose associated type would double the compiler's work at each operator of a chain.
pub trait Batch<T> {
    /// The next of them.
    fn pull(&mut self) -> Option<T>;
}

impl<I: Iterator> Batch<I::Item> for I {
    #[inline(always)]
    fn pull(&mut self) -> Option<I::Item> {
        self.next()
    }
}

/// A source that can give several items at once.
pub trait BatchSource: ObservableType {}

impl<I: IntoIterator> BatchSource for FromIter<I> {}

/// Items that arrive together.
pub trait BatchOps: Observable + 'static {
    /// The source's items in batches, as they come: an iterator's in pieces of 256, a subject's as
    /// [`next_batch`](BatchObserver::next_batch) gave them.
    ///
    /// ```text
    /// next_batch([1, 2, 3])   next(4)
    /// (123)-------------------4------
    ///   batched
    /// (123)-------------------4------
    /// ```
    /// The items, their order and the end are the same. The items of a batch share their moment: operators that look at
    /// the clock look once. An operator with a gate (`merge`, `zip` …) first takes up to 256 items, then handles them:
    /// the closures above it are then ahead of those below, what is fed back comes after the batch, and when the stream
    /// ends in the middle of one, the rest goes with it. So an iterator must have its items at hand: one that waits for
    /// each would hold back those before it. Each subscriber of a subject is given the whole batch before the next one.
    ///
    /// Every operator below must be one of this crate, up to [`each`](Self::each). Memory: one batch; for a subject, one
    /// more for each subscriber but the last, while it is served.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut sum = 0;
    /// Local::from_iter(1..=1000).batched().map(|v| 2 * v).merge(Local::from_iter([1])).subscribe(|v| sum += v);
    /// assert_eq!(sum, 1_001_001);
    /// ```
    fn batched(self) -> Self::With<Batched<Self::Inner>>
    where
        Self::Inner: BatchSource,
    {
        self.transform(Batched)
    }

    /// Takes batches apart, for operators and observers that know only single items: rxRust's own, or a boxed stream.
    ///
    /// ```text
    /// (123)---4---
    ///   each
    /// 123-----4---     (at the same moment, one by one)
    /// ```
    /// Holds nothing.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..=4).batched().map(|v| 10 * v).each().skip(2).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [30, 40]);
    /// ```
    fn each(self) -> Self::With<Each<Self::Inner>> {
        self.transform(Each)
    }
}

impl<S: Observable + 'static> BatchOps for S {}

/// See [`batched`](BatchOps::batched).
#[derive(Clone)]
pub struct Batched<S>(pub(super) S);

impl<S: ObservableType> ObservableType for Batched<S> {
    type Item<'a>
        = S::Item<'a>
    where
        Self: 'a;
    type Err = S::Err;
}

impl<I, C> CoreObservable<C> for Batched<FromIter<I>>
where
    C: Context,
    C::Inner: BatchObserver<I::Item, Infallible>,
    I: IntoIterator,
{
    type Unsub = ();

    fn subscribe(self, context: C) {
        push("from_iter", context.into_inner(), |down| {
            let (mut items, mut over) = (Abandoned::new(self.0.0.into_iter()), false);
            while !over && !down.is_closed() {
                let mut room = BATCH;
                down.next_batch(iter::from_fn(|| {
                    room = room.checked_sub(1)?;
                    let item = items.value.next();
                    over = item.is_none();
                    item
                }));
            }
        });
    }
}

/// The items of a batch for one subscriber of a subject.
pub(super) type Items<T> = vec::IntoIter<T>;

/// See [`each`](BatchOps::each).
#[derive(Clone)]
pub struct Each<S>(S);

impl<S: ObservableType> ObservableType for Each<S> {
    type Item<'a>
        = S::Item<'a>
    where
        Self: 'a;
    type Err = S::Err;
}

impl<S, C> CoreObservable<C> for Each<S>
where
    C: Context,
    S: CoreObservable<C::With<EachObserver<C::Inner>>>,
{
    type Unsub = S::Unsub;

    fn subscribe(self, context: C) -> S::Unsub {
        self.0.subscribe(context.transform(EachObserver))
    }
}

/// The observer of an [`each`](BatchOps::each).
#[derive(Clone)]
pub struct EachObserver<O>(O);

impl<O: Observer<T, E>, T, E> Observer<T, E> for EachObserver<O> {
    #[inline(always)]
    fn next(&mut self, item: T) {
        self.0.next(item);
    }

    fn error(self, error: E) {
        self.0.error(error);
    }

    fn complete(self) {
        self.0.complete();
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl<O: Observer<T, E>, T, E> BatchObserver<T, E> for EachObserver<O> {}
