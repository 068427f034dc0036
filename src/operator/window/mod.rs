//! Operators that gather items, or divide a stream into streams.

mod buffer_count;
mod buffer_count_skip;
mod by_count;
mod by_doors;
mod by_time;
mod by_time_shift;
mod chunks;
mod collect;
mod detector;
mod doors;
mod flag_anomalies;
mod flag_outliers;
mod keeper;
mod moving_average;
mod paced;
mod pane;
mod panes;
mod sliding;

pub use buffer_count::*;
pub use buffer_count_skip::*;
pub use by_count::*;
pub use by_doors::*;
pub use by_time::*;
pub use by_time_shift::*;
pub use chunks::*;
pub(crate) use collect::put;
pub use collect::{Bounded, Collect, Env, Gathered, Vecs, Windows};
pub use detector::{Detector, Ewma, MedianDeviation, Ratio, ZScore};
pub use doors::{Close, Closer, Doors, Keeping, Knock, Latch, Main, Opener, Silent};
pub(crate) use doors::{Closings, DoorObserver, watch_closing};
pub use flag_anomalies::*;
pub use flag_outliers::*;
pub use keeper::*;
pub use moving_average::*;
pub use paced::*;
pub use pane::*;
pub use panes::*;
pub use sliding::*;

use std::time::Duration;

use rxrust::{context::Context, observable::Observable};

use super::{Events, apply::Apply, share::Hosts};
use crate::buffer::Buffer;

/// A window of items `I` of the stream `S`: what [`WindowOps::window_count`] and its kin send.
pub type WindowOf<S, I> = <S as Context>::With<Window<I, <S as Observable>::Err, <S as Context>::Scope>>;
/// Buffers of items `I` of the stream `S` by count or time.
pub type PacedBuffers<S, P, I> = Paced<<S as Context>::Inner, P, Vecs, I, Vec<I>, <S as Observable>::Err>;
/// Windows of items `I` of the stream `S` by count or time.
pub type PacedWindows<S, P, I> =
    Paced<<S as Context>::Inner, P, Windows<WindowOf<S, I>>, I, WindowOf<S, I>, <S as Observable>::Err>;
/// Buffers of items `I` of the stream `S` by other sources.
pub type DoorBuffers<S, B, K, D, I, U, In, X> =
    Doors<<S as Context>::Inner, B, K, D, Vecs, I, U, In, X, Vec<I>, <S as Observable>::Err>;
/// Windows of items `I` of the stream `S` by other sources.
pub type DoorWindows<S, B, K, D, I, U, In, X> = Doors<
    <S as Context>::Inner,
    B,
    K,
    D,
    Windows<WindowOf<S, I>>,
    I,
    U,
    In,
    X,
    WindowOf<S, I>,
    <S as Observable>::Err,
>;
/// No source, in the context of the stream `S`.
pub type NoSource<S> = <S as Context>::With<Silent<(), <S as Observable>::Err>>;

/// The most items that room is made for before they are there.
const RESERVE: usize = 1024;

