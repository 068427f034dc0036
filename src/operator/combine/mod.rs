//! Operators that combine several sources.

mod combine_latest;
mod merge;
mod with_latest_from;
mod zip;

pub use combine_latest::*;
pub use merge::*;
pub use with_latest_from::*;
pub use zip::*;

use rxrust::observable::Observable;

use super::Events;
use crate::buffer::Buffer;

/// Operators that combine several sources.
///
/// In all of them the first error ends the output and unsubscribes the other sources; an item that the subscriber
/// feeds back while it handles one is queued and delivered after it; several threads are serialised.
pub trait CombineOps: Observable + 'static {
    /// The items of both, as they come (ReactiveX `merge`).
    ///
    /// ```text
    /// --1-----2--|
    /// -----a-------b-|
    ///   merge
    /// --1--a--2----b-|
    /// ```
    /// Completes when both have. No memory beyond the items that wait while another thread delivers (at most 1,024;
    /// after that the producers wait). In `Shared` one uncontended hand-over per item.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2]).merge(Local::from_iter([3])).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2, 3]);
    /// ```
    fn merge<B, T>(self, other: B) -> Self::With<Merge<Self::Inner, B::Inner, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<T, Self::Err>,
    {
        self.transform(|left| Merge::new(left, other.into_inner()))
    }

    /// The n-th item of one with the n-th item of the other (ReactiveX `zip`), the default [`Buffer`] per side.
    ///
    /// ```text
    /// --1--2-----3-|
    /// ----a----b---------|
    ///   zip
    /// ----1a---2b--------|
    /// ```
    /// Completes when a side has completed and its items are used up. Memory: the items of the side that is ahead, at
    /// most the buffer.
    ///
    /// The source that it is called on is subscribed first: one that emits at once, as `from_iter` does, is all in the
    /// buffer before the other begins. One that never ends belongs on the other side; here it fills the buffer, which is
    /// an error, or goes on for ever where the policy is to drop.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2, 3]).zip(Local::from_iter(["a", "b"])).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [(1, "a"), (2, "b")]);
    /// ```
    fn zip<B, T, U>(self, other: B) -> Self::With<Zip<Self::Inner, B::Inner, T, U, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<U, Self::Err>,
    {
        self.zip_with_buffer(other, Buffer::default())
    }

    /// [`zip`](Self::zip) with a stated bound per side and what happens beyond it. Dropping shifts the pairing: the
    /// n-th item is then the n-th that was kept.
    fn zip_with_buffer<B, T, U>(
        self,
        other: B,
        buffer: Buffer,
    ) -> Self::With<Zip<Self::Inner, B::Inner, T, U, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<U, Self::Err>,
    {
        self.transform(|left| Zip::new(left, other.into_inner(), buffer))
    }

    /// `f` of the latest items, whenever either emits, once both have (ReactiveX `combineLatest`).
    ///
    /// ```text
    /// --1-----2------|
    /// ----a------b-|
    ///   combine_latest
    /// ----1a--2a-2b--|
    /// ```
    /// Completes when both have, or when one completes without an item. Memory: one item per side.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2]).combine_latest(Local::from_iter([10, 20]), |a, b| a + b).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [12, 22]);
    /// ```
    fn combine_latest<B, F, T, U, R>(
        self,
        other: B,
        f: F,
    ) -> Self::With<CombineLatest<Self::Inner, B::Inner, F, T, U, R, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<U, Self::Err>,
        T: Clone,
        U: Clone,
        F: FnMut(T, U) -> R,
    {
        self.transform(|left| CombineLatest::new(left, other.into_inner(), f))
    }

    /// Each item of this one with the latest of the other; those before the other's first are dropped (ReactiveX
    /// `withLatestFrom`).
    ///
    /// ```text
    /// -1----2----3-|
    /// ---a----b------
    ///   with_latest_from
    /// ------2a---3b|
    /// ```
    /// Completes with this one; the other's completion is ignored, its error ends the output.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2]).with_latest_from(Local::of("a")).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [(1, "a"), (2, "a")]);
    /// ```
    fn with_latest_from<B, T, U>(
        self,
        other: B,
    ) -> Self::With<WithLatestFrom<Self::Inner, B::Inner, T, U, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<U, Self::Err>,
        U: Clone,
    {
        self.transform(|left| WithLatestFrom::new(left, other.into_inner()))
    }
}

impl<S: Observable + 'static> CombineOps for S {}

/// The struct, its types and its subscription, of an operator with two sources whose inputs are
/// [`Either`](crate::gate::Either).
macro_rules! two_sources {
    (
        $(#[$doc:meta])* $name:ident<$($param:ident),*> { $($field:ident: $ty:ty),* }
        left $left:ident, right $right:ident, item $item:ty,
        machine $machine:ty = |$down:ident| $build:expr,
        order $first:ident then $second:ident
    ) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name<A, B, $($param,)* E> {
            left: A,
            right: B,
            $($field: $ty,)*
            types: std::marker::PhantomData<fn() -> ($($param,)* E)>,
        }

        impl<A, B, $($param,)* E> $name<A, B, $($param,)* E> {
            pub(crate) fn new(left: A, right: B, $($field: $ty),*) -> Self {
                Self { left, right, $($field,)* types: std::marker::PhantomData }
            }
        }

        impl<A, B, $($param,)* E> rxrust::observable::ObservableType for $name<A, B, $($param,)* E> {
            type Item<'a> = $item where Self: 'a;
            type Err = E;
        }

        impl<A, B, C, UA, UB, $($param,)* E> rxrust::observable::CoreObservable<C> for $name<A, B, $($param,)* E>
        where
            C: rxrust::context::Context,
            C::Scope: $crate::gate::Flow,
            $machine: $crate::gate::Machine<$crate::gate::Either<$left, $right, E>>,
            A: rxrust::observable::CoreObservable<
                C::With<$crate::gate::GateObserver<
                    C::Scope, $machine, $crate::gate::Either<$left, $right, E>, $crate::gate::Left,
                >>,
                Unsub = UA,
            >,
            B: rxrust::observable::CoreObservable<
                C::With<$crate::gate::GateObserver<
                    C::Scope, $machine, $crate::gate::Either<$left, $right, E>, $crate::gate::Right,
                >>,
                Unsub = UB,
            >,
            UA: rxrust::subscription::Subscription
                + rxrust::subscription::IntoBoxedSubscription<$crate::gate::SubOf<C>>,
            UB: rxrust::subscription::Subscription
                + rxrust::subscription::IntoBoxedSubscription<$crate::gate::SubOf<C>>,
        {
            type Unsub = $crate::gate::GateSubOf<C, $machine, $crate::gate::Either<$left, $right, E>>;

            fn subscribe(self, context: C) -> Self::Unsub {
                use rxrust::context::Context;
                use $crate::gate::{Gate, GateObserver, attach};
                let Self { left, right, $($field,)* .. } = self;
                let ($down, scheduler) = context.into_parts();
                let gate = <C::Scope as $crate::gate::Flow>::gate::<_, _, std::convert::Infallible>($build);
                macro_rules! side {
                    (left) => {
                        attach(&gate, left.subscribe(C::With::from_parts(GateObserver::new(&gate), scheduler.clone())))
                    };
                    (right) => {
                        attach(&gate, right.subscribe(C::With::from_parts(GateObserver::new(&gate), scheduler.clone())))
                    };
                }
                side!($first);
                if !gate.closed() {
                    side!($second);
                }
                gate.downgrade()
            }
        }
    };
}
pub(crate) use two_sources;
