use std::{
    marker::PhantomData,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rxrust::{
    context::{Context, Scope},
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription, SubscriptionGuard},
};

use super::{
    replay_subject::Kept,
    subject::{Cast, Hosts, IntoListener, Latest, Listener, Subscriber},
};
use crate::{
    delivery::fate::{abandoning, going_on},
    error::{PanicError, StreamError, catch, drop_caught, named, take_failure, unhandled},
    gate::{Flow, Gate, Machine, Signal, Step, SubOf, guarded, in_turn, settled},
    operator::batch::BatchObserver,
    time::Clock,
};

type Casting<Sc, Sch, S, T, E, V> =
    Sharing<Sch, S, T, E, <Sc as Hosts<T, E>>::Listener, V, <Sc as Scope>::BoxedSubscription>;
type Input<Sc, T, E> = ShareIn<T, E, <Sc as Hosts<T, E>>::Listener, <Sc as Scope>::BoxedSubscription>;
type ShareGate<Sc, Sch, S, T, E, V> = <Sc as Flow>::Gate<Casting<Sc, Sch, S, T, E, V>, Input<Sc, T, E>>;
type WeakShare<Sc, Sch, S, T, E, V> =
    <ShareGate<Sc, Sch, S, T, E, V> as Gate<Casting<Sc, Sch, S, T, E, V>, Input<Sc, T, E>>>::Weak;
/// Hands an input to the gate, and does what the machine asks for.
type Feed<Sc, Sch, S, T, E, V> = fn(&ShareGate<Sc, Sch, S, T, E, V>, Input<Sc, T, E>);
/// The same for an item of a run: as one of all the inputs that there are it would go through memory.
type FeedItem<Sc, Sch, S, T, E, V> = fn(&ShareGate<Sc, Sch, S, T, E, V>, u64, T);

/// One subscription to a source for many subscribers, while there are any; see [`share`](super::ShareOps::share).
/// Clones are the same one.
pub struct Multicast<Sc, Sch, S, T, E, V = ()>
where
    Sc: Hosts<T, E>,
{
    gate: ShareGate<Sc, Sch, S, T, E, V>,
    ids: Arc<AtomicU64>,
    feed: Feed<Sc, Sch, S, T, E, V>,
}

impl<Sc: Hosts<T, E>, Sch, S, T, E, V> Clone for Multicast<Sc, Sch, S, T, E, V> {
    fn clone(&self) -> Self {
        Self { gate: self.gate.clone(), ids: self.ids.clone(), feed: self.feed }
    }
}

impl<Sc, Sch, S, T, E, V> Multicast<Sc, Sch, S, T, E, V>
where
    Sc: Hosts<T, E>,
    Sch: Clone,
    S: Clone,
    T: Clone,
    E: Clone + 'static,
    V: Latest<T> + Fresh,
{
    pub(super) fn new<X, U>(source: S, scheduler: Sch, mode: Mode, keep: V) -> Self
    where
        X: Context<Scope = Sc, Scheduler = Sch>,
        S: CoreObservable<X::With<RunObserver<Sc, Sch, S, T, E, V>>, Unsub = U>,
        U: Subscription + IntoBoxedSubscription<SubOf<X>>,
    {
        let sharing = Sharing {
            cast: Cast::new(keep.fresh()),
            keep,
            source,
            scheduler,
            mode,
            runs: Arc::default(),
            live: false,
            connecting: false,
            due: false,
            connection: None,
            tokens: Vec::new(),
        };
        Self { gate: Sc::gate(sharing), ids: Arc::default(), feed: Feeding::<X, S, T, E, V, U>::feed }
    }
}

/// How the gate of a shared source in context `X` is fed: the functions behind [`Feed`] and [`FeedItem`].
struct Feeding<X, S, T, E, V, U>(PhantomData<(X, S, T, E, V, U)>);

