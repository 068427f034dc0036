use std::time::Duration;

use super::{JoinCounts, LeftOver};
use crate::{
    buffer::Buffer,
    event_time::{EventTime, Nanos, whole_nanos},
    operator::rate::{HandTo, Ignore, OnDropped},
};

/// Which right items a left one is matched with, of those within its bounds. Where two are as good, the earlier one; of two
/// of the same time, the one that came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Match {
    /// All of them (Flink's interval join, Kafka Streams' stream-stream join).
    #[default]
    All,
    /// The nearest (pandas' `merge_asof`, `direction="nearest"`). A right item may be the nearest of several.
    Nearest,
    /// The latest that is not after it (`merge_asof`, `direction="backward"`).
    LatestBefore,
    /// The earliest that is not before it (`merge_asof`, `direction="forward"`).
    EarliestAfter,
    /// Each item at most once, by the rule of the two pointers: of the oldest of both sides, both leave as a pair when they
    /// are within the bounds, and otherwise the one that is too old for the other ([`join_within`]).
    ///
    /// [`join_within`]: super::super::combine::CombineOps::join_within
    OneToOne,
}

/// Whether items without a partner come out too, alone, once it is certain that none will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Matches only.
    #[default]
    Inner,
    /// And left items without one.
    Left,
    /// And right items without one.
    Right,
    /// Both.
    Outer,
}

impl Kind {
    pub(super) fn left(self) -> bool {
        matches!(self, Self::Left | Self::Outer)
    }

    pub(super) fn right(self) -> bool {
        matches!(self, Self::Right | Self::Outer)
    }
}

/// When the matches of [`Match::All`] come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Emit {
    /// As soon as both are there.
    #[default]
    OnMatch,
    /// When no more can come for the left item: then all of its, and of each key in the order of the left items' times.
    OnClose,
}

/// What tells keys and times.
#[derive(Debug, Clone)]
pub struct Asks<FL, FR, KL, KR> {
    pub(super) left_time: FL,
    pub(super) right_time: FR,
    pub(super) left_key: KL,
    pub(super) right_key: KR,
}

/// There are no keys: all items are of one.
#[derive(Debug, Clone, Copy)]
pub struct Keyless;

/// The key of an item.
pub trait JoinKey<T> {
    /// Its type.
    type Key: std::hash::Hash + Eq + Clone;
    /// That of an item.
    fn of(&mut self, item: &T) -> Self::Key;
}

impl<T> JoinKey<T> for Keyless {
    type Key = ();
    #[inline]
    fn of(&mut self, _: &T) {}
}

impl<T, K: std::hash::Hash + Eq + Clone, F: FnMut(&T) -> K> JoinKey<T> for F {
    type Key = K;
    #[inline]
    fn of(&mut self, item: &T) -> K {
        self(item)
    }
}

/// How many keys with items that wait there may be unless told otherwise.
const KEYS: usize = 1 << 20;

/// How [`join_events`](super::JoinOps::join_events) joins.
///
/// ```
/// use rxevents::{event_time::EventTime, operator::join::{EventJoin, Kind, Match}};
/// use std::time::Duration;
///
/// struct Fix { at: i64, device: u32 }
/// struct Sample { at: i64, device: u32 }
/// let spec = EventJoin::new(|fix: &Fix| fix.at, |sample: &Sample| sample.at)
///     .within(Duration::from_millis(200))
///     .keyed(|fix: &Fix| fix.device, |sample: &Sample| sample.device)
///     .matching(Match::Nearest)
///     .kind(Kind::Left)
///     .right_event_time(EventTime::disorder(Duration::from_millis(50)));
/// # let _ = spec;
/// ```
#[derive(Debug, Clone)]
pub struct EventJoin<FL, FR, KL = Keyless, KR = Keyless, D = Ignore> {
    pub(super) asks: Asks<FL, FR, KL, KR>,
    pub(super) plan: Plan,
    pub(super) times: [EventTime; 2],
    pub(super) buffers: [Buffer; 2],
    pub(super) keys: usize,
    pub(super) counts: JoinCounts,
    pub(super) on_left_over: D,
}

