//! Event failures: what is wrong with one event, as a value that keeps the event; the stream goes on.

mod check;
mod dead_letter;
mod decode_json;
mod route_failures;
mod try_map;

pub use check::*;
pub use dead_letter::*;
pub use decode_json::*;
pub use route_failures::*;
pub use try_map::*;

use std::convert::Infallible;

use rxrust::{observable::Observable, observer::Observer};
use serde::de::DeserializeOwned;
use validator::Validate;

use super::apply::Apply;
use crate::{
    dead_letter::{DeadLetterQueue, Payload, Reason, Rejected},
    error::catch,
    time::Clock,
};

/// What `f` gives for an item; a panic in it is a failure of that item.
#[inline(always)]
fn attempt<T>(stage: &'static str, f: impl FnOnce() -> Result<T, Reason>) -> Result<T, Reason> {
    catch(stage, f).unwrap_or_else(|panic| Err(panic.into()))
}

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
    ) -> Self::With<Apply<Self::Inner, DeadLetters<Q, Self::Scheduler>, Result<T, Rejected<I>>, T>>
    where
        Self: for<'a> Observable<Item<'a> = Result<T, Rejected<I>>>,
        Q: DeadLetterQueue,
        I: Payload,
        Self::Scheduler: Clock,
    {
        let clock = self.scheduler().clone();
        self.transform(|source| Apply::new(source, DeadLetters::new(queue, clock)))
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
