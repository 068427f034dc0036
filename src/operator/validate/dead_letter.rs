use std::sync::Arc;

use crate::{
    dead_letter::{DeadLetter, DeadLetterQueue, Payload, Rejected},
    error::StreamError,
    operator::apply::{Emit, Kernel},
    time::Clock,
};

/// See [`dead_letter`](super::ValidateOps::dead_letter).
#[derive(Clone)]
pub struct DeadLetters<Q, S> {
    pub(super) queue: Q,
    pub(super) clock: S,
}

impl<Q, S, I, T> Kernel<Result<T, Rejected<I>>, T> for DeadLetters<Q, S>
where
    Q: DeadLetterQueue,
    S: Clock,
    I: Payload,
{
    const NAME: &'static str = "dead_letter";

    #[inline(always)]
    fn next(&mut self, item: Result<T, Rejected<I>>) -> Emit<T> {
        match item {
            Ok(good) => Emit::Item(good),
            Err(rejected) => {
                let letter = DeadLetter::from_rejected(&rejected, self.clock.utc());
                match self.queue.push(letter) {
                    Ok(()) => Emit::Skip,
                    Err(error) => Emit::Fail(StreamError::DeadLetter(Arc::new(error))),
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), StreamError> {
        self.queue.flush().map_err(StreamError::source)
    }
}
