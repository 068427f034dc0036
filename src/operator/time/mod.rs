//! Operators that move items in time or to another thread.

mod delay;
mod delay_each;
mod hand_off;
mod observe_on;
mod room;
mod subscribe_on;
mod time_interval;
mod timeout;
mod timeout_with;
mod timestamp;

pub use delay::*;
pub use delay_each::*;
pub use hand_off::*;
pub use observe_on::*;
pub(crate) use room::{Feeding, Rooms};
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
#[cfg(not(target_arch = "wasm32"))]
use crate::time::NewThread;
use crate::{Overflow, buffer::Buffer, time::Clock};
use hand_off::Patience;

/// What [`on_backpressure_timeout`](TimeOps::on_backpressure_timeout) makes of a source.
pub type Mortal<S, Sch, I, E, D> = ObserveOn<S, Sch, I, E, D, TimeToLive<Sch>, Duration>;

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
        self.transform(|source| {
            ObserveOn::one_by_one(source, scheduler, buffer, Ignore, "on_backpressure_buffer")
        })
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
        self.transform(|source| {
            ObserveOn::one_by_one(source, scheduler, buffer, HandTo(on_dropped), "on_backpressure_buffer")
        })
    }

    /// Nothing waits: an item that comes while the consumer has another one is dropped, and handed to `on_dropped` by the
    /// source's call (RxJava `onBackpressureDrop`). A task of this stream's scheduler delivers.
    ///
    /// ```text
    /// 1-2-3-4-5-6|     (the consumer takes 3 for each)
    ///   on_backpressure_drop
    /// 1---3---5--|     (2, 4 and 6 are dropped)
    /// ```
    /// Memory: one item. Time O(1) per item; in `Shared` one lock per item and side.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::{cell::RefCell, rc::Rc};
    /// let scheduler = VirtualScheduler::new();
    /// let lost = Rc::new(RefCell::new(vec![]));
    /// let log = lost.clone();
    /// let fast = scheduler.on(Local::from_iter(1..=4)); // pushes all before the consumer's task runs
    /// let seen = record(fast.on_backpressure_drop(move |n| log.borrow_mut().push(n)));
    /// scheduler.run_ready();
    /// assert_eq!((seen.items(), lost.borrow().clone()), (vec![1], vec![2, 3, 4]));
    /// ```
    fn on_backpressure_drop<D, I>(
        self,
        on_dropped: D,
    ) -> Self::With<ObserveOn<Self::Inner, Self::Scheduler, I, Self::Err, HandTo<D>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        D: FnMut(I),
    {
        self.on_backpressure_drop_with(Buffer::new(1), on_dropped)
    }

    /// [`on_backpressure_drop`](Self::on_backpressure_drop) that counts in a [`Buffer`]: its [`drops`](Buffer::drops),
    /// [`depth`](Buffer::depth) and name. Its capacity and policy do not matter.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// let (scheduler, buffer) = (VirtualScheduler::new(), Buffer::new(1));
    /// let drops = buffer.drops();
    /// let _seen = record(scheduler.on(Local::from_iter(1..=4)).on_backpressure_drop_with(buffer, |_| {}));
    /// assert_eq!(drops.get(), 3);
    /// ```
    fn on_backpressure_drop_with<D, I>(
        self,
        buffer: Buffer,
        on_dropped: D,
    ) -> Self::With<ObserveOn<Self::Inner, Self::Scheduler, I, Self::Err, HandTo<D>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        D: FnMut(I),
    {
        let (scheduler, buffer) = (self.scheduler().clone(), buffer.on_overflow(Overflow::DropNewest));
        self.transform(|source| ObserveOn::alone(source, scheduler, buffer, HandTo(on_dropped)))
    }

    /// Only the latest item waits while the consumer has another one; what it replaces is dropped (RxJava
    /// `onBackpressureLatest`). A task of this stream's scheduler delivers.
    ///
    /// ```text
    /// 1-2-3-4-5-6|       (the consumer takes 3 for each)
    ///   on_backpressure_latest
    /// 1--2--4--6|
    /// ```
    /// Memory: the item that waits and the one that is delivered. For a name and counters use
    /// [`on_backpressure_buffer_with`](Self::on_backpressure_buffer_with) and a [`Buffer`] of one item with
    /// [`Overflow::Latest`], which is the same.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// let scheduler = VirtualScheduler::new();
    /// let seen = record(scheduler.on(Local::from_iter(1..=4)).on_backpressure_latest());
    /// scheduler.run_ready();
    /// assert_eq!(seen.items(), [4]);
    /// ```
    fn on_backpressure_latest<I>(self) -> Self::With<ObserveOn<Self::Inner, Self::Scheduler, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        let (scheduler, buffer) = (self.scheduler().clone(), Buffer::new(1).on_overflow(Overflow::Latest));
        self.transform(|source| {
            ObserveOn::one_by_one(source, scheduler, buffer, Ignore, "on_backpressure_latest")
        })
    }

    /// [`on_backpressure_latest`](Self::on_backpressure_latest), with what is dropped handed to `on_dropped` by the
    /// source's call.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::{cell::RefCell, rc::Rc};
    /// let (scheduler, lost) = (VirtualScheduler::new(), Rc::new(RefCell::new(vec![])));
    /// let log = lost.clone();
    /// let fast = scheduler.on(Local::from_iter(1..=4));
    /// let seen = record(fast.on_backpressure_latest_on_dropped(move |n| log.borrow_mut().push(n)));
    /// scheduler.run_ready();
    /// assert_eq!((seen.items(), lost.borrow().clone()), (vec![4], vec![1, 2, 3]));
    /// ```
    fn on_backpressure_latest_on_dropped<D, I>(
        self,
        on_dropped: D,
    ) -> Self::With<ObserveOn<Self::Inner, Self::Scheduler, I, Self::Err, HandTo<D>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        D: FnMut(I),
    {
        let (scheduler, buffer) = (self.scheduler().clone(), Buffer::new(1).on_overflow(Overflow::Latest));
        self.transform(|source| {
            ObserveOn::one_by_one(source, scheduler, buffer, HandTo(on_dropped), "on_backpressure_latest")
        })
    }

    /// [`on_backpressure_buffer_with`](Self::on_backpressure_buffer_with) whose items wait no longer than `ttl`: one that
    /// has waited longer is dropped, the oldest first, counted and handed to `on_dropped` (Reactor's
    /// `onBackpressureBuffer(ttl, maxSize, onBufferEviction)`).
    ///
    /// ```text
    /// (abc)------------|     (the consumer takes 5 for each)
    ///   on_backpressure_timeout(7)
    /// a----b-----------|     (c has waited for 10 when its turn comes)
    /// ```
    /// By the scheduler's clock. There is no timer: who is too old is dropped when the next item comes or the consumer takes
    /// one, and is never delivered. An item that then finds the buffer full is dealt with by the buffer's policy. What has
    /// expired is the policy `expired` of the metrics. Two looks at the clock an item; memory: the buffer, and the item that
    /// is delivered.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::{cell::RefCell, rc::Rc, time::Duration};
    /// let (scheduler, ms) = (VirtualScheduler::new(), Duration::from_millis);
    /// let (buffer, lost) = (Buffer::new(10), Rc::new(RefCell::new(vec![])));
    /// let (slow, log) = (scheduler.clone(), lost.clone());
    /// let source = scheduler.on(Local::from_iter(['a', 'b', 'c']));
    /// let fresh = source.on_backpressure_timeout(ms(7), buffer, move |item| log.borrow_mut().push(item));
    /// let seen = record(fresh.tap(move |_| slow.stall(ms(5))));
    /// scheduler.run_ready();
    /// assert_eq!((seen.items(), lost.borrow().clone()), (vec!['a', 'b'], vec!['c']));
    /// ```
    fn on_backpressure_timeout<D, I>(
        self,
        ttl: Duration,
        buffer: Buffer,
        on_dropped: D,
    ) -> Self::With<Mortal<Self::Inner, Self::Scheduler, I, Self::Err, HandTo<D>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scheduler: Clock,
        D: FnMut(I),
    {
        let scheduler = self.scheduler().clone();
        self.transform(|source| ObserveOn::mortal(source, scheduler, ttl, buffer, HandTo(on_dropped)))
    }

    /// Hands the items to a thread of its own over a bounded ring: the fastest way across in this crate. In order, the end
    /// after the items.
    ///
    /// ```text
    /// producing thread   --1-2-3-4|
    ///   hand_off(Buffer::new(1024))
    /// consuming thread   ---1-2-3-4|
    /// ```
    /// All policies of [`Overflow`] apply. The ring (`rtrb`'s of one producer; with [`Overflow::DropOldest`] and
    /// [`Overflow::Latest`] crossbeam's, from which a producer may take out) is made at once, with room for `capacity`
    /// items, for twice that with [`Overflow::Block`], and at most 16,777,216. The consumer looks for items for some 50 µs
    /// before it sleeps. One producer at a time, as everywhere in Rx: put a `merge` above for several.
    ///
    /// A panic below ends the stream, as everywhere. What is left in the ring when the output has ended, by that or because
    /// nobody listens, is counted in [`Buffer::drops`] when both sides are gone. There is no lock and no allocation for an
    /// item. A source that is [`batched`](super::batch::BatchOps::batched) hands in as many at once as there is room for.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::sync::mpsc;
    /// let (send, received) = mpsc::channel();
    /// let ring = Buffer::new(64).on_overflow(Overflow::Block);
    /// Shared::from_iter(0..1_000).hand_off(ring).subscribe(move |n| send.send(n).unwrap());
    /// assert_eq!(received.iter().sum::<i32>(), 499_500);
    /// ```
    #[cfg(not(target_arch = "wasm32"))]
    fn hand_off<I>(self, buffer: Buffer) -> Self::With<HandOver<Self::Inner, NewThread, I, Self::Err, Ignore>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| HandOver::new(source, NewThread, buffer, Ignore, Patience::OWN_THREAD))
    }

    /// [`hand_off`](Self::hand_off), with what finds no room handed to `on_dropped` by the source's call.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}, mpsc};
    /// let (lost, (send, received)) = (Arc::new(AtomicU64::new(0)), mpsc::channel());
    /// let (count, newest) = (lost.clone(), Buffer::new(16).on_overflow(Overflow::DropOldest));
    /// Shared::from_iter(0..10_000_u64)
    ///     .hand_off_with(newest, move |_| _ = count.fetch_add(1, Ordering::Relaxed))
    ///     .subscribe(move |n| send.send(n).unwrap());
    /// assert_eq!(received.iter().count() as u64 + lost.load(Ordering::Relaxed), 10_000);
    /// ```
    #[cfg(not(target_arch = "wasm32"))]
    fn hand_off_with<D, I>(
        self,
        buffer: Buffer,
        on_dropped: D,
    ) -> Self::With<HandOver<Self::Inner, NewThread, I, Self::Err, HandTo<D>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        D: FnMut(I),
    {
        self.transform(|source| {
            HandOver::new(source, NewThread, buffer, HandTo(on_dropped), Patience::OWN_THREAD)
        })
    }

    /// [`hand_off`](Self::hand_off) to a task of `scheduler`, as [`observe_on_with`](Self::observe_on_with): the same ring,
    /// without a thread of its own. The ring is made at once; the queue of `observe_on` grows with use.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// let scheduler = VirtualScheduler::new();
    /// let newest = Buffer::new(2).on_overflow(Overflow::DropOldest);
    /// let seen = record(scheduler.on(Local::from_iter(0..5)).hand_off_on(scheduler.clone(), newest));
    /// scheduler.run_ready();
    /// assert_eq!(seen.items(), [3, 4]);
    /// ```
    fn hand_off_on<Sch, I>(
        self,
        scheduler: Sch,
        buffer: Buffer,
    ) -> Self::With<HandOver<Self::Inner, Sch, I, Self::Err, Ignore>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| HandOver::new(source, scheduler, buffer, Ignore, Patience::TASK))
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
