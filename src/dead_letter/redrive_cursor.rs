use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DeadLetter, DeadLetterError, DeadLetterQueue, QueueError, ReadError, letters::Place};
use crate::{
    durable,
    error::{StreamError, unhandled},
};

/// The position is saved after so many letters that are done, unless told otherwise.
const SAVE_EVERY: u64 = 100;
/// How much of a file's beginning tells it from another.
const HEAD: usize = 1024;
/// So many letters may wait for a flush.
const MAX_UNFLUSHED: usize = 1024;
/// The namespace of the fingerprints.
const NAMESPACE: Uuid = Uuid::from_u128(0x0f4e_8f83_3bde_5d5f_93a5_20a7_4b63_c7d5);

/// Where a [`redrive`](super::redrive()) is, kept in a file: see [`Redrive::resume`](super::Redrive::resume). Clones are
/// handles of the same.
///
/// It is saved after every 100 letters that are done, and at the end, by an atomic rename: after a kill at most those are
/// sent once more, with the same ids. It holds 40 bytes or so for each letter that is on its way.
#[derive(Debug, Clone)]
pub struct RedriveCursor(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    path: PathBuf,
    saved: Saved,
    /// The letters on their way: where they are.
    open: BTreeMap<u64, u64>,
    by_id: HashMap<Uuid, Vec<u64>, foldhash::fast::RandomState>,
    read_to: Place,
    every: u64,
    /// How many were done since it was saved.
    unsaved: u64,
}

/// The position as it is saved.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Saved {
    version: u32,
    offset: u64,
    lines: u64,
    /// Tells the file from another: how long its beginning was, and what is in it.
    head: usize,
    fingerprint: Uuid,
}

impl RedriveCursor {
    /// The position in `file`, from `path` if that is there.
    pub(super) fn open(path: &Path, file: &Path) -> Result<(Self, Place), ReadError> {
        let error =
            |path: &Path, cause: io::Error| ReadError::Io { path: path.into(), line: 0, cause: cause.into() };
        let saved = match fs::read(path) {
            Ok(bytes) => {
                let saved = read(&bytes).map_err(|cause| error(path, cause))?;
                let (_, fingerprint) = fingerprint(file, saved.head).map_err(|cause| error(file, cause))?;
                let length = fs::metadata(file).map_err(|cause| error(file, cause))?.len();
                if fingerprint != saved.fingerprint || saved.offset > length {
                    let message = format!("it is not a position in {}", file.display());
                    return Err(error(path, io::Error::new(io::ErrorKind::InvalidData, message)));
                }
                saved
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                let (head, fingerprint) = fingerprint(file, HEAD).map_err(|cause| error(file, cause))?;
                Saved { version: 1, offset: 0, lines: 0, head, fingerprint }
            }
            Err(cause) => return Err(error(path, cause)),
        };
        let place = Place { offset: saved.offset, lines: saved.lines };
        let state = State {
            path: path.into(),
            saved,
            open: BTreeMap::new(),
            by_id: HashMap::default(),
            read_to: place,
            every: SAVE_EVERY,
            unsaved: 0,
        };
        Ok((Self(Arc::new(Mutex::new(state))), place))
    }

    /// Saves the position after so many letters that are done, and not after 100; 0 is taken as 1.
    #[must_use]
    pub fn every(self, letters: u64) -> Self {
        self.state().every = letters.max(1);
        self
    }

    /// The letter is done: it was handled, or is kept elsewhere.
    ///
    /// # Errors
    /// The position cannot be saved. Nothing is lost by that; the letter would be sent once more.
    pub fn done(&self, id: Uuid) -> Result<(), QueueError> {
        let mut state = self.state();
        state.done(id);
        if state.unsaved >= state.every { state.save() } else { Ok(()) }
    }

    /// Saves the position now.
    ///
    /// # Errors
    /// It cannot be saved.
    pub fn save(&self) -> Result<(), QueueError> {
        self.state().save()
    }

