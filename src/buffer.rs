//! Bounds and overflow policies of the operators that hold items back.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    delivery::fate::{Abandoned, DroppedByPolicy, abandoning},
    error::OverflowError,
    held::{Held, QueueMeter},
};

/// What happens to an item that finds its buffer full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// The stream ends with [`StreamError::Overflow`](crate::StreamError::Overflow): nothing is lost silently.
    #[default]
    Error,
    /// The oldest item in the buffer is dropped and counted.
    DropOldest,
    /// The arriving item is dropped and counted.
    DropNewest,
    /// The producing thread waits for room: only in `observe_on` and `on_backpressure_buffer` in `Shared`, where another
    /// thread makes room. Elsewhere, and where the consumer needs the very thread (see
    /// [`Clock::wait`](crate::time::Clock::wait)), the same as [`Error`](Self::Error).
    Block,
    /// An item for which there is no room becomes a [`Rejected`](crate::dead_letter::Rejected): only in the operators
    /// that send such, the retries of single events, which say which item it is. Elsewhere the same as
    /// [`Error`](Self::Error).
    Reject,
}

/// A bounded buffer: capacity, [`Overflow`] policy, and a count of what was dropped.
///
/// The default holds 1,048,576 items and fails when full; memory grows with use.
///
/// ```
/// use rxevents::prelude::*;
///
/// let buffer = Buffer::new(2).on_overflow(Overflow::DropOldest);
/// let drops = buffer.drops();
/// let mut left = Local::subject::<i32, std::convert::Infallible>();
/// let right = Local::subject::<i32, std::convert::Infallible>();
/// left.clone().zip_with_buffer(right.clone(), buffer).subscribe(|pair| assert_eq!(pair, (2, 10)));
/// (1..=3).for_each(|v| left.next(v)); // 1 is dropped
/// right.clone().next(10);
/// assert_eq!(drops.get(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct Buffer {
    capacity: NonZeroUsize,
    overflow: Overflow,
    drops: Drops,
    name: Option<&'static str>,
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new(1 << 20)
    }
}

impl Buffer {
    /// A buffer of `capacity` items (0 is taken as 1) that fails when full.
    pub fn new(capacity: usize) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        Self { capacity, overflow: Overflow::default(), drops: Drops::default(), name: None }
    }

    /// The policy for an item that finds the buffer full.
    pub fn on_overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Gives it a name: with the feature `metrics`, the queues of that name then report their depth, capacity and drops
    /// (`rxevents_queue_depth`, `rxevents_queue_capacity`, `rxevents_dropped_total`), added up where there are several.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// The name it was given.
    pub fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// The counter of dropped items; it stays readable while the stream runs.
    pub fn drops(&self) -> Drops {
        self.drops.clone()
    }

    /// How many items it holds.
    pub fn capacity(&self) -> usize {
        self.capacity.get()
    }

    /// The policy for an item that finds the buffer full.
    pub fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// Queues `item`, or does what the policy says when the buffer is full. Gives back what was not kept, for the
    /// caller to drop with nothing held; where that ends the stream, the item is not done.
    #[inline]
    pub(crate) fn push<T>(
        &self,
        queue: &mut Held<T>,
        item: T,
        operator: &'static str,
    ) -> Result<Option<DroppedByPolicy<T>>, (OverflowError, Abandoned<T>)> {
        if queue.len() < self.capacity.get() {
            queue.push_back(item);
            return Ok(None);
        }
        self.push_to_full(queue, item, operator)
    }

    #[cold]
    #[inline(never)]
    fn push_to_full<T>(
        &self,
        queue: &mut Held<T>,
        item: T,
        operator: &'static str,
    ) -> Result<Option<DroppedByPolicy<T>>, (OverflowError, Abandoned<T>)> {
        match self.overflow {
            Overflow::DropOldest => {
                let oldest = queue.pop_front();
                queue.push_back(item);
                self.dropped(queue.meter(), 1);
                Ok(oldest.map(DroppedByPolicy::new))
            }
            Overflow::DropNewest => {
                self.dropped(queue.meter(), 1);
                Ok(Some(DroppedByPolicy::new(item)))
            }
            Overflow::Error | Overflow::Block | Overflow::Reject => {
                Err((self.full(operator), Abandoned::new(item)))
            }
        }
    }

    /// Counts what its policy dropped elsewhere.
    pub(crate) fn dropped(&self, meter: &QueueMeter, n: u64) {
        self.drops.add(n);
        meter.dropped(n);
    }

    /// Drops and counts all that is queued, as the stream has failed.
    pub(crate) fn drop_all<T>(&self, queue: &mut Held<T>) {
        let n = queue.len() as u64;
        self.drops.add(n);
        if n > 0 {
            queue.meter().abandoned(n);
        }
        abandoning(|| drop(queue.close()));
    }

    pub(crate) fn full(&self, operator: &'static str) -> OverflowError {
        OverflowError { operator, capacity: self.capacity.get() }
    }
}

/// How many items a policy dropped. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Drops(Arc<AtomicU64>);

impl Drops {
    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}
