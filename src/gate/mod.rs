//! The one place where inputs of several sources, threads and timers become a sequence.
//!
//! An operator with more than one input is a [`Machine`]: its state and the observer below it. Its inputs go through
//! a [`Gate`]: whoever finds the machine free runs it, everybody else (another thread, or the machine's own
//! downstream calling back) leaves the input in the gate's inbox, and the one who runs it takes that too, in order.
//! So a machine sees one input at a time and loses none, and nobody waits for another thread to leave the machine's
//! downstream, but for one case: who finds 1,024 inputs in the inbox waits for room, unless the one who makes room waits
//! for him.
//!
//! [`LocalGate`] is a `RefCell`; [`SharedGate`] costs two atomic exchanges per input when nobody competes. A machine
//! that panics is closed; the panic goes on to the source that drives the gate, is caught there, and ends the machine
//! when that source drops its observer. So a panic costs nothing until there is one.

mod local;
mod shared;

pub use local::{LocalGate, WeakLocalGate};
pub(crate) use shared::{LOOK_AGAIN, Waiting};
pub use shared::{SharedGate, WeakSharedGate};

use std::{
    collections::VecDeque,
    convert::Infallible,
    iter,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use rxrust::{
    context::{Context, LocalScope, Scope, SharedScope},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription, SubscriptionGuard},
};

use crate::{
    buffer::Buffer,
    delivery::fate::abandoning,
    error::{PanicError, StreamError, catch, drop_caught, fail, settle_with, take_failure, unhandled},
    held::Held,
    operator::{
        apply::Emit,
        batch::{BATCH, Batch, BatchObserver},
    },
    time::Cancel,
};

/// What a machine asks for after an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<A> {
    /// Go on.
    Continue,
    /// The output has ended (or nobody listens): close the gate, release everything.
    Done,
    /// Go on, and do this once the gate is free again (subscribing to an inner source, say).
    Act(A),
}

/// The state of an operator with several inputs, and what it does with one of them.
///
/// `In` are the inputs of all its sources and timers. `Act` is what must happen with the gate released; there is no
/// such thing in most.
///
/// (Both are parameters, not associated types: a chain of machines is then checked once per machine. With associated
/// types the compiler asks for the whole chain below at each of their uses, and a chain of 20 takes a minute.)
pub trait Machine<In, Act = Infallible> {
    /// Handles one input. Never called twice at once.
    fn on(&mut self, input: In) -> Step<Act>;
    /// [`on`](Self::on) panicked: end the downstream with that.
    fn fail(&mut self, failure: StreamError);
}

/// A shared handle to a [`Machine`]: close it, hang the upstream subscriptions on it; [`Flow::send`] gives it inputs.
///
/// Whoever may still send holds one: sources, through their observers, and timers. The operator's subscription is the
/// [`Weak`](Self::Weak) handle: gates above and below each other would keep each other alive otherwise.
pub trait Gate<M, In>: Clone {
    /// The subscriptions of this scope, boxed.
    type Sub: Subscription;
    /// A handle that does not keep the machine alive. As a [`Subscription`] it is the operator's: unsubscribing closes
    /// the gate at once.
    type Weak: Clone + Subscription;

    /// Whether the output has ended or was unsubscribed.
    fn closed(&self) -> bool;
    /// Ends it silently: the machine is dropped, the upstream subscriptions are ended, inputs are ignored from now on.
    fn close(&self);
    /// Hangs an upstream subscription on the gate: it is ended when the gate closes (at once, if it has closed).
    fn attach(&self, upstream: Self::Sub);
    /// Called when an observer that feeds the gate is dropped. If the machine has panicked under it, the downstream is
    /// ended with that now, by whoever caught the panic. Likewise if a failure above, which no error type there could
    /// hold, is what drops the observer of the gate's only source; a source beside it is not harmed by such a failure.
    fn settle(&self, only_source: bool);
    /// See [`Gate::Weak`].
    fn downgrade(&self) -> Self::Weak;
    /// The gate, if somebody still holds it.
    fn upgrade(weak: &Self::Weak) -> Option<Self>;
}

