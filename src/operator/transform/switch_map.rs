use std::marker::PhantomData;

use rxrust::{
    context::{Context, Scope, SharedCell},
    observable::{CoreObservable, Observable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription, SubscriptionGuard},
};

use crate::{
    delivery::fate::cancelled,
    error::{StreamError, named},
    gate::{
        ActObserver, Down, Flow, Gate, GateOf, GateSubOf, Machine, Outer, Place, Port, Signal, Step, SubOf,
        attach, guarded, in_turn,
    },
};

/// See [`switch_map`](super::TransformOps::switch_map).
pub struct SwitchMap<S, F, I, In, T, E> {
    source: S,
    f: F,
    types: PhantomData<fn(I) -> (In, T, E)>,
}

impl<S, F, I, In, T, E> SwitchMap<S, F, I, In, T, E> {
    pub(super) fn new(source: S, f: F) -> Self {
        Self { source, f, types: PhantomData }
    }
}

impl<S: Clone, F: Clone, I, In, T, E> Clone for SwitchMap<S, F, I, In, T, E> {
    fn clone(&self) -> Self {
        Self { source: self.source.clone(), f: self.f.clone(), types: PhantomData }
    }
}

impl<S, F, I, In, T, E> ObservableType for SwitchMap<S, F, I, In, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

/// The number of the latest inner source.
type Latest<C> = <<C as Context>::Scope as Scope>::RcCell<u64>;
type MachineOf<C, F, I, In, T, E> = Switching<<C as Context>::Inner, F, I, In, T, E, SubOf<C>, Latest<C>>;
type Input<C, I, T, E> = Switch<I, T, E, SubOf<C>>;
type SwitchGate<C, F, I, In, T, E> = GateOf<C, MachineOf<C, F, I, In, T, E>, Input<C, I, T, E>>;
type SourceObserver<C, F, I, In, T, E> = ActObserver<
    <C as Context>::Scope,
    MachineOf<C, F, I, In, T, E>,
    Input<C, I, T, E>,
    Start<In, Latest<C>>,
    Outer,
    <C as Context>::Scheduler,
>;
type InnerObserver<C, F, I, In, T, E> = ActObserver<
    <C as Context>::Scope,
    MachineOf<C, F, I, In, T, E>,
    Input<C, I, T, E>,
    Start<In, Latest<C>>,
    Numbered<Latest<C>>,
    <C as Context>::Scheduler,
>;

impl<S, F, I, In, T, E, C, U, V> CoreObservable<C> for SwitchMap<S, F, I, In, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    E: 'static,
    F: FnMut(I) -> In,
    In: Observable,
    S: CoreObservable<C::With<SourceObserver<C, F, I, In, T, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
    In::Inner: CoreObservable<C::With<InnerObserver<C, F, I, In, T, E>>, Unsub = V>,
    V: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, F, I, In, T, E>, Input<C, I, T, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let gate = C::Scope::gate(Switching {
            down: Down::new(down),
            f: self.f,
            latest: 0.into(),
            current: None,
            live: false,
            subscribing: false,
            waiting: None,
            outer_done: false,
            types: PhantomData,
        });
        fn start<C, F, I, In, T, E, V>(
            gate: &SwitchGate<C, F, I, In, T, E>,
            scheduler: &C::Scheduler,
            first: Start<In, Latest<C>>,
        ) where
            C: Context,
            C::Scope: Flow,
            C::Inner: Observer<T, E>,
            E: 'static,
            F: FnMut(I) -> In,
            In: Observable,
            In::Inner: CoreObservable<C::With<InnerObserver<C, F, I, In, T, E>>, Unsub = V>,
            V: Subscription + IntoBoxedSubscription<SubOf<C>>,
        {
            in_turn(first, |Start { inner, number, latest }, next| {
                let port = Numbered { number, latest };
                let observer = ActObserver::new(gate, scheduler, start::<C, F, I, In, T, E, V>, port);
                let sub = inner.into_inner().subscribe(C::With::from_parts(observer, scheduler.clone()));
                C::Scope::send(gate, Switch::Subscribed(number, guarded(sub)), next);
            });
        }
        let observer = ActObserver::new(&gate, &scheduler, start::<C, F, I, In, T, E, V>, Outer);
        attach(&gate, self.source.subscribe(C::With::from_parts(observer, scheduler)));
        gate.downgrade()
    }
}

