use std::collections::VecDeque;

use crate::operator::apply::{Emit, Kernel};

/// See [`buffer_count_skip`](super::WindowOps::buffer_count_skip).
#[derive(Clone)]
pub struct BufferCountSkip<I> {
    count: usize,
    skip: usize,
    /// The items since the start of the oldest open partition.
    items: VecDeque<I>,
    /// How many items are left out before the next partition starts.
    gap: usize,
}

impl<I> BufferCountSkip<I> {
    pub(super) fn new(count: usize, skip: usize) -> Self {
        let count = count.max(1);
        let items = VecDeque::with_capacity(count.min(super::RESERVE));
        Self { count, skip: skip.max(1), items, gap: 0 }
    }
}

impl<I: Clone> BufferCountSkip<I> {
    /// The oldest open partition. Its items before the start of the next one are moved into it, the others cloned.
    fn close(&mut self) -> Vec<I> {
        let mut partition = Vec::with_capacity(self.items.len());
        let own = self.skip.min(self.items.len());
        partition.extend(self.items.drain(..own));
        partition.extend(self.items.iter().cloned());
        partition
    }
}

impl<I: Clone> Kernel<I, Vec<I>> for BufferCountSkip<I> {
    const NAME: &'static str = "buffer_count_skip";

    #[inline]
    fn next(&mut self, item: I) -> Emit<Vec<I>> {
        if self.gap > 0 {
            self.gap -= 1;
            return Emit::Skip;
        }
        self.items.push_back(item);
        if self.items.len() < self.count {
            return Emit::Skip;
        }
        self.gap = self.skip.saturating_sub(self.count);
        Emit::Item(self.close())
    }

    fn finish(&mut self) -> Option<Vec<I>> {
        if self.items.is_empty() { None } else { Some(self.close()) }
    }

    fn finish_rest(&mut self) -> Option<Vec<I>> {
        self.finish()
    }
}
