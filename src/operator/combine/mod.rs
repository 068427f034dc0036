//! Operators that combine several sources.

mod combine_latest;
mod join_within;
mod merge;
mod unmatched;
mod with_latest_from;
mod within;
mod zip;

pub use combine_latest::*;
pub use join_within::*;
pub use merge::*;
pub use unmatched::*;
pub use with_latest_from::*;
pub use within::*;
pub use zip::*;

use rxrust::observable::Observable;

use super::{Events, rate::OnDropped};
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

    /// Pairs of what is at most a tolerance apart in event time: the two-pointer join of two sources that are each in
    /// order of time (SQL's merge join, with a tolerance).
    ///
    /// The head of a side is its first item that has not left. When both heads are there: if they are at most
    /// the tolerance apart (that included) they leave as a pair, else the older one leaves unmatched. Times are of any
    /// type that is [`Nanos`]: `DateTime`, `Duration`, `i64` nanoseconds.
    ///
    /// ```text
    /// --10---20---------50-|        (times in the items)
    /// ----11----22---31-----51-|
    ///   join_within(2)
    /// ----(10,11)-(20,22)---(50,51)|     31 is unmatched
    /// ```
    /// - *Equal times* are all kept and paired in order: the first with the first.
    /// - *Out of order within a side*: an item is taken at its place of arrival, never sorted. So the pairs depend on
    ///   the two sequences alone, not on how they interleave; an item that comes too late is mostly unmatched.
    /// - *Unmatched* items are counted ([`Within::unmatched`]) and may be handed to a closure
    ///   ([`Within::on_unmatched`]). A time that is no [`Nanos`] (`None`) is unmatched too.
    /// - *End*: when one side has completed and its items are used up nothing can be paired: what waits on the other
    ///   is unmatched, and the output completes and unsubscribes the other. [`Within::to_the_end`] takes the other to
    ///   its end instead. An error ends the output at once; what waits is dropped with it.
    ///
    /// Memory: the items of the side that is ahead, at most the [`Buffer`] per side (else its policy: what it drops is
    /// in [`Buffer::drops`], not unmatched; then the pairs do depend on which side is ahead). If one side is silent,
    /// the other fills it; so does a left source that hands over all it has when it is subscribed, as it is
    /// subscribed first. O(1) per item, amortised; no allocation once the buffer has grown.
    ///
    /// ```
    /// use rxevents::{operator::combine::Unmatched, prelude::*};
    /// use std::time::Duration;
    ///
    /// let ms = Duration::from_millis;
    /// let on_unmatched = move |item| assert_eq!(item, Unmatched::<Duration, _>::Right(ms(31)));
    /// let within = Within::new(ms(2)).on_unmatched(on_unmatched);
    /// let unmatched = within.unmatched();
    /// let mut pairs = vec![];
    /// Local::from_iter([ms(10), ms(20), ms(50)])
    ///     .join_within(Local::from_iter([ms(11), ms(22), ms(31), ms(51)]), within, |at| *at, |at| *at)
    ///     .subscribe(|(l, r)| pairs.push((l.as_millis(), r.as_millis())));
    /// assert_eq!(pairs, [(10, 11), (20, 22), (50, 51)]);
    /// assert_eq!((unmatched.left(), unmatched.right()), (0, 1));
    /// ```
    fn join_within<B, W, D, FL, FR, M, N, T, U>(
        self,
        other: B,
        tolerance: W,
        left_time: FL,
        right_time: FR,
    ) -> Self::With<JoinWithin<Self::Inner, B::Inner, FL, FR, D, T, U, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<U, Self::Err>,
        W: Into<Within<D>>,
        D: OnDropped<Unmatched<T, U>>,
        FL: FnMut(&T) -> M,
        FR: FnMut(&U) -> N,
        M: Nanos,
        N: Nanos,
    {
        self.transform(|left| {
            JoinWithin::new(left, other.into_inner(), tolerance.into(), left_time, right_time)
        })
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
