use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{DeadLetter, DeadLetterError, DeadLetterQueue, QueueError};
use crate::durable;

/// When a [`JsonlQueue`] asks the operating system to put its file on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncPolicy {
    /// Never: letters survive a crash of the process, but maybe not of the machine.
    Never,
    /// At each flush.
    #[default]
    OnFlush,
    /// After so many letters, and at each flush: a crash of the machine costs fewer letters than that.
    Every(NonZeroU32),
    /// After each letter: a stored letter survives a crash of the machine. Slow (one disk access each).
    EveryRecord,
}

/// A queue in a file: one JSON object a line, read back by [`read_letters`](super::read_letters) or
/// [`redrive`](super::redrive()). Clones are handles of the same file.
///
/// Each letter is written by one write, without a buffer: when the process is killed, all letters are there whose push
/// has returned, and at most the last line is torn. When a write fails half way, or the file ends with a torn line from
/// an earlier crash, the next letter starts on a line of its own. What survives a crash of the machine is said by
/// [`SyncPolicy`]. The file grows as long as there are letters, unless there is a [rotation](Self::rotate); the queue itself holds
/// none.
///
/// One process at a time may write to a file.
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
    rotation: Option<Rotation>,
}

/// When a [`JsonlQueue`] goes on in a new file, and what becomes of the old ones.
///
/// The old file gets a number at the end of its name, the next free one: the highest is the newest. All are kept, unless
/// [`keep`](Self::keep) says otherwise.
///
/// ```
/// use rxevents::{dead_letter::{Rotation, read_letters}, prelude::*};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("dead.jsonl");
/// let queue = JsonlQueue::create(&path)?.rotate(Rotation::at_size(1_000));
/// Local::from_iter((0..10).map(|n| n.to_string()))
///     .try_map(|_| Err::<(), _>(Reason::other("down")))
///     .dead_letter(queue.clone())
///     .subscribe(|()| {});
/// let files = JsonlQueue::files(&path)?; // dead.jsonl.1, dead.jsonl.2, …, dead.jsonl
/// assert!(files.len() > 2);
/// let letters: Vec<_> = files.iter().flat_map(|file| read_letters(file).unwrap()).map(Result::unwrap).collect();
/// assert_eq!(letters.iter().map(|letter| &letter.payload[..]).collect::<Vec<_>>().concat(), b"0123456789");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    bytes: u64,
    keep: Option<usize>,
}

impl Rotation {
    /// Before a letter with which the file would be larger than this. A single letter may be.
    pub fn at_size(bytes: u64) -> Self {
        Self { bytes, keep: None }
    }

    /// **Deletes letters**: keeps so many old files, and deletes those before. [`JsonlQueue::deleted`] counts them.
    #[must_use]
    pub fn keep(self, files: usize) -> Self {
        Self { keep: Some(files), ..self }
    }
}

#[derive(Debug)]
struct Output {
    file: File,
    /// How long it is.
    length: u64,
    /// How many old files were deleted.
    deleted: u64,
    /// The file ends in the middle of a line.
    torn: bool,
    /// How many letters were written since the last sync.
    unsynced: u32,
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

    /// Goes on in a new file when this one is large. Without, the file grows.
    ///
    /// The files are renamed and synced before a letter is written to the new one. All handles that write must have the
    /// same rotation: set it before they are cloned.
    #[must_use]
    pub fn rotate(self, rotation: Rotation) -> Self {
        Self { rotation: Some(rotation), ..self }
    }

