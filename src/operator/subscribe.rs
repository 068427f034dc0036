//! The end of a chain: an observer that listens, and the handle that stops it.

use std::convert::Infallible;

use rxrust::{
    context::{Local, Shared},
    observable::{
        BoxedCoreObservable, BoxedCoreObservableSend, CoreObservable, IntoBoxedCoreObservable, Observable,
    },
    observer::Observer,
    scheduler::{LocalScheduler, SharedScheduler},
    subscription::{Subscription, SubscriptionGuard},
};

use super::batch::BatchObserver;
use crate::error::named;

/// A boxed stream of `Local`: what a function that builds a part of a pipeline takes and gives.
///
/// ```
/// use rxevents::prelude::*;
///
/// fn doubled<E: 'static>(numbers: LocalEvents<i64, E>) -> LocalEvents<i64, E> {
///     numbers.map(|n| n * 2).boxed()
/// }
///
/// let mut sum = 0;
/// doubled(Local::from_iter([1, 2]).boxed()).take(2).map(|n| n + 1).subscribe(move |n| sum += n);
/// ```
pub type LocalEvents<T, E> = Local<BoxedCoreObservable<'static, T, E, LocalScheduler>>;
/// A boxed stream of `Shared`.
pub type SharedEvents<T, E> = Shared<BoxedCoreObservableSend<'static, T, E, SharedScheduler>>;

/// Subscribing.
pub trait SubscribeOps: Observable + 'static {
    /// Calls `next` for each item. Only a stream that cannot fail has this: handle the error first
    /// (`on_error_route`, `on_error_return`, `catch_error`).
    ///
    /// Emits nothing; the returned subscription stops it. Dropping the subscription does *not* (as in ReactiveX); see
    /// [`subscribe_guarded`](Self::subscribe_guarded). If `next` panics the subscription ends and the panic goes to
    /// the [`on_unhandled`](crate::on_unhandled) hook; other subscribers and sources go on.
    ///
    /// ```
    /// use rxevents::prelude::*;
    ///
    /// let mut sum = 0;
    /// Local::from_iter(1..=4).subscribe(|v| sum += v);
    /// assert_eq!(sum, 10);
    /// ```
    fn subscribe<F, T, U>(self, next: F) -> U
    where
        F: FnMut(T),
        Self::Err: CannotFail,
        Self::Inner: CoreObservable<Self::With<NextObserver<F>>, Unsub = U>,
        Self: for<'a> Observable<Item<'a> = T>,
    {
        let (source, context) = self.swap(NextObserver { next });
        source.subscribe(context)
    }

    /// As [`subscribe`](Self::subscribe), but unsubscribes when the guard is dropped.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, convert::Infallible, rc::Rc};
    ///
    /// let mut clicks = Local::subject::<u32, Infallible>();
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// let guard = clicks.clone().subscribe_guarded(move |v| log.borrow_mut().push(v));
    /// clicks.next(1);
    /// drop(guard);
    /// clicks.next(2);
    /// assert_eq!(*seen.borrow(), [1]);
    /// ```
    fn subscribe_guarded<F, T, U>(self, next: F) -> SubscriptionGuard<U>
    where
        F: FnMut(T),
        U: Subscription,
        Self::Err: CannotFail,
        Self::Inner: CoreObservable<Self::With<NextObserver<F>>, Unsub = U>,
        Self: for<'a> Observable<Item<'a> = T>,
    {
        SubscriptionGuard::new(SubscribeOps::subscribe(self, next))
    }

    /// The stream as one type that names only its item and its error: [`LocalEvents`], [`SharedEvents`]. Costs one
    /// boxed call an event.
    fn boxed<T>(self) -> Self::With<Self::BoxedCoreObservable<'static, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        Self::Inner: IntoBoxedCoreObservable<Self::BoxedCoreObservable<'static, T, Self::Err>>,
    {
        self.transform(IntoBoxedCoreObservable::into_boxed)
    }

    /// Subscribes an [`Observer`]: a subject, or one of your own.
    fn subscribe_with<O, U>(self, observer: O) -> U
    where
        Self::Inner: CoreObservable<Self::With<O>, Unsub = U>,
    {
        let (source, context) = self.swap(observer);
        source.subscribe(context)
    }
}

impl<S: Observable + 'static> SubscribeOps for S {}

/// The error of a stream that cannot fail: `Infallible`, and no other.
#[diagnostic::on_unimplemented(
    message = "the stream can fail with `{Self}`, and nobody handles that",
    label = "handle the error before this: `.on_error_route(..)`, `.on_error_return(..)`, `.catch_error(..)`",
    note = "a closure is told of items only; `subscribe_with` takes an observer, which is told of the error too"
)]
pub trait CannotFail {}
impl CannotFail for Infallible {}

/// Calls a closure for each item.
#[derive(Clone)]
pub struct NextObserver<F> {
    next: F,
}

impl<F: FnMut(T), T> Observer<T, Infallible> for NextObserver<F> {
    #[inline(always)]
    fn next(&mut self, item: T) {
        named(|| "subscribe", || (self.next)(item));
    }

    fn error(self, error: Infallible) {
        match error {}
    }

    fn complete(self) {}

    #[inline]
    fn is_closed(&self) -> bool {
        false
    }
}

impl<F: FnMut(T), T> BatchObserver<T, Infallible> for NextObserver<F> {}

/// An observer that calls `next` for each item, for operators that route items aside (`route_failures`,
/// `on_error_route`). If `next` panics it is over, and the panic goes to the [`on_unhandled`](crate::on_unhandled)
/// hook.
pub fn observer<F, T>(next: F) -> NextObserver<F>
where
    F: FnMut(T),
{
    NextObserver { next }
}
