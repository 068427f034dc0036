use std::time::Duration;

use rxrust::{context::Context, observable::Observable};

use super::{Acknowledger, CommitEvery, Delivery};
use crate::{
    dead_letter::{Reason, Rejected},
    operator::{
        Events,
        apply::{Apply, Emit, Kernel},
        timed::TimedApply,
    },
};

/// Operators on [deliveries](Delivery). All others take them as they are.
pub trait DeliveryOps: Observable + 'static {
    /// [`try_map`](crate::operator::validate::ValidateOps::try_map) of the values: what `f` makes of one carries its
    /// receipt on; where it fails, or panics, the delivery itself goes on as [`Rejected`], by `stage`.
    ///
    /// ```
    /// use rxevents::{delivery::MemoryPosition, prelude::*};
    ///
    /// let (letters, acks) = (MemoryQueue::new(10), Acknowledger::new("texts", MemoryPosition::default())?);
    /// let mut sum = 0;
    /// Local::from_iter_result(acks.deliver(["1", "x", "3"].into_iter()))
    ///     .try_map_value("parse", |text| text.parse::<i32>().map_err(Reason::decode))
    ///     .map_err(|error: StreamError| panic!("{error}"))
    ///     .route_failures(observer(|rejected: Rejected<Delivery<&str>>| {
    ///         assert_eq!((*rejected.item, &*rejected.stage), ("x", "parse"));
    ///         rejected.item.into_parts().1.dead_lettered();
    ///     }))
    ///     .subscribe(|number| sum += number.ack());
    /// assert_eq!((sum, acks.counts().delivered, acks.counts().dead_lettered), (4, 2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn try_map_value<F, I, T, E>(
        self,
        stage: &'static str,
        f: F,
    ) -> Self::With<
        Apply<
            <Self as Context>::Inner,
            TryMapValue<F>,
            Delivery<I>,
            Result<Delivery<T>, Rejected<Delivery<I>>>,
        >,
    >
    where
        Self: Events<Delivery<I>, E>,
        F: FnMut(&I) -> Result<T, Reason>,
    {
        self.transform(|source| Apply::new(source, TryMapValue { stage, f }))
    }

    /// Has a source commit by time, too: `period` after an item, and again while items come. Without it, it commits after
    /// [so many](super::AckPolicy::commit_every) that are done, and at its end; so a source that is slow for long would
    /// have much delivered again after a crash. Nothing is lost either way.
    ///
    /// ```text
    /// --a--b-----------c------|
    ///   commit_every(acks, 5ms)
    /// --a--b-----------c------|
    ///        ^ commits       ^
    /// ```
    /// A commit that fails ends the stream with [`StreamError::Delivery`](crate::StreamError::Delivery). Memory: one timer.
    ///
    /// ```
    /// use rxevents::{delivery::MemoryPosition, prelude::*, testing::VirtualScheduler};
    /// use std::time::Duration;
    ///
    /// let (time, position) = (VirtualScheduler::default(), MemoryPosition::default());
    /// let acks = Acknowledger::new("taps", position.clone())?;
    /// let mut taps = Local::subject::<Delivery<&str>, StreamError>();
    /// time.on(taps.clone())
    ///     .commit_every(&acks, Duration::from_secs(5))
    ///     .on_error_route(observer(|error: StreamError| panic!("{error}")))
    ///     .subscribe(|tap| _ = tap.ack());
    /// taps.next(acks.deliver(["once"].into_iter()).next().unwrap()?);
    /// assert_eq!(position.get(), None);
    /// time.advance_by(Duration::from_secs(5));
    /// assert_eq!(position.get().map(|at| at.lines), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn commit_every<I>(
        self,
        acks: &Acknowledger,
        period: Duration,
    ) -> Self::With<TimedApply<Self::Inner, CommitEvery, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        let kernel = CommitEvery::new(acks.clone(), period);
        self.transform(|source| TimedApply::new(source, kernel))
    }
}

impl<S: Observable + 'static> DeliveryOps for S {}

/// See [`try_map_value`](DeliveryOps::try_map_value).
#[derive(Clone)]
pub struct TryMapValue<F> {
    stage: &'static str,
    f: F,
}

impl<F, I, T> Kernel<Delivery<I>, Result<Delivery<T>, Rejected<Delivery<I>>>> for TryMapValue<F>
where
    F: FnMut(&I) -> Result<T, Reason>,
{
    const NAME: &'static str = "try_map_value";

    #[inline(always)]
    fn next(&mut self, item: Delivery<I>) -> Emit<Result<Delivery<T>, Rejected<Delivery<I>>>> {
        Emit::Item(item.try_map(self.stage, &mut self.f))
    }
}
