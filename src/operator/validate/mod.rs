//! Event failures: what is wrong with one event, as a value that keeps the event; the stream goes on.

mod async_state;
mod async_worker;
mod check;
mod dead_letter;
mod decode_json;
mod event_retry;
mod route_failures;
mod try_map;
mod try_map_async;
mod try_map_with_retry;

pub use check::*;
pub use dead_letter::*;
pub use decode_json::*;
pub use event_retry::{AnyKey, ByKey, EventRetry, OrderKey};
pub use route_failures::*;
pub use try_map::*;
pub use try_map_async::*;
pub use try_map_with_retry::*;

use std::{convert::Infallible, num::NonZeroUsize};

use rxrust::{observable::Observable, observer::Observer};
use serde::de::DeserializeOwned;
use validator::Validate;

use super::{apply::Apply, error::Retry, timed::TimedApply};
use crate::{
    dead_letter::{DeadLetterPolicy, DeadLetterQueue, NoPolicy, Payload, Reason, Rejected, Watched},
    time::Clock,
};

/// Operators that may fail for one event, and those that take the failures out of the stream.
pub trait ValidateOps: Observable + 'static {
    /// `f` of each item; where it fails, or panics, the item and the reason go on as [`Rejected`].
    ///
    /// `f` sees the item by reference, so that a failure keeps the item itself. The stage of the failure is
    /// `"try_map"`; use [`try_map_stage`](Self::try_map_stage) to name it.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut good = vec![];
    /// Local::from_iter(["1", "x", "3"])
    ///     .try_map(|s| s.parse::<i32>().map_err(Reason::other))
    ///     .route_failures(observer(|r: Rejected<&str>| assert_eq!(r.item, "x")))
    ///     .subscribe(|v| good.push(v));
    /// assert_eq!(good, [1, 3]);
    /// ```
    fn try_map<F, I, T>(self, f: F) -> Self::With<Apply<Self::Inner, TryMap<F>, I, Result<T, Rejected<I>>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> Result<T, Reason>,
    {
        self.try_map_stage("try_map", f)
    }

    /// [`try_map`](Self::try_map) with the name of the stage that a failure carries.
    fn try_map_stage<F, I, T>(
        self,
        stage: &'static str,
        f: F,
    ) -> Self::With<Apply<Self::Inner, TryMap<F>, I, Result<T, Rejected<I>>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> Result<T, Reason>,
    {
        self.transform(|source| Apply::new(source, TryMap { stage, f }))
    }

    /// [`try_map`](Self::try_map), and where `f` fails for an item it is tried again later, as `policy` says. After the
    /// last attempt the item goes on as [`Rejected`], with the last reason and the number of attempts.
    ///
    /// ```text
    /// a---b-c---|
    ///   try_map_with_retry(f fails once for a; fixed(5))
    /// ----bac---|
    /// ```
    /// - While an item waits, others pass it: they come out as they settle.
    /// - Each item gives exactly one output. A panic in `f` is one, and is not tried again. Without a delay it is tried
    ///   again at once; after 64 such attempts others have their turn in between.
    /// - When the source completes, what waits is still tried to its end; then it completes. When the source fails, what
    ///   waits is not tried any more: it goes on as [`Rejected`] with the reason of its last attempt, then the error.
    /// - It holds the items that wait, at most the default [`Buffer`](crate::Buffer), and one timer. Time O(log n) for
    ///   an item that waits among n.
    ///
    /// The stage is `"try_map_with_retry"`. For names, bounds and other policies see
    /// [`try_map_with_retry_with`](Self::try_map_with_retry_with). `f` must not block; to wait for an answer, see
    /// [`try_map_async_with_retry`](Self::try_map_async_with_retry).
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let scheduler = VirtualScheduler::new();
    /// let mut attempts = 0;
    /// let policy = Retry::times(3).exponential(Duration::from_millis(100), Duration::from_secs(10));
    /// let seen = record(scheduler.on(Local::of("x")).try_map_with_retry(policy, move |_| {
    ///     attempts += 1;
    ///     if attempts < 3 { Err(Reason::other("busy")) } else { Ok(attempts) }
    /// }).map(|result| result.unwrap_or(0)));
    /// scheduler.advance_by(Duration::from_millis(299));
    /// assert!(seen.items().is_empty());
    /// scheduler.advance_by(Duration::from_millis(1)); // 100 + 200
    /// assert_eq!(seen.items(), [3]);
    /// ```
    fn try_map_with_retry<F, I, T>(
        self,
        policy: Retry<Reason>,
        f: F,
    ) -> Self::With<TimedApply<Self::Inner, TryMapWithRetry<F, I, T>, I, Result<T, Rejected<I>>, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> Result<T, Reason>,
    {
        self.try_map_with_retry_with(EventRetry::new(policy), f)
    }

    /// As [`try_map_with_retry`](Self::try_map_with_retry), in the order of the source: what comes after an item that
    /// waits, waits for it. It is tried at once nevertheless.
    ///
    /// ```text
    /// a---b-----c|
    ///   try_map_with_retry_ordered(f fails once for a; fixed(5))
    /// -----(ab)-c|
    /// ```
    /// It holds what waits to be tried again and what waits for that, together at most the default
    /// [`Buffer`](crate::Buffer).
    fn try_map_with_retry_ordered<F, I, T>(
        self,
        policy: Retry<Reason>,
        f: F,
    ) -> Self::With<TimedApply<Self::Inner, TryMapWithRetry<F, I, T>, I, Result<T, Rejected<I>>, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> Result<T, Reason>,
    {
        self.try_map_with_retry_with(EventRetry::new(policy).ordered(), f)
    }

    /// [`try_map_with_retry`](Self::try_map_with_retry) with a stage, an order, a bound and a policy of your own, as
    /// [`EventRetry`] says.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    /// let scheduler = VirtualScheduler::new();
    /// let one = Buffer::new(1).on_overflow(Overflow::Reject);
    /// let retry = EventRetry::new(Retry::times(1).fixed(Duration::from_millis(10))).buffer(one).stage("look up");
    /// let failed = scheduler
    ///     .on(Local::from_iter(["a", "b"]))
    ///     .try_map_with_retry_with(retry, |_| Err::<(), _>(Reason::other("busy")))
    ///     .map(|result| result.unwrap_err().to_string());
    /// let seen = record(failed);
    /// scheduler.advance_by(Duration::from_millis(10));
    /// assert_eq!(seen.items(), ["look up: busy", "look up: busy (after 2 attempts)"]); // no room for b
    /// ```
    fn try_map_with_retry_with<F, I, T, K>(
        self,
        retry: EventRetry<K>,
        f: F,
    ) -> Self::With<TimedApply<Self::Inner, TryMapWithRetry<F, I, T, K>, I, Result<T, Rejected<I>>, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> Result<T, Reason>,
        K: OrderKey<I>,
    {
        self.transform(|source| TimedApply::new(source, TryMapWithRetry::new(retry, f)))
    }

    /// [`try_map_with_retry`](Self::try_map_with_retry) with an asynchronous `f`: at most `concurrency` of its futures run
    /// at once, polled by one task of the scheduler. An item that waits for its next attempt takes no place among them.
    ///
    /// ```text
    /// --ab------|
    ///   try_map_async_with_retry(2, no retry, a takes 4, b takes 1)
    /// ----b-a---|
    /// ```
    /// - Results come as they settle, one for each item, as in `try_map_with_retry`. `f` sees the item by reference and
    ///   gives a future of its own, so that a failure keeps the item. A panic in `f` or in the future is a failure that
    ///   is not tried again.
    /// - It holds `concurrency` items and the default [`Buffer`](crate::Buffer) of those that wait: to be begun, or to be
    ///   tried again. The source never waits.
    /// - When the source completes, all that has come is tried to its end; then it completes. When the source fails,
    ///   nothing more is begun: what runs is finished, what waits goes on as [`Rejected`] with its last reason (or that
    ///   it was not tried, with 0 attempts), then the error.
    /// - Unsubscribed, it drops the futures where the task runs.
    ///
    /// ```
    /// use rxevents::{prelude::*, rx::scheduler::SleepProvider, testing::{VirtualScheduler, record}};
    /// use std::{num::NonZeroUsize, time::Duration};
    /// let scheduler = VirtualScheduler::new();
    /// let (clock, two) = (scheduler.clone(), NonZeroUsize::new(2).unwrap());
    /// let policy = Retry::times(3).fixed(Duration::from_millis(100));
    /// let asked = scheduler.on(Local::from_iter([30, 20, 10])).try_map_async_with_retry(two, policy, move |ms| {
    ///     let (ms, answer) = (*ms, clock.sleep(Duration::from_millis(*ms)));
    ///     async move {
    ///         answer.await;
    ///         Ok(ms)
    ///     }
    /// });
    /// let seen = record(asked.map(|answer| answer.unwrap_or(0)));
    /// scheduler.advance_by(Duration::from_millis(30));
    /// assert_eq!(seen.items(), [20, 30, 10]);
    /// ```
    fn try_map_async_with_retry<F, Fut, I, T>(
        self,
        concurrency: NonZeroUsize,
        policy: Retry<Reason>,
        f: F,
    ) -> Self::With<TryMapAsync<Self::Inner, F, I, Fut, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> Fut,
        Fut: Future<Output = Result<T, Reason>> + 'static,
    {
        let retry = EventRetry::new(policy).stage("try_map_async_with_retry");
        self.try_map_async_with_retry_with(concurrency, retry, f)
    }

    /// As [`try_map_async_with_retry`](Self::try_map_async_with_retry), in the order of the source: what has settled
    /// waits for those before it, and counts as held until then.
    ///
    /// ```text
    /// --ab------|
    ///   try_map_async_with_retry_ordered(2, no retry, a takes 3, b takes 1)
    /// -----(ab)-|
    /// ```
    fn try_map_async_with_retry_ordered<F, Fut, I, T>(
        self,
        concurrency: NonZeroUsize,
        policy: Retry<Reason>,
        f: F,
    ) -> Self::With<TryMapAsync<Self::Inner, F, I, Fut, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> Fut,
        Fut: Future<Output = Result<T, Reason>> + 'static,
    {
        let retry = EventRetry::new(policy).ordered().stage("try_map_async_with_retry");
        self.try_map_async_with_retry_with(concurrency, retry, f)
    }

    /// [`try_map_async_with_retry`](Self::try_map_async_with_retry) with a stage, an order, a bound and a policy of your
    /// own.
    ///
    /// An item that arrives when `concurrency` items and as many as the [buffer](EventRetry::buffer) are held finds no
    /// room. With [`Overflow::Reject`](crate::Overflow::Reject) it is [`Rejected`] at once, with 0 attempts, before any
    /// that is held; with [`Overflow::DropOldest`](crate::Overflow::DropOldest), the one that is due first is dropped,
    /// else the first that has not begun, else itself.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::num::NonZeroUsize;
    /// let scheduler = VirtualScheduler::new();
    /// let one = Buffer::new(1).on_overflow(Overflow::Reject);
    /// let retry = EventRetry::new(Retry::times(0)).buffer(one).stage("ask").ordered();
    /// let asked = scheduler
    ///     .on(Local::from_iter(["a", "b", "c"]))
    ///     .try_map_async_with_retry_with(NonZeroUsize::MIN, retry, |text| std::future::ready(Ok(*text)))
    ///     .map(|result| result.map_or_else(|rejected| rejected.to_string(), str::to_owned));
    /// let seen = record(asked);
    /// scheduler.run_ready();
    /// assert_eq!(seen.items(), ["ask: no room left: the capacity is 1 events", "a", "b"]);
    /// ```
    fn try_map_async_with_retry_with<F, Fut, I, T, K>(
        self,
        concurrency: NonZeroUsize,
        retry: EventRetry<K>,
        f: F,
    ) -> Self::With<TryMapAsync<Self::Inner, F, I, Fut, T, Self::Err, K>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: OrderKey<I>,
        F: FnMut(&I) -> Fut,
        Fut: Future<Output = Result<T, Reason>> + 'static,
    {
        self.transform(|source| TryMapAsync::new(source, f, concurrency, retry))
    }

    /// Each item if its [`validator`] rules hold, else [`Rejected`] with the violated fields. The stage is
    /// `"validate"`.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use validator::Validate;
    /// #[derive(Debug, Validate)]
    /// struct Order {
    ///     #[validate(range(min = 1))]
    ///     quantity: i32,
    /// }
    /// let mut good = vec![];
    /// Local::from_iter([Order { quantity: 2 }, Order { quantity: 0 }])
    ///     .validate()
    ///     .route_failures(observer(|r: Rejected<Order>| assert_eq!(r.reason.violations()[0].path, "quantity")))
    ///     .subscribe(|order| good.push(order.quantity));
    /// assert_eq!(good, [2]);
    /// ```
    fn validate<I>(self) -> Self::With<Apply<Self::Inner, ValidateItems, I, Result<I, Rejected<I>>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        I: Validate,
    {
        self.transform(|source| Apply::new(source, ValidateItems))
    }

    /// Each item's payload read as JSON into a `T`, else [`Rejected`] with the place and the cause. The stage is
    /// `"decode_json"`.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut good = vec![];
    /// let queue = MemoryQueue::new(10);
    /// Local::from_iter(["[1,2]", "[1,"])
    ///     .decode_json::<Vec<u8>, _>()
    ///     .dead_letter(queue.clone())
    ///     .subscribe(|v| good.push(v));
    /// assert_eq!(good, [vec![1, 2]]);
    /// assert_eq!(queue.letters()[0].payload, b"[1,");
    /// ```
    fn decode_json<T, I>(self) -> Self::With<Apply<Self::Inner, DecodeJson, I, Result<T, Rejected<I>>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        I: Payload,
        T: DeserializeOwned,
    {
        self.transform(|source| Apply::new(source, DecodeJson))
    }

    /// The good values; each [`Rejected`] becomes a [`DeadLetter`](crate::dead_letter::DeadLetter) in `queue`, which
    /// is flushed when the stream ends. A queue that cannot store a letter ends the stream with
    /// [`StreamError::DeadLetter`](crate::StreamError::DeadLetter), which holds the letter.
    ///
    /// The failed item is dropped when its letter is stored. One that [acknowledges](Payload::acknowledges) at its source is
    /// kept until the letter is durable, at most 1,024 of them: then the queue is flushed. When a letter is not stored, or
    /// not flushed, its item is [abandoned](crate::delivery).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let queue = MemoryQueue::new(100);
    /// let mut good = vec![];
    /// Local::from_iter(["1", "x"])
    ///     .try_map_stage("parse", |s| s.parse::<i32>().map_err(Reason::other))
    ///     .dead_letter(queue.clone())
    ///     .subscribe(|v| good.push(v));
    /// assert_eq!(good, [1]);
    /// assert_eq!(queue.letters()[0].stage, "parse");
    /// ```
    fn dead_letter<Q, I, T>(
        self,
        queue: Q,
    ) -> Self::With<Apply<Self::Inner, DeadLetters<Q, Self::Scheduler, I>, Result<T, Rejected<I>>, T>>
    where
        Self: for<'a> Observable<Item<'a> = Result<T, Rejected<I>>>,
        Q: DeadLetterQueue,
        I: Payload,
        Self::Scheduler: Clock,
    {
        let clock = self.scheduler().clone();
        self.transform(|source| Apply::new(source, DeadLetters::new(queue, clock, NoPolicy)))
    }

    /// [`dead_letter`](Self::dead_letter) with a policy: how many events may fail, what is kept of them, and whether to push
    /// again what the queue has refused.
    ///
    /// ```text
    /// a-X-b-Y-Z-c-|
    ///   dead_letter_with(queue, max_consecutive(1))
    /// a---b---#
    /// ```
    /// Past a limit the stream ends with [`StreamError::Poisoned`](crate::StreamError::Poisoned) *before* the letter is
    /// stored: it is in the error, and its item is [abandoned](crate::delivery), so that a source which can will send it
    /// again. A push stream cannot pause by itself; its end can be waited out: `retry_with` and a delay, over a source
    /// that goes on where it was, is a pause. Each subscription counts anew, so each takes as many letters at most.
    ///
    /// ```
    /// use rxevents::{dead_letter::DeadLetterPolicy, prelude::*};
    /// let queue = MemoryQueue::new(100);
    /// let policy = DeadLetterPolicy::new().max_consecutive(2);
    /// let counts = policy.counts();
    /// Local::from_iter(["1", "x", "2", "x", "x", "x", "x"])
    ///     .stream_error()
    ///     .try_map(|s| s.parse::<i32>().map_err(Reason::decode))
    ///     .dead_letter_with(queue.clone(), policy)
    ///     .on_error_route(observer(|error| match error {
    ///         StreamError::Poisoned(poisoned) => assert_eq!(poisoned.letter.payload, b"x"),
    ///         other => panic!("{other}"),
    ///     }))
    ///     .subscribe(|_| {});
    /// assert_eq!((counts.valid(), counts.invalid(), counts.poisoned(), queue.len()), (2, 4, 1, 3));
    /// ```
    fn dead_letter_with<Q, I, T>(
        self,
        queue: Q,
        policy: DeadLetterPolicy,
    ) -> Self::With<Apply<Self::Inner, DeadLetters<Q, Self::Scheduler, I, Watched>, Result<T, Rejected<I>>, T>>
    where
        Self: for<'a> Observable<Item<'a> = Result<T, Rejected<I>>>,
        Q: DeadLetterQueue,
        I: Payload,
        Self::Scheduler: Clock,
    {
        let clock = self.scheduler().clone();
        self.transform(|source| Apply::new(source, DeadLetters::new(queue, clock, Watched::new(policy))))
    }

    /// The good values; each failure goes to `failures`, which is completed when the stream ends.
    fn route_failures<D, T, F>(
        self,
        failures: D,
    ) -> Self::With<Apply<Self::Inner, RouteFailures<D, F>, Result<T, F>, T>>
    where
        Self: for<'a> Observable<Item<'a> = Result<T, F>>,
        D: Observer<F, Infallible>,
    {
        self.transform(|source| Apply::new(source, RouteFailures::new(failures)))
    }
}

impl<S: Observable + 'static> ValidateOps for S {}
