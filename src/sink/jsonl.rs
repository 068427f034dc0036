use std::{
    collections::{HashSet, VecDeque},
    fs::{File, OpenOptions},
    hash::Hash,
    io::{self, BufReader, BufWriter, Seek, SeekFrom, Write},
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Serialize, de::DeserializeOwned};

use super::EventSink;
use crate::{
    dead_letter::{Reason, SyncPolicy},
    durable,
    source::{Resumable, jsonl},
};

/// Values in a file, one JSON value a line; flushing it makes them durable.
///
/// A line that a crash has torn is cut off when the file is opened: its value was not acknowledged, and comes again.
/// Values are written through a buffer of 64 KiB.
///
/// One process at a time may write to a file.
///
/// ```
/// use rxevents::sink::{EventSink, JsonlSink};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("orders.jsonl");
/// // Effectively once: what comes again after a crash is known by its key.
/// let open = || JsonlSink::deduplicated(&path, 10_000, |order: &(u32, String)| order.0);
/// let mut sink = open()?;
/// sink.write(&(1, "tea".to_owned()))?;
/// sink.write(&(1, "tea".to_owned()))?;
/// sink.flush()?;
/// drop(sink);
/// let mut sink = open()?;
/// sink.write(&(1, "tea".to_owned()))?;
/// sink.write(&(2, "milk".to_owned()))?;
/// sink.flush()?;
/// assert_eq!(sink.duplicates(), 1);
/// assert_eq!(std::fs::read_to_string(&path)?, "[1,\"tea\"]\n[2,\"milk\"]\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JsonlSink<T> {
    file: BufWriter<File>,
    path: Arc<Path>,
    known: Option<Box<dyn Known<T> + Send>>,
    duplicates: u64,
    syncs: bool,
    line: Vec<u8>,
    types: PhantomData<fn(T)>,
}

/// A file of values cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct SinkError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    #[source]
    pub cause: io::Error,
}

/// The keys of the values that were written last.
trait Known<T> {
    fn has(&self, value: &T) -> bool;
    /// From now on it is known.
    fn add(&mut self, value: &T);
}

struct Keys<F, K> {
    key: F,
    keys: HashSet<K>,
    order: VecDeque<K>,
    most: usize,
}

impl<T, F: Fn(&T) -> K, K: Hash + Eq + Clone> Known<T> for Keys<F, K> {
    fn has(&self, value: &T) -> bool {
        self.keys.contains(&(self.key)(value))
    }

    fn add(&mut self, value: &T) {
        let key = (self.key)(value);
        if !self.keys.insert(key.clone()) {
            return;
        }
        if self.order.len() == self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        self.order.push_back(key);
    }
}

impl<T: Serialize> JsonlSink<T> {
    /// The file at `path`, which may be there already; what is in it stays.
    ///
    /// # Errors
    /// It cannot be opened or read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SinkError> {
        let path = path.as_ref();
        open(path)
            .and_then(|mut file| {
                cut_torn(&mut file)?;
                Self::on(file, path, None)
            })
            .map_err(|cause| SinkError { path: path.to_owned(), cause })
    }

    /// A file in which no value stands twice: of the last `remember` values (at least 1), with those that were in the file
    /// before, the keys are known, and a value whose key is known is not written again.
    ///
    /// After a crash a source delivers again what it had not committed. So `remember` must be at least the number of
    /// deliveries that may be in flight, and of those between two commits
    /// ([`AckPolicy`](crate::delivery::AckPolicy)). Opening reads the whole file.
    ///
    /// # Errors
    /// The file cannot be opened or read, or a line of it is no such value.
    pub fn deduplicated<K>(
        path: impl AsRef<Path>,
        remember: usize,
        key: impl Fn(&T) -> K + Send + 'static,
    ) -> Result<Self, SinkError>
    where
        T: DeserializeOwned,
        K: Hash + Eq + Clone + Send + 'static,
    {
        let path = path.as_ref();
        let (keys, order) = (HashSet::new(), VecDeque::new());
        let mut known = Keys { key, keys, order, most: remember.max(1) };
        let read = |mut file: File| {
            cut_torn(&mut file)?;
            file.rewind()?;
            let name = path.to_string_lossy();
            let mut values = jsonl::<_, T>(BufReader::new(&mut file), name.as_ref());
            while let Some(value) = values.next() {
                let value = value.map_err(|rejected| match rejected.reason {
                    Reason::Io(error) => io::Error::new(error.kind(), error),
                    reason => {
                        let line = values.reached().lines;
                        io::Error::new(io::ErrorKind::InvalidData, format!("line {line}: {reason}"))
                    }
                })?;
                known.add(&value);
            }
            file.seek(SeekFrom::End(0))?;
            Self::on(file, path, Some(Box::new(known)))
        };
        open(path).and_then(read).map_err(|cause| SinkError { path: path.to_owned(), cause })
    }

    fn on(file: File, path: &Path, known: Option<Box<dyn Known<T> + Send>>) -> io::Result<Self> {
        durable::sync_folder(path)?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 16, file),
            path: path.into(),
            known,
            duplicates: 0,
            syncs: true,
            line: Vec::new(),
            types: PhantomData,
        })
    }

    /// Sets whether a flush reaches the disk, as it does unless it is [`SyncPolicy::Never`]: then what is flushed survives a
    /// crash of the process, but maybe not of the machine.
    #[must_use]
    pub fn sync(self, sync: SyncPolicy) -> Self {
        Self { syncs: sync != SyncPolicy::Never, ..self }
    }

    /// How many values were not written, as they were known.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    fn failed(&self) -> impl Fn(io::Error) -> SinkError + use<T> {
        let path = self.path.clone();
        move |cause| SinkError { path: path.to_path_buf(), cause }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).read(true).create(true).open(path)
}

