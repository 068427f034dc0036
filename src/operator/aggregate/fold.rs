use crate::operator::apply::{Emit, Kernel};

/// See [`fold`](super::AggregateOps::fold).
#[derive(Clone)]
pub struct Fold<A, F> {
    /// `None` only after a panic in `f`.
    pub(super) state: Option<A>,
    pub(super) f: F,
}

impl<A, F: FnMut(A, I) -> A, I> Kernel<I, A> for Fold<A, F> {
    const NAME: &'static str = "fold";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<A> {
        if let Some(state) = self.state.take() {
            self.state = Some((self.f)(state, item));
        }
        Emit::Skip
    }

    fn finish(&mut self) -> Option<A> {
        self.state.take()
    }
}

/// See [`reduce`](super::AggregateOps::reduce).
#[derive(Clone)]
pub struct Reduce<I, F> {
    /// `None` before the first item.
    pub(super) state: Option<I>,
    pub(super) f: F,
}

impl<F: FnMut(I, I) -> I, I> Kernel<I, I> for Reduce<I, F> {
    const NAME: &'static str = "reduce";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        self.state = Some(match self.state.take() {
            Some(state) => (self.f)(state, item),
            None => item,
        });
        Emit::Skip
    }

    fn finish(&mut self) -> Option<I> {
        self.state.take()
    }
}
