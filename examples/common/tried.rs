//! An event that is tried again.

use std::{borrow::Cow, cell::Cell};

use rxevents::{dead_letter::Origin, prelude::*};

/// An event, and how often it was tried, when it was a dead letter included.
pub(crate) struct Tried<P> {
    event: P,
    count: Cell<u64>,
}

impl<P: Payload> Tried<P> {
    pub(crate) fn new(event: P) -> Self {
        let count = Cell::new(event.letter().map_or(0, |letter| letter.attempts.into()));
        Self { event, count }
    }

    /// Counts one attempt more.
    pub(crate) fn count(&self) -> u64 {
        self.count.set(self.count.get() + 1);
        self.count.get()
    }
}

/// The event's own: its letter has its bytes, exactly.
impl<P: Payload> Payload for Tried<P> {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.event.payload()
    }

    fn origin(&self) -> Option<Origin> {
        self.event.origin()
    }

    fn letter(&self) -> Option<&DeadLetter> {
        self.event.letter()
    }
}
