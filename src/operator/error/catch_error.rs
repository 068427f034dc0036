use std::marker::PhantomData;

use rxrust::{
    context::Context,
    observable::{CoreObservable, Observable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use crate::{
    error::{StreamError, named},
    gate::{ActObserver, Down, Flow, Gate, GateSubOf, Machine, Place, Port, Signal, Step, SubOf, attach},
};

/// See [`catch_error`](super::ErrorOps::catch_error).
pub struct CatchError<S, F, B, T, E, E2> {
    source: S,
    f: F,
    types: PhantomData<fn() -> (B, T, E, E2)>,
}

impl<S, F, B, T, E, E2> CatchError<S, F, B, T, E, E2> {
    pub(super) fn new(source: S, f: F) -> Self {
        Self { source, f, types: PhantomData }
    }
}

impl<S: Clone, F: Clone, B, T, E, E2> Clone for CatchError<S, F, B, T, E, E2> {
    fn clone(&self) -> Self {
        Self::new(self.source.clone(), self.f.clone())
    }
}

impl<S, F, B, T, E, E2> ObservableType for CatchError<S, F, B, T, E, E2> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E2;
}

type MachineOf<C, F, B, T, E, E2> = Catching<<C as Context>::Inner, F, B, T, E, E2>;
type Input<C, F, B, T, E, E2, P> = ActObserver<
    <C as Context>::Scope,
    MachineOf<C, F, B, T, E, E2>,
    Caught<T, E, E2>,
    B,
    P,
    <C as Context>::Scheduler,
>;

impl<S, F, B, T, E, E2, C, U, V> CoreObservable<C> for CatchError<S, F, B, T, E, E2>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E2>,
    E2: 'static,
    F: FnOnce(E) -> B,
    B: Observable,
    S: CoreObservable<C::With<Input<C, F, B, T, E, E2, First>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
    B::Inner: CoreObservable<C::With<Input<C, F, B, T, E, E2, Second>>, Unsub = V>,
    V: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, F, B, T, E, E2>, Caught<T, E, E2>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let gate = C::Scope::gate(Catching { down: Down::new(down), f: Some(self.f), types: PhantomData });
        let follow = |gate: &_, scheduler: &_, other: B| {
            let observer = ActObserver::new(gate, scheduler, |_, _, _| {}, Second);
            attach(gate, other.into_inner().subscribe(C::With::from_parts(observer, scheduler.clone())));
        };
        let observer = ActObserver::new(&gate, &scheduler, follow, First);
        attach(&gate, self.source.subscribe(C::With::from_parts(observer, scheduler)));
        gate.downgrade()
    }
}

/// The inputs of a `catch_error`: the two sources have different errors.
#[derive(Debug)]
pub enum Caught<T, E, E2> {
    /// From the source.
    Source(Signal<T, E>),
    /// From what follows its error.
    Other(Signal<T, E2>),
}

/// The source.
#[derive(Debug, Clone, Copy)]
pub struct First;
/// What follows its error.
#[derive(Debug, Clone, Copy)]
pub struct Second;

impl Place for First {}
impl Place for Second {}

impl<T, E, E2> Port<T, E, Caught<T, E, E2>> for First {
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> Caught<T, E, E2> {
        Caught::Source(signal)
    }
}

impl<T, E, E2> Port<T, E2, Caught<T, E, E2>> for Second {
    #[inline]
    fn input(&self, signal: Signal<T, E2>) -> Caught<T, E, E2> {
        Caught::Other(signal)
    }
}

/// The state of a `catch_error`.
pub struct Catching<O, F, B, T, E, E2> {
    down: Down<O>,
    f: Option<F>,
    types: PhantomData<fn() -> (B, T, E, E2)>,
}

impl<O, F, B, T, E, E2> Machine<Caught<T, E, E2>, B> for Catching<O, F, B, T, E, E2>
where
    O: Observer<T, E2>,
    F: FnOnce(E) -> B,
    E2: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: Caught<T, E, E2>) -> Step<B> {
        match input {
            Caught::Source(Signal::Next(item)) | Caught::Other(Signal::Next(item)) => self.down.next(item),
            Caught::Source(Signal::Complete) | Caught::Other(Signal::Complete) => self.down.complete(),
            Caught::Source(Signal::Error(error)) => match self.f.take() {
                None => Step::Continue,
                Some(f) => Step::Act(named(|| "catch_error", || f(error))),
            },
            Caught::Other(Signal::Error(error)) => self.down.error(error),
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<B> = self.down.fail(failure);
    }
}
