use crate::operator::apply::{Emit, Kernel};

/// See [`skip`](super::FilterOps::skip).
#[derive(Clone)]
pub struct Skip {
    pub(super) left: usize,
}

impl<I> Kernel<I, I> for Skip {
    const NAME: &'static str = "skip";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        if self.left == 0 {
            return Emit::Item(item);
        }
        self.left -= 1;
        Emit::Skip
    }
}
