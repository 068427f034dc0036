use crate::operator::apply::{Emit, Kernel};

/// See [`default_if_empty`](super::AggregateOps::default_if_empty).
#[derive(Clone)]
pub struct DefaultIfEmpty<I> {
    /// Until there is an item.
    pub(super) default: Option<I>,
}

impl<I> Kernel<I, I> for DefaultIfEmpty<I> {
    const NAME: &'static str = "default_if_empty";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        // Looked at first, as there is nothing to drop for all but the first item.
        if self.default.is_some() {
            self.default = None;
        }
        Emit::Item(item)
    }

    fn finish(&mut self) -> Option<I> {
        self.default.take()
    }
}

/// The items as `Some`; `None` at the end where there was none.
#[derive(Clone, Default)]
pub struct NoneIfEmpty {
    seen: bool,
}

impl<I> Kernel<I, Option<I>> for NoneIfEmpty {
    const NAME: &'static str = "switch_if_empty";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<Option<I>> {
        self.seen = true;
        Emit::Item(Some(item))
    }

    #[allow(clippy::option_option, reason = "an item, which is a `None`")]
    fn finish(&mut self) -> Option<Option<I>> {
        (!self.seen).then_some(None)
    }
}