impl<X, S, T, E, V, U> Feeding<X, S, T, E, V, U>
where
    X: Context,
    X::Scope: Hosts<T, E>,
    S: Clone + CoreObservable<X::With<RunObserver<X::Scope, X::Scheduler, S, T, E, V>>, Unsub = U>,
    T: Clone,
    E: Clone + 'static,
    V: Latest<T> + Fresh,
    U: Subscription + IntoBoxedSubscription<SubOf<X>>,
{
    fn feed(gate: &ShareGate<X::Scope, X::Scheduler, S, T, E, V>, input: Input<X::Scope, T, E>) {
        Self::hand_in(gate, || input);
    }

    fn item(gate: &ShareGate<X::Scope, X::Scheduler, S, T, E, V>, run: u64, item: T) {
        Self::hand_in(gate, || ShareIn::Source(run, Signal::Next(item)));
    }

    #[inline(always)]
    fn hand_in(
        gate: &ShareGate<X::Scope, X::Scheduler, S, T, E, V>,
        input: impl FnOnce() -> Input<X::Scope, T, E>,
    ) {
        let mut start = None;
        settled(gate, || X::Scope::send(gate, input(), |act| start = Some(act)));
        if let Some(start) = start {
            Self::start(gate, start);
        }
    }

    #[cold]
    #[inline(never)]
    fn start(gate: &ShareGate<X::Scope, X::Scheduler, S, T, E, V>, first: Start<S, X::Scheduler>) {
        in_turn(first, |Start { source, scheduler, run, runs }, next| {
            let gone = |side: &RunObserver<X::Scope, X::Scheduler, S, T, E, V>| {
                (side.feed)(&side.gate, ShareIn::Gone(side.run, take_failure()));
            };
            let observer = RunObserver {
                gate: gate.clone(),
                feed: Self::feed,
                item: Self::item,
                run,
                runs,
                ended: false,
                gone,
            };
            // A panic drops the observer, which says so.
            let sub = catch("share", || source.subscribe(X::With::from_parts(observer, scheduler)));
            let sub = sub.map_err(|panic| unhandled(&panic.into())).ok();
            let input = ShareIn::Connected(run, sub.and_then(guarded));
            settled(gate, || X::Scope::send(gate, input, next));
        });
    }
}

impl<Sc: Hosts<T, E>, Sch, S, T, E, V> Multicast<Sc, Sch, S, T, E, V> {
    fn feed(&self, input: Input<Sc, T, E>) {
        (self.feed)(&self.gate, input);
    }
}

impl<Sc: Hosts<T, E>, Sch, S, T, E, V> ObservableType for Multicast<Sc, Sch, S, T, E, V> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<Sc, Sch, S, T, E, V, C> CoreObservable<C> for Multicast<Sc, Sch, S, T, E, V>
where
    Sc: Hosts<T, E>,
    C: Context<Scope = Sc>,
    C::Inner: IntoListener<Sc::Listener>,
{
    type Unsub = ShareSubscription<Sc, Sch, S, T, E, V>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let (subscriber, alive) = Subscriber::new(id, context.into_inner().into_listener());
        if self.gate.closed() {
            let message = "the source could not be cloned".into();
            subscriber.fail(PanicError { operator: "share", message }.into());
        } else {
            self.feed(ShareIn::Subscribe(subscriber));
        }
        ShareSubscription { gate: self.gate.downgrade(), feed: self.feed, id, alive }
    }
}

/// A subscription to a shared source.
pub struct ShareSubscription<Sc: Hosts<T, E>, Sch, S, T, E, V> {
    gate: WeakShare<Sc, Sch, S, T, E, V>,
    feed: Feed<Sc, Sch, S, T, E, V>,
    id: u64,
    alive: Arc<AtomicBool>,
}

impl<Sc: Hosts<T, E>, Sch, S, T, E, V> Subscription for ShareSubscription<Sc, Sch, S, T, E, V> {
    fn unsubscribe(self) {
        if self.alive.swap(false, Ordering::AcqRel)
            && let Some(gate) = ShareGate::<Sc, Sch, S, T, E, V>::upgrade(&self.gate)
        {
            (self.feed)(&gate, ShareIn::Unsubscribe(self.id));
        }
    }

    fn is_closed(&self) -> bool {
        !self.alive.load(Ordering::Acquire)
    }
}

