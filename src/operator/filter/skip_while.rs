use crate::operator::apply::{Emit, Kernel};

/// See [`skip_while`](super::FilterOps::skip_while).
#[derive(Clone)]
pub struct SkipWhile<F> {
    skip: F,
    open: bool,
}

impl<F> SkipWhile<F> {
    pub(super) fn new(skip: F) -> Self {
        Self { skip, open: false }
    }
}

impl<F: FnMut(&I) -> bool, I> Kernel<I, I> for SkipWhile<F> {
    const NAME: &'static str = "skip_while";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        if !self.open {
            if (self.skip)(&item) {
                return Emit::Skip;
            }
            self.open = true;
        }
        Emit::Item(item)
    }
}
