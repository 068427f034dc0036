use std::{
    fs::File,
    io::{BufRead, BufReader},
    marker::PhantomData,
    path::Path,
    sync::Arc,
};

use serde::de::DeserializeOwned;

use super::{Line, OpenError, TextFile, lines};
use crate::dead_letter::Rejected;

/// The values of a JSONL file or reader: one JSON value a line.
///
/// Lines of nothing but white space are skipped. What is no JSON value of the type `T`, or longer than
/// [`max_line_bytes`](Self::max_line_bytes), is an event failure with the line; see [`TextFile`] for the rest.
///
/// ```
/// let text = "{\"n\":1}\n{\"n\":\n\n{\"n\":3}\n";
/// let values: Vec<_> = rxevents::source::jsonl::<_, serde_json::Value>(text.as_bytes(), "example").collect();
/// assert_eq!(values[0].as_ref().unwrap()["n"], 1);
/// let rejected = values[1].as_ref().unwrap_err();
/// assert_eq!((rejected.item.bytes(), rejected.item.number()), (&b"{\"n\":"[..], 2));
/// assert_eq!(values[2].as_ref().unwrap()["n"], 3);
/// ```
#[derive(Debug)]
pub struct JsonlFile<R, T> {
    lines: TextFile<R>,
    item: PhantomData<fn() -> T>,
}

/// The values in the lines of `reader`, which is called `name` in dead letters.
pub fn jsonl<R: BufRead, T: DeserializeOwned>(reader: R, name: impl Into<Arc<str>>) -> JsonlFile<R, T> {
    JsonlFile { lines: lines(reader, name), item: PhantomData }
}

impl<T: DeserializeOwned> JsonlFile<BufReader<File>, T> {
    /// The values in the lines of the file at `path`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Ok(Self { lines: TextFile::open(path)?, item: PhantomData })
    }
}

#[cfg(feature = "gzip")]
impl<T: DeserializeOwned> JsonlFile<super::Gunzip<File>, T> {
    /// The values in the lines of the gzip file at `path`, read as by [`Gunzip`](super::Gunzip).
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open_gz(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Ok(Self { lines: TextFile::open_gz(path)?, item: PhantomData })
    }
}

impl<R: BufRead, T> JsonlFile<R, T> {
    /// Sets the longest line that is accepted, in bytes.
    #[must_use]
    pub fn max_line_bytes(self, max_line_bytes: usize) -> Self {
        Self { lines: self.lines.max_line_bytes(max_line_bytes), ..self }
    }

    pub(super) fn lines(&self) -> &TextFile<R> {
        &self.lines
    }

    pub(super) fn lines_mut(&mut self) -> &mut TextFile<R> {
        &mut self.lines
    }
}

impl<R: BufRead, T: DeserializeOwned> Iterator for JsonlFile<R, T> {
    type Item = Result<T, Rejected<Line>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.lines.next()? {
                Ok(line) => line,
                Err(rejected) => return Some(Err(rejected)),
            };
            if line.bytes().iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return Some(
                serde_json::from_slice(line.bytes()).map_err(|error| Rejected::new(line, "decode", error)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::FailureKind;

    #[test]
    fn bad_lines_are_failures_of_their_own() {
        let text = b"1\n\xff\n 2 \r\n\n3 4\n-1\n1234567\n255";
        let values: Vec<Result<u8, _>> = jsonl(&text[..], "t").max_line_bytes(5).collect();
        let shown: Vec<_> = values
            .iter()
            .map(|value| match value {
                Ok(value) => value.to_string(),
                Err(rejected) => format!("{} {}", rejected.item.number(), rejected.reason.kind()),
            })
            .collect();
        assert_eq!(shown, ["1", "2 decode", "2", "5 decode", "6 decode", "7 too_long", "255"]);
        assert_eq!(values[1].as_ref().unwrap_err().item.bytes(), b"\xff");
        assert_eq!(values[5].as_ref().unwrap_err().reason.kind(), FailureKind::TooLong);
    }
}
