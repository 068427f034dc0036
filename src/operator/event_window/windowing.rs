use std::{borrow::Borrow, convert::Infallible, marker::PhantomData, time::Duration};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::{Scheduler, SleepProvider},
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::{
    Aggregate, Carry, Emission, EventWindows, Late, WatermarkStrategy, Watermarks, Windowed,
    core::{Core, NAME},
    direct::{Direct, WindowsObserver, WindowsSubscription},
};
use crate::{
    delivery::fate::Abandoned,
    error::StreamError,
    event_time::{Nanos, Run, run},
    gate::{Down, Flow, Gate, GateSubOf, Machine, Signal, Step, StopSubscription, SubOf, attach, never},
    operator::{
        key::Key,
        rate::OnDropped,
        timed::{Handle, SourceObserver, Time, Timed},
    },
    time::{Cancel, Clock, Timer, TimerTask},
};

/// See [`event_windows`](super::EventWindowOps::event_windows).
pub struct EventWindowing<S, K, Q: ?Sized, F, A, D, W, Y, I, T, E> {
    source: S,
    spec: EventWindows<D, W>,
    key: K,
    time: F,
    aggregate: A,
    types: PhantomData<fn(&Q, Y, I) -> (T, E)>,
}

impl<S, K, Q: ?Sized, F, A, D, W, Y, I, T, E> Clone for EventWindowing<S, K, Q, F, A, D, W, Y, I, T, E>
where
    S: Clone,
    K: Clone,
    F: Clone,
    A: Clone,
    D: Clone,
    W: Clone,
{
    fn clone(&self) -> Self {
        let Self { source, spec, key, time, aggregate, types } = self;
        Self {
            source: source.clone(),
            spec: spec.clone(),
            key: key.clone(),
            time: time.clone(),
            aggregate: aggregate.clone(),
            types: *types,
        }
    }
}

impl<S, K, Q: ?Sized, F, A, D, W, Y, I, T, E> EventWindowing<S, K, Q, F, A, D, W, Y, I, T, E> {
    pub(super) fn new(source: S, spec: EventWindows<D, W>, key: K, time: F, aggregate: A) -> Self {
        Self { source, spec, key, time, aggregate, types: PhantomData }
    }
}

impl<S, K, Q: ?Sized, F, A, D, W, Y, I, T, E> ObservableType
    for EventWindowing<S, K, Q, F, A, D, W, Y, I, T, E>
{
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, K, Q, F, A, D, M, Y, I, T, E> =
    Windowing<<C as Context>::Inner, K, Q, F, A, D, M, Y, I, T, E, <C as Context>::Scheduler>;
type HandleOf<C, M, I, E> = Handle<<C as Context>::Scope, M, I, E>;

impl<S, K, Q, F, A, D, W, Y, I, T, E, C, U, M, N, V, B> CoreObservable<C>
    for EventWindowing<S, K, Q, F, A, D, W, Y, I, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    C::Scheduler: Clock
        + SleepProvider
        + Scheduler<TimerTask<HandleOf<C, MachineOf<C, K, Q, F, A, D, M, Y, I, T, E>, I, E>, C::Scheduler>>,
    K: FnMut(&V) -> &Q,
    Q: Key + ?Sized,
    Q::Owned: Borrow<Q>,
    F: FnMut(&V) -> N,
    N: Nanos,
    Y: Carry<I, Value = V, Out<Windowed<Q::Owned, B>> = T>,
    A: Aggregate<V, Out = B>,
    D: OnDropped<Late<I>>,
    W: WatermarkStrategy<V, Watermarks = M>,
    M: Watermarks<V>,
    E: 'static,
    S: CoreObservable<
            C::With<WindowsObserver<C::Scope, MachineOf<C, K, Q, F, A, D, M, Y, I, T, E>, I, E>>,
            Unsub = U,
        >,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub =
        WindowsSubscription<U, GateSubOf<C, MachineOf<C, K, Q, F, A, D, M, Y, I, T, E>, Timed<I, E>>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let Self { source, spec, key, time, aggregate, .. } = self;
        let (down, scheduler) = context.into_parts();
        let timer = Timer::default();
        let (starter, cancel) = (timer.starter(), timer.cancel());
        let timed = matches!(spec.emission, Emission::Every(_)) || spec.watermarks.is_timed(&spec.time);
        let machine = Windowing {
            down: Down::new(down),
            core: Abandoned::new(Core::new(spec, key, time, aggregate)),
            time: Time::new(scheduler.clone(), timer),
            cancel: cancel.clone(),
            timed,
            early: None,
            types: PhantomData,
        };
        if !timed {
            let observer = WindowsObserver::Direct(Some(Box::new(machine)));
            let source = source.subscribe(C::With::from_parts(observer, scheduler));
            return WindowsSubscription::Direct(source, cancel);
        }
        let gate = C::Scope::gate(machine);
        let started = starter.start(Handle::new(&gate), scheduler.clone());
        C::Scope::send(&gate, Timed::Start(started), never);
        let observer = WindowsObserver::Gated(SourceObserver::new(&gate));
        attach(&gate, source.subscribe(C::With::from_parts(observer, scheduler)));
        WindowsSubscription::Gated(StopSubscription::new(gate.downgrade(), cancel))
    }
}

