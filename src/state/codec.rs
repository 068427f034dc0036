//! Values as bytes: MessagePack with the names of the fields, so that floats are exact, and a field may be added with a
//! default.

use std::{fmt::Write, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::StateError;

pub(super) fn encode<V: Serialize>(value: &V, table: &Arc<str>, out: &mut Vec<u8>) -> Result<(), StateError> {
    rmp_serde::encode::write_named(out, value)
        .map_err(|cause| StateError::Encode { table: table.clone(), cause })
}

pub(super) fn decode_at<V: DeserializeOwned>(
    bytes: &[u8],
    table: &Arc<str>,
    key: &[u8],
) -> Result<V, StateError> {
    decode(bytes).map_err(|cause| StateError::Decode { table: table.clone(), key: shown(key), cause })
}

/// A value of a table from its bytes: for [migrations](super::TableOptions::migrate).
///
/// # Errors
/// It is no value of this type.
pub fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, rmp_serde::decode::Error> {
    rmp_serde::from_slice(bytes)
}

/// FNV-1a: the same in each process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fnv(pub(super) u64);

impl Fnv {
    pub(super) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The bytes of a key for a message: what is text as text.
pub(super) fn shown(key: &[u8]) -> String {
    const MOST: usize = 200;
    let mut out = String::with_capacity(key.len() + 2);
    for byte in key.iter().take(MOST) {
        // Writing to a string cannot fail.
        let _ = match byte {
            b' '..=b'~' => write!(out, "{}", char::from(*byte)),
            _ => write!(out, "\\x{byte:02x}"),
        };
    }
    if key.len() > MOST {
        out.push('…');
    }
    out
}