/// What is decided by times alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// How far a right item's time may be from the left one's, both included.
    pub(super) lower: i64,
    pub(super) upper: i64,
    pub(super) how: Match,
    pub(super) kind: Kind,
    pub(super) emit: Emit,
    pub(super) allow_exact: bool,
    pub(super) grace: i64,
    /// It is over only when both sides are.
    pub(super) to_the_end: bool,
    /// Added to the times of the right side.
    pub(super) offset: i64,
}

impl Plan {
    /// The bounds, where the match itself has one.
    pub(super) fn narrowed(self) -> Self {
        let exact = i64::from(!self.allow_exact);
        match self.how {
            Match::LatestBefore => Self { upper: self.upper.min(-exact), ..self },
            Match::EarliestAfter => Self { lower: self.lower.max(exact), ..self },
            _ => self,
        }
    }
}

impl<FL, FR> EventJoin<FL, FR> {
    /// By the times of both sides, any [`Nanos`]: matches items of the same time, until told how far they may be apart.
    pub fn new<T, U, M: Nanos, N: Nanos>(left_time: FL, right_time: FR) -> Self
    where
        FL: FnMut(&T) -> M,
        FR: FnMut(&U) -> N,
    {
        Self {
            asks: Asks { left_time, right_time, left_key: Keyless, right_key: Keyless },
            plan: Plan {
                lower: 0,
                upper: 0,
                how: Match::All,
                kind: Kind::Inner,
                emit: Emit::OnMatch,
                allow_exact: true,
                grace: 0,
                to_the_end: false,
                offset: 0,
            },
            times: [EventTime::in_order(), EventTime::in_order()],
            buffers: [Buffer::default(), Buffer::default()],
            keys: KEYS,
            counts: JoinCounts::default(),
            on_left_over: Ignore,
        }
    }
}

impl<FL, FR, KL, KR, D> EventJoin<FL, FR, KL, KR, D> {
    fn plan(self, change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = self.plan;
        change(&mut plan);
        Self { plan, ..self }
    }

    /// A right item may be at most `tolerance` from the left one, before or after, that included.
    #[must_use]
    pub fn within(self, tolerance: Duration) -> Self {
        let tolerance = whole_nanos(tolerance);
        self.between(-tolerance, tolerance)
    }

    /// A right item may come from `lower` to `upper` nanoseconds after the left one, both included; before it, where that is
    /// negative. See [`excluding`](Self::excluding).
    #[must_use]
    pub fn between(self, lower: i64, upper: i64) -> Self {
        self.plan(|plan| (plan.lower, plan.upper) = (lower, upper))
    }

    /// A right item exactly at the lower, or the upper, bound is outside.
    #[must_use]
    pub fn excluding(self, lower: bool, upper: bool) -> Self {
        self.plan(|plan| {
            // Times are whole nanoseconds.
            plan.lower = plan.lower.saturating_add(i64::from(lower));
            plan.upper = plan.upper.saturating_sub(i64::from(upper));
        })
    }

    /// Which of those within the bounds.
    #[must_use]
    pub fn matching(self, how: Match) -> Self {
        self.plan(|plan| plan.how = how)
    }

    /// Whether a right item of exactly the left one's time is before it in [`Match::LatestBefore`], and after it in
    /// [`Match::EarliestAfter`]: it is, unless told otherwise.
    #[must_use]
    pub fn allow_exact(self, allow: bool) -> Self {
        self.plan(|plan| plan.allow_exact = allow)
    }

    /// Whether items without a partner come out.
    #[must_use]
    pub fn kind(self, kind: Kind) -> Self {
        self.plan(|plan| plan.kind = kind)
    }

    /// When matches come out.
    #[must_use]
    pub fn emit(self, emit: Emit) -> Self {
        self.plan(|plan| plan.emit = emit)
    }

