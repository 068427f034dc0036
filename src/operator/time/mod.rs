//! Operators that move items in time or to another thread.

mod delay;
mod observe_on;
mod timeout;
mod timeout_with;

pub use delay::*;
pub use observe_on::*;
pub use timeout::*;
pub use timeout_with::*;

use std::time::Duration;

use rxrust::observable::Observable;

use super::{Events, timed::TimedApply};
use crate::buffer::Buffer;

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

    /// Delivers on `scheduler`: items cross through a bounded queue, in order, the end after them (ReactiveX
    /// `observeOn`).
    ///
    /// The consuming task takes all that is there at once and is woken only when it sleeps. Memory: the default
    /// [`Buffer`]; use [`observe_on_with`](Self::observe_on_with) and [`Overflow::Block`](crate::Overflow::Block) to
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
}

impl<S: Observable + 'static> TimeOps for S {}
