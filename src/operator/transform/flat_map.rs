use std::marker::PhantomData;

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
        attach, in_turn,
    },
    held::Held,
    operator::rate::OnDropped,
    sync::thread_token,
};

/// See [`flat_map`](super::TransformOps::flat_map) and, with another `W`, [`exhaust_map`](super::TransformOps::exhaust_map).
pub struct FlatMap<S, F, I, In, T, E, W = Wait> {
    source: S,
    f: F,
    concurrency: usize,
    buffer: Buffer,
    busy: W,
    types: PhantomData<fn(I) -> (In, T, E)>,
}

impl<S, F, I, In, T, E, W> FlatMap<S, F, I, In, T, E, W> {
    pub(super) fn new(source: S, f: F, concurrency: usize, buffer: Buffer, busy: W) -> Self {
        Self { source, f, concurrency: concurrency.max(1), buffer, busy, types: PhantomData }
    }
}

impl<S, In, T, E> FlatMap<S, super::Itself<In>, In, In, T, E> {
    /// All of a stream of streams, as they come; as many at once as the default buffer has room for.
    pub(crate) fn merged(source: S) -> Self {
        let buffer = Buffer::default();
        Self::new(source, |inner| inner, buffer.capacity(), buffer, Wait)
    }
}

impl<S: Clone, F: Clone, I, In, T, E, W: Clone> Clone for FlatMap<S, F, I, In, T, E, W> {
    fn clone(&self) -> Self {
        let Self { source, f, concurrency, buffer, busy, types } = self;
        Self {
            source: source.clone(),
            f: f.clone(),
            concurrency: *concurrency,
            buffer: buffer.clone(),
            busy: busy.clone(),
            types: *types,
        }
    }
}

/// What becomes of an item that comes while as many inner sources are live as may be.
pub trait Busy<I> {
    /// The operator's name, in errors.
    const NAME: &'static str;
    /// Gives it back if it shall wait.
    fn turn_away(&mut self, item: I) -> Option<I>;
}

/// It waits in the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Wait;

impl<I> Busy<I> for Wait {
    const NAME: &'static str = "flat_map";

    #[inline(always)]
    fn turn_away(&mut self, item: I) -> Option<I> {
        Some(item)
    }
}

/// It waits in the buffer, for its turn.
#[derive(Debug, Clone, Copy)]
pub struct InTurn;

impl<I> Busy<I> for InTurn {
    const NAME: &'static str = "concat_map";

    #[inline(always)]
    fn turn_away(&mut self, item: I) -> Option<I> {
        Some(item)
    }
}

/// It is dropped.
#[derive(Debug, Clone, Copy)]
pub struct Exhaust<D>(pub(super) D);

impl<I, D: OnDropped<I>> Busy<I> for Exhaust<D> {
    const NAME: &'static str = "exhaust_map";

    #[inline]
    fn turn_away(&mut self, item: I) -> Option<I> {
        self.0.dropped(item);
        None
    }
}

impl<S, F, I, In, T, E, W> ObservableType for FlatMap<S, F, I, In, T, E, W> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, F, I, In, T, E, W> = Flattening<<C as Context>::Inner, F, I, In, T, E, W>;
type FlatGate<C, F, I, In, T, E, W> = GateOf<C, MachineOf<C, F, I, In, T, E, W>, Flat<I, T, E>>;
type Input<C, F, I, In, T, E, W, P> = ActObserver<
    <C as Context>::Scope,
    MachineOf<C, F, I, In, T, E, W>,
    Flat<I, T, E>,
    In,
    P,
    <C as Context>::Scheduler,
>;

impl<S, F, I, In, T, E, W, C, U, V> CoreObservable<C> for FlatMap<S, F, I, In, T, E, W>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    E: 'static,
    F: FnMut(I) -> In,
    W: Busy<I>,
    In: Observable,
    S: CoreObservable<C::With<Input<C, F, I, In, T, E, W, Outer>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
    In::Inner: CoreObservable<C::With<Input<C, F, I, In, T, E, W, Inner>>, Unsub = V>,
    V: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, F, I, In, T, E, W>, Flat<I, T, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let gate = C::Scope::gate(Flattening {
            down: Down::new(down),
            f: self.f,
            concurrency: self.concurrency,
            live: 0,
            waiting: Held::open(&self.buffer),
            buffer: self.buffer,
            busy: self.busy,
            outer_done: false,
            subscribing: Vec::new(),
            types: PhantomData,
        });
        fn start<C, F, I, In, T, E, W, V>(
            gate: &FlatGate<C, F, I, In, T, E, W>,
            scheduler: &C::Scheduler,
            first: In,
        ) where
            C: Context,
            C::Scope: Flow,
            C::Inner: Observer<T, E>,
            E: 'static,
            F: FnMut(I) -> In,
            W: Busy<I>,
            In: Observable,
            In::Inner: CoreObservable<C::With<Input<C, F, I, In, T, E, W, Inner>>, Unsub = V>,
            V: Subscription + IntoBoxedSubscription<SubOf<C>>,
        {
            in_turn(first, |inner: In, next| {
                let observer = ActObserver::new(gate, scheduler, start::<C, F, I, In, T, E, W, V>, Inner);
                attach(gate, inner.into_inner().subscribe(C::With::from_parts(observer, scheduler.clone())));
                C::Scope::send(gate, Flat::Subscribed(thread_token()), next);
            });
        }
        let observer = ActObserver::new(&gate, &scheduler, start::<C, F, I, In, T, E, W, V>, Outer);
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
pub struct Flattening<O, F, I, In, T, E, W> {
    down: Down<O>,
    f: F,
    concurrency: usize,
    live: usize,
    waiting: Held<I>,
    buffer: Buffer,
    busy: W,
    outer_done: bool,
    /// The threads that are subscribing to an inner source right now: what they trigger waits for them.
    subscribing: Vec<usize>,
    types: PhantomData<fn() -> (In, T, E)>,
}

impl<O, F, I, In, T, E, W> Flattening<O, F, I, In, T, E, W>
where
    O: Observer<T, E>,
    F: FnMut(I) -> In,
    W: Busy<I>,
    E: 'static,
{
    fn may_start(&self, thread: usize) -> bool {
        self.live < self.concurrency && !self.subscribing.contains(&thread)
    }

    fn start(&mut self, item: I, thread: usize) -> Step<In> {
        let inner = named(|| W::NAME, || (self.f)(item));
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

impl<O, F, I, In, T, E, W> Machine<Flat<I, T, E>, In> for Flattening<O, F, I, In, T, E, W>
where
    O: Observer<T, E>,
    F: FnMut(I) -> In,
    W: Busy<I>,
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
                // It may start as soon as this thread is free.
                let may_soon = self.live + self.waiting.len() < self.concurrency;
                let Some(item) =
                    (if may_soon { Some(item) } else { named(|| W::NAME, || self.busy.turn_away(item)) })
                else {
                    return Step::Continue;
                };
                self.down.hold(&self.buffer, &mut self.waiting, item, W::NAME)
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
