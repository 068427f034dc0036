//! Keys as bytes.

use std::{hash::Hash, sync::Arc};

use uuid::Uuid;

/// What can be written as a key: bytes whose order is that of the values, and of which none is the beginning of another's
/// (as the keys of CockroachDB): so the keys that begin with `("user", …)` are a range, and `"key"` is none of `"key2"`.
pub trait EncodeKey {
    /// Appends the key.
    fn encode_key(&self, out: &mut Vec<u8>);
}

/// A key of a [`Table`](super::Table).
pub trait TableKey: EncodeKey + Hash + Eq + Clone + Send + 'static {
    /// Takes a key from the front of `bytes`; `None`: there is none.
    fn decode_key(bytes: &mut &[u8]) -> Option<Self>;
}

/// Ends a text; a zero byte within it is written as `ESCAPED`.
const END: [u8; 2] = [0, 1];
const ESCAPED: [u8; 2] = [0, 0xff];

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    encode_start(bytes, out);
    out.extend_from_slice(&END);
}

/// Without its end: the beginning of all that begins with it.
pub(super) fn encode_start(bytes: &[u8], out: &mut Vec<u8>) {
    for part in bytes.split_inclusive(|byte| *byte == 0) {
        match part.split_last() {
            Some((0, before)) => {
                out.extend_from_slice(before);
                out.extend_from_slice(&ESCAPED);
            }
            _ => out.extend_from_slice(part),
        }
    }
}

fn decode_bytes(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let zero = memchr::memchr(0, bytes)?;
        out.extend_from_slice(&bytes[..zero]);
        let after = *bytes.get(zero + 1)?;
        *bytes = &bytes[zero + 2..];
        match after {
            1 => return Some(out),
            0xff => out.push(0),
            _ => return None,
        }
    }
}

impl EncodeKey for str {
    fn encode_key(&self, out: &mut Vec<u8>) {
        encode_bytes(self.as_bytes(), out);
    }
}

impl EncodeKey for [u8] {
    fn encode_key(&self, out: &mut Vec<u8>) {
        encode_bytes(self, out);
    }
}

impl<K: EncodeKey + ?Sized> EncodeKey for &K {
    fn encode_key(&self, out: &mut Vec<u8>) {
        (**self).encode_key(out);
    }
}

macro_rules! by_bytes {
    ($($t:ty: $bytes:ident as $from:expr),* $(,)?) => {$(
        impl EncodeKey for $t {
            fn encode_key(&self, out: &mut Vec<u8>) {
                (**self).encode_key(out);
            }
        }
        impl TableKey for $t {
            fn decode_key(bytes: &mut &[u8]) -> Option<Self> {
                let $bytes = decode_bytes(bytes)?;
                $from
            }
        }
    )*};
}

by_bytes! {
    String: bytes as String::from_utf8(bytes).ok(),
    Arc<str>: bytes as String::from_utf8(bytes).ok().map(Into::into),
    Box<str>: bytes as String::from_utf8(bytes).ok().map(Into::into),
    Vec<u8>: bytes as Some(bytes),
}

/// `$to` and `$from`: between the value and an unsigned one in the same order.
macro_rules! by_number {
    ($($t:ty as $unsigned:ty: $to:expr, $from:expr;)*) => {$(
        impl EncodeKey for $t {
            fn encode_key(&self, out: &mut Vec<u8>) {
                let to: fn($t) -> $unsigned = $to;
                out.extend_from_slice(&to(*self).to_be_bytes());
            }
        }
        impl TableKey for $t {
            fn decode_key(bytes: &mut &[u8]) -> Option<Self> {
                let (number, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                let from: fn($unsigned) -> Option<$t> = $from;
                from(<$unsigned>::from_be_bytes(*number))
            }
        }
    )*};
}

by_number! {
    u8 as u8: |v| v, Some;
    u16 as u16: |v| v, Some;
    u32 as u32: |v| v, Some;
    u64 as u64: |v| v, Some;
    u128 as u128: |v| v, Some;
    i8 as u8: |v| v.cast_unsigned() ^ (1 << 7), |v| Some((v ^ (1 << 7)).cast_signed());
    i16 as u16: |v| v.cast_unsigned() ^ (1 << 15), |v| Some((v ^ (1 << 15)).cast_signed());
    i32 as u32: |v| v.cast_unsigned() ^ (1 << 31), |v| Some((v ^ (1 << 31)).cast_signed());
    i64 as u64: |v| v.cast_unsigned() ^ (1 << 63), |v| Some((v ^ (1 << 63)).cast_signed());
    bool as u8: u8::from, |v| match v { 0 => Some(false), 1 => Some(true), _ => None };
    char as u32: u32::from, char::from_u32;
    Uuid as u128: |v| v.as_u128(), |v| Some(Uuid::from_u128(v));
}

impl EncodeKey for () {
    fn encode_key(&self, _: &mut Vec<u8>) {}
}

impl TableKey for () {
    fn decode_key(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

macro_rules! by_parts {
    ($($($t:ident $i:tt),+;)*) => {$(
        impl<$($t: EncodeKey),+> EncodeKey for ($($t,)+) {
            fn encode_key(&self, out: &mut Vec<u8>) {
                $(self.$i.encode_key(out);)+
            }
        }
        impl<$($t: TableKey),+> TableKey for ($($t,)+) {
            fn decode_key(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($t::decode_key(bytes)?,)+))
            }
        }
    )*};
}

by_parts! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
}

pub(super) fn encoded<K: EncodeKey + ?Sized>(key: &K) -> Vec<u8> {
    let mut out = Vec::new();
    key.encode_key(&mut out);
    out
}

/// The whole of `bytes` as a key.
pub(super) fn decoded<K: TableKey>(mut bytes: &[u8]) -> Option<K> {
    K::decode_key(&mut bytes).filter(|_| bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn survives<K: TableKey + PartialEq + std::fmt::Debug>(key: K) {
        assert_eq!(decoded::<K>(&encoded(&key)), Some(key));
    }

    proptest! {
        #[test]
        fn keys_come_back_and_keep_their_order(
            a: (String, i64, Vec<u8>, bool), b: (String, i64, Vec<u8>, bool), u: (u8, u128, char, i8)
        ) {
            survives(a.clone());
            survives(u);
            prop_assert_eq!(encoded(&a).cmp(&encoded(&b)), a.cmp(&b));
        }

        #[test]
        fn texts_with_zeros_keep_their_order(a in "[\0\u{1}a\u{ff}]{0,4}", b in "[\0\u{1}a\u{ff}]{0,4}") {
            prop_assert_eq!(encoded(&a).cmp(&encoded(&b)), a.cmp(&b));
            survives((a, b));
        }
    }

    #[test]
    fn no_key_is_the_beginning_of_another() {
        let (short, long) = (encoded("key"), encoded("key2"));
        assert!(!long.starts_with(&short));
        assert!(encoded(&("key", 7_u64)).starts_with(&short));
        assert!(!encoded(&("key2", 7_u64)).starts_with(&short));
    }

    #[test]
    fn damaged_bytes_are_no_keys() {
        assert_eq!(decoded::<String>(b"abc"), None);
        assert_eq!(decoded::<String>(b"a\0\x02"), None);
        assert_eq!(decoded::<String>(b"\xff\0\x01"), None);
        assert_eq!(decoded::<u64>(&[1; 7]), None);
        assert_eq!(decoded::<u64>(&[1; 9]), None);
        assert_eq!(decoded::<bool>(&[2]), None);
        assert_eq!(decoded::<char>(&[0, 0, 0xd8, 0]), None);
    }
}
