use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Take},
    path::{Path, PathBuf},
};

use super::{DeadLetter, Reason, Rejected};
use crate::source::{Line, TextFile, lines};

/// [`read_letters`] reads lines of at most this many bytes: 256 MiB.
pub const MAX_LETTER_BYTES: usize = 1 << 28;

/// Reads the letters in a file that a [`JsonlQueue`](super::JsonlQueue) wrote, in the order in which they were written.
///
/// A line that is no letter is an error of its own, and reading goes on after it; an I/O error is the last. A line that
/// breaks off, as after a crash, is [`ReadError::Torn`]. Empty lines are skipped. One letter at a time is held, of at most
/// [`MAX_LETTER_BYTES`].
///
/// # Errors
/// The file cannot be opened.
pub fn read_letters(path: impl AsRef<Path>) -> Result<Letters, ReadError> {
    Letters::open(path.as_ref())
}

/// The letters in a file; see [`read_letters`].
#[derive(Debug)]
pub struct Letters {
    lines: TextFile<BufReader<Take<File>>>,
    path: PathBuf,
    /// Where it has begun.
    from: Place,
    /// Where it ends, if that is known.
    end: Option<u64>,
    /// Where the line is that was read last.
    last: Place,
    /// How many lines were read.
    read: u64,
}

/// Where a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) offset: u64,
    /// How many lines are before it.
    pub(super) lines: u64,
}

impl Letters {
    fn open(path: &Path) -> Result<Self, ReadError> {
        Self::within(path, Place::default(), None)
    }

    /// What is from a place on, and not after `end`.
    pub(super) fn within(path: &Path, from: Place, end: Option<u64>) -> Result<Self, ReadError> {
        let open = || {
            let mut file = File::open(path)?;
            if from.offset > 0 {
                file.seek(SeekFrom::Start(from.offset))?;
            }
            Ok(file)
        };
        let file = open().map_err(|error| cannot_open(path, error))?;
        let limit = end.map_or(u64::MAX, |end| end.saturating_sub(from.offset));
        let reader = BufReader::with_capacity(1 << 16, file.take(limit));
        let lines = lines(reader, path.to_string_lossy()).max_line_bytes(MAX_LETTER_BYTES);
        Ok(Self { lines, path: path.into(), from, end, last: from, read: 0 })
    }

    /// Without what is written to the file from now on. A pipe is read to its end.
    pub(super) fn snapshot(path: &Path) -> Result<Self, ReadError> {
        let mut letters = Self::open(path)?;
        let file = letters.lines.reader_mut().get_mut();
        let metadata = file.get_ref().metadata().map_err(|error| cannot_open(path, error))?;
        if metadata.is_file() {
            file.set_limit(metadata.len());
            letters.end = Some(metadata.len());
        }
        Ok(letters)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the snapshot ends, if it is one of a file.
    pub(super) fn end(&self) -> Option<u64> {
        self.end
    }

    /// Where the line is that was read last.
    pub(super) fn last_place(&self) -> Place {
        self.last
    }

    /// Where the next line begins.
    pub(super) fn next_place(&self) -> Place {
        let offset = self.from.offset + self.lines.position();
        Place { offset, lines: self.from.lines + self.read }
    }

    /// The next letter, or the line that is none.
    pub(super) fn read(&mut self) -> Option<Result<DeadLetter, (Line, ReadError)>> {
        loop {
            self.last = self.next_place();
            let offset = self.last.offset;
            let path = || self.path.clone();
            let placed = |line: Line| match self.from.lines {
                0 => line,
                before => Line::new(line.bytes(), line.number() + before, line.source().clone()),
            };
            let line = match self.lines.next()? {
                Ok(line) => placed(line),
                Err(Rejected { item, reason: cause, .. }) => {
                    let item = placed(item);
                    let line = item.number();
                    self.read = line - self.from.lines;
                    let error = match cause {
                        Reason::Io(_) => ReadError::Io { path: path(), line, cause },
                        _ => ReadError::Malformed { path: path(), line, cause },
                    };
                    return Some(Err((item, error)));
                }
            };
            self.read = line.number() - self.from.lines;
            if line.bytes().iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let number = line.number();
            let error = match serde_json::from_slice(line.bytes()) {
                Ok(letter) => return Some(Ok(letter)),
                Err(cause) if cause.is_eof() => {
                    ReadError::Torn { path: path(), line: number, length: line.bytes().len(), offset }
                }
                Err(cause) => ReadError::Malformed { path: path(), line: number, cause: cause.into() },
            };
            return Some(Err((line, error)));
        }
    }
}

fn cannot_open(path: &Path, error: io::Error) -> ReadError {
    ReadError::Io { path: path.into(), line: 0, cause: error.into() }
}

impl Iterator for Letters {
    type Item = Result<DeadLetter, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().map(|letter| letter.map_err(|(_, error)| error))
    }
}

