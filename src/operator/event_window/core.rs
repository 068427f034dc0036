//! What event-time windows do with events: they are put into the windows of their keys, and windows are closed.

use std::{borrow::Borrow, cmp::Reverse, collections::BinaryHeap, marker::PhantomData, mem, time::Duration};

use super::{
    Aggregate, Carry, Closing, Emission, EventWindows, Firing, Late, LateCount, WatermarkStrategy,
    Watermarks, WhyLate, Windowed,
    buckets::Buckets,
    lane::{Due, Pane, Stacks},
    lanes::Lanes,
    shape::{Hopping, Shape},
};
use crate::{
    buffer::Buffer,
    delivery::fate::abandon,
    error::named,
    event_time::{EventClock, EventTime, Nanos, Regression, Run, Seen, Stop},
    operator::{key::Key, rate::OnDropped},
};

pub(super) const NAME: &str = "event_windows";

/// Takes what is emitted; `false` when nobody listens any more.
pub(super) trait Sink<T>: FnMut(T) -> bool {}
impl<T, F: FnMut(T) -> bool> Sink<T> for F {}

/// A function for each thing that is asked of an event.
pub(super) struct Asked<K, F, A, D> {
    pub(super) key: K,
    pub(super) time: F,
    pub(super) aggregate: A,
    pub(super) on_late: D,
}

