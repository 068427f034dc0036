use crate::operator::apply::{Emit, Kernel};

/// See [`scan`](super::TransformOps::scan).
#[derive(Clone)]
pub struct Scan<A, F> {
    /// `None` only after a panic in `f`.
    pub(super) state: Option<A>,
    pub(super) f: F,
}

impl<A: Clone, F: FnMut(A, I) -> A, I> Kernel<I, A> for Scan<A, F> {
    const NAME: &'static str = "scan";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<A> {
        let Some(state) = self.state.take() else { return Emit::Skip };
        let state = (self.f)(state, item);
        self.state = Some(state.clone());
        Emit::Item(state)
    }
}
