//! Operators for stream errors: those that end a stream.
//!
//! What is wrong with one event is not such an error; see [`validate`](super::validate).

mod catch_error;
mod circuit_breaker;
mod finalize;
mod map_err;
mod on_complete;
mod on_error_return;
mod on_error_route;
mod resubscribe;
mod retry;
mod retry_budget;
mod retry_with;
mod stream_error;

pub use catch_error::*;
pub use circuit_breaker::{CircuitBreaker, WhileOpen};
pub(crate) use circuit_breaker::{Outcome, Permit};
pub use finalize::*;
pub use map_err::*;
pub use on_complete::*;
pub use on_error_return::*;
pub use on_error_route::*;
pub use resubscribe::*;
pub use retry::{Jitter, Retry, Verdict};
pub(crate) use retry::{Next, Series};
pub use retry_budget::RetryBudget;
pub use retry_with::*;
pub use stream_error::*;

use std::{convert::Infallible, marker::PhantomData};

use rxrust::{observable::Observable, observer::Observer};

use super::{
    Events,
    combine::{Instead, Sequence},
    share::{Hosts, Subject},
};

/// Operators for stream errors.
pub trait ErrorOps: Observable + 'static {
    /// Continues with `f(error)` when the source fails (ReactiveX `catch`, RxJava `onErrorResumeNext`).
    ///
    /// ```text
    /// --1--2-#
    ///   catch_error(-> a--b|)
    /// --1--2-a--b|
    /// ```
    /// A panic in `f` goes where [`StreamError::Panic`](crate::StreamError::Panic) goes.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::throw_err("down").map(|()| 0).catch_error(|_| Local::from_iter([7, 8])).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [7, 8]);
    /// ```
    fn catch_error<F, B, T, E2>(self, f: F) -> Self::With<CatchError<Self::Inner, F, B, T, Self::Err, E2>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        F: FnOnce(Self::Err) -> B,
        B: Events<T, E2>,
    {
        self.transform(|source| CatchError::new(source, f))
    }

    /// Continues with `other` when the source fails, whatever the error (ReactiveX `onErrorResumeNext`).
    ///
    /// ```text
    /// --1--2-#
    ///   on_error_resume_next(a--b|)
    /// --1--2-a--b|
    /// ```
    /// When the source completes, so does the output: that is ReactiveX's and RxJava's definition. RxJS's
    /// `onErrorResumeNext` continues with the other after a completion, too. The error is dropped: to see it, use
    /// [`catch_error`](Self::catch_error). An error of `other` is passed on.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// let other = Local::from_iter([7, 8]).map_err(|never| match never {});
    /// Local::throw_err("down").on_error_resume_next(other).on_error_return(|_: &str| 0).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [7, 8]);
    /// ```
    fn on_error_resume_next<B, T>(
        self,
        other: B,
    ) -> Self::With<Sequence<Self::Inner, Instead<B::Inner>, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<T, Self::Err>,
    {
        self.transform(|source| Sequence::new(Some(source), Instead(Some(other.into_inner()))))
    }

    /// Sends the error to `errors` and completes: the output cannot fail any more.
    ///
    /// `errors` gets the error as an item; it is completed when the source ends without one.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    /// let errors = Rc::new(RefCell::new(vec![]));
    /// let log = errors.clone();
    /// Local::throw_err::<u32, _>("down")
    ///     .on_error_route(observer(move |e| log.borrow_mut().push(e)))
    ///     .subscribe(|_| {});
    /// assert_eq!(*errors.borrow(), ["down"]);
    /// ```
    fn on_error_route<D, T>(self, errors: D) -> Self::With<OnErrorRoute<Self::Inner, D, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        D: Observer<Self::Err, Infallible>,
    {
        self.transform(|source| OnErrorRoute::new(source, errors))
    }

    /// Emits `f(error)` and completes when the source fails (RxJava `onErrorReturn`).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::throw_err("down").map(|()| 0).on_error_return(|_| -1).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [-1]);
    /// ```
    fn on_error_return<F, T>(self, f: F) -> Self::With<OnErrorReturn<Self::Inner, F, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        F: FnOnce(Self::Err) -> T,
    {
        self.transform(|source| OnErrorReturn::new(source, f))
    }

    /// Subscribes again when the source fails, as `policy` says; the last error is passed on (ReactiveX `retry`).
    ///
    /// ```text
    /// --1-#  --1-2-|         (the source, twice)
    ///   retry_with(fixed(3))
    /// --1------1-2-|
    /// ```
    /// Items of a failed attempt have been sent already. At most one subscription to the source at a time; a loop, not
    /// a recursion; unsubscribing while it waits stops it. Without a delay it needs no runtime.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::Cell, rc::Rc};
    /// let attempts = Rc::new(Cell::new(0));
    /// let counter = attempts.clone();
    /// let flaky = Local::defer(move || {
    ///     counter.set(counter.get() + 1);
    ///     Local::throw_err("down").map(|()| 0)
    /// });
    /// flaky.retry_with(Retry::times(2)).on_error_return(|_| -1).subscribe(|v| assert_eq!(v, -1));
    /// assert_eq!(attempts.get(), 3);
    /// ```
    fn retry_with<T>(self, policy: Retry<Self::Err>) -> Self::With<RetryWith<Self::Inner, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        Self::Inner: Clone,
    {
        self.transform(|source| RetryWith::new(source, policy))
    }

    /// Subscribes again when the source has failed and the notifier emits (ReactiveX `retryWhen`). `f` makes the notifier
    /// of the errors; where a policy will do, see [`retry_with`](Self::retry_with).
    ///
    /// ```text
    /// -1-#    -1-2-|          (the source, twice)
    ///   retry_when(errors.delay(3))
    /// -1-----1-2-|
    /// ```
    /// - The notifier's completion ends the output, at once; its error is the output's.
    /// - It is subscribed before the source: one that completes at once completes the output without the source.
    /// - What it emits while the source is live is ignored. So there is at most one subscription to the source.
    /// - A loop, not a recursion, also where both answer at once. Unsubscribing stops both.
    ///
    /// Holds the source, to subscribe to it again, until the output ends or is unsubscribed.
    ///
    /// Over a subject, unsubscribe, or end the subject: they keep each other, even when nobody else has either.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// let flaky = Local::of(1).map_err(|never| match never {}).concat_with(Local::throw_err("down"));
    /// flaky
    ///     .retry_when(|errors| errors.take(3))
    ///     .on_error_return(|_: &str| 0)
    ///     .subscribe(move |v| log.borrow_mut().push(v));
    /// assert_eq!(*seen.borrow(), [1, 1, 1]); // with the third error it completes
    /// ```
    #[allow(clippy::type_complexity, reason = "it is the operator's own type")]
    fn retry_when<F, N, T, X>(
        self,
        f: F,
    ) -> Self::With<Resubscribe<Self::Inner, F, N, OnError, Self::Err, T, X, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        Self::Inner: Clone,
        Self::Err: Clone + 'static,
        Self::Scope: Hosts<Self::Err, Self::Err>,
        F: FnOnce(Self::With<Subject<Self::Err, Self::Err, Self::Scope>>) -> N,
        N: Events<X, Self::Err>,
    {
        self.transform(|source| Resubscribe::new(source, f))
    }

    /// The same stream with [`StreamError`](crate::StreamError) as its error: a source's own error becomes [`StreamError::Source`](crate::StreamError::Source), and
    /// panics of closures, full buffers and refused dead letters, above and below, are errors of the stream that can
    /// be routed from here on. Above, it reaches up to an operator with several sources: there a failure that its own
    /// error type cannot hold ends only the source that it is of, so that the others are not harmed. Put it on each
    /// source where it shall end them all.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    /// let errors = Rc::new(RefCell::new(vec![]));
    /// let log = errors.clone();
    /// Local::from_iter([2, 1, 0])
    ///     .map(|v| 2 / v)
    ///     .stream_error()
    ///     .on_error_route(observer(move |e: StreamError| log.borrow_mut().push(e.to_string())))
    ///     .subscribe(|_| {});
    /// assert_eq!(*errors.borrow(), ["panic in `map`: attempt to divide by zero"]);
    /// ```
    fn stream_error<T>(self) -> Self::With<IntoStreamError<Self::Inner, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        Self::Err: stream_error::ToStreamError,
    {
        self.transform(IntoStreamError::new)
    }

    /// The error through `f` (RxJava has `onErrorResumeNext` for it).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let failing = Local::throw_err("down").map_err(|error| format!("the shop is {error}"));
    /// failing.on_error_route(observer(|error| assert_eq!(error, "the shop is down"))).subscribe(|_: i32| {});
    /// ```
    fn map_err<F, G, T>(self, f: F) -> Self::With<MapErr<Self::Inner, F, G, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        F: FnOnce(Self::Err) -> G,
    {
        self.transform(|source| MapErr::new(source, f, PhantomData))
    }

    /// Calls `f` when the stream completes, before the subscriber learns of it (RxJava `doOnComplete`).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// let done = Rc::new(Cell::new(false));
    /// let end = done.clone();
    /// Local::of(1).on_complete(move || end.set(true)).subscribe(|_| {});
    /// assert!(done.get());
    /// ```
    fn on_complete<F: FnOnce(), T>(self, f: F) -> Self::With<OnComplete<Self::Inner, F, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
    {
        self.transform(|source| OnComplete::new(source, f))
    }

    /// Calls `f` once when the stream has ended in whatever way, or is unsubscribed (ReactiveX `finally`): after the
    /// subscriber was told, with nothing held, so that `f` may do anything. A panic in `f` goes to the
    /// [`on_unhandled`](crate::on_unhandled) hook.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::Cell, rc::Rc};
    /// let ended = Rc::new(Cell::new(0));
    /// let count = ended.clone();
    /// Local::of(1).finalize(move || count.set(count.get() + 1)).subscribe(|_| {});
    /// assert_eq!(ended.get(), 1);
    /// ```
    fn finalize<F, T>(self, f: F) -> Self::With<Finalize<Self::Inner, F, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        F: FnOnce(),
    {
        self.transform(|source| Finalize::new(source, f))
    }
}

