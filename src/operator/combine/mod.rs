//! Operators that combine several sources.

mod amb;
mod combine_latest;
mod composite_error;
mod join;
mod join_within;
mod latest_row;
mod meet;
mod merge;
mod plan;
mod rows;
mod sequence;
mod start_with;
mod unmatched;
mod when;
mod windows;
mod with_latest_from;
mod within;
mod zip;
mod zip_row;

pub use amb::*;
pub use combine_latest::*;
pub use composite_error::*;
pub use join::*;
pub use join_within::*;
pub use latest_row::*;
pub use meet::*;
pub use merge::*;
pub use plan::*;
pub use rows::*;
pub use sequence::*;
pub use start_with::*;
pub use unmatched::*;
pub use when::*;
pub use with_latest_from::*;
pub use within::*;

pub use crate::event_time::Nanos;
pub use zip::*;
pub use zip_row::*;

use rxrust::{context::Context, observable::Observable};

use super::{
    Events,
    apply::Apply,
    error::{OnCompletion, Resubscribe},
    rate::OnDropped,
    share::{Hosts, Subject},
};
use crate::buffer::Buffer;

/// A group of [`CombineOps::group_join`].
type GroupOf<C, U> = Subject<U, <C as Observable>::Err, <C as Context>::Scope>;
/// What it gives, of a context and the other source.
type GroupJoin<C, B, FL, FR, DL, DR, T, U> = Join<
    <C as Context>::Inner,
    B,
    FL,
    FR,
    Groups<<C as Context>::With<GroupOf<C, U>>, <C as Context>::Scheduler>,
    DL,
    DR,
    T,
    U,
    GroupOf<C, U>,
    (T, <C as Context>::With<GroupOf<C, U>>),
    <C as Observable>::Err,
