//! The items of one key that wait, and what becomes of them as event time goes on.

use std::collections::VecDeque;

use super::{Emit, Match, spec::Plan};
use crate::delivery::fate::abandon;

/// An item that waits.
#[derive(Debug)]
pub(super) struct Entry<X> {
    pub(super) at: i64,
    /// The how-manieth of its side it is.
    pub(super) number: u64,
    pub(super) item: X,
    pub(super) matched: bool,
}

/// Those of one side, in order of time; of the same time, as they came.
#[derive(Debug)]
pub(super) struct Line<X>(pub(super) VecDeque<Entry<X>>);

impl<X> Line<X> {
    /// Where the first is that is not before `at`.
    fn from(&self, at: i64) -> usize {
        self.0.partition_point(|entry| entry.at < at)
    }

    /// Where the first is that is after `at`.
    fn after(&self, at: i64) -> usize {
        self.0.partition_point(|entry| entry.at <= at)
    }

    #[inline]
    fn insert(&mut self, entry: Entry<X>) {
        match self.0.back() {
            Some(last) if last.at > entry.at => {
                let place = self.after(entry.at);
                self.0.insert(place, entry);
            }
            _ => self.0.push_back(entry),
        }
    }

    fn place(&self, at: i64, number: u64) -> Option<usize> {
        (self.from(at)..self.after(at)).find(|&place| self.0[place].number == number)
    }

    /// Whether one is still there.
    pub(super) fn has(&self, at: i64, number: u64) -> bool {
        self.place(at, number).is_some()
    }

    /// Takes one out.
    pub(super) fn take(&mut self, at: i64, number: u64) -> Option<X> {
        self.place(at, number).and_then(|place| self.0.remove(place)).map(|entry| entry.item)
    }

    fn first(&self) -> Option<i64> {
        self.0.front().map(|entry| entry.at)
    }
}

/// No item older than this will come of a side: `MIN` before the first, `MAX` when it has ended or is not waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floors {
    pub(super) left: i64,
    pub(super) right: i64,
}

/// Whether all of `until` and before have come.
#[inline]
fn past(floor: i64, until: i64) -> bool {
    floor == i64::MAX || floor > until
}

/// The items of one key.
#[derive(Debug)]
pub(super) struct Lane<T, U> {
    pub(super) left: Line<T>,
    pub(super) right: Line<U>,
}

/// What a lane gives.
pub(super) enum Out<T, U> {
    /// A match, and how much later the right one is.
    Both(T, U, i64),
    /// Items that leave without a partner.
    Left(T),
    Right(U),
    /// Items that leave, and have come out as part of matches.
    DoneLeft(T),
    DoneRight(U),
}

/// Takes what a lane gives; `false` when nobody listens any more.
pub(super) trait Sink<T, U>: FnMut(Out<T, U>) -> bool {}
impl<T, U, F: FnMut(Out<T, U>) -> bool> Sink<T, U> for F {}

