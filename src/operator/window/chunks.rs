use crate::operator::apply::{Emit, Kernel};

/// See [`chunks`](super::WindowOps::chunks).
#[derive(Clone)]
pub struct Chunks<I, F> {
    count: usize,
    items: Vec<I>,
    f: F,
}

impl<I, F> Chunks<I, F> {
    pub(super) fn new(count: usize, f: F) -> Self {
        let count = count.max(1);
        Self { count, items: Vec::with_capacity(count.min(super::RESERVE)), f }
    }

    #[inline(always)]
    fn close<U>(&mut self) -> U
    where
        F: FnMut(&[I]) -> U,
    {
        let out = (self.f)(&self.items);
        self.items.clear();
        out
    }
}

impl<I, U, F: FnMut(&[I]) -> U> Kernel<I, U> for Chunks<I, F> {
    const NAME: &'static str = "chunks";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<U> {
        self.items.push(item);
        if self.items.len() < self.count { Emit::Skip } else { Emit::Item(self.close()) }
    }

    fn finish(&mut self) -> Option<U> {
        if self.items.is_empty() { None } else { Some(self.close()) }
    }
}
