//! Operators that thin out a stream.

mod debounce;
mod sample;
mod throttle_first;
mod throttle_latest;

pub use debounce::*;
pub use sample::*;
pub use throttle_first::*;
pub use throttle_latest::*;

use std::time::Duration;

use rxrust::observable::Observable;

use super::{Events, apply::Apply, timed::TimedApply};

/// Operators that thin out a stream. What they leave out is dropped by the policy that is their name.
///
/// Each has at most one timer per subscription, which ends with it.
pub trait RateOps: Observable + 'static {
    /// The first item, and then one each time at least `window` after the last that passed (ReactiveX
    /// `throttleFirst`), on the scheduler's time.
    ///
    /// ```text
    /// -1-2---3-4-5---|
    ///   throttle_first(4)
    /// -1-----3-----5-|       (5: four after 3 or later)
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
    ) -> Self::With<Apply<Self::Inner, ThrottleFirst<Self::Scheduler>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scheduler: crate::time::Clock,
    {
        let clock = self.scheduler().clone();
        self.transform(|source| Apply::new(source, ThrottleFirst::new(clock, window)))
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
    ) -> Self::With<Apply<Self::Inner, ThrottleFirstBy<F, W, Time>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> Time,
        Time: EventTime<W>,
    {
        self.transform(|source| Apply::new(source, ThrottleFirstBy::new(window, time)))
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
    ) -> Self::With<TimedApply<Self::Inner, ThrottleLatest<I>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| TimedApply::new(source, ThrottleLatest::new(window)))
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
    ) -> Self::With<TimedApply<Self::Inner, Debounce<I>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| TimedApply::new(source, Debounce::new(silence)))
    }

    /// The latest item of each `period`, where there is a new one (ReactiveX `sample`). When the source completes,
    /// what waits is dropped, as ReactiveX says.
    ///
    /// ```text
    /// -1-2-----3---|
    ///   sample(4)
    /// ----2-------3|
    /// ```
    /// The periods lie on a grid that starts with the subscription. Memory: one item, one timer.
    fn sample<I>(self, period: Duration) -> Self::With<TimedApply<Self::Inner, Sample<I>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| TimedApply::new(source, Sample::new(period)))
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
    ) -> Self::With<SampleWith<Self::Inner, N::Inner, T, U, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        N: Events<U, Self::Err>,
    {
        self.transform(|source| SampleWith::new(source, notifier.into_inner()))
    }
}

impl<S: Observable + 'static> RateOps for S {}
