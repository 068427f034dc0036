//! What every operator with one input and a timer has in common.

use std::{convert::Infallible, marker::PhantomData, time::Duration};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::{Scheduler, SleepProvider},
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::apply::Emit;
use crate::{
    error::{PanicError, catch},
    gate::{Down, Flow, Gate, GateOf, Machine, Signal, Step, SubOf, attach, never},
    time::{Clock, Tick, Timer, TimerTask},
};

/// The scheduler's clock and the operator's one timer.
pub struct Time<S> {
    clock: S,
    timer: Timer,
}

impl<S: Clock> Time<S> {
    /// The scheduler's time.
    #[inline]
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Calls [`TimedKernel::tick`] at `at`, instead of when it was to be called before.
    #[inline]
    pub fn arm(&self, at: Duration) {
        self.timer.arm(at);
    }

    /// Whether it will be called.
    pub fn armed(&self) -> bool {
        self.timer.armed()
    }

    /// Calls it no more.
    #[inline]
    pub fn disarm(&self) {
        self.timer.disarm();
    }
}

/// The work of an operator with one input and a timer; the sibling of [`Kernel`](super::apply::Kernel).
pub trait TimedKernel<I, T> {
    /// The operator's name, in errors.
    const NAME: &'static str;
    /// Called at the subscription.
    fn start<S: Clock>(&mut self, _time: &Time<S>) {}
    /// Handles one item.
    fn next<S: Clock>(&mut self, item: I, time: &Time<S>) -> Emit<T>;
    /// The time has come. Called again as long as it emits an item.
    fn tick<S: Clock>(&mut self, time: &Time<S>) -> Emit<T>;
    /// The source has completed. [`Emit::Skip`]: not yet, a tick will end it.
    fn complete<S: Clock>(&mut self, time: &Time<S>) -> Emit<T>;
    /// Whether nothing is held back: if the source goes away without an end, nothing will come any more.
    fn is_idle(&self) -> bool;
}

/// A source with a [`TimedKernel`] below it.
#[derive(Clone)]
pub struct TimedApply<S, K, I, T, E> {
    source: S,
    kernel: K,
    types: PhantomData<fn(I) -> (T, E)>,
}

impl<S, K, I, T, E> TimedApply<S, K, I, T, E> {
    pub(crate) fn new(source: S, kernel: K) -> Self {
        Self { source, kernel, types: PhantomData }
    }
}

impl<S, K, I, T, E> ObservableType for TimedApply<S, K, I, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

/// The machine of a timed operator in context `C`.
type MachineOf<C, K, I, T, E> = TimedMachine<<C as Context>::Inner, K, <C as Context>::Scheduler, I, T, E>;
/// Its gate.
type TimedGate<C, K, I, T, E> = GateOf<C, MachineOf<C, K, I, T, E>>;
/// Its handle to that gate.
type HandleOf<C, K, I, T, E> = Handle<TimedGate<C, K, I, T, E>, MachineOf<C, K, I, T, E>>;

impl<S, K, I, T, E, C, U> CoreObservable<C> for TimedApply<S, K, I, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    C::Scheduler: Clock + SleepProvider + Scheduler<TimerTask<HandleOf<C, K, I, T, E>, C::Scheduler>>,
    K: TimedKernel<I, T>,
    E: 'static,
    S: CoreObservable<C::With<SourceObserver<TimedGate<C, K, I, T, E>, MachineOf<C, K, I, T, E>>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = TimedGate<C, K, I, T, E>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let timer = Timer::default();
        let starter = timer.starter();
        let time = Time { clock: scheduler.clone(), timer };
        let machine =
            TimedMachine { down: Down::new(down), kernel: self.kernel, time, ended: false, types: PhantomData };
        let gate = TimedGate::<C, K, I, T, E>::new(machine);
        let started = starter.start(Handle::new(&gate), scheduler.clone());
        gate.send(Timed::Start(started), never);
        attach(&gate, self.source.subscribe(C::With::from_parts(SourceObserver::new(&gate), scheduler)));
        gate
    }
}

/// The inputs of an operator with a source and a timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timed<T, E> {
    /// The subscription, and whether the timer's task runs.
    Start(Result<(), PanicError>),
    /// From the source.
    Source(Signal<T, E>),
    /// The timer's time has come.
    Tick,
    /// The source has dropped its observer: it will never emit again.
    Gone,
}

