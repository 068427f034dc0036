use std::time::Duration;

use super::{Ignore, OnDropped};
use crate::{
    buffer::{Buffer, Drops},
    delivery::fate::abandoning,
    error::StreamError,
    held::Held,
    operator::{
        apply::Emit,
        timed::{Time, TimedKernel},
    },
    time::Clock,
};

/// How many items may pass in which time.
///
/// They pass at least `period / count` apart, so at most `count` in any period. With a [`burst`](Self::burst) of `n`, up to
/// `n` may follow at once after a pause, so at most `count + n - 1` in any period, and `count` a period in the long run.
/// Counted in whole numbers (the generic cell rate algorithm): nothing is rounded, nothing drifts.
///
/// ```
/// use rxevents::operator::rate::Quota;
/// use std::time::Duration;
/// let quota = Quota::new(100, Duration::from_secs(1)).burst(10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    count: u32,
    period: Duration,
    burst: u32,
}

impl Quota {
    /// At most `count` items (0 is taken as 1) in a `period`; one of zero limits nothing.
    pub const fn new(count: u32, period: Duration) -> Self {
        Self { count: if count == 0 { 1 } else { count }, period, burst: 1 }
    }

    /// How many may follow at once after a pause (0 is taken as 1); without this one.
    pub const fn burst(mut self, items: u32) -> Self {
        self.burst = if items == 0 { 1 } else { items };
        self
    }
}

/// What becomes of an item that comes before the quota allows it.
#[derive(Debug, Clone)]
pub enum Excess {
    /// It waits in this buffer until the quota allows it; all stay in order.
    Delay(Buffer),
    /// It is dropped and counted.
    Drop(Drops),
    /// The stream ends with [`StreamError::RateLimited`].
    Error,
}

/// The quota, and how much of it is used.
#[derive(Debug, Clone)]
struct Gcra {
    quota: Quota,
    /// When the quota were used up evenly, in nanoseconds times `count`: so that `period / count` is a whole number.
    due: u128,
}

impl Gcra {
    /// Whether an item may pass now; if not, when.
    #[inline]
    fn pass(&mut self, now: Duration) -> Result<(), Duration> {
        let Quota { count, period, burst } = self.quota;
        let (count, step) = (u128::from(count), period.as_nanos());
        let arrival = now.as_nanos().saturating_mul(count);
        let ahead = step.saturating_mul(u128::from(burst - 1));
        if self.due > arrival.saturating_add(ahead) {
            let nanos = (self.due - ahead).div_ceil(count);
            return Err(u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos));
        }
        self.due = self.due.max(arrival).saturating_add(step);
        Ok(())
    }
}

/// See [`rate_limit`](super::RateOps::rate_limit).
#[derive(Clone)]
pub struct RateLimit<I, D = Ignore> {
    gcra: Gcra,
    excess: Excess,
    on_dropped: D,
    waiting: Held<I>,
    ended: bool,
}

impl<I, D> RateLimit<I, D> {
    pub(super) fn new(quota: Quota, excess: Excess, on_dropped: D) -> Self {
        let gcra = Gcra { quota, due: 0 };
        Self { gcra, excess, on_dropped, waiting: Held::default(), ended: false }
    }
}

impl<I, D: OnDropped<I>> TimedKernel<I, I> for RateLimit<I, D> {
    const NAME: &'static str = "rate_limit";

    fn start<S: Clock>(&mut self, _time: &Time<S>) {
        if let Excess::Delay(buffer) = &self.excess {
            self.waiting = Held::open(buffer);
        }
    }

    #[inline]
    fn next<S: Clock>(&mut self, item: I, time: &Time<S>) -> Emit<I> {
        let at = if self.waiting.is_empty() {
            match self.gcra.pass(time.now()) {
                Ok(()) => return Emit::Item(item),
                Err(at) => Some(at),
            }
        } else {
            None
        };
        match &self.excess {
            Excess::Drop(drops) => {
                drops.add(1);
                self.on_dropped.dropped(item);
                Emit::Skip
            }
            Excess::Error => {
                let Quota { count, period, .. } = self.gcra.quota;
                abandoning(|| self.on_dropped.dropped(item));
                Emit::Fail(StreamError::RateLimited { count, period })
            }
            Excess::Delay(buffer) => {
                if let Some(at) = at {
                    time.arm(at);
                }
                match buffer.push(&mut self.waiting, item, Self::NAME) {
                    Ok(lost) => {
                        lost.each(|item| self.on_dropped.dropped(item));
                        Emit::Skip
                    }
                    Err((full, item)) => {
                        abandoning(|| self.abandon());
                        abandoning(|| self.on_dropped.dropped(item.value));
                        Emit::Fail(full.into())
                    }
                }
            }
        }
    }

    fn tick<S: Clock>(&mut self, time: &Time<S>) -> Emit<I> {
        if self.waiting.is_empty() {
            return Emit::Skip;
        }
        let now = time.now();
        if let Err(at) = self.gcra.pass(now) {
            time.arm(at);
            return Emit::Skip;
        }
        match self.waiting.pop_front() {
            Some(item) if self.waiting.is_empty() && self.ended => Emit::Last(item),
            Some(item) => {
                if !self.waiting.is_empty() {
                    // At once, if that is not yet: it says then when.
                    time.arm(now);
                }
                Emit::Item(item)
            }
            None => Emit::Skip,
        }
    }

    fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<I> {
        self.ended = true;
        if self.waiting.is_empty() { Emit::End } else { Emit::Skip }
    }

    fn abandon(&mut self) {
        if let Excess::Delay(buffer) = &self.excess {
            let left = buffer.abandon(&mut self.waiting);
            left.into_iter().for_each(|item| self.on_dropped.dropped(item));
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_is_no_whole_number_of_nanoseconds_does_not_drift() {
        let mut gcra = Gcra { quota: Quota::new(3, Duration::from_secs(1)), due: 0 };
        let (mut now, mut passed) = (Duration::from_nanos(1), 0);
        // An hour of items that come as fast as they may.
        while now < Duration::from_secs(3600) + Duration::from_nanos(1) {
            match gcra.pass(now) {
                Ok(()) => passed += 1,
                Err(at) => {
                    assert!(at > now);
                    now = at;
                }
            }
        }
        assert_eq!(passed, 3 * 3600);
    }

    #[test]
    fn no_number_is_too_large() {
        let mut gcra = Gcra { quota: Quota::new(u32::MAX, Duration::MAX).burst(u32::MAX), due: 0 };
        assert_eq!(gcra.pass(Duration::MAX), Ok(()));
        let mut gcra = Gcra { quota: Quota::new(1, Duration::MAX), due: 0 };
        assert_eq!(gcra.pass(Duration::ZERO), Ok(()));
        assert_eq!(gcra.pass(Duration::from_secs(1)), Err(Duration::MAX));
        let mut gcra = Gcra { quota: Quota::new(0, Duration::ZERO).burst(0), due: 0 };
        assert!((0..9).all(|_| gcra.pass(Duration::ZERO).is_ok()));
    }
}
