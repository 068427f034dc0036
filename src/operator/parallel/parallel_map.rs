use std::{collections::VecDeque, convert::Infallible, marker::PhantomData, sync::Arc};

use rxrust::{
    context::{Context, LocalScope, SharedScope},
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::{
    Parallel,
    work::{Bell, Done, Job, Next, Queued, Work},
};
use crate::{
    dead_letter::Reason,
    error::{StreamError, drop_caught},
    gate::{
        Down, Flow, Gate, GateOf, GateSubOf, Machine, SharedGate, Step, StopSubscription, SubOf, attach,
        never, settled,
    },
    operator::batch::BatchObserver,
};

/// See [`parallel_map`](super::ParallelOps::parallel_map).
pub struct ParallelMap<S, F, I, T, E> {
    source: S,
    how: Parallel,
    f: Arc<F>,
    types: PhantomData<fn(I) -> (T, E)>,
}

impl<S, F, I, T, E> ParallelMap<S, F, I, T, E> {
    pub(super) fn new(source: S, how: Parallel, f: F) -> Self {
        Self { source, how, f: Arc::new(f), types: PhantomData }
    }
}

impl<S: Clone, F, I, T, E> Clone for ParallelMap<S, F, I, T, E> {
    fn clone(&self) -> Self {
        Self { source: self.source.clone(), how: self.how.clone(), f: self.f.clone(), types: PhantomData }
    }
}

impl<S, F, I, T, E> ObservableType for ParallelMap<S, F, I, T, E> {
    type Item<'a>
        = Done<I, T>
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, F, I, T, E> = Delivery<<C as Context>::Inner, F, I, T, E>;

impl<S, F, I, T, E, C, U> CoreObservable<C> for ParallelMap<S, F, I, T, E>
where
    C: Context,
    C::Scope: Deliver<MachineOf<C, F, I, T, E>, Input<E>>,
    C::Inner: Observer<Done<I, T>, E>,
    E: 'static,
    F: Fn(&I) -> Result<T, Reason> + Send + Sync + 'static,
    I: Send + 'static,
    T: Send + 'static,
    S: CoreObservable<C::With<Feed<C::Scope, MachineOf<C, F, I, T, E>, F, I, T, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = StopSubscription<GateSubOf<C, MachineOf<C, F, I, T, E>, Input<E>>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let work = Arc::new(Work::new(self.how, self.f));
        let cancel = work.cancel.clone();
        let wait = !C::Scope::THREADS;
        let machine =
            Delivery { down: Down::new(down), work: work.clone(), ready: VecDeque::new(), end: None, wait };
        let gate: GateOf<C, MachineOf<C, F, I, T, E>, Input<E>> = C::Scope::gate(machine);
        let feed = Feed {
            bell: C::Scope::bell(&gate),
            gate: gate.clone(),
            work,
            gone: |gate| settled(gate, || C::Scope::send(gate, Input::Gone, never)),
        };
        attach(&gate, self.source.subscribe(C::With::from_parts(feed, scheduler)));
        StopSubscription::new(gate.downgrade(), cancel)
    }
}

/// Which thread delivers.
pub trait Deliver<M, In>: Flow {
    /// What a thread of the pool calls when a result is ready.
    #[doc(hidden)]
    fn bell(gate: &Self::Gate<M, In>) -> Bell;
}

/// The subscriber's own.
impl<M, In> Deliver<M, In> for LocalScope {
    fn bell(_gate: &Self::Gate<M, In>) -> Bell {
        Arc::new(|| {})
    }
}

/// The one that has done the work.
impl<M, E> Deliver<M, Input<E>> for SharedScope
where
    M: Machine<Input<E>> + Send + 'static,
    E: Send + 'static,
{
    fn bell(gate: &SharedGate<M, Input<E>>) -> Bell {
        let gate = gate.clone();
        Arc::new(move || settled(&gate, || Self::send(&gate, Input::Ready, never)))
    }
}

/// The inputs of a `parallel_map`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<E> {
    /// A result can be delivered.
    Ready,
    /// The source has completed.
    Complete,
    /// The source has failed.
    Error(E),
    /// The source has dropped its observer.
    Gone,
}

