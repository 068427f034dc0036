//! All of a store in one file: `magic, records, end`. A record is `length of the key, key, length of the value, value`; the
//! end is a length that no key has, how many records there are, and a checksum of all bytes before it. Lengths are big
//! endian.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write as _},
    ops::ControlFlow,
    path::Path,
};

use super::{State, StateError, Store, Write, codec::Fnv};
use crate::durable;

const MAGIC: &[u8; 17] = b"rxevents state 1\n";
const END: u32 = u32::MAX;

/// A file, and a checksum of all bytes that were written or read.
struct Summed<F> {
    file: F,
    sum: Fnv,
}

impl<F> Summed<F> {
    fn new(file: F) -> Self {
        Self { file, sum: Fnv::new() }
    }
}

impl<F: io::Write> Summed<F> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.add(bytes);
        self.file.write_all(bytes)
    }

    fn put_sized(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length < END);
        let length =
            length.ok_or_else(|| io::Error::other(format!("{} bytes in one record", bytes.len())))?;
        self.put(&length.to_be_bytes())?;
        self.put(bytes)
    }
}

impl<F: Read> Summed<F> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.sum.add(&bytes);
        Ok(bytes)
    }

    fn take_sized(&mut self, length: u32) -> io::Result<Vec<u8>> {
        // No room is made for a length that is not there.
        let mut bytes = Vec::new();
        self.file.by_ref().take(u64::from(length)).read_to_end(&mut bytes)?;
        if bytes.len() < length as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.sum.add(&bytes);
        Ok(bytes)
    }
}

impl State {
    /// Commits, and writes all that is committed to a file: tables, positions, and what is in flight. The file at `path` is
    /// replaced as a whole, and durable when this returns. The state may be changed meanwhile.
    ///
    /// ```
    /// use rxevents::state::{MemoryStore, State};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("snapshot");
    /// let state = State::open(MemoryStore::new())?;
    /// state.table::<String, u64>("clicks")?.insert("/", 7)?;
    /// state.snapshot(&path)?;
    ///
    /// let elsewhere = State::restore(&path, MemoryStore::new())?;
    /// assert_eq!(elsewhere.table::<String, u64>("clicks")?.get("/")?, Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It cannot be committed, or the file cannot be written; the one before is then still there.
    pub fn snapshot(&self, path: impl AsRef<Path>) -> Result<(), StateError> {
        self.commit()?;
        durable::replace_with(path.as_ref(), |file| {
            let mut file = Summed::new(file);
            file.put(MAGIC)?;
            let (mut records, mut wrong) = (0_u64, None);
            self.0.store.scan(&[], None, &mut |key, value| {
                records += 1;
                match file.put_sized(key).and_then(|()| file.put_sized(value)) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        wrong = Some(error);
                        ControlFlow::Break(())
                    }
                }
            })?;
            wrong.map_or(Ok(()), Err)?;
            file.put(&END.to_be_bytes())?;
            file.put(&records.to_be_bytes())?;
            let sum = file.sum.0;
            file.file.write_all(&sum.to_be_bytes())
        })
        .map_err(|cause| StateError::file(path.as_ref(), cause))
    }

    /// A state of what a [`snapshot`](Self::snapshot) has, in a store that is empty. All is read into memory, and committed
    /// at once or not at all.
    ///
    /// # Errors
    /// The file cannot be read, is no snapshot or damaged; the store is not empty, or fails.
    pub fn restore(path: impl AsRef<Path>, store: impl Store) -> Result<Self, StateError> {
        let failed = |cause| StateError::file(path.as_ref(), cause);
        let mut used = false;
        store
            .scan(&[], None, &mut |_, _| {
                used = true;
                ControlFlow::Break(())
            })
            .map_err(|cause| StateError::store(&store, cause))?;
        if used {
            return Err(failed(io::Error::other(format!("the store {} is not empty", store.name()))));
        }
        let file = BufReader::new(File::open(path.as_ref()).map_err(failed)?);
        let batch = read(&mut Summed::new(file)).map_err(|(record, error)| StateError::Snapshot {
            record,
            what: match error.kind() {
                io::ErrorKind::UnexpectedEof => "the file ends here".into(),
                _ => error.to_string(),
            },
        })?;
        store.commit(batch).map_err(|cause| StateError::store(&store, cause))?;
        Self::open(store)
    }
}

/// All records, or at which one something is wrong.
fn read(file: &mut Summed<impl Read>) -> Result<Vec<Write>, (u64, io::Error)> {
    match file.take().map_err(|error| (0, error))? {
        magic if magic == *MAGIC => {}
        _ => return Err((0, wrong("this is no snapshot of a state, or of another version"))),
    }
    let mut batch = Vec::new();
    loop {
        match record(file, batch.len() as u64) {
            Ok(Some(write)) => batch.push(write),
            Ok(None) => match file.file.read(&mut [0]) {
                Ok(0) => return Ok(batch),
                Ok(_) => return Err((batch.len() as u64, wrong("there is more behind the end"))),
                Err(error) => return Err((batch.len() as u64, error)),
            },
            Err(error) => return Err((batch.len() as u64, error)),
        }
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The next record; `None`: all `before` are right.
fn record(file: &mut Summed<impl Read>, before: u64) -> io::Result<Option<Write>> {
    let length = u32::from_be_bytes(file.take()?);
    if length != END {
        let key = file.take_sized(length)?;
        let length = u32::from_be_bytes(file.take()?);
        return Ok(Some(Write { key, value: Some(file.take_sized(length)?) }));
    }
    if u64::from_be_bytes(file.take()?) != before {
        return Err(wrong("another number of records was written"));
    }
    let sum = file.sum.0;
    if u64::from_be_bytes(file.take()?) != sum {
        return Err(wrong("the checksum is another: the file is damaged"));
    }
    Ok(None)
}
