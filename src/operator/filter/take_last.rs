use std::collections::VecDeque;

use crate::operator::apply::{Emit, Kernel};

/// See [`take_last`](super::FilterOps::take_last).
#[derive(Clone)]
pub struct TakeLast<I> {
    count: usize,
    items: VecDeque<I>,
}

impl<I> TakeLast<I> {
    pub(super) fn new(count: usize) -> Self {
        Self { count, items: VecDeque::new() }
    }
}

impl<I> Kernel<I, I> for TakeLast<I> {
    const NAME: &'static str = "take_last";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        if self.items.len() == self.count {
            self.items.pop_front();
        }
        if self.items.len() < self.count {
            self.items.push_back(item);
        }
        Emit::Skip
    }

    fn finish(&mut self) -> Option<I> {
        self.items.pop_front()
    }

    fn finish_rest(&mut self) -> Option<I> {
        self.items.pop_front()
    }
}
