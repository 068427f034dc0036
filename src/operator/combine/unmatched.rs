use std::sync::atomic::{AtomicU64, Ordering};

use crate::shares::{Counters, Share, Shares, add};

/// An item of [`join_within`](super::CombineOps::join_within) that has found no partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched<T, U> {
    /// From the source that the operator was called on.
    Left(T),
    /// From the other one.
    Right(U),
}

/// How many items have found no partner. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct UnmatchedCount(Shares<Sides>);

/// Left and right.
#[derive(Debug, Default)]
pub(super) struct Sides([AtomicU64; 2]);

impl Counters for Sides {
    fn take_over(&self, other: &Self) {
        for (own, other) in self.0.iter().zip(&other.0) {
            add(own, other.load(Ordering::Relaxed));
        }
    }
}

impl Sides {
    #[inline]
    pub(super) fn add<T, U>(&self, item: &Unmatched<T, U>) {
        add(&self.0[usize::from(matches!(item, Unmatched::Right(_)))], 1);
    }
}

impl UnmatchedCount {
    /// Those of the source that the operator was called on, so far.
    pub fn left(&self) -> u64 {
        self.count(0)
    }

    /// Those of the other one, so far.
    pub fn right(&self) -> u64 {
        self.count(1)
    }

    fn count(&self, side: usize) -> u64 {
        self.0.sum(|sides| sides.0[side].load(Ordering::Relaxed))
    }

    /// The share of one join.
    pub(super) fn share(&self) -> Share<Sides> {
        self.0.share()
    }
}
