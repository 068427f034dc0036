use std::marker::PhantomData;

use rxrust::{
    context::Context,
    observable::{CoreObservable, Observable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use crate::{
    delivery::fate::going_on,
    error::{PanicError, StreamError, catch, drop_caught, failure_waits, named},
    gate::{
        ActObserver, Down, Flow, Gate, GateOf, GateSubOf, Machine, Place, Port, Signal, Step, SubOf, attach,
        in_turn, settled,
    },
    operator::{
        batch::BatchObserver,
        share::{Hosts, Subject},
    },
};

/// Subscribes again when a notifier says so, see [`retry_when`](super::ErrorOps::retry_when) and
/// [`repeat_when`](crate::operator::combine::CombineOps::repeat_when). `K` says which, `W` is what the notifier is told.
pub struct Resubscribe<S, F, N, K, W, T, X, E> {
    source: S,
    f: F,
    types: PhantomData<fn() -> (N, K, W, T, X, E)>,
}

impl<S, F, N, K, W, T, X, E> Resubscribe<S, F, N, K, W, T, X, E> {
    pub(crate) fn new(source: S, f: F) -> Self {
        Self { source, f, types: PhantomData }
    }
}

impl<S: Clone, F: Clone, N, K, W, T, X, E> Clone for Resubscribe<S, F, N, K, W, T, X, E> {
    fn clone(&self) -> Self {
        Self::new(self.source.clone(), self.f.clone())
    }
}

/// Which end of the source the notifier is told of.
pub trait Occasion<W, E> {
    /// The operator's name, in errors.
    const NAME: &'static str;
    /// What the notifier is told of an end; else it is the output's.
    fn of(end: Result<(), E>) -> Result<W, Result<(), E>>;
}

/// Its error.
#[derive(Debug, Clone, Copy)]
pub struct OnError;

impl<E> Occasion<E, E> for OnError {
    const NAME: &'static str = "retry_when";

    fn of(end: Result<(), E>) -> Result<E, Result<(), E>> {
        end.map_or_else(Ok, |()| Err(Ok(())))
    }
}

/// Its completion.
#[derive(Debug, Clone, Copy)]
pub struct OnCompletion;

impl<E> Occasion<(), E> for OnCompletion {
    const NAME: &'static str = "repeat_when";

    fn of(end: Result<(), E>) -> Result<(), Result<(), E>> {
        end.map_err(Err)
    }
}

impl<S, F, N, K, W, T, X, E> ObservableType for Resubscribe<S, F, N, K, W, T, X, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

type Told<C, W, E> = Subject<W, E, <C as Context>::Scope>;
type MachineOf<C, S, K, W, T, X, E> = Resubscribing<<C as Context>::Inner, S, Told<C, W, E>, K, W, T, X, E>;
type WhenGate<C, S, K, W, T, X, E> = GateOf<C, MachineOf<C, S, K, W, T, X, E>, When<T, X, E>>;
type Input<C, S, K, W, T, X, E, P> = ActObserver<
    <C as Context>::Scope,
    MachineOf<C, S, K, W, T, X, E>,
    When<T, X, E>,
    WhenAct<S, Told<C, W, E>, W>,
    P,
    <C as Context>::Scheduler,
>;
type SourceInput<C, S, K, W, T, X, E> = SourceObserver<
    <C as Context>::Scope,
    MachineOf<C, S, K, W, T, X, E>,
    When<T, X, E>,
    WhenAct<S, Told<C, W, E>, W>,
    <C as Context>::Scheduler,
>;

impl<S, F, N, K, W, T, X, E, C, U, V> CoreObservable<C> for Resubscribe<S, F, N, K, W, T, X, E>
where
    C: Context,
    C::Scope: Hosts<W, E>,
    C::Inner: Observer<T, E>,
    W: Clone + 'static,
    E: Clone + 'static,
    K: Occasion<W, E>,
    F: FnOnce(C::With<Told<C, W, E>>) -> N,
    N: Observable,
    N::Inner: CoreObservable<C::With<Input<C, S, K, W, T, X, E, Notifier>>, Unsub = V>,
    V: Subscription + IntoBoxedSubscription<SubOf<C>>,
    S: Clone + CoreObservable<C::With<SourceInput<C, S, K, W, T, X, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, S, K, W, T, X, E>, When<T, X, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let Self { source, f, .. } = self;
        let (down, scheduler) = context.into_parts();
        let told = Subject::new();
        let gate = C::Scope::gate(Resubscribing {
            down: Down::new(down),
            source,
            told: Some(told.clone()),
            busy: true,
            ended: None,
            due: true,
            live: false,
            types: PhantomData,
        });
        fn perform<C, S, K, W, T, X, E, U>(
            gate: &WhenGate<C, S, K, W, T, X, E>,
            scheduler: &C::Scheduler,
            first: WhenAct<S, Told<C, W, E>, W>,
        ) where
            C: Context,
            C::Scope: Hosts<W, E>,
            C::Inner: Observer<T, E>,
            W: Clone + 'static,
            E: Clone + 'static,
            K: Occasion<W, E>,
            S: Clone + CoreObservable<C::With<SourceInput<C, S, K, W, T, X, E>>, Unsub = U>,
            U: Subscription + IntoBoxedSubscription<SubOf<C>>,
        {
            in_turn(first, |act, next| {
                match act {
                    WhenAct::Subscribe(source) => {
                        let observer =
                            ActObserver::new(gate, scheduler, perform::<C, S, K, W, T, X, E, U>, Source);
                        let observer = SourceObserver::new(observer);
                        attach(gate, source.subscribe(C::With::from_parts(observer, scheduler.clone())));
                    }
                    WhenAct::Tell(mut told, what) => told.next(what),
                }
                settled(gate, || C::Scope::send(gate, When::Free, next));
            });
        }
        let told = C::With::from_parts(told, scheduler.clone());
        match catch(K::NAME, || f(told)) {
            Ok(notifier) => {
                let observer =
                    ActObserver::new(&gate, &scheduler, perform::<C, S, K, W, T, X, E, U>, Notifier);
                let notifier = notifier.into_inner();
                attach(&gate, notifier.subscribe(C::With::from_parts(observer, scheduler.clone())));
                let first = |act| perform::<C, S, K, W, T, X, E, U>(&gate, &scheduler, act);
                settled(&gate, || C::Scope::send(&gate, When::Free, first));
            }
            Err(panic) => C::Scope::send(&gate, When::Panicked(panic), drop),
        }
        gate.downgrade()
    }
}

