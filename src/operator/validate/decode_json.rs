use serde::de::DeserializeOwned;

use crate::{
    dead_letter::{Payload, Reason, Rejected},
    error::catch,
    operator::apply::{Emit, Kernel},
};

/// See [`decode_json`](super::ValidateOps::decode_json).
#[derive(Clone)]
pub struct DecodeJson;

impl<I: Payload, T: DeserializeOwned> Kernel<I, Result<T, Rejected<I>>> for DecodeJson {
    const NAME: &'static str = "decode_json";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<Result<T, Rejected<I>>> {
        let reason = match catch("decode_json", || serde_json::from_slice(&item.payload())) {
            Ok(Ok(value)) => return Emit::Item(Ok(value)),
            Ok(Err(error)) => error.into(),
            Err(panic) => Reason::panic(panic.message.to_string()),
        };
        Emit::Item(Err(Rejected::new(item, "decode_json", reason)))
    }
}