/// The two scopes of rxRust, with their gate.
pub trait Flow: Scope {
    /// [`LocalGate`] or [`SharedGate`].
    type Gate<M, In>: Gate<M, In, Sub = <Self as Scope>::BoxedSubscription>;
    /// Whether several threads may take part.
    const THREADS: bool;

    /// A gate around `machine`.
    fn gate<M, In, Act>(machine: M) -> Self::Gate<M, In>
    where
        M: Machine<In, Act>;

    /// Hands `input` in. If the machine is free it runs now, and everything that arrived meanwhile; `perform` is then
    /// called for each [`Step::Act`] with the gate free.
    fn send<M, In, Act>(gate: &Self::Gate<M, In>, input: In, perform: impl FnMut(Act))
    where
        M: Machine<In, Act>;

    /// Hands `inputs` in, in order, as [`send`](Self::send) does, but enters the gate once for all of them if it can.
    /// The iterator is asked with the gate held: it must neither panic nor feed the gate.
    fn send_all<M, In>(gate: &Self::Gate<M, In>, inputs: impl Iterator<Item = In>)
    where
        M: Machine<In>;
}

macro_rules! flow {
    ($scope:ident, $gate:ident, threads: $threads:literal) => {
        impl Flow for $scope {
            type Gate<M, In> = $gate<M, In>;
            const THREADS: bool = $threads;

            fn gate<M, In, Act>(machine: M) -> $gate<M, In>
            where
                M: Machine<In, Act>,
            {
                $gate::new(machine, <M as Machine<In, Act>>::fail)
            }

            #[inline(always)]
            fn send<M, In, Act>(gate: &$gate<M, In>, input: In, perform: impl FnMut(Act))
            where
                M: Machine<In, Act>,
            {
                gate.send(input, perform);
            }

            #[inline(always)]
            fn send_all<M, In>(gate: &$gate<M, In>, inputs: impl Iterator<Item = In>)
            where
                M: Machine<In>,
            {
                gate.send_all(inputs);
            }
        }
    };
}
flow!(LocalScope, LocalGate, threads: false);
flow!(SharedScope, SharedGate, threads: true);

/// The gate of context `C` around machine `M` with inputs `In`.
pub type GateOf<C, M, In> = <<C as Context>::Scope as Flow>::Gate<M, In>;
/// The subscription of an operator with such a gate.
pub type GateSubOf<C, M, In> = <GateOf<C, M, In> as Gate<M, In>>::Weak;
/// The boxed subscription of context `C`.
pub type SubOf<C> = <<C as Context>::Scope as Scope>::BoxedSubscription;

/// The failure that a machine which panicked ends with.
fn panic_of_machine() -> StreamError {
    take_failure().unwrap_or_else(|| {
        let message = "caught outside of this crate".into();
        PanicError { operator: "downstream", message }.into()
    })
}

/// Sends the end of a source. Its observer is given away with that, so a panic is caught here.
#[inline(always)]
pub(crate) fn settled<M, In>(gate: &impl Gate<M, In>, send: impl FnOnce()) {
    if let Err(panic) = catch("downstream", send) {
        settle_with(panic.into(), || gate.settle(false));
    }
}

/// For gates whose machine never acts.
#[inline]
pub fn never(act: Infallible) {
    match act {}
}

/// Subscribes nothing, keeps `upstream` to end it with the gate; what has already ended is not kept.
#[inline]
pub fn attach<M, In, G, U>(gate: &G, upstream: U)
where
    G: Gate<M, In>,
    U: Subscription + IntoBoxedSubscription<G::Sub>,
{
    if !upstream.is_closed() {
        gate.attach(upstream.into_boxed());
    }
}

/// An upstream subscription that a machine keeps itself, to end it before the gate closes; `None` where it has ended.
pub(crate) fn guarded<U, Sub>(upstream: U) -> Option<SubscriptionGuard<Sub>>
where
    U: Subscription + IntoBoxedSubscription<Sub>,
    Sub: Subscription,
{
    (!upstream.is_closed()).then(|| SubscriptionGuard::new(upstream.into_boxed()))
}

