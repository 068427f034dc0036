use crate::operator::apply::{Emit, Kernel};

/// See [`map`](super::TransformOps::map).
#[derive(Clone)]
pub struct Map<F>(pub(super) F);

impl<F: FnMut(I) -> T, I, T> Kernel<I, T> for Map<F> {
    const NAME: &'static str = "map";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<T> {
        Emit::Item((self.0)(item))
    }
}
