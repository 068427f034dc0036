use std::{
    borrow::Borrow,
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    convert::Infallible,
    marker::PhantomData,
    time::Duration,
};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::{
    Aggregate, Firing, Late, LateCount, WhyLate, Windowed,
    core::Sink,
    direct::{Direct, WindowsObserver, WindowsSubscription},
};
use crate::{
    buffer::{Buffer, Overflow},
    delivery::fate::{Abandoned, abandon},
    error::{StreamError, named},
    event_time::{EventClock, EventTime, Nanos, Regression, Run, Seen, Stop, run, whole_nanos},
    gate::{Down, Flow, GateSubOf, Machine, Signal, Step, SubOf},
    operator::{
        key::{Key, Keys, Table},
        rate::{HandTo, Ignore, OnDropped},
        timed::Timed,
    },
    time::Cancel,
};

const NAME: &str = "sliding_event_windows";

/// How [`sliding_event_windows`](super::EventWindowOps::sliding_event_windows) slide.
#[derive(Debug, Clone)]
pub struct SlidingWindows<D = Ignore> {
    span: i64,
    time: EventTime,
    buffer: Buffer,
    late: LateCount,
    on_late: D,
}

impl SlidingWindows {
    /// Over the last `span` of event time (less than a nanosecond is taken as one).
    pub fn new(span: Duration) -> Self {
        Self {
            span: whole_nanos(span).max(1),
            time: EventTime::in_order(),
            buffer: Buffer::default(),
            late: LateCount::default(),
            on_late: Ignore,
        }
    }
}

impl<D> SlidingWindows<D> {
    /// How events may be out of order. Without it, they are in order.
    pub fn time(self, time: EventTime) -> Self {
        Self { time, ..self }
    }

    /// How many events of all keys are held: those of the span, and those that wait for the watermark. By default
    /// 1,048,576, and the stream ends with [`StreamError::Overflow`]. With [`Overflow::DropNewest`] an event more is
    /// [late](WhyLate::NoRoom); all other policies are as [`Overflow::Error`]: what is dropped of a window would make it
    /// wrong.
    pub fn buffer(self, buffer: Buffer) -> Self {
        Self { buffer, ..self }
    }

    /// The counter of the events that are in no window; it stays readable while the stream runs.
    pub fn late(&self) -> LateCount {
        self.late.clone()
    }

    /// Hands each event that is in no window to `f`.
    pub fn on_late<F, I>(self, f: F) -> SlidingWindows<HandTo<F>>
    where
        F: FnMut(Late<I>),
    {
        let Self { span, time, buffer, late, .. } = self;
        SlidingWindows { span, time, buffer, late, on_late: HandTo(f) }
    }
}

/// See [`sliding_event_windows`](super::EventWindowOps::sliding_event_windows).
pub struct EventSliding<S, K, Q: ?Sized, F, A, D, I, E> {
    source: S,
    spec: SlidingWindows<D>,
    key: K,
    time: F,
    aggregate: A,
    types: PhantomData<fn(&Q, I) -> E>,
}

impl<S: Clone, K: Clone, Q: ?Sized, F: Clone, A: Clone, D: Clone, I, E> Clone
    for EventSliding<S, K, Q, F, A, D, I, E>
{
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            spec: self.spec.clone(),
            key: self.key.clone(),
            time: self.time.clone(),
            aggregate: self.aggregate.clone(),
            types: PhantomData,
        }
    }
}

impl<S, K, Q: ?Sized, F, A, D, I, E> EventSliding<S, K, Q, F, A, D, I, E> {
    pub(super) fn new(source: S, spec: SlidingWindows<D>, key: K, time: F, aggregate: A) -> Self {
        Self { source, spec, key, time, aggregate, types: PhantomData }
    }
}