/// The subscription to an operator whose machine may send several items in one step: unsubscribed meanwhile, it finds
/// that out between two of them.
pub struct StopSubscription<G> {
    gate: G,
    cancel: Cancel,
}

impl<G> StopSubscription<G> {
    pub(crate) fn new(gate: G, cancel: Cancel) -> Self {
        Self { gate, cancel }
    }
}

impl<G: Subscription> Subscription for StopSubscription<G> {
    fn unsubscribe(self) {
        self.cancel.cancel();
        self.gate.unsubscribe();
    }

    fn is_closed(&self) -> bool {
        self.gate.is_closed()
    }
}

/// What an observer is told (RxJava, RxJS: `Notification`). As JSON: `{"next":1}`, `{"error":"down"}`, `"complete"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal<T, E> {
    /// An item.
    Next(T),
    /// The end, by an error.
    Error(E),
    /// The end.
    Complete,
}

/// The inputs of an operator with two sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Either<A, B, E> {
    /// From the source that the operator was called on.
    Left(Signal<A, E>),
    /// From the other one.
    Right(Signal<B, E>),
}

/// Which input of a machine a signal of one source is.
pub trait Port<T, E, In> {
    /// The signal as one of the machine's inputs.
    fn input(&self, signal: Signal<T, E>) -> In;
    /// Whether nobody listens to this source any more, though the gate is open.
    #[inline]
    fn is_over(&self) -> bool {
        false
    }
}

/// What a port is whatever its signals are.
pub trait Place {
    /// Whether the gate has no other source; see [`Gate::settle`].
    const ONLY_SOURCE: bool = false;
}

impl Place for Left {}
impl Place for Right {}
impl Place for Outer {}
impl Place for Inner {}

/// All sources alike.
#[derive(Debug, Clone, Copy, Default)]
pub struct Any;
/// The source that the operator was called on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Left;
/// The other source.
#[derive(Debug, Clone, Copy, Default)]
pub struct Right;
/// The source of a flattening operator.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outer;
/// An inner source of a flattening operator.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inner;

impl<T, E> Port<T, E, Signal<T, E>> for Any {
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> Signal<T, E> {
        signal
    }
}

impl<A, B, E> Port<A, E, Either<A, B, E>> for Left {
    #[inline]
    fn input(&self, signal: Signal<A, E>) -> Either<A, B, E> {
        Either::Left(signal)
    }
}

impl<A, B, E> Port<B, E, Either<A, B, E>> for Right {
    #[inline]
    fn input(&self, signal: Signal<B, E>) -> Either<A, B, E> {
        Either::Right(signal)
    }
}

/// The observer that hands the signals of one source to a gate.
pub struct GateObserver<Sc: Flow, M, In, P> {
    gate: Sc::Gate<M, In>,
    port: P,
    /// Room for the inputs of a batch; empty between batches.
    batch: Vec<In>,
}

impl<Sc: Flow, M, In, P> Drop for GateObserver<Sc, M, In, P> {
    fn drop(&mut self) {
        self.gate.settle(false);
    }
}

impl<Sc: Flow, M, In, P: Default> GateObserver<Sc, M, In, P> {
    /// An observer for the sources of port `P`.
    pub fn new(gate: &Sc::Gate<M, In>) -> Self {
        Self::at(gate, P::default())
    }
}

impl<Sc: Flow, M, In, P> GateObserver<Sc, M, In, P> {
    /// An observer for the source at `port`.
    pub fn at(gate: &Sc::Gate<M, In>, port: P) -> Self {
        Self { gate: gate.clone(), port, batch: Vec::new() }
    }
}

impl<Sc, M, In, P, T, E> Observer<T, E> for GateObserver<Sc, M, In, P>
where
    Sc: Flow,
    M: Machine<In>,
    P: Port<T, E, In>,
{
    #[inline]
    fn next(&mut self, item: T) {
        Sc::send(&self.gate, self.port.input(Signal::Next(item)), never);
    }

    fn error(self, error: E) {
        settled(&self.gate, || Sc::send(&self.gate, self.port.input(Signal::Error(error)), never));
    }

    fn complete(self) {
        settled(&self.gate, || Sc::send(&self.gate, self.port.input(Signal::Complete), never));
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.port.is_over() || self.gate.closed()
    }
}