    /// An item may be this much older than its side's watermark and is matched still; all is kept so much longer.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        self.plan(|plan| plan.grace = whole_nanos(grace))
    }

    /// Completes only when both sides have: when one has ended, what still comes from the other and has no partner is left
    /// over, or comes out alone. Otherwise it completes as soon as nothing can come out any more.
    #[must_use]
    pub fn to_the_end(self) -> Self {
        self.plan(|plan| plan.to_the_end = true)
    }

    /// Adds `offset` nanoseconds to the times of the right side, whose clock differs by so much.
    #[must_use]
    pub fn right_offset(self, offset: i64) -> Self {
        self.plan(|plan| plan.offset = offset)
    }

    /// How both sides may be out of order, silent, or wrong.
    #[must_use]
    pub fn event_time(self, time: EventTime) -> Self {
        Self { times: [time.clone(), time], ..self }
    }

    /// The same for the left side only.
    #[must_use]
    pub fn left_event_time(self, time: EventTime) -> Self {
        let [_, right] = self.times;
        Self { times: [time, right], ..self }
    }

    /// The same for the right side only.
    #[must_use]
    pub fn right_event_time(self, time: EventTime) -> Self {
        let [left, _] = self.times;
        Self { times: [left, time], ..self }
    }

    /// How many items of each side may wait, of all keys together (one that is matched and leaves at once needs no room), and what happens beyond that:
    /// [`DropOldest`](crate::Overflow::DropOldest) evicts the oldest of that side, [`DropNewest`](crate::Overflow::DropNewest)
    /// the one that arrives; all others are errors.
    #[must_use]
    pub fn buffer(self, buffer: Buffer) -> Self {
        Self { buffers: [buffer.clone(), buffer], ..self }
    }

    /// How many keys may have items that wait; one more is an error. By default 1,048,576.
    #[must_use]
    pub fn max_keys(self, keys: usize) -> Self {
        Self { keys: keys.max(1), ..self }
    }

    /// Joins by key.
    #[must_use]
    pub fn keyed<T, U, K: std::hash::Hash + Eq + Clone, L: FnMut(&T) -> K, R: FnMut(&U) -> K>(
        self,
        left: L,
        right: R,
    ) -> EventJoin<FL, FR, L, R, D> {
        let Self {
            asks: Asks { left_time, right_time, .. },
            plan,
            times,
            buffers,
            keys,
            counts,
            on_left_over,
        } = self;
        let asks = Asks { left_time, right_time, left_key: left, right_key: right };
        EventJoin { asks, plan, times, buffers, keys, counts, on_left_over }
    }

    /// Hands each item that comes out of nowhere else to `f`, and why: without a partner, late, evicted, without a time.
    #[must_use]
    pub fn on_left_over<F, T, U>(self, f: F) -> EventJoin<FL, FR, KL, KR, HandTo<F>>
    where
        F: FnMut(LeftOver<T, U>),
    {
        let Self { asks, plan, times, buffers, keys, counts, .. } = self;
        EventJoin { asks, plan, times, buffers, keys, counts, on_left_over: HandTo(f) }
    }

    /// What has become of all items; readable while the stream runs.
    pub fn counts(&self) -> JoinCounts {
        self.counts.clone()
    }
}

/// What an [`EventJoin`] asks of items `T` and `U`.
pub trait JoinSpec<T, U> {
    /// The keys.
    type Key: std::hash::Hash + Eq + Clone;
    /// Of a left item.
    fn left_key(&mut self, item: &T) -> Self::Key;
    /// Of a right item.
    fn right_key(&mut self, item: &U) -> Self::Key;
    /// Of a left item.
    fn left_time(&mut self, item: &T) -> Option<i64>;
    /// Of a right item.
    fn right_time(&mut self, item: &U) -> Option<i64>;
    /// An item that comes out of nowhere else.
    fn left_over(&mut self, item: LeftOver<T, U>);
}

impl<T, U, FL, FR, KL, KR, D, M, N, K> JoinSpec<T, U> for (Asks<FL, FR, KL, KR>, D)
where
    FL: FnMut(&T) -> M,
    FR: FnMut(&U) -> N,
    M: Nanos,
    N: Nanos,
    KL: JoinKey<T, Key = K>,
    KR: JoinKey<U, Key = K>,
    K: std::hash::Hash + Eq + Clone,
    D: OnDropped<LeftOver<T, U>>,
{
    type Key = K;

    #[inline]
    fn left_key(&mut self, item: &T) -> K {
        self.0.left_key.of(item)
    }

    #[inline]
    fn right_key(&mut self, item: &U) -> K {
        self.0.right_key.of(item)
    }

    #[inline]
    fn left_time(&mut self, item: &T) -> Option<i64> {
        (self.0.left_time)(item).nanos()
    }

    #[inline]
    fn right_time(&mut self, item: &U) -> Option<i64> {
        (self.0.right_time)(item).nanos()
    }

    #[inline]
    fn left_over(&mut self, item: LeftOver<T, U>) {
        self.1.dropped(item);
    }
}