    /// How many old files were deleted, as [`Rotation::keep`] has said.
    pub fn deleted(&self) -> u64 {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).deleted
    }

    /// The files of the queue at `path`, the oldest first: those that were [rotated](Rotation) and the one that is written
    /// to. Each can be read, or redriven.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn files(path: impl AsRef<Path>) -> Result<Vec<PathBuf>, QueueError> {
        let path = path.as_ref();
        let mut files: Vec<_> = rotated(path)
            .map_err(|source| QueueError::Io { path: path.into(), source })?
            .into_iter()
            .map(|number| numbered(path, number))
            .collect();
        files.extend(path.exists().then(|| path.to_owned()));
        Ok(files)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open(path: &Path, options: &OpenOptions) -> Result<Self, QueueError> {
        let open = || {
            let mut file = options.open(path)?;
            let torn = durable::ends_torn(&mut file)?;
            let length = file.metadata()?.len();
            if length == 0 {
                durable::sync_folder(path)?;
            }
            Ok(Output { file, length, deleted: 0, torn, unsynced: 0 })
        };
        match open() {
            Ok(output) => Ok(Self {
                shared: Arc::new(Mutex::new(output)),
                path: path.into(),
                sync: SyncPolicy::default(),
                rotation: None,
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
    /// Goes on in a new file, once the old one is durable.
    fn rotate(&mut self, path: &Path, rotation: Rotation) -> io::Result<()> {
        self.sync()?;
        let before = rotated(path)?;
        std::fs::rename(path, numbered(path, before.last().map_or(1, |last| last + 1)))?;
        self.file = OpenOptions::new().append(true).read(true).create(true).open(path)?;
        (self.length, self.torn) = (self.file.metadata()?.len(), false);
        if let Some(keep) = rotation.keep {
            let too_many = (before.len() + 1).saturating_sub(keep);
            for number in rotated(path)?.into_iter().take(too_many) {
                std::fs::remove_file(numbered(path, number))?;
                self.deleted += 1;
            }
        }
        durable::sync_folder(path)
    }

    fn write(
        &mut self,
        letter: &DeadLetter,
        sync: SyncPolicy,
        path: &Path,
        rotation: Option<Rotation>,
    ) -> io::Result<()> {
        let mut record = Vec::with_capacity(letter.payload.len() + 512);
        if self.torn {
            record.push(b'\n');
        }
        serde_json::to_writer(&mut record, letter)?;
        record.push(b'\n');
        if let Some(rotation) = rotation
            && self.length > 0
            && self.length + record.len() as u64 > rotation.bytes
        {
            let torn = self.torn;
            self.rotate(path, rotation)?;
            if torn {
                record.remove(0);
            }
        }
        self.torn = true;
        self.file.write_all(&record)?;
        self.torn = false;
        self.length += record.len() as u64;
        self.unsynced = self.unsynced.saturating_add(1);
        let due = match sync {
            SyncPolicy::Never | SyncPolicy::OnFlush => false,
            SyncPolicy::Every(letters) => self.unsynced >= letters.get(),
            SyncPolicy::EveryRecord => true,
        };
        if due { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        durable::sync(&self.file)?;
        self.unsynced = 0;
        Ok(())
    }
}

/// The numbers of the old files, the oldest first.
fn rotated(path: &Path) -> io::Result<Vec<u64>> {
    let Some(name) = path.file_name() else { return Ok(Vec::new()) };
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(durable::folder(path))? {
        let file = entry?.file_name();
        let rest = file.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
        let number = rest.and_then(|rest| rest.strip_prefix(b".")).and_then(|n| std::str::from_utf8(n).ok());
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

impl DeadLetterQueue for JsonlQueue {
    /// Writes the letter. When syncing fails after the write ([`SyncPolicy::EveryRecord`], [`SyncPolicy::Every`]) that is
    /// an error too, and pushing the letter again writes it a second time, with the same id.
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        match self.with_output(|output| output.write(&letter, self.sync, &self.path, self.rotation)) {
            Ok(()) => Ok(()),
            Err(cause) => Err(DeadLetterError { letter: Box::new(letter), cause }),
        }
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        match self.sync {
            SyncPolicy::Never => Ok(()),
            SyncPolicy::OnFlush | SyncPolicy::Every(_) | SyncPolicy::EveryRecord => {
                self.with_output(Output::sync)
            }
        }
    }

    /// With [`SyncPolicy::Never`] it always is: it will not be more durable by a flush.
    fn is_durable(&self) -> bool {
        self.sync == SyncPolicy::Never || self.with_output(|output| Ok(output.unsynced == 0)).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::{ReadError, Reason, Rejected, read_letters};

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
        assert!(
            matches!(&read[1], Err(ReadError::Torn { line: 2, length: 10, offset, .. }) if *offset == whole),
            "{read:?}"
        );

        JsonlQueue::append(&path).unwrap().push(letter("c")).unwrap();
        let read: Vec<_> = read_letters(&path).unwrap().collect();
        assert!(matches!(&read[1], Err(ReadError::Torn { line: 2, length: 10, .. })), "{read:?}");
        assert_eq!(read[2].as_ref().unwrap(), &letter("c"));
        assert_eq!(read.len(), 3);
    }

    #[test]
    fn wherever_a_line_is_torn_it_is_torn_and_the_next_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let rejected = Rejected::new("ä\n\u{1F600}".as_bytes().to_vec(), "check", Reason::decode("nö"));
        let sent = DeadLetter::from_rejected(&rejected, chrono::DateTime::UNIX_EPOCH);
        let line = serde_json::to_vec(&sent).unwrap();
        for length in 1..line.len() {
            std::fs::write(&path, &line[..length]).unwrap();
            JsonlQueue::append(&path).unwrap().push(sent.clone()).unwrap();
            let read: Vec<_> = read_letters(&path).unwrap().collect();
            assert!(
                matches!(&read[0], Err(ReadError::Torn { line: 1, offset: 0, .. })),
                "{length}: {read:?}"
            );
            assert_eq!(read[1].as_ref().unwrap(), &sent);
        }
        // Only the end of line is missing: nothing is lost.
        std::fs::write(&path, &line).unwrap();
        JsonlQueue::append(&path).unwrap().push(sent.clone()).unwrap();
        let read: Vec<_> = read_letters(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, [sent.clone(), sent]);
    }

    #[test]
    fn syncs_after_so_many_letters() {
        let folder = tempfile::tempdir().unwrap();
        let policy = SyncPolicy::Every(NonZeroU32::new(3).unwrap());
        let mut queue = JsonlQueue::create(folder.path().join("dead.jsonl")).unwrap().sync(policy);
        let unsynced = |queue: &JsonlQueue| queue.shared.lock().unwrap().unsynced;
        let counts: Vec<_> = (0..7)
            .map(|_| {
                queue.push(letter("a")).unwrap();
                unsynced(&queue)
            })
            .collect();
        assert_eq!(counts, [1, 2, 0, 1, 2, 0, 1]);
        queue.flush().unwrap();
        assert_eq!(unsynced(&queue), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn full_disk_gives_the_letter_back() {
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut queue = JsonlQueue {
            shared: Arc::new(Mutex::new(Output { file, length: 0, deleted: 0, torn: false, unsynced: 0 })),
            path: Path::new("/dev/full").into(),
            sync: SyncPolicy::Never,
            rotation: None,
        };
        let error = queue.push(letter("a")).unwrap_err();
        assert_eq!(*error.letter, letter("a"));
        assert!(error.cause.to_string().contains("/dev/full"), "{error}");
        assert!(queue.shared.lock().unwrap().torn);
    }
}
