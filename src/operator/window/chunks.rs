use std::mem;

use crate::operator::apply::{Emit, Kernel};

/// See [`chunks`](super::WindowOps::chunks).
#[derive(Clone)]
pub struct Chunks<I, F> {
    count: usize,
    /// This window, and behind it what is left of the one before, where dropping it would do nothing.
    items: Vec<I>,
    /// How many are of this window.
    at: usize,
    f: F,
}

impl<I, F> Chunks<I, F> {
    pub(super) fn new(count: usize, f: F) -> Self {
        let count = count.max(1);
        Self { count, items: Vec::with_capacity(count.min(super::RESERVE)), at: 0, f }
    }
}

impl<I, U, F: FnMut(&[I]) -> U> Kernel<I, U> for Chunks<I, F> {
    const NAME: &'static str = "chunks";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<U> {
        if mem::needs_drop::<I>() {
            self.items.push(item);
        } else {
            match self.items.get_mut(self.at) {
                Some(old) => *old = item,
                None => self.items = pushed(mem::take(&mut self.items), item),
            }
        }
        self.at += 1;
        if self.at < self.count {
            return Emit::Skip;
        }
        self.at = 0;
        let out = (self.f)(&self.items);
        if mem::needs_drop::<I>() {
            self.items.clear();
        }
        Emit::Item(out)
    }

    fn finish(&mut self) -> Option<U> {
        let left = self.items.get(..mem::take(&mut self.at)).unwrap_or_default();
        if left.is_empty() { None } else { Some((self.f)(left)) }
    }
}

/// Is given the vector as a value: so nothing that is kept from item to item need be in memory for it.
#[cold]
pub(super) fn pushed<I>(mut items: Vec<I>, item: I) -> Vec<I> {
    items.push(item);
    items
}
