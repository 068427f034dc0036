use crate::operator::apply::{Emit, Kernel};

/// See [`tap`](super::TransformOps::tap).
#[derive(Clone)]
pub struct Tap<F>(pub(super) F);

impl<F: FnMut(&I), I> Kernel<I, I> for Tap<F> {
    const NAME: &'static str = "tap";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        (self.0)(&item);
        Emit::Item(item)
    }
}
