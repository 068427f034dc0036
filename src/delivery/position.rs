//! Where a source is, and where that is kept.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::durable;

/// Where a source is: how much of it is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Position {
    /// Bytes, where the source has such; otherwise 0.
    pub bytes: u64,
    /// Lines, or items where there are no lines.
    pub lines: u64,
}

/// Where the committed position of one source is kept.
pub trait PositionStore {
    /// The committed position; `None` before the first commit. An [`Acknowledger`](super::Acknowledger) loads it once,
    /// when it is made.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    fn load(&mut self) -> Result<Option<Position>, PositionError>;

    /// Commits a position: durable when this returns. Where the position has been loaded again since this one loaded it,
    /// by the acknowledger of a new connection to the source, say, nothing is changed: what was delivered before
    /// is delivered again, and its receipts mean nothing any more.
    ///
    /// # Errors
    /// It is not certain that it is durable; the one before may still be there.
    fn store(&mut self, position: Position) -> Result<(), PositionError>;
}

/// A position could not be read or committed.
#[derive(Debug, thiserror::Error)]
#[error("position of `{source_name}` in {}: {cause}", path.display())]
pub struct PositionError {
    /// The source.
    pub source_name: Arc<str>,
    /// Where positions are kept.
    pub path: PathBuf,
    /// What is wrong.
    #[source]
    pub cause: io::Error,
}

/// Keeps nothing beyond the process: for tests, and sources that begin anew each time. Clones share the position.
///
/// Who has loaded it last is who may store: see [`PositionStore::store`].
#[derive(Debug, Clone, Default)]
pub struct MemoryPosition {
    kept: Arc<Mutex<Kept>>,
    generation: u64,
}

#[derive(Debug, Default)]
struct Kept {
    position: Option<Position>,
    generation: u64,
}

impl MemoryPosition {
    /// The committed position.
    pub fn get(&self) -> Option<Position> {
        self.kept().position
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PositionStore for MemoryPosition {
    fn load(&mut self) -> Result<Option<Position>, PositionError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.generation += 1;
        self.generation = kept.generation;
        Ok(kept.position)
    }

    fn store(&mut self, position: Position) -> Result<(), PositionError> {
        let mut kept = self.kept();
        if self.generation == kept.generation {
            kept.position = Some(position);
        }
        Ok(())
    }
}

/// The positions of one or more sources in a small JSON file, which is replaced as a whole: written beside it, flushed to
/// the disk, renamed. So it is never half written, whenever the process is killed. Clones share the file.
///
/// A process at a time: two that write the same file overwrite each other's positions.
#[derive(Debug, Clone)]
pub struct PositionFile {
    inner: Arc<Mutex<Positions>>,
}

#[derive(Debug)]
struct Positions {
    path: PathBuf,
    of: BTreeMap<Arc<str>, Position>,
    /// How often each was loaded.
    generations: BTreeMap<Arc<str>, u64>,
}

impl PositionFile {
    /// The file at `path`; it need not be there yet, but its folder must be.
    ///
    /// # Errors
    /// It cannot be read, or holds no positions.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PositionError> {
        let path = path.as_ref().to_owned();
        let failed = |path, cause| PositionError { source_name: "all".into(), path, cause };
        let of = match fs::read(&path) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(of) => of,
                Err(error) => return Err(failed(path, error.into())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed(path, error)),
        };
        Ok(Self { inner: Arc::new(Mutex::new(Positions { path, of, generations: BTreeMap::new() })) })
    }

    /// The position of the source of that name.
    pub fn source(&self, name: impl Into<Arc<str>>) -> SourcePosition {
        SourcePosition { file: self.clone(), name: name.into(), generation: 0 }
    }
}

/// The position of one source in a [`PositionFile`]. Who has loaded it last, of those that share the file, is who may store.
#[derive(Debug, Clone)]
pub struct SourcePosition {
    file: PositionFile,
    name: Arc<str>,
    generation: u64,
}

impl PositionStore for SourcePosition {
    fn load(&mut self) -> Result<Option<Position>, PositionError> {
        let mut positions = self.file.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = positions.generations.entry(self.name.clone()).or_default();
        *generation += 1;
        self.generation = *generation;
        Ok(positions.of.get(&self.name).copied())
    }

    fn store(&mut self, position: Position) -> Result<(), PositionError> {
        let mut positions = self.file.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if positions.generations.get(&self.name).is_some_and(|latest| *latest != self.generation) {
            return Ok(());
        }
        let before = positions.of.insert(self.name.clone(), position);
        if before == Some(position) {
            return Ok(());
        }
        let written = serde_json::to_vec(&positions.of).map_err(io::Error::from);
        written.and_then(|of| durable::replace(&positions.path, &of)).map_err(|cause| {
            match before {
                Some(before) => positions.of.insert(self.name.clone(), before),
                None => positions.of.remove(&self.name),
            };
            PositionError { source_name: self.name.clone(), path: positions.path.clone(), cause }
        })
    }
}
