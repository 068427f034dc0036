//! How far event time has come.

use std::{fmt, sync::Arc, time::Duration};

use super::{Nanos, whole_nanos};

/// What an event means that is older than the newest by more than [`EventTime::regression`] allows: the clock of its
/// source was set back, or a recording starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Regression {
    /// The event is late, as any other behind the watermark.
    #[default]
    Late,
    /// Event time starts again with this event; what was held is closed first, as if the stream had ended there.
    Reset,
    /// The stream ends with [`StreamError::TimeRegression`](crate::StreamError::TimeRegression).
    Error,
}

/// How the events of a stream may be out of order.
///
/// ```
/// use rxevents::event_time::{EventTime, Regression};
/// use std::time::Duration;
///
/// let time = EventTime::disorder(Duration::from_secs(60)) // an event may be a minute older than the newest
///     .idle(Duration::from_secs(10)) // a source silent for that long is not waited for
///     .regression(Duration::from_secs(3600), Regression::Reset);
/// # let _ = time;
/// ```
#[derive(Clone, Default)]
pub struct EventTime {
    disorder: i64,
    idle: Option<Duration>,
    future: Option<Future>,
    regression: Option<(i64, Regression)>,
}

#[derive(Clone)]
struct Future {
    bound: i64,
    now: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl fmt::Debug for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventTime")
            .field("disorder", &self.disorder)
            .field("idle", &self.idle)
            .field("future", &self.future.as_ref().map(|future| future.bound))
            .field("regression", &self.regression)
            .finish()
    }
}

impl EventTime {
    /// Events come in order of time: the watermark is the newest time.
    pub fn in_order() -> Self {
        Self::default()
    }

    /// An event may be older than the newest by up to `bound`: the watermark is so far behind the newest.
    pub fn disorder(bound: Duration) -> Self {
        Self { disorder: whole_nanos(bound), ..Self::default() }
    }

    /// A partition (or a side of a join) silent for so long, by the scheduler's clock, is not waited for until it speaks.
    pub fn idle(self, after: Duration) -> Self {
        Self { idle: Some(after), ..self }
    }

    /// An event more than `bound` ahead of `now` is not believed: it moves no watermark, and goes where late events go.
    /// `now` is asked only by events newer than all before them; in production it is the system's clock.
    pub fn future_bound<N: Nanos>(
        self,
        bound: Duration,
        now: impl Fn() -> N + Send + Sync + 'static,
    ) -> Self {
        let now = Arc::new(move || now().nanos().unwrap_or(i64::MAX));
        Self { future: Some(Future { bound: whole_nanos(bound), now }), ..self }
    }

    /// What an event means that is more than `beyond` older than the newest.
    pub fn regression(self, beyond: Duration, policy: Regression) -> Self {
        Self { regression: Some((whole_nanos(beyond), policy)), ..self }
    }

    /// See [`idle`](Self::idle).
    pub fn idle_after(&self) -> Option<Duration> {
        self.idle
    }
}

/// What a clock makes of an event's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Not older than the watermark.
    OnTime,
    /// Older than the watermark, that many nanoseconds.
    Behind(u64),
    /// Too far ahead of the clock: [`EventTime::future_bound`]. The clock has not moved.
    Future,
    /// Too far behind: what the policy says. At a [`Regression::Reset`] the clock has started again with it; after the
    /// others it has not moved.
    Regressed(Regression),
}

/// The event time of one partition, or of one side of a join.
#[derive(Debug, Clone)]
pub struct EventClock {
    time: EventTime,
    newest: Option<i64>,
}

impl EventClock {
    /// Nothing has been seen.
    pub fn new(time: EventTime) -> Self {
        Self { time, newest: None }
    }

    /// An event of this time has come.
    #[inline]
    pub fn see(&mut self, at: i64) -> Seen {
        let Some(newest) = self.newest else { return self.advance(at) };
        if at > newest {
            return self.advance(at);
        }
        let behind = newest.abs_diff(at);
        match self.time.regression {
            Some((beyond, policy)) if behind > beyond.unsigned_abs() => {
                if policy == Regression::Reset {
                    self.newest = Some(at);
                }
                Seen::Regressed(policy)
            }
            _ => match behind.checked_sub(self.time.disorder.unsigned_abs()) {
                None | Some(0) => Seen::OnTime,
                Some(late) => Seen::Behind(late),
            },
        }
    }

    #[inline]
    fn advance(&mut self, at: i64) -> Seen {
        if let Some(future) = &self.time.future
            && at > (future.now)().saturating_add(future.bound)
        {
            return Seen::Future;
        }
        self.newest = Some(at);
        Seen::OnTime
    }

    /// No event older than this is waited for; `None` before the first.
    #[inline]
    pub fn watermark(&self) -> Option<i64> {
        self.newest.map(|newest| newest.saturating_sub(self.time.disorder))
    }

    /// The time of the newest event.
    #[inline]
    pub fn newest(&self) -> Option<i64> {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn at(n: i64) -> i64 {
        n * 1_000_000_000
    }

    #[test]
    fn the_watermark_is_behind_the_newest_by_the_disorder() {
        let mut clock = EventClock::new(EventTime::disorder(secs(10)));
        assert_eq!(clock.watermark(), None);
        assert_eq!(clock.see(at(100)), Seen::OnTime);
        assert_eq!(clock.watermark(), Some(at(90)));
        assert_eq!(clock.see(at(90)), Seen::OnTime); // exactly on it
        assert_eq!(clock.see(at(89)), Seen::Behind(1_000_000_000));
        assert_eq!(clock.watermark(), Some(at(90))); // never back
        assert_eq!(clock.newest(), Some(at(100)));
    }

    #[test]
    fn times_at_both_ends_do_not_overflow() {
        let mut clock = EventClock::new(EventTime::disorder(Duration::MAX));
        assert_eq!(clock.see(i64::MIN), Seen::OnTime);
        assert_eq!(clock.watermark(), Some(i64::MIN));
        assert_eq!(clock.see(i64::MAX), Seen::OnTime);
        assert_eq!(clock.see(i64::MIN), Seen::Behind(u64::MAX - i64::MAX as u64));
    }

    #[test]
    fn what_is_too_far_ahead_moves_nothing() {
        let time = EventTime::in_order().future_bound(secs(5), || at(100));
        let mut clock = EventClock::new(time);
        assert_eq!(clock.see(at(106)), Seen::Future);
        assert_eq!(clock.watermark(), None);
        assert_eq!(clock.see(at(105)), Seen::OnTime);
    }

    #[test]
    fn a_clock_set_back_does_what_the_policy_says() {
        for (policy, newest) in [(Regression::Late, 100), (Regression::Error, 100), (Regression::Reset, 0)] {
            let mut clock = EventClock::new(EventTime::in_order().regression(secs(50), policy));
            clock.see(at(100));
            assert_eq!(clock.see(at(50)), Seen::Behind(50_000_000_000)); // exactly the bound is none
            assert_eq!(clock.see(at(0)), Seen::Regressed(policy));
            assert_eq!(clock.newest(), Some(at(newest)));
        }
    }
}
