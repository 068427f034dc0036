//! How windows close: in the order of their ends.

use std::{borrow::Borrow, cmp::Reverse, mem};

use super::{
    Aggregate, Carry, Firing, Late, Watermarks, Windowed,
    buckets::Buckets,
    core::{Core, NAME, Sink, before_the_end, emit},
    lane::{Due, NEVER, Pane},
    shape::{Hopping, Shape},
};
use crate::{
    buffer::Overflow,
    event_time::{Nanos, Run, Stop},
    operator::{key::Key, rate::OnDropped},
};

impl<K, Q, F, A, D, M, Y, I, N, V, B, T> Core<K, Q, F, A, D, M, Y, I>
where
    K: FnMut(&V) -> &Q,
    Q: Key + ?Sized,
    Q::Owned: Borrow<Q>,
    F: FnMut(&V) -> N,
    N: Nanos,
    Y: Carry<I, Value = V, Out<Windowed<Q::Owned, B>> = T>,
    A: Aggregate<V, Out = B>,
    D: OnDropped<Late<I>>,
    M: Watermarks<V>,
{
    /// Event time has come to where this says, if that is later.
    #[inline]
    pub(super) fn advance(&mut self, out: &mut impl Sink<T>) -> Run {
        match self.watermarks.watermark().map(before_the_end) {
            Some(to) if to > self.watermark => self.watermark = to,
            _ => return Ok(()),
        }
        if self.next_due <= self.watermark { self.close_due(out) } else { Ok(()) }
    }

    /// Closes all windows whose time has come, in the order of their ends.
    #[inline(never)]
    fn close_due(&mut self, out: &mut impl Sink<T>) -> Run {
        if self.buckets.is_some() {
            return self.close_buckets(out);
        }
        while let Some(Reverse((due, number, place))) = self.index.peek().copied() {
            self.next_due = due.0;
            if due.0 > self.watermark {
                return Ok(());
            }
            self.index.pop();
            if !self.is_current(due, number, place) {
                continue;
            }
            let wanted = self.lanes[place].wanted(&self.shape, self.lateness);
            if wanted <= due {
                self.step(place, due.0, out)?;
            }
            self.lanes[place].due = NEVER;
            self.index_again(place);
        }
        self.next_due = i64::MAX;
        Ok(())
    }

    /// Closes the windows of one key.
    pub(super) fn close_lane(&mut self, place: usize, watermark: i64, out: &mut impl Sink<T>) -> Run {
        while self.lanes[place].due.0 <= watermark && self.lanes[place].held() > 0 {
            let wanted = self.lanes[place].wanted(&self.shape, self.lateness);
            self.lanes[place].due = wanted;
            if wanted.0 <= watermark {
                self.step(place, wanted.0, out)?;
            }
        }
        Ok(())
    }

    /// The source has completed, or event time begins again: all windows close, in the order of their ends.
    pub(super) fn finish(&mut self, out: &mut impl Sink<T>) -> Run {
        let by_key = mem::replace(&mut self.by_key, false);
        if by_key {
            let all: Vec<usize> = self.lanes.all().collect();
            for place in all {
                self.lanes[place].due = NEVER;
                self.index_again(place);
            }
        }
        self.watermark = i64::MAX;
        self.close_due(out)?;
        (self.watermark, self.over_until) = (i64::MIN, i64::MIN);
        self.by_key = by_key;
        Ok(())
    }

    fn is_current(&self, due: Due, number: u64, place: usize) -> bool {
        let lane = &self.lanes[place];
        lane.key.is_some() && lane.number == number && lane.due == due
    }

    /// Has a lane in the index at the time when it wants to be looked at.
    pub(super) fn index_again(&mut self, place: usize) {
        let lane = &mut self.lanes[place];
        if lane.held() == 0 {
            return;
        }
        let wanted = lane.wanted(&self.shape, self.lateness);
        if wanted < lane.due || lane.due == NEVER {
            lane.due = wanted;
            if !self.by_key {
                self.index.push(Reverse((wanted, lane.number, place)));
                self.next_due = self.next_due.min(wanted.0);
            }
        }
    }

    /// Closes the first window of a lane, if `due` is its time, and forgets what has expired then.
    fn step(&mut self, place: usize, due: i64, out: &mut impl Sink<T>) -> Run {
        match self.shape {
            Shape::Hopping(hopping) => self.step_hopping(place, due, &hopping, out),
            _ => self.step_single(place, due, out),
        }
    }

    pub(super) fn step_single(&mut self, place: usize, due: i64, out: &mut impl Sink<T>) -> Run {
        let kept_for = self.kept_for();
        let lane = &mut self.lanes[place];
        if let Some(at) = lane.closed(due) {
            if kept_for > 0 {
                let pane = &mut lane.panes[at];
                (pane.fired, pane.fresh) = (true, false);
                self.count_evicted();
                return self.emit_held(place, at, self.firing, out);
            }
            let Pane { start, end, value, receipt, .. } = lane.panes.remove(at);
            self.held -= 1;
            self.count_evicted();
            let Some(key) = self.key_of(place) else { return Ok(()) };
            return emit::<I, Y, _, _, _, _, _>(
                &self.asked.aggregate,
                key,
                (start, end),
                &value,
                receipt,
                self.firing,
                out,
            );
        }
        let before = lane.panes.len();
        lane.panes.retain(|pane| !pane.fired || pane.end.saturating_add(kept_for) > due);
        self.held -= before - lane.panes.len();
        self.forget_if_empty(place);
        Ok(())
    }

    fn step_hopping(&mut self, place: usize, due: i64, hopping: &Hopping, out: &mut impl Sink<T>) -> Run {
        let kept_for = self.kept_for();
        let lane = &mut self.lanes[place];
        let (start, end) = (lane.next, hopping.end(lane.next));
        let closes = start != i64::MAX && end <= due;
        if closes {
            lane.next = lane.next_after(start, hopping);
            self.count_evicted();
            self.emit_hopping(place, (start, end), self.firing, hopping, out)?;
        }
        self.held -= self.lanes[place].expire_panes(due, hopping, kept_for);
        self.forget_if_empty(place);
        Ok(())
    }

    /// How long windows are kept that close now.
    pub(super) fn kept_for(&self) -> i64 {
        let at_once = self.firing == Firing::Evicted || matches!(self.shape, Shape::Count { .. });
        if at_once { 0 } else { self.lateness }
    }

    /// The key of a lane, which forgets it if it has nothing any more.
    fn key_of(&mut self, place: usize) -> Option<Q::Owned> {
        if self.lanes[place].held() == 0 && !self.by_key {
            return self.lanes.remove(place);
        }
        self.lanes[place].key.clone()
    }

    fn forget_if_empty(&mut self, place: usize) {
        if self.lanes[place].held() == 0 && !self.by_key {
            self.lanes.remove(place);
        }
    }

    fn count_evicted(&self) {
        if self.firing == Firing::Evicted {
            self.buffer.count(1);
        }
    }

    /// Makes room for one window more, as the policy says; whether there is some.
    #[cold]
    pub(super) fn make_room(&mut self, out: &mut impl Sink<T>) -> Result<bool, Stop> {
        match self.buffer.overflow() {
            Overflow::DropNewest => {
                self.buffer.count(1);
                return Ok(false);
            }
            Overflow::DropOldest => {}
            _ => return Err(Stop::Fail(self.buffer.full(NAME).into())),
        }
        self.firing = Firing::Evicted;
        while self.held >= self.buffer.capacity() && self.evict(out)? {}
        self.firing = Firing::OnTime;
        Ok(true)
    }

    /// Closes what ends first, as if event time had come so far. By the index, where that has all in the order of their
    /// ends; else by a look at all keys.
    fn evict(&mut self, out: &mut impl Sink<T>) -> Result<bool, Stop> {
        if let Some(end) = self.buckets.as_ref().and_then(Buckets::first_end) {
            self.over_until_at_least(end);
            return self.close_due(out).map(|()| true);
        }
        if self.lateness == 0 && !self.by_key {
            let Some((due, place)) = self.first_due() else { return Ok(false) };
            if let Shape::Count { .. } = self.shape {
                return self.step_single(place, due.0, out).map(|()| true);
            }
            self.over_until_at_least(due.0);
            return self.close_due(out).map(|()| true);
        }
        let ends = |place| self.lanes[place].wanted(&self.shape, 0);
        let held = self.lanes.all().filter(|place| self.lanes[*place].held() > 0);
        let mut first: Vec<_> = held.map(|place| (ends(place), self.lanes[place].number, place)).collect();
        let Some(due) = first.iter().map(|((end, _), ..)| *end).min() else { return Ok(false) };
        first.retain(|((end, _), ..)| *end == due);
        first.sort_unstable();
        if !matches!(self.shape, Shape::Count { .. }) {
            self.over_until_at_least(due);
        }
        for (_, number, place) in first {
            while self.lanes[place].number == number
                && self.lanes[place].held() > 0
                && self.lanes[place].wanted(&self.shape, 0).0 <= due
            {
                self.step(place, due, out)?;
            }
            self.index_again(place);
        }
        Ok(true)
    }

    fn over_until_at_least(&mut self, end: i64) {
        self.watermark = self.watermark.max(end);
        self.over_until = self.over_until.max(end);
    }

    /// What is due first, and whose it is.
    fn first_due(&mut self) -> Option<(Due, usize)> {
        while let Some(Reverse((due, number, place))) = self.index.peek().copied() {
            if !self.is_current(due, number, place) {
                self.index.pop();
            } else if self.lanes[place].wanted(&self.shape, self.lateness) > due {
                self.index.pop();
                self.lanes[place].due = NEVER;
                self.index_again(place);
            } else {
                return Some((due, place));
            }
        }
        None
    }
}
