use std::time::Duration;

use super::{Unmatched, UnmatchedCount};
use crate::{
    buffer::Buffer,
    operator::rate::{HandTo, Ignore},
};

/// How [`join_within`](super::CombineOps::join_within) joins. A [`Duration`] alone is the tolerance, with the default
/// [`Buffer`] per side and nobody told of what is left unmatched.
#[derive(Debug, Clone)]
pub struct Within<D = Ignore> {
    pub(super) tolerance: u64,
    pub(super) buffer: Buffer,
    pub(super) unmatched: UnmatchedCount,
    pub(super) on_unmatched: D,
    pub(super) to_the_end: bool,
}

impl From<Duration> for Within {
    fn from(tolerance: Duration) -> Self {
        Self::new(tolerance)
    }
}

impl Within {
    /// Pairs what is at most `tolerance` apart, that included.
    pub fn new(tolerance: Duration) -> Self {
        Self {
            tolerance: u64::try_from(tolerance.as_nanos()).unwrap_or(u64::MAX),
            buffer: Buffer::default(),
            unmatched: UnmatchedCount::default(),
            on_unmatched: Ignore,
            to_the_end: false,
        }
    }
}

impl<D> Within<D> {
    /// The bound per side, and what happens beyond it.
    pub fn buffer(self, buffer: Buffer) -> Self {
        Self { buffer, ..self }
    }

    /// Hands each item that finds no partner to `f`.
    pub fn on_unmatched<F, T, U>(self, f: F) -> Within<HandTo<F>>
    where
        F: FnMut(Unmatched<T, U>),
    {
        let Self { tolerance, buffer, unmatched, to_the_end, .. } = self;
        Within { tolerance, buffer, unmatched, on_unmatched: HandTo(f), to_the_end }
    }

    /// Completes only when both sides have: when one has ended, what still comes from the other is unmatched, not cut
    /// off. So the count of the unmatched too does not depend on which side is ahead.
    pub fn to_the_end(self) -> Self {
        Self { to_the_end: true, ..self }
    }

    /// The counters of the unmatched; they stay readable while the stream runs.
    pub fn unmatched(&self) -> UnmatchedCount {
        self.unmatched.clone()
    }
}
