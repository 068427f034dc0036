use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Why an event is in no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyLate {
    /// All windows that it is of have closed, and the lateness is over.
    Expired,
    /// It has no time, or one that is no [`Nanos`](crate::event_time::Nanos).
    NoTime,
    /// It is too far in the future ([`EventTime::future_bound`](crate::event_time::EventTime::future_bound)).
    Future,
    /// It is between two windows: the hop is longer than the size.
    Between,
    /// There is no room for its window, and the policy is
    /// [`Overflow::DropNewest`](crate::Overflow::DropNewest).
    NoRoom,
}

/// An event that is in no window, as [`EventWindows::on_late`](super::EventWindows::on_late) is given it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late<I> {
    /// The event.
    pub event: I,
    /// Its time, in nanoseconds, if it has one.
    pub at: Option<i64>,
    /// Why.
    pub why: WhyLate,
}

/// How many events are in no window. Clones share the count.
///
/// Each event that an operator has taken is in a window or counted here.
#[derive(Debug, Clone, Default)]
pub struct LateCount(Arc<[AtomicU64; 5]>);

impl LateCount {
    /// All of them, so far.
    pub fn get(&self) -> u64 {
        self.0.iter().map(|of| of.load(Ordering::Relaxed)).sum()
    }

    /// Those of one cause, so far.
    pub fn of(&self, why: WhyLate) -> u64 {
        self.0[why as usize].load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, why: WhyLate) {
        self.0[why as usize].fetch_add(1, Ordering::Relaxed);
    }
}
