//! Windows of event time: what happened in each minute, by the times that the events themselves have.
//!
//! An [`EventWindows`] says which windows, when they close, and what becomes of what is late; an [`Aggregate`] what is made
//! of the events; [`Windowed`] is what is emitted. Definitions are Flink's, but for sessions that touch
//! ([`EventWindows::session`]).

pub mod aggregate;
mod buckets;
#[cfg(feature = "calendar")]
mod calendar;
mod carry;
mod closing;
mod core;
mod direct;
mod lane;
mod lanes;
mod late;
mod put;
mod shape;
mod sliding;
mod spec;
mod watermarks;
mod windowed;
mod windowing;

pub use aggregate::Aggregate;
#[cfg(feature = "calendar")]
pub use calendar::Calendar;
pub use carry::{Acked, Carry, Plain};
pub use direct::{Direct, WindowsObserver, WindowsSubscription};
pub use late::{Late, LateCount, WhyLate};
pub use sliding::{EventSliding, SlidingWindows};
pub use spec::{Closing, Emission, EventWindows};
pub use watermarks::{Marked, OneClock, Partitioned, Partitions, Punctuated, WatermarkStrategy, Watermarks};
pub use windowed::{Firing, Windowed};
pub use windowing::{EventWindowing, Windowing};

use rxrust::{context::Context, observable::Observable};

use super::{Events, key::Key, rate::OnDropped};
use crate::{delivery::Delivery, event_time::Nanos};

/// The operator that emits `T` of the stream `S`.
pub type WindowsOf<S, K, Q, F, A, D, W, Y, I, T> =
    EventWindowing<<S as Context>::Inner, K, Q, F, A, D, W, Y, I, T, <S as Observable>::Err>;

/// The key where all events are of one.
pub type NoKey<I> = fn(&I) -> &();

fn no_key<I>(_event: &I) -> &() {
    &()
}

