use std::{marker::PhantomData, time::Duration};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::{Scheduler, SleepProvider},
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::retry::{Next, Retry, Series};
use crate::{
    error::{PanicError, StreamError, caught, named},
    gate::{
        ActObserver, Down, Flow, Gate, GateOf, GateSubOf, Machine, Place, Port, Signal, Step, SubOf, attach,
        in_turn, settled,
    },
    source::SplitMix64,
    time::{Clock, Tick, Timer, TimerTask, deadline},
};

/// See [`retry_with`](super::ErrorOps::retry_with).
pub struct RetryWith<S, T, E> {
    source: S,
    policy: Retry<E>,
    types: PhantomData<fn() -> T>,
}

impl<S, T, E> RetryWith<S, T, E> {
    pub(super) fn new(source: S, policy: Retry<E>) -> Self {
        Self { source, policy, types: PhantomData }
    }
}

impl<S: Clone, T, E> Clone for RetryWith<S, T, E> {
    fn clone(&self) -> Self {
        Self::new(self.source.clone(), self.policy.clone())
    }
}

impl<S, T, E> ObservableType for RetryWith<S, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, S, T, E> = Retrying<<C as Context>::Inner, S, <C as Context>::Scheduler, T, E>;
type RetryGate<C, S, T, E> = GateOf<C, MachineOf<C, S, T, E>, Attempt<T, E>>;
type SourceObserver<C, S, T, E> = ActObserver<
    <C as Context>::Scope,
    MachineOf<C, S, T, E>,
    Attempt<T, E>,
    Act<S>,
    Numbered,
    <C as Context>::Scheduler,
>;
type TickOf<C, S, T, E> = RetryTick<RetryGate<C, S, T, E>, <C as Context>::Scheduler>;

impl<S, T, E, C, U> CoreObservable<C> for RetryWith<S, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    C::Scheduler: Clock + SleepProvider + Scheduler<TimerTask<TickOf<C, S, T, E>, C::Scheduler>>,
    E: 'static,
    S: Clone + CoreObservable<C::With<SourceObserver<C, S, T, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, S, T, E>, Attempt<T, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        self.policy.event();
        let gate = C::Scope::gate(Retrying {
            down: Down::new(down),
            source: Some(self.source),
            clock: scheduler.clone(),
            series: Series::default(),
            random: self.policy.begin(|| scheduler.now()),
            policy: self.policy,
            attempt: 0,
            subscribing: true,
            due: false,
            timer: None,
            types: PhantomData,
        });
        fn perform<C, S, T, E, U>(gate: &RetryGate<C, S, T, E>, scheduler: &C::Scheduler, first: Act<S>)
        where
            C: Context,
            C::Scope: Flow,
            C::Inner: Observer<T, E>,
            C::Scheduler: Clock + SleepProvider + Scheduler<TimerTask<TickOf<C, S, T, E>, C::Scheduler>>,
            E: 'static,
            S: Clone + CoreObservable<C::With<SourceObserver<C, S, T, E>>, Unsub = U>,
            U: Subscription + IntoBoxedSubscription<SubOf<C>>,
        {
            in_turn(first, |act, next| match act {
                Act::Subscribe(source, attempt) => {
                    let observer =
                        ActObserver::new(gate, scheduler, perform::<C, S, T, E, U>, Numbered(attempt));
                    attach(gate, source.subscribe(C::With::from_parts(observer, scheduler.clone())));
                    settled(gate, || C::Scope::send(gate, Attempt::Subscribed, next));
                }
                Act::Wait(delay) => {
                    let timer = Timer::default();
                    let starter = timer.starter();
                    timer.arm(deadline(scheduler.now(), delay));
                    let target = RetryTick {
                        gate: gate.clone(),
                        scheduler: scheduler.clone(),
                        send: |gate, scheduler, due| {
                            let input = due.map_or_else(Attempt::Lost, |()| Attempt::Due);
                            C::Scope::send(gate, input, |act| perform::<C, S, T, E, U>(gate, scheduler, act));
                        },
                        settle: |gate| gate.settle(false),
                    };
                    let started = starter.start(target, scheduler.clone());
                    C::Scope::send(gate, Attempt::Waiting(timer, started), next);
                }
            });
        }
        let first = |act| perform::<C, S, T, E, U>(&gate, &scheduler, act);
        settled(&gate, || C::Scope::send(&gate, Attempt::Subscribed, first));
        gate.downgrade()
    }
}

/// What a `retry_with` does with its gate free.
pub enum Act<S> {
    /// Subscribe to the source; the number of the attempt.
    Subscribe(S, u64),
    /// Start a timer.
    Wait(Duration),
}

/// The inputs of a `retry_with`; attempts are numbered.
#[derive(Debug)]
pub enum Attempt<T, E> {
    /// From an attempt.
    Source(u64, Signal<T, E>),
    /// The thread that subscribed is free.
    Subscribed,
    /// The timer of a delay, and whether it runs.
    Waiting(Timer, Result<(), PanicError>),
    /// The delay is over.
    Due,
    /// There is no timer any more, and why, if that is known.
    Lost(Option<PanicError>),
}