impl<Sc, M, In, P, T, E> BatchObserver<T, E> for GateObserver<Sc, M, In, P>
where
    Sc: Flow,
    M: Machine<In>,
    P: Port<T, E, In>,
{
    /// The items are made first, with the gate free: the closures that make them may feed it, or panic.
    #[inline(always)]
    fn take_batch<B: Batch<T>>(&mut self, items: &mut B) {
        let Self { gate, port, batch } = self;
        let mut pulled = iter::from_fn(|| items.pull().map(|item| port.input(Signal::Next(item))));
        while !port.is_over() && !gate.closed() {
            let made = catch_unwind(AssertUnwindSafe(|| batch.extend(pulled.by_ref().take(BATCH))));
            let more = batch.len() == BATCH;
            let mut inputs = batch.drain(..);
            Sc::send_all(gate, &mut inputs);
            // The stream has ended in the middle of the batch.
            abandoning(|| drop(inputs));
            match made {
                Ok(()) if more => {}
                Ok(()) => return,
                Err(panic) => resume_unwind(panic),
            }
        }
    }
}

/// The observer below an operator, which may have ended.
pub struct Down<O>(Option<O>);

impl<O> Down<O> {
    /// It has not ended.
    pub fn new(observer: O) -> Self {
        Self(Some(observer))
    }

    /// The observer, unless it has ended: from now on it has, for the operator.
    pub(crate) fn take(&mut self) -> Option<O> {
        self.0.take()
    }

    /// Holds it no longer.
    pub(crate) fn release(&mut self) {
        drop_caught(self.0.take());
    }

    /// Sends an item; [`Step::Done`] when nobody listens any more.
    #[inline]
    pub fn next<T, E, A>(&mut self, item: T) -> Step<A>
    where
        O: Observer<T, E>,
    {
        let Some(observer) = &mut self.0 else { return Step::Done };
        observer.next(item);
        if observer.is_closed() { Step::Done } else { Step::Continue }
    }

    /// Does with it what a kernel says.
    #[inline(always)]
    pub(crate) fn emit<T, E: 'static, A>(&mut self, emit: Emit<T>) -> Step<A>
    where
        O: Observer<T, E>,
    {
        match emit {
            Emit::Item(item) => self.next(item),
            Emit::Skip => Step::Continue,
            Emit::Last(item) => match self.next(item) {
                Step::Continue => self.complete(),
                done => done,
            },
            Emit::End => self.complete(),
            Emit::Fail(failure) => self.fail(failure),
        }
    }

    /// Queues an item for later; fails where `buffer` says so of a full queue.
    #[inline(always)]
    pub(crate) fn hold<T, E: 'static, I, A>(
        &mut self,
        buffer: &Buffer,
        queue: &mut Held<I>,
        item: I,
        operator: &'static str,
    ) -> Step<A>
    where
        O: Observer<T, E>,
    {
        match buffer.push(queue, item, operator) {
            Ok(_) => Step::Continue,
            Err((full, _)) => self.fail(full),
        }
    }

    /// Whether nobody listens any more.
    #[inline]
    pub fn is_closed<T, E>(&self) -> bool
    where
        O: Observer<T, E>,
    {
        self.0.as_ref().is_none_or(Observer::is_closed)
    }

    /// Completes it, unless it has ended.
    pub fn complete<T, E, A>(&mut self) -> Step<A>
    where
        O: Observer<T, E>,
    {
        if let Some(observer) = self.0.take() {
            observer.complete();
        }
        Step::Done
    }

    /// Passes an error on, unless it has ended.
    pub fn error<T, E, A>(&mut self, error: E) -> Step<A>
    where
        O: Observer<T, E>,
    {
        if let Some(observer) = self.0.take() {
            observer.error(error);
        }
        Step::Done
    }

    /// Ends with a failure of the operator itself: as an error where `E` is [`StreamError`], else see there.
    pub fn fail<T, E: 'static, A>(&mut self, failure: impl Into<StreamError>) -> Step<A>
    where
        O: Observer<T, E>,
    {
        match self.0.take() {
            Some(observer) => fail(observer, failure),
            None => unhandled(&failure.into()),
        }
        Step::Done
    }
}

