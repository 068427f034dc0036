use std::{collections::VecDeque, time::Duration};

use super::{Each, Pace, Rack};
use crate::{
    operator::timed::Time,
    time::{Clock, deadline},
};

/// See [`window_time_shift`](super::WindowOps::window_time_shift).
#[derive(Debug, Clone)]
pub struct ByTimeShift {
    span: Duration,
    shift: Duration,
    /// When the next one begins.
    next: Duration,
    /// When those that are open end.
    ends: VecDeque<Duration>,
}

impl ByTimeShift {
    pub(super) fn new(span: Duration, shift: Duration) -> Self {
        let span = span.max(Duration::from_nanos(1));
        let shift = if shift.is_zero() { span } else { shift };
        Self { span, shift, next: Duration::ZERO, ends: VecDeque::new() }
    }

    /// Ends what is over at `now`, begins what has begun, in the order of time.
    fn advance<I, R: Rack<I>>(&mut self, now: Duration, rack: &mut R) {
        while self.ends.front().is_some_and(|end| *end <= now) {
            self.ends.pop_front();
            rack.close_oldest();
        }
        self.skip_missed(now);
        while self.next <= now {
            let end = deadline(self.next, self.span);
            if end > now && rack.open().is_some() {
                self.ends.push_back(end);
            }
            match self.next.checked_add(self.shift) {
                Some(next) => self.next = next,
                None => return self.next = Duration::MAX,
            }
        }
    }

    /// Those that would have begun and ended meanwhile, without an item, are left out.
    fn skip_missed(&mut self, now: Duration) {
        let late = now.saturating_sub(self.next).saturating_sub(self.span).as_nanos();
        let nanos = (late / self.shift.as_nanos()).saturating_mul(self.shift.as_nanos());
        self.next = self.next.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
    }

    #[inline]
    fn due(&self) -> Duration {
        self.ends.front().map_or(self.next, |end| self.next.min(*end))
    }

    #[inline]
    fn advance_if_due<I, R: Rack<I>, S: Clock>(&mut self, rack: &mut R, time: &Time<S>) {
        let now = time.now();
        if now >= self.due() {
            self.advance(now, rack);
            time.arm(self.due());
        }
    }
}

impl<I: Clone> Pace<I> for ByTimeShift {
    const TIMED: bool = true;

    fn start<R: Rack<I>, S: Clock>(&mut self, rack: &mut R, time: &Time<S>) {
        self.next = time.now();
        self.advance_if_due(rack, time);
    }

    #[inline]
    fn next<R: Rack<I>, S: Clock>(&mut self, item: I, rack: &mut R, time: &Time<S>) {
        self.advance_if_due(rack, time);
        rack.put::<Each>(item);
    }

    fn tick<R: Rack<I>, S: Clock>(&mut self, rack: &mut R, time: &Time<S>) {
        self.advance_if_due(rack, time);
        time.arm(self.due());
    }
}
