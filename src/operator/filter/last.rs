use crate::operator::apply::{Emit, Kernel};

/// See [`last`](super::FilterOps::last), [`last_or`](super::FilterOps::last_or).
#[derive(Clone)]
pub struct Last<I> {
    /// The latest item; before the first, what is emitted without one.
    latest: Option<I>,
}

impl<I> Last<I> {
    pub(super) fn new(default: Option<I>) -> Self {
        Self { latest: default }
    }
}

impl<I> Kernel<I, I> for Last<I> {
    const NAME: &'static str = "last";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        self.latest = Some(item);
        Emit::Skip
    }

    fn finish(&mut self) -> Option<I> {
        self.latest.take()
    }
}
