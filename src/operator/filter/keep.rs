use crate::operator::apply::{Emit, Kernel};

/// See [`filter`](super::FilterOps::filter).
#[derive(Clone)]
pub struct Filter<F>(pub(super) F);

impl<F: FnMut(&I) -> bool, I> Kernel<I, I> for Filter<F> {
    const NAME: &'static str = "filter";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        if (self.0)(&item) { Emit::Item(item) } else { Emit::Skip }
    }
}
