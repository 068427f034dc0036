use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{DeadLetter, DeadLetterError, DeadLetterQueue, QueueError, Reason};
use crate::source::TextFile;

/// [`read_letters`] reads lines of at most this many bytes: 256 MiB.
pub const MAX_LETTER_BYTES: usize = 1 << 28;

/// When a [`JsonlQueue`] asks the operating system to put its file on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncPolicy {
    /// Never: letters survive a crash of the process, but maybe not of the machine.
    Never,
    /// At each flush.
    #[default]
    OnFlush,
    /// After each letter: a stored letter survives a crash of the machine. Slow (one disk access each).
    EveryRecord,
}

/// A queue in a file: one JSON object a line, read back by [`read_letters`]. Clones are handles of the same file.
///
/// Each letter is written by one write, without a buffer. When a write fails half way, or the file ends with a torn
/// line from an earlier crash, the next letter starts on a line of its own. The file grows as long as there are
/// letters; the queue itself holds none.
///
/// ```
/// use rxevents::dead_letter::{DeadLetter, DeadLetterQueue, JsonlQueue, Reason, Rejected, read_letters};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("dead.jsonl");
/// let mut queue = JsonlQueue::create(&path)?;
/// let rejected = Rejected::new("no json", "decode", Reason::decode("expected value"));
/// queue.push(DeadLetter::from_rejected(&rejected, chrono::Utc::now()))?;
/// queue.flush()?;
///
/// for letter in read_letters(&path)? {
///     assert_eq!(letter?.payload, b"no json");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct JsonlQueue {
    shared: Arc<Mutex<Output>>,
    path: Arc<Path>,
    sync: SyncPolicy,
}

#[derive(Debug)]
struct Output {
    file: File,
    /// The file ends in the middle of a line.
    torn: bool,
}

impl JsonlQueue {
    /// A queue in a new file.
    ///
    /// # Errors
    /// The file cannot be created, or exists already: use [`append`](Self::append) then.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, QueueError> {
        Self::open(path.as_ref(), OpenOptions::new().append(true).read(true).create_new(true))
    }

    /// A queue in a file that may exist already; what is in it stays.
    ///
    /// # Errors
    /// The file cannot be opened or read.
    pub fn append(path: impl AsRef<Path>) -> Result<Self, QueueError> {
        Self::open(path.as_ref(), OpenOptions::new().append(true).read(true).create(true))
    }

    /// Sets when the file is synced; the default is [`SyncPolicy::OnFlush`].
    #[must_use]
    pub fn sync(self, sync: SyncPolicy) -> Self {
        Self { sync, ..self }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open(path: &Path, options: &OpenOptions) -> Result<Self, QueueError> {
        let open = || {
            let mut file = options.open(path)?;
            let torn = ends_torn(&mut file)?;
            if file.metadata()?.len() == 0 {
                sync_folder(path)?;
            }
            Ok(Output { file, torn })
        };
        match open() {
            Ok(output) => Ok(Self {
                shared: Arc::new(Mutex::new(output)),
                path: path.into(),
                sync: SyncPolicy::default(),
            }),
            Err(source) => Err(QueueError::Io { path: path.into(), source }),
        }
    }

    fn with_output<R>(&self, action: impl FnOnce(&mut Output) -> io::Result<R>) -> Result<R, QueueError> {
        // A thread that panicked with the lock held has left `torn` set if it left a torn line.
        let mut output = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        action(&mut output).map_err(|source| QueueError::Io { path: self.path.to_path_buf(), source })
    }
}

impl Output {
    fn write(&mut self, letter: &DeadLetter, sync: SyncPolicy) -> io::Result<()> {
        let mut record = Vec::with_capacity(letter.payload.len() + 512);
        if self.torn {
            record.push(b'\n');
        }
        serde_json::to_writer(&mut record, letter)?;
        record.push(b'\n');
        self.torn = true;
        self.file.write_all(&record)?;
        self.torn = false;
        if sync == SyncPolicy::EveryRecord { synced(&self.file) } else { Ok(()) }
    }
}

fn ends_torn(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != [b'\n'])
}

/// As durable as it can be: a pipe or a device cannot be synced, which is no fault of the letters.
fn synced(file: &File) -> io::Result<()> {
    match file.sync_data() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

/// Makes a new file's entry in its folder durable.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

impl DeadLetterQueue for JsonlQueue {
    /// Writes the letter. When syncing fails after the write ([`SyncPolicy::EveryRecord`]) that is an error too, and
    /// pushing the letter again writes it a second time, with the same id.
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        match self.with_output(|output| output.write(&letter, self.sync)) {
            Ok(()) => Ok(()),
            Err(cause) => Err(DeadLetterError { letter: Box::new(letter), cause }),
        }
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        match self.sync {
            SyncPolicy::Never => Ok(()),
            SyncPolicy::OnFlush | SyncPolicy::EveryRecord => self.with_output(|output| synced(&output.file)),
        }
    }
}

