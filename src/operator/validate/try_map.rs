use crate::{
    dead_letter::{Reason, Rejected, attempt},
    operator::apply::{Emit, Kernel},
};

/// See [`try_map`](super::ValidateOps::try_map).
#[derive(Clone)]
pub struct TryMap<F> {
    pub(super) stage: &'static str,
    pub(super) f: F,
}

impl<F, I, T> Kernel<I, Result<T, Rejected<I>>> for TryMap<F>
where
    F: FnMut(&I) -> Result<T, Reason>,
{
    const NAME: &'static str = "try_map";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<Result<T, Rejected<I>>> {
        let done = attempt(self.stage, || (self.f)(&item));
        Emit::Item(done.map_err(|reason| Rejected::new(item, self.stage, reason)))
    }
}
