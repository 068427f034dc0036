//! What became of events that failed, and of the stream if it did.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use rxevents::{
    dead_letter::{DeadLetterError, QueueError},
    prelude::*,
};

use super::{ArgError, Args, say, tally::reason};

/// The dead letters of a run: counted by their reason, and kept in a file or else told on stderr.
#[derive(Clone, Default)]
pub(crate) struct Rejects {
    file: Option<JsonlQueue>,
    counts: Rc<RefCell<BTreeMap<String, u64>>>,
    /// An input could not be read to its end.
    unread: Rc<RefCell<Option<String>>>,
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
        self.counts.borrow().values().sum()
    }

    /// How many there were of each reason.
    pub(crate) fn reasons(&self) -> BTreeMap<String, u64> {
        self.counts.borrow().clone()
    }

    /// How many there were, if the inputs were read to the end: what is not read is not accounted for.
    pub(crate) fn check(&self) -> Result<u64, String> {
        match &*self.unread.borrow() {
            None => Ok(self.total()),
            Some(message) => Err(format!("not read to the end: {message}")),
        }
    }
}

impl DeadLetterQueue for Rejects {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let reason = reason(&letter);
        let message = match &letter.origin {
            Some(origin) => format!("{}:{}: {}", origin.source, origin.line.unwrap_or(0), letter.message),
            None => letter.message.clone(),
        };
        if letter.kind == FailureKind::Io {
            self.unread.borrow_mut().get_or_insert_with(|| message.clone());
        }
        match &mut self.file {
            Some(file) => file.push(letter)?,
            None => say(&format!("rejected: {message}")),
        }
        *self.counts.borrow_mut().entry(reason).or_default() += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        self.file.as_mut().map_or(Ok(()), JsonlQueue::flush)
    }
}

/// The error that ended a stream, if one did: a full buffer, dead letters that cannot be stored, a panic.
#[derive(Clone, Default)]
pub(crate) struct Failure(Rc<RefCell<Option<StreamError>>>);

impl Failure {
    /// For `on_error_route`.
    pub(crate) fn observer(&self) -> impl Observer<StreamError, Infallible> + use<> {
        let failure = self.clone();
        observer(move |error: StreamError| _ = failure.0.borrow_mut().get_or_insert(error))
    }

    /// For a failure that is known otherwise.
    pub(crate) fn set(&self, reason: Reason) {
        self.0.borrow_mut().get_or_insert(StreamError::source(reason));
    }

    pub(crate) fn check(&self) -> Result<(), StreamError> {
        self.0.borrow_mut().take().map_or(Ok(()), Err)
    }
}