impl<T: Clone, U: Clone> Lane<T, U> {
    pub(super) fn new() -> Self {
        Self { left: Line(VecDeque::new()), right: Line(VecDeque::new()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.0.is_empty() && self.right.0.is_empty()
    }

    /// A left item comes.
    #[inline]
    pub(super) fn put_left(&mut self, mut entry: Entry<T>, plan: &Plan, out: &mut impl Sink<T, U>) -> bool {
        if plan.how == Match::All && plan.emit == Emit::OnMatch {
            let from = self.right.from(entry.at.saturating_add(plan.lower));
            let until = entry.at.saturating_add(plan.upper);
            for other in self.right.0.range_mut(from..).take_while(|other| other.at <= until) {
                (entry.matched, other.matched) = (true, true);
                let delta = other.at.saturating_sub(entry.at);
                if !out(Out::Both(entry.item.clone(), other.item.clone(), delta)) {
                    abandon(entry);
                    return false;
                }
            }
        }
        self.left.insert(entry);
        true
    }

    /// A right item comes.
    #[inline]
    pub(super) fn put_right(&mut self, mut entry: Entry<U>, plan: &Plan, out: &mut impl Sink<T, U>) -> bool {
        if plan.how == Match::All && plan.emit == Emit::OnMatch {
            let from = self.left.from(entry.at.saturating_sub(plan.upper));
            let until = entry.at.saturating_sub(plan.lower);
            for other in self.left.0.range_mut(from..).take_while(|other| other.at <= until) {
                (entry.matched, other.matched) = (true, true);
                let delta = entry.at.saturating_sub(other.at);
                if !out(Out::Both(other.item.clone(), entry.item.clone(), delta)) {
                    abandon(entry);
                    return false;
                }
            }
        }
        self.right.insert(entry);
        true
    }

    /// Does all that can be done now. `None`: nobody listens any more. Otherwise from which floors on there is more to do.
    #[inline]
    pub(super) fn settle(
        &mut self,
        plan: &Plan,
        floors: Floors,
        out: &mut impl Sink<T, U>,
    ) -> Option<Floors> {
        match plan.how {
            Match::OneToOne => self.settle_pairs(plan, floors, out),
            Match::All if plan.emit == Emit::OnMatch => {
                let left = self.close_left(plan, floors, out)?;
                let right = self.close_right(plan, floors, out)?;
                Some(Floors { left: right, right: left })
            }
            _ => self.settle_left(plan, floors, out),
        }
    }

    /// Those of the left side whose partners have all come; from when on there is more.
    fn close_left(&mut self, plan: &Plan, floors: Floors, out: &mut impl Sink<T, U>) -> Option<i64> {
        while let Some(at) = self.left.first() {
            let until = at.saturating_add(plan.upper);
            if !past(floors.right, until) {
                return Some(until.saturating_add(1));
            }
            let Some(entry) = self.left.0.pop_front() else { break };
            let leaves = if entry.matched { Out::DoneLeft(entry.item) } else { Out::Left(entry.item) };
            if !out(leaves) {
                return None;
            }
        }
        Some(i64::MAX)
    }

    fn close_right(&mut self, plan: &Plan, floors: Floors, out: &mut impl Sink<T, U>) -> Option<i64> {
        while let Some(at) = self.right.first() {
            let until = at.saturating_sub(plan.lower);
            if !past(floors.left, until) {
                return Some(until.saturating_add(1));
            }
            if !self.pop_right(out) {
                return None;
            }
        }
        Some(i64::MAX)
    }

    fn pop_right(&mut self, out: &mut impl Sink<T, U>) -> bool {
        let Some(entry) = self.right.0.pop_front() else { return true };
        out(if entry.matched { Out::DoneRight(entry.item) } else { Out::Right(entry.item) })
    }

    /// The rule of the two pointers, on what is certainly the oldest of each side.
    fn settle_pairs(&mut self, plan: &Plan, floors: Floors, out: &mut impl Sink<T, U>) -> Option<Floors> {
        loop {
            let (left, right) = match (self.left.first(), self.right.first()) {
                (None, None) => return Some(Floors { left: i64::MAX, right: i64::MAX }),
                (Some(_), None) => {
                    let right = self.close_left(plan, floors, out)?;
                    return Some(Floors { left: i64::MAX, right });
                }
                (None, Some(_)) => {
                    let left = self.close_right(plan, floors, out)?;
                    return Some(Floors { left, right: i64::MAX });
                }
                (Some(left), Some(right)) => (left, right),
            };
            let (until, since) = (left.saturating_add(plan.upper), right.saturating_sub(plan.lower));
            if right > until {
                // Too late for it: so are all that come later.
                if !past(floors.right, until) {
                    return Some(Floors { left: i64::MAX, right: until.saturating_add(1) });
                }
                let Some(entry) = self.left.0.pop_front() else { break };
                if !out(Out::Left(entry.item)) {
                    return None;
                }
            } else if left > since {
                if !past(floors.left, since) {
                    return Some(Floors { left: since.saturating_add(1), right: i64::MAX });
                }
                let Some(entry) = self.right.0.pop_front() else { break };
                if !out(Out::Right(entry.item)) {
                    return None;
                }
            } else if floors.left < left || floors.right < right {
                let wanted = |floor: i64, at: i64| if floor < at { at } else { i64::MAX };
                return Some(Floors { left: wanted(floors.left, left), right: wanted(floors.right, right) });
            } else {
                let (Some(a), Some(b)) = (self.left.0.pop_front(), self.right.0.pop_front()) else { break };
                if !out(Out::Both(a.item, b.item, right.saturating_sub(left))) {
                    return None;
                }
            }
        }
        Some(Floors { left: i64::MAX, right: i64::MAX })
    }

    /// The left items in their order, as far as it is certain what they are matched with; then right items that no left one
    /// can want any more.
    fn settle_left(&mut self, plan: &Plan, floors: Floors, out: &mut impl Sink<T, U>) -> Option<Floors> {
        let mut wanted = Floors { left: i64::MAX, right: i64::MAX };
        while let Some(at) = self.left.first() {
            let until = at.saturating_add(plan.upper);
            let range = self.right.from(at.saturating_add(plan.lower))..self.right.after(until);
            let best = if range.is_empty() { None } else { self.best(at, range.clone(), plan.how) };
            // From then on nothing can come that is better.
            let sure = match best.and_then(|best| self.right.0.get(best)) {
                Some(best) => match plan.how {
                    Match::Nearest => Some(at.saturating_add_unsigned(at.abs_diff(best.at))),
                    Match::EarliestAfter => Some(best.at),
                    _ => None,
                },
                None => None,
            };
            let decided = past(floors.right, until) || sure.is_some_and(|sure| floors.right >= sure);
            if !decided {
                wanted.right = sure.unwrap_or(i64::MAX).min(until.saturating_add(1));
                break;
            }
            let Some(entry) = self.left.0.pop_front() else { break };
            let matches =
                if plan.how == Match::All { range } else { best.map_or(0..0, |best| best..best + 1) };
            if matches.is_empty() {
                if !out(Out::Left(entry.item)) {
                    return None;
                }
                continue;
            }
            for other in self.right.0.range_mut(matches) {
                other.matched = true;
                let delta = other.at.saturating_sub(at);
                if !out(Out::Both(entry.item.clone(), other.item.clone(), delta)) {
                    abandon(entry);
                    return None;
                }
            }
            if !out(Out::DoneLeft(entry.item)) {
                return None;
            }
        }
        // What waits is older than what comes.
        let oldest = self.left.first().map_or(floors.left, |at| at.min(floors.left).min(i64::MAX - 1));
        if plan.how == Match::LatestBefore && oldest < i64::MAX {
            // Of what is before all left items, the latest alone is wanted.
            let before = self.right.after(oldest.saturating_add(plan.upper));
            let latest = before.checked_sub(1).and_then(|last| self.right.0.get(last)).map(|last| last.at);
            if let Some(latest) = latest {
                for _ in 0..self.right.from(latest) {
                    if !self.pop_right(out) {
                        return None;
                    }
                }
            }
        }
        // Where a left item that waits holds it up, it is the right side that must go on.
        let next = self.close_right(plan, Floors { left: oldest, ..floors }, out)?;
        wanted.left = if next > floors.left { next } else { i64::MAX };
        Some(wanted)
    }

    /// The best of those within the bounds.
    fn best(&self, at: i64, range: std::ops::Range<usize>, how: Match) -> Option<usize> {
        let right = &self.right.0;
        match how {
            Match::EarliestAfter => Some(range.start),
            // The first of the latest time.
            Match::LatestBefore => Some(self.right.from(right.get(range.end - 1)?.at)),
            _ => {
                let split = self.right.from(at).clamp(range.start, range.end);
                let after = Some(split).filter(|after| range.contains(after));
                let before = split.checked_sub(1).filter(|before| range.contains(before));
                let before = before.and_then(|last| right.get(last)).map(|last| self.right.from(last.at));
                match (before, after) {
                    (Some(before), Some(after)) => {
                        let distance = |place: usize| right.get(place).map(|entry| entry.at.abs_diff(at));
                        Some(if distance(after) < distance(before) { after } else { before })
                    }
                    (before, after) => before.or(after),
                }
            }
        }
    }
}
