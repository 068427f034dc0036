use std::collections::VecDeque;

use crate::operator::apply::{Emit, Kernel};

/// See [`skip_last`](super::FilterOps::skip_last).
#[derive(Clone)]
pub struct SkipLast<I> {
    count: usize,
    items: VecDeque<I>,
}

impl<I> SkipLast<I> {
    pub(super) fn new(count: usize) -> Self {
        Self { count, items: VecDeque::new() }
    }
}

impl<I> Kernel<I, I> for SkipLast<I> {
    const NAME: &'static str = "skip_last";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        let oldest = if self.items.len() == self.count { self.items.pop_front() } else { None };
        match oldest {
            Some(oldest) => {
                self.items.push_back(item);
                Emit::Item(oldest)
            }
            None if self.count == 0 => Emit::Item(item),
            None => {
                self.items.push_back(item);
                Emit::Skip
            }
        }
    }
}
