//! What became of events that failed, and of the stream if it did.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rxevents::{
    dead_letter::{DeadLetterError, QueueError},
    prelude::*,
};

use super::{ArgError, Args, say, tally::reason};

/// The dead letters of a run: counted by their reason, and kept in a file or else told on stderr. Clones are one, on
/// other threads too.
#[derive(Clone, Default)]
pub(crate) struct Rejects {
    file: Option<JsonlQueue>,
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
    /// An input could not be read to its end.
    unread: Arc<Mutex<Option<String>>>,
}

impl Rejects {
    /// Kept in the file of `--dead-letters`, else in one of this name in the folder for temporary files. A file that is
    /// there is replaced.
    pub(crate) fn replace(args: &Args, name: &str) -> Result<Self, Box<dyn Error>> {
        let path = args.path("dead-letters").map_or_else(|| std::env::temp_dir().join(name), PathBuf::from);
        let same = |read: &Path| path.canonicalize().is_ok_and(|path| Some(path) == read.canonicalize().ok());
        if let Some(read) = args.file(0).filter(|read| same(read)) {
            let message = format!("--dead-letters {} would replace a file that is read", read.display());
            return Err(ArgError(message).into());
        }
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Self::append(&path)
    }

    /// Kept in this file, after what is in it.
    pub(crate) fn append(path: &Path) -> Result<Self, Box<dyn Error>> {
        say(&format!("dead letters: {}", path.display()));
        Ok(Self { file: Some(JsonlQueue::append(path)?), ..Self::default() })
    }

    pub(crate) fn total(&self) -> u64 {
        lock(&self.counts).values().sum()
    }

    /// How many there were of each reason.
    pub(crate) fn reasons(&self) -> BTreeMap<String, u64> {
        lock(&self.counts).clone()
    }

    /// How many there were, if the inputs were read to the end: what is not read is not accounted for.
    pub(crate) fn check(&self) -> Result<u64, String> {
        match &*lock(&self.unread) {
            None => Ok(self.total()),
            Some(message) => Err(format!("not read to the end: {message}")),
        }
    }
}

impl DeadLetterQueue for Rejects {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let reason = reason(&letter);
        let message = match &letter.origin {
            Some(origin) => {
                let place = format!("{}:{}", origin.source, origin.line.unwrap_or(0));
                // A message about a column begins with the place.
                if letter.message.starts_with(&place) {
                    letter.message.clone()
                } else {
                    format!("{place}: {}", letter.message)
                }
            }
            None => letter.message.clone(),
        };
        if letter.kind == FailureKind::Io {
            lock(&self.unread).get_or_insert_with(|| message.clone());
        }
        match &mut self.file {
            Some(file) => file.push(letter)?,
            None => say(&format!("rejected: {message}")),
        }
        *lock(&self.counts).entry(reason).or_default() += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        self.file.as_mut().map_or(Ok(()), JsonlQueue::flush)
    }

    fn is_durable(&self) -> bool {
        self.file.as_ref().is_none_or(JsonlQueue::is_durable)
    }
}

/// The error that ended a stream, if one did: a full buffer, dead letters that cannot be stored, a panic.
#[derive(Clone, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<StreamError>>>);

impl Failure {
    /// For `on_error_route`.
    pub(crate) fn observer(&self) -> impl Observer<StreamError, Infallible> + use<> {
        let failure = self.clone();
        observer(move |error: StreamError| _ = lock(&failure.0).get_or_insert(error))
    }

    /// For a failure that is known otherwise.
    pub(crate) fn set(&self, reason: Reason) {
        lock(&self.0).get_or_insert(StreamError::source(reason));
    }

    pub(crate) fn check(&self) -> Result<(), StreamError> {
        lock(&self.0).take().map_or(Ok(()), Err)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
