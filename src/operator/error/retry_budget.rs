use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::time::Sliding;

/// Bounds the retries of one stage, or of several, to a part of their events: so that an outage is not made worse by
/// three times the load. Clones are handles of the same budget (the idea is that of Finagle and of `tower`).
///
/// Over the last `ttl` there may be `ratio` retries for each event, and `min_per_second` more each second, in whatever way
/// they are spread over that time. One that goes beyond is refused: the event is given up with what it failed with. Time
/// is that of the scheduler.
///
/// An event costs one atomic addition. Its place in time is known to a tenth of `ttl`: what happened between two retries
/// is taken as evenly spread.
///
/// ```
/// use rxevents::prelude::*;
/// use std::time::Duration;
///
/// // For each 10 events one retry; 2 a second besides.
/// let budget = RetryBudget::new(0.1, 2, Duration::from_secs(10));
/// let policy: Retry<Reason> = Retry::times(5).fixed(Duration::from_millis(100)).budget(budget.clone());
/// # let _ = policy;
/// assert_eq!((budget.granted(), budget.refused()), (0, 0));
/// ```
#[derive(Debug, Clone)]
pub struct RetryBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ratio: f64,
    reserve: f64,
    /// Those that are not in the balance yet.
    events: AtomicU64,
    granted: AtomicU64,
    refused: AtomicU64,
    /// How many retries the last events allow, less those that were made.
    balance: Mutex<Sliding<1>>,
}

impl RetryBudget {
    /// `ratio` retries for each event (0.1: one for ten; what is no number is taken as none, at most 1,000) and
    /// `min_per_second` more, both over the last `ttl`.
    pub fn new(ratio: f64, min_per_second: u32, ttl: Duration) -> Self {
        let ratio = if ratio.is_nan() { 0.0 } else { ratio.clamp(0.0, 1000.0) };
        Self(Arc::new(Shared {
            ratio,
            reserve: f64::from(min_per_second) * ttl.as_secs_f64(),
            events: AtomicU64::new(0),
            granted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            balance: Mutex::new(Sliding::new(ttl)),
        }))
    }

    /// How many retries it has granted.
    pub fn granted(&self) -> u64 {
        self.0.granted.load(Ordering::Relaxed)
    }

    /// How many retries it has refused.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self, now: Duration) {
        self.0.balance.lock().unwrap_or_else(PoisonError::into_inner).begin(now);
    }

    /// An event, at its first attempt.
    #[inline]
    pub(crate) fn event(&self) {
        self.0.events.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there may be a retry now.
    pub(crate) fn withdraw(&self, now: Duration) -> bool {
        let Shared { ratio, reserve, events, granted, refused, balance } = &*self.0;
        let mut balance = balance.lock().unwrap_or_else(PoisonError::into_inner);
        balance.spread(now, 0, ratio * events.swap(0, Ordering::Relaxed) as f64);
        // Ten times a tenth is one.
        let enough = reserve + balance.sum(0) >= 1.0 - 1e-9;
        if enough {
            balance.add(now, 0, -1.0);
        }
        let count = if enough { granted } else { refused };
        count.fetch_add(1, Ordering::Relaxed);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_part_of_the_events() {
        let budget = RetryBudget::new(0.1, 0, 10 * SECOND);
        budget.begin(100 * SECOND);
        assert!(!budget.withdraw(100 * SECOND));
        (0..20).for_each(|_| budget.event());
        let now = 101 * SECOND;
        assert_eq!([(); 3].map(|()| budget.withdraw(now)), [true, true, false]);
        assert_eq!((budget.granted(), budget.refused()), (2, 2));
        // What was not used is lost with its time.
        (0..20).for_each(|_| budget.event());
        assert!(budget.withdraw(102 * SECOND));
        assert!(!budget.withdraw(120 * SECOND));
    }

    #[test]
    fn some_each_second_besides() {
        let budget = RetryBudget::new(0.0, 2, 5 * SECOND);
        let at = |now| (0..20).filter(|_| budget.withdraw(now)).count();
        assert_eq!(at(1000 * SECOND), 10);
        assert_eq!(at(1001 * SECOND), 0);
        assert_eq!(at(1006 * SECOND), 10);
    }

    #[test]
    fn no_number_is_no_retry() {
        let budget = RetryBudget::new(f64::NAN, 0, Duration::ZERO);
        budget.event();
        assert!(!budget.withdraw(SECOND));
        let most = RetryBudget::new(f64::INFINITY, u32::MAX, Duration::MAX);
        most.event();
        assert!(most.withdraw(Duration::MAX));
    }
}
