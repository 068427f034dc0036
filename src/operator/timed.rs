//! What every operator with one input and a timer has in common.

use std::{convert::Infallible, marker::PhantomData, time::Duration};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::{Scheduler, SleepProvider},
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::{apply::Emit, batch::BatchObserver};
use crate::{
    delivery::fate::abandoning,
    error::{PanicError, StreamError, caught, named},
    gate::{
        Down, Flow, Gate, GateSubOf, Machine, Signal, Step, StopSubscription, SubOf, attach, never, settled,
    },
    time::{Clock, Tick, Timer, TimerTask},
};

/// The scheduler's clock and the operator's one timer.
pub struct Time<S> {
    clock: S,
    timer: Timer,
}

impl<S: Clock> Time<S> {
    pub(crate) fn new(clock: S, timer: Timer) -> Self {
        Self { clock, timer }
    }

    /// The scheduler's time.
    #[inline]
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// The scheduler's clocks.
    #[inline]
    pub(crate) fn clock(&self) -> &S {
        &self.clock
    }

    /// Calls [`TimedKernel::tick`] at `at`, instead of when it was to be called before.
    #[inline]
    pub fn arm(&self, at: Duration) {
        self.timer.arm(at);
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
    /// The time has come. What is left for another moment, or for the same, arms the timer again.
    fn tick<S: Clock>(&mut self, time: &Time<S>) -> Emit<T>;
    /// The source has completed. [`Emit::Skip`]: not yet, a tick will end it.
    fn complete<S: Clock>(&mut self, time: &Time<S>) -> Emit<T>;
    /// What is held back and must be sent still, at once, before an error: asked again and again until there is no more.
    fn salvage(&mut self) -> Option<T> {
        None
    }
    /// The source has failed: what is held back is dropped.
    fn abandon(&mut self) {}
    /// Whether nothing is held back: if the source goes away without an end, nothing will come any more.
    fn is_idle(&self) -> bool;
}

/// A source with a [`TimedKernel`] below it.
pub struct TimedApply<S, K, I, T, E> {
    source: S,
    kernel: K,
    types: PhantomData<fn(I) -> (T, E)>,
}

clone_by_fields!(TimedApply<S, K, I, T, E>: source, kernel, types where S, K);

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
/// Its handle to that gate.
type HandleOf<C, K, I, T, E> = Handle<<C as Context>::Scope, MachineOf<C, K, I, T, E>, I, E>;

impl<S, K, I, T, E, C, U> CoreObservable<C> for TimedApply<S, K, I, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    C::Scheduler: Clock + SleepProvider + Scheduler<TimerTask<HandleOf<C, K, I, T, E>, C::Scheduler>>,
    K: TimedKernel<I, T>,
    E: 'static,
    S: CoreObservable<C::With<SourceObserver<C::Scope, MachineOf<C, K, I, T, E>, I, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = StopSubscription<GateSubOf<C, MachineOf<C, K, I, T, E>, Timed<I, E>>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let timer = Timer::default();
        let (starter, cancel) = (timer.starter(), timer.cancel());
        let time = Time::new(scheduler.clone(), timer);
        let machine = TimedMachine {
            down: Down::new(down),
            kernel: self.kernel,
            time,
            ended: false,
            types: PhantomData,
        };
        let gate = C::Scope::gate(machine);
        let started = starter.start(Handle::new(&gate), scheduler.clone());
        C::Scope::send(&gate, Timed::Start(started), never);
        attach(&gate, self.source.subscribe(C::With::from_parts(SourceObserver::new(&gate), scheduler)));
        StopSubscription::new(gate.downgrade(), cancel)
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
    /// There is no timer any more, and why, if that is known.
    Lost(Option<PanicError>),
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
    fn emit(&mut self, emit: Emit<T>) -> Step<Infallible> {
        match emit {
            Emit::Fail(failure) => match self.salvage() {
                Step::Continue => self.down.fail(failure),
                done => done,
            },
            emit => self.down.emit(emit),
        }
    }

    /// Sends what must be sent before an error.
    fn salvage(&mut self) -> Step<Infallible> {
        while let Some(item) = named(|| K::NAME, || self.kernel.salvage()) {
            let step: Step<Infallible> = self.down.next(item);
            match step {
                Step::Continue if !self.time.timer.cancel().cancelled() => {}
                _ => return Step::Done,
            }
        }
        Step::Continue
    }

    /// Nothing can come any more, and yet no end: nobody will say so.
    fn release_if_over(&self) -> Step<Infallible> {
        if self.ended && self.kernel.is_idle() { Step::Done } else { Step::Continue }
    }
}

