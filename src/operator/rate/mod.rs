//! Operators that thin out a stream.

mod by_notifier;
mod edges;
mod rate_limit;
mod sample;
mod throttle_first;
mod throttle_first_by_key;
mod throttle_latest;

pub use by_notifier::*;
pub use edges::*;
pub use rate_limit::*;
pub use sample::*;
pub use throttle_first::*;
pub use throttle_first_by_key::*;
pub use throttle_latest::*;

use std::{convert::Infallible, mem, time::Duration};

use rxrust::observable::Observable;

use crate::{
    error::{StreamError, named},
    gate::{Flow, Machine, Step, never},
};

use super::{
    Events,
    apply::Apply,
    key::{FastHasher, Key, KeyOverflow, Keys},
    timed::TimedApply,
};
use crate::delivery::fate::{Fate, with_fate};

/// What is done with the items that an operator leaves out.
pub trait OnDropped<I> {
    /// One item that was left out.
    fn dropped(&mut self, item: I);
}

/// They are dropped.
#[derive(Debug, Clone, Copy)]
pub struct Ignore;

impl<I> OnDropped<I> for Ignore {
    #[inline]
    fn dropped(&mut self, item: I) {
        by_policy(|| drop(item), mem::needs_drop::<I>());
    }
}

/// Lets go of an item. What is no more than its bytes needs no word about it.
#[inline]
fn by_policy(let_go: impl FnOnce(), needs_drop: bool) {
    if needs_drop { with_fate(Fate::Dropped, let_go) } else { let_go() }
}

/// They are handed to a closure.
#[derive(Clone)]
pub struct HandTo<D>(pub(in crate::operator) D);

impl<I, D: FnMut(I)> OnDropped<I> for HandTo<D> {
    #[inline]
    fn dropped(&mut self, item: I) {
        by_policy(|| (self.0)(item), mem::needs_drop::<I>());
    }
}

/// [`OnDropped`] where several call it, perhaps from several threads, or from within: one call at a time.
pub struct Told<Sc: Flow, D, I>(Sc::Gate<Teller<D>, I>);

/// What a [`Told`] runs.
pub struct Teller<D> {
    on_dropped: D,
    /// The operator's name, in errors.
    name: &'static str,
}

impl<D: OnDropped<I>, I> Machine<I> for Teller<D> {
    fn on(&mut self, item: I) -> Step<Infallible> {
        named(|| self.name, || self.on_dropped.dropped(item));
        Step::Continue
    }

    /// Whoever called is told by the panic.
    fn fail(&mut self, _failure: StreamError) {}
}

impl<Sc: Flow, D, I> Clone for Told<Sc, D, I> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Sc: Flow, D: OnDropped<I>, I> Told<Sc, D, I> {
    pub(in crate::operator) fn new(on_dropped: D, name: &'static str) -> Self {
        Self(Sc::gate(Teller { on_dropped, name }))
    }

    #[inline]
    pub(in crate::operator) fn tell(&self, item: I) {
        Sc::send(&self.0, item, never);
    }
}