>;

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

    /// The items of both, as they come; an error waits until both have ended (RxJava `mergeDelayError`).
    ///
    /// ```text
    /// --1-#
    /// -----a--b-|
    ///   merge_delay_error
    /// --1--a--b-#
    /// ```
    /// The error is a [`CompositeError`] of all of them, even of one; [`stream_error`](super::error::ErrorOps::stream_error)
    /// takes it. The operator's own failure, and a panic below, end the output at once. Memory: one error per source.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let (a, b) = (Local::throw_err::<u32, _>("a down"), Local::throw_err("b down"));
    /// a.merge_delay_error(b)
    ///     .on_error_route(observer(|error: CompositeError<_>| {
    ///         assert_eq!(error.to_string(), "2 sources failed: a down; b down");
    ///     }))
    ///     .subscribe(|_| {});
    /// ```
    #[allow(clippy::type_complexity, reason = "it is the operator's own type")]
    fn merge_delay_error<B, T>(
        self,
        other: B,
    ) -> Self::With<Merge<Self::Inner, B::Inner, T, Self::Err, Delayed<Self::Err>, CompositeError<Self::Err>>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<T, Self::Err>,
    {
        self.transform(|left| Merge::new(left, other.into_inner()))
    }

    /// The items of this one, and when it has completed those of the other (ReactiveX `concat`, RxJava `concatWith`).
    ///
    /// ```text
    /// --1--2-|
    ///   concat_with(a--b|)
    /// --1--2-a--b|
    /// ```
    /// The other is subscribed when this one has completed: what a hot one emits before is not seen. An error ends the
    /// output; the other is then not subscribed. Memory: none. For many sources of one type, see
    /// [`concat_all`](super::create::CreateOps::concat_all).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2]).concat_with(Local::from_iter([3, 4])).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2, 3, 4]);
    /// ```
    fn concat_with<B, T>(self, other: B) -> Self::With<Sequence<Self::Inner, Then<B::Inner>, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<T, Self::Err>,
    {
        self.transform(|first| Sequence::new(Some(first), Then(Some(other.into_inner()))))
    }

    /// `items` first, then those of the source (ReactiveX `startWith`): one item is `[item]`.
    ///
    /// ```text
    /// ----1--2-|
    ///   start_with([a, b])
    /// (ab)1--2-|
    /// ```
    /// They are sent at the subscription, before the source is subscribed. A panic of the iterator goes where
    /// [`StreamError::Panic`](crate::StreamError::Panic) goes; the source is then not subscribed, nor when nobody listens
    /// any more.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([2, 3]).start_with([0, 1]).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [0, 1, 2, 3]);
    /// ```
    fn start_with<I, T>(self, items: I) -> Self::With<StartWith<Self::Inner, I, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        I: IntoIterator<Item = T>,
    {
        self.transform(|source| StartWith::new(source, items))
    }

    /// The items of the source, and when it has completed `items` (RxJS `endWith`): one item is `[item]`.
    ///
    /// ```text
    /// --1--2-|
    ///   end_with([a, b])
    /// --1--2-(ab|)
    /// ```
    /// After an error there are none.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2]).end_with([3]).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2, 3]);
    /// ```
    fn end_with<I, T>(self, items: I) -> Self::With<Apply<Self::Inner, EndWith<I::IntoIter>, T, T>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        I: IntoIterator<Item = T>,
    {
        self.transform(|source| Apply::new(source, EndWith(items.into_iter())))
    }

    /// The source again when it has completed, `times` times in all (ReactiveX `repeat`); `u64::MAX` is for ever.
    ///
    /// ```text
    /// --1-2|  --1-2|          (the source, twice)
    ///   repeat(2)
    /// --1-2--1-2|
    /// ```
    /// With 0 it completes at once; the source is not subscribed. An error ends the output. At most one subscription to
    /// the source at a time; a loop, not a recursion.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2]).repeat(2).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2, 1, 2]);
    /// ```
    fn repeat<T>(self, times: u64) -> Self::With<Sequence<NoFirst, Again<Self::Inner>, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        Self::Inner: Clone,
    {
        self.transform(|source| Sequence::new(None, Again::new(source, times)))
    }

    /// The source again when it has completed and the notifier emits (ReactiveX `repeatWhen`). `f` makes the notifier of
    /// the completions, each a `()`.
    ///
    /// ```text
    /// -1-2|   -1-2|           (the source, twice)
    ///   repeat_when(completions.delay(3))
    /// -1-2----1-2...
    /// ```
    /// The rules are those of [`retry_when`](super::error::ErrorOps::retry_when), for completions; an error of the source
    /// ends the output.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// let again = Local::from_iter([1, 2]).repeat_when(|completions| completions.skip(0));
    /// again.take(5).subscribe(move |v| log.borrow_mut().push(v));
    /// assert_eq!(*seen.borrow(), [1, 2, 1, 2, 1]);
    /// ```
    #[allow(clippy::type_complexity, reason = "it is the operator's own type")]
    fn repeat_when<F, N, T, X>(
        self,
        f: F,
    ) -> Self::With<Resubscribe<Self::Inner, F, N, OnCompletion, (), T, X, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        Self::Inner: Clone,
        Self::Err: Clone + 'static,
        Self::Scope: Hosts<(), Self::Err>,
        F: FnOnce(Self::With<Subject<(), Self::Err, Self::Scope>>) -> N,
        N: Events<X, Self::Err>,
    {
        self.transform(|source| Resubscribe::new(source, f))
    }

    /// All of the source that is the first to emit, fail or complete; the other is unsubscribed (ReactiveX `amb`, RxJS
    /// `race`).
    ///
    /// ```text
    /// ----1--2-|
    /// --a----b--c-|
    ///   amb
    /// --a----b--c-|
    /// ```
    /// The source that it is called on is subscribed first: where it emits at once, the other is not subscribed. No
    /// memory. For many sources of one type, see [`amb_all`](super::create::CreateOps::amb_all).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::never().amb(Local::from_iter([1, 2])).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1, 2]);
    /// ```
    fn amb<B, T>(self, other: B) -> Self::With<Amb<Self::Inner, B::Inner, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<T, Self::Err>,
    {
        self.transform(|left| Amb::new(left, other.into_inner()))
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

    /// Pairs of items whose windows overlap (ReactiveX `join`). Each item opens a window; its duration is a stream that
    /// `left_duration` or `right_duration` makes of it, and the window closes with that one's first item, or its end.
    ///
    /// ```text
    /// -1----2-------|          left: a window of 4
    /// ---a-----b--c-|          right: a window of 2
    ///   join
    /// ---(1a)--(2b)-|
    /// ```
    /// An item is paired, as it comes, with all of the other side whose windows are open, the oldest first: with those
    /// even where its own duration is over at once.
    ///
    /// Completes when both have, or when one has and its last window has closed: then no pair can follow. The first error
    /// ends the output, also that of a duration. Memory: the open windows, at most the default [`Buffer`] per side, with a
    /// subscription for each. O(log windows) per item, and its pairs.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let s = VirtualScheduler::new();
    /// let (logins, orders) = (s.hot("-1----2--"), s.hot("---a----b--c"));
    /// // Who was logged in for at most four milliseconds when an order came?
    /// let session = s.on(Local::timer(ms(4))).map_err(|never| match never {});
    /// let moment = s.on(Local::empty::<()>()).map_err(|never| match never {});
    /// let pairs = record(logins.join(orders, move |_| session.clone(), move |_| moment.clone()));
    /// s.advance_by(ms(20));
    /// assert_eq!(pairs.items(), [('1', 'a'), ('2', 'b')]);
    /// ```
    #[allow(clippy::type_complexity, reason = "it is the operator's own type")]
    fn join<B, FL, FR, DL, DR, T, U, X, Y>(
        self,
        other: B,
        left_duration: FL,
        right_duration: FR,
    ) -> Self::With<Join<Self::Inner, B::Inner, FL, FR, Pairs, DL, DR, T, U, T, (T, U), Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<U, Self::Err>,
        T: Clone,
        U: Clone,
        FL: FnMut(&T) -> DL,
        FR: FnMut(&U) -> DR,
        DL: Events<X, Self::Err>,
        DR: Events<Y, Self::Err>,
    {
        self.join_with_buffer(other, left_duration, right_duration, Buffer::default())
    }

    /// [`join`](Self::join) with a stated bound of open windows per side and what happens beyond it: an item for which
    /// there is no room is dropped unpaired, or the oldest window of its side is closed early.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let latest = Buffer::new(1).on_overflow(Overflow::DropOldest);
    /// let mut pairs = vec![];
    /// Local::from_iter([1, 2])
    ///     .join_with_buffer(Local::of('a'), |_| Local::never::<()>(), |_| Local::never::<()>(), latest.clone())
    ///     .subscribe(|pair| pairs.push(pair));
    /// assert_eq!((pairs, latest.drops().get()), (vec![(2, 'a')], 1));
    /// ```
    #[allow(clippy::type_complexity, reason = "it is the operator's own type")]
    fn join_with_buffer<B, FL, FR, DL, DR, T, U, X, Y>(
        self,
        other: B,
        left_duration: FL,
        right_duration: FR,
        buffer: Buffer,
    ) -> Self::With<Join<Self::Inner, B::Inner, FL, FR, Pairs, DL, DR, T, U, T, (T, U), Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<U, Self::Err>,
        T: Clone,
        U: Clone,
        FL: FnMut(&T) -> DL,
        FR: FnMut(&U) -> DR,
        DL: Events<X, Self::Err>,
        DR: Events<Y, Self::Err>,
    {
        let durations = (left_duration, right_duration);
        self.transform(|left| Join::new((left, other.into_inner()), durations, Pairs, buffer))
    }

    /// Each item with a stream of the other side's items whose windows overlap with its own (RxJava `groupJoin`). Windows
    /// are those of [`join`](Self::join).
    ///
    /// ```text
    /// -1----2---------|        left: a window of 4
    /// --a-b------c----|        right: a window of 3
    ///   group_join
    /// -1----2---------|
    ///  -a-b|                   the group of 1
    ///       b---|              that of 2: b's window is open still
    /// ```
    /// A group is a subject: listen to it when it comes, it keeps nothing for later. First come the right items whose
    /// windows are open already, the oldest first. It completes with its item's window, or with the output; an error ends
    /// it, too. Unsubscribing the output ends the groups in silence.
    ///
    /// Completes when both sources have, or the left one has and its last window has closed. Memory: the open windows, at
    /// most the default [`Buffer`] per side, with a subscription for each, and a subject for each left one.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, convert::Infallible, rc::Rc};
    /// let (mut rooms, mut guests) = (Local::subject::<&str, Infallible>(), Local::subject::<u32, Infallible>());
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// rooms.clone()
    ///     .group_join(guests.clone(), |_| Local::never::<()>(), |_| Local::empty::<()>())
    ///     .flat_map(|(room, guests)| guests.map(move |guest| (room, guest)))
    ///     .subscribe(move |pair| log.borrow_mut().push(pair));
    /// rooms.next("a");
    /// guests.next(1);
    /// rooms.next("b");
    /// guests.next(2);
    /// assert_eq!(*seen.borrow(), [("a", 1), ("a", 2), ("b", 2)]);
    /// ```
    fn group_join<B, FL, FR, DL, DR, T, U, X, Y>(
        self,
        other: B,
        left_duration: FL,
        right_duration: FR,
    ) -> Self::With<GroupJoin<Self, B::Inner, FL, FR, DL, DR, T, U>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        Self::Scope: Hosts<U, Self::Err>,
        Self::Err: Clone + 'static,
        B: Events<U, Self::Err>,
        U: Clone + 'static,
        FL: FnMut(&T) -> DL,
        FR: FnMut(&U) -> DR,
        DL: Events<X, Self::Err>,
        DR: Events<Y, Self::Err>,
    {
        self.group_join_with_buffer(other, left_duration, right_duration, Buffer::default())
    }

    /// [`group_join`](Self::group_join) with a stated bound of open windows per side and what happens beyond it, as in
    /// [`join_with_buffer`](Self::join_with_buffer).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let two = Buffer::new(2).on_overflow(Overflow::DropNewest);
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2, 3])
    ///     .group_join_with_buffer(Local::of('a'), |_| Local::never::<()>(), |_| Local::never::<()>(), two.clone())
    ///     .map(|(n, _)| n)
    ///     .subscribe(|n| seen.push(n));
    /// assert_eq!((seen, two.drops().get()), (vec![1, 2], 1));
    /// ```
    fn group_join_with_buffer<B, FL, FR, DL, DR, T, U, X, Y>(
        self,
        other: B,
        left_duration: FL,
        right_duration: FR,
        buffer: Buffer,
    ) -> Self::With<GroupJoin<Self, B::Inner, FL, FR, DL, DR, T, U>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        Self::Scope: Hosts<U, Self::Err>,
        Self::Err: Clone + 'static,
        B: Events<U, Self::Err>,
        U: Clone + 'static,
        FL: FnMut(&T) -> DL,
        FR: FnMut(&U) -> DR,
        DL: Events<X, Self::Err>,
        DR: Events<Y, Self::Err>,
    {
        let durations = (left_duration, right_duration);
        self.transform(|left| Join::new((left, other.into_inner()), durations, Groups::default(), buffer))
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
        pub struct $name<A, B, $($param,)* E> {
            left: A,
            right: B,
            $($field: $ty,)*
            types: std::marker::PhantomData<fn() -> ($($param,)* E)>,
        }

        #[allow(trivial_bounds)]
        impl<A: Clone, B: Clone, $($param,)* E> Clone for $name<A, B, $($param,)* E>
        where
            $($ty: Clone,)*
        {
            fn clone(&self) -> Self {
                let Self { left, right, types, .. } = self;
                Self { left: left.clone(), right: right.clone(), $($field: self.$field.clone(),)* types: *types }
            }
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
