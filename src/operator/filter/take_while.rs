use crate::operator::apply::{Emit, Kernel};

/// See [`take_while`](super::FilterOps::take_while).
#[derive(Clone)]
pub struct TakeWhile<F>(pub(super) F);

impl<F: FnMut(&I) -> bool, I> Kernel<I, I> for TakeWhile<F> {
    const NAME: &'static str = "take_while";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        if (self.0)(&item) { Emit::Item(item) } else { Emit::End }
    }
}
