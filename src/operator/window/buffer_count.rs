use super::RESERVE;
use crate::operator::apply::{Emit, Kernel};

/// See [`buffer_count`](super::WindowOps::buffer_count).
#[derive(Clone)]
pub struct BufferCount<I> {
    count: usize,
    items: Vec<I>,
}

impl<I> BufferCount<I> {
    pub(super) fn new(count: usize) -> Self {
        let count = count.max(1);
        Self { count, items: Vec::with_capacity(count.min(RESERVE)) }
    }
}

impl<I> Kernel<I, Vec<I>> for BufferCount<I> {
    const NAME: &'static str = "buffer_count";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<Vec<I>> {
        self.items.push(item);
        if self.items.len() < self.count {
            return Emit::Skip;
        }
        let next = Vec::with_capacity(self.count.min(RESERVE));
        Emit::Item(std::mem::replace(&mut self.items, next))
    }

    fn finish(&mut self) -> Option<Vec<I>> {
        let rest = std::mem::take(&mut self.items);
        if rest.is_empty() { None } else { Some(rest) }
    }
}
