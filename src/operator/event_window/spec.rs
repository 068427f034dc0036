use std::time::Duration;

use super::{
    Late, LateCount, OneClock, Partitioned, Punctuated,
    shape::{Hopping, Shape},
};
use crate::{
    buffer::Buffer,
    event_time::{EventTime, Nanos, whole_nanos},
    operator::rate::{HandTo, Ignore},
};

/// By whose time windows close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Closing {
    /// By one watermark for all: an event of any key closes windows of all keys (Flink; Quix: closing by partition).
    #[default]
    Watermark,
    /// Each key has a watermark of its own (Quix: closing by key). Events of one key never make those of another late.
    /// But a quiet key's windows stay open until its next event, or the end; and each key is remembered, as many as
    /// [`EventWindows::buffer`] says: one more ends the stream, whatever the policy.
    ByKey,
}

/// When a window is emitted besides at its close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Emission {
    /// Not before.
    #[default]
    OnClose,
    /// With each event that it gets.
    OnUpdate,
    /// Each time it has got so many events more.
    EveryCount(u64),
    /// At most so often, by the scheduler's time, those that have got events since.
    Every(Duration),
}

/// Which windows of event time, when they close, and what becomes of events that come too late: see
/// [`event_windows`](super::EventWindowOps::event_windows).
///
/// ```
/// use rxevents::{event_time::EventTime, operator::event_window::{EventWindows, Late}, prelude::*};
/// use std::time::Duration;
///
/// let spec = EventWindows::tumbling(Duration::from_secs(60))
///     .time(EventTime::disorder(Duration::from_secs(10))) // events may be ten seconds older than the newest
///     .lateness(Duration::from_secs(300)) // windows are kept for five minutes more
///     .on_late(|late: Late<i64>| eprintln!("{:?}: {:?}", late.at, late.why));
/// let late = spec.late();
/// assert_eq!(late.get(), 0);
/// ```
#[derive(Debug, Clone)]
pub struct EventWindows<D = Ignore, W = OneClock> {
    pub(super) shape: Shape,
    pub(super) time: EventTime,
    pub(super) lateness: i64,
    pub(super) closing: Closing,
    pub(super) emission: Emission,
    pub(super) buffer: Buffer,
    pub(super) closed_until: i64,
    pub(super) late: LateCount,
    pub(super) on_late: D,
    pub(super) watermarks: W,
}

impl EventWindows {
    fn new(shape: Shape) -> Self {
        Self {
            shape,
            time: EventTime::in_order(),
            lateness: 0,
            closing: Closing::default(),
            emission: Emission::default(),
            buffer: Buffer::default(),
            closed_until: i64::MIN,
            late: LateCount::default(),
            on_late: Ignore,
            watermarks: OneClock,
        }
    }

    /// One after the other, each `size` long (less than a nanosecond is taken as one), from 1970 on and before.
    pub fn tumbling(size: Duration) -> Self {
        Self::new(Shape::Tumbling { size: whole_nanos(size).max(1), align: 0 })
    }

    /// Each `size` long, one each `hop` (Flink's sliding windows). They overlap where the hop is shorter, and there are
    /// holes where it is longer. An event is put into one pane, of the greatest common divisor of both, whatever the
    /// number of windows that it is in: choose a hop that divides the size.
    pub fn hopping(size: Duration, hop: Duration) -> Self {
        let (size, hop) = (whole_nanos(size).max(1), whole_nanos(hop).max(1));
        if size == hop {
            return Self::new(Shape::Tumbling { size, align: 0 });
        }
        Self::new(Shape::Hopping(Hopping::new(size, hop)))
    }

    /// As long as events of a key are less than `gap` apart; it ends `gap` after the last. Events exactly so far apart
    /// are of two sessions (as in Beam; Flink merges windows that touch): what is half-open does not depend on the order
    /// in which they come. One that comes between two sessions may merge them.
    pub fn session(gap: Duration) -> Self {
        Self::new(Shape::Session { gap: whole_nanos(gap).max(1) })
    }

    /// So many events of a key, in the order in which they come, whatever their times; `start` and `end` are around
    /// those. A part-filled one is emitted at the end.
    pub fn count(count: u64) -> Self {
        Self::new(Shape::Count { count: count.max(1) })
    }

    /// Days, weeks, months or years of a time zone, by its calendar: see [`Calendar`](super::Calendar).
    #[cfg(feature = "calendar")]
    pub fn calendar(calendar: super::Calendar) -> Self {
        Self::new(Shape::Calendar(calendar))
    }
}

