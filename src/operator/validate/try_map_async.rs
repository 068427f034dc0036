use std::{collections::VecDeque, marker::PhantomData, num::NonZeroUsize};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::{Scheduler, SleepProvider},
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::{
    EventRetry,
    async_state::{Input, Trying},
    async_worker::{Calls, Start, Wake, Worker},
    event_retry::{AnyKey, OrderKey},
    try_map_with_retry::Done,
};
use crate::{
    dead_letter::Reason,
    error::catch,
    gate::{
        Down, Flow, Gate, GateOf, GateSubOf, Machine, Signal, StopSubscription, SubOf, attach, never, settled,
    },
    operator::batch::BatchObserver,
    time::{Cancel, Clock, Timer, TimerTask},
};

pub(super) const NAME: &str = "try_map_async_with_retry";

/// See [`try_map_async_with_retry`](super::ValidateOps::try_map_async_with_retry).
pub struct TryMapAsync<S, F, I, Fut, T, E, K = AnyKey> {
    source: S,
    f: F,
    concurrency: NonZeroUsize,
    retry: EventRetry<K>,
    types: PhantomData<fn(I) -> (Fut, T, E)>,
}

impl<S, F, I, Fut, T, E, K> TryMapAsync<S, F, I, Fut, T, E, K> {
    pub(super) fn new(source: S, f: F, concurrency: NonZeroUsize, retry: EventRetry<K>) -> Self {
        Self { source, f, concurrency, retry, types: PhantomData }
    }
}

impl<S: Clone, F: Clone, I, Fut, T, E, K: Clone> Clone for TryMapAsync<S, F, I, Fut, T, E, K> {
    fn clone(&self) -> Self {
        let Self { source, f, concurrency, retry, .. } = self;
        Self::new(source.clone(), f.clone(), *concurrency, retry.clone())
    }
}

impl<S, F, I, Fut, T, E, K> ObservableType for TryMapAsync<S, F, I, Fut, T, E, K> {
    type Item<'a>
        = Done<I, T>
    where
        Self: 'a;
    type Err = E;
}

type StartsOf<C, I> = <C as Context>::RcMut<VecDeque<Start<I>>>;
type MachineOf<C, I, T, E, K> =
    Trying<<C as Context>::Inner, <C as Context>::Scheduler, StartsOf<C, I>, I, T, E, K>;
type AsyncGate<C, I, T, E, K> = GateOf<C, MachineOf<C, I, T, E, K>, Input<I, T, E>>;

impl<S, F, I, Fut, T, E, K, C, U> CoreObservable<C> for TryMapAsync<S, F, I, Fut, T, E, K>
where
    K: OrderKey<I>,
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<Done<I, T>, E>,
    C::Scheduler: Clock
        + SleepProvider
        + Scheduler<TimerTask<Wake<AsyncGate<C, I, T, E, K>, I, T>, C::Scheduler>>
        + Scheduler<Worker<AsyncGate<C, I, T, E, K>, StartsOf<C, I>, F, Fut, I, T>>,
    E: 'static,
    F: FnMut(&I) -> Fut,
    Fut: Future<Output = Result<T, Reason>>,
    S: CoreObservable<C::With<Feed<C::Scope, MachineOf<C, I, T, E, K>, I, T, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = StopSubscription<GateSubOf<C, MachineOf<C, I, T, E, K>, Input<I, T, E>>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let (timer, cancel) = (Timer::default(), Cancel::default());
        let starter = timer.starter();
        let starts = StartsOf::<C, I>::from(VecDeque::new());
        let stage = self.retry.stage;
        let machine = Trying::new(
            Down::new(down),
            scheduler.clone(),
            timer,
            self.retry,
            self.concurrency.get(),
            starts.clone(),
            cancel.clone(),
        );
        let gate = C::Scope::gate(machine);
        let calls: Calls<AsyncGate<C, I, T, E, K>, I, T> = Calls {
            settled: |gate, done| settled(gate, || C::Scope::send(gate, Input::Settled(done), never)),
            tick: |gate| settled(gate, || C::Scope::send(gate, Input::Tick, never)),
            lost: |gate, why| settled(gate, || C::Scope::send(gate, Input::Lost(why), never)),
            closed: |gate| gate.closed(),
        };
        let wake = Wake { gate: gate.clone(), calls };
        let worker = Worker::new(gate.clone(), starts, self.f, stage, cancel.clone(), calls);
        let begun = match starter.start(wake, scheduler.clone()) {
            Ok(()) => catch("schedule", || drop(scheduler.schedule(worker, None))),
            Err(panic) => {
                // The worker goes without a word.
                cancel.cancel();
                Err(panic)
            }
        };
        if let Err(panic) = begun {
            C::Scope::send(&gate, Input::Lost(Some(panic)), never);
        }
        let feed = Feed {
            gate: gate.clone(),
            gone: |gate| settled(gate, || C::Scope::send(gate, Input::Gone, never)),
        };
        attach(&gate, self.source.subscribe(C::With::from_parts(feed, scheduler)));
        StopSubscription::new(gate.downgrade(), cancel)
    }
}

/// The observer of the source.
pub struct Feed<Sc: Flow, M, I, T, E> {
    gate: Sc::Gate<M, Input<I, T, E>>,
    /// Sends [`Input::Gone`]; a function, as a `Drop` has no bounds of its own.
    gone: fn(&Sc::Gate<M, Input<I, T, E>>),
}

impl<Sc: Flow, M, I, T, E> Drop for Feed<Sc, M, I, T, E> {
    fn drop(&mut self) {
        self.gate.settle(true);
        (self.gone)(&self.gate);
    }
}

impl<Sc, M, I, T, E> Observer<I, E> for Feed<Sc, M, I, T, E>
where
    Sc: Flow,
    M: Machine<Input<I, T, E>>,
{
    fn next(&mut self, item: I) {
        Sc::send(&self.gate, Input::Source(Signal::Next(item)), never);
    }

    fn error(self, error: E) {
        settled(&self.gate, || Sc::send(&self.gate, Input::Source(Signal::Error(error)), never));
    }

    fn complete(self) {
        settled(&self.gate, || Sc::send(&self.gate, Input::Source(Signal::Complete), never));
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.gate.closed()
    }
}

impl<Sc, M, I, T, E> BatchObserver<I, E> for Feed<Sc, M, I, T, E>
where
    Sc: Flow,
    M: Machine<Input<I, T, E>>,
{
}