impl<S: Observable + 'static> ErrorOps for S {}

/// An operator that only handles the end of a stream: its struct and observer.
macro_rules! at_the_end {
    (
        $(#[$doc:meta])* $name:ident, $observer:ident<$($param:ident),*> { $($field:ident: $ty:ty),* }
        out $out:ty, where [$($bound:tt)*],
        error |$down:ident, $error:ident $(, $($use:ident),*)?| $on_error:expr,
        complete |$down2:ident $(, $($use2:ident),*)?| $on_complete:expr
    ) => {
        $(#[$doc])*
        pub struct $name<S, $($param,)* T, E> {
            source: S,
            $($field: $ty,)*
            types: std::marker::PhantomData<fn() -> (T, E)>,
        }

        #[allow(trivial_bounds)]
        impl<S: Clone, $($param,)* T, E> Clone for $name<S, $($param,)* T, E>
        where
            $($ty: Clone,)*
        {
            fn clone(&self) -> Self {
                Self { source: self.source.clone(), $($field: self.$field.clone(),)* types: self.types }
            }
        }

        impl<S, $($param,)* T, E> $name<S, $($param,)* T, E> {
            pub(super) fn new(source: S, $($field: $ty),*) -> Self {
                Self { source, $($field,)* types: std::marker::PhantomData }
            }
        }

        impl<S, $($param,)* T, E> rxrust::observable::ObservableType for $name<S, $($param,)* T, E> {
            type Item<'a> = T where Self: 'a;
            type Err = $out;
        }

        impl<S, $($param,)* T, E, C> rxrust::observable::CoreObservable<C> for $name<S, $($param,)* T, E>
        where
            C: rxrust::context::Context,
            S: rxrust::observable::CoreObservable<C::With<$observer<C::Inner, $($param,)* T, E>>>,
        {
            type Unsub = S::Unsub;

            fn subscribe(self, context: C) -> S::Unsub {
                let Self { source, $($field,)* types } = self;
                source.subscribe(context.transform(|down| $observer { down, $($field,)* types }))
            }
        }

        /// Its observer.
        #[derive(Clone)]
        pub struct $observer<O, $($param,)* T, E> {
            down: O,
            $($field: $ty,)*
            types: std::marker::PhantomData<fn() -> (T, E)>,
        }

        impl<O, $($param,)* T, E> rxrust::observer::Observer<T, E> for $observer<O, $($param,)* T, E>
        where
            O: rxrust::observer::Observer<T, $out>,
            $($bound)*
        {
            #[inline]
            fn next(&mut self, item: T) {
                self.down.next(item);
            }

            #[allow(unused_mut)]
            fn error(self, $error: E) {
                let Self { mut $down, $($(mut $use),*,)? .. } = self;
                $on_error
            }

            #[allow(unused_mut)]
            fn complete(self) {
                let Self { $down2, $($(mut $use2),*,)? .. } = self;
                $on_complete
            }

            #[inline]
            fn is_closed(&self) -> bool {
                self.down.is_closed()
            }
        }

        impl<O, $($param,)* T, E> $crate::operator::batch::BatchObserver<T, E> for $observer<O, $($param,)* T, E>
        where
            O: $crate::operator::batch::BatchObserver<T, $out>,
            $($bound)*
        {
            #[inline(always)]
            fn take_batch<B: $crate::operator::batch::Batch<T>>(&mut self, items: &mut B) {
                self.down.take_batch(items);
            }
        }
    };
}
use at_the_end;
