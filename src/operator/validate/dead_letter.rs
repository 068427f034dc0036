use std::sync::Arc;

use crate::{
    dead_letter::{DeadLetter, DeadLetterError, DeadLetterQueue, Limits, NoPolicy, Payload, Rejected},
    delivery::fate::{Fate, abandoning, going_on, with_fate},
    error::{StreamError, catch, unhandled},
    operator::apply::{Emit, Kernel},
    pipeline::{Node, building},
    time::Clock,
};

/// See [`dead_letter`](super::ValidateOps::dead_letter) and [`dead_letter_with`](super::ValidateOps::dead_letter_with).
///
/// An item is dropped once its letter is stored; one that acknowledges at its source, once its letter is durable.
pub struct DeadLetters<Q: DeadLetterQueue, S: Clock, I: Payload, L: Limits = NoPolicy> {
    queue: Q,
    clock: S,
    limits: L,
    /// Letters may be in it that have not been flushed.
    written: bool,
    /// Items whose letters are stored, but maybe not durable.
    held: Vec<I>,
    /// Whose letters they are.
    stage: Option<Arc<Node>>,
}

/// A clone belongs to another subscription.
impl<Q, S, I, L> Clone for DeadLetters<Q, S, I, L>
where
    Q: DeadLetterQueue + Clone,
    S: Clock,
    I: Payload,
    L: Limits + Clone,
{
    fn clone(&self) -> Self {
        let Self { queue, clock, limits, stage, .. } = self;
        let (queue, clock, limits, stage) = (queue.clone(), clock.clone(), limits.clone(), stage.clone());
        Self { queue, clock, limits, written: false, held: Vec::new(), stage }
    }
}

/// The letter of the item is durable, also where that is found when the stream has ended.
fn done<I>(item: I) {
    going_on(|| with_fate(Fate::DeadLettered, || drop(item)));
}

/// It is not: the source is to send the item again.
#[cold]
fn abandon<I>(item: I) {
    going_on(|| abandoning(|| drop(item)));
}

impl<Q: DeadLetterQueue, S: Clock, I: Payload, L: Limits> DeadLetters<Q, S, I, L> {
    pub(super) fn new(queue: Q, clock: S, limits: L) -> Self {
        Self { queue, clock, limits, written: false, held: Vec::new(), stage: building() }
    }

    /// Makes all letters durable; then the items are done.
    fn flush(&mut self) -> Result<(), StreamError> {
        self.written = false;
        let Self { queue, clock, limits, .. } = self;
        match limits.again(|()| queue.flush().map_err(|cause| ((), cause)), (), clock) {
            Ok(()) => {
                self.held.drain(..).for_each(done);
                Ok(())
            }
            Err(((), cause)) => {
                self.held.drain(..).for_each(abandon);
                Err(StreamError::source(cause))
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn bad(&mut self, rejected: Rejected<I>) -> Result<(), StreamError> {
        let letter = DeadLetter::from_rejected(&rejected, self.clock.utc());
        let item = rejected.item;
        if let Err(failure) = self.store(letter) {
            abandon(item);
            return Err(failure);
        }
        if let Some(stage) = &self.stage {
            stage.dead_lettered();
        }
        if self.queue.is_durable() {
            self.held.drain(..).for_each(done);
            done(item);
        } else if item.acknowledges() {
            self.held.push(item);
            if self.held.len() >= self.limits.max_unflushed() {
                return self.flush();
            }
        } else {
            done(item);
        }
        Ok(())
    }

    fn store(&mut self, letter: DeadLetter) -> Result<(), StreamError> {
        let letter = self.limits.bad(letter.into(), &self.clock)?;
        self.written = true;
        let Self { queue, clock, limits, .. } = self;
        let push = |letter: Box<DeadLetter>| {
            queue.push(*letter).map_err(|DeadLetterError { letter, cause }| (letter, cause))
        };
        limits
            .again(push, letter, clock)
            .map_err(|(letter, cause)| StreamError::DeadLetter(Arc::new(DeadLetterError { letter, cause })))
    }
}

/// Without an end, by an unsubscription or when the source goes away, the letters are flushed as well.
impl<Q: DeadLetterQueue, S: Clock, I: Payload, L: Limits> Drop for DeadLetters<Q, S, I, L> {
    fn drop(&mut self) {
        if self.written && !std::thread::panicking() {
            match catch("dead_letter", || self.flush()) {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => unhandled(&failure),
                Err(panic) => unhandled(&panic.into()),
            }
        }
        self.held.drain(..).for_each(abandon);
    }
}

impl<Q, S, I, T, L> Kernel<Result<T, Rejected<I>>, T> for DeadLetters<Q, S, I, L>
where
    Q: DeadLetterQueue,
    S: Clock,
    I: Payload,
    L: Limits,
{
    const NAME: &'static str = "dead_letter";

    #[inline(always)]
    fn next(&mut self, item: Result<T, Rejected<I>>) -> Emit<T> {
        match item {
            Ok(good) => {
                self.limits.good(&self.clock);
                Emit::Item(good)
            }
            Err(rejected) => match self.bad(rejected) {
                Ok(()) => Emit::Skip,
                Err(failure) => Emit::Fail(failure),
            },
        }
    }

    fn end(&mut self) -> Result<(), StreamError> {
        self.flush()
    }
}