/// Delivers the results.
pub struct Delivery<O, F, I, T, E> {
    down: Down<O>,
    work: Arc<Work<F, I, T>>,
    /// Results that are being delivered.
    ready: VecDeque<Done<I, T>>,
    /// The end, once all before it has been delivered.
    end: Option<Input<E>>,
    /// Nobody else delivers: it waits for the results at the end.
    wait: bool,
}

impl<O, F, I, T, E> Drop for Delivery<O, F, I, T, E> {
    fn drop(&mut self) {
        self.work.stop();
    }
}

impl<O, F, I, T, E> Machine<Input<E>> for Delivery<O, F, I, T, E>
where
    O: Observer<Done<I, T>, E>,
    E: 'static,
{
    fn on(&mut self, input: Input<E>) -> Step<Infallible> {
        if !matches!(input, Input::Ready) && self.end.is_none() {
            self.end = Some(input);
        }
        loop {
            if self.work.cancel.cancelled() {
                return Step::Done;
            }
            if let Some(done) = self.ready.pop_front() {
                let Self { down, work, .. } = self;
                match work.delivering(|| down.next(done)) {
                    Step::Continue => continue,
                    done => return done,
                }
            }
            match self.work.take(&mut self.ready) {
                Next::Ready => {}
                Next::NotYet if self.wait && self.end.is_some() => self.work.wait_for_result(),
                Next::NotYet => return Step::Continue,
                Next::Nothing => {
                    return match self.end.take() {
                        Some(Input::Complete) => self.down.complete(),
                        Some(Input::Error(error)) => self.down.error(error),
                        Some(Input::Gone) => Step::Done,
                        Some(Input::Ready) | None => Step::Continue,
                    };
                }
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}

/// The observer of the source: gives its items to the pool.
pub struct Feed<Sc: Flow, M, F, I, T, E> {
    gate: Sc::Gate<M, Input<E>>,
    work: Arc<Work<F, I, T>>,
    bell: Bell,
    /// Sends [`Input::Gone`]; a function, as a `Drop` has no bounds of its own.
    gone: fn(&Sc::Gate<M, Input<E>>),
}

impl<Sc: Flow, M, F, I, T, E> Drop for Feed<Sc, M, F, I, T, E> {
    fn drop(&mut self) {
        self.gate.settle(true);
        if !self.gate.closed() && !std::thread::panicking() {
            (self.gone)(&self.gate);
        }
    }
}

impl<Sc, M, F, I, T, E> Feed<Sc, M, F, I, T, E>
where
    Sc: Flow,
    M: Machine<Input<E>>,
{
    /// Takes an item in, once there is room.
    fn queue(&self, mut item: I) -> Queued {
        let mut wait = true;
        loop {
            match self.work.queue(item, wait) {
                Ok(queued) => return queued,
                Err(back) => item = back,
            }
            wait = self.work.wait_for_room(!Sc::THREADS) && !self.work.cancel.cancelled();
            if !Sc::THREADS && wait {
                Sc::send(&self.gate, Input::Ready, never);
            }
        }
    }
}

impl<Sc, M, F, I, T, E> Observer<I, E> for Feed<Sc, M, F, I, T, E>
where
    Sc: Flow,
    M: Machine<Input<E>>,
    F: Fn(&I) -> Result<T, Reason> + Send + Sync + 'static,
    I: Send + 'static,
    T: Send + 'static,
{
    fn next(&mut self, item: I) {
        if self.gate.closed() {
            return drop_caught(item);
        }
        let Queued { start, ready } = self.queue(item);
        if start {
            Job { work: self.work.clone(), bell: self.bell.clone() }.spawn();
        }
        if !Sc::THREADS && ready {
            Sc::send(&self.gate, Input::Ready, never);
        }
    }

    fn error(self, error: E) {
        settled(&self.gate, || Sc::send(&self.gate, Input::Error(error), never));
    }

    fn complete(self) {
        settled(&self.gate, || Sc::send(&self.gate, Input::Complete, never));
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.gate.closed()
    }
}

impl<Sc, M, F, I, T, E> BatchObserver<I, E> for Feed<Sc, M, F, I, T, E>
where
    Sc: Flow,
    M: Machine<Input<E>>,
    F: Fn(&I) -> Result<T, Reason> + Send + Sync + 'static,
    I: Send + 'static,
    T: Send + 'static,
{
}