/// A source for many subscribers that is subscribed to by hand; see [`publish`](super::ShareOps::publish). Clones are the
/// same one.
pub struct Connectable<Sc: Hosts<T, E>, Sch, S, T, E, V = ()>(pub(super) Multicast<Sc, Sch, S, T, E, V>);

impl<Sc: Hosts<T, E>, Sch, S, T, E, V> Clone for Connectable<Sc, Sch, S, T, E, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Sc: Hosts<T, E>, Sch, S, T, E, V> ObservableType for Connectable<Sc, Sch, S, T, E, V> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<Sc, Sch, S, T, E, V, C> CoreObservable<C> for Connectable<Sc, Sch, S, T, E, V>
where
    Sc: Hosts<T, E>,
    C: Context<Scope = Sc>,
    C::Inner: IntoListener<Sc::Listener>,
{
    type Unsub = ShareSubscription<Sc, Sch, S, T, E, V>;

    fn subscribe(self, context: C) -> Self::Unsub {
        self.0.subscribe(context)
    }
}

/// What can be connected to its source.
pub trait Connect {
    /// Disconnects.
    type Connection: Subscription;
    /// The same, connected while there are subscribers.
    type RefCounted;
    /// See [`connect`](super::ShareOps::connect).
    fn connect(&self) -> Self::Connection;
    /// See [`ref_count`](super::ShareOps::ref_count).
    fn ref_count(self) -> Self::RefCounted;
}

impl<Sc: Hosts<T, E>, Sch, S, T, E, V> Connect for Connectable<Sc, Sch, S, T, E, V> {
    type Connection = Connection<Sc, Sch, S, T, E, V>;
    type RefCounted = Multicast<Sc, Sch, S, T, E, V>;

    fn connect(&self) -> Self::Connection {
        let token = Arc::new(AtomicBool::new(true));
        self.0.feed(ShareIn::Connect(token.clone()));
        Connection { gate: self.0.gate.downgrade(), feed: self.0.feed, token }
    }

    fn ref_count(self) -> Self::RefCounted {
        self.0.feed(ShareIn::RefCount);
        self.0
    }
}

/// The connection of a [`Connectable`]: unsubscribing it unsubscribes the source. Dropping it leaves
/// the source connected, until it ends or a later connection is ended.
pub struct Connection<Sc: Hosts<T, E>, Sch, S, T, E, V> {
    gate: WeakShare<Sc, Sch, S, T, E, V>,
    feed: Feed<Sc, Sch, S, T, E, V>,
    /// Cleared when the run that was connected is over.
    token: Arc<AtomicBool>,
}

impl<Sc: Hosts<T, E>, Sch, S, T, E, V> Subscription for Connection<Sc, Sch, S, T, E, V> {
    fn unsubscribe(self) {
        if let Some(gate) = ShareGate::<Sc, Sch, S, T, E, V>::upgrade(&self.gate) {
            (self.feed)(&gate, ShareIn::Disconnect(self.token));
        }
    }

    fn is_closed(&self) -> bool {
        !self.token.load(Ordering::Acquire)
    }
}

/// What decides when the source is subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// `connect`.
    ByHand,
    /// Its subscribers.
    RefCount,
    /// Its subscribers, and what it has sent until it completed is kept.
    Cached,
}

/// What is kept for subscribers to come, for another run of the source.
pub trait Fresh {
    /// As it was at first.
    fn fresh(&self) -> Self;
}

impl Fresh for () {
    fn fresh(&self) {}
}

impl<T, Sch: Clock> Fresh for Kept<T, Sch> {
    fn fresh(&self) -> Self {
        Kept::fresh(self)
    }
}

/// The inputs of a shared source; its runs are numbered.
pub enum ShareIn<T, E, O, Sub: Subscription> {
    /// From the source.
    Source(u64, Signal<T, E>),
    /// The source has dropped its observer without an end, perhaps by a failure.
    Gone(u64, Option<StreamError>),
    /// The source has been subscribed to.
    Connected(u64, Option<SubscriptionGuard<Sub>>),
    /// A subscriber comes.
    Subscribe(Subscriber<O>),
    /// A subscriber goes.
    Unsubscribe(u64),
    /// Connect by hand; the flag says for how long.
    Connect(Arc<AtomicBool>),
    /// Disconnect that.
    Disconnect(Arc<AtomicBool>),
    /// From now on connected while there are subscribers.
    RefCount,
}

