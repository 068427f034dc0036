use std::{error::Error, path::PathBuf};

use super::DeadLetter;

/// Where dead letters are kept.
///
/// A letter that could not be stored comes back in the error: nothing is lost without the caller's doing.
pub trait DeadLetterQueue {
    /// Stores one letter.
    ///
    /// # Errors
    /// The letter was not stored; the error holds it.
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError>;

    /// Makes all stored letters as durable as this queue can.
    ///
    /// # Errors
    /// Letters that were stored may not be durable.
    fn flush(&mut self) -> Result<(), QueueError>;
}

impl<Q: DeadLetterQueue + ?Sized> DeadLetterQueue for Box<Q> {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        (**self).push(letter)
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        (**self).flush()
    }
}

/// A letter that could not be stored, and why.
#[derive(Debug, thiserror::Error)]
#[error("dead letter {} of stage {} was not stored: {cause}", letter.id, letter.stage)]
pub struct DeadLetterError {
    /// The letter.
    pub letter: Box<DeadLetter>,
    /// Why it was not stored.
    #[source]
    pub cause: QueueError,
}

/// What is wrong with a queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// It is full.
    #[error("the queue is full: it holds {capacity} letters")]
    Full {
        /// The number of letters that it can hold.
        capacity: usize,
    },
    /// Its file failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// How it failed.
        source: std::io::Error,
    },
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
}
