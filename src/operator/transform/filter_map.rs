use crate::operator::apply::{Emit, Kernel};

/// See [`filter_map`](super::TransformOps::filter_map).
#[derive(Clone)]
pub struct FilterMap<F>(pub(super) F);

impl<F: FnMut(I) -> Option<T>, I, T> Kernel<I, T> for FilterMap<F> {
    const NAME: &'static str = "filter_map";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<T> {
        match (self.0)(item) {
            Some(out) => Emit::Item(out),
            None => Emit::Skip,
        }
    }
}