/// What is done with the gate free.
pub enum WhenAct<S, H, W> {
    /// Subscribe to the source.
    Subscribe(S),
    /// Tell the notifier.
    Tell(H, W),
}

/// The inputs of a source with a notifier.
#[derive(Debug)]
pub enum When<T, X, E> {
    /// From the source.
    Source(Signal<T, E>),
    /// From the notifier.
    Notifier(Signal<X, E>),
    /// The source has dropped its observer without an end.
    Gone,
    /// The thread that subscribed, or told the notifier, is free.
    Free,
    /// There is no notifier.
    Panicked(PanicError),
}

/// The source.
#[derive(Debug, Clone, Copy)]
pub struct Source;
/// The notifier.
#[derive(Debug, Clone, Copy)]
pub struct Notifier;

// One at a time; and without the notifier there is no next one.
impl Place for Source {
    const ONLY_SOURCE: bool = true;
}
impl Place for Notifier {
    const ONLY_SOURCE: bool = true;
}

impl<T, X, E> Port<T, E, When<T, X, E>> for Source {
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> When<T, X, E> {
        When::Source(signal)
    }
}

impl<T, X, E> Port<X, E, When<T, X, E>> for Notifier {
    #[inline]
    fn input(&self, signal: Signal<X, E>) -> When<T, X, E> {
        When::Notifier(signal)
    }
}

/// The observer of the source.
pub struct SourceObserver<Sc: Flow, M, In, Act, Sch> {
    /// Until it has ended.
    live: Option<ActObserver<Sc, M, In, Act, Source, Sch>>,
    /// Sends [`When::Gone`]; a function, as a `Drop` has no bounds of its own.
    gone: fn(&ActObserver<Sc, M, In, Act, Source, Sch>),
}

impl<Sc: Flow, M, T, X, E, Act, Sch> SourceObserver<Sc, M, When<T, X, E>, Act, Sch> {
    fn new(live: ActObserver<Sc, M, When<T, X, E>, Act, Source, Sch>) -> Self
    where
        M: Machine<When<T, X, E>, Act>,
    {
        Self { live: Some(live), gone: |live| live.settled(|live| live.hand_in(When::Gone)) }
    }
}

