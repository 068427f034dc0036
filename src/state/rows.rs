//! A row as bytes: when it expires, and the value.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::{
    StateError,
    codec::{decode_at, encode, shown},
};

/// It never expires.
pub(super) const NEVER: i64 = i64::MAX;

/// What a row begins with.
const STAYS: u8 = 0;
const EXPIRES: u8 = 1;

/// When a row expires, and the bytes of its value.
pub(super) fn split<'a>(row: &'a [u8], table: &Arc<str>, key: &[u8]) -> Result<(i64, &'a [u8]), StateError> {
    match row.split_first() {
        Some((&STAYS, value)) => Some((NEVER, value)),
        Some((&EXPIRES, rest)) => {
            rest.split_first_chunk().map(|(at, value)| (i64::from_be_bytes(*at), value))
        }
        _ => None,
    }
    .ok_or_else(|| StateError::Key { table: table.clone(), key: shown(key) })
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
    if expires == NEVER {
        row.push(STAYS);
    } else {
        row.push(EXPIRES);
        row.extend_from_slice(&expires.to_be_bytes());
    }
    encode(value, table, &mut row)?;
    Ok(row)
}
