use crate::operator::apply::{Emit, Kernel};

/// See [`take_while_inclusive`](super::FilterOps::take_while_inclusive).
#[derive(Clone)]
pub struct TakeWhileInclusive<F>(pub(super) F);

impl<F: FnMut(&I) -> bool, I> Kernel<I, I> for TakeWhileInclusive<F> {
    const NAME: &'static str = "take_while_inclusive";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        if (self.0)(&item) { Emit::Item(item) } else { Emit::Last(item) }
    }
}
