use std::{
    borrow::Cow,
    str::{self, Utf8Error},
    sync::Arc,
};

use crate::dead_letter::{Origin, Payload};

/// One line of a text, with its place. Its bytes are exactly those of the source, without the end of line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    bytes: Box<[u8]>,
    number: u64,
    source: Arc<str>,
}

impl Line {
    /// A line with its number (the first is 1) and the name of its source.
    pub fn new(bytes: impl Into<Box<[u8]>>, number: u64, source: impl Into<Arc<str>>) -> Self {
        Self { bytes: bytes.into(), number, source: source.into() }
    }

    /// The line, byte for byte.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The line as text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.bytes)
    }

    /// Its number; the first line is 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The name of its source, such as the path of the file.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }
}

impl AsRef<[u8]> for Line {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Payload for Line {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.bytes().into()
    }

    fn origin(&self) -> Option<Origin> {
        Some(Origin::line(self.source.clone(), self.number))
    }
}
