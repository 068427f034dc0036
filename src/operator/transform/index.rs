use crate::operator::apply::{Emit, Kernel};

/// See [`index`](super::TransformOps::index).
#[derive(Clone, Default)]
pub struct Index {
    next: u64,
}

impl<I> Kernel<I, (u64, I)> for Index {
    const NAME: &'static str = "index";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<(u64, I)> {
        let index = self.next;
        self.next = index.saturating_add(1);
        Emit::Item((index, item))
    }
}
