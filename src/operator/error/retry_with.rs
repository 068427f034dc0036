use std::{
    hash::{BuildHasher, Hasher, RandomState},
    marker::PhantomData,
    sync::Arc,
    time::Duration,
};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::{Scheduler, SleepProvider},
    subscription::{IntoBoxedSubscription, Subscription},
};

use crate::{
    error::{PanicError, StreamError, caught, named},
    gate::{
        ActObserver, Down, Flow, Gate, GateOf, GateSubOf, Machine, Place, Port, Signal, Step, SubOf, attach,
        settled,
    },
    source::SplitMix64,
    time::{Clock, Tick, Timer, TimerTask, deadline},
};

/// When and how often [`retry_with`](super::ErrorOps::retry_with) subscribes again, or
/// [`try_map_with_retry`](crate::operator::validate::ValidateOps::try_map_with_retry) tries one event again.
///
/// ```
/// use rxevents::prelude::*;
/// use std::time::Duration;
///
/// let policy: Retry<String> = Retry::times(5)
///     .exponential(Duration::from_millis(100), Duration::from_secs(10))
///     .when(|error| error != "no such table");
/// assert_eq!(policy.delay(1), Duration::from_millis(100));
/// assert_eq!(policy.delay(3), Duration::from_millis(400));
/// assert_eq!(policy.delay(60), Duration::from_secs(10));
/// ```
pub struct Retry<E> {
    retries: u64,
    first: Duration,
    factor: u32,
    cap: Duration,
    jitter: Option<Seed>,
    worth: Option<Worth<E>>,
}

/// Of the random numbers of one subscription; `None`: another each time.
type Seed = Option<u64>;

type Worth<E> = Arc<dyn Fn(&E) -> bool + Send + Sync>;

impl<E> Clone for Retry<E> {
    fn clone(&self) -> Self {
        Self { worth: self.worth.clone(), ..*self }
    }
}

impl<E> Retry<E> {
    /// At most `retries` times after the first attempt, at once.
    pub fn times(retries: u64) -> Self {
        Self { retries, first: Duration::ZERO, factor: 1, cap: Duration::ZERO, jitter: None, worth: None }
    }

    /// For ever, at once; best with a delay.
    pub fn forever() -> Self {
        Self::times(u64::MAX)
    }

    /// Waits `delay` before each retry.
    pub fn fixed(mut self, delay: Duration) -> Self {
        (self.first, self.factor, self.cap) = (delay, 1, delay);
        self
    }

    /// Waits `first` before the first retry, twice as long before each further one, at most `cap`.
    pub fn exponential(mut self, first: Duration, cap: Duration) -> Self {
        (self.first, self.factor, self.cap) = (first, 2, cap);
        self
    }

    /// Waits a random time between none and what it would wait otherwise, all equally likely (full jitter), so that many
    /// that failed together do not come again together.
    pub fn jitter(mut self) -> Self {
        self.jitter = Some(None);
        self
    }

    /// [`jitter`](Self::jitter) with the same random numbers in each subscription, for tests.
    pub fn jitter_seeded(mut self, seed: u64) -> Self {
        self.jitter = Some(Some(seed));
        self
    }

    /// Retries only errors for which `worth` is true; others are passed on at once.
    pub fn when(mut self, worth: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self {
        self.worth = Some(Arc::new(worth));
        self
    }

    /// How long it waits before the `retry`-th retry (from 1); with jitter, at most.
    pub fn delay(&self, retry: u64) -> Duration {
        let steps = u32::try_from(retry.saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = self.factor.checked_pow(steps).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.cap)
    }

    /// The random numbers of one subscription, where they are needed.
    pub(crate) fn random(&self) -> Option<SplitMix64> {
        let seed = self.jitter?.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        Some(SplitMix64::new(seed))
    }

    /// How long to wait after the `attempt`-th attempt (from 1) failed with `error`; `None`: give up.
    pub(crate) fn wait(&self, attempt: u64, error: &E, random: &mut Option<SplitMix64>) -> Option<Duration> {
        if attempt > self.retries || !self.worth.as_ref().is_none_or(|worth| worth(error)) {
            return None;
        }
        let delay = self.delay(attempt);
        let Some(random) = random else { return Some(delay) };
        let part = random.next_u64() as f64 / u64::MAX as f64;
        // `mul_f64` would panic on the longest of delays.
        Some(Duration::try_from_secs_f64(delay.as_secs_f64() * part).map_or(delay, |part| part.min(delay)))
    }
}

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

type MachineOf<C, S, T, E> = Retrying<<C as Context>::Inner, S, T, E>;
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
        let gate = C::Scope::gate(Retrying {
            down: Down::new(down),
            source: Some(self.source),
            random: self.policy.random(),
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
            let mut next = Some(first);
            // A loop: a source that fails as soon as it is subscribed must not grow the stack.
            while let Some(act) = next.take() {
                match act {
                    Act::Subscribe(source, attempt) => {
                        let observer =
                            ActObserver::new(gate, scheduler, perform::<C, S, T, E, U>, Numbered(attempt));
                        attach(gate, source.subscribe(C::With::from_parts(observer, scheduler.clone())));
                        settled(gate, || C::Scope::send(gate, Attempt::Subscribed, |act| next = Some(act)));
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
                                C::Scope::send(gate, input, |act| {
                                    perform::<C, S, T, E, U>(gate, scheduler, act)
                                });
                            },
                            settle: |gate| gate.settle(false),
                        };
                        let started = starter.start(target, scheduler.clone());
                        C::Scope::send(gate, Attempt::Waiting(timer, started), |act| next = Some(act));
                    }
                }
            }
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
pub struct Retrying<O, S, T, E> {
    down: Down<O>,
    /// Given away with the last attempt.
    source: Option<S>,
    policy: Retry<E>,
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

impl<O, S: Clone, T, E> Retrying<O, S, T, E> {
    fn subscribe(&mut self) -> Step<Act<S>> {
        if self.subscribing {
            self.due = true;
            return Step::Continue;
        }
        self.due = false;
        self.subscribing = true;
        self.attempt += 1;
        let last = self.attempt > self.policy.retries;
        let source = named(|| "retry_with", || if last { self.source.take() } else { self.source.clone() });
        match source {
            Some(source) => Step::Act(Act::Subscribe(source, self.attempt)),
            None => Step::Continue,
        }
    }
}

impl<O, S, T, E> Retrying<O, S, T, E>
where
    O: Observer<T, E>,
    S: Clone,
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
                    let Self { policy, random, attempt, .. } = self;
                    match named(|| "retry_with", || policy.wait(*attempt, &error, random)) {
                        None => self.down.error(error),
                        Some(Duration::ZERO) => self.subscribe(),
                        Some(delay) => Step::Act(Act::Wait(delay)),
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

impl<O, S, T, E> Machine<Attempt<T, E>, Act<S>> for Retrying<O, S, T, E>
where
    O: Observer<T, E>,
    S: Clone,
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
