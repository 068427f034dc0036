use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    operator::combine::Unmatched,
    shares::{Counters, Share, Shares, add},
};

/// What comes out of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Joined<T, U> {
    /// A match.
    Both(T, U),
    /// A left item without a partner.
    Left(T),
    /// A right item without a partner.
    Right(U),
}

impl<T, U> Joined<T, U> {
    /// The left item, if there is one.
    pub fn left(&self) -> Option<&T> {
        match self {
            Self::Both(left, _) | Self::Left(left) => Some(left),
            Self::Right(_) => None,
        }
    }

    /// The right item, if there is one.
    pub fn right(&self) -> Option<&U> {
        match self {
            Self::Both(_, right) | Self::Right(right) => Some(right),
            Self::Left(_) => None,
        }
    }

    /// Both, if it is a match.
    pub fn both(self) -> Option<(T, U)> {
        match self {
            Self::Both(left, right) => Some((left, right)),
            _ => None,
        }
    }

    /// The sides changed.
    pub fn swap(self) -> Joined<U, T> {
        match self {
            Self::Both(left, right) => Joined::Both(right, left),
            Self::Left(left) => Joined::Right(left),
            Self::Right(right) => Joined::Left(right),
        }
    }
}

/// Why an item comes out of nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhyLeftOver {
    /// It has no partner, and those without are not wanted.
    Unmatched,
    /// It is older than its side's watermark, and the grace.
    Late,
    /// There was no room for it any more.
    Evicted,
    /// Its time is no [`Nanos`](crate::event_time::Nanos).
    NoTime,
    /// It is too far ahead of the clock: [`EventTime::future_bound`](crate::event_time::EventTime::future_bound).
    Future,
}

/// An item of a join that comes out of nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOver<T, U> {
    /// The item.
    pub item: Unmatched<T, U>,
    /// Why.
    pub why: WhyLeftOver,
}

/// What has become of the items of a join. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct JoinCounts(Shares<Counts>);

/// Those of one subscription.
#[derive(Debug, Default)]
pub(super) struct Counts {
    matches: AtomicU64,
    /// The sum of how much later the right item of each match was, as the bits of an `f64`: there, it cannot overflow.
    delta: AtomicU64,
    /// For each reason, left and right.
    left_over: [[AtomicU64; 2]; 5],
}

impl JoinCounts {
    /// How many matches there were.
    pub fn matches(&self) -> u64 {
        self.0.sum(|counts| counts.matches.load(Ordering::Relaxed))
    }

    /// By how many nanoseconds the right items of the matches were later than the left ones, in the mean: what the clocks
    /// differ by, if the matches are of the same moments. With [`right_offset`](super::EventJoin::right_offset) applied.
    pub fn mean_skew(&self) -> Option<i64> {
        let (matches, sum) = (self.matches(), self.0.sum(Counts::delta));
        (matches > 0).then(|| (sum / matches as f64).round() as i64)
    }

    /// How many left items were left over for that reason. Those that came out alone count as unmatched.
    pub fn left(&self, why: WhyLeftOver) -> u64 {
        self.0.sum(|counts| counts.left_over[why as usize][0].load(Ordering::Relaxed))
    }

    /// How many right items were left over for that reason.
    pub fn right(&self, why: WhyLeftOver) -> u64 {
        self.0.sum(|counts| counts.left_over[why as usize][1].load(Ordering::Relaxed))
    }

    /// The share of one subscription.
    pub(super) fn share(&self) -> Share<Counts> {
        self.0.share()
    }
}

impl Counts {
    #[inline]
    pub(super) fn matched(&self, delta: i64) {
        add(&self.matches, 1);
        self.add_delta(delta as f64);
    }

    #[inline]
    pub(super) fn left_over(&self, why: WhyLeftOver, right: bool) {
        add(&self.left_over[why as usize][usize::from(right)], 1);
    }

    fn delta(&self) -> f64 {
        f64::from_bits(self.delta.load(Ordering::Relaxed))
    }

    #[inline]
    fn add_delta(&self, delta: f64) {
        self.delta.store((self.delta() + delta).to_bits(), Ordering::Relaxed);
    }
}

impl Counters for Counts {
    fn take_over(&self, other: &Self) {
        add(&self.matches, other.matches.load(Ordering::Relaxed));
        self.add_delta(other.delta());
        for (own, other) in self.left_over.iter().flatten().zip(other.left_over.iter().flatten()) {
            add(own, other.load(Ordering::Relaxed));
        }
    }
}
