use std::collections::BTreeMap;

use rxrust::subscription::{Subscription, SubscriptionGuard};

use crate::{
    buffer::{Buffer, Lost, Overflow},
    error::OverflowError,
    held::QueueMeter,
};

/// The open windows of one side of a join: what is kept of each item, and the subscription to its duration.
pub(super) struct Windows<V, Sub: Subscription> {
    open: BTreeMap<u64, (V, Option<SubscriptionGuard<Sub>>)>,
    next: u64,
    buffer: Buffer,
    meter: QueueMeter,
    /// No further one will be opened.
    pub(super) done: bool,
}

/// Whether one more window may be opened.
pub(super) enum Room<V> {
    /// It may; these had to go for it.
    Yes(Lost<V>),
    /// The item was dropped.
    No,
}

impl<V, Sub: Subscription> Windows<V, Sub> {
    pub(super) fn new(buffer: &Buffer) -> Self {
        let meter = QueueMeter::open(buffer);
        Self { open: BTreeMap::new(), next: 0, buffer: buffer.clone(), meter, done: false }
    }

    /// Makes room for one more, as the policy says.
    #[inline]
    pub(super) fn room(&mut self, operator: &'static str) -> Result<Room<V>, OverflowError> {
        if self.open.len() < self.buffer.capacity() {
            return Ok(Room::Yes(Lost::None));
        }
        match self.buffer.overflow() {
            Overflow::DropOldest => {
                self.buffer.dropped(&self.meter, 1);
                let oldest = self.open.pop_first().map(|(_, (value, _))| value);
                Ok(Room::Yes(oldest.map_or(Lost::None, Lost::one)))
            }
            Overflow::DropNewest => {
                self.buffer.dropped(&self.meter, 1);
                Ok(Room::No)
            }
            Overflow::Latest => {
                self.buffer.dropped(&self.meter, self.open.len() as u64);
                let all = std::mem::take(&mut self.open).into_values().map(|(value, _)| value);
                Ok(Room::Yes(Lost::many(all.collect())))
            }
            Overflow::Error | Overflow::Block | Overflow::Reject => Err(self.buffer.full(operator)),
        }
    }

    /// Opens a window; its number.
    #[inline]
    pub(super) fn open(&mut self, value: V) -> u64 {
        self.next += 1;
        self.open.insert(self.next, (value, None));
        self.meter.set(self.open.len());
        self.next
    }

    /// Keeps the subscription to a window's duration, or ends it, if the window has closed.
    pub(super) fn keep(&mut self, number: u64, duration: SubscriptionGuard<Sub>) {
        if let Some((_, kept)) = self.open.get_mut(&number) {
            *kept = Some(duration);
        }
    }

    pub(super) fn close(&mut self, number: u64) -> Option<V> {
        let (value, _) = self.open.remove(&number)?;
        self.meter.set(self.open.len());
        Some(value)
    }

    pub(super) fn close_all(&mut self) -> impl Iterator<Item = V> + use<V, Sub> {
        self.meter.set(0);
        std::mem::take(&mut self.open).into_values().map(|(value, _)| value)
    }

    /// Those that are open, the oldest first.
    #[inline]
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.open.values().map(|(value, _)| value)
    }

    /// Whether there is none, and will be none.
    pub(super) fn is_over(&self) -> bool {
        self.done && self.open.is_empty()
    }
}
