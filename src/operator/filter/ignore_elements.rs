use crate::operator::apply::{Emit, Kernel};

/// See [`ignore_elements`](super::FilterOps::ignore_elements).
#[derive(Clone)]
pub struct IgnoreElements;

impl<I, T> Kernel<I, T> for IgnoreElements {
    const NAME: &'static str = "ignore_elements";

    #[inline(always)]
    fn next(&mut self, _item: I) -> Emit<T> {
        Emit::Skip
    }
}
