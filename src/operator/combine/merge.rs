use std::{convert::Infallible, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use crate::{
    error::StreamError,
    gate::{Any, Down, Flow, Gate, GateObserver, GateSubOf, Machine, Signal, Step, SubOf, attach, never},
};

/// See [`merge`](super::CombineOps::merge).
#[derive(Clone)]
pub struct Merge<A, B, T, E> {
    left: A,
    right: B,
    types: PhantomData<fn() -> (T, E)>,
}

impl<A, B, T, E> Merge<A, B, T, E> {
    pub(super) fn new(left: A, right: B) -> Self {
        Self { left, right, types: PhantomData }
    }
}

impl<A, B, T, E> ObservableType for Merge<A, B, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

type Input<C, T, E> =
    GateObserver<<C as Context>::Scope, Merging<<C as Context>::Inner, T, E>, Signal<T, E>, Any>;

impl<A, B, T, E, C, UA, UB> CoreObservable<C> for Merge<A, B, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    E: 'static,
    A: CoreObservable<C::With<Input<C, T, E>>, Unsub = UA>,
    B: CoreObservable<C::With<Input<C, T, E>>, Unsub = UB>,
    UA: Subscription + IntoBoxedSubscription<SubOf<C>>,
    UB: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, Merging<C::Inner, T, E>, Signal<T, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let gate = C::Scope::gate(Merging::new(down, 2));
        attach(&gate, self.left.subscribe(C::With::from_parts(GateObserver::new(&gate), scheduler.clone())));
        if !gate.closed() {
            attach(&gate, self.right.subscribe(C::With::from_parts(GateObserver::new(&gate), scheduler)));
        }
        gate.downgrade()
    }
}

/// All of many sources of one type, see [`merge_all`](crate::operator::create::CreateOps::merge_all).
#[derive(Clone)]
pub struct MergeAll<S, T, E> {
    sources: Vec<S>,
    types: PhantomData<fn() -> (T, E)>,
}

impl<S, T, E> MergeAll<S, T, E> {
    pub(crate) fn new(sources: Vec<S>) -> Self {
        Self { sources, types: PhantomData }
    }
}

impl<S, T, E> ObservableType for MergeAll<S, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<S, T, E, C, U> CoreObservable<C> for MergeAll<S, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    E: 'static,
    S: CoreObservable<C::With<Input<C, T, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, Merging<C::Inner, T, E>, Signal<T, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        // One more than the sources, so that none at all completes too.
        let merging = Merging::new(down, self.sources.len() + 1);
        let gate = C::Scope::gate(merging);
        for source in self.sources {
            if gate.closed() {
                break;
            }
            attach(&gate, source.subscribe(C::With::from_parts(GateObserver::new(&gate), scheduler.clone())));
        }
        C::Scope::send(&gate, Signal::Complete, never);
        gate.downgrade()
    }
}

/// The state of a merge: who listens, and how many sources are not done.
pub struct Merging<O, T, E> {
    down: Down<O>,
    live: usize,
    types: PhantomData<fn() -> (T, E)>,
}

impl<O, T, E> Merging<O, T, E> {
    fn new(down: O, live: usize) -> Self {
        Self { down: Down::new(down), live, types: PhantomData }
    }
}

impl<O: Observer<T, E>, T, E: 'static> Machine<Signal<T, E>> for Merging<O, T, E> {
    #[inline(always)]
    fn on(&mut self, input: Signal<T, E>) -> Step<Infallible> {
        match input {
            Signal::Next(item) => self.down.next(item),
            Signal::Error(error) => self.down.error(error),
            Signal::Complete => {
                self.live -= 1;
                if self.live == 0 { self.down.complete() } else { Step::Continue }
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