/// Operators that thin out a stream. What they leave out is dropped by the policy that is their name; the variants
/// with `_on_dropped` hand it to a closure (as RxJava's `onDropped`), to be counted or kept.
///
/// Each has at most one timer per subscription, which ends with it.
pub trait RateOps: Observable + 'static {
    /// Lets no more items pass than `quota` allows; what comes too early waits, is dropped, or is an error, as `excess`
    /// says. By the scheduler's clock.
    ///
    /// ```text
    /// (abc)---d------|            (abc)---d------|            (abc)---d------|
    ///   1 in 4, Excess::Delay       1 in 4, Excess::Drop        1 in 4, Excess::Error
    /// a---b---c---d--|            a-------d------|            (a#)
    /// ```
    /// A [`Quota`] of 3 in a second lets one pass each third of a second; with a [`burst`](Quota::burst) of 10, up to 10 at
    /// once after a pause. (The generic cell rate algorithm, ITU-T I.371: what a leaky bucket lets through, without a timer to
    /// fill it.) With [`Excess::Delay`] the completion comes after the last item that waits; the source's error is sent at
    /// once and drops what waits, counted. With [`Excess::Error`] the end is
    /// [`StreamError::RateLimited`]. Memory: the buffer of [`Excess::Delay`], and one timer;
    /// otherwise nothing. Time O(1) per item.
    ///
    /// ```
    /// use rxevents::{assert_marbles, prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let scheduler = VirtualScheduler::new();
    /// let quota = Quota::new(1, Duration::from_millis(4)).burst(2);
    /// let calls = Buffer::new(100).named("calls");
    /// let seen = record(scheduler.cold("(abcd)|").rate_limit(quota, Excess::Delay(calls)));
    /// scheduler.advance_by(Duration::from_millis(20));
    /// assert_marbles!(seen, "(ab)c---(d|)");
    /// ```
    fn rate_limit<I>(
        self,
        quota: Quota,
        excess: Excess,
    ) -> Self::With<TimedApply<Self::Inner, RateLimit<I>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| TimedApply::new(source, RateLimit::new(quota, excess, Ignore)))
    }

    /// [`rate_limit`](Self::rate_limit), with what does not pass handed to `on_dropped`.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let (scheduler, drops) = (VirtualScheduler::new(), Drops::default());
    /// let quota = Quota::new(5, Duration::from_secs(3600)).burst(5);
    /// let excess = Excess::Drop(drops.clone());
    /// let calls = scheduler.on(Local::from_iter(0..20));
    /// let seen = record(calls.rate_limit_on_dropped(quota, excess, |n| assert!(n >= 5)));
    /// assert_eq!((seen.items().len(), drops.get()), (5, 15));
    /// ```
    fn rate_limit_on_dropped<D, I>(
        self,
        quota: Quota,
        excess: Excess,
        on_dropped: D,
    ) -> Self::With<TimedApply<Self::Inner, RateLimit<I, HandTo<D>>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        D: FnMut(I),
    {
        self.transform(|source| TimedApply::new(source, RateLimit::new(quota, excess, HandTo(on_dropped))))
    }

    /// The first item, and then one each time at least `window` after the last that passed (ReactiveX
    /// `throttleFirst`), on the scheduler's time.
    ///
    /// ```text
    /// -1-2---3-4---5-|
    ///   throttle_first(4)
    /// -1-----3-----5-|
    /// ```
    /// No timer and no memory: one look at the clock per item.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::time::Duration;
    /// let mut seen = vec![];
    /// Local::from_iter(0..1000).throttle_first(Duration::from_secs(60)).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [0]);
    /// ```
    fn throttle_first<I>(
        self,
        window: Duration,
    ) -> Self::With<Apply<Self::Inner, ThrottleFirst<Self::Scheduler, Ignore>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scheduler: crate::time::Clock,
    {
        let clock = self.scheduler().clone();
        self.transform(|source| Apply::new(source, ThrottleFirst::new(clock, window, Ignore)))
    }

    /// [`throttle_first`](Self::throttle_first), with the dropped items handed to `on_dropped`.
    fn throttle_first_on_dropped<D, I>(
        self,
        window: Duration,
        on_dropped: D,
    ) -> Self::With<Apply<Self::Inner, ThrottleFirst<Self::Scheduler, HandTo<D>>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scheduler: crate::time::Clock,
        D: FnMut(I),
    {
        let clock = self.scheduler().clone();
        self.transform(|source| Apply::new(source, ThrottleFirst::new(clock, window, HandTo(on_dropped))))
    }

    /// As [`throttle_first`](Self::throttle_first), on the time that the items carry: `time(item)` is any point in
    /// time that can be compared and moved by `window` (a chrono `DateTime` with a `TimeDelta`, a `Duration`, an
    /// `i64` with an `i64`). An item passes when none has passed yet, or when its time is at least `window` after that
    /// of the last that passed; an older item does not pass. Where the end of the window cannot be represented, no
    /// later item passes.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([0_i64, 30, 60, 59, 121]).throttle_first_by(60_i64, |t| *t).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [0, 60, 121]);
    /// ```
    fn throttle_first_by<F, W, Time, I>(
        self,
        window: W,
        time: F,
    ) -> Self::With<Apply<Self::Inner, ThrottleFirstBy<F, W, Time, Ignore>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> Time,
        Time: EventTime<W>,
    {
        self.transform(|source| Apply::new(source, ThrottleFirstBy::new(window, time, Ignore)))
    }

    /// [`throttle_first_by`](Self::throttle_first_by), with the dropped items handed to `on_dropped`.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::Cell, rc::Rc};
    /// let dropped = Rc::new(Cell::new(0));
    /// let count = dropped.clone();
    /// Local::from_iter([0_i64, 30, 60])
    ///     .throttle_first_by_on_dropped(60_i64, |t| *t, move |_| count.set(count.get() + 1))
    ///     .subscribe(|_| {});
    /// assert_eq!(dropped.get(), 1);
    /// ```
    fn throttle_first_by_on_dropped<F, W, Time, D, I>(
        self,
        window: W,
        time: F,
        on_dropped: D,
    ) -> Self::With<Apply<Self::Inner, ThrottleFirstBy<F, W, Time, HandTo<D>>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> Time,
        Time: EventTime<W>,
        D: FnMut(I),
    {
        self.transform(|source| Apply::new(source, ThrottleFirstBy::new(window, time, HandTo(on_dropped))))
    }

    /// [`throttle_first_by`](Self::throttle_first_by) for each key by itself: the first item of each key, and then one
    /// each time at least `window` after the last of that key that passed, on the time that the items carry.
    ///
    /// The key is borrowed from the item and copied only when it is new (see [`KeyOps`](super::key::KeyOps)). At most
    /// 1,048,576 keys are remembered; for a new one beyond that, the oldest without a recent item is forgotten
    /// ([`KeyOverflow::Forget`]), whose next item passes.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([("a", 0_i64), ("b", 10), ("a", 59), ("a", 60), ("b", 69), ("b", 9)])
    ///     .throttle_first_by_key(|(key, _)| *key, |(_, time)| *time, 60_i64)
    ///     .subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [("a", 0), ("b", 10), ("a", 60)]);
    /// ```
    fn throttle_first_by_key<K, Q, F, W, Time, I>(
        self,
        key: K,
        time: F,
        window: W,
    ) -> Self::With<Apply<Self::Inner, ThrottleFirstByKey<K, Q, F, W, Time, FastHasher, Ignore>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: FnMut(&I) -> &Q,
        Q: Key + ?Sized,
        F: FnMut(&I) -> Time,
        Time: EventTime<W>,
    {
        let keys = Keys::default().on_overflow(KeyOverflow::Forget);
        self.transform(|source| Apply::new(source, ThrottleFirstByKey::new(keys, key, time, window, Ignore)))
    }

    /// [`throttle_first_by_key`](Self::throttle_first_by_key) with a bound, a policy and a hasher of your own, and the
    /// dropped items handed to `on_dropped`.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([(1, 0_u64), (2, 1), (1, 2)])
    ///     .throttle_first_by_key_on_dropped(Keys::new(10), |(id, _)| id, |v| v.1, 60_u64, |v| assert_eq!(v, (1, 2)))
    ///     .subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [(1, 0), (2, 1)]);
    /// ```
    fn throttle_first_by_key_on_dropped<K, Q, F, W, Time, H, D, I>(
        self,
        keys: Keys<H>,
        key: K,
        time: F,
        window: W,
        on_dropped: D,
    ) -> Self::With<Apply<Self::Inner, ThrottleFirstByKey<K, Q, F, W, Time, H, HandTo<D>>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: FnMut(&I) -> &Q,
        Q: Key + ?Sized,
        F: FnMut(&I) -> Time,
        Time: EventTime<W>,
        H: std::hash::BuildHasher,
        D: FnMut(I),
    {
        let dropped = HandTo(on_dropped);
        self.transform(|source| Apply::new(source, ThrottleFirstByKey::new(keys, key, time, window, dropped)))
    }

    /// The first item at once, then the latest of each `window` at its end, as long as there is one (RxJava
    /// `throttleLatest`; an item sent at the end of a window opens the next). When the source completes, what waits
    /// is sent first.
    ///
    /// ```text
    /// -1-2-3-------4-|
    ///   throttle_latest(4)
    /// -1---3-------4-|
    /// ```
    /// Memory: one item, one timer.
    fn throttle_latest<I>(
        self,
        window: Duration,
    ) -> Self::With<TimedApply<Self::Inner, ThrottleLatest<I, Ignore>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| TimedApply::new(source, ThrottleLatest::new(window, Ignore)))
    }

    /// [`throttle_latest`](Self::throttle_latest), with the dropped items handed to `on_dropped`.
    fn throttle_latest_on_dropped<D, I>(
        self,
        window: Duration,
        on_dropped: D,
    ) -> Self::With<TimedApply<Self::Inner, ThrottleLatest<I, HandTo<D>>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        D: FnMut(I),
    {
        self.transform(|source| TimedApply::new(source, ThrottleLatest::new(window, HandTo(on_dropped))))
    }

    /// An item once the source has been silent for `silence` after it (ReactiveX `debounce`). When the source
    /// completes, what waits is sent first; an error drops it.
    ///
    /// ```text
    /// -1-2-3-----4-|
    ///   debounce(3)
    /// --------3----4|
    /// ```
    /// Memory: one item, one timer, one look at the clock per item.
    fn debounce<I>(
        self,
        silence: Duration,
    ) -> Self::With<TimedApply<Self::Inner, ForTime<Debounce<I, Ignore>>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        RateOps::debounce_with(self, silence, Edges::trailing())
    }

    /// [`debounce`](Self::debounce), with the dropped items handed to `on_dropped`.
    fn debounce_on_dropped<D, I>(
        self,
        silence: Duration,
        on_dropped: D,
    ) -> Self::With<TimedApply<Self::Inner, ForTime<Debounce<I, HandTo<D>>>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        D: FnMut(I),
    {
        RateOps::debounce_with(self, silence, Edges::trailing().on_dropped(on_dropped))
    }

    /// [`debounce`](Self::debounce) with a choice of what is sent of items that follow each other within `silence`: the
    /// first at once, the last after the silence, or both. What is left out goes where [`Edges`] says.
    ///
    /// ```text
    /// -1-2-3-----4-|             -1-2-3-----4-|
    ///   (3, Edges::leading())      (3, Edges::both())
    /// -1---------4-|             -1------3--4-|
    /// ```
    /// Memory: one item, one timer.
    fn debounce_with<D, I>(
        self,
        silence: Duration,
        edges: Edges<D>,
    ) -> Self::With<TimedApply<Self::Inner, ForTime<Debounce<I, D>>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        D: OnDropped<I>,
    {
        self.transform(|source| TimedApply::new(source, ForTime::new(silence, Debounce::new(edges))))
    }

    /// [`debounce`](Self::debounce) with a silence for each item: it is sent when its notifier, `notifier(&item)`, first
    /// emits or completes, unless another item has come before (ReactiveX and RxJava `debounce` with a selector, RxJS
    /// `debounce`). When the source completes, what waits is sent first; an error, also a notifier's, drops it.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let (scheduler, ms) = (VirtualScheduler::new(), Duration::from_millis);
    /// let timers = scheduler.clone();
    /// let urgent = record(scheduler.cold("ab---xa---|").debounce_by(
    ///     move |item| timers.cold(if *item == 'x' { "|" } else { "---x" }),
    ///     Edges::trailing(),
    /// ));
    /// scheduler.advance_by(ms(20));
    /// assert_eq!(urgent.items(), ['b', 'x', 'a']); // `x` waits for nothing
    /// ```
    /// Memory: one item, one notifier.
    fn debounce_by<F, N, X, D, I>(
        self,
        notifier: F,
        edges: Edges<D>,
    ) -> Self::With<ByNotifier<Self::Inner, F, Debounce<I, D>, I, N, X, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> N,
        N: Events<X, Self::Err>,
        D: OnDropped<I>,
    {
        self.transform(|source| ByNotifier::new(source, notifier, Debounce::new(edges)))
    }

    /// The first item, the last, or both, of each `window` (RxJS `throttleTime` with `leading` and `trailing`). A window
    /// opens with an item that comes while none is open; with [`TrailingOpensWindow::Yes`], as it is by default, also with
    /// the one that is sent at the end of a window. What is left out goes where [`Edges`] says.
    ///
    /// ```text
    /// a-b-c-d--|              a-b-c-d--|                a-b-c-d--|
    ///   (5, leading())          (5, trailing())           (5, both())
    /// a-----d--|              -----c----(d|)            a----c----(d|)
    /// ```
    /// When the source completes, an item that waits is sent at the end of its window, and then the completion (of RxJS 7;
    /// [`throttle_latest`](Self::throttle_latest) sends it at once). An error drops it. Memory: one item, one timer.
    fn throttle_with<D, I>(
        self,
        window: Duration,
        edges: Edges<D>,
    ) -> Self::With<TimedApply<Self::Inner, ForTime<Throttle<I, D>>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        D: OnDropped<I>,
    {
        self.transform(|source| TimedApply::new(source, ForTime::new(window, Throttle::new(edges))))
    }

    /// [`throttle_with`](Self::throttle_with) whose windows last until a notifier, `notifier(&item)` of the item that opens
    /// it, first emits or completes (RxJS `throttle`). A notifier's error ends the output.
    ///
    /// ```
    /// use rxevents::{assert_marbles, prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let scheduler = VirtualScheduler::new();
    /// let timers = scheduler.clone();
    /// let seen = record(scheduler.cold("a-b-c-d--|").throttle_by(move |_| timers.cold("---x"), Edges::leading()));
    /// scheduler.advance_by(Duration::from_millis(20));
    /// assert_marbles!(seen, "a---c----|");
    /// ```
    /// Memory: one item, one notifier.
    fn throttle_by<F, N, X, D, I>(
        self,
        notifier: F,
        edges: Edges<D>,
    ) -> Self::With<ByNotifier<Self::Inner, F, Throttle<I, D>, I, N, X, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> N,
        N: Events<X, Self::Err>,
        D: OnDropped<I>,
    {
        self.transform(|source| ByNotifier::new(source, notifier, Throttle::new(edges)))
    }

    /// The latest item `window` after the first that has not been accounted for (RxJS `auditTime`): as
    /// [`throttle_with`](Self::throttle_with) on the trailing edge with [`TrailingOpensWindow::No`]. To count what it
    /// drops, write that.
    ///
    /// ```text
    /// a-b-c-d-----|
    ///   audit(5)
    /// -----c-----d|
    /// ```
    /// Memory: one item, one timer.
    fn audit<I>(
        self,
        window: Duration,
    ) -> Self::With<TimedApply<Self::Inner, ForTime<Throttle<I, Ignore>>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.throttle_with(window, Edges::trailing().trailing_opens(TrailingOpensWindow::No))
    }

    /// [`audit`](Self::audit) whose windows last until a notifier, `notifier(&item)` of the item that opens it, first emits
    /// or completes (RxJS `audit`).
    ///
    /// ```
    /// use rxevents::{assert_marbles, prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let scheduler = VirtualScheduler::new();
    /// let timers = scheduler.clone();
    /// let seen = record(scheduler.cold("a-b-c-d-------|").audit_with(move |_| timers.cold("---x")));
    /// scheduler.advance_by(Duration::from_millis(20));
    /// assert_marbles!(seen, "---b---d------|");
    /// ```
    /// Memory: one item, one notifier.
    fn audit_with<F, N, X, I>(
        self,
        notifier: F,
    ) -> Self::With<ByNotifier<Self::Inner, F, Throttle<I, Ignore>, I, N, X, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> N,
        N: Events<X, Self::Err>,
    {
        self.throttle_by(notifier, Edges::trailing().trailing_opens(TrailingOpensWindow::No))
    }

    /// The latest item of each `period`, where there is a new one (ReactiveX `sample`). When the source completes,
    /// what waits is dropped, as ReactiveX says.
    ///
    /// ```text
    /// -1-2-----3---|
    ///   sample(4)
    /// ----2-------3|
    /// ```
    /// The periods lie on a grid that starts with the subscription (a period of zero is taken as one nanosecond, which
    /// keeps the scheduler busy). Memory: one item, one timer.
    fn sample<I>(
        self,
        period: Duration,
    ) -> Self::With<TimedApply<Self::Inner, Sample<I, Ignore>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| TimedApply::new(source, Sample::new(period, Ignore)))
    }

    /// [`sample`](Self::sample), but when the source completes, what waits is sent first (RxJava `sample` with `emitLast`).
    ///
    /// ```text
    /// -1-2-----3---4|
    ///   sample_emit_last(4)
    /// ----2-------3-(4|)
    /// ```
    fn sample_emit_last<I>(
        self,
        period: Duration,
    ) -> Self::With<TimedApply<Self::Inner, Sample<I, Ignore>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| TimedApply::new(source, Sample::new(period, Ignore).emitting_last()))
    }

    /// [`sample`](Self::sample), with the dropped items handed to `on_dropped`.
    fn sample_on_dropped<D, I>(
        self,
        period: Duration,
        on_dropped: D,
    ) -> Self::With<TimedApply<Self::Inner, Sample<I, HandTo<D>>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        D: FnMut(I),
    {
        self.transform(|source| TimedApply::new(source, Sample::new(period, HandTo(on_dropped))))
    }

    /// The latest item, where there is a new one, whenever `notifier` emits (RxJS `sample`; the notifier's completion
    /// is ignored, its error ends the output).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, convert::Infallible, rc::Rc};
    /// let (mut source, mut tick) = (Local::subject::<_, Infallible>(), Local::subject::<_, Infallible>());
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// source.clone().sample_with(tick.clone()).subscribe(move |v| log.borrow_mut().push(v));
    /// source.next(1);
    /// source.next(2);
    /// tick.next(());
    /// tick.next(());
    /// assert_eq!(*seen.borrow(), [2]);
    /// ```
    fn sample_with<N, T, U>(
        self,
        notifier: N,
    ) -> Self::With<SampleWith<Self::Inner, N::Inner, T, U, Ignore, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        N: Events<U, Self::Err>,
    {
        self.transform(|source| SampleWith::new(source, notifier.into_inner(), Ignore))
    }

    /// [`sample_with`](Self::sample_with), with the dropped items handed to `on_dropped`.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, convert::Infallible, rc::Rc};
    /// let (mut source, mut tick) = (Local::subject::<_, Infallible>(), Local::subject::<_, Infallible>());
    /// let dropped = Rc::new(RefCell::new(vec![]));
    /// let log = dropped.clone();
    /// source.clone().sample_with_on_dropped(tick.clone(), move |v| log.borrow_mut().push(v)).subscribe(|_| {});
    /// source.next(1);
    /// source.next(2);
    /// tick.next(());
    /// source.next(3);
    /// source.complete();
    /// assert_eq!(*dropped.borrow(), [1, 3]);
    /// ```
    fn sample_with_on_dropped<N, D, T, U>(
        self,
        notifier: N,
        on_dropped: D,
    ) -> Self::With<SampleWith<Self::Inner, N::Inner, T, U, HandTo<D>, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        N: Events<U, Self::Err>,
        D: FnMut(T),
    {
        self.transform(|source| SampleWith::new(source, notifier.into_inner(), HandTo(on_dropped)))
    }
}

impl<S: Observable + 'static> RateOps for S {}
