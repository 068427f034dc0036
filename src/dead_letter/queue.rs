use std::{error::Error, path::PathBuf};

use super::{DeadLetter, OrElse};

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

    /// Whether all letters whose push has returned are as durable as this queue can make them, without a
    /// [`flush`](Self::flush). Where they are not, `dead_letter` keeps the items that acknowledge at their source
    /// ([`Payload::acknowledges`](super::Payload::acknowledges)) until they are.
    fn is_durable(&self) -> bool {
        true
    }

    /// What this queue refuses goes to `second`. What both refuse comes back in the error.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let (small, large) = (MemoryQueue::new(1), MemoryQueue::new(10));
    /// Local::from_iter(["x", "y", "z"])
    ///     .try_map(|text| text.parse::<u8>().map_err(Reason::decode))
    ///     .dead_letter(small.clone().or_else(large.clone()))
    ///     .subscribe(|_| {});
    /// assert_eq!((small.len(), large.len()), (1, 2));
    /// ```
    fn or_else<Q: DeadLetterQueue>(self, second: Q) -> OrElse<Self, Q>
    where
        Self: Sized,
    {
        OrElse::new(self, second)
    }
}

impl<Q: DeadLetterQueue + ?Sized> DeadLetterQueue for Box<Q> {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        (**self).push(letter)
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        (**self).flush()
    }

    fn is_durable(&self) -> bool {
        (**self).is_durable()
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
    /// The payload is longer than the policy allows. Both in bytes.
    #[error("the payload is {length} bytes long, at most {limit} are allowed")]
    TooLong {
        /// The longest that is allowed.
        limit: usize,
        /// How long it is.
        length: usize,
    },
    /// Two queues have refused it.
    #[error("{first}; then: {second}")]
    BothRefused {
        /// Why the first one did.
        first: Box<QueueError>,
        /// Why the second one did.
        second: Box<QueueError>,
    },
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
}
