use std::{convert::Infallible, marker::PhantomData, sync::Arc};

use rxrust::{
    context::{Context, LocalScope, Scope, SharedScope},
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::{
    Pipeline, When,
    stage::{Node, Open, Yielded, note_edge, subscribe_above},
};
use crate::{
    error::{StreamError, drop_caught},
    gate::{
        ActObserver, Down, Flow, Gate, GateOf, GateSubOf, Machine, Place, Port, Signal, Step, SubOf, attach,
        never,
    },
    sync::lock,
};

/// See [`stoppable`](super::PipelineOps::stoppable).
pub struct Stoppable<S, T, E> {
    source: S,
    pipeline: Pipeline,
    node: Arc<Node>,
    types: PhantomData<fn() -> (T, E)>,
}

impl<S: Clone, T, E> Clone for Stoppable<S, T, E> {
    fn clone(&self) -> Self {
        Self::new(self.source.clone(), self.pipeline.clone(), self.node.clone())
    }
}

impl<S, T, E> Stoppable<S, T, E> {
    pub(super) fn new(source: S, pipeline: Pipeline, node: Arc<Node>) -> Self {
        Self { source, pipeline, node, types: PhantomData }
    }
}

impl<S, T, E> ObservableType for Stoppable<S, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, E> = Stopping<<C as Context>::Inner, E>;
type ObserverOf<C, T, E> = ActObserver<
    <C as Context>::Scope,
    MachineOf<C, E>,
    Input<T, E>,
    Infallible,
    Source,
    <C as Context>::Scheduler,
>;

impl<S, T, E, C, U> CoreObservable<C> for Stoppable<S, T, E>
where
    C: Context,
    C::Scope: Flow + Keeps,
    C::Scheduler: Clone,
    C::Inner: Observer<T, E>,
    E: 'static,
    S: CoreObservable<C::With<ObserverOf<C, T, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
    Stop<C::Scope, MachineOf<C, E>, Input<T, E>>: IntoBoxedSubscription<SubOf<C>>,
    Withheld<C::Inner>: IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, E>, Input<T, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let Self { source, pipeline, node, .. } = self;
        note_edge(&node);
        let (down, scheduler) = context.into_parts();
        let machine = Stopping {
            down: Down::new(down),
            yielded: Yielded::new(node.clone()),
            _open: Open::new(node.clone()),
            pipeline: pipeline.clone(),
            subscribed: false,
            withhold: |pipeline, down| C::Scope::keep(pipeline, When::Quiet, Withheld(down).into_boxed()),
            types: PhantomData,
        };
        let gate: GateOf<C, MachineOf<C, E>, Input<T, E>> = C::Scope::gate(machine);
        let send = |gate: &GateOf<C, MachineOf<C, E>, Input<T, E>>| C::Scope::send(gate, Input::Stop, never);
        let stop = Stop { gate: gate.downgrade(), send };
        C::Scope::keep(&pipeline, When::Stopped, stop.into_boxed());
        let observer = ActObserver::new(&gate, &scheduler, |_, _, act| never(act), Source(pipeline));
        attach(
            &gate,
            subscribe_above(&node, true, || source.subscribe(C::With::from_parts(observer, scheduler))),
        );
        C::Scope::send(&gate, Input::Subscribed, never);
        gate.downgrade()
    }
}

/// What comes to a source that can be stopped.
pub enum Input<T, E> {
    /// From the source itself.
    Source(Signal<T, E>),
    /// The source has been subscribed, and has not kept its thread.
    Subscribed,
    /// The pipeline shuts down.
    Stop,
}

/// The source itself, which is over when the pipeline stops.
pub struct Source(Pipeline);

impl Place for Source {
    const ONLY_SOURCE: bool = true;
}

impl<T, E> Port<T, E, Input<T, E>> for Source {
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> Input<T, E> {
        Input::Source(signal)
    }

    #[inline]
    fn is_over(&self) -> bool {
        self.0.is_stopping()
    }
}

/// Passes all on until the pipeline shuts down, and completes then.
pub struct Stopping<O, E> {
    down: Down<O>,
    yielded: Yielded,
    _open: Open,
    pipeline: Pipeline,
    subscribed: bool,
    /// Has the pipeline keep what is below.
    withhold: fn(&Pipeline, O),
    types: PhantomData<fn() -> E>,
}

impl<O, E> Stopping<O, E> {
    /// The pipeline stops: what is below ends now, or when the pipeline says so.
    fn stop<T>(&mut self) -> Step<Infallible>
    where
        O: Observer<T, E>,
    {
        if self.pipeline.abandons_after().is_none() {
            return self.down.complete();
        }
        if let Some(down) = self.down.take() {
            (self.withhold)(&self.pipeline, down);
        }
        Step::Done
    }
}

/// What is below a source that has stopped without an end. Its end drops what it holds.
pub struct Withheld<O>(O);

impl<O> Subscription for Withheld<O> {
    fn unsubscribe(self) {
        drop_caught(self.0);
    }

    fn is_closed(&self) -> bool {
        false
    }
}

impl<O, T, E> Machine<Input<T, E>> for Stopping<O, E>
where
    O: Observer<T, E>,
    E: 'static,
{
    #[inline]
    fn on(&mut self, input: Input<T, E>) -> Step<Infallible> {
        match input {
            Input::Source(Signal::Next(item)) => {
                self.yielded.one();
                match self.down.next(item) {
                    // Stopped by another thread, which could not reach it.
                    Step::Continue if self.subscribed && self.pipeline.is_stopping() => self.stop(),
                    step => step,
                }
            }
            Input::Source(Signal::Error(error)) => self.down.error(error),
            // What keeps its thread completes when it sees that it is over.
            Input::Source(Signal::Complete) if self.pipeline.is_stopping() => self.stop(),
            Input::Source(Signal::Complete) => self.down.complete(),
            // What keeps its thread sees by itself that it is over, and completes after the event that it is at. What waits
            // for an event would not.
            Input::Subscribed | Input::Stop => {
                self.subscribed |= matches!(input, Input::Subscribed);
                if self.subscribed && self.pipeline.is_stopping() { self.stop() } else { Step::Continue }
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}

/// Completes a source, as a subscription that is ended.
pub struct Stop<Sc: Flow, M, In> {
    gate: <Sc::Gate<M, In> as Gate<M, In>>::Weak,
    send: fn(&Sc::Gate<M, In>),
}

impl<Sc: Flow, M, In> Subscription for Stop<Sc, M, In> {
    fn unsubscribe(self) {
        if let Some(gate) = Sc::Gate::upgrade(&self.gate) {
            (self.send)(&gate);
        }
    }

    fn is_closed(&self) -> bool {
        Sc::Gate::upgrade(&self.gate).is_none_or(|gate| gate.closed())
    }
}

/// Where a pipeline keeps what it must end.
pub trait Keeps: Scope {
    /// Keeps it until then.
    fn keep(pipeline: &Pipeline, when: When, subscription: Self::BoxedSubscription);
}

/// With the thread: it is that thread which shuts it down.
impl Keeps for LocalScope {
    fn keep(pipeline: &Pipeline, when: When, subscription: Self::BoxedSubscription) {
        super::local::keep(pipeline, when, subscription);
    }
}

impl Keeps for SharedScope {
    fn keep(pipeline: &Pipeline, when: When, subscription: Self::BoxedSubscription) {
        lock(&pipeline.0.kept).keep(when, subscription);
    }
}
