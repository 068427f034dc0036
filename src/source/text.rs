use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    sync::Arc,
};

use memchr::memchr;

use super::Line;
use crate::dead_letter::{Reason, Rejected};

/// The longest line that a source accepts unless told otherwise: 1 MiB.
pub const DEFAULT_MAX_LINE_BYTES: usize = 1 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";
/// How much more of a line than it may be long is read before the rest is skipped: room for its BOM and `\r`.
const HEAD: usize = 4;

/// A source's file cannot be opened, or its header cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {source}")]
pub struct OpenError {
    /// The file, or the name of the reader.
    pub name: Arc<str>,
    /// The cause.
    pub source: io::Error,
}

/// The lines of a text file or of any reader, one allocation each.
///
/// - A line ends with `\n` or `\r\n`, which does not belong to it; the last one may end without. Empty lines are kept. A
///   UTF-8 byte order mark at the start is skipped.
/// - A line longer than [`max_line_bytes`](Self::max_line_bytes) is an event failure ([`Reason::TooLong`], with the
///   full length). Its item has the first `max_line_bytes` bytes; the rest is skipped, and the next line is read.
/// - Lines need not be UTF-8: that is for the decoder to judge ([`Line::text`]).
/// - An I/O error yields one failure ([`Reason::Io`]) with what was read of the line, and ends the source.
///
/// Memory: the reader's buffer, and at most twice `max_line_bytes` for a line that crosses it.
///
/// ```
/// let text = "first\r\n\nthird";
/// let lines: Vec<_> = rxevents::source::lines(text.as_bytes(), "example").map(Result::unwrap).collect();
/// assert_eq!(lines.len(), 3);
/// assert_eq!(lines[0].bytes(), b"first");
/// assert_eq!(lines[2].number(), 3);
/// ```
#[derive(Debug)]
pub struct TextFile<R> {
    reader: R,
    name: Arc<str>,
    max_line_bytes: usize,
    number: u64,
    /// What the reader's buffer had of a line that goes on in its next buffer.
    partial: Vec<u8>,
    terminated: bool,
    ended: bool,
}

/// The lines of `reader`, which is called `name` in dead letters.
pub fn lines<R: BufRead>(reader: R, name: impl Into<Arc<str>>) -> TextFile<R> {
    TextFile {
        reader,
        name: name.into(),
        max_line_bytes: DEFAULT_MAX_LINE_BYTES,
        number: 0,
        partial: Vec::new(),
        terminated: true,
        ended: false,
    }
}

impl TextFile<BufReader<File>> {
    /// The lines of the file at `path`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let (file, name) = open(path.as_ref())?;
        Ok(lines(BufReader::with_capacity(1 << 16, file), name))
    }
}

pub(super) fn open(path: &Path) -> Result<(File, Arc<str>), OpenError> {
    let name: Arc<str> = path.to_string_lossy().into();
    match File::open(path) {
        Ok(file) => Ok((file, name)),
        Err(source) => Err(OpenError { name, source }),
    }
}

impl<R: BufRead> TextFile<R> {
    /// Sets the longest line that is accepted, in bytes, without the end of line.
    #[must_use]
    pub fn max_line_bytes(self, max_line_bytes: usize) -> Self {
        Self { max_line_bytes, ..self }
    }

    /// Whether the last line had an end of line.
    pub(crate) fn last_line_was_terminated(&self) -> bool {
        self.terminated
    }
}

/// Of one line: its number, its source, and the longest that it may be.
struct Place<'a> {
    number: u64,
    name: &'a Arc<str>,
    max_line_bytes: usize,
}

impl Place<'_> {
    /// Judges the line of `length` bytes that begins with `head`: all of it, or at least [`HEAD`] bytes more than it
    /// may be long.
    fn line(&self, head: &[u8], length: u64, ends_with_cr: bool) -> Result<Line, Rejected<Line>> {
        let (head, bom) = match head.strip_prefix(BOM) {
            Some(rest) if self.number == 1 => (rest, BOM.len() as u64),
            _ => (head, 0),
        };
        let length = length - bom - u64::from(ends_with_cr);
        let limit = self.max_line_bytes as u64;
        let kept = usize::try_from(length.min(limit)).ok().and_then(|end| head.get(..end)).unwrap_or(head);
        let line = Line::new(kept, self.number, self.name.clone());
        if length <= limit {
            Ok(line)
        } else {
            Err(Rejected::new(line, "read", Reason::TooLong { limit, length }))
        }
    }
}