impl<S, K, Q, F, A, D, I, E> ObservableType for EventSliding<S, K, Q, F, A, D, I, E>
where
    Q: Key + ?Sized,
    A: Aggregate<I>,
{
    type Item<'a>
        = Windowed<Q::Owned, A::Out>
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, K, Q, F, A, D, I, E> = Sliding<<C as Context>::Inner, K, Q, F, A, D, I, E>;

impl<S, K, Q, F, A, D, I, E, C, U, N> CoreObservable<C> for EventSliding<S, K, Q, F, A, D, I, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<Windowed<Q::Owned, A::Out>, E>,
    K: FnMut(&I) -> &Q,
    Q: Key + ?Sized,
    Q::Owned: Borrow<Q>,
    F: FnMut(&I) -> N,
    N: Nanos,
    A: Aggregate<I>,
    D: OnDropped<Late<I>>,
    E: 'static,
    S: CoreObservable<C::With<WindowsObserver<C::Scope, MachineOf<C, K, Q, F, A, D, I, E>, I, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = WindowsSubscription<U, GateSubOf<C, MachineOf<C, K, Q, F, A, D, I, E>, Timed<I, E>>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let Self { source, spec, key, time, aggregate, .. } = self;
        let (down, scheduler) = context.into_parts();
        let cancel = Cancel::default();
        let core = Core {
            key,
            time,
            aggregate,
            clock: EventClock::new(spec.time.clone()),
            lanes: Table::new(Keys::new(usize::MAX)),
            waiting: BinaryHeap::new(),
            quiet: BinaryHeap::new(),
            numbers: 0,
            held: 0,
            spec,
            types: PhantomData,
        };
        let core = Abandoned::new(core);
        let machine = Sliding { down: Down::new(down), core, cancel: cancel.clone(), types: PhantomData };
        let observer = WindowsObserver::Direct(Some(Box::new(machine)));
        let source = source.subscribe(C::With::from_parts(observer, scheduler));
        WindowsSubscription::Direct(source, cancel)
    }
}

/// The machine of sliding windows.
pub struct Sliding<O, K, Q, F, A, D, I, E>
where
    Q: Key + ?Sized,
    A: Aggregate<I>,
{
    down: Down<O>,
    core: Abandoned<Core<K, Q, F, A, D, I>>,
    cancel: Cancel,
    types: PhantomData<fn() -> E>,
}