/// The inputs of a `switch_map`; inner sources are numbered.
pub enum Switch<I, T, E, Sub: Subscription> {
    /// From the source.
    Outer(Signal<I, E>),
    /// From an inner source.
    Inner(u64, Signal<T, E>),
    /// An inner source has been subscribed.
    Subscribed(u64, Option<SubscriptionGuard<Sub>>),
}

impl<I, T, E, Sub: Subscription> Port<I, E, Switch<I, T, E, Sub>> for Outer {
    #[inline]
    fn input(&self, signal: Signal<I, E>) -> Switch<I, T, E, Sub> {
        Switch::Outer(signal)
    }
}

/// Subscribe to this.
pub struct Start<In, L> {
    inner: In,
    number: u64,
    latest: L,
}

/// An inner source; over as soon as there is a later one.
pub struct Numbered<L> {
    number: u64,
    latest: L,
}

impl<L> Place for Numbered<L> {}

impl<I, T, E, Sub, L> Port<T, E, Switch<I, T, E, Sub>> for Numbered<L>
where
    Sub: Subscription,
    L: SharedCell<u64>,
{
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> Switch<I, T, E, Sub> {
        Switch::Inner(self.number, signal)
    }

    #[inline]
    fn is_over(&self) -> bool {
        self.latest.get() != self.number
    }
}

/// The state of a `switch_map`.
pub struct Switching<O, F, I, In, T, E, Sub: Subscription, L> {
    down: Down<O>,
    f: F,
    /// Written with the gate held.
    latest: L,
    current: Option<SubscriptionGuard<Sub>>,
    live: bool,
    subscribing: bool,
    /// The latest item, while the inner source before it is being subscribed.
    waiting: Option<I>,
    outer_done: bool,
    types: PhantomData<fn() -> (In, T, E)>,
}

impl<O, F, I, In, T, E, Sub, L> Switching<O, F, I, In, T, E, Sub, L>
where
    O: Observer<T, E>,
    F: FnMut(I) -> In,
    E: 'static,
    Sub: Subscription,
    L: SharedCell<u64>,
{
    fn advance(&mut self) -> Step<Start<In, L>> {
        if self.subscribing {
            return Step::Continue;
        }
        if let Some(item) = self.waiting.take() {
            let inner = named(|| "switch_map", || (self.f)(item));
            self.live = true;
            self.subscribing = true;
            let number = self.latest.get() + 1;
            self.latest.set(number);
            return Step::Act(Start { inner, number, latest: self.latest.clone() });
        }
        if self.outer_done && !self.live { self.down.complete() } else { Step::Continue }
    }
}

impl<O, F, I, In, T, E, Sub, L> Machine<Switch<I, T, E, Sub>, Start<In, L>>
    for Switching<O, F, I, In, T, E, Sub, L>
where
    O: Observer<T, E>,
    F: FnMut(I) -> In,
    E: 'static,
    Sub: Subscription,
    L: SharedCell<u64>,
{
    #[inline(always)]
    fn on(&mut self, input: Switch<I, T, E, Sub>) -> Step<Start<In, L>> {
        match input {
            Switch::Inner(number, signal) => {
                if number != self.latest.get() {
                    cancelled(|| drop(signal));
                    return Step::Continue;
                }
                match signal {
                    Signal::Next(item) => self.down.next(item),
                    Signal::Error(error) => self.down.error(error),
                    Signal::Complete => {
                        self.live = false;
                        self.current = None;
                        self.advance()
                    }
                }
            }
            Switch::Outer(Signal::Next(item)) => {
                // The one before is over from here on, even while we are below its `next`.
                self.latest.set(self.latest.get() + 1);
                self.live = false;
                // What it holds, and what waits, gives way to this item.
                let (earlier, waiting) = (self.current.take(), self.waiting.take());
                cancelled(|| drop((earlier, waiting)));
                self.waiting = Some(item);
                self.advance()
            }
            Switch::Outer(Signal::Error(error)) => self.down.error(error),
            Switch::Outer(Signal::Complete) => {
                self.outer_done = true;
                self.advance()
            }
            Switch::Subscribed(number, sub) => {
                self.subscribing = false;
                if self.live && number == self.latest.get() {
                    self.current = sub;
                } else {
                    cancelled(|| drop(sub));
                }
                self.advance()
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Start<In, L>> = self.down.fail(failure);
    }
}
