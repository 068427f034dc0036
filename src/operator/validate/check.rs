use validator::Validate;

use crate::{
    dead_letter::{Reason, Rejected, attempt},
    operator::apply::{Emit, Kernel},
};

/// See [`validate`](super::ValidateOps::validate).
#[derive(Clone)]
pub struct ValidateItems;

impl<I: Validate> Kernel<I, Result<I, Rejected<I>>> for ValidateItems {
    const NAME: &'static str = "validate";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<Result<I, Rejected<I>>> {
        Emit::Item(match attempt("validate", || item.validate().map_err(Reason::from)) {
            Ok(()) => Ok(item),
            Err(reason) => Err(Rejected::new(item, "validate", reason)),
        })
    }
}
