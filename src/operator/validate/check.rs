use validator::Validate;

use crate::{
    dead_letter::{Reason, Rejected},
    error::catch,
    operator::apply::{Emit, Kernel},
};

/// See [`validate`](super::ValidateOps::validate).
#[derive(Clone)]
pub struct ValidateItems;

impl<I: Validate> Kernel<I, Result<I, Rejected<I>>> for ValidateItems {
    const NAME: &'static str = "validate";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<Result<I, Rejected<I>>> {
        let reason = match catch("validate", || item.validate()) {
            Ok(Ok(())) => return Emit::Item(Ok(item)),
            Ok(Err(violations)) => violations.into(),
            Err(panic) => Reason::panic(panic.message.to_string()),
        };
        Emit::Item(Err(Rejected::new(item, "validate", reason)))
    }
}