impl<O, K, S, I, T, E> Machine<Timed<I, E>> for TimedMachine<O, K, S, I, T, E>
where
    O: Observer<T, E>,
    K: TimedKernel<I, T>,
    S: Clock,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: Timed<I, E>) -> Step<Infallible> {
        match input {
            Timed::Source(Signal::Next(item)) => {
                let emit = named(|| K::NAME, || self.kernel.next(item, &self.time));
                self.emit(emit)
            }
            Timed::Tick => {
                let emit = named(|| K::NAME, || self.kernel.tick(&self.time));
                match self.emit(emit) {
                    Step::Continue => self.release_if_over(),
                    done => done,
                }
            }
            Timed::Source(Signal::Complete) => {
                let emit = named(|| K::NAME, || self.kernel.complete(&self.time));
                self.emit(emit)
            }
            Timed::Source(Signal::Error(error)) => {
                if self.salvage() == Step::Done {
                    return Step::Done;
                }
                // A panic in a closure that is told of it must not be in the error's place.
                abandoning(|| caught(K::NAME, || self.kernel.abandon()));
                self.down.error(error)
            }
            Timed::Start(Ok(())) => {
                self.kernel.start(&self.time);
                Step::Continue
            }
            Timed::Start(Err(panic)) => self.down.fail(panic),
            Timed::Lost(Some(panic)) => match self.salvage() {
                Step::Continue => self.down.fail(panic),
                done => done,
            },
            Timed::Lost(None) if self.kernel.is_idle() => Step::Done,
            Timed::Lost(None) => match self.salvage() {
                Step::Continue => self.down.fail(StreamError::SchedulerGone(K::NAME)),
                done => done,
            },
            Timed::Gone => {
                self.ended = true;
                self.release_if_over()
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}

/// The observer of a timed operator's source.
pub struct SourceObserver<Sc: Flow, M, I, E> {
    gate: Sc::Gate<M, Timed<I, E>>,
    /// Sends [`Timed::Gone`]; a function, as a `Drop` has no bounds of its own.
    gone: fn(&Sc::Gate<M, Timed<I, E>>),
}

impl<Sc: Flow, M, I, E> SourceObserver<Sc, M, I, E> {
    pub(crate) fn new(gate: &Sc::Gate<M, Timed<I, E>>) -> Self
    where
        M: Machine<Timed<I, E>>,
    {
        Self { gate: gate.clone(), gone: |gate| Sc::send(gate, Timed::Gone, never) }
    }
}

impl<Sc: Flow, M, I, E> Drop for SourceObserver<Sc, M, I, E> {
    fn drop(&mut self) {
        self.gate.settle(true);
        (self.gone)(&self.gate);
    }
}

impl<Sc, M, I, E> Observer<I, E> for SourceObserver<Sc, M, I, E>
where
    Sc: Flow,
    M: Machine<Timed<I, E>>,
{
    #[inline]
    fn next(&mut self, item: I) {
        Sc::send(&self.gate, Timed::Source(Signal::Next(item)), never);
    }

    fn error(self, error: E) {
        settled(&self.gate, || Sc::send(&self.gate, Timed::Source(Signal::Error(error)), never));
    }

    fn complete(self) {
        settled(&self.gate, || Sc::send(&self.gate, Timed::Source(Signal::Complete), never));
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.gate.closed()
    }
}

/// The timer may be due between two items, so each goes through the gate.
impl<Sc, M, I, E> BatchObserver<I, E> for SourceObserver<Sc, M, I, E>
where
    Sc: Flow,
    M: Machine<Timed<I, E>>,
{
}

/// A gate as the target of a timer.
pub struct Handle<Sc: Flow, M, I, E>(Sc::Gate<M, Timed<I, E>>);

impl<Sc: Flow, M, I, E> Handle<Sc, M, I, E> {
    pub(crate) fn new(gate: &Sc::Gate<M, Timed<I, E>>) -> Self {
        Self(gate.clone())
    }
}

impl<Sc: Flow, M: Machine<Timed<I, E>>, I, E> Tick for Handle<Sc, M, I, E> {
    fn tick(&self) -> bool {
        Sc::send(&self.0, Timed::Tick, never);
        !self.0.closed()
    }

    fn lost(&self, failure: Option<PanicError>) {
        settled(&self.0, || Sc::send(&self.0, Timed::Lost(failure), never));
    }
}

impl<Sc: Flow, M, I, E> Drop for Handle<Sc, M, I, E> {
    fn drop(&mut self) {
        self.0.settle(false);
    }
}
