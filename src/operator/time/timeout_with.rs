use std::marker::PhantomData;

use rxrust::{
    context::Context,
    observable::{CoreObservable, Observable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use crate::{
    error::StreamError,
    gate::{
        ActObserver, Down, Either, Flow, Gate, GateSubOf, Left, Machine, Place, Port, Signal, Step, SubOf,
        attach,
    },
};

/// See [`timeout_with`](super::TimeOps::timeout_with), and
/// [`switch_if_empty`](crate::operator::aggregate::AggregateOps::switch_if_empty): the items of `source` until its `None`, then
/// those of `fallback`.
pub struct TimeoutWith<S, B, T, E> {
    source: S,
    fallback: B,
    types: PhantomData<fn() -> (T, E)>,
}

impl<S, B, T, E> TimeoutWith<S, B, T, E> {
    pub(crate) fn new(source: S, fallback: B) -> Self {
        Self { source, fallback, types: PhantomData }
    }
}

impl<S: Clone, B: Clone, T, E> Clone for TimeoutWith<S, B, T, E> {
    fn clone(&self) -> Self {
        Self::new(self.source.clone(), self.fallback.clone())
    }
}

impl<S, B, T, E> ObservableType for TimeoutWith<S, B, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

type In<T, E> = Either<Option<T>, T, E>;
type MachineOf<C, B, T, E> = Switching<<C as Context>::Inner, B, T, E>;
type Input<C, B, T, E, P> =
    ActObserver<<C as Context>::Scope, MachineOf<C, B, T, E>, In<T, E>, B, P, <C as Context>::Scheduler>;

impl<S, B, T, E, C, U, V> CoreObservable<C> for TimeoutWith<S, B, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    E: 'static,
    B: Observable,
    S: CoreObservable<C::With<Input<C, B, T, E, Left>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
    B::Inner: CoreObservable<C::With<Input<C, B, T, E, Instead>>, Unsub = V>,
    V: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, B, T, E>, In<T, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let machine = Switching { down: Down::new(down), fallback: Some(self.fallback), types: PhantomData };
        let gate = C::Scope::gate(machine);
        let follow = |gate: &_, scheduler: &_, fallback: B| {
            let observer = ActObserver::new(gate, scheduler, |_, _, _| {}, Instead);
            attach(gate, fallback.into_inner().subscribe(C::With::from_parts(observer, scheduler.clone())));
        };
        let observer = ActObserver::new(&gate, &scheduler, follow, Left);
        attach(&gate, self.source.subscribe(C::With::from_parts(observer, scheduler)));
        gate.downgrade()
    }
}

/// The fallback.
#[derive(Debug, Clone, Copy)]
pub struct Instead;

impl Place for Instead {}

impl<T, E> Port<T, E, In<T, E>> for Instead {
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> In<T, E> {
        Either::Right(signal)
    }
}

/// The state of a `timeout_with` or a `switch_if_empty`.
pub struct Switching<O, B, T, E> {
    down: Down<O>,
    /// Taken at the `None`.
    fallback: Option<B>,
    types: PhantomData<fn() -> (T, E)>,
}

impl<O, B, T, E> Machine<In<T, E>, B> for Switching<O, B, T, E>
where
    O: Observer<T, E>,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: In<T, E>) -> Step<B> {
        match input {
            Either::Left(Signal::Next(Some(item))) | Either::Right(Signal::Next(item)) => {
                self.down.next(item)
            }
            Either::Left(Signal::Next(None)) => self.fallback.take().map_or(Step::Continue, Step::Act),
            // The source's end after that is none.
            Either::Left(Signal::Complete) if self.fallback.is_none() => Step::Continue,
            Either::Left(Signal::Complete) | Either::Right(Signal::Complete) => self.down.complete(),
            Either::Left(Signal::Error(error)) | Either::Right(Signal::Error(error)) => {
                self.down.error(error)
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<B> = self.down.fail(failure);
    }
}
