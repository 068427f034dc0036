//! What waits in a queue whose bound is a [`Buffer`], and how the queue reports itself where it has a name.

use std::collections::VecDeque;

use crate::{buffer::Buffer, delivery::fate::Abandoned};

/// Items that wait; what still waits when the queue goes is not done. A clone reports nothing: it belongs to another subscription, which opens its own.
pub(crate) struct Held<T> {
    items: Abandoned<VecDeque<T>>,
    meter: QueueMeter,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { items: Abandoned::new(VecDeque::new()), meter: QueueMeter::default() }
    }
}

impl<T: Clone> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self { items: self.items.clone(), meter: QueueMeter::default() }
    }
}

impl<T> Held<T> {
    /// The empty queue of a subscription.
    pub(crate) fn open(buffer: &Buffer) -> Self {
        Self { items: Abandoned::new(VecDeque::new()), meter: QueueMeter::open(buffer) }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.items.value.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.items.value.is_empty()
    }

    #[inline]
    pub(crate) fn front(&self) -> Option<&T> {
        self.items.value.front()
    }

    #[inline]
    pub(crate) fn push_back(&mut self, item: T) {
        self.items.value.push_back(item);
        self.meter.set(self.items.value.len());
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let item = self.items.value.pop_front()?;
        self.meter.set(self.items.value.len());
        Some(item)
    }

    /// The first `max` go to `empty`.
    #[inline]
    pub(crate) fn move_to(&mut self, empty: &mut VecDeque<T>, max: usize) {
        if self.items.value.len() <= max {
            std::mem::swap(&mut self.items.value, empty);
        } else {
            empty.extend(self.items.value.drain(..max));
        }
        self.meter.set(self.items.value.len());
    }

    /// Gives up all, for good: nothing is reported any more.
    pub(crate) fn close(&mut self) -> VecDeque<T> {
        std::mem::take(self).items.value
    }

    pub(crate) fn meter(&self) -> &QueueMeter {
        &self.meter
    }
}

/// Reports a queue's depth, capacity and drops; nothing where its buffer has no name, or the feature `metrics` is off.
#[derive(Default)]
pub(crate) struct QueueMeter {
    #[cfg(feature = "metrics")]
    handles: Option<Box<crate::metrics::QueueHandles>>,
}

/// See [`Held`].
impl Clone for QueueMeter {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[cfg(feature = "metrics")]
impl QueueMeter {
    pub(crate) fn open(buffer: &Buffer) -> Self {
        let handles = buffer.name().map(|name| Box::new(crate::metrics::QueueHandles::open(name, buffer)));
        Self { handles }
    }

    /// So many wait now.
    #[inline]
    pub(crate) fn set(&mut self, len: usize) {
        if let Some(handles) = &mut self.handles {
            report(handles, len);
        }
    }

    /// The policy has dropped so many.
    #[inline]
    pub(crate) fn dropped(&self, n: u64) {
        if let Some(handles) = &self.handles {
            handles.dropped(n);
        }
    }

    /// So many were dropped because the stream has failed.
    pub(crate) fn abandoned(&self, n: u64) {
        if let Some(handles) = &self.handles {
            handles.abandoned(n);
        }
    }
}

/// Out of line: most queues have no name.
#[cfg(feature = "metrics")]
#[cold]
#[inline(never)]
fn report(handles: &mut crate::metrics::QueueHandles, len: usize) {
    handles.set(len);
}

#[cfg(not(feature = "metrics"))]
impl QueueMeter {
    pub(crate) fn open(_buffer: &Buffer) -> Self {
        Self::default()
    }

    #[inline]
    pub(crate) fn set(&mut self, _len: usize) {}

    #[inline]
    pub(crate) fn dropped(&self, _n: u64) {}

    pub(crate) fn abandoned(&self, _n: u64) {}
}
