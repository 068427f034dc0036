//! A source of numbers as deliveries, whose books are looked at when the test is over.
#![allow(dead_code)] // each test uses a part

use rxevents::{
    delivery::{AckPolicy, DeliveryCounts, MemoryPosition},
    prelude::*,
    source::Replayed,
    testing::{Balanced, balanced},
};

/// A source of `0..n`, of which it says how far it was committed.
pub(crate) struct Source {
    pub(crate) acks: Acknowledger,
    pub(crate) position: MemoryPosition,
    /// Looks at the books when the test is over.
    pub(crate) books: Balanced<Acknowledger>,
}

impl Source {
    pub(crate) fn new() -> Self {
        Self::with(AckPolicy::default().commit_every(1))
    }

    pub(crate) fn with(policy: AckPolicy) -> Self {
        let position = MemoryPosition::default();
        let acks = Acknowledger::with("numbers", position.clone(), policy).unwrap();
        let books = balanced(&acks).holding();
        Self { acks, position, books }
    }

    pub(crate) fn items(&self, n: u64) -> impl Iterator<Item = Result<Delivery<u64>, StreamError>> + use<> {
        self.acks.resume(Replayed::new(0..n)).unwrap()
    }

    /// How many are committed.
    pub(crate) fn committed(&self) -> u64 {
        self.acks.commit().unwrap();
        self.counts();
        self.position.get().unwrap_or_default().lines
    }

    /// The books, balanced.
    pub(crate) fn counts(&self) -> DeliveryCounts {
        let counts = self.acks.counts();
        counts.check().unwrap();
        counts
    }
}
