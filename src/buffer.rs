//! Bounds and overflow policies of the operators that hold items back.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
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
    /// All that waits is dropped and counted, and the arriving item takes its place: the buffer then holds the newest
    /// alone. In [`try_map_with_retry_ordered`](crate::operator::validate::ValidateOps::try_map_with_retry_ordered), what
    /// waits before the first item that is done; in the retries of futures, not what is being worked on.
    Latest,
    /// The producer waits for room: only in `observe_on`, `on_backpressure_buffer` and `hand_off`.
    ///
    /// An asynchronous source of this crate ([`from_stream`](crate::operator::create::CreateOps::from_stream)) *awaits* it:
    /// it is not polled meanwhile, and its thread runs other tasks. What one item of such a source becomes on the way
    /// (in `flat_map`, say) is taken as a whole, so the buffer may hold up to as much again.
    ///
    /// Queues in a circle, each full and waiting for the other, wait for ever: one of them needs another policy.
    ///
    /// Whoever else pushes, in `Shared`, blocks its thread, if that is a plain one. A thread that runs tasks, or that the
    /// consumer needs (see [`Clock::wait`](crate::time::Clock::wait)), is never blocked: there a full buffer is the error
    /// [`StreamError::WouldBlock`](crate::StreamError::WouldBlock). Elsewhere it is the same as [`Error`](Self::Error).
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
    depth: Depth,
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
        Self {
            capacity,
            overflow: Overflow::default(),
            drops: Drops::default(),
            depth: Depth::default(),
            name: None,
        }
    }

    /// The policy for an item that finds the buffer full.
    pub fn on_overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Gives it a name: with the feature `metrics`, the queues of that name then report their depth, capacity and drops
    /// (`rxevents_queue_depth`, `rxevents_queue_peak_depth`, `rxevents_queue_capacity`, `rxevents_dropped_total`), added up
    /// where there are several.
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

    /// How many items wait, and the most that ever did; readable while the stream runs. Take it before the subscription:
    /// who does not ask pays nothing. Where several queues have this buffer (the two of a `zip`, those of each window),
    /// their sum.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// let scheduler = VirtualScheduler::new();
    /// let buffer = Buffer::new(100);
    /// let depth = buffer.depth();
    /// let _seen = record(scheduler.on(Local::from_iter(0..7)).observe_on_with(scheduler.clone(), buffer));
    /// assert_eq!((depth.get(), depth.peak()), (7, 7));
    /// scheduler.run_ready();
    /// assert_eq!((depth.get(), depth.peak()), (0, 7));
    /// ```
    pub fn depth(&self) -> Depth {
        self.depth.0.asked.store(true, Ordering::Relaxed);
        self.depth.clone()
    }

    /// Its depth, if somebody has asked for that.
    pub(crate) fn depth_asked(&self) -> Option<Depth> {
        self.depth.0.asked.load(Ordering::Relaxed).then(|| self.depth.clone())
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
    ) -> Result<Lost<T>, (OverflowError, Abandoned<T>)> {
        if queue.len() < self.capacity.get() {
            queue.push_back(item);
            return Ok(Lost::None);
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
    ) -> Result<Lost<T>, (OverflowError, Abandoned<T>)> {
        match self.overflow {
            Overflow::DropOldest => {
                let oldest = queue.pop_front();
                queue.push_back(item);
                self.dropped(queue.meter(), 1);
                Ok(oldest.map_or(Lost::None, Lost::one))
            }
            Overflow::DropNewest => {
                self.dropped(queue.meter(), 1);
                Ok(Lost::one(item))
            }
            Overflow::Latest => {
                self.dropped(queue.meter(), queue.len() as u64);
                let all = queue.replace(item);
                Ok(Lost::many(all))
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

    /// Counts what was dropped where the queue's meter knows already.
    pub(crate) fn count(&self, n: u64) {
        if n > 0 {
            self.drops.add(n);
        }
    }

    /// Drops and counts all that is queued, as the stream has failed.
    pub(crate) fn drop_all<T>(&self, queue: &mut Held<T>) {
        abandoning(|| drop(self.abandon(queue)));
    }

    /// The same; what was queued.
    pub(crate) fn abandon<T>(&self, queue: &mut Held<T>) -> VecDeque<T> {
        let n = queue.len() as u64;
        self.drops.add(n);
        if n > 0 {
            queue.meter().left("abandoned", n);
        }
        queue.close()
    }

    pub(crate) fn full(&self, operator: &'static str) -> OverflowError {
        OverflowError { operator, capacity: self.capacity.get() }
    }
}

/// What a policy has not kept.
pub(crate) enum Lost<T> {
    None,
    One(DroppedByPolicy<T>),
    Many(DroppedByPolicy<VecDeque<T>>),
}

impl<T> Lost<T> {
    #[inline(always)]
    pub(crate) fn one(item: T) -> Self {
        Self::One(DroppedByPolicy::new(item))
    }

    pub(crate) fn many(items: VecDeque<T>) -> Self {
        Self::Many(DroppedByPolicy::new(items))
    }

    #[inline(always)]
    pub(crate) fn map<U>(self, f: impl FnMut(T) -> U) -> Lost<U> {
        let mut f = f;
        match self {
            Self::None => Lost::None,
            Self::One(item) => Lost::one(f(item.into_inner())),
            Self::Many(items) => Lost::many(items.into_inner().into_iter().map(f).collect()),
        }
    }

    #[inline]
    pub(crate) fn each(self, mut f: impl FnMut(T)) {
        match self {
            Self::None => {}
            Self::One(item) => f(item.into_inner()),
            Self::Many(items) => items.into_inner().into_iter().for_each(f),
        }
    }
}

/// How many items wait in the queues of a [`Buffer`], and the most that ever did. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Depth(Arc<Depths>);

#[derive(Debug, Default)]
struct Depths {
    asked: AtomicBool,
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Depth {
    /// How many wait now.
    pub fn get(&self) -> usize {
        self.0.now.load(Ordering::Relaxed)
    }

    /// The most that ever waited at once, since the buffer was made.
    pub fn peak(&self) -> usize {
        self.0.peak.load(Ordering::Relaxed)
    }

    /// One queue holds `to` now, after `from`; the peak, where that raises it.
    pub(crate) fn moved(&self, from: usize, to: usize) -> Option<usize> {
        if to <= from {
            self.0.now.fetch_sub(from - to, Ordering::Relaxed);
            return None;
        }
        let now = self.0.now.fetch_add(to - from, Ordering::Relaxed) + (to - from);
        (self.0.peak.fetch_max(now, Ordering::Relaxed) < now).then_some(now)
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
