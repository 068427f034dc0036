use std::{
    convert::Infallible,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription, SubscriptionGuard},
};

use crate::{
    delivery::fate::abandoning,
    error::StreamError,
    gate::{
        Down, Flow, Gate, GateObserver, GateOf, GateSubOf, Machine, Port, Signal, Step, SubOf, guarded, never,
    },
};

/// See [`amb`](super::CombineOps::amb).
pub struct Amb<A, B, T, E> {
    left: A,
    right: B,
    types: PhantomData<fn() -> (T, E)>,
}

clone_by_fields!(Amb<A, B, T, E>: left, right, types where A, B);

impl<A, B, T, E> Amb<A, B, T, E> {
    pub(super) fn new(left: A, right: B) -> Self {
        Self { left, right, types: PhantomData }
    }
}

impl<A, B, T, E> ObservableType for Amb<A, B, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

/// The first of many sources of one type, see [`amb_all`](crate::operator::create::CreateOps::amb_all).
pub struct AmbAll<S, T, E> {
    sources: Vec<S>,
    types: PhantomData<fn() -> (T, E)>,
}

clone_by_fields!(AmbAll<S, T, E>: sources, types where S);

impl<S, T, E> AmbAll<S, T, E> {
    pub(crate) fn new(sources: Vec<S>) -> Self {
        Self { sources, types: PhantomData }
    }
}

impl<S, T, E> ObservableType for AmbAll<S, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, T, E> = Racing<<C as Context>::Inner, T, E, SubOf<C>>;
type In<C, T, E> = Race<T, E, SubOf<C>>;
type RaceGate<C, T, E> = GateOf<C, MachineOf<C, T, E>, In<C, T, E>>;
type Runner<C, T, E> = GateObserver<<C as Context>::Scope, MachineOf<C, T, E>, In<C, T, E>, Lane>;

/// Subscribes to one source after the other, until one has won.
struct Start<C: Context, T, E>
where
    C::Scope: Flow,
{
    gate: RaceGate<C, T, E>,
    winner: Winner,
    scheduler: C::Scheduler,
    next: usize,
}

impl<C, T, E> Start<C, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    E: 'static,
{
    fn new(context: C) -> Self {
        let (down, scheduler) = context.into_parts();
        let winner = Winner::default();
        let racing =
            Racing { down: Down::new(down), winner: winner.clone(), subs: Vec::new(), types: PhantomData };
        Self { gate: C::Scope::gate(racing), winner, scheduler, next: 1 }
    }

    fn source<S, U>(&mut self, source: S)
    where
        S: CoreObservable<C::With<Runner<C, T, E>>, Unsub = U>,
        U: Subscription + IntoBoxedSubscription<SubOf<C>>,
    {
        if self.gate.closed() || self.winner.get() != 0 {
            return;
        }
        let lane = Lane { number: self.next, winner: self.winner.clone() };
        let observer = GateObserver::at(&self.gate, lane);
        let sub = source.subscribe(C::With::from_parts(observer, self.scheduler.clone()));
        if let Some(sub) = guarded(sub) {
            C::Scope::send(&self.gate, Race::Subscribed(self.next, sub), never);
        }
        self.next += 1;
    }
}

impl<A, B, T, E, C, UA, UB> CoreObservable<C> for Amb<A, B, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    E: 'static,
    A: CoreObservable<C::With<Runner<C, T, E>>, Unsub = UA>,
    B: CoreObservable<C::With<Runner<C, T, E>>, Unsub = UB>,
    UA: Subscription + IntoBoxedSubscription<SubOf<C>>,
    UB: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, T, E>, In<C, T, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let mut start = Start::<C, T, E>::new(context);
        start.source(self.left);
        start.source(self.right);
        start.gate.downgrade()
    }
}

impl<S, T, E, C, U> CoreObservable<C> for AmbAll<S, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    E: 'static,
    S: CoreObservable<C::With<Runner<C, T, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, T, E>, In<C, T, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let mut start = Start::<C, T, E>::new(context);
        if self.sources.is_empty() {
            C::Scope::send(&start.gate, Race::Source(0, Signal::Complete), never);
        }
        self.sources.into_iter().for_each(|source| start.source(source));
        start.gate.downgrade()
    }
}

/// The number of the source that was first, from 1; 0 while there is none.
#[derive(Debug, Clone, Default)]
struct Winner(Arc<AtomicUsize>);

impl Winner {
    #[inline]
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The inputs of an `amb`; sources are numbered from 1.
pub enum Race<T, E, Sub: Subscription> {
    /// From a source.
    Source(usize, Signal<T, E>),
    /// A source has been subscribed.
    Subscribed(usize, SubscriptionGuard<Sub>),
}

/// A source; over as soon as another has won.
pub struct Lane {
    number: usize,
    winner: Winner,
}

impl<T, E, Sub: Subscription> Port<T, E, Race<T, E, Sub>> for Lane {
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> Race<T, E, Sub> {
        Race::Source(self.number, signal)
    }

    #[inline]
    fn is_over(&self) -> bool {
        let winner = self.winner.get();
        winner != 0 && winner != self.number
    }
}

/// The state of an `amb`.
pub struct Racing<O, T, E, Sub: Subscription> {
    down: Down<O>,
    winner: Winner,
    /// Of all sources, then of the winner.
    subs: Vec<(usize, SubscriptionGuard<Sub>)>,
    types: PhantomData<fn() -> (T, E)>,
}

impl<O, T, E, Sub: Subscription> Racing<O, T, E, Sub> {
    /// Whether this source is, or becomes, the one that counts.
    #[inline]
    fn counts(&mut self, number: usize) -> bool {
        match self.winner.get() {
            0 => {
                self.winner.0.store(number, Ordering::Relaxed);
                self.subs.retain(|(of, _)| *of == number);
                true
            }
            winner => winner == number,
        }
    }
}

impl<O: Observer<T, E>, T, E: 'static, Sub: Subscription> Machine<Race<T, E, Sub>> for Racing<O, T, E, Sub> {
    #[inline(always)]
    fn on(&mut self, input: Race<T, E, Sub>) -> Step<Infallible> {
        match input {
            Race::Source(number, signal) if self.counts(number) => match signal {
                Signal::Next(item) => self.down.next(item),
                Signal::Error(error) => self.down.error(error),
                Signal::Complete => self.down.complete(),
            },
            Race::Source(_, late) => {
                // Its source has not yet seen that it has lost.
                abandoning(|| drop(late));
                Step::Continue
            }
            Race::Subscribed(number, sub) => {
                if self.winner.get() == 0 || self.winner.get() == number {
                    self.subs.push((number, sub));
                }
                Step::Continue
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