impl<O, K, Q, F, A, D, I, E, N> Machine<Timed<I, E>> for Sliding<O, K, Q, F, A, D, I, E>
where
    O: Observer<Windowed<Q::Owned, A::Out>, E>,
    K: FnMut(&I) -> &Q,
    Q: Key + ?Sized,
    Q::Owned: Borrow<Q>,
    F: FnMut(&I) -> N,
    N: Nanos,
    A: Aggregate<I>,
    D: OnDropped<Late<I>>,
    E: 'static,
{
    fn on(&mut self, input: Timed<I, E>) -> Step<Infallible> {
        let Self { down, core, cancel, .. } = self;
        match input {
            Timed::Source(Signal::Next(item)) => run(down, cancel, |mut out| core.value.next(item, &mut out)),
            Timed::Source(Signal::Complete) => {
                match run(down, cancel, |mut out| core.value.release_until(i64::MAX, &mut out)) {
                    Step::Continue => self.down.complete(),
                    done => done,
                }
            }
            Timed::Source(Signal::Error(error)) => self.down.error(error),
            Timed::Gone => Step::Done,
            // It has no timer.
            Timed::Start(_) | Timed::Tick | Timed::Lost(_) => Step::Continue,
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}

impl<O, K, Q, F, A, D, I, E, N> Direct<I, E> for Sliding<O, K, Q, F, A, D, I, E>
where
    O: Observer<Windowed<Q::Owned, A::Out>, E>,
    K: FnMut(&I) -> &Q,
    Q: Key + ?Sized,
    Q::Owned: Borrow<Q>,
    F: FnMut(&I) -> N,
    N: Nanos,
    A: Aggregate<I>,
    D: OnDropped<Late<I>>,
    E: 'static,
{
    fn is_over(&self) -> bool {
        self.down.is_closed()
    }
}

struct Core<K, Q, F, A, D, I>
where
    Q: Key + ?Sized,
    A: Aggregate<I>,
{
    spec: SlidingWindows<D>,
    key: K,
    time: F,
    aggregate: A,
    clock: EventClock,
    lanes: Table<Q::Owned, Queue<A::Acc>, crate::operator::key::FastHasher>,
    /// What the watermark has not reached.
    waiting: BinaryHeap<Reverse<Event<Q::Owned, A::Acc>>>,
    /// When keys have nothing in their span any more, if nothing comes.
    quiet: BinaryHeap<Reverse<Quiet<Q::Owned>>>,
    numbers: u64,
    held: usize,
    types: PhantomData<fn(I)>,
}

/// An event that waits: in the order of their times, and then as they came.
struct Event<K, A> {
    at: i64,
    number: u64,
    key: K,
    value: A,
}

/// When a key may have nothing any more.
struct Quiet<K> {
    at: i64,
    key: K,
}

macro_rules! in_order_of {
    ($name:ident<$($param:ident),*>: $($field:ident),*) => {
        impl<$($param),*> Ord for $name<$($param),*> {
            fn cmp(&self, other: &Self) -> Ordering {
                ($(self.$field),*).cmp(&($(other.$field),*))
            }
        }
        impl<$($param),*> PartialOrd for $name<$($param),*> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl<$($param),*> PartialEq for $name<$($param),*> {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }
        impl<$($param),*> Eq for $name<$($param),*> {}
    };
}
in_order_of!(Event<K, A>: at, number);
in_order_of!(Quiet<K>: at);

impl<K, Q, F, A, D, I, N> Core<K, Q, F, A, D, I>
where
    K: FnMut(&I) -> &Q,
    Q: Key + ?Sized,
    Q::Owned: Borrow<Q>,
    F: FnMut(&I) -> N,
    N: Nanos,
    A: Aggregate<I>,
    D: OnDropped<Late<I>>,
{
    fn next(&mut self, item: I, out: &mut impl Sink<Windowed<Q::Owned, A::Out>>) -> Run {
        let Some(at) = named(|| NAME, || (self.time)(&item)).nanos() else {
            return self.too_late(item, None, WhyLate::NoTime);
        };
        let newest = self.clock.newest();
        match self.clock.see(at) {
            Seen::OnTime => {}
            Seen::Behind(_) | Seen::Regressed(Regression::Late) => {
                return self.too_late(item, Some(at), WhyLate::Expired);
            }
            Seen::Future => return self.too_late(item, Some(at), WhyLate::Future),
            Seen::Regressed(Regression::Error) => {
                abandon(item);
                return Err(Stop::time_regression(NAME, at, newest));
            }
            Seen::Regressed(Regression::Reset) => {
                if let Err(stop) = self.release_until(i64::MAX, out) {
                    abandon(item);
                    return Err(stop);
                }
                self.held = 0;
                self.lanes.clear();
                self.quiet.clear();
            }
        }
        let watermark = self.clock.watermark().unwrap_or(i64::MIN);
        if let Err(stop) = self.release_until(watermark, out) {
            abandon(item);
            return Err(stop);
        }
        self.forget_until(watermark);
        if self.held >= self.spec.buffer.capacity() {
            if self.spec.buffer.overflow() == Overflow::DropNewest {
                self.spec.buffer.count(1);
                return self.too_late(item, Some(at), WhyLate::NoRoom);
            }
            abandon(item);
            return Err(Stop::Fail(self.spec.buffer.full(NAME).into()));
        }
        let key = named(|| NAME, || (self.key)(&item)).to_owned();
        let mut value = self.aggregate.create();
        named(|| NAME, || self.aggregate.add(&mut value, &item, at));
        self.held += 1;
        self.numbers += 1;
        let event = Event { at, number: self.numbers, key, value };
        if at <= watermark {
            return self.release(event, out);
        }
        self.waiting.push(Reverse(event));
        Ok(())
    }

    /// Emits the windows of all events that are not newer.
    fn release_until(&mut self, watermark: i64, out: &mut impl Sink<Windowed<Q::Owned, A::Out>>) -> Run {
        while self.waiting.peek().is_some_and(|Reverse(event)| event.at <= watermark)
            && let Some(Reverse(event)) = self.waiting.pop()
        {
            self.release(event, out)?;
        }
        Ok(())
    }

    fn release(
        &mut self,
        event: Event<Q::Owned, A::Acc>,
        out: &mut impl Sink<Windowed<Q::Owned, A::Out>>,
    ) -> Run {
        let (span, aggregate) = (self.spec.span, &self.aggregate);
        let Event { at, key, value, .. } = event;
        let queue =
            self.lanes.get(key.borrow(), NAME, Queue::default).map_err(|full| Stop::Fail(full.into()))?;
        if queue.len() == 0 {
            self.quiet.push(Reverse(Quiet { at: at.saturating_add(span), key: key.clone() }));
        }
        let value = named(
            || NAME,
            || {
                self.held -= queue.expire(|of| at.abs_diff(of) >= span.unsigned_abs(), aggregate);
                queue.push(at, value, aggregate);
                queue.all(aggregate).map(|all| aggregate.result(&all))
            },
        );
        let Some(value) = value else { return Ok(()) };
        let (start, end) = (at.saturating_sub(span).saturating_add(1), at.saturating_add(1));
        let window = Windowed { key, start, end, value, firing: Firing::OnTime };
        if out(window) { Ok(()) } else { Err(Stop::Closed) }
    }

    /// Forgets keys that had nothing for a span.
    fn forget_until(&mut self, watermark: i64) {
        while self.quiet.peek().is_some_and(|Reverse(quiet)| quiet.at <= watermark)
            && let Some(Reverse(Quiet { key, .. })) = self.quiet.pop()
        {
            let Some(queue) = self.lanes.find::<Q>(key.borrow()) else { continue };
            let over = queue.newest().saturating_add(self.spec.span);
            if over > watermark {
                self.quiet.push(Reverse(Quiet { at: over, key }));
            } else if let Some(gone) = self.lanes.remove(&key, |_| true) {
                self.held -= gone.len();
            }
        }
    }

    fn too_late(&mut self, event: I, at: Option<i64>, why: WhyLate) -> Run {
        self.spec.late.add(why);
        named(|| NAME, || self.spec.on_late.dropped(Late { event, at, why }));
        Ok(())
    }
}

/// Values in the order of their times, and all of them merged: a queue of two stacks. The first has, for each of the
/// earlier values, all from it on to the last of those; `all_later` is all after that.
struct Queue<A> {
    /// The earliest last.
    earlier: Vec<(i64, A)>,
    later: Vec<(i64, A)>,
    all_later: Option<A>,
}

impl<A> Default for Queue<A> {
    fn default() -> Self {
        Self { earlier: vec![], later: vec![], all_later: None }
    }
}

impl<A> Queue<A> {
    fn len(&self) -> usize {
        self.earlier.len() + self.later.len()
    }

    fn newest(&self) -> i64 {
        self.later.last().or(self.earlier.first()).map_or(i64::MIN, |(at, _)| *at)
    }

    /// Removes the earliest while they are `old`; how many.
    fn expire<T, G>(&mut self, old: impl Fn(i64) -> bool, of: &G) -> usize
    where
        G: Aggregate<T, Acc = A>,
        A: Clone,
    {
        let before = self.len();
        loop {
            while self.earlier.last().is_some_and(|(at, _)| old(*at)) {
                self.earlier.pop();
            }
            if !self.earlier.is_empty() || !self.later.first().is_some_and(|(at, _)| old(*at)) {
                return before - self.len();
            }
            self.all_later = None;
            for (at, mut value) in self.later.drain(..).rev() {
                if let Some((_, later)) = self.earlier.last() {
                    of.merge(&mut value, later);
                }
                self.earlier.push((at, value));
            }
        }
    }

    fn push<T, G>(&mut self, at: i64, value: A, of: &G)
    where
        G: Aggregate<T, Acc = A>,
        A: Clone,
    {
        match &mut self.all_later {
            Some(all) => of.merge(all, &value),
            None => self.all_later = Some(value.clone()),
        }
        self.later.push((at, value));
    }

    fn all<T, G>(&self, of: &G) -> Option<A>
    where
        G: Aggregate<T, Acc = A>,
        A: Clone,
    {
        let Some((_, earlier)) = self.earlier.last() else { return self.all_later.clone() };
        let mut all = earlier.clone();
        if let Some(later) = &self.all_later {
            of.merge(&mut all, later);
        }
        Some(all)
    }
}
