//! What waits in a queue whose bound is a [`Buffer`], and how the queue reports itself where it has a name.

use std::collections::VecDeque;

use crate::{
    buffer::{Buffer, Depth},
    delivery::fate::Abandoned,
};

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

    /// `item` in the place of all.
    pub(crate) fn replace(&mut self, item: T) -> VecDeque<T> {
        let all = std::mem::replace(&mut self.items.value, VecDeque::from([item]));
        self.meter.set(1);
        all
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

/// Reports a queue's depth, to whom has asked for it, and its depth, capacity and drops where its buffer has a name and the
/// feature `metrics` is on; nothing for the rest.
#[derive(Default)]
pub(crate) struct QueueMeter {
    watch: Option<Box<Watch>>,
}

struct Watch {
    len: usize,
    depth: Option<Depth>,
    #[cfg(feature = "metrics")]
    handles: Option<crate::metrics::QueueHandles>,
}

/// See [`Held`].
impl Clone for QueueMeter {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl QueueMeter {
    pub(crate) fn open(buffer: &Buffer) -> Self {
        let depth = buffer.depth_asked();
        #[cfg(feature = "metrics")]
        let handles = buffer.name().map(|name| crate::metrics::QueueHandles::open(name, buffer));
        #[cfg(feature = "metrics")]
        let nobody = handles.is_none();
        #[cfg(not(feature = "metrics"))]
        let nobody = true;
        if depth.is_none() && nobody {
            return Self::default();
        }
        let watch = Watch {
            len: 0,
            depth,
            #[cfg(feature = "metrics")]
            handles,
        };
        Self { watch: Some(Box::new(watch)) }
    }

    /// Whether somebody is told.
    #[inline]
    pub(crate) fn is_read(&self) -> bool {
        self.watch.is_some()
    }

    /// So many wait now.
    #[inline]
    pub(crate) fn set(&mut self, len: usize) {
        if let Some(watch) = &mut self.watch {
            watch.set(len);
        }
    }

    /// The policy has dropped so many.
    #[inline]
    pub(crate) fn dropped(&self, _n: u64) {
        #[cfg(feature = "metrics")]
        if let Some(handles) = self.handles() {
            handles.dropped(_n);
        }
    }

    /// So many were dropped by what is not the buffer's policy: its name.
    pub(crate) fn left(&self, _policy: &'static str, _n: u64) {
        #[cfg(feature = "metrics")]
        if let Some(handles) = self.handles() {
            handles.left(_policy, _n);
        }
    }

    #[cfg(feature = "metrics")]
    fn handles(&self) -> Option<&crate::metrics::QueueHandles> {
        self.watch.as_ref()?.handles.as_ref()
    }
}

impl Watch {
    /// Out of line: most queues are not watched.
    #[cold]
    #[inline(never)]
    fn set(&mut self, len: usize) {
        if let Some(depth) = &self.depth {
            depth.moved(self.len, len);
        }
        #[cfg(feature = "metrics")]
        if let Some(handles) = &mut self.handles {
            handles.set(len);
        }
        self.len = len;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.set(0);
    }
}
