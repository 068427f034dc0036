use std::marker::PhantomData;

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::Plan;
use crate::{
    error::{StreamError, named},
    gate::{
        ActObserver, Down, Flow, Gate, GateOf, GateSubOf, Machine, Place, Port, Signal, Step, SubOf, attach,
        in_turn, settled,
    },
};

/// One source after the other, as a [`Plan`] says: [`concat_with`](super::CombineOps::concat_with),
/// [`concat_all`](crate::operator::create::CreateOps::concat_all),
/// [`repeat`](super::CombineOps::repeat),
/// [`on_error_resume_next`](crate::operator::error::ErrorOps::on_error_resume_next).
pub struct Sequence<A, P, T, E> {
    first: Option<A>,
    plan: P,
    types: PhantomData<fn() -> (T, E)>,
}

impl<A, P, T, E> Sequence<A, P, T, E> {
    /// Without a `first` it begins as if that had completed.
    pub(crate) fn new(first: Option<A>, plan: P) -> Self {
        Self { first, plan, types: PhantomData }
    }
}

impl<A: Clone, P: Clone, T, E> Clone for Sequence<A, P, T, E> {
    fn clone(&self) -> Self {
        Self::new(self.first.clone(), self.plan.clone())
    }
}

impl<A, P, T, E> ObservableType for Sequence<A, P, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, B, P, T, E> = Sequencing<<C as Context>::Inner, B, P, T, E>;
type SequenceGate<C, B, P, T, E> = GateOf<C, MachineOf<C, B, P, T, E>, Turn<T, E>>;
type SourceObserver<C, B, P, T, E> = ActObserver<
    <C as Context>::Scope,
    MachineOf<C, B, P, T, E>,
    Turn<T, E>,
    B,
    Current,
    <C as Context>::Scheduler,
>;

impl<A, B, P, T, E, C, U, V> CoreObservable<C> for Sequence<A, P, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    E: 'static,
    P: Plan<E, Source = B>,
    A: CoreObservable<C::With<SourceObserver<C, B, P, T, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
    B: CoreObservable<C::With<SourceObserver<C, B, P, T, E>>, Unsub = V>,
    V: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, B, P, T, E>, Turn<T, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let gate = C::Scope::gate(Sequencing {
            down: Down::new(down),
            plan: self.plan,
            subscribing: true,
            ended: self.first.is_none().then_some(Ok(())),
            types: PhantomData,
        });
        fn follow<C, B, P, T, E, V>(gate: &SequenceGate<C, B, P, T, E>, scheduler: &C::Scheduler, first: B)
        where
            C: Context,
            C::Scope: Flow,
            C::Inner: Observer<T, E>,
            E: 'static,
            P: Plan<E, Source = B>,
            B: CoreObservable<C::With<SourceObserver<C, B, P, T, E>>, Unsub = V>,
            V: Subscription + IntoBoxedSubscription<SubOf<C>>,
        {
            in_turn(first, |source: B, next| {
                let observer = ActObserver::new(gate, scheduler, follow::<C, B, P, T, E, V>, Current);
                attach(gate, source.subscribe(C::With::from_parts(observer, scheduler.clone())));
                settled(gate, || C::Scope::send(gate, Turn::Subscribed, next));
            });
        }
        if let Some(first) = self.first {
            let observer = ActObserver::new(&gate, &scheduler, follow::<C, B, P, T, E, V>, Current);
            attach(&gate, first.subscribe(C::With::from_parts(observer, scheduler.clone())));
        }
        let second = |source| follow::<C, B, P, T, E, V>(&gate, &scheduler, source);
        settled(&gate, || C::Scope::send(&gate, Turn::Subscribed, second));
        gate.downgrade()
    }
}

/// The inputs of a sequence of sources.
#[derive(Debug)]
pub enum Turn<T, E> {
    /// From the source whose turn it is.
    Source(Signal<T, E>),
    /// The thread that subscribed is free.
    Subscribed,
}

/// The source whose turn it is.
#[derive(Debug, Clone, Copy)]
pub struct Current;

impl Place for Current {
    const ONLY_SOURCE: bool = true;
}

impl<T, E> Port<T, E, Turn<T, E>> for Current {
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> Turn<T, E> {
        Turn::Source(signal)
    }
}

/// The state of a sequence of sources.
pub struct Sequencing<O, B, P, T, E> {
    down: Down<O>,
    plan: P,
    /// Somebody is subscribing: the next source waits for that.
    subscribing: bool,
    /// How the source ended that was the last to.
    ended: Option<Result<(), E>>,
    types: PhantomData<fn() -> (B, T)>,
}

impl<O: Observer<T, E>, B, P: Plan<E, Source = B>, T, E: 'static> Sequencing<O, B, P, T, E> {
    /// Out of line, so that an item needs few registers.
    #[cold]
    #[inline(never)]
    fn turn(&mut self) -> Step<B> {
        if self.subscribing {
            return Step::Continue;
        }
        let Some(end) = self.ended.take() else { return Step::Continue };
        match named(|| P::NAME, || self.plan.after(end)) {
            Ok(source) => {
                self.subscribing = true;
                Step::Act(source)
            }
            Err(Ok(())) => self.down.complete(),
            Err(Err(error)) => self.down.error(error),
        }
    }
}

impl<O: Observer<T, E>, B, P: Plan<E, Source = B>, T, E: 'static> Machine<Turn<T, E>, B>
    for Sequencing<O, B, P, T, E>
{
    #[inline(always)]
    fn on(&mut self, input: Turn<T, E>) -> Step<B> {
        match input {
            Turn::Source(Signal::Next(item)) => return self.down.next(item),
            Turn::Source(Signal::Complete) => self.ended = Some(Ok(())),
            Turn::Source(Signal::Error(error)) => self.ended = Some(Err(error)),
            Turn::Subscribed => self.subscribing = false,
        }
        self.turn()
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<B> = self.down.fail(failure);
    }
}
