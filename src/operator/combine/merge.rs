use std::{convert::Infallible, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::{AtOnce, Errors};
use crate::{
    error::StreamError,
    gate::{Any, Down, Flow, Gate, GateObserver, GateSubOf, Machine, Signal, Step, SubOf, attach, never},
};

/// See [`merge`](super::CombineOps::merge) and [`merge_delay_error`](super::CombineOps::merge_delay_error), whose error
/// is another, `X`.
pub struct Merge<A, B, T, E, R = AtOnce, X = E> {
    left: A,
    right: B,
    types: PhantomData<fn() -> (T, E, R, X)>,
}

clone_by_fields!(Merge<A, B, T, E, R, X>: left, right, types where A, B);

impl<A, B, T, E, R, X> Merge<A, B, T, E, R, X> {
    pub(super) fn new(left: A, right: B) -> Self {
        Self { left, right, types: PhantomData }
    }
}

impl<A, B, T, E, R, X> ObservableType for Merge<A, B, T, E, R, X> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = X;
}

type MachineOf<C, T, E, R, X> = Merging<<C as Context>::Inner, T, E, R, X>;
type Input<C, T, E, R, X> = GateObserver<<C as Context>::Scope, MachineOf<C, T, E, R, X>, Signal<T, E>, Any>;

impl<A, B, T, E, R, X, C, UA, UB> CoreObservable<C> for Merge<A, B, T, E, R, X>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, X>,
    R: Errors<E, X>,
    X: 'static,
    A: CoreObservable<C::With<Input<C, T, E, R, X>>, Unsub = UA>,
    B: CoreObservable<C::With<Input<C, T, E, R, X>>, Unsub = UB>,
    UA: Subscription + IntoBoxedSubscription<SubOf<C>>,
    UB: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, T, E, R, X>, Signal<T, E>>;

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

/// All of many sources of one type, see [`merge_all`](crate::operator::create::CreateOps::merge_all) and
/// [`merge_all_delay_error`](crate::operator::create::CreateOps::merge_all_delay_error).
pub struct MergeAll<S, T, E, R = AtOnce, X = E> {
    sources: Vec<S>,
    types: PhantomData<fn() -> (T, E, R, X)>,
}

clone_by_fields!(MergeAll<S, T, E, R, X>: sources, types where S);

impl<S, T, E, R, X> MergeAll<S, T, E, R, X> {
    pub(crate) fn new(sources: Vec<S>) -> Self {
        Self { sources, types: PhantomData }
    }
}

impl<S, T, E, R, X> ObservableType for MergeAll<S, T, E, R, X> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = X;
}

impl<S, T, E, R, X, C, U> CoreObservable<C> for MergeAll<S, T, E, R, X>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, X>,
    R: Errors<E, X>,
    X: 'static,
    S: CoreObservable<C::With<Input<C, T, E, R, X>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, T, E, R, X>, Signal<T, E>>;

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

/// The state of a merge: who listens, how many sources are not done, and their errors.
pub struct Merging<O, T, E, R, X> {
    down: Down<O>,
    live: usize,
    errors: R,
    types: PhantomData<fn() -> (T, E, X)>,
}

impl<O, T, E, R: Default, X> Merging<O, T, E, R, X> {
    fn new(down: O, live: usize) -> Self {
        Self { down: Down::new(down), live, errors: R::default(), types: PhantomData }
    }
}

impl<O: Observer<T, X>, T, E, R: Errors<E, X>, X: 'static> Machine<Signal<T, E>> for Merging<O, T, E, R, X> {
    #[inline(always)]
    fn on(&mut self, input: Signal<T, E>) -> Step<Infallible> {
        match input {
            Signal::Next(item) => return self.down.next(item),
            Signal::Error(error) => {
                if let Some(error) = self.errors.one(error) {
                    return self.down.error(error);
                }
            }
            Signal::Complete => {}
        }
        self.live -= 1;
        if self.live > 0 {
            return Step::Continue;
        }
        match self.errors.all() {
            Some(error) => self.down.error(error),
            None => self.down.complete(),
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
