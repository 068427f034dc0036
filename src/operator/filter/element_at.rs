use crate::operator::apply::{Emit, Kernel};

/// See [`element_at`](super::FilterOps::element_at), [`first_or`](super::FilterOps::first_or).
#[derive(Clone)]
pub struct ElementAt<I> {
    left: usize,
    /// Emitted when there is no such item.
    default: Option<I>,
}

impl<I> ElementAt<I> {
    pub(super) fn new(index: usize, default: Option<I>) -> Self {
        Self { left: index, default }
    }
}

impl<I> Kernel<I, I> for ElementAt<I> {
    const NAME: &'static str = "element_at";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        match self.left.checked_sub(1) {
            None => Emit::Last(item),
            Some(left) => {
                self.left = left;
                Emit::Skip
            }
        }
    }

    fn finish(&mut self) -> Option<I> {
        self.default.take()
    }
}