/// The state of a timed operator.
pub struct TimedMachine<O, K, S, I, T, E> {
    down: Down<O>,
    kernel: K,
    time: Time<S>,
    /// The source has ended or is gone; only ticks can come.
    ended: bool,
    types: PhantomData<fn(I) -> (T, E)>,
}

impl<O, K, S, I, T, E> TimedMachine<O, K, S, I, T, E>
where
    O: Observer<T, E>,
    K: TimedKernel<I, T>,
    S: Clock,
    E: 'static,
{
    #[inline]
    fn emit(&mut self, emit: Result<Emit<T>, PanicError>) -> Step<Infallible> {
        match emit {
            Ok(Emit::Item(item)) => self.down.next(item),
            Ok(Emit::Skip) => Step::Continue,
            Ok(Emit::Last(item)) => match self.down.next(item) {
                Step::Continue => self.down.complete(),
                done => done,
            },
            Ok(Emit::End) => self.down.complete(),
            Ok(Emit::Fail(failure)) => self.down.fail(failure),
            Err(panic) => self.down.fail(panic),
        }
    }

    fn ticks(&mut self) -> Step<Infallible> {
        loop {
            let emit = catch(K::NAME, || self.kernel.tick(&self.time));
            let more = matches!(emit, Ok(Emit::Item(_)));
            match self.emit(emit) {
                Step::Continue if more => {}
                Step::Continue => return self.release_if_over(),
                done => return done,
            }
        }
    }

    /// Nothing can come any more, and yet no end: nobody will say so.
    fn release_if_over(&self) -> Step<Infallible> {
        if self.ended && self.kernel.is_idle() { Step::Done } else { Step::Continue }
    }
}

impl<O, K, S, I, T, E> Machine for TimedMachine<O, K, S, I, T, E>
where
    O: Observer<T, E>,
    K: TimedKernel<I, T>,
    S: Clock,
    E: 'static,
{
    type In = Timed<I, E>;
    type Act = Infallible;

    #[inline]
    fn on(&mut self, input: Self::In) -> Step<Infallible> {
        match input {
            Timed::Source(Signal::Next(item)) => {
                let emit = catch(K::NAME, || self.kernel.next(item, &self.time));
                self.emit(emit)
            }
            Timed::Tick => self.ticks(),
            Timed::Source(Signal::Complete) => {
                let emit = catch(K::NAME, || self.kernel.complete(&self.time));
                self.emit(emit)
            }
            Timed::Source(Signal::Error(error)) => self.down.error(error),
            Timed::Start(Ok(())) => {
                self.kernel.start(&self.time);
                Step::Continue
            }
            Timed::Start(Err(panic)) => self.down.fail(panic),
            Timed::Gone => {
                self.ended = true;
                self.release_if_over()
            }
        }
    }

    fn on_panic(&mut self, panic: PanicError) {
        let _: Step<Infallible> = self.down.fail(panic);
    }
}

/// The observer of a timed operator's source.
pub struct SourceObserver<G, M>(Handle<G, M>, fn(&G));

impl<G, M> SourceObserver<G, M> {
    fn new<T, E>(gate: &G) -> Self
    where
        G: Gate<M>,
        M: Machine<In = Timed<T, E>, Act = Infallible>,
    {
        Self(Handle::new(gate), |gate| gate.send(Timed::Gone, never))
    }
}

impl<G, M> Drop for SourceObserver<G, M> {
    fn drop(&mut self) {
        (self.1)(&self.0.gate);
    }
}

impl<G, M, T, E> Observer<T, E> for SourceObserver<G, M>
where
    G: Gate<M>,
    M: Machine<In = Timed<T, E>, Act = Infallible>,
{
    #[inline]
    fn next(&mut self, item: T) {
        self.0.gate.send(Timed::Source(Signal::Next(item)), never);
    }

    fn error(self, error: E) {
        self.0.gate.send(Timed::Source(Signal::Error(error)), never);
    }

    fn complete(self) {
        self.0.gate.send(Timed::Source(Signal::Complete), never);
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.0.gate.closed()
    }
}

/// A gate as the target of a timer.
pub struct Handle<G, M> {
    gate: G,
    types: PhantomData<fn() -> M>,
}

impl<G: Clone, M> Handle<G, M> {
    fn new(gate: &G) -> Self {
        Self { gate: gate.clone(), types: PhantomData }
    }
}

impl<G, M, T, E> Tick for Handle<G, M>
where
    G: Gate<M>,
    M: Machine<In = Timed<T, E>, Act = Infallible>,
{
    fn tick(&self) -> bool {
        self.gate.send(Timed::Tick, never);
        !self.gate.closed()
    }
}