impl<R: BufRead> Iterator for TextFile<R> {
    type Item = Result<Line, Rejected<Line>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.number += 1;
        self.partial.clear();
        let place = Place { number: self.number, name: &self.name, max_line_bytes: self.max_line_bytes };
        let (mut length, mut last) = (0, None);
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.ended = true;
                    let item = Line::new(self.partial.as_slice(), self.number, self.name.clone());
                    return Some(Err(Rejected::new(item, "read", error)));
                }
            };
            let end = memchr(b'\n', buffer);
            let part = end.and_then(|end| buffer.get(..end)).unwrap_or(buffer);
            self.terminated = end.is_some();
            self.ended = buffer.is_empty();
            let result = if self.terminated && length == 0 {
                // The usual case: the whole line is in the reader's buffer.
                Some(place.line(part, part.len() as u64, part.last() == Some(&b'\r')))
            } else {
                length += part.len() as u64;
                last = part.last().copied().or(last);
                let room = self.max_line_bytes.saturating_add(HEAD).saturating_sub(self.partial.len());
                self.partial.extend_from_slice(part.get(..room).unwrap_or(part));
                if self.ended && (length == 0 || self.number == 1 && self.partial == BOM) {
                    return None;
                }
                (self.terminated || self.ended)
                    .then(|| place.line(&self.partial, length, self.terminated && last == Some(b'\r')))
            };
            let used = part.len() + usize::from(self.terminated);
            self.reader.consume(used);
            if result.is_some() {
                return result;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Read};

    /// Reads with a tiny buffer, so that lines cross it.
    fn read(text: &[u8], buffer: usize, max: usize) -> Vec<Result<Line, Rejected<Line>>> {
        lines(BufReader::with_capacity(buffer, Cursor::new(text)), "t").max_line_bytes(max).collect()
    }

    fn texts(text: &[u8], buffer: usize) -> Vec<String> {
        let lines = read(text, buffer, 100).into_iter().map(Result::unwrap);
        lines.map(|line| line.text().unwrap().to_owned()).collect()
    }

    #[test]
    fn ends_of_line() {
        for buffer in [1, 2, 3, 64] {
            assert_eq!(texts(b"a\r\n\nb\rc\r\r\nd", buffer), ["a", "", "b\rc\r", "d"]);
            assert_eq!(texts(b"a\n", buffer), ["a"]);
            assert_eq!(texts(b"a\n\r", buffer), ["a", "\r"]);
            assert_eq!(texts(b"", buffer), [""; 0]);
            assert_eq!(texts(b"\n", buffer), [""]);
        }
    }

    #[test]
    fn byte_order_mark_is_skipped_at_the_start_only() {
        for buffer in [1, 2, 64] {
            assert_eq!(texts(b"\xef\xbb\xbfa\n\xef\xbb\xbfb", buffer), ["a", "\u{feff}b"]);
            assert_eq!(texts(b"\xef\xbb\xbf", buffer), [""; 0]);
            assert_eq!(texts(b"\xef\xbb\xbf\n", buffer), [""]);
        }
    }

    #[test]
    fn too_long_line_is_one_failure() {
        for buffer in [1, 3, 64] {
            let read = read(b"abcde\r\nabcdef\r\n\xef\xbb\xbfabcdefgh\nx", buffer, 5);
            assert_eq!(read[0].as_ref().unwrap().bytes(), b"abcde");
            let long: Vec<_> = read[1..3].iter().map(|line| line.as_ref().unwrap_err()).collect();
            assert_eq!(long[0].item, Line::new(*b"abcde", 2, "t"));
            assert!(matches!(long[0].reason, Reason::TooLong { limit: 5, length: 6 }));
            assert!(matches!(long[1].reason, Reason::TooLong { limit: 5, length: 11 }));
            assert_eq!(read[3].as_ref().unwrap(), &Line::new(*b"x", 4, "t"));
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_stay() {
        let read = read(b"\xff\n", 64, 5);
        let line = read[0].as_ref().unwrap();
        assert_eq!(line.bytes(), b"\xff");
        assert!(line.text().is_err());
    }

    #[test]
    fn io_error_is_reported_and_ends_the_source() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("unplugged"))
            }
        }
        let reader = BufReader::new(Cursor::new(b"a\nb").chain(Broken));
        let read: Vec<_> = lines(reader, "t").collect();
        assert_eq!(read.len(), 2);
        let rejected = read[1].as_ref().unwrap_err();
        assert_eq!(rejected.item, Line::new(*b"b", 2, "t"));
        assert_eq!(rejected.to_string(), "read: unplugged");
    }

    #[test]
    fn absent_file_is_named() {
        let error = TextFile::open("/absent/a.txt").unwrap_err().to_string();
        assert!(error.starts_with("/absent/a.txt: "), "{error}");
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "[a\r\n\u{feff}]{0,40}", buffer in 1usize..9, max in 0usize..9) {
            let body = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let mut expected: Vec<_> = body.split('\n').collect();
            let open = expected.pop().filter(|last| !last.is_empty());
            let expected = expected.iter().map(|l| l.strip_suffix('\r').unwrap_or(l)).chain(open);
            let read = read(text.as_bytes(), buffer, max);
            prop_assert_eq!(read.len(), expected.clone().count());
            for (i, (line, expected)) in read.into_iter().zip(expected).enumerate() {
                let bytes = expected.as_bytes();
                let line = match line {
                    Ok(line) => line,
                    Err(rejected) => {
                        let Reason::TooLong { length, .. } = rejected.reason else { unreachable!() };
                        prop_assert!(length == bytes.len() as u64 && bytes.len() > max);
                        rejected.item
                    }
                };
                prop_assert_eq!(line, Line::new(&bytes[..bytes.len().min(max)], i as u64 + 1, "t"));
            }
        }
    }
}
