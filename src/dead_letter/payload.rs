use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::DeadLetter;

/// An item that can be stored as a dead letter: it knows its original bytes and, maybe, where it came from.
pub trait Payload {
    /// The original bytes, exactly. They need not be UTF-8.
    fn payload(&self) -> Cow<'_, [u8]>;

    /// Where the item came from, if known.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// The user's own headers, such as those of a message. They are in the letter, and come back when it is sent again.
    fn headers(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Whether the drop of this item says "done with it" to its source, as that of a
    /// [`Delivery`](crate::delivery::Delivery) does. `dead_letter` then keeps the item until its letter is durable.
    fn acknowledges(&self) -> bool {
        false
    }

    /// The dead letter that this item comes from, if it is sent again: should it fail again, that is its letter.
    fn letter(&self) -> Option<&DeadLetter> {
        None
    }
}

/// The coordinates of an event at its source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The name of the file, topic, address …
    pub source: Arc<str>,
    /// The line in a text file; the first is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The partition of a topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// The offset in a partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
}

impl Origin {
    /// A line of a text file; the first is 1.
    pub fn line(source: impl Into<Arc<str>>, line: u64) -> Self {
        Self { source: source.into(), line: Some(line), partition: None, offset: None }
    }

    /// A place in a partitioned log.
    pub fn offset(topic: impl Into<Arc<str>>, partition: i32, offset: i64) -> Self {
        Self { source: topic.into(), line: None, partition: Some(partition), offset: Some(offset) }
    }
}

impl Payload for str {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.as_bytes().into()
    }
}

impl Payload for [u8] {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.into()
    }
}

impl Payload for String {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.as_bytes().into()
    }
}

impl Payload for Vec<u8> {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.into()
    }
}

macro_rules! through_pointer {
    ($($pointer:ty),*) => {$(
        impl<T: Payload + ?Sized> Payload for $pointer {
            fn payload(&self) -> Cow<'_, [u8]> {
                (**self).payload()
            }

            fn origin(&self) -> Option<Origin> {
                (**self).origin()
            }

            fn headers(&self) -> BTreeMap<String, String> {
                (**self).headers()
            }

            fn acknowledges(&self) -> bool {
                (**self).acknowledges()
            }

            fn letter(&self) -> Option<&DeadLetter> {
                (**self).letter()
            }
        }
    )*};
}

through_pointer!(&T, Box<T>, Arc<T>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_bytes_are_payloads() {
        fn bytes(item: impl Payload) -> Vec<u8> {
            item.payload().into_owned()
        }
        assert_eq!(bytes("ä"), "ä".as_bytes());
        assert_eq!(bytes(String::from("a")), b"a");
        assert_eq!(bytes(Box::<str>::from("a")), b"a");
        assert_eq!(bytes(Arc::<str>::from("a")), b"a");
        assert_eq!(bytes(vec![0xff, 0]), [0xff, 0]);
    }
}
