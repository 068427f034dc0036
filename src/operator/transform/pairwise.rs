use crate::operator::apply::{Emit, Kernel};

/// See [`pairwise`](super::TransformOps::pairwise).
#[derive(Clone)]
pub struct Pairwise<I> {
    pub(super) before: Option<I>,
}

impl<I: Clone> Kernel<I, (I, I)> for Pairwise<I> {
    const NAME: &'static str = "pairwise";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<(I, I)> {
        match self.before.replace(item.clone()) {
            Some(before) => Emit::Item((before, item)),
            None => Emit::Skip,
        }
    }
}
