use std::time::Duration;

/// Moments `period` apart, counted from a start: a tick that is late does not move those after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    period: Duration,
    start: Duration,
    ticks: u64,
}

impl Grid {
    /// A period of zero is taken as one nanosecond.
    pub(crate) fn new(period: Duration) -> Self {
        Self { period: period.max(Duration::from_nanos(1)), start: Duration::ZERO, ticks: 0 }
    }

    /// Begins now; the first moment.
    pub(crate) fn start(&mut self, now: Duration) -> Duration {
        self.start = now;
        self.ticks = 0;
        self.next()
    }

    /// The next moment, be it past or not.
    pub(crate) fn next(&mut self) -> Duration {
        self.ticks = self.ticks.saturating_add(1);
        self.at(self.ticks)
    }

    /// The first moment after `now`; those that were missed are skipped.
    pub(crate) fn after(&mut self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.start).as_nanos() / self.period.as_nanos();
        self.ticks = u64::try_from(passed).unwrap_or(u64::MAX).saturating_add(1);
        self.at(self.ticks)
    }

    fn at(&self, tick: u64) -> Duration {
        let nanos = self.period.as_nanos().saturating_mul(u128::from(tick));
        let since = u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos);
        self.start.saturating_add(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_late_tick_does_not_move_the_grid() {
        let mut grid = Grid::new(ms(100));
        assert_eq!(grid.start(ms(7)), ms(107));
        assert_eq!(grid.after(ms(107)), ms(207));
        assert_eq!(grid.after(ms(450)), ms(507));
        assert_eq!(grid.next(), ms(607));
    }

    #[test]
    fn no_period_is_too_short_or_too_long() {
        assert_eq!(Grid::new(Duration::ZERO).start(ms(1)), ms(1) + Duration::from_nanos(1));
        assert_eq!(Grid::new(Duration::MAX).start(ms(1)), Duration::MAX);
    }
}
