use std::{num::NonZeroUsize, time::Duration};

use super::{Only, Pace, Rack};
use crate::{
    operator::timed::Time,
    time::{Clock, Grid},
};

/// What becomes of the time when a buffer or a window ends because it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// The next one begins with the next item, and its time with it.
    #[default]
    Restart,
    /// The next one begins at once; the time runs on, and ends it where it would have ended the full one.
    Fixed,
}

/// See [`window_time`](super::WindowOps::window_time) and [`window_time_max`](super::WindowOps::window_time_max).
#[derive(Debug, Clone)]
pub struct ByTime {
    grid: Grid,
    deadline: Duration,
    len: usize,
    max: NonZeroUsize,
    when_full: WhenFull,
    /// It was full: the next one begins with the next item.
    parked: bool,
}

impl ByTime {
    pub(super) fn new(span: Duration, max: usize, when_full: WhenFull) -> Self {
        let max = NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN);
        Self { grid: Grid::new(span), deadline: Duration::MAX, len: 0, max, when_full, parked: false }
    }

    fn begin<I, R: Rack<I>, S: Clock>(&mut self, deadline: Duration, rack: &mut R, time: &Time<S>) {
        self.len = 0;
        self.deadline = deadline;
        time.arm(deadline);
        rack.open();
    }

    /// An item that comes at the end of the time, or after it because the timer is late, is not of that time.
    #[inline]
    fn end_if_over<I, R: Rack<I>, S: Clock>(&mut self, rack: &mut R, time: &Time<S>) {
        let now = time.now();
        if self.parked || now < self.deadline {
            return;
        }
        rack.close_oldest();
        let deadline = self.grid.after(now);
        self.begin(deadline, rack, time);
    }

    #[cold]
    fn full<I, R: Rack<I>, S: Clock>(&mut self, rack: &mut R, time: &Time<S>) {
        rack.close_oldest();
        self.len = 0;
        match self.when_full {
            WhenFull::Restart => {
                self.parked = true;
                time.disarm();
            }
            WhenFull::Fixed => {
                rack.open();
            }
        }
    }
}

impl<I> Pace<I> for ByTime {
    const TIMED: bool = true;

    fn start<R: Rack<I>, S: Clock>(&mut self, rack: &mut R, time: &Time<S>) {
        let deadline = self.grid.start(time.now());
        self.begin(deadline, rack, time);
    }

    #[inline]
    fn next<R: Rack<I>, S: Clock>(&mut self, item: I, rack: &mut R, time: &Time<S>) {
        if self.parked {
            self.parked = false;
            let deadline = self.grid.start(time.now());
            self.begin(deadline, rack, time);
        } else {
            self.end_if_over(rack, time);
        }
        rack.put::<Only>(item);
        self.len += 1;
        if self.len >= self.max.get() {
            self.full(rack, time);
        }
    }

    fn tick<R: Rack<I>, S: Clock>(&mut self, rack: &mut R, time: &Time<S>) {
        self.end_if_over(rack, time);
        if !self.parked {
            time.arm(self.deadline);
        }
    }
}
