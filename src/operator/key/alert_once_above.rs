use crate::operator::apply::{Emit, Kernel};

/// See [`alert_once_above`](super::KeyOps::alert_once_above).
#[derive(Debug, Clone)]
pub struct AlertOnceAbove {
    pub(super) count: u64,
}

impl<I> Kernel<(I, u64), (I, u64)> for AlertOnceAbove {
    const NAME: &'static str = "alert_once_above";

    #[inline(always)]
    fn next(&mut self, (item, count): (I, u64)) -> Emit<(I, u64)> {
        // Counts go up by one: the first one above is no other.
        if count.checked_sub(1) == Some(self.count) { Emit::Item((item, count)) } else { Emit::Skip }
    }
}