/// Subscribe to this.
pub struct Start<S, Sch> {
    source: S,
    scheduler: Sch,
    run: u64,
    runs: Arc<AtomicU64>,
}

/// The state of a shared source.
pub struct Sharing<Sch, S, T, E, O, V, Sub: Subscription> {
    cast: Cast<T, E, O, V>,
    /// What a run begins with.
    keep: V,
    source: S,
    scheduler: Sch,
    mode: Mode,
    /// The number of the run that counts.
    runs: Arc<AtomicU64>,
    live: bool,
    /// Somebody is subscribing to the source: the next run waits for that.
    connecting: bool,
    /// A run is due.
    due: bool,
    connection: Option<SubscriptionGuard<Sub>>,
    /// Of those who connected by hand.
    tokens: Vec<Arc<AtomicBool>>,
}

impl<Sch, S, T, E, O, V, Sub> Sharing<Sch, S, T, E, O, V, Sub>
where
    Sch: Clone,
    S: Clone,
    T: Clone,
    E: Clone,
    O: Listener<T, E>,
    V: Latest<T> + Fresh,
    Sub: Subscription,
{
    /// The run is over: what is left of it is released, and what it sends is ignored.
    fn stop(&mut self) {
        self.runs.fetch_add(1, Ordering::AcqRel);
        (self.live, self.due) = (false, false);
        for token in self.tokens.drain(..) {
            token.store(false, Ordering::Release);
        }
        drop_caught(self.connection.take());
    }

    /// A new subject for those who come from now on.
    fn renew(&mut self) -> Cast<T, E, O, V> {
        let fresh = named(|| "share", || self.keep.fresh());
        mem::replace(&mut self.cast, Cast::new(fresh))
    }

    fn end(&mut self, end: Result<(), E>) {
        self.stop();
        let keeps = match self.mode {
            Mode::ByHand => true,
            Mode::RefCount => false,
            Mode::Cached => end.is_ok(),
        };
        if keeps {
            self.cast.end(end);
        } else {
            // First: who subscribes again when he is told, gets a new run.
            self.renew().end(end);
        }
    }

    fn lose(&mut self, failure: Option<StreamError>) {
        self.stop();
        let mut lost = self.renew();
        for subscriber in lost.take_subscribers() {
            match &failure {
                Some(failure) => subscriber.fail(failure.clone()),
                None => subscriber.release(),
            }
        }
    }

    /// What the number of subscribers demands.
    fn count(&mut self) -> Step<Start<S, Sch>> {
        if self.mode == Mode::ByHand {
            return self.start_if_due();
        }
        let idle = self.cast.is_idle() && self.tokens.is_empty();
        if idle && self.live {
            self.stop();
            drop_caught(self.renew());
        } else if !idle && !self.live {
            self.due = true;
        } else if idle {
            self.due = false;
        }
        self.start_if_due()
    }

    fn start_if_due(&mut self) -> Step<Start<S, Sch>> {
        if !self.due || self.connecting || self.live {
            return Step::Continue;
        }
        if self.cast.is_over() {
            drop_caught(self.renew());
        }
        let (source, scheduler) = named(|| "share", || (self.source.clone(), self.scheduler.clone()));
        (self.due, self.live, self.connecting) = (false, true, true);
        let run = self.runs.fetch_add(1, Ordering::AcqRel) + 1;
        Step::Act(Start { source, scheduler, run, runs: self.runs.clone() })
    }

    /// What is no item. Out of line, so that an item needs few registers.
    #[cold]
    #[inline(never)]
    fn turn(&mut self, input: ShareIn<T, E, O, Sub>) -> Step<Start<S, Sch>> {
        let current = self.runs.load(Ordering::Relaxed);
        match input {
            ShareIn::Source(run, signal) if run == current => match signal {
                // Sent by `on`.
                Signal::Next(late) => abandoning(|| drop(late)),
                Signal::Complete => self.end(Ok(())),
                Signal::Error(error) => self.end(Err(error)),
            },
            ShareIn::Gone(run, failure) if run == current => self.lose(failure),
            ShareIn::Gone(_, Some(failure)) => unhandled(&failure),
            // Of a run that nobody listens to any more.
            ShareIn::Source(_, late) => abandoning(|| drop(late)),
            ShareIn::Gone(..) => {}
            ShareIn::Connected(run, connection) => {
                self.connecting = false;
                if run == current {
                    self.connection = connection;
                } else {
                    drop_caught(connection);
                }
            }
            ShareIn::Subscribe(subscriber) if !subscriber.alive() => drop_caught(subscriber),
            ShareIn::Subscribe(subscriber) => self.cast.welcome(subscriber),
            ShareIn::Unsubscribe(id) => self.cast.farewell(id),
            ShareIn::Connect(token) => {
                self.tokens.retain(|token| Arc::strong_count(token) > 1);
                self.tokens.push(token);
                self.due = !self.live;
            }
            ShareIn::Disconnect(token) if !self.tokens.iter().any(|own| Arc::ptr_eq(own, &token)) => {}
            ShareIn::Disconnect(_) if self.mode == Mode::ByHand => self.stop(),
            ShareIn::Disconnect(token) => {
                token.store(false, Ordering::Release);
                self.tokens.retain(|own| !Arc::ptr_eq(own, &token));
            }
            ShareIn::RefCount => self.mode = Mode::RefCount,
        }
        self.count()
    }
}

