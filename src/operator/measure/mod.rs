//! Operators that count and time what passes (feature `metrics`).

mod measured;

pub use measured::*;

use rxrust::observable::Observable;

/// Operators that count and time what passes, through the [`metrics`](crate::metrics::facade) facade. They change nothing
/// in the stream.
pub trait MeasureOps: Observable + 'static {
    /// Counts the items that come to `stage` ([`EVENTS`](crate::metrics::EVENTS)) and the errors that end the stream
    /// here ([`STREAM_ERRORS`](crate::metrics::STREAM_ERRORS)), and times what the chain below takes for each item
    /// ([`STAGE_SECONDS`](crate::metrics::STAGE_SECONDS)): from handing it down to the return of that call, in seconds,
    /// on the scheduler's clock.
    ///
    /// What an operator below puts into a queue (`observe_on`, `delay`) is later work and not in that time. An item whose
    /// handling panics is counted and not timed; the panic is no error at this stage, which is above it. The handles are
    /// registered when the stream is subscribed. Holds nothing; per item two looks at the clock and no allocation of its
    /// own. Items that arrive together ([`batched`](super::batch::BatchOps::batched)) are handed on one by one, to time
    /// each.
    ///
    /// ```
    /// use rxevents::{metrics::{EVENTS, prometheus}, prelude::*};
    ///
    /// let metrics = prometheus::Metrics::install()?; // before the pipelines
    /// Local::from_iter(1..=3).map(|n| n * 2).measured("doubled").subscribe(|_| {});
    /// assert!(metrics.render().contains(&format!("{EVENTS}{{stage=\"doubled\"}} 3")));
    /// # Ok::<(), prometheus::InstallError>(())
    /// ```
    fn measured<I>(self, stage: &'static str) -> Self::With<Measured<Self::Inner, Items, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Measured::new(source, stage))
    }

    /// [`measured`](Self::measured) where the items are results, as below [`try_map`](super::validate::ValidateOps::try_map)
    /// and the like: counts each `Err` ([`FAILURES`](crate::metrics::FAILURES)), too. It is an event as well, and timed:
    /// to store a dead letter takes time.
    ///
    /// ```
    /// use rxevents::{metrics::{FAILURES, prometheus}, prelude::*};
    ///
    /// let metrics = prometheus::Metrics::install()?;
    /// Local::from_iter(["1", "x", "3"])
    ///     .try_map(|text| text.parse::<u32>().map_err(Reason::other))
    ///     .measured_results("numbers")
    ///     .dead_letter(MemoryQueue::new(10))
    ///     .subscribe(|_| {});
    /// assert!(metrics.render().contains(&format!("{FAILURES}{{stage=\"numbers\"}} 1")));
    /// # Ok::<(), prometheus::InstallError>(())
    /// ```
    fn measured_results<T, R>(
        self,
        stage: &'static str,
    ) -> Self::With<Measured<Self::Inner, Results, Result<T, R>, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = Result<T, R>>,
    {
        self.transform(|source| Measured::new(source, stage))
    }
}

impl<S: Observable + 'static> MeasureOps for S {}
