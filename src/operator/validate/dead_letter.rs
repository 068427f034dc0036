use std::sync::Arc;

use crate::{
    dead_letter::{DeadLetter, DeadLetterQueue, Payload, Rejected},
    delivery::fate::{Fate, abandoning, with_fate},
    error::{StreamError, catch, unhandled},
    operator::apply::{Emit, Kernel},
    pipeline::{Node, building},
    time::Clock,
};

/// See [`dead_letter`](super::ValidateOps::dead_letter).
#[derive(Clone)]
pub struct DeadLetters<Q: DeadLetterQueue, S> {
    queue: Q,
    clock: S,
    /// Letters may be in it that have not been flushed.
    written: bool,
    /// Whose letters they are.
    stage: Option<Arc<Node>>,
}

impl<Q: DeadLetterQueue, S> DeadLetters<Q, S> {
    pub(super) fn new(queue: Q, clock: S) -> Self {
        Self { queue, clock, written: false, stage: building() }
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        self.written = false;
        self.queue.flush().map_err(StreamError::source)
    }
}

/// Without an end, by an unsubscription or when the source goes away, the letters are flushed as well.
impl<Q: DeadLetterQueue, S> Drop for DeadLetters<Q, S> {
    fn drop(&mut self) {
        if self.written && !std::thread::panicking() {
            match catch("dead_letter", || self.flush()) {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => unhandled(&failure),
                Err(panic) => unhandled(&panic.into()),
            }
        }
    }
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
                self.written = true;
                let letter = DeadLetter::from_rejected(&rejected, self.clock.utc());
                match self.queue.push(letter) {
                    Ok(()) => {
                        if let Some(stage) = &self.stage {
                            stage.dead_lettered();
                        }
                        with_fate(Fate::DeadLettered, || drop(rejected));
                        Emit::Skip
                    }
                    Err(error) => {
                        abandoning(|| drop(rejected));
                        Emit::Fail(StreamError::DeadLetter(Arc::new(error)))
                    }
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), StreamError> {
        self.flush()
    }
}