impl<Sch, S, T, E, O, V, Sub> Machine<ShareIn<T, E, O, Sub>, Start<S, Sch>>
    for Sharing<Sch, S, T, E, O, V, Sub>
where
    Sch: Clone,
    S: Clone,
    T: Clone,
    E: Clone,
    O: Listener<T, E>,
    V: Latest<T> + Fresh,
    Sub: Subscription,
{
    #[inline(always)]
    fn on(&mut self, input: ShareIn<T, E, O, Sub>) -> Step<Start<S, Sch>> {
        match input {
            ShareIn::Source(run, Signal::Next(item))
                if run == self.runs.load(Ordering::Relaxed) && !self.cast.is_over() =>
            {
                self.cast.cast(item);
                if self.cast.is_idle() { self.count() } else { Step::Continue }
            }
            other => self.turn(other),
        }
    }

    fn fail(&mut self, failure: StreamError) {
        for subscriber in self.cast.take_subscribers() {
            subscriber.fail(failure.clone());
        }
    }
}

/// The observer of one run of the source.
pub struct RunObserver<Sc: Hosts<T, E>, Sch, S, T, E, V> {
    gate: ShareGate<Sc, Sch, S, T, E, V>,
    feed: Feed<Sc, Sch, S, T, E, V>,
    item: FeedItem<Sc, Sch, S, T, E, V>,
    run: u64,
    runs: Arc<AtomicU64>,
    ended: bool,
    /// Says that the source has dropped its observer; a function, as a `Drop` has no bounds of its own.
    gone: fn(&Self),
}

impl<Sc: Hosts<T, E>, Sch, S, T, E, V> Drop for RunObserver<Sc, Sch, S, T, E, V> {
    fn drop(&mut self) {
        if !self.ended {
            going_on(|| (self.gone)(self));
        }
    }
}

impl<Sc: Hosts<T, E>, Sch, S, T, E, V> Observer<T, E> for RunObserver<Sc, Sch, S, T, E, V> {
    #[inline]
    fn next(&mut self, item: T) {
        (self.item)(&self.gate, self.run, item);
    }

    fn error(mut self, error: E) {
        self.ended = true;
        (self.feed)(&self.gate, ShareIn::Source(self.run, Signal::Error(error)));
    }

    fn complete(mut self) {
        self.ended = true;
        (self.feed)(&self.gate, ShareIn::Source(self.run, Signal::Complete));
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.runs.load(Ordering::Acquire) != self.run || self.gate.closed()
    }
}

impl<Sc: Hosts<T, E>, Sch, S, T, E, V> BatchObserver<T, E> for RunObserver<Sc, Sch, S, T, E, V> {}