/// The machine of event-time windows.
pub struct Windowing<O, K, Q, F, A, D, M, Y, I, T, E, S>
where
    Q: Key + ?Sized,
    Y: Carry<I>,
    A: Aggregate<Y::Value>,
{
    down: Down<O>,
    core: Abandoned<Core<K, Q, F, A, D, M, Y, I>>,
    time: Time<S>,
    cancel: Cancel,
    /// Whether the scheduler's time means something.
    timed: bool,
    /// When windows are to be emitted early.
    early: Option<Duration>,
    types: PhantomData<fn() -> (T, E)>,
}

impl<O, K, Q, F, A, D, M, Y, I, T, E, S, N, V, B> Windowing<O, K, Q, F, A, D, M, Y, I, T, E, S>
where
    O: Observer<T, E>,
    K: FnMut(&V) -> &Q,
    Q: Key + ?Sized,
    Q::Owned: Borrow<Q>,
    F: FnMut(&V) -> N,
    N: Nanos,
    Y: Carry<I, Value = V, Out<Windowed<Q::Owned, B>> = T>,
    A: Aggregate<V, Out = B>,
    D: OnDropped<Late<I>>,
    M: Watermarks<V>,
    S: Clock,
    E: 'static,
{
    /// Runs the core, which emits to the observer below.
    #[inline(always)]
    fn run<R>(&mut self, f: R) -> Step<Infallible>
    where
        R: FnOnce(&mut Core<K, Q, F, A, D, M, Y, I>, &Time<S>, &mut dyn FnMut(T) -> bool) -> Run,
    {
        let Self { down, core, time, cancel, .. } = self;
        run(down, cancel, |out| f(&mut core.value, time, out))
    }

    /// Has the timer tell when something is to be done though no event comes.
    fn arm(&mut self) {
        if let (None, Some(period)) = (self.early, self.core.value.fresh_for()) {
            self.early = Some(self.time.now().saturating_add(period));
        }
        if let Some(at) = self.early.into_iter().chain(self.core.value.deadline()).min() {
            self.time.arm(at);
        }
    }

    fn tick(&mut self) -> Step<Infallible> {
        let now = self.time.now();
        let due = self.early.is_some_and(|at| at <= now);
        if due {
            self.early = None;
        }
        let step = self.run(|core, _, mut out| {
            core.tick(now, &mut out)?;
            if due { core.emit_fresh(&mut out) } else { Ok(()) }
        });
        self.arm();
        step
    }
}

impl<O, K, Q, F, A, D, M, Y, I, T, E, S, N, V, B> Machine<Timed<I, E>>
    for Windowing<O, K, Q, F, A, D, M, Y, I, T, E, S>
where
    O: Observer<T, E>,
    K: FnMut(&V) -> &Q,
    Q: Key + ?Sized,
    Q::Owned: Borrow<Q>,
    F: FnMut(&V) -> N,
    N: Nanos,
    Y: Carry<I, Value = V, Out<Windowed<Q::Owned, B>> = T>,
    A: Aggregate<V, Out = B>,
    D: OnDropped<Late<I>>,
    M: Watermarks<V>,
    S: Clock,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: Timed<I, E>) -> Step<Infallible> {
        match input {
            Timed::Source(Signal::Next(item)) => {
                let step = self.run(|core, time, mut out| core.next(item, || time.now(), &mut out));
                if self.timed {
                    self.arm();
                }
                step
            }
            Timed::Source(Signal::Complete) => match self.run(|core, _, mut out| core.finish(&mut out)) {
                Step::Continue => self.down.complete(),
                done => done,
            },
            Timed::Source(Signal::Error(error)) => self.down.error(error),
            Timed::Tick => self.tick(),
            Timed::Start(Ok(())) => Step::Continue,
            Timed::Start(Err(panic)) | Timed::Lost(Some(panic)) => self.down.fail(panic),
            Timed::Lost(None) => self.down.fail(StreamError::SchedulerGone(NAME)),
            // Windows wait for events.
            Timed::Gone => Step::Done,
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}

impl<O, K, Q, F, A, D, M, Y, I, T, E, S, N, V, B> Direct<I, E>
    for Windowing<O, K, Q, F, A, D, M, Y, I, T, E, S>
where
    O: Observer<T, E>,
    K: FnMut(&V) -> &Q,
    Q: Key + ?Sized,
    Q::Owned: Borrow<Q>,
    F: FnMut(&V) -> N,
    N: Nanos,
    Y: Carry<I, Value = V, Out<Windowed<Q::Owned, B>> = T>,
    A: Aggregate<V, Out = B>,
    D: OnDropped<Late<I>>,
    M: Watermarks<V>,
    S: Clock,
    E: 'static,
{
    #[inline]
    fn is_over(&self) -> bool {
        self.down.is_closed()
    }
}