impl<Sc: Flow, M, In, Act, Sch> Drop for SourceObserver<Sc, M, In, Act, Sch> {
    fn drop(&mut self) {
        if let Some(live) = self.live.take()
            && !failure_waits()
            && !std::thread::panicking()
        {
            going_on(|| (self.gone)(&live));
        }
    }
}

impl<Sc, M, T, X, E, Act, Sch> Observer<T, E> for SourceObserver<Sc, M, When<T, X, E>, Act, Sch>
where
    Sc: Flow,
    M: Machine<When<T, X, E>, Act>,
{
    #[inline]
    fn next(&mut self, item: T) {
        if let Some(live) = &mut self.live {
            live.next(item);
        }
    }

    fn error(mut self, error: E) {
        if let Some(live) = self.live.take() {
            live.error(error);
        }
    }

    fn complete(mut self) {
        if let Some(live) = self.live.take() {
            Observer::<T, E>::complete(live);
        }
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.live.as_ref().is_none_or(Observer::<T, E>::is_closed)
    }
}

impl<Sc, M, T, X, E, Act, Sch> BatchObserver<T, E> for SourceObserver<Sc, M, When<T, X, E>, Act, Sch>
where
    Sc: Flow,
    M: Machine<When<T, X, E>, Act>,
{
}

/// The state of a source with a notifier.
pub struct Resubscribing<O, S, H, K, W, T, X, E> {
    down: Down<O>,
    source: S,
    /// What the notifier hears of, and what may keep it, and so this, alive; until it can hear no more.
    told: Option<H>,
    /// Somebody is subscribing or telling: the next act waits for that.
    busy: bool,
    /// How the source ended, which the notifier does not know yet.
    ended: Option<Result<(), E>>,
    /// It shall be subscribed.
    due: bool,
    live: bool,
    types: PhantomData<fn() -> (K, W, T, X)>,
}

impl<O, S, H, K, W, T, X, E> Resubscribing<O, S, H, K, W, T, X, E>
where
    O: Observer<T, E>,
    S: Clone,
    H: Clone,
    K: Occasion<W, E>,
    E: 'static,
{
    fn advance(&mut self) -> Step<WhenAct<S, H, W>> {
        if self.busy {
            return Step::Continue;
        }
        if let Some(end) = self.ended.take() {
            return match K::of(end) {
                Ok(what) => match self.told.clone() {
                    Some(told) => {
                        self.busy = true;
                        Step::Act(WhenAct::Tell(told, what))
                    }
                    None => Step::Continue,
                },
                Err(Ok(())) => self.down.complete(),
                Err(Err(error)) => self.down.error(error),
            };
        }
        if !self.due {
            return Step::Continue;
        }
        let source = named(|| K::NAME, || self.source.clone());
        (self.due, self.live, self.busy) = (false, true, true);
        Step::Act(WhenAct::Subscribe(source))
    }

    /// What is no item. Out of line, so that an item needs few registers.
    #[cold]
    #[inline(never)]
    fn turn(&mut self, input: When<T, X, E>) -> Step<WhenAct<S, H, W>> {
        match input {
            // Sent by `on`.
            When::Source(Signal::Next(_)) => {}
            When::Source(Signal::Complete) => (self.live, self.ended) = (false, Some(Ok(()))),
            When::Source(Signal::Error(error)) => (self.live, self.ended) = (false, Some(Err(error))),
            When::Notifier(Signal::Next(_)) => self.due |= !self.live,
            When::Notifier(Signal::Complete) => return self.down.complete(),
            When::Notifier(Signal::Error(error)) => return self.down.error(error),
            When::Gone => drop_caught(self.told.take()),
            When::Free => self.busy = false,
            When::Panicked(panic) => return self.down.fail(panic),
        }
        self.advance()
    }
}

impl<O, S, H, K, W, T, X, E> Machine<When<T, X, E>, WhenAct<S, H, W>>
    for Resubscribing<O, S, H, K, W, T, X, E>
where
    O: Observer<T, E>,
    S: Clone,
    H: Clone,
    K: Occasion<W, E>,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: When<T, X, E>) -> Step<WhenAct<S, H, W>> {
        match input {
            When::Source(Signal::Next(item)) => self.down.next(item),
            other => self.turn(other),
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<WhenAct<S, H, W>> = self.down.fail(failure);
    }
}