/// Windows of event time.
pub trait EventWindowOps: Observable + 'static {
    /// An aggregate of the events of each key in each window of event time (Flink: `keyBy`, `window`, `aggregate`).
    ///
    /// ```text
    /// --a1--a59--b30--a61--|        (key and second)
    ///   tumbling(60 s), in order, count
    /// ----------------(a[0,60) 2)(b[0,60) 1)--(a[60,120) 1)|
    /// ```
    /// - *Windows* are half-open, `[start, end)`, in whole nanoseconds; times before 1970 are like others. What kinds there
    ///   are, [`EventWindows`] says. `time(&event)` is anything that is [`Nanos`]: a date, `i64` nanoseconds.
    /// - *Closing*: the watermark is the newest time less the disorder ([`EventWindows::time`]). A window is emitted when
    ///   the watermark reaches its end, those that close at once in the order of their ends, then of their starts, then of
    ///   their keys as they came. It is kept for the [lateness](EventWindows::lateness), and emitted again with each event
    ///   that comes meanwhile. No window is empty.
    /// - *Late* is an event all of whose windows are over; never for its own time. It is
    ///   [counted](EventWindows::late) and handed to [`on_late`](EventWindows::on_late), and so is one without a time, or
    ///   from too far in the future, with the reason. What `on_late` is given is dropped by that policy.
    /// - *Time that goes back* is late, or what [`EventTime::regression`](crate::event_time::EventTime::regression) says:
    ///   all windows close, and time begins again; or the stream ends with
    ///   [`StreamError::TimeRegression`](crate::StreamError::TimeRegression).
    /// - *End*: when the source completes all windows close, in their order. An error ends the output at once; what is
    ///   held is dropped with it, and so it is at an unsubscription.
    /// - *Deliveries* would be done as soon as they are in a window: for those use
    ///   [`event_windows_acked`](Self::event_windows_acked).
    ///
    /// The key is borrowed from the event, as in [`KeyOps`](super::key::KeyOps). Memory: an accumulator for each open
    /// window of each key (of hopping ones, for each pane), bounded by [`EventWindows::buffer`]. Time: one look-up and one
    /// [`add`](Aggregate::add) for an event, however long the windows are; a few merges for a hopping window; O(log
    /// windows) where a window opens or closes.
    ///
    /// ```
    /// use rxevents::{event_time::EventTime, operator::event_window::{EventWindows, aggregate::count}, prelude::*};
    /// use std::{cell::RefCell, rc::Rc, time::Duration};
    ///
    /// let second = |n: i64| n * 1_000_000_000;
    /// let clicks = [("a", 1), ("b", 62), ("a", 59), ("a", 70), ("b", 130), ("a", 58)];
    /// let minutes = EventWindows::tumbling(Duration::from_secs(60)).time(EventTime::disorder(Duration::from_secs(10)));
    /// let (late, seen) = (minutes.late(), Rc::new(RefCell::new(vec![])));
    /// let log = seen.clone();
    /// Local::from_iter(clicks)
    ///     .event_windows(minutes, |click| click.0, move |click| second(click.1), count())
    ///     .map(move |window| (window.key, window.start / second(1), window.value))
    ///     .subscribe(move |window| log.borrow_mut().push(window));
    /// let of = |key: &str, start, count| (key.to_owned(), start, count);
    /// assert_eq!(*seen.borrow(), [of("a", 0, 2), of("b", 60, 1), of("a", 60, 1), of("b", 120, 1)]);
    /// assert_eq!(late.get(), 1); // ("a", 58): its minute was over
    /// ```
    fn event_windows<K, Q, F, A, D, W, I, N>(
        self,
        spec: EventWindows<D, W>,
        key: K,
        time: F,
        aggregate: A,
    ) -> Self::With<WindowsOf<Self, K, Q, F, A, D, W, Plain, I, Windowed<Q::Owned, A::Out>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: FnMut(&I) -> &Q,
        Q: Key + ?Sized,
        F: FnMut(&I) -> N,
        N: Nanos,
        A: Aggregate<I>,
        D: OnDropped<Late<I>>,
        W: WatermarkStrategy<I>,
    {
        self.transform(|source| EventWindowing::new(source, spec, key, time, aggregate))
    }

    /// [`event_windows`](Self::event_windows) of all events together, of whatever key (Flink: `windowAll`).
    ///
    /// ```
    /// use rxevents::{operator::event_window::{EventWindows, aggregate::{max, sum}}, prelude::*};
    /// use std::time::Duration;
    ///
    /// let session = EventWindows::session(Duration::from_nanos(10));
    /// let amount = |event: &(i64, i32)| event.1;
    /// Local::from_iter([(0, 5), (4, 6)])
    ///     .event_windows_all(session, |event| event.0, (sum(amount), max(amount)))
    ///     .subscribe(|window| assert_eq!((window.start, window.end, window.value), (0, 14, (11, Some(6)))));
    /// ```
    fn event_windows_all<F, A, D, W, I, N>(
        self,
        spec: EventWindows<D, W>,
        time: F,
        aggregate: A,
    ) -> Self::With<WindowsOf<Self, NoKey<I>, (), F, A, D, W, Plain, I, Windowed<(), A::Out>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> N,
        N: Nanos,
        A: Aggregate<I>,
        D: OnDropped<Late<I>>,
        W: WatermarkStrategy<I>,
    {
        self.transform(|source| EventWindowing::new(source, spec, no_key as NoKey<I>, time, aggregate))
    }

    /// [`event_windows`](Self::event_windows) of [deliveries](Delivery): a window is a delivery, which is done for all of
    /// its events, and an event is done when the last of its windows is.
    ///
    /// So a pipeline that is killed reads the events of part-filled windows again when it
    /// [resumes](crate::delivery::Acknowledger::resume), and every window that was not finished comes out right. Windows
    /// that were finished before share events with those: give the end of the last to
    /// [`EventWindows::closed_until`], and what is read again of them is late, instead of a window of a part. With a
    /// [lateness](EventWindows::lateness), events are done only when that is over, too. What is emitted early is of no
    /// source: its events are not done with it.
    ///
    /// The source needs room for the events of all open windows in flight
    /// ([`AckPolicy::max_in_flight`](crate::delivery::AckPolicy::max_in_flight)). Memory: a receipt for each event, until
    /// its windows close; an event of several windows has one in each that closes.
    ///
    /// ```
    /// use rxevents::{delivery::MemoryPosition, operator::event_window::{EventWindows, aggregate::count}, prelude::*};
    /// use std::time::Duration;
    ///
    /// let acks = Acknowledger::new("events", MemoryPosition::default())?;
    /// let tens = EventWindows::tumbling(Duration::from_nanos(10));
    /// Local::from_iter_result(acks.deliver([1_i64, 2, 11, 12].into_iter()))
    ///     .event_windows_acked(tens, |_| &(), |at| *at, count())
    ///     .take(1) // [11, 20) is given up
    ///     .on_error_route(observer(|error: StreamError| panic!("{error}")))
    ///     .subscribe(|window| assert_eq!(window.ack().value, 2));
    /// assert_eq!((acks.counts().delivered, acks.counts().abandoned), (2, 1)); // 12 was not read
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn event_windows_acked<K, Q, F, A, D, W, I, N, E>(
        self,
        spec: EventWindows<D, W>,
        key: K,
        time: F,
        aggregate: A,
    ) -> Self::With<WindowsOf<Self, K, Q, F, A, D, W, Acked, Delivery<I>, Delivery<Windowed<Q::Owned, A::Out>>>>
    where
        Self: Events<Delivery<I>, E>,
        K: FnMut(&I) -> &Q,
        Q: Key + ?Sized,
        F: FnMut(&I) -> N,
        N: Nanos,
        A: Aggregate<I>,
        D: OnDropped<Late<Delivery<I>>>,
        W: WatermarkStrategy<I>,
    {
        self.transform(|source| EventWindowing::new(source, spec, key, time, aggregate))
    }

    /// For each event of a key an aggregate of what came in the last `span` up to it, in the order of time (SQL: `RANGE
    /// BETWEEN span PRECEDING AND CURRENT ROW`). `Windowed` is `(time - span, time]`: its `end` is a nanosecond after the
    /// event.
    ///
    /// ```text
    /// --1--2----3----9--|       (time)
    ///   sliding_event_windows(3), count
    /// --1--2----3----1--|
    /// ```
    /// Events are sorted within the disorder: one is emitted when the watermark has reached it. One that comes behind the
    /// watermark is late, as in [`event_windows`](Self::event_windows), and so on the rest: errors, the end, times that go
    /// back. Of equal times, the later one to come has the earlier ones in its window.
    ///
    /// Memory: an accumulator for each event of the span and the disorder, bounded by
    /// [`SlidingWindows::buffer`]. Time: three merges for an event, however long the span is (a queue of two stacks), and
    /// O(log events) where it is sorted.
    ///
    /// ```
    /// use rxevents::{operator::event_window::{SlidingWindows, aggregate::sum}, prelude::*};
    /// use std::time::Duration;
    ///
    /// let last_three = SlidingWindows::new(Duration::from_nanos(3));
    /// let mut seen = vec![];
    /// Local::from_iter([1_i64, 2, 3, 4, 9])
    ///     .sliding_event_windows(last_three, |_| &(), |at| *at, sum(|at: &i64| *at))
    ///     .subscribe(|window| seen.push(window.value));
    /// assert_eq!(seen, [1, 3, 6, 9, 9]);
    /// ```
    fn sliding_event_windows<K, Q, F, A, D, I, N>(
        self,
        spec: SlidingWindows<D>,
        key: K,
        time: F,
        aggregate: A,
    ) -> Self::With<EventSliding<Self::Inner, K, Q, F, A, D, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: FnMut(&I) -> &Q,
        Q: Key + ?Sized,
        F: FnMut(&I) -> N,
        N: Nanos,
        A: Aggregate<I>,
        D: OnDropped<Late<I>>,
    {
        self.transform(|source| EventSliding::new(source, spec, key, time, aggregate))
    }
}

impl<S: Observable + 'static> EventWindowOps for S {}