/// Operators that gather items.
pub trait WindowOps: Observable + 'static {
    /// Partitions of `count` items, the last one what is left (ReactiveX `buffer(count)`; `count` 0 is taken as 1).
    ///
    /// ```text
    /// --1--2--3--4--5-|
    ///   buffer_count(2)
    /// -----12----34---5|
    /// ```
    /// Each partition is one allocation of its final size. Memory: `count` items. On an error the part-filled one is
    /// dropped, as ReactiveX says.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..=5).buffer_count(2).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [vec![1, 2], vec![3, 4], vec![5]]);
    /// ```
    fn buffer_count<I>(self, count: usize) -> Self::With<Apply<Self::Inner, BufferCount<I>, I, Vec<I>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, BufferCount::new(count)))
    }

    /// Partitions of `count` items, one starting every `skip` items (ReactiveX `buffer(count, skip)`). With `skip`
    /// below `count` they overlap; with `skip` above it, the items in the gaps are left out. Either of them 0 is taken
    /// as 1.
    ///
    /// ```text
    /// --1--2--3--4--5-|
    ///   buffer_count_skip(3, 2)
    /// --------123---345(5|)
    /// ```
    /// When the source completes, the partitions that have begun and are not full are sent first, the oldest first, as
    /// ReactiveX says; an error drops them. Each partition is one allocation of its final size; items that are in more
    /// than one are cloned. Memory: `count` items. Time: `count / skip` clones an item. [`sliding`](Self::sliding) does
    /// without both.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..=5).buffer_count_skip(3, 2).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [vec![1, 2, 3], vec![3, 4, 5], vec![5]]);
    /// let mut seen = vec![];
    /// Local::from_iter(1..=5).buffer_count_skip(1, 3).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [[1], [4]]);
    /// ```
    fn buffer_count_skip<I>(
        self,
        count: usize,
        skip: usize,
    ) -> Self::With<Apply<Self::Inner, BufferCountSkip<I>, I, Vec<I>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        I: Clone,
    {
        self.transform(|source| Apply::new(source, BufferCountSkip::new(count, skip)))
    }

    /// What comes in each `span`, as a partition (ReactiveX `buffer(timespan)`, RxJS `bufferTime`).
    ///
    /// ```text
    /// -a-b-----c---|
    ///   buffer_time(4ms)
    /// ----[ab]---[]---[c]-([]|)    (at 4, 8, 12 ms, and at the end)
    /// ```
    /// A time without an item is an empty partition. The ends stay on a grid that begins at the subscription, of the
    /// scheduler's time; an item at an end belongs to the next partition, also where the timer is late. Ends that were
    /// missed, by a subscriber that took long, are one. When the source completes, what is left is sent; an error drops
    /// and counts it. A `span` of zero is taken as one nanosecond.
    ///
    /// Memory: the items of one `span`, at most the default [`Buffer`]; see [`bounded`](Self::bounded). Time: one look at
    /// the clock an item.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let ms = Duration::from_millis;
    /// let scheduler = VirtualScheduler::new();
    /// let seen = record(scheduler.hot("-a-b-----c---|").buffer_time(ms(4)));
    /// scheduler.advance_by(ms(20));
    /// assert_eq!(seen.items(), [vec!['a', 'b'], vec![], vec!['c'], vec![]]);
    /// ```
    fn buffer_time<I>(self, span: Duration) -> Self::With<PacedBuffers<Self, ByTime, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        WindowOps::buffer_time_max(self, span, usize::MAX, WhenFull::default())
    }

    /// [`buffer_time`](Self::buffer_time) with partitions that also end when they have `count` items (RxJava
    /// `buffer(timespan, count, restartTimerOnMaxSize)`; `count` 0 is taken as 1). What becomes of the time then says
    /// [`WhenFull`].
    ///
    /// ```text
    /// span 100 ms, count 2: a and b at 80 ms, c at 85 ms
    ///   Restart: [ab] at 80 ms, [c] at 185 ms    (a span after its first item)
    ///   Fixed:   [ab] at 80 ms, [c] at 100 ms
    /// ```
    /// With `Restart` there is no partition, not even an empty one, from a full one to the next item. (RxJava restarts
    /// the time at the full one instead, which would cut the time of those that follow a pause.) Memory: `count` items,
    /// at most the default [`Buffer`].
    ///
    /// ```
    /// use rxevents::{operator::window::WhenFull, prelude::*, testing::{Signal, VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let ms = Duration::from_millis;
    /// let scheduler = VirtualScheduler::new();
    /// let events = scheduler.hot("80ms (ab) 1ms c");
    /// let seen = record(events.buffer_time_max(ms(100), 2, WhenFull::Restart));
    /// scheduler.advance_by(ms(190));
    /// seen.assert_eq(&[(80, Signal::Next(vec!['a', 'b'])), (185, Signal::Next(vec!['c']))]);
    /// ```
    fn buffer_time_max<I>(
        self,
        span: Duration,
        count: usize,
        when_full: WhenFull,
    ) -> Self::With<PacedBuffers<Self, ByTime, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Paced::new(source, ByTime::new(span, count, when_full)))
    }

    /// What comes in each `span`, one beginning every `shift` (RxJava `buffer(timespan, timeskip)`, RxJS `bufferTime` with a
    /// creation interval). With `shift` below `span` they overlap; above it, items between them are left out. A `shift`
    /// of zero is taken as `span`.
    ///
    /// ```text
    /// a-b---c-----|
    ///   buffer_time_shift(6ms, 4ms)
    /// ------[ab]----[c]---([][]|)    (0 to 6 ms, 4 to 10 ms, then 8 and 12 ms to the end)
    /// ```
    /// One that ends at a moment does so before the next one begins: there are never more than `span / shift`, rounded
    /// up. Those that would have begun and ended while a subscriber took long are left out. When the source completes,
    /// those that are open are sent, the oldest first; an error drops and counts them.
    ///
    /// Memory: each of them is at most the default [`Buffer`]. Time: a look at the clock an item, and a clone of it for each
    /// but one that it is in.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let ms = Duration::from_millis;
    /// let scheduler = VirtualScheduler::new();
    /// let seen = record(scheduler.hot("a-b---c----|").buffer_time_shift(ms(6), ms(4)));
    /// scheduler.advance_by(ms(20));
    /// assert_eq!(seen.items(), [vec!['a', 'b'], vec!['c'], vec![]]);
    /// ```
    fn buffer_time_shift<I>(
        self,
        span: Duration,
        shift: Duration,
    ) -> Self::With<PacedBuffers<Self, ByTimeShift, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        I: Clone,
    {
        self.transform(|source| Paced::new(source, ByTimeShift::new(span, shift)))
    }

    /// What comes between two items of `notifier` (RxJS `buffer(closingNotifier)`, RxJava `buffer(boundary)`).
    ///
    /// ```text
    /// -a-b-----c-d--|
    /// -----x-x--------    (notifier)
    ///   buffer_with(notifier)
    /// -----[ab]-[]----([cd]|)
    /// ```
    /// When the source completes, what is left is sent, even if it is empty. When `notifier` completes, what comes from
    /// then on is one partition (RxJS; RxJava completes). An error of either is passed on, and drops and counts what is
    /// held. `notifier` is subscribed first. Memory: the items of one, at most the default [`Buffer`].
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let scheduler = VirtualScheduler::new();
    /// let flush = scheduler.hot("-----x-x--------");
    /// let seen = record(scheduler.hot("-a-b-----c-d--|").buffer_with(flush));
    /// scheduler.advance_by(Duration::from_millis(20));
    /// assert_eq!(seen.items(), [vec!['a', 'b'], vec![], vec!['c', 'd']]);
    /// ```
    fn buffer_with<B, U, I>(
        self,
        notifier: B,
    ) -> Self::With<DoorBuffers<Self, B::Inner, ByNotifier, Only, I, U, NoSource<Self>, ()>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        B: Events<U, Self::Err>,
    {
        self.transform(|source| Doors::new(source, notifier.into_inner(), ByNotifier))
    }

    /// What comes between an item of `openings` and the first signal of the source that `closing` gives for it (RxJS
    /// `bufferToggle`, RxJava `buffer(openings, closing)`).
    ///
    /// ```text
    /// -a-b-c-d-e-f-|
    /// --x---y-------    (openings; closing: 4 ms later)
    ///   buffer_toggle(openings, |_| timer(4ms))
    /// ------[bc]--[de]---|
    /// ```
    /// They overlap where `openings` says so; items that come while none is open are left out. An item or the completion
    /// of the closing source ends it (as in RxJava; in RxJS the completion does not). When the source completes, those
    /// that are open are sent, the oldest first; an error of any source is passed on, and drops and counts them. The
    /// completion of `openings` opens no more. They are subscribed first.
    ///
    /// Memory: each of them at most the default [`Buffer`]; how many are open is up to `openings` and `closing`. Time: a
    /// clone of an item for each but one that it is in.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let ms = Duration::from_millis;
    /// let scheduler = VirtualScheduler::new();
    /// let openings = scheduler.hot("--x---y-------");
    /// let time = scheduler.clone();
    /// let events = scheduler.hot("-a-b-c-d-e-f-|");
    /// let seen = record(events.buffer_toggle(openings, move |_| time.cold("----|")));
    /// scheduler.advance_by(ms(20));
    /// assert_eq!(seen.items(), [vec!['b', 'c'], vec!['d', 'e']]);
    /// ```
    fn buffer_toggle<B, U, F, In, X, I>(
        self,
        openings: B,
        closing: F,
    ) -> Self::With<DoorBuffers<Self, B::Inner, ByToggle<F>, Each, I, U, In, X>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        B: Events<U, Self::Err>,
        F: FnMut(U) -> In,
        In: Events<X, Self::Err>,
        I: Clone,
    {
        self.transform(|source| Doors::new(source, openings.into_inner(), ByToggle { closing }))
    }

    /// What comes until the first signal of the source that `closing` gives, and again (RxJS `bufferWhen`, RxJava
    /// `buffer(boundarySupplier)`).
    ///
    /// ```text
    /// -a-b-c-d-e-|
    ///   buffer_when(|| timer(4ms))
    /// ----[ab]---[cd]---([e]|)
    /// ```
    /// `closing` is asked at the subscription, and whenever a partition has ended. An item or the completion of its source
    /// ends the partition. Where it does so the moment it is subscribed, the next partition begins with the next item,
    /// and not at once: else there would be no end of them. When the source completes, what is left is sent; an error of
    /// either is passed on, and drops and counts it. Memory: the items of one, at most the default [`Buffer`].
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let ms = Duration::from_millis;
    /// let scheduler = VirtualScheduler::new();
    /// let time = scheduler.clone();
    /// let seen = record(scheduler.hot("-a-b-c-d-e-|").buffer_when(move || time.cold("----|")));
    /// scheduler.advance_by(ms(20));
    /// assert_eq!(seen.items(), [vec!['a', 'b'], vec!['c', 'd'], vec!['e']]);
    /// ```
    fn buffer_when<F, In, X, I>(
        self,
        closing: F,
    ) -> Self::With<DoorBuffers<Self, Silent<(), Self::Err>, ByClosing<F>, Only, I, (), In, X>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut() -> In,
        In: Events<X, Self::Err>,
    {
        self.transform(|source| Doors::new(source, Silent::default(), ByClosing { closing }))
    }

    /// Windows of `count` items, each a stream of its own (ReactiveX `window(count)`; `count` 0 is taken as 1).
    ///
    /// ```text
    /// --1--2--3--4--5-|
    ///   window_count(2)
    /// --w-----w-----w-|
    ///   1--2|
    ///         3--4|
    ///               5-|
    /// ```
    /// A window begins with its first item (as in RxJava: there is no empty one; RxJS begins the next with the end of the one
    /// before).
    ///
    /// What all operators of windows have in common:
    ///
    /// - A window has one subscriber, and loses nothing: what comes before it is subscribed waits, in a [`Buffer`] of its
    ///   own (the default one, or that of [`bounded`](Self::bounded)). So windows that wait below `flat_map_with` or
    ///   `concat_map` have all their items. When a buffer with `Overflow::Error` is full, the whole stream fails with
    ///   [`StreamError::Overflow`](crate::StreamError::Overflow).
    /// - A window that is dropped without a subscription holds nothing. What it held and what it would have got, and what
    ///   comes for a window whose subscriber has gone, is counted with the drops of the [`Buffer`].
    /// - When the outer stream is unsubscribed (as by `take` below it), windows that are open go on to their end, and no more
    ///   are opened (as in RxJava). When nobody listens to it nor to any window, the source is unsubscribed.
    /// - When the source ends, the open windows end in the same way, the oldest first, then the outer stream: the error must
    ///   be `Clone`. A subscriber
    ///   of a window that panics ends that window with the panic.
    ///
    /// Memory: the [`Buffer`] for each window that is not yet subscribed. In `Shared`, two uncontended hand-overs an item.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    ///
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// let windows = Local::from_iter(1..=5).window_count(2);
    /// windows.concat_map(|window| window.sum()).subscribe(move |sum| log.borrow_mut().push(sum));
    /// assert_eq!(*seen.borrow(), [3, 7, 5]);
    /// ```
    fn window_count<I>(self, count: usize) -> Self::With<PacedWindows<Self, ByCount<Only>, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scope: Hosts<I, Self::Err>,
        I: 'static,
    {
        self.transform(|source| Paced::new(source, ByCount::new(count, count)))
    }

    /// Windows of `count` items, one beginning every `skip` items (ReactiveX `window(count, skip)`). With `skip` below
    /// `count` they overlap; above it, the items in the gaps are left out. Either of them 0 is taken as 1.
    ///
    /// ```text
    /// --1--2--3--4--5-|
    ///   window_count_skip(3, 2)
    /// --w-----w-----w-|
    ///   1--2--3|
    ///         3--4--5|
    ///               5-|
    /// ```
    /// See [`window_count`](Self::window_count) for what windows have in common. Memory: `count / skip` windows, rounded up.
    /// Time: a clone of an item for each but one that it is in.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    ///
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// let windows = Local::from_iter(1..=5).window_count_skip(3, 2);
    /// windows.concat_map(|window| window.to_vec()).subscribe(move |v| log.borrow_mut().push(v));
    /// assert_eq!(*seen.borrow(), [vec![1, 2, 3], vec![3, 4, 5], vec![5]]);
    /// ```
    fn window_count_skip<I>(
        self,
        count: usize,
        skip: usize,
    ) -> Self::With<PacedWindows<Self, ByCount<Each>, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scope: Hosts<I, Self::Err>,
        I: Clone + 'static,
    {
        self.transform(|source| Paced::new(source, ByCount::new(count, skip)))
    }

    /// A window for each `span` (ReactiveX `window(timespan)`, RxJS `windowTime`): [`buffer_time`](Self::buffer_time), each
    /// a stream of its own.
    ///
    /// ```text
    /// -a-b-----c---|
    ///   window_time(4ms)
    /// w---w---w---w|
    /// -a-b|
    ///     ----|
    ///         -c--|
    ///             -|
    /// ```
    /// See [`window_count`](Self::window_count) for what windows have in common, and [`buffer_time`](Self::buffer_time) for
    /// the time.
    ///
    /// ```
    /// use rxevents::{assert_marbles, prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let ms = Duration::from_millis;
    /// let scheduler = VirtualScheduler::new();
    /// let counts = scheduler.hot("-a-b-----c---|").window_time(ms(4)).flat_map(|window| window.count());
    /// let seen = record(counts.map(|n| if n == 2 { '2' } else if n == 1 { '1' } else { '0' }));
    /// scheduler.advance_by(ms(20));
    /// assert_marbles!(seen, "----2---0---1(0|)");
    /// ```
    fn window_time<I>(self, span: Duration) -> Self::With<PacedWindows<Self, ByTime, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scope: Hosts<I, Self::Err>,
        I: 'static,
    {
        WindowOps::window_time_max(self, span, usize::MAX, WhenFull::default())
    }

    /// [`window_time`](Self::window_time) with windows that also end when they have `count` items (RxJava
    /// `window(timespan, count, restart)`; `count` 0 is taken as 1): [`buffer_time_max`](Self::buffer_time_max), each a
    /// stream of its own.
    ///
    /// ```
    /// use rxevents::{assert_marbles, operator::window::WhenFull, prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let ms = Duration::from_millis;
    /// let scheduler = VirtualScheduler::new();
    /// let windows = scheduler.hot("-abc------|").window_time_max(ms(4), 2, WhenFull::Restart);
    /// let seen = record(windows.flat_map(|window| window.last()));
    /// scheduler.advance_by(ms(20));
    /// assert_marbles!(seen, "--b----c--|");
    /// ```
    fn window_time_max<I>(
        self,
        span: Duration,
        count: usize,
        when_full: WhenFull,
    ) -> Self::With<PacedWindows<Self, ByTime, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scope: Hosts<I, Self::Err>,
        I: 'static,
    {
        self.transform(|source| Paced::new(source, ByTime::new(span, count, when_full)))
    }

    /// A window of a `span`, one beginning every `shift` (RxJava `window(timespan, timeskip)`, RxJS `windowTime` with a
    /// creation interval): [`buffer_time_shift`](Self::buffer_time_shift), each a stream of its own.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let ms = Duration::from_millis;
    /// let scheduler = VirtualScheduler::new();
    /// let windows = scheduler.hot("a-b---c----|").window_time_shift(ms(6), ms(4));
    /// let seen = record(windows.flat_map(|window| window.count()));
    /// scheduler.advance_by(ms(20));
    /// assert_eq!(seen.items(), [2, 1, 0]);
    /// ```
    fn window_time_shift<I>(
        self,
        span: Duration,
        shift: Duration,
    ) -> Self::With<PacedWindows<Self, ByTimeShift, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scope: Hosts<I, Self::Err>,
        I: Clone + 'static,
    {
        self.transform(|source| Paced::new(source, ByTimeShift::new(span, shift)))
    }

    /// A window between two items of `notifier` (RxJS `window(boundaries)`): [`buffer_with`](Self::buffer_with), each a
    /// stream of its own. The first begins at the subscription.
    ///
    /// ```text
    /// -a-b-----c-d--|
    /// -----x-x--------    (notifier)
    ///   window_with(notifier)
    /// w----w-w------|
    /// -a-b-|
    ///      --|
    ///        --c-d--|
    /// ```
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let scheduler = VirtualScheduler::new();
    /// let flush = scheduler.hot("-----x--------");
    /// let windows = scheduler.hot("-a-b---c-d-e|").window_with(flush);
    /// let seen = record(windows.flat_map(|window| window.count()));
    /// scheduler.advance_by(Duration::from_millis(20));
    /// assert_eq!(seen.items(), [2, 3]);
    /// ```
    fn window_with<B, U, I>(
        self,
        notifier: B,
    ) -> Self::With<DoorWindows<Self, B::Inner, ByNotifier, Only, I, U, NoSource<Self>, ()>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scope: Hosts<I, Self::Err>,
        B: Events<U, Self::Err>,
        I: 'static,
    {
        self.transform(|source| Doors::new(source, notifier.into_inner(), ByNotifier))
    }

    /// A window between an item of `openings` and the first signal of the source that `closing` gives for it (RxJS
    /// `windowToggle`): [`buffer_toggle`](Self::buffer_toggle), each a stream of its own.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let scheduler = VirtualScheduler::new();
    /// let openings = scheduler.hot("--x---y-------");
    /// let time = scheduler.clone();
    /// let windows = scheduler.hot("-a-b-c-d-e-f-|").window_toggle(openings, move |_| time.cold("----|"));
    /// let seen = record(windows.flat_map(|window| window.count()));
    /// scheduler.advance_by(Duration::from_millis(20));
    /// assert_eq!(seen.items(), [2, 2]);
    /// ```
    fn window_toggle<B, U, F, In, X, I>(
        self,
        openings: B,
        closing: F,
    ) -> Self::With<DoorWindows<Self, B::Inner, ByToggle<F>, Each, I, U, In, X>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scope: Hosts<I, Self::Err>,
        B: Events<U, Self::Err>,
        F: FnMut(U) -> In,
        In: Events<X, Self::Err>,
        I: Clone + 'static,
    {
        self.transform(|source| Doors::new(source, openings.into_inner(), ByToggle { closing }))
    }

    /// A window until the first signal of the source that `closing` gives, and again (RxJS `windowWhen`):
    /// [`buffer_when`](Self::buffer_when), each a stream of its own.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let scheduler = VirtualScheduler::new();
    /// let time = scheduler.clone();
    /// let windows = scheduler.hot("-a-b-c-d-e-|").window_when(move || time.cold("----|"));
    /// let seen = record(windows.flat_map(|window| window.count()));
    /// scheduler.advance_by(Duration::from_millis(20));
    /// assert_eq!(seen.items(), [2, 2, 1]);
    /// ```
    fn window_when<F, In, X, I>(
        self,
        closing: F,
    ) -> Self::With<DoorWindows<Self, Silent<(), Self::Err>, ByClosing<F>, Only, I, (), In, X>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scope: Hosts<I, Self::Err>,
        F: FnMut() -> In,
        In: Events<X, Self::Err>,
        I: 'static,
    {
        self.transform(|source| Doors::new(source, Silent::default(), ByClosing { closing }))
    }

    /// Directly below an operator that gives buffers by time or by other sources, windows, or groups: chooses the bound of
    /// each, and the policy beyond it. For buffers it is the most items of one; for windows and groups, the most that wait
    /// in one for its subscriber.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let buffer = Buffer::new(2).on_overflow(Overflow::DropOldest);
    /// let drops = buffer.drops();
    /// let partitions = Local::from_iter(1..=5).buffer_with(Local::never::<()>()).bounded(buffer);
    /// partitions.subscribe(|v| assert_eq!(v, [4, 5]));
    /// assert_eq!(drops.get(), 3);
    /// ```
    fn bounded(mut self, buffer: Buffer) -> Self
    where
        Self::Inner: Bounded,
    {
        self.inner_mut().bound(buffer);
        self
    }

    /// What `f` makes of each partition of `count` items, which is lent to it (as `slice::chunks`: the last one is what
    /// is left; `count` 0 is taken as 1). [`buffer_count`](Self::buffer_count) without the allocation.
    ///
    /// ```text
    /// --1--2--3--4--5-|
    ///   chunks(2, sum)
    /// -----3-----7----(5|)
    /// ```
    /// An error drops what is left. Memory: `count` items; nothing is allocated once there is room for them.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..=5).chunks(2, |v| v.iter().sum::<i32>()).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3, 7, 5]);
    /// ```
    fn chunks<F, U, I>(self, count: usize, f: F) -> Self::With<Apply<Self::Inner, Chunks<I, F>, I, U>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&[I]) -> U,
    {
        self.transform(|source| Apply::new(source, Chunks::new(count, f)))
    }

    /// What `f` makes of each window of `count` items, which is lent to it; one window starts every `step` items (as
    /// `slice::windows`, with a step: full windows only). With `step` above `count`, the items in the gaps are left out.
    /// Either of them 0 is taken as 1.
    ///
    /// ```text
    /// --1--2--3--4--5-|
    ///   sliding(3, 1, sum)
    /// --------6--9--12|
    /// ```
    /// Memory: twice `count` items (items stay up to `count` items longer than their window); nothing is allocated once
    /// there is room for them. Time: one move an item, besides `f`.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 4, 2, 8, 5]).sliding(2, 1, |v| v[1] - v[0]).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3, -2, 6, -3]);
    /// ```
    fn sliding<F, U, I>(
        self,
        count: usize,
        step: usize,
        f: F,
    ) -> Self::With<Apply<Self::Inner, Sliding<I, F>, I, U>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&[I]) -> U,
    {
        self.transform(|source| Apply::new(source, Sliding::new(count, step, f)))
    }

    /// The mean of the latest `count` values, from the `count`-th on (the simple moving average; `count` 0 is taken as
    /// 1).
    ///
    /// ```text
    /// --1--2--3--4--5-|
    ///   moving_average(3)
    /// --------2--3--4-|
    /// ```
    /// A value that is not finite makes the means of its windows so, by the rules of IEEE 754 (one NaN: NaN); they are
    /// right again when it has left. Nothing is ever subtracted from a sum: errors do not add up, however long the stream,
    /// and a large value leaves no trace behind; the error of a mean is that of a plain sum of its window. A sum beyond the
    /// range of `f64` is no harm, but costs `count` steps.
    ///
    /// Memory: twice `count` values, and no allocation once there is room for them. Time: constant on average; once in
    /// `count` values it is `count` steps.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1.0, 3.0, f64::NAN, 4.0, 6.0]).moving_average(2).subscribe(|v| seen.push(v));
    /// assert_eq!((seen[0], seen[3]), (2.0, 5.0));
    /// assert!(seen[1].is_nan() && seen[2].is_nan());
    /// ```
    fn moving_average(self, count: usize) -> Self::With<Apply<Self::Inner, MovingAverage, f64, f64>>
    where
        Self: for<'a> Observable<Item<'a> = f64>,
    {
        self.transform(|source| Apply::new(source, MovingAverage::new(count)))
    }

    /// [`moving_average`](Self::moving_average) of the `value`s of the items.
    ///
    /// ```
    /// use rxevents::{prelude::*, source::SensorReadings};
    /// let mut means = vec![];
    /// Local::from_iter(SensorReadings::new(1).take(100))
    ///     .moving_average_by(12, |reading| reading.value)
    ///     .subscribe(|mean| means.push(mean));
    /// assert!(means.len() == 89 && means.iter().all(|mean| (20.0..25.0).contains(mean)));
    /// ```
    fn moving_average_by<F, I>(
        self,
        count: usize,
        value: F,
    ) -> Self::With<Apply<Self::Inner, MovingAverageBy<F>, I, f64>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> f64,
    {
        self.transform(|source| Apply::new(source, MovingAverageBy::new(count, value)))
    }

    /// Judges partitions of values, such as those of [`buffer_count`](Self::buffer_count): each goes on as [`Judged`],
    /// with its mean, flagged when a value in it is above `ratio` times the mean.
    ///
    /// For values that are above 0 by nature, and finite: where the mean is not finite, nothing is flagged. An empty
    /// partition is not flagged. Memory: none.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([vec![1.0, 1.0, 1.0], vec![1.0, 1.0, 4.0]])
    ///     .flag_outliers(1.5)
    ///     .subscribe(|judged| seen.push((judged.mean, judged.flagged)));
    /// assert_eq!(seen, [(1.0, false), (2.0, true)]);
    /// ```
    fn flag_outliers<P>(self, ratio: f64) -> Self::With<Apply<Self::Inner, FlagOutliers, P, Judged<P>>>
    where
        Self: for<'a> Observable<Item<'a> = P>,
        P: AsRef<[f64]>,
    {
        self.transform(|source| Apply::new(source, FlagOutliers { ratio }))
    }

    /// [`flag_outliers`](Self::flag_outliers) by the `value`s of the items of the partitions.
    ///
    /// ```
    /// use rxevents::{prelude::*, source::SensorReadings};
    /// let mut flagged = 0;
    /// Local::from_iter(SensorReadings::new(1).anomalies(0.01).take(1_000))
    ///     .buffer_count(5)
    ///     .flag_outliers_by(1.5, |reading| reading.value)
    ///     .subscribe(|judged| flagged += usize::from(judged.flagged));
    /// assert!(flagged > 0);
    /// ```
    fn flag_outliers_by<F, P, I>(
        self,
        ratio: f64,
        value: F,
    ) -> Self::With<Apply<Self::Inner, FlagOutliersBy<F, I>, P, Judged<P>>>
    where
        Self: for<'a> Observable<Item<'a> = P>,
        P: AsRef<[I]>,
        F: FnMut(&I) -> f64,
    {
        self.transform(|source| Apply::new(source, FlagOutliersBy::new(ratio, value)))
    }

    /// Each item as [`Scored`]: how unusual its value is beside those before it, by a [`Detector`], and whether that is
    /// above the detector's threshold. [`ZScore`], [`Ewma`], [`MedianDeviation`] and [`Ratio`] are ready-made.
    ///
    /// A value that is not finite is an anomaly, with an infinite score, and does not count for those after it. An anomaly
    /// that is finite does: what lasts becomes usual. Memory and time: the detector's.
    ///
    /// ```
    /// use rxevents::{operator::window::ZScore, prelude::*};
    /// let mut flagged = vec![];
    /// Local::from_iter([20.1, 20.3, 19.9, 20.0, 35.0, 20.2, f64::NAN])
    ///     .flag_anomalies(ZScore::new(4, 3.0), |value| *value)
    ///     .filter(|scored| scored.flagged)
    ///     .subscribe(|scored| flagged.push(scored.item));
    /// assert_eq!(flagged[0], 35.0);
    /// assert!(flagged.len() == 2 && flagged[1].is_nan());
    /// ```
    fn flag_anomalies<D, F, I>(
        self,
        detector: D,
        value: F,
    ) -> Self::With<Apply<Self::Inner, FlagAnomalies<D, F>, I, Scored<I>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        D: Detector,
        F: FnMut(&I) -> f64,
    {
        self.transform(|source| Apply::new(source, FlagAnomalies::new(detector, value)))
    }
}

impl<S: Observable + 'static> WindowOps for S {}
