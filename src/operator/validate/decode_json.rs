use serde::de::DeserializeOwned;

use crate::{
    dead_letter::{Payload, Reason, Rejected, attempt},
    operator::apply::{Emit, Kernel},
};

/// See [`decode_json`](super::ValidateOps::decode_json).
#[derive(Clone)]
pub struct DecodeJson;

impl<I: Payload, T: DeserializeOwned> Kernel<I, Result<T, Rejected<I>>> for DecodeJson {
    const NAME: &'static str = "decode_json";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<Result<T, Rejected<I>>> {
        let done = attempt("decode_json", || decode(&item.payload()).map_err(Reason::from));
        Emit::Item(done.map_err(|reason| Rejected::new(item, "decode_json", reason)))
    }
}

/// One look at all bytes is cheaper than one at each string. What is no UTF-8 is left to the parser: it may be in a field
/// that nobody asks for, and else it knows the place.
#[inline(always)]
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    match str::from_utf8(bytes) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(bytes),
    }
}
