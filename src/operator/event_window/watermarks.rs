//! Who says how far event time has come.

use std::{hash::Hash, time::Duration};

use hashbrown::HashMap;

use crate::{
    event_time::{EventClock, EventTime, Nanos, Seen},
    operator::key::FastHasher,
};

/// Who says how far event time has come, of events `T`.
pub trait Watermarks<T> {
    /// An event of this time comes, and is not in its windows yet; `now` is the scheduler's time.
    fn see(&mut self, event: &T, at: i64, now: impl FnOnce() -> Duration) -> Seen;
    /// Whether events say how far it has come once they are in their windows: [`seen`](Self::seen) is called.
    const PUNCTUATED: bool = false;
    /// It is in its windows.
    fn seen(&mut self, _event: &T) {}
    /// No event older than this is waited for.
    fn watermark(&self) -> Option<i64>;
    /// The newest time that the event is compared with, for errors.
    fn newest(&self) -> Option<i64>;
    /// When to be [asked](Self::tick) again, in the scheduler's time, if nothing comes.
    fn deadline(&self) -> Option<Duration> {
        None
    }
    /// That time has come.
    fn tick(&mut self, _now: Duration) {}
}

/// How to begin with [`Watermarks`], once for each subscription.
pub trait WatermarkStrategy<T> {
    /// Those of a subscription.
    type Watermarks: Watermarks<T>;
    /// Whether silence means something, so that a timer is needed.
    fn is_timed(&self, _time: &EventTime) -> bool {
        false
    }
    /// Begins.
    fn begin(self, time: EventTime) -> Self::Watermarks;
}

/// One clock for all: the watermark is behind the newest event by the disorder.
#[derive(Debug, Clone, Copy, Default)]
pub struct OneClock;

impl<T> WatermarkStrategy<T> for OneClock {
    type Watermarks = EventClock;

    fn begin(self, time: EventTime) -> EventClock {
        EventClock::new(time)
    }
}

impl<T> Watermarks<T> for EventClock {
    #[inline]
    fn see(&mut self, _event: &T, at: i64, _now: impl FnOnce() -> Duration) -> Seen {
        EventClock::see(self, at)
    }

    #[inline]
    fn watermark(&self) -> Option<i64> {
        EventClock::watermark(self)
    }

    fn newest(&self) -> Option<i64> {
        EventClock::newest(self)
    }
}

/// See [`EventWindows::punctuated`](super::EventWindows::punctuated).
#[derive(Debug, Clone)]
pub struct Punctuated<F>(pub(super) F);

/// What a [`Punctuated`] becomes.
pub struct Marked<F> {
    mark: F,
    at: Option<i64>,
    clock: EventClock,
}

impl<T, F, N> WatermarkStrategy<T> for Punctuated<F>
where
    F: FnMut(&T) -> Option<N>,
    N: Nanos,
{
    type Watermarks = Marked<F>;

    fn begin(self, time: EventTime) -> Marked<F> {
        Marked { mark: self.0, at: None, clock: EventClock::new(time) }
    }
}

impl<T, F, N> Watermarks<T> for Marked<F>
where
    F: FnMut(&T) -> Option<N>,
    N: Nanos,
{
    const PUNCTUATED: bool = true;

    fn see(&mut self, _event: &T, at: i64, _now: impl FnOnce() -> Duration) -> Seen {
        let seen = self.clock.see(at);
        if matches!(seen, Seen::Regressed(crate::event_time::Regression::Reset)) {
            self.at = None;
        }
        seen
    }

    fn seen(&mut self, event: &T) {
        self.at = self.at.max((self.mark)(event).and_then(|at| at.nanos()));
    }

    fn watermark(&self) -> Option<i64> {
        self.at
    }

    fn newest(&self) -> Option<i64> {
        self.clock.newest()
    }
}

/// See [`EventWindows::partitioned_by`](super::EventWindows::partitioned_by).
#[derive(Debug, Clone)]
pub struct Partitioned<F>(pub(super) F);

/// What a [`Partitioned`] becomes: a clock for each partition.
pub struct Partitions<F, P> {
    of: F,
    time: EventTime,
    places: HashMap<P, usize, FastHasher>,
    parts: Vec<Partition>,
    /// Which partition the event is of.
    current: usize,
    idle: Option<Duration>,
    watermark: Option<i64>,
}

struct Partition {
    clock: EventClock,
    heard: Duration,
    idle: bool,
}

impl<T, F, P> WatermarkStrategy<T> for Partitioned<F>
where
    F: FnMut(&T) -> P,
    P: Hash + Eq,
{
    type Watermarks = Partitions<F, P>;

    fn is_timed(&self, time: &EventTime) -> bool {
        time.idle_after().is_some()
    }

    fn begin(self, time: EventTime) -> Partitions<F, P> {
        let idle = time.idle_after();
        let (places, parts) = (HashMap::with_hasher(FastHasher::default()), vec![]);
        Partitions { of: self.0, time, places, parts, current: 0, idle, watermark: None }
    }
}

impl<F, P> Partitions<F, P> {
    /// The least of those that are waited for; where none is, the greatest of all.
    fn combine(&mut self) {
        let marks = || self.parts.iter().filter_map(|part| Some((part.idle, part.clock.watermark()?)));
        let active = marks().filter(|(idle, _)| !idle).map(|(_, mark)| mark).min();
        self.watermark = active.or_else(|| marks().map(|(_, mark)| mark).max());
    }
}

impl<T, F, P> Watermarks<T> for Partitions<F, P>
where
    F: FnMut(&T) -> P,
    P: Hash + Eq,
{
    fn see(&mut self, event: &T, at: i64, now: impl FnOnce() -> Duration) -> Seen {
        let Self { parts, time, .. } = self;
        self.current = *self.places.entry((self.of)(event)).or_insert_with(|| {
            parts.push(Partition {
                clock: EventClock::new(time.clone()),
                heard: Duration::ZERO,
                idle: false,
            });
            parts.len() - 1
        });
        let part = &mut self.parts[self.current];
        let (before, was_idle) = (part.clock.watermark(), part.idle);
        let seen = part.clock.see(at);
        if self.idle.is_some() {
            (part.heard, part.idle) = (now(), false);
        }
        if was_idle || part.clock.watermark() != before {
            self.combine();
        }
        seen
    }

    fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    fn newest(&self) -> Option<i64> {
        self.parts.get(self.current)?.clock.newest()
    }

    fn deadline(&self) -> Option<Duration> {
        let idle = self.idle?;
        let heard = self.parts.iter().filter(|part| !part.idle).map(|part| part.heard).min()?;
        Some(heard.saturating_add(idle))
    }

    fn tick(&mut self, now: Duration) {
        let Some(idle) = self.idle else { return };
        for part in &mut self.parts {
            part.idle |= now >= part.heard.saturating_add(idle);
        }
        self.combine();
    }
}
