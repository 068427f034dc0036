//! The accounts: where each event is. Each is followed by its receipt, and counted where that ends.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use rxevents::{
    dead_letter::{DeadLetterError, QueueError},
    delivery::{DeliveryCounts, Imbalance},
    prelude::*,
};
use serde::Serialize;

use super::tally::reason;

/// How an event is accounted for.
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

impl TryFrom<DeliveryCounts> for Account {
    type Error = Imbalance;

    /// The law of the house: every event is accounted for. Nothing may be abandoned in a job that has not failed.
    fn try_from(counts: DeliveryCounts) -> Result<Self, Imbalance> {
        counts.check()?;
        let DeliveryCounts {
            taken, delivered, filtered, dropped, dead_lettered, abandoned, in_flight, ..
        } = counts;
        let in_flight = in_flight + abandoned;
        Ok(Self { taken, out: delivered, filtered, dropped, dead_lettered, in_flight })
    }
}

/// Why events were dead-lettered: how often for each reason.
pub(crate) type Reasons = Rc<RefCell<BTreeMap<String, u64>>>;

/// Counts the reasons of what `queue` has stored.
#[derive(Debug, Clone)]
pub(crate) struct Counted<Q> {
    queue: Q,
    reasons: Reasons,
}

impl<Q> Counted<Q> {
    pub(crate) fn new(queue: Q, reasons: &Reasons) -> Self {
        Self { queue, reasons: reasons.clone() }
    }
}

impl<Q: DeadLetterQueue> DeadLetterQueue for Counted<Q> {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let reason = reason(&letter);
        self.queue.push(letter)?;
        *self.reasons.borrow_mut().entry(reason).or_default() += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        self.queue.flush()
    }
}
