use std::{collections::VecDeque, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, Observable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use crate::{
    buffer::Buffer,
    error::{StreamError, named},
    gate::{
        ActObserver, Down, Flow, Gate, GateOf, GateSubOf, Inner, Machine, Outer, Port, Signal, Step, SubOf,
        attach, thread_token,
    },
    held::Held,
};

/// See [`flat_map`](super::TransformOps::flat_map).
pub struct FlatMap<S, F, I, In, T, E> {
    source: S,
    f: F,
    concurrency: usize,
    buffer: Buffer,
    types: PhantomData<fn(I) -> (In, T, E)>,
}

impl<S, F, I, In, T, E> FlatMap<S, F, I, In, T, E> {
    pub(super) fn new(source: S, f: F, concurrency: usize, buffer: Buffer) -> Self {
        Self { source, f, concurrency: concurrency.max(1), buffer, types: PhantomData }
    }
}

impl<S: Clone, F: Clone, I, In, T, E> Clone for FlatMap<S, F, I, In, T, E> {
    fn clone(&self) -> Self {
        let Self { source, f, concurrency, buffer, types } = self;
        Self {
            source: source.clone(),
            f: f.clone(),
            concurrency: *concurrency,
            buffer: buffer.clone(),
            types: *types,
        }
    }
}

impl<S, F, I, In, T, E> ObservableType for FlatMap<S, F, I, In, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, F, I, In, T, E> = Flattening<<C as Context>::Inner, F, I, In, T, E>;
type FlatGate<C, F, I, In, T, E> = GateOf<C, MachineOf<C, F, I, In, T, E>, Flat<I, T, E>>;
type Input<C, F, I, In, T, E, P> = ActObserver<
    <C as Context>::Scope,
    MachineOf<C, F, I, In, T, E>,
    Flat<I, T, E>,
    In,
    P,
    <C as Context>::Scheduler,
>;

impl<S, F, I, In, T, E, C, U, V> CoreObservable<C> for FlatMap<S, F, I, In, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    E: 'static,
    F: FnMut(I) -> In,
    In: Observable,
    S: CoreObservable<C::With<Input<C, F, I, In, T, E, Outer>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
    In::Inner: CoreObservable<C::With<Input<C, F, I, In, T, E, Inner>>, Unsub = V>,
    V: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, F, I, In, T, E>, Flat<I, T, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let gate = C::Scope::gate(Flattening {
            down: Down::new(down),
            f: self.f,
            concurrency: self.concurrency,
            live: 0,
            waiting: Held::open(&self.buffer),
            buffer: self.buffer,
            outer_done: false,
            subscribing: Vec::new(),
            types: PhantomData,
        });
        // Subscribes one inner source after the other as the machine hands them out: a loop, not a recursion.
        fn start<C, F, I, In, T, E, V>(
            gate: &FlatGate<C, F, I, In, T, E>,
            scheduler: &C::Scheduler,
            first: In,
        ) where
            C: Context,
            C::Scope: Flow,
            C::Inner: Observer<T, E>,
            E: 'static,
            F: FnMut(I) -> In,
            In: Observable,
            In::Inner: CoreObservable<C::With<Input<C, F, I, In, T, E, Inner>>, Unsub = V>,
            V: Subscription + IntoBoxedSubscription<SubOf<C>>,
        {
            let mut next = VecDeque::from([first]);
            while let Some(inner) = next.pop_front() {
                let observer = ActObserver::new(gate, scheduler, start::<C, F, I, In, T, E, V>, Inner);
                attach(gate, inner.into_inner().subscribe(C::With::from_parts(observer, scheduler.clone())));
                C::Scope::send(gate, Flat::Subscribed(thread_token()), |inner| next.push_back(inner));
            }
        }
        let observer = ActObserver::new(&gate, &scheduler, start::<C, F, I, In, T, E, V>, Outer);
        attach(&gate, self.source.subscribe(C::With::from_parts(observer, scheduler)));
        gate.downgrade()
    }
}

/// The inputs of a flattening operator.
#[derive(Debug)]
pub enum Flat<I, T, E> {
    /// From the source.
    Outer(Signal<I, E>),
    /// From an inner source.
    Inner(Signal<T, E>),
    /// A thread has subscribed to an inner source and can subscribe to the next.
    Subscribed(usize),
}

impl<I, T, E> Port<I, E, Flat<I, T, E>> for Outer {
    #[inline]
    fn input(&self, signal: Signal<I, E>) -> Flat<I, T, E> {
        Flat::Outer(signal)
    }
}

impl<I, T, E> Port<T, E, Flat<I, T, E>> for Inner {
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> Flat<I, T, E> {
        Flat::Inner(signal)
    }
}

/// The state of a `flat_map`.
pub struct Flattening<O, F, I, In, T, E> {
    down: Down<O>,
    f: F,
    concurrency: usize,
    live: usize,
    waiting: Held<I>,
    buffer: Buffer,
    outer_done: bool,
    /// The threads that are subscribing to an inner source right now: what they trigger waits for them.
    subscribing: Vec<usize>,
    types: PhantomData<fn() -> (In, T, E)>,
}

impl<O, F, I, In, T, E> Flattening<O, F, I, In, T, E>
where
    O: Observer<T, E>,
    F: FnMut(I) -> In,
    E: 'static,
{
    fn may_start(&self, thread: usize) -> bool {
        self.live < self.concurrency && !self.subscribing.contains(&thread)
    }

    fn start(&mut self, item: I, thread: usize) -> Step<In> {
        let inner = named(|| "flat_map", || (self.f)(item));
        self.live += 1;
        self.subscribing.push(thread);
        Step::Act(inner)
    }

    /// The next that waits, if it may start; the end, if there is nothing left.
    fn advance(&mut self) -> Step<In> {
        let thread = thread_token();
        if self.may_start(thread)
            && let Some(item) = self.waiting.pop_front()
        {
            return self.start(item, thread);
        }
        if self.outer_done && self.live == 0 && self.waiting.is_empty() {
            self.down.complete()
        } else {
            Step::Continue
        }
    }
}

impl<O, F, I, In, T, E> Machine<Flat<I, T, E>, In> for Flattening<O, F, I, In, T, E>
where
    O: Observer<T, E>,
    F: FnMut(I) -> In,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: Flat<I, T, E>) -> Step<In> {
        match input {
            Flat::Inner(Signal::Next(item)) => self.down.next(item),
            Flat::Outer(Signal::Next(item)) => {
                let thread = thread_token();
                if self.waiting.is_empty() && self.may_start(thread) {
                    return self.start(item, thread);
                }
                match self.buffer.push(&mut self.waiting, item, "flat_map") {
                    Ok(_) => Step::Continue,
                    Err((full, _)) => self.down.fail(full),
                }
            }
            Flat::Inner(Signal::Complete) => {
                self.live -= 1;
                self.advance()
            }
            Flat::Outer(Signal::Complete) => {
                self.outer_done = true;
                self.advance()
            }
            Flat::Subscribed(thread) => {
                if let Some(at) = self.subscribing.iter().position(|t| *t == thread) {
                    self.subscribing.swap_remove(at);
                }
                self.advance()
            }
            Flat::Outer(Signal::Error(error)) | Flat::Inner(Signal::Error(error)) => self.down.error(error),
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<In> = self.down.fail(failure);
    }
}
