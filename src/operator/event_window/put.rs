//! How an event comes into its windows, and what is emitted of them before they close.

use std::borrow::Borrow;

use super::{
    Aggregate, Carry, Emission, Firing, Late, Watermarks, WhyLate, Windowed,
    core::{Core, NAME, Sink},
    lane::{Due, Lane, Pane},
    shape::{Hopping, Shape, piece},
};
use crate::{
    delivery::fate::abandon,
    error::named,
    event_time::{Nanos, Run},
    operator::{key::Key, rate::OnDropped},
};

/// Where an event goes.
enum Place {
    /// Into this window of its key.
    Held(usize),
    /// Into a new one: its start, its end, and until when no window that it is in has closed.
    New(i64, i64, i64),
    Late(WhyLate),
}

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
    /// Puts an event into its windows.
    #[inline]
    pub(super) fn put(&mut self, item: I, at: i64, out: &mut impl Sink<T>) -> Run {
        if self.buckets.is_some() {
            return self.put_in_bucket(item, at, out);
        }
        let value = Y::value(&item);
        let key = named(|| NAME, || (self.asked.key)(value));
        let found = self.lanes.find(key);
        if let Some(place) = found
            && let watermark = self.watermark_of(found)
            && let Some((pane, gap)) = self.lanes[place].newest_of(at, &self.shape)
            && pane.quick_until > watermark
            && matches!(self.emission, Emission::OnClose | Emission::Every(_))
        {
            named(|| NAME, || self.asked.aggregate.add(&mut pane.value, value, at));
            if M::PUNCTUATED {
                named(|| NAME, || self.watermarks.seen(value));
            }
            if gap > 0 {
                pane.end = pane.end.max(at.saturating_add(gap));
                pane.quick_until = pane.end;
            }
            pane.fresh = true;
            self.fresh = true;
            Y::join(&mut pane.receipt, Y::receipt(item));
            return Ok(());
        }
        self.put_anywhere(item, at, found, out)
    }

    #[inline(never)]
    fn put_anywhere(&mut self, item: I, at: i64, mut found: Option<usize>, out: &mut impl Sink<T>) -> Run {
        let mut to = self.place(found, at);
        if matches!(to, Place::New(..)) && self.held >= self.buffer.capacity() {
            match self.make_room(out) {
                Ok(true) => {}
                Ok(false) => {
                    self.too_late(item, Some(at), WhyLate::NoRoom);
                    return Ok(());
                }
                Err(stop) => {
                    abandon(item);
                    return Err(stop);
                }
            }
            found = self.lanes.find(named(|| NAME, || (self.asked.key)(Y::value(&item))));
            to = self.place(found, at);
        }
        let (start, end, quick_until) = match to {
            Place::Late(why) => {
                self.too_late(item, Some(at), why);
                return Ok(());
            }
            Place::Held(pane) => return self.add(found.unwrap_or_default(), pane, item, at, out),
            Place::New(start, end, quick_until) => (start, end, quick_until),
        };
        let value = self.asked.aggregate.create();
        let place = match found {
            Some(place) => place,
            None => self.lanes.add(named(|| NAME, || (self.asked.key)(Y::value(&item)))),
        };
        let fired = !self.is_of_panes_or_count() && end <= self.watermark_of(Some(place));
        let receipt = Y::Receipt::default();
        let pane = Pane { start, end, quick_until, fired, fresh: false, events: 0, value, receipt };
        let lane = &mut self.lanes[place];
        let at_index = lane.panes.partition_point(|pane| pane.start < start).max(lane.dead);
        lane.panes.insert(at_index, pane);
        self.held += 1;
        self.add(place, at_index, item, at, out)
    }

    /// Where an event of this time goes.
    fn place(&mut self, found: Option<usize>, at: i64) -> Place {
        let watermark = self.watermark_of(found);
        let (start, end, last_end, quick_until) = match self.shape {
            Shape::Tumbling { size, align } => single(piece(at, size, align)),
            #[cfg(feature = "calendar")]
            Shape::Calendar(calendar) => single(calendar.window(at)),
            Shape::Hopping(hopping) => match hopping.span(at) {
                None => return Place::Late(WhyLate::Between),
                Some(span) => (span.start, span.end, hopping.end(span.last), hopping.end(span.first)),
            },
            Shape::Session { gap } => {
                let end = at.saturating_add(gap);
                if let Some(session) = found.and_then(|place| self.session(place, at, end, watermark)) {
                    return Place::Held(session);
                }
                single((at, end))
            }
            Shape::Count { .. } => {
                let held = found.is_some_and(|place| self.lanes[place].held() > 0);
                return if held { Place::Held(0) } else { Place::New(at, at.saturating_add(1), i64::MIN) };
            }
        };
        if last_end.saturating_add(self.lateness) <= watermark || last_end <= self.over_until {
            return Place::Late(WhyLate::Expired);
        }
        let held =
            found.and_then(|place| self.lanes[place].panes.iter().rposition(|pane| pane.start == start));
        held.map_or(Place::New(start, end, quick_until), Place::Held)
    }

    /// The session that an event is of, which it may have made of several.
    fn session(&mut self, place: usize, at: i64, end: i64, watermark: i64) -> Option<usize> {
        let panes = &mut self.lanes[place].panes;
        let first = panes.partition_point(|pane| pane.end <= at);
        let after = panes.partition_point(|pane| pane.start < end);
        if first >= after {
            return None;
        }
        for _ in first + 1..after {
            let later = panes.remove(first + 1);
            self.held -= 1;
            let pane = &mut panes[first];
            named(|| NAME, || self.asked.aggregate.merge(&mut pane.value, &later.value));
            Y::join(&mut pane.receipt, later.receipt);
            (pane.end, pane.events) = (pane.end.max(later.end), pane.events + later.events);
        }
        let pane = &mut panes[first];
        (pane.start, pane.end) = (pane.start.min(at), pane.end.max(end));
        (pane.fired, pane.quick_until) = (pane.end <= watermark, pane.end);
        Some(first)
    }

    /// Whether its windows are not single ones that end at a time.
    fn is_of_panes_or_count(&self) -> bool {
        matches!(self.shape, Shape::Hopping(_) | Shape::Count { .. })
    }

    /// Adds an event to a window of its key, and emits what that makes due.
    fn add(&mut self, place: usize, pane_at: usize, item: I, at: i64, out: &mut impl Sink<T>) -> Run {
        let lane = &mut self.lanes[place];
        let pane = &mut lane.panes[pane_at];
        let value = Y::value(&item);
        named(|| NAME, || self.asked.aggregate.add(&mut pane.value, value, at));
        if M::PUNCTUATED {
            named(|| NAME, || self.watermarks.seen(value));
        }
        (pane.events, pane.fresh) = (pane.events + 1, true);
        self.fresh = true;
        Y::join(&mut pane.receipt, Y::receipt(item));
        match self.shape {
            Shape::Count { count } => {
                (pane.start, pane.end) = (pane.start.min(at), pane.end.max(at.saturating_add(1)));
                let full = pane.events >= count;
                self.index_again(place);
                if full {
                    self.step_single(place, i64::MAX, out)
                } else {
                    self.emit_early(place, pane_at, out)
                }
            }
            Shape::Hopping(hopping) => self.added_to_pane(place, pane_at, &hopping, out),
            _ => {
                let fired = pane.fired;
                self.index_again(place);
                if fired {
                    self.emit_held(place, pane_at, Firing::Late, out)
                } else {
                    self.emit_early(place, pane_at, out)
                }
            }
        }
    }

    /// A pane has got an event, and so have all the windows that it is in.
    fn added_to_pane(&mut self, place: usize, at: usize, hopping: &Hopping, out: &mut impl Sink<T>) -> Run {
        let watermark = self.watermark_of(Some(place));
        let lane = &mut self.lanes[place];
        let start = lane.panes[at].start;
        if let Some(stacks) = &mut lane.stacks {
            stacks.forget_if_has(start);
        }
        let Some(span) = hopping.span(start) else { return Ok(()) };
        let open = hopping.open_from(span.first, watermark);
        if open <= span.last {
            lane.next = lane.next.min(open);
        }
        self.index_again(place);
        if self.lateness > 0 && hopping.end(span.first) <= watermark {
            let over = watermark.saturating_sub(self.lateness).max(self.over_until);
            let kept = hopping.open_from(span.first, over);
            let closed = |start: &i64| *start <= span.last && hopping.end(*start) <= watermark;
            let windows = std::iter::successors(Some(kept), |start| start.checked_add(hopping.hop));
            for start in windows.take_while(closed) {
                self.emit_hopping(place, (start, hopping.end(start)), Firing::Late, hopping, out)?;
            }
        }
        if matches!(self.emission, Emission::OnUpdate | Emission::EveryCount(_)) {
            let windows = std::iter::successors(Some(open), |start| start.checked_add(hopping.hop));
            for start in windows.take_while(|start| *start <= span.last) {
                let lane = &self.lanes[place];
                let range = lane.range(start, hopping.end(start));
                let events = lane.panes[range].iter().map(|pane| pane.events).sum();
                if self.is_early(events) {
                    self.emit_hopping(place, (start, hopping.end(start)), Firing::Early, hopping, out)?;
                }
            }
        }
        Ok(())
    }

    /// Emits a window that has got an event, if it is to be emitted early.
    fn emit_early(&mut self, place: usize, at: usize, out: &mut impl Sink<T>) -> Run {
        let events = self.lanes[place].panes[at].events;
        if self.is_early(events) { self.emit_held(place, at, Firing::Early, out) } else { Ok(()) }
    }

    fn is_early(&self, events: u64) -> bool {
        match self.emission {
            Emission::OnUpdate => true,
            Emission::EveryCount(n) => events.is_multiple_of(n.max(1)),
            Emission::OnClose | Emission::Every(_) => false,
        }
    }

    /// Emits what has got events since it was emitted last.
    pub(super) fn emit_fresh(&mut self, out: &mut impl Sink<T>) -> Run {
        self.fresh = false;
        let mut windows: Vec<(Due, u64, usize)> = vec![];
        let all: Vec<usize> = self.lanes.all().collect();
        for place in all {
            let lane = &mut self.lanes[place];
            fresh_windows(lane, &self.shape, |due| windows.push((due, lane.number, place)));
            lane.panes.iter_mut().for_each(|pane| pane.fresh = false);
        }
        windows.sort_unstable();
        for ((end, start), _, place) in windows {
            if let Shape::Hopping(hopping) = self.shape {
                self.emit_hopping(place, (start, end), Firing::Early, &hopping, out)?;
            } else if let Some(at) = self.lanes[place].panes.iter().position(|pane| pane.start == start) {
                self.emit_held(place, at, Firing::Early, out)?;
            }
        }
        Ok(())
    }
}

/// A window that is no part of others: when it closes, and until when events are simply added.
#[inline]
fn single((start, end): (i64, i64)) -> (i64, i64, i64, i64) {
    (start, end, end, end)
}

/// The windows of a lane, not closed yet, that have got events.
fn fresh_windows<K, A, R>(lane: &Lane<K, A, R>, shape: &Shape, mut window: impl FnMut(Due)) {
    let Shape::Hopping(hopping) = shape else {
        lane.panes
            .iter()
            .filter(|pane| pane.fresh && !pane.fired)
            .for_each(|pane| window((pane.end, pane.start)));
        return;
    };
    let mut start = lane.next;
    while start != i64::MAX {
        let end = hopping.end(start);
        if lane.panes[lane.range(start, end)].iter().any(|pane| pane.fresh) {
            window((end, start));
        }
        start = lane.next_after(start, hopping);
    }
}
