//! The accounts: where each event is, counted where it happens.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use rxevents::{
    dead_letter::{DeadLetterError, QueueError},
    prelude::*,
};
use serde::Serialize;

use crate::tally::{Counter, reason};

/// The accounts of one source. No count is made of the others, so that the law can fail.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// Taken from the source.
    pub(crate) taken: Counter,
    /// Arrived at the sink.
    pub(crate) out: Counter,
    /// Left out by a filter.
    pub(crate) filtered: Counter,
    /// Left out by a policy of its name: the throttle.
    pub(crate) dropped: Counter,
    /// Stored by the dead-letter queue.
    pub(crate) dead_lettered: Counter,
    /// Waiting in an operator.
    pub(crate) in_flight: Counter,
    /// Why events were dead-lettered: how often for each reason.
    pub(crate) reasons: Rc<RefCell<BTreeMap<String, u64>>>,
}

impl Ledger {
    /// The accounts as they are now.
    pub(crate) fn account(&self) -> Account {
        Account {
            taken: self.taken.get(),
            out: self.out.get(),
            filtered: self.filtered.get(),
            dropped: self.dropped.get(),
            dead_lettered: self.dead_lettered.get(),
            in_flight: self.in_flight.get(),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Account {
    #[serde(rename = "in")]
    pub(crate) taken: u64,
    pub(crate) out: u64,
    pub(crate) filtered: u64,
    pub(crate) dropped: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) in_flight: u64,
}

impl Account {
    /// The law of the house: every event is accounted for.
    pub(crate) fn check(&self, name: &str) -> Result<(), String> {
        let Self { taken, out, filtered, dropped, dead_lettered, in_flight } = *self;
        if taken == out + filtered + dropped + dead_lettered + in_flight {
            return Ok(());
        }
        Err(format!(
            "{name}: events are not accounted for: in {taken}, but out {out} + filtered {filtered} + dropped {dropped} \
             + dead-lettered {dead_lettered} + in flight {in_flight}"
        ))
    }
}

/// Counts what `queue` has stored.
#[derive(Debug, Clone)]
pub(crate) struct Counted<Q> {
    queue: Q,
    ledger: Ledger,
}

impl<Q> Counted<Q> {
    pub(crate) fn new(queue: Q, ledger: &Ledger) -> Self {
        Self { queue, ledger: ledger.clone() }
    }
}

impl<Q: DeadLetterQueue> DeadLetterQueue for Counted<Q> {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let reason = reason(&letter);
        self.queue.push(letter)?;
        self.ledger.dead_lettered.add(1);
        *self.ledger.reasons.borrow_mut().entry(reason).or_default() += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        self.queue.flush()
    }
}
