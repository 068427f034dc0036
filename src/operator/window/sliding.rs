use crate::operator::apply::{Emit, Kernel};

/// See [`sliding`](super::WindowOps::sliding).
#[derive(Clone)]
pub struct Sliding<I, F> {
    count: usize,
    step: usize,
    /// The window is what begins at `start`: always in one piece, as what is before it is cleared away once in about
    /// `count` items.
    items: Vec<I>,
    start: usize,
    /// How many items are left out before the next window starts.
    gap: usize,
    f: F,
}

impl<I, F> Sliding<I, F> {
    pub(super) fn new(count: usize, step: usize, f: F) -> Self {
        let count = count.max(1);
        let items = Vec::with_capacity(count.saturating_mul(2).min(super::RESERVE));
        Self { count, step: step.max(1), items, start: 0, gap: 0, f }
    }

    #[inline]
    fn advance(&mut self) {
        if self.step < self.count {
            self.start += self.step;
        } else {
            self.items.clear();
            self.start = 0;
            self.gap = self.step - self.count;
        }
    }
}

impl<I, U, F: FnMut(&[I]) -> U> Kernel<I, U> for Sliding<I, F> {
    const NAME: &'static str = "sliding";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<U> {
        if self.gap > 0 {
            self.gap -= 1;
            return Emit::Skip;
        }
        // A window that is not full is shorter than `count`: more than half of the items are before it.
        if self.items.len() == self.count.saturating_mul(2) {
            self.items.drain(..self.start);
            self.start = 0;
        }
        self.items.push(item);
        if self.items.len() - self.start < self.count {
            return Emit::Skip;
        }
        let out = (self.f)(self.items.get(self.start..).unwrap_or_default());
        self.advance();
        Emit::Item(out)
    }
}
