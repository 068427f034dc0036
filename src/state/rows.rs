//! A row as bytes: when it expires, and the value.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::{
    StateError,
    codec::{decode_at, encode, shown},
};

/// It never expires.
pub(super) const NEVER: i64 = i64::MAX;

/// When a row expires, and the bytes of its value.
pub(super) fn split<'a>(row: &'a [u8], table: &Arc<str>, key: &[u8]) -> Result<(i64, &'a [u8]), StateError> {
    match row.split_first_chunk() {
        Some((expires, value)) => Ok((i64::from_be_bytes(*expires), value)),
        None => Err(StateError::Key { table: table.clone(), key: shown(key) }),
    }
}

pub(super) fn read<V: DeserializeOwned>(
    row: &[u8],
    table: &Arc<str>,
    key: &[u8],
) -> Result<(i64, V), StateError> {
    let (expires, value) = split(row, table, key)?;
    Ok((expires, decode_at(value, table, key)?))
}

pub(super) fn write<V: Serialize>(expires: i64, value: &V, table: &Arc<str>) -> Result<Vec<u8>, StateError> {
    let mut row = Vec::with_capacity(24);
    row.extend_from_slice(&expires.to_be_bytes());
    encode(value, table, &mut row)?;
    Ok(row)
}
