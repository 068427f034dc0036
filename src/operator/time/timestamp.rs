use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    operator::apply::{Emit, Kernel},
    time::Clock,
};

/// An item, and when it came: see [`timestamp`](super::TimeOps::timestamp).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timestamped<T> {
    /// By the wall clock, which may be set back; for people, and other machines.
    pub utc: DateTime<Utc>,
    /// By the scheduler's clock, which never goes back: since some moment that is the same for all of one process. For the
    /// time between two items.
    pub at: Duration,
    /// The item.
    pub value: T,
}

/// See [`timestamp`](super::TimeOps::timestamp).
#[derive(Clone)]
pub struct Stamp<S> {
    clock: S,
    /// The moment of the batch.
    together: Option<(DateTime<Utc>, Duration)>,
}

impl<S: Clock> Stamp<S> {
    pub(super) fn new(clock: S) -> Self {
        Self { clock, together: None }
    }

    #[inline]
    fn now(&self) -> (DateTime<Utc>, Duration) {
        (self.clock.utc(), self.clock.now())
    }
}

impl<S: Clock, I> Kernel<I, Timestamped<I>> for Stamp<S> {
    const NAME: &'static str = "timestamp";

    #[inline]
    fn next(&mut self, value: I) -> Emit<Timestamped<I>> {
        let (utc, at) = self.together.unwrap_or_else(|| self.now());
        Emit::Item(Timestamped { utc, at, value })
    }

    fn batch_begins(&mut self) {
        self.together = Some(self.now());
    }

    fn batch_ends(&mut self) {
        self.together = None;
    }
}