    /// The place in the file before which all is done, in bytes.
    pub fn position(&self) -> u64 {
        self.state().place().offset
    }

    /// A queue for the letters that fail again, or are refused: they are [done](Self::done) once they are durable in
    /// `queue`.
    pub fn queue<Q: DeadLetterQueue>(&self, queue: Q) -> CursorQueue<Q> {
        CursorQueue { queue, cursor: self.clone(), stored: Vec::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A letter comes out.
    pub(super) fn sent(&self, id: Uuid, place: Place) {
        let mut state = self.state();
        state.open.insert(place.lines, place.offset);
        state.by_id.entry(id).or_default().push(place.lines);
    }

    /// What is before this place has come out.
    pub(super) fn read_to(&self, place: Place) {
        self.state().read_to = place;
    }
}

impl State {
    fn done(&mut self, id: Uuid) {
        // The oldest with this id, if there are several on their way.
        let Some(lines) = self.by_id.get_mut(&id) else { return };
        if !lines.is_empty() {
            let line = lines.remove(0);
            self.open.remove(&line);
            self.unsaved += 1;
        }
        if lines.is_empty() {
            self.by_id.remove(&id);
        }
    }

    fn place(&self) -> Place {
        match self.open.first_key_value() {
            Some((lines, offset)) => Place { offset: *offset, lines: *lines },
            None => self.read_to,
        }
    }

    fn save(&mut self) -> Result<(), QueueError> {
        let place = self.place();
        self.unsaved = 0;
        if place.offset == self.saved.offset {
            return Ok(());
        }
        let saved = Saved { offset: place.offset, lines: place.lines, ..self.saved.clone() };
        write(&self.path, &saved).map_err(|source| QueueError::Io { path: self.path.clone(), source })?;
        self.saved = saved;
        Ok(())
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Err(error) = self.save() {
            unhandled(&StreamError::source(error));
        }
    }
}

fn read(bytes: &[u8]) -> io::Result<Saved> {
    let saved: Saved = serde_json::from_slice(bytes)?;
    match saved.version {
        1 => Ok(saved),
        version => {
            let message = format!("position of version {version}, this build reads version 1");
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
    }
}

fn write(path: &Path, saved: &Saved) -> io::Result<()> {
    durable::replace(path, &serde_json::to_vec(saved)?)
}

/// Of the beginning of a file, and how long that was.
fn fingerprint(file: &Path, head: usize) -> io::Result<(usize, Uuid)> {
    let mut bytes = Vec::new();
    File::open(file)?.take(head as u64).read_to_end(&mut bytes)?;
    Ok((bytes.len(), Uuid::new_v5(&NAMESPACE, &bytes)))
}

/// See [`RedriveCursor::queue`].
#[derive(Debug, Clone)]
pub struct CursorQueue<Q> {
    queue: Q,
    cursor: RedriveCursor,
    /// Not durable yet.
    stored: Vec<Uuid>,
}

impl<Q: DeadLetterQueue> CursorQueue<Q> {
    fn durable(&mut self) {
        for id in self.stored.drain(..) {
            // A position that is not saved is no reason to push a letter again.
            if let Err(error) = self.cursor.done(id) {
                unhandled(&StreamError::source(error));
            }
        }
    }
}

impl<Q: DeadLetterQueue> DeadLetterQueue for CursorQueue<Q> {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let id = letter.id;
        self.queue.push(letter)?;
        self.stored.push(id);
        if self.stored.len() >= MAX_UNFLUSHED
            && let Err(error) = self.queue.flush()
        {
            // They stay open, and their letters are stored: the next flush tells.
            unhandled(&StreamError::source(error));
            return Ok(());
        }
        if self.queue.is_durable() {
            self.durable();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        self.queue.flush()?;
        self.durable();
        Ok(())
    }

    fn is_durable(&self) -> bool {
        self.queue.is_durable()
    }
}