/// The state of the operator.
pub(super) struct Core<K, Q, F, A, D, M, Y, I>
where
    Q: Key + ?Sized,
    Y: Carry<I>,
    A: Aggregate<Y::Value>,
{
    pub(super) asked: Asked<K, F, A, D>,
    pub(super) shape: Shape,
    pub(super) time: EventTime,
    pub(super) lateness: i64,
    pub(super) emission: Emission,
    pub(super) by_key: bool,
    pub(super) buffer: Buffer,
    pub(super) late: LateCount,
    pub(super) watermarks: M,
    /// Where all keys have the same windows; then there are no lanes.
    pub(super) buckets: Option<Buckets<Q::Owned, A::Acc, Y::Receipt>>,
    pub(super) lanes: Lanes<Q::Owned, A::Acc, Y::Receipt>,
    /// When the lanes want to be looked at. Entries of what has changed since are skipped.
    pub(super) index: BinaryHeap<Reverse<(Due, u64, usize)>>,
    /// The first of these times, or earlier.
    pub(super) next_due: i64,
    /// Windows that end here or before have closed.
    pub(super) watermark: i64,
    /// Those that end here or before are over, whatever the lateness.
    pub(super) over_until: i64,
    /// How many windows (or panes) are held.
    pub(super) held: usize,
    /// Why windows close now.
    pub(super) firing: Firing,
    /// Something is to be emitted early when the time comes.
    pub(super) fresh: bool,
    pub(super) types: PhantomData<fn(&Q, I) -> Y>,
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
    pub(super) fn new<W>(spec: EventWindows<D, W>, key: K, time: F, aggregate: A) -> Self
    where
        W: WatermarkStrategy<V, Watermarks = M>,
    {
        let same_for_all = match spec.shape {
            Shape::Tumbling { .. } => true,
            #[cfg(feature = "calendar")]
            Shape::Calendar(_) => true,
            _ => false,
        };
        let simple = same_for_all
            && spec.lateness == 0
            && spec.closing == Closing::Watermark
            && matches!(spec.emission, Emission::OnClose);
        Self {
            asked: Asked { key, time, aggregate, on_late: spec.on_late },
            shape: spec.shape,
            watermarks: spec.watermarks.begin(spec.time.clone()),
            time: spec.time,
            lateness: spec.lateness,
            emission: spec.emission,
            by_key: spec.closing == Closing::ByKey,
            buffer: spec.buffer,
            late: spec.late,
            buckets: simple.then(Buckets::new),
            lanes: Lanes::new(),
            index: BinaryHeap::new(),
            next_due: i64::MAX,
            watermark: spec.closed_until,
            over_until: spec.closed_until,
            held: 0,
            firing: Firing::OnTime,
            fresh: false,
            types: PhantomData,
        }
    }

    /// One event; `now` is the scheduler's time.
    #[inline]
    pub(super) fn next(&mut self, item: I, now: impl Fn() -> Duration, out: &mut impl Sink<T>) -> Run {
        let Some(at) = named(|| NAME, || (self.asked.time)(Y::value(&item))).nanos() else {
            self.too_late(item, None, WhyLate::NoTime);
            return Ok(());
        };
        if self.by_key {
            return self.next_of_key(item, at, out);
        }
        match named(|| NAME, || self.watermarks.see(Y::value(&item), at, now)) {
            Seen::OnTime | Seen::Behind(_) | Seen::Regressed(Regression::Late) => {}
            Seen::Future => {
                self.too_late(item, Some(at), WhyLate::Future);
                return Ok(());
            }
            Seen::Regressed(Regression::Error) => {
                abandon(item);
                return Err(Stop::time_regression(NAME, at, self.watermarks.newest()));
            }
            Seen::Regressed(Regression::Reset) => {
                if let Err(stop) = self.finish(out) {
                    abandon(item);
                    return Err(stop);
                }
            }
        }
        if let Err(stop) = self.advance(out) {
            abandon(item);
            return Err(stop);
        }
        self.put(item, at, out)?;
        if M::PUNCTUATED { self.advance(out) } else { Ok(()) }
    }

    /// The same where each key has a watermark of its own.
    fn next_of_key(&mut self, item: I, at: i64, out: &mut impl Sink<T>) -> Run {
        let key = named(|| NAME, || (self.asked.key)(Y::value(&item)));
        let place = match self.lanes.find(key) {
            Some(place) => place,
            None if self.lanes.len() >= self.buffer.capacity() => {
                abandon(item);
                return Err(Stop::Fail(self.buffer.full(NAME).into()));
            }
            None => {
                let place = self.lanes.add(key);
                self.lanes[place].clock = Some(Box::new(EventClock::new(self.time.clone())));
                place
            }
        };
        let clock = self.lanes[place].clock.as_mut();
        let (seen, newest) = clock.map_or((Seen::OnTime, None), |clock| (clock.see(at), clock.newest()));
        let closed = match seen {
            Seen::Future => {
                self.too_late(item, Some(at), WhyLate::Future);
                return Ok(());
            }
            Seen::Regressed(Regression::Error) => Err(Stop::time_regression(NAME, at, newest)),
            Seen::Regressed(Regression::Reset) => self.close_lane(place, i64::MAX, out),
            Seen::OnTime | Seen::Behind(_) | Seen::Regressed(Regression::Late) => {
                self.close_lane(place, self.watermark_of(Some(place)), out)
            }
        };
        match closed {
            Ok(()) => self.put(item, at, out),
            Err(stop) => {
                abandon(item);
                Err(stop)
            }
        }
    }

    /// Emits a window that is kept.
    pub(super) fn emit_held(
        &mut self,
        place: usize,
        at: usize,
        firing: Firing,
        out: &mut impl Sink<T>,
    ) -> Run {
        let lane = &self.lanes[place];
        let (Some(key), pane) = (lane.key.clone(), &lane.panes[at]) else { return Ok(()) };
        let receipt = if firing == Firing::Early { Y::Receipt::default() } else { Y::share(&pane.receipt) };
        emit::<I, Y, _, _, _, _, _>(
            &self.asked.aggregate,
            key,
            (pane.start, pane.end),
            &pane.value,
            receipt,
            firing,
            out,
        )
    }

    /// Emits a window that is made of panes.
    pub(super) fn emit_hopping(
        &mut self,
        place: usize,
        (start, end): (i64, i64),
        firing: Firing,
        hopping: &Hopping,
        out: &mut impl Sink<T>,
    ) -> Run {
        let (aggregate, last) = (&self.asked.aggregate, self.kept_for() == 0);
        let lane = &mut self.lanes[place];
        let range = lane.range(start, end);
        let closes = matches!(firing, Firing::OnTime | Firing::Evicted);
        let mut receipt = Y::Receipt::default();
        if Y::TRACKS && firing != Firing::Early {
            for pane in &mut lane.panes[range.clone()] {
                let goes = closes && last && hopping.span(pane.start).is_none_or(|span| span.last <= start);
                let of = if goes { mem::take(&mut pane.receipt) } else { Y::share(&pane.receipt) };
                Y::join(&mut receipt, of);
            }
        }
        let panes = &lane.panes[range];
        let value = match panes {
            [pane] => Some(pane.value.clone()),
            _ if closes => {
                let stacks = lane.stacks.get_or_insert_with(|| Box::new(Stacks::new()));
                named(|| NAME, || stacks.window(panes, end, aggregate))
            }
            _ => named(|| NAME, || merged(panes, aggregate)),
        };
        let (Some(value), Some(key)) = (value, lane.key.clone()) else { return Ok(()) };
        emit::<I, Y, _, _, _, _, _>(aggregate, key, (start, end), &value, receipt, firing, out)
    }

    /// Up to where windows have closed for the key of a lane.
    #[inline]
    pub(super) fn watermark_of(&self, place: Option<usize>) -> i64 {
        match place {
            Some(place) if self.by_key => {
                let clock = self.lanes[place].clock.as_ref().and_then(|clock| clock.watermark());
                clock.map_or(self.watermark, |own| before_the_end(own).max(self.watermark))
            }
            _ => self.watermark,
        }
    }

    /// When partitions may be idle, in the scheduler's time.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.watermarks.deadline()
    }

    /// How long what is fresh may wait until it is emitted early.
    pub(super) fn fresh_for(&self) -> Option<Duration> {
        match self.emission {
            Emission::Every(period) if self.fresh => Some(period),
            _ => None,
        }
    }

    /// The scheduler's time has come: partitions may be idle.
    pub(super) fn tick(&mut self, now: Duration, out: &mut impl Sink<T>) -> Run {
        self.watermarks.tick(now);
        self.advance(out)
    }

    pub(super) fn too_late(&mut self, event: I, at: Option<i64>, why: WhyLate) {
        self.late.add(why);
        named(|| NAME, || self.asked.on_late.dropped(Late { event, at, why }));
    }
}

/// Windows that would end after the last moment close at the end only.
#[inline]
pub(super) fn before_the_end(watermark: i64) -> i64 {
    watermark.min(i64::MAX - 1)
}

fn merged<V, A: Aggregate<V>, R>(panes: &[Pane<A::Acc, R>], aggregate: &A) -> Option<A::Acc> {
    let (first, rest) = panes.split_first()?;
    let mut all = first.value.clone();
    rest.iter().for_each(|pane| aggregate.merge(&mut all, &pane.value));
    Some(all)
}

pub(super) fn emit<I, Y, A, K, V, B, T>(
    aggregate: &A,
    key: K,
    (start, end): (i64, i64),
    value: &A::Acc,
    receipt: Y::Receipt,
    firing: Firing,
    out: &mut impl Sink<T>,
) -> Run
where
    Y: Carry<I, Value = V, Out<Windowed<K, B>> = T>,
    A: Aggregate<V, Out = B>,
{
    let value = named(|| NAME, || aggregate.result(value));
    if out(Y::out(Windowed { key, start, end, value, firing }, receipt)) { Ok(()) } else { Err(Stop::Closed) }
}