/// The observer that hands the signals of one source to a gate whose machine asks for [acts](Step::Act).
///
/// What an act does is a plain function, so that the types of an operator that subscribes from within itself do not
/// refer to themselves.
pub struct ActObserver<Sc: Flow, M, In, Act, P: Place, Sch> {
    gate: Sc::Gate<M, In>,
    scheduler: Sch,
    perform: Perform<Sc, M, In, Act, Sch>,
    port: P,
}

impl<Sc: Flow, M, In, Act, P: Place, Sch> Drop for ActObserver<Sc, M, In, Act, P, Sch> {
    fn drop(&mut self) {
        self.gate.settle(P::ONLY_SOURCE);
    }
}

/// Does `f` with an act, and with each that it hands on to its second argument, in their order. A loop, not a recursion: a
/// source that ends, or has another one subscribed, as soon as it is subscribed must not grow the stack.
#[inline(always)]
pub(crate) fn in_turn<A>(first: A, f: impl Fn(A, &mut dyn FnMut(A))) {
    let (mut next, mut more) = (Some(first), VecDeque::new());
    while let Some(act) = next {
        f(act, &mut |act| more.push_back(act));
        next = more.pop_front();
    }
}

/// Performs an act, with the gate free.
pub type Perform<Sc, M, In, Act, Sch> = fn(&<Sc as Flow>::Gate<M, In>, &Sch, Act);

impl<Sc: Flow, M, In, Act, P: Place, Sch: Clone> ActObserver<Sc, M, In, Act, P, Sch> {
    /// An observer for the source at `port`.
    pub fn new(
        gate: &Sc::Gate<M, In>,
        scheduler: &Sch,
        perform: Perform<Sc, M, In, Act, Sch>,
        port: P,
    ) -> Self {
        Self { gate: gate.clone(), scheduler: scheduler.clone(), perform, port }
    }
}

impl<Sc: Flow, M, In, Act, P: Place, Sch> ActObserver<Sc, M, In, Act, P, Sch> {
    #[inline]
    fn send<T, E>(&self, signal: Signal<T, E>)
    where
        M: Machine<In, Act>,
        P: Port<T, E, In>,
    {
        self.hand_in(self.port.input(signal));
    }

    /// Hands in what is no signal of the source.
    #[inline]
    pub(crate) fn hand_in(&self, input: In)
    where
        M: Machine<In, Act>,
    {
        let Self { gate, scheduler, perform, .. } = self;
        Sc::send(gate, input, |act| perform(gate, scheduler, act));
    }

    /// [`settled`] at its gate.
    pub(crate) fn settled(&self, send: impl FnOnce(&Self)) {
        settled(&self.gate, || send(self));
    }
}

impl<Sc, M, In, Act, P, Sch, T, E> Observer<T, E> for ActObserver<Sc, M, In, Act, P, Sch>
where
    Sc: Flow,
    M: Machine<In, Act>,
    P: Port<T, E, In> + Place,
{
    #[inline]
    fn next(&mut self, item: T) {
        self.send(Signal::Next(item));
    }

    fn error(self, error: E) {
        settled(&self.gate, || self.send(Signal::Error(error)));
    }

    fn complete(self) {
        settled(&self.gate, || self.send(Signal::Complete));
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.port.is_over() || self.gate.closed()
    }
}

/// Between two items of a batch the machine may have to act, so each goes through the gate.
impl<Sc, M, In, Act, P, Sch, T, E> BatchObserver<T, E> for ActObserver<Sc, M, In, Act, P, Sch>
where
    Sc: Flow,
    M: Machine<In, Act>,
    P: Port<T, E, In> + Place,
{
}
