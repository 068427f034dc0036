//! Operators that move items in time or to another thread.

mod delay;
mod delay_each;
mod observe_on;
mod subscribe_on;
mod time_interval;
mod timeout;
mod timeout_with;
mod timestamp;

pub use delay::*;
pub use delay_each::*;
pub use observe_on::*;
pub use subscribe_on::*;
pub use time_interval::*;
pub use timeout::*;
pub use timeout_with::*;
pub use timestamp::*;

use std::time::Duration;

use rxrust::observable::Observable;

use super::{
    Events,
    apply::Apply,
    rate::{HandTo, Ignore},
    timed::TimedApply,
    transform::Flatten,
};
use crate::{Overflow, buffer::Buffer, time::Clock};

/// Operators that move items in time or to another thread.
pub trait TimeOps: Observable + 'static {
    /// Each item, and the completion, `delay` later (ReactiveX `delay`; an error is sent at once and drops what
    /// waits).
    ///
    /// ```text
    /// --1--2-|
    ///   delay(3)
    /// -----1--2-|
    /// ```
    /// In order, all of them. Time O(1) per item; memory: the items of one `delay`, at most the default [`Buffer`];
    /// one timer.
    fn delay<I>(self, delay: Duration) -> Self::With<TimedApply<Self::Inner, Delay<I>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.delay_with_buffer(delay, Buffer::default())
    }

    /// [`delay`](Self::delay) with a stated bound on what waits.
    fn delay_with_buffer<I>(
        self,
        delay: Duration,
        buffer: Buffer,
    ) -> Self::With<TimedApply<Self::Inner, Delay<I>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| TimedApply::new(source, Delay::new(delay, buffer)))
    }

    /// Each item when a notifier of its own, `notifier(&item)`, first emits or completes (RxJava `delay` with a selector,
    /// RxJS `delayWhen`), so not always in order. The source's completion comes after the last item; its error, or a
    /// notifier's, is sent at once and drops what waits.
    ///
    /// ```text
    /// a-b---|
    ///   delay_each(|item| a: ----x, b: -x)
    /// ---ba-|
    /// ```
    /// Memory: the items that wait, each with its notifier, at most 1,048,576; beyond that as many again whose notifier is
    /// not subscribed yet, then the stream ends with [`StreamError::Overflow`](crate::StreamError::Overflow). For a bound of
    /// your own use [`flat_map_with`](super::transform::TransformOps::flat_map_with).
    ///
    /// ```
    /// use rxevents::{assert_marbles, prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let scheduler = VirtualScheduler::new();
    /// let notifiers = scheduler.clone();
    /// let seen = record(scheduler.cold("a-b---|").delay_each(move |item| {
    ///     notifiers.cold(if *item == 'a' { "----x" } else { "-x" })
    /// }));
    /// scheduler.advance_by(Duration::from_millis(10));
    /// assert_marbles!(seen, "---ba-|");
    /// ```
    fn delay_each<F, N, X, I>(self, notifier: F) -> Self::With<DelayEach<Self::Inner, F, I, N, X, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> N,
        N: Events<X, Self::Err>,
    {
        self.transform(|source| Flatten::merged(Apply::new(source, WithNotifier::new(notifier))))
    }

    /// Subscribes to the source `delay` later (RxJava `delaySubscription`). A source that emits whoever listens is missed
    /// meanwhile.
    ///
    /// ```text
    ///     a-b-|
    ///   delay_subscription(3)
    /// ---a-b-|
    /// ```
    /// Holds the source; one timer.
    ///
    /// ```
    /// use rxevents::{assert_marbles, prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let scheduler = VirtualScheduler::new();
    /// let seen = record(scheduler.cold("a-b-|").delay_subscription(Duration::from_millis(3)));
    /// scheduler.advance_by(Duration::from_millis(10));
    /// assert_marbles!(seen, "---a-b-|");
    /// ```
    fn delay_subscription<I>(
        self,
        delay: Duration,
    ) -> Self::With<SubscribeOn<Self::Inner, Self::Scheduler, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        let scheduler = self.scheduler().clone();
        self.transform(|source| SubscribeOn::new(source, scheduler, delay, "delay_subscription"))
    }

    /// Subscribes to the source in a task of `scheduler` (ReactiveX `subscribeOn`): what the source does when it is subscribed
    /// to, such as to emit all its items, is done there. Where the items are delivered otherwise does not change; see
    /// [`observe_on`](Self::observe_on) for that. A scheduler that ends before is
    /// [`StreamError::SchedulerGone`](crate::StreamError::SchedulerGone).
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// let scheduler = VirtualScheduler::new();
    /// let seen = record(scheduler.on(Local::from_iter(0..3)).subscribe_on(scheduler.clone()));
    /// assert!(seen.items().is_empty());
    /// scheduler.run_ready();
    /// assert_eq!(seen.items(), [0, 1, 2]);
    /// ```
    fn subscribe_on<Sch, I>(self, scheduler: Sch) -> Self::With<SubscribeOn<Self::Inner, Sch, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| SubscribeOn::new(source, scheduler, Duration::ZERO, "subscribe_on"))
    }

    /// Delivers on `scheduler`: items cross through a bounded queue, in order, the end after them (ReactiveX
    /// `observeOn`).
    ///
    /// The consuming task takes all that is there at once and is woken only when it sleeps. Memory: the default
    /// [`Buffer`]; use [`observe_on_with`](Self::observe_on_with) and [`Overflow::Block`] to
    /// make a fast producing thread wait for a slow consumer.
    fn observe_on<Sch, I>(self, scheduler: Sch) -> Self::With<ObserveOn<Self::Inner, Sch, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.observe_on_with(scheduler, Buffer::default())
    }

    /// [`observe_on`](Self::observe_on) with a stated bound and policy. The queue holds at most the buffer's capacity,
    /// the consumer as many again that it has taken over.
    fn observe_on_with<Sch, I>(
        self,
        scheduler: Sch,
        buffer: Buffer,
    ) -> Self::With<ObserveOn<Self::Inner, Sch, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| ObserveOn::new(source, scheduler, buffer))
    }

    /// A bounded buffer between a source that pushes and a slower consumer (RxJava `onBackpressureBuffer`): the source's
    /// call returns at once, a task of this stream's scheduler delivers, in order, the end after the items.
    ///
    /// ```text
    /// (1 2 3 4 |)                   (1 2 3 4 |)
    ///   (2, Overflow::DropOldest)     (2, Overflow::DropNewest)
    /// (3 4 |)                       (1 2 |)
    /// ```
    /// At most `capacity` items wait (0 is taken as 1), and one is being delivered: the task takes over one at a time and
    /// lets others run in between. An item that finds no room is dealt with by the [`Overflow`] policy; what a policy
    /// drops is counted, see [`on_backpressure_buffer_with`](Self::on_backpressure_buffer_with). With
    /// [`Overflow::Error`] what waits is delivered first, then comes
    /// [`StreamError::Overflow`](crate::StreamError::Overflow), and the source is unsubscribed; with [`Overflow::Block`]
    /// the source's call does wait, in `Shared`. Where many items shall cross fast, use
    /// [`observe_on_with`](Self::observe_on_with). Time O(1) per item; in `Shared` one lock per item and side.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// let scheduler = VirtualScheduler::new();
    /// let fast = scheduler.on(Local::from_iter(0..1_000)); // pushes all before the consumer's task runs
    /// let latest = record(fast.on_backpressure_buffer(3, Overflow::DropOldest));
    /// scheduler.run_ready();
    /// assert_eq!(latest.items(), [997, 998, 999]);
    /// ```
    fn on_backpressure_buffer<I>(
        self,
        capacity: usize,
        overflow: Overflow,
    ) -> Self::With<ObserveOn<Self::Inner, Self::Scheduler, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        let (scheduler, buffer) = (self.scheduler().clone(), Buffer::new(capacity).on_overflow(overflow));
        self.transform(|source| ObserveOn::one_by_one(source, scheduler, buffer, Ignore))
    }

    /// [`on_backpressure_buffer`](Self::on_backpressure_buffer) with a [`Buffer`], whose [`drops`](Buffer::drops) stay
    /// readable, and what finds no room handed to `on_dropped`, by the source's call.
    ///
    /// With [`Overflow::Error`] and [`Overflow::Block`] that is the one item that ends the stream; it is not counted.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::{cell::RefCell, rc::Rc};
    /// let scheduler = VirtualScheduler::new();
    /// let buffer = Buffer::new(2).on_overflow(Overflow::DropNewest);
    /// let lost = Rc::new(RefCell::new(vec![]));
    /// let (drops, log) = (buffer.drops(), lost.clone());
    /// let fast = scheduler.on(Local::from_iter(0..5));
    /// let seen = record(fast.on_backpressure_buffer_with(buffer, move |n| log.borrow_mut().push(n)));
    /// scheduler.run_ready();
    /// assert_eq!(seen.items(), [0, 1]);
    /// assert_eq!(*lost.borrow(), [2, 3, 4]);
    /// assert_eq!(drops.get(), 3);
    /// ```
    fn on_backpressure_buffer_with<D, I>(
        self,
        buffer: Buffer,
        on_dropped: D,
    ) -> Self::With<ObserveOn<Self::Inner, Self::Scheduler, I, Self::Err, HandTo<D>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        D: FnMut(I),
    {
        let scheduler = self.scheduler().clone();
        self.transform(|source| ObserveOn::one_by_one(source, scheduler, buffer, HandTo(on_dropped)))
    }

    /// The same items; an error when none has come within `within` of the subscription, or of the item before
    /// (ReactiveX `timeout`).
    ///
    /// ```text
    /// --a-b-------c|
    ///   timeout(4)
    /// --a-b---#
    /// ```
    /// The error is [`StreamError::Timeout`](crate::StreamError::Timeout), and the source is unsubscribed. In a stream
    /// with another error type it goes where a [`StreamError`](crate::StreamError) goes there: put
    /// [`stream_error`](super::error::ErrorOps::stream_error) above. An item that comes at the very moment may be in
    /// time or not. A source that goes away without an end is too
    /// late as well. Holds nothing; one timer.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let scheduler = VirtualScheduler::new();
    /// let late = scheduler.on(Local::never()).stream_error().timeout(Duration::from_secs(5));
    /// let seen = record(late.map(|()| String::new()).catch_error(|error: StreamError| {
    ///     Local::of(error.to_string())
    /// }));
    /// scheduler.advance_by(Duration::from_secs(5));
    /// assert_eq!(seen.items(), ["`timeout`: no item within 5s"]);
    /// ```
    fn timeout<I>(self, within: Duration) -> Self::With<TimedApply<Self::Inner, Timeout, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| TimedApply::new(source, Timeout::new(within, false)))
    }

    /// As [`timeout`](Self::timeout), for the first item only: from then on the source may take as long as it likes.
    ///
    /// ```text
    /// --a-------b|          -----a|
    ///   timeout_first(4)      timeout_first(4)
    /// --a-------b|          ----#
    /// ```
    fn timeout_first<I>(
        self,
        within: Duration,
    ) -> Self::With<TimedApply<Self::Inner, Timeout, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| TimedApply::new(source, Timeout::new(within, true)))
    }

    /// As [`timeout`](Self::timeout), but goes on with `fallback` instead of an error (RxJava `timeout` with a fallback):
    /// it is subscribed then, the source is unsubscribed, and no time counts any more.
    ///
    /// ```text
    /// --a---------b|
    ///   timeout_with(4, 1-2|)
    /// --a---1-2|
    /// ```
    fn timeout_with<B, I>(
        self,
        within: Duration,
        fallback: B,
    ) -> Self::With<TimeoutWith<TimedApply<Self::Inner, Timeout, I, Option<I>, Self::Err>, B, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        B: Events<I, Self::Err>,
    {
        self.transform(|source| {
            TimeoutWith::new(TimedApply::new(source, Timeout::new(within, false)), fallback)
        })
    }

    /// Each item with the time at which it came, by the scheduler's clock and by the wall clock (ReactiveX `timestamp`).
    ///
    /// ```text
    /// --a--b-|
    ///   timestamp
    /// --a2-b5|
    /// ```
    /// The items of a batch share theirs. Holds nothing; two looks at the clock an item.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let scheduler = VirtualScheduler::new();
    /// let stamped = record(scheduler.cold("--a--b-|").timestamp());
    /// scheduler.advance_by(Duration::from_millis(10));
    /// let at: Vec<_> = stamped.items().iter().map(|item| (item.value, item.at.as_millis())).collect();
    /// assert_eq!(at, [('a', 2), ('b', 5)]);
    /// ```
    fn timestamp<I>(self) -> Self::With<Apply<Self::Inner, Stamp<Self::Scheduler>, I, Timestamped<I>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scheduler: Clock,
    {
        let clock = self.scheduler().clone();
        self.transform(|source| Apply::new(source, Stamp::new(clock)))
    }

    /// Each item with the time since the one before; since the subscription for the first (ReactiveX `timeInterval`).
    ///
    /// ```text
    /// --a--b-|
    ///   time_interval
    /// --a2-b3|
    /// ```
    /// By the scheduler's clock, which never goes back. The items of a batch share their moment. Memory: one moment.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let scheduler = VirtualScheduler::new();
    /// let seen = record(scheduler.cold("--a--b-|").time_interval());
    /// scheduler.advance_by(Duration::from_millis(10));
    /// let took: Vec<_> = seen.items().iter().map(|item| item.interval.as_millis()).collect();
    /// assert_eq!(took, [2, 3]);
    /// ```
    fn time_interval<I>(self) -> Self::With<TimeIntervals<Self::Inner, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(TimeIntervals::new)
    }
}

impl<S: Observable + 'static> TimeOps for S {}