/// Reads the letters in a file that a [`JsonlQueue`] wrote, in the order in which they were written.
///
/// A line that is no letter is an error of its own, and reading goes on after it; an I/O error is the last. Empty lines
/// are skipped. One letter at a time is held, of at most [`MAX_LETTER_BYTES`].
///
/// # Errors
/// The file cannot be opened.
pub fn read_letters(path: impl AsRef<Path>) -> Result<Letters, ReadError> {
    let path = path.as_ref();
    let lines = match TextFile::open(path) {
        Ok(lines) => lines.max_line_bytes(MAX_LETTER_BYTES),
        Err(error) => return Err(ReadError::Io { path: path.into(), line: 0, cause: error.source.into() }),
    };
    Ok(Letters { lines, path: path.into() })
}

/// The letters in a file; see [`read_letters`].
#[derive(Debug)]
pub struct Letters {
    lines: TextFile<BufReader<File>>,
    path: PathBuf,
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
    /// The last line was not written to its end, as after a crash.
    #[error("{}: line {line}: torn after {length} bytes", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// The line, the first is 1.
        line: u64,
        /// How many bytes of it there are.
        length: usize,
    },
}

impl Iterator for Letters {
    type Item = Result<DeadLetter, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let path = || self.path.clone();
            let line = match self.lines.next()? {
                Ok(line) => line,
                Err(rejected) => {
                    let (line, cause) = (rejected.item.number(), rejected.reason);
                    return Some(Err(match cause {
                        Reason::Io(_) => ReadError::Io { path: path(), line, cause },
                        _ => ReadError::Malformed { path: path(), line, cause },
                    }));
                }
            };
            if line.bytes().iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let cause = match serde_json::from_slice(line.bytes()) {
                Ok(letter) => return Some(Ok(letter)),
                Err(cause) => cause,
            };
            return Some(Err(if cause.is_eof() && !self.lines.last_line_was_terminated() {
                ReadError::Torn { path: path(), line: line.number(), length: line.bytes().len() }
            } else {
                ReadError::Malformed { path: path(), line: line.number(), cause: cause.into() }
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::Rejected;

    fn letter(payload: &str) -> DeadLetter {
        let rejected = Rejected::new(payload.to_owned(), "check", Reason::decode("no"));
        DeadLetter::from_rejected(&rejected, chrono::DateTime::UNIX_EPOCH)
    }

    #[test]
    fn keeps_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let mut queue = JsonlQueue::create(&path).unwrap().sync(SyncPolicy::EveryRecord);
        queue.push(letter("a\nb")).unwrap();
        queue.clone().push(letter("c")).unwrap();
        queue.flush().unwrap();
        let error = JsonlQueue::create(&path).unwrap_err();
        assert!(error.to_string().contains("dead.jsonl"), "{error}");
        JsonlQueue::append(&path).unwrap().push(letter("d")).unwrap();
        let letters: Vec<_> = read_letters(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(letters, [letter("a\nb"), letter("c"), letter("d")]);
    }

    #[test]
    fn torn_line_is_reported_and_does_not_swallow_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let mut queue = JsonlQueue::create(&path).unwrap();
        queue.push(letter("a")).unwrap();
        let whole = std::fs::metadata(&path).unwrap().len();
        queue.push(letter("b")).unwrap();
        queue.shared.lock().unwrap().file.set_len(whole + 10).unwrap();

        let read: Vec<_> = read_letters(&path).unwrap().collect();
        assert_eq!(read.len(), 2);
        assert!(matches!(&read[1], Err(ReadError::Torn { line: 2, length: 10, .. })), "{read:?}");

        JsonlQueue::append(&path).unwrap().push(letter("c")).unwrap();
        let read: Vec<_> = read_letters(&path).unwrap().collect();
        assert!(matches!(&read[1], Err(ReadError::Malformed { line: 2, .. })), "{read:?}");
        assert_eq!(read[2].as_ref().unwrap(), &letter("c"));
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

    #[cfg(target_os = "linux")]
    #[test]
    fn full_disk_gives_the_letter_back() {
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut queue = JsonlQueue {
            shared: Arc::new(Mutex::new(Output { file, torn: false })),
            path: Path::new("/dev/full").into(),
            sync: SyncPolicy::Never,
        };
        let error = queue.push(letter("a")).unwrap_err();
        assert_eq!(*error.letter, letter("a"));
        assert!(error.cause.to_string().contains("/dev/full"), "{error}");
        assert!(queue.shared.lock().unwrap().torn);
    }
}