/// The source of one attempt.
pub struct Numbered(u64);

impl Place for Numbered {
    const ONLY_SOURCE: bool = true;
}

impl<T, E> Port<T, E, Attempt<T, E>> for Numbered {
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> Attempt<T, E> {
        Attempt::Source(self.0, signal)
    }
}

/// A retry's gate as the target of its timer.
pub struct RetryTick<G, Sch> {
    gate: G,
    scheduler: Sch,
    /// Sends one of the inputs [`Attempt::Due`] and [`Attempt::Lost`].
    send: fn(&G, &Sch, Result<(), Option<PanicError>>),
    /// See [`Gate::settle`].
    settle: fn(&G),
}

impl<G, Sch> Drop for RetryTick<G, Sch> {
    fn drop(&mut self) {
        (self.settle)(&self.gate);
    }
}

impl<G, Sch> Tick for RetryTick<G, Sch> {
    fn tick(&self) -> bool {
        (self.send)(&self.gate, &self.scheduler, Ok(()));
        false
    }

    fn lost(&self, failure: Option<PanicError>) {
        caught("retry_with", || (self.send)(&self.gate, &self.scheduler, Err(failure)));
    }
}

/// The state of a `retry_with`.
pub struct Retrying<O, S, Sch, T, E> {
    down: Down<O>,
    /// Given away with the last attempt.
    source: Option<S>,
    clock: Sch,
    policy: Retry<E>,
    series: Series,
    random: Option<SplitMix64>,
    /// The number of the attempt that counts; 0 before the first.
    attempt: u64,
    /// Somebody is subscribing: the next attempt waits for that.
    subscribing: bool,
    /// An attempt is due.
    due: bool,
    timer: Option<Timer>,
    types: PhantomData<fn() -> T>,
}

impl<O, S: Clone, Sch, T, E> Retrying<O, S, Sch, T, E> {
    fn subscribe(&mut self) -> Step<Act<S>> {
        if self.subscribing {
            self.due = true;
            return Step::Continue;
        }
        self.due = false;
        self.subscribing = true;
        self.attempt += 1;
        let last = self.policy.is_last(self.attempt);
        let source = named(|| "retry_with", || if last { self.source.take() } else { self.source.clone() });
        match source {
            Some(source) => Step::Act(Act::Subscribe(source, self.attempt)),
            None => Step::Continue,
        }
    }
}

impl<O, S, Sch, T, E> Retrying<O, S, Sch, T, E>
where
    O: Observer<T, E>,
    S: Clone,
    Sch: Clock,
    E: 'static,
{
    /// What is no item. Out of line, so that an item needs few registers.
    #[cold]
    #[inline(never)]
    fn turn(&mut self, input: Attempt<T, E>) -> Step<Act<S>> {
        match input {
            Attempt::Source(attempt, signal) if attempt == self.attempt => match signal {
                // Sent by `on`.
                Signal::Next(_) => Step::Continue,
                Signal::Complete => self.down.complete(),
                Signal::Error(error) => {
                    let Self { policy, random, attempt, series, clock, .. } = self;
                    let now = || clock.now();
                    match named(|| "retry_with", || policy.next(*attempt, &error, series, random, now)) {
                        Next::Again(Duration::ZERO) => self.subscribe(),
                        Next::Again(delay) => Step::Act(Act::Wait(delay)),
                        Next::GiveUp | Next::Fatal | Next::Skip | Next::Fail => self.down.error(error),
                    }
                }
            },
            Attempt::Source(..) => Step::Continue,
            Attempt::Subscribed => {
                self.subscribing = false;
                if self.due || self.attempt == 0 { self.subscribe() } else { Step::Continue }
            }
            Attempt::Waiting(timer, Ok(())) => {
                self.timer = Some(timer);
                Step::Continue
            }
            Attempt::Waiting(_, Err(panic)) => self.down.fail(StreamError::from(panic)),
            Attempt::Lost(Some(panic)) => self.down.fail(panic),
            Attempt::Lost(None) => self.down.fail(StreamError::SchedulerGone("retry_with")),
            Attempt::Due => {
                self.timer = None;
                self.subscribe()
            }
        }
    }
}

impl<O, S, Sch, T, E> Machine<Attempt<T, E>, Act<S>> for Retrying<O, S, Sch, T, E>
where
    O: Observer<T, E>,
    S: Clone,
    Sch: Clock,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: Attempt<T, E>) -> Step<Act<S>> {
        match input {
            Attempt::Source(attempt, Signal::Next(item)) if attempt == self.attempt => self.down.next(item),
            Attempt::Source(_, Signal::Next(_)) => Step::Continue,
            other => self.turn(other),
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Act<S>> = self.down.fail(failure);
    }
}
