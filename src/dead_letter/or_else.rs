use std::error::Error;

use super::{DeadLetter, DeadLetterError, DeadLetterQueue, QueueError};

/// Two queues: what the first refuses goes to the second. See [`DeadLetterQueue::or_else`].
#[derive(Debug, Clone)]
pub struct OrElse<A, B> {
    first: A,
    second: B,
}

impl<A, B> OrElse<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<A: DeadLetterQueue, B: DeadLetterQueue> DeadLetterQueue for OrElse<A, B> {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let DeadLetterError { letter, cause: first } = match self.first.push(letter) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        self.second.push(*letter).map_err(|error| {
            let cause = QueueError::BothRefused { first: first.into(), second: error.cause.into() };
            DeadLetterError { letter: error.letter, cause }
        })
    }

    /// Flushes both; the first failure is the result.
    fn flush(&mut self) -> Result<(), QueueError> {
        let first = self.first.flush();
        first.and(self.second.flush())
    }

    fn is_durable(&self) -> bool {
        self.first.is_durable() && self.second.is_durable()
    }
}

/// A queue that calls a function with each letter; what the function fails with says why the letter is refused. See
/// [`from_fn`].
#[derive(Debug, Clone)]
pub struct FnQueue<F>(F);

/// A queue that calls `f` with each letter: to send it somewhere, or to raise an alarm. When `f` returns `Ok` the letter is
/// taken as durable.
///
/// ```
/// use rxevents::{dead_letter::from_fn, prelude::*};
///
/// let kept = MemoryQueue::new(10);
/// let send = from_fn(|letter: &DeadLetter| if letter.stage == "parse" { Err("not on the network") } else { Ok(()) });
/// Local::from_iter(["1", "x"])
///     .try_map_stage("parse", |text| text.parse::<u8>().map_err(Reason::decode))
///     .dead_letter(send.or_else(kept.clone()))
///     .subscribe(|n| assert_eq!(n, 1));
/// assert_eq!(kept.len(), 1);
/// ```
pub fn from_fn<F, E>(f: F) -> FnQueue<F>
where
    F: FnMut(&DeadLetter) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    FnQueue(f)
}

impl<F, E> DeadLetterQueue for FnQueue<F>
where
    F: FnMut(&DeadLetter) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        match (self.0)(&letter) {
            Ok(()) => Ok(()),
            Err(cause) => {
                Err(DeadLetterError { letter: letter.into(), cause: QueueError::Other(cause.into()) })
            }
        }
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        Ok(())
    }
}
