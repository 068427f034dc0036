use crate::operator::apply::{Emit, Kernel};

/// See [`buffer_count`](super::WindowOps::buffer_count).
#[derive(Clone)]
pub struct BufferCount<I> {
    count: usize,
    items: Vec<I>,
}

impl<I> BufferCount<I> {
    pub(super) fn new(count: usize) -> Self {
        Self { count: count.max(1), items: Vec::new() }
    }
}

/// The most items that room is made for before they are there.
const RESERVE: usize = 1024;

impl<I> Kernel<I, Vec<I>> for BufferCount<I> {
    const NAME: &'static str = "buffer_count";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<Vec<I>> {
        if self.items.capacity() == 0 {
            self.items.reserve_exact(self.count.min(RESERVE));
        }
        self.items.push(item);
        if self.items.len() < self.count { Emit::Skip } else { Emit::Item(std::mem::take(&mut self.items)) }
    }

    fn finish(&mut self) -> Option<Vec<I>> {
        let rest = std::mem::take(&mut self.items);
        if rest.is_empty() { None } else { Some(rest) }
    }
}
