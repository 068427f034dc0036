use std::marker::PhantomData;

use super::{Deal, Pace, Rack};
use crate::{operator::timed::Time, time::Clock};

/// See [`window_count`](super::WindowOps::window_count) and
/// [`window_count_skip`](super::WindowOps::window_count_skip).
#[derive(Clone)]
pub struct ByCount<D> {
    count: u64,
    skip: u64,
    seen: u64,
    deal: PhantomData<D>,
}

impl<D> ByCount<D> {
    pub(super) fn new(count: usize, skip: usize) -> Self {
        Self { count: count.max(1) as u64, skip: skip.max(1) as u64, seen: 0, deal: PhantomData }
    }
}

impl<I, D: Deal<I>> Pace<I> for ByCount<D> {
    const TIMED: bool = false;

    #[inline(always)]
    fn next<R: Rack<I>, S: Clock>(&mut self, item: I, rack: &mut R, _time: &Time<S>) {
        if self.seen.is_multiple_of(self.skip) {
            rack.open();
        }
        rack.put::<D>(item);
        self.seen += 1;
        // The oldest began `count` items ago.
        if self.seen.checked_sub(self.count).is_some_and(|begin| begin.is_multiple_of(self.skip)) {
            rack.close_oldest();
        }
    }
}
