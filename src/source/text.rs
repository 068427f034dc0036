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
    splitter: Splitter,
}

/// The lines of `reader`, which is called `name` in dead letters.
pub fn lines<R: BufRead>(reader: R, name: impl Into<Arc<str>>) -> TextFile<R> {
    TextFile { reader, splitter: Splitter::new(name.into()) }
}

#[cfg(feature = "gzip")]
impl TextFile<super::Gunzip<File>> {
    /// The lines of the gzip file at `path`, read as by [`Gunzip`](super::Gunzip).
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open_gz(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let (file, name) = open(path.as_ref())?;
        Ok(lines(super::Gunzip::new(file), name))
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
    pub fn max_line_bytes(mut self, max_line_bytes: usize) -> Self {
        self.splitter.max_line_bytes = max_line_bytes;
        self
    }

    pub(crate) fn reader_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The number of bytes that were used: where the next line begins.
    pub(crate) fn position(&self) -> u64 {
        self.splitter.position
    }

    pub(super) fn line_count(&self) -> u64 {
        self.splitter.lines
    }

    /// The reader is at that byte, after so many lines.
    pub(super) fn go_on(&mut self, position: u64, lines: u64) {
        (self.splitter.position, self.splitter.lines) = (position, lines);
    }
}

impl<R: BufRead> Iterator for TextFile<R> {
    type Item = Result<Line, Rejected<Line>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.splitter.ended {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Some(Err(self.splitter.fail(error))),
            };
            let (used, line) = self.splitter.split(buffer);
            self.reader.consume(used);
            if line.is_some() {
                return line;
            }
        }
        None
    }
}

/// Finds lines in one buffer of a reader after the other.
#[derive(Debug)]
pub(super) struct Splitter {
    name: Arc<str>,
    pub(super) max_line_bytes: usize,
    /// How many lines are done.
    lines: u64,
    /// What earlier buffers had of this line: its start, its length, its last byte.
    partial: Vec<u8>,
    length: u64,
    last: Option<u8>,
    /// How many bytes were used.
    position: u64,
    pub(super) ended: bool,
}

impl Splitter {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            max_line_bytes: DEFAULT_MAX_LINE_BYTES,
            lines: 0,
            partial: Vec::new(),
            length: 0,
            last: None,
            position: 0,
            ended: false,
        }
    }

    /// Goes on with `buffer`, which is empty at the end: how much of it is used, and the line that is complete.
    pub(super) fn split(&mut self, buffer: &[u8]) -> (usize, Option<Result<Line, Rejected<Line>>>) {
        let end = memchr(b'\n', buffer);
        let part = end.and_then(|end| buffer.get(..end)).unwrap_or(buffer);
        let terminated = end.is_some();
        self.ended = buffer.is_empty();
        let used = part.len() + usize::from(terminated);
        self.position += used as u64;
        if terminated && self.length == 0 {
            // The usual case: the whole line is in the reader's buffer.
            let line = self.line(part, part.len() as u64, part.last() == Some(&b'\r'));
            self.lines += 1;
            return (used, Some(line));
        }
        self.length += part.len() as u64;
        self.last = part.last().copied().or(self.last);
        let room = self.max_line_bytes.saturating_add(HEAD).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(part.get(..room).unwrap_or(part));
        let nothing = self.length == 0 || self.lines == 0 && self.partial == BOM;
        if self.ended && nothing || !self.ended && !terminated {
            return (used, None);
        }
        let line = self.line(&self.partial, self.length, terminated && self.last == Some(b'\r'));
        self.lines += 1;
        self.partial.clear();
        (self.length, self.last) = (0, None);
        (used, Some(line))
    }

    /// The reader failed: what was read of the line, and the end.
    pub(super) fn fail(&mut self, error: io::Error) -> Rejected<Line> {
        self.ended = true;
        let kept = self.partial.get(..self.max_line_bytes).unwrap_or(&self.partial);
        Rejected::new(Line::new(kept, self.lines + 1, self.name.clone()), "read", error)
    }

    /// Judges the line of `length` bytes that begins with `head`: all of it, or at least [`HEAD`] bytes more than it
    /// may be long.
    fn line(&self, head: &[u8], length: u64, ends_with_cr: bool) -> Result<Line, Rejected<Line>> {
        let (head, bom) = match head.strip_prefix(BOM) {
            Some(rest) if self.lines == 0 => (rest, BOM.len() as u64),
            _ => (head, 0),
        };
        let length = length - bom - u64::from(ends_with_cr);
        let limit = self.max_line_bytes as u64;
        let kept = usize::try_from(length.min(limit)).ok().and_then(|end| head.get(..end)).unwrap_or(head);
        let line = Line::new(kept, self.lines + 1, self.name.clone());
        if length <= limit {
            Ok(line)
        } else {
            Err(Rejected::new(line, "read", Reason::TooLong { limit, length }))
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
