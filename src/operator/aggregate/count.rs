use crate::operator::apply::{Emit, Kernel};

/// See [`count`](super::AggregateOps::count).
#[derive(Clone, Default)]
pub struct Count(u64);

impl<I> Kernel<I, u64> for Count {
    const NAME: &'static str = "count";

    #[inline(always)]
    fn next(&mut self, _item: I) -> Emit<u64> {
        self.0 = self.0.saturating_add(1);
        Emit::Skip
    }

    fn finish(&mut self) -> Option<u64> {
        Some(self.0)
    }
}
