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
        Emit::Item(match attempt(self.stage, || (self.f)(&item)) {
            Ok(value) => {
                // Before there is something to return, which would leak if this panicked.
                drop(item);
                Ok(value)
            }
            Err(reason) => Err(Rejected::new(item, self.stage, reason)),
        })
    }
}