/// Why a dead letter could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened (line 0) or read.
    #[error("{}: line {line}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The line, the first is 1.
        line: u64,
        /// The cause.
        cause: Reason,
    },
    /// The line is no dead letter, or one of a newer version.
    #[error("{}: line {line}: {cause}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, the first is 1.
        line: u64,
        /// The cause.
        cause: Reason,
    },
    /// The line was not written to its end, as after a crash.
    #[error("{}: line {line}: torn after {length} bytes, from byte {offset} of the file", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// The line, the first is 1.
        line: u64,
        /// How many bytes of it there are.
        length: usize,
        /// The place of its first byte in the file; that of the file's is 0.
        offset: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(payload: &str) -> DeadLetter {
        let rejected = Rejected::new(payload.to_owned(), "check", Reason::decode("no"));
        DeadLetter::from_rejected(&rejected, chrono::DateTime::UNIX_EPOCH)
    }

    /// As version 1 was first written. It must be read for ever.
    const VERSION_1: &str = concat!(
        r#"{"version":1,"id":"0b5ec0d4-8a5d-5b4e-9f42-0d2f4fc5fb0a","stage":"decode_json","kind":"decode","#,
        r#""message":"EOF while parsing a value at line 1 column 10","attempts":3,"#,
        r#""first_failed_at":"2024-05-01T12:00:00Z","failed_at":"2024-05-01T12:00:09.500Z","#,
        r#""origin":{"source":"a.jsonl","line":7},"headers":{"trace":"x"},"redrives":1,"#,
        r#""payload":"{\"amount\":"}"#
    );

    #[test]
    fn old_letters_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let least = VERSION_1
            .replace(r#""origin":{"source":"a.jsonl","line":7},"headers":{"trace":"x"},"redrives":1,"#, "");
        let more = VERSION_1.replacen('{', r#"{"of a later build":[1],"#, 1);
        std::fs::write(&path, format!("{VERSION_1}\n{least}\n{more}\n")).unwrap();
        let letters: Vec<_> = read_letters(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!((letters[0].attempts, letters[0].redrives), (3, 1));
        assert_eq!(
            (letters[0].payload.as_slice(), &letters[0].headers["trace"][..]),
            (&b"{\"amount\":"[..], "x")
        );
        assert_eq!(letters[0].origin.as_ref().unwrap().line, Some(7));
        assert_eq!((letters[1].redrives, &letters[1].origin, letters[1].id), (0, &None, letters[0].id));
        assert_eq!(letters[2], letters[0]);
        // What is written is still what was written then.
        assert_eq!(serde_json::to_string(&letters[0]).unwrap(), VERSION_1);
    }

    #[test]
    fn newer_letters_are_refused_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let old = serde_json::to_string(&letter("a")).unwrap();
        let new = old.replace("\"version\":1", "\"version\":2");
        std::fs::write(&path, format!("{new}\n\n{old}")).unwrap();
        let read: Vec<_> = read_letters(&path).unwrap().collect();
        let error = read[0].as_ref().unwrap_err().to_string();
        assert!(error.contains("line 1: dead letter of version 2"), "{error}");
        assert_eq!(read[1].as_ref().unwrap(), &letter("a"));
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn absent_file_is_named() {
        let error = read_letters("/absent/dead.jsonl").unwrap_err().to_string();
        assert!(error.contains("/absent/dead.jsonl"), "{error}");
    }
}
