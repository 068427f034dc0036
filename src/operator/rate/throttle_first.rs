use std::time::Duration;

use super::OnDropped;
use crate::{
    operator::apply::{Emit, Kernel},
    time::{Clock, deadline},
};

/// See [`throttle_first`](super::RateOps::throttle_first).
#[derive(Clone)]
pub struct ThrottleFirst<S, D> {
    clock: S,
    window: Duration,
    open_at: Duration,
    /// The moment of the batch.
    together: Option<Duration>,
    on_dropped: D,
}

impl<S, D> ThrottleFirst<S, D> {
    pub(super) fn new(clock: S, window: Duration, on_dropped: D) -> Self {
        Self { clock, window, open_at: Duration::ZERO, together: None, on_dropped }
    }
}

impl<S: Clock, D: OnDropped<I>, I> Kernel<I, I> for ThrottleFirst<S, D> {
    const NAME: &'static str = "throttle_first";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        let now = self.together.unwrap_or_else(|| self.clock.now());
        if now < self.open_at {
            self.on_dropped.dropped(item);
            return Emit::Skip;
        }
        self.open_at = deadline(now, self.window);
        Emit::Item(item)
    }

    fn batch_begins(&mut self) {
        self.together = Some(self.clock.now());
    }

    fn batch_ends(&mut self) {
        self.together = None;
    }
}

/// A point in time that items carry, and how it is moved by a window of type `W`.
pub trait EventTime<W>: PartialOrd {
    /// `self + window`, where that can be represented.
    fn after(&self, window: &W) -> Option<Self>
    where
        Self: Sized;
}

impl EventTime<i64> for i64 {
    fn after(&self, window: &i64) -> Option<Self> {
        self.checked_add(*window)
    }
}

impl EventTime<u64> for u64 {
    fn after(&self, window: &u64) -> Option<Self> {
        self.checked_add(*window)
    }
}

impl EventTime<Duration> for Duration {
    fn after(&self, window: &Duration) -> Option<Self> {
        self.checked_add(*window)
    }
}

impl<Tz: chrono::TimeZone> EventTime<chrono::TimeDelta> for chrono::DateTime<Tz> {
    fn after(&self, window: &chrono::TimeDelta) -> Option<Self> {
        self.clone().checked_add_signed(*window)
    }
}

impl EventTime<chrono::TimeDelta> for chrono::NaiveDateTime {
    fn after(&self, window: &chrono::TimeDelta) -> Option<Self> {
        self.checked_add_signed(*window)
    }
}

/// See [`throttle_first_by`](super::RateOps::throttle_first_by).
#[derive(Clone)]
pub struct ThrottleFirstBy<F, W, Time, D> {
    time: F,
    window: W,
    state: State<Time>,
    on_dropped: D,
}

#[derive(Clone)]
pub(super) enum State<Time> {
    Start,
    OpenAt(Time),
    Never,
}

impl<Time> State<Time> {
    /// Whether an item of this time passes; then the next window begins.
    #[inline(always)]
    pub(super) fn passes<W>(&mut self, at: &Time, window: &W) -> bool
    where
        Time: EventTime<W>,
    {
        let pass = match self {
            State::Start => true,
            State::OpenAt(open) => *at >= *open,
            State::Never => false,
        };
        if pass {
            *self = at.after(window).map_or(State::Never, State::OpenAt);
        }
        pass
    }
}

impl<F, W, Time, D> ThrottleFirstBy<F, W, Time, D> {
    pub(super) fn new(window: W, time: F, on_dropped: D) -> Self {
        Self { time, window, state: State::Start, on_dropped }
    }
}

impl<F, W, Time, D, I> Kernel<I, I> for ThrottleFirstBy<F, W, Time, D>
where
    F: FnMut(&I) -> Time,
    Time: EventTime<W>,
    D: OnDropped<I>,
{
    const NAME: &'static str = "throttle_first_by";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        let at = (self.time)(&item);
        if self.state.passes(&at, &self.window) {
            return Emit::Item(item);
        }
        self.on_dropped.dropped(item);
        Emit::Skip
    }
}