/// Cuts off a last line without an end, back to the end of the one before.
fn cut_torn(file: &mut File) -> io::Result<()> {
    use std::io::Read;
    if !durable::ends_torn(file)? {
        return Ok(());
    }
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut chunk = [0; 1 << 12];
    while end > 0 {
        let length = end.min(chunk.len() as u64) as usize;
        let start = end - length as u64;
        file.seek(SeekFrom::Start(start))?;
        let part = chunk.get_mut(..length).unwrap_or_default();
        file.read_exact(part)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    file.set_len(end)
}

impl<T: Serialize> EventSink<T> for JsonlSink<T> {
    type Error = SinkError;

    fn write(&mut self, value: &T) -> Result<(), SinkError> {
        // As a whole first: what cannot be JSON leaves nothing in the file.
        self.line.clear();
        serde_json::to_writer(&mut self.line, value).map_err(|error| self.failed()(error.into()))?;
        self.line.push(b'\n');
        if self.known.as_ref().is_some_and(|known| known.has(value)) {
            self.duplicates += 1;
            return Ok(());
        }
        self.file.write_all(&self.line).map_err(self.failed())?;
        if let Some(known) = &mut self.known {
            known.add(value);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let sync = |file: &File| if self.syncs { durable::sync(file) } else { Ok(()) };
        self.file.flush().and_then(|()| sync(self.file.get_ref())).map_err(self.failed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_cut_off_and_its_value_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        for (before, after) in [("[1]\n[2", "[1]\n"), ("[2", ""), ("", ""), ("[1]\n", "[1]\n")] {
            std::fs::write(&path, before).unwrap();
            let mut sink = JsonlSink::<Vec<u8>>::deduplicated(&path, 10, |value| value[0]).unwrap();
            sink.write(&vec![2]).unwrap();
            sink.flush().unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{after}[2]\n"));
        }
        std::fs::write(&path, format!("[1]\n[{}", "1".repeat(10_000))).unwrap();
        drop(JsonlSink::<Vec<u8>>::open(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[1]\n");
    }

    #[test]
    fn remembers_so_many_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut sink = JsonlSink::<u8>::deduplicated(&path, 2, |value| *value).unwrap();
        for value in [1, 2, 1, 3, 1] {
            sink.write(&value).unwrap();
        }
        sink.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n2\n3\n1\n");
        assert_eq!(sink.duplicates(), 1);
    }

    #[test]
    fn a_file_of_something_else_is_an_error_that_names_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, "1\n\nx\n").unwrap();
        let error = JsonlSink::<u8>::deduplicated(&path, 2, |value| *value).err().unwrap().to_string();
        assert!(error.ends_with("a.jsonl: line 3: expected value at line 1 column 1"), "{error}");
    }
}
