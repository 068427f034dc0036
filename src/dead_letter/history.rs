use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{FailureKind, Reason};

/// [`DeadLetter::history`](super::DeadLetter::history) has at most this many attempts, the last ones.
pub const MAX_HISTORY: usize = 8;
/// The longest [`PastAttempt::message`], in bytes, the mark of truncation included.
pub const MAX_HISTORY_MESSAGE_BYTES: usize = 256;

/// One attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// When it failed.
    pub at: DateTime<Utc>,
    /// The kind of failure.
    pub kind: FailureKind,
    /// The failure in words, at most [`MAX_HISTORY_MESSAGE_BYTES`] long.
    pub message: String,
}

impl PastAttempt {
    pub(super) fn new(at: DateTime<Utc>, reason: &Reason) -> Self {
        Self { at, kind: reason.kind(), message: reason.message_within(MAX_HISTORY_MESSAGE_BYTES) }
    }
}

/// The attempts at one event that was tried again.
#[derive(Debug, Clone)]
pub struct AttemptLog {
    /// When the first one failed.
    pub first_failed_at: DateTime<Utc>,
    /// How long the event has waited between the attempts, in total.
    pub delayed: Duration,
    last: Vec<(DateTime<Utc>, Reason)>,
}

impl AttemptLog {
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        Self { first_failed_at: now, delayed: Duration::ZERO, last: Vec::new() }
    }

    /// The last attempts, at most [`MAX_HISTORY`], the oldest first. Their messages are formatted now: most events that are
    /// tried again succeed, and nobody asks.
    pub fn last(&self) -> impl ExactSizeIterator<Item = PastAttempt> {
        self.last.iter().map(|(at, reason)| PastAttempt::new(*at, reason))
    }

    pub(crate) fn failed(&mut self, at: DateTime<Utc>, reason: &Reason) {
        remember(&mut self.last, (at, reason.clone()));
    }
}

/// Keeps the last ones.
pub(super) fn remember<T>(history: &mut Vec<T>, attempt: T) {
    if history.len() >= MAX_HISTORY {
        history.drain(..=history.len() - MAX_HISTORY);
    }
    history.push(attempt);
}