impl<D> EventWindows<D> {
    /// By whose time windows close. ([`partitioned_by`](Self::partitioned_by) and [`punctuated`](Self::punctuated) have
    /// one watermark for all.)
    pub fn closing(self, closing: Closing) -> Self {
        Self { closing, ..self }
    }
}

impl<D, W> EventWindows<D, W> {
    /// Tumbling and hopping windows begin at this moment, and so many sizes or hops before and after; without it, at 1970
    /// (or where else the nanoseconds begin). A moment that is no [`Nanos`] is ignored.
    pub fn align(mut self, at: impl Nanos) -> Self {
        if let Shape::Tumbling { align, .. } | Shape::Hopping(Hopping { align, .. }) = &mut self.shape {
            *align = at.nanos().unwrap_or(*align);
        }
        self
    }

    /// How events may be out of order, and so where the watermark is. Without it, they are in order.
    pub fn time(self, time: EventTime) -> Self {
        Self { time, ..self }
    }

    /// A window that has closed is kept for so long in event time: an event that comes for it meanwhile has it emitted
    /// again ([`Firing::Late`](super::Firing::Late)).
    pub fn lateness(self, lateness: Duration) -> Self {
        Self { lateness: whole_nanos(lateness), ..self }
    }

    /// When a window is emitted besides at its close. Each emission has the whole value so far.
    pub fn emission(self, emission: Emission) -> Self {
        Self { emission, ..self }
    }

    /// How many windows of all keys are open at once (of hopping ones, panes), and what happens to an event that needs
    /// one more. By default 1,048,576, and the stream ends with [`StreamError::Overflow`](crate::StreamError::Overflow).
    ///
    /// With [`Overflow::DropOldest`](crate::Overflow::DropOldest) those that end first are emitted as
    /// [`Firing::Evicted`](super::Firing::Evicted) and counted in [`Buffer::drops`]: the watermark is moved to their end,
    /// as if time had come so far. With [`Overflow::DropNewest`](crate::Overflow::DropNewest) the event is
    /// [late](super::WhyLate::NoRoom).
    pub fn buffer(self, buffer: Buffer) -> Self {
        Self { buffer, ..self }
    }

    /// Windows that end at this moment or before have been emitted, in an earlier run: their events are late. A pipeline
    /// that goes on where it was gives the end of the last window that it has finished with.
    pub fn closed_until(self, at: impl Nanos) -> Self {
        Self { closed_until: at.nanos().unwrap_or(i64::MIN), ..self }
    }

    /// The counter of the events that are in no window; it stays readable while the stream runs.
    pub fn late(&self) -> LateCount {
        self.late.clone()
    }

    /// Hands each event that is in no window to `f`.
    pub fn on_late<F, I>(self, f: F) -> EventWindows<HandTo<F>, W>
    where
        F: FnMut(Late<I>),
    {
        self.with(|_, watermarks| (HandTo(f), watermarks))
    }

    /// The source has partitions (of a log, say; files that are read in turn), each in its own order: the watermark is the
    /// least of theirs. A partition that is silent for [`EventTime::idle`] is not waited for; where all are, the greatest
    /// counts (Flink). What it brings when it speaks again is late or not as [`lateness`](Self::lateness) says: the
    /// watermark does not go back. Without `idle` a silent partition holds up everything. Memory: a clock for each.
    pub fn partitioned_by<F, T, P>(self, f: F) -> EventWindows<D, Partitioned<F>>
    where
        F: FnMut(&T) -> P,
    {
        Self { closing: Closing::Watermark, ..self }.with(|on_late, _| (on_late, Partitioned(f)))
    }

    /// The watermark is what events say: `f` of an event is the moment up to which all have come, that one included
    /// (Flink's punctuated watermarks). The disorder plays no part.
    pub fn punctuated<F, T, N>(self, f: F) -> EventWindows<D, Punctuated<F>>
    where
        F: FnMut(&T) -> Option<N>,
        N: Nanos,
    {
        Self { closing: Closing::Watermark, ..self }.with(|on_late, _| (on_late, Punctuated(f)))
    }

    fn with<E, V>(self, f: impl FnOnce(D, W) -> (E, V)) -> EventWindows<E, V> {
        let Self {
            shape,
            time,
            lateness,
            closing,
            emission,
            buffer,
            closed_until,
            late,
            on_late,
            watermarks,
        } = self;
        let (on_late, watermarks) = f(on_late, watermarks);
        EventWindows {
            shape,
            time,
            lateness,
            closing,
            emission,
            buffer,
            closed_until,
            late,
            on_late,
            watermarks,
        }
    }
}
