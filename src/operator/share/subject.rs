use std::{
    cell::RefCell,
    convert::Infallible,
    marker::PhantomData,
    mem,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rxrust::{
    context::{LocalScope, SharedScope},
    observer::Observer,
    subscription::Subscription,
};

use super::behavior_subject::Value;
use crate::{
    error::{PanicError, StreamError, catch, drop_caught, fail, unhandled},
    gate::{Flow, Gate, Machine, Signal, Step, never},
    operator::batch::{Batch, BatchObserver, Items},
};

/// An observer whose items go to all its subscribers (ReactiveX `PublishSubject`).
///
/// Clones are the same subject. Items that a subscriber feeds back while it handles one are delivered after it, in
/// order; several threads are serialised; who subscribes within a callback gets the items from the next one on; who
/// unsubscribes gets none after that. After `complete` or `error` it is silent, and late subscribers get that end at
/// once. A subscriber that panics ends alone: the others, and the producer, go on.
///
/// Time O(subscribers) per item, one clone for each but the last; O(1) amortised to subscribe, O(subscribers) to
/// unsubscribe.
///
/// ```
/// use rxevents::prelude::*;
/// use std::{cell::RefCell, convert::Infallible, rc::Rc};
///
/// let mut subject = Local::subject::<i32, Infallible>();
/// let seen = Rc::new(RefCell::new(vec![]));
/// let (log, mut back) = (seen.clone(), subject.clone());
/// subject.clone().subscribe(move |v| {
///     log.borrow_mut().push(v);
///     if v < 2 {
///         back.next(v + 1); // re-entrant: queued
///     }
/// });
/// subject.next(0);
/// assert_eq!(*seen.borrow(), [0, 1, 2]);
/// ```
pub struct Subject<T: Clone + 'static, E: Clone + 'static, Sc: Hosts<T, E>>(Hub<T, E, Sc, ()>);

impl<T: Clone, E: Clone, Sc: Hosts<T, E>> Subject<T, E, Sc> {
    pub(crate) fn new() -> Self {
        Self(Hub::new(()))
    }
}

impl<T: Clone, E: Clone, Sc: Hosts<T, E>> Clone for Subject<T, E, Sc> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

subject_impls!(Subject, ());

/// A scope whose subjects can hold observers of any type, boxed.
pub trait Hosts<T, E>: Flow {
    /// The boxed observer.
    type Listener: Listener<T, E>;
    /// What a [`BehaviorSubject`](super::BehaviorSubject) keeps its value in.
    type Value: Value<T>;
}

impl<T: 'static, E: 'static> Hosts<T, E> for LocalScope {
    type Listener = Box<dyn DynListener<T, E>>;
    type Value = Rc<RefCell<T>>;
}

impl<T: 'static, E: 'static> Hosts<T, E> for SharedScope {
    type Listener = Box<dyn DynListener<T, E> + Send>;
    type Value = Arc<Mutex<T>>;
}

type Casting<T, E, Sc, V> = Cast<T, E, <Sc as Hosts<T, E>>::Listener, V>;
type HubGate<T, E, Sc, V> =
    <Sc as Flow>::Gate<Casting<T, E, Sc, V>, CastIn<T, E, <Sc as Hosts<T, E>>::Listener>>;
type WeakHub<T, E, Sc, V> =
    <HubGate<T, E, Sc, V> as Gate<Casting<T, E, Sc, V>, CastIn<T, E, <Sc as Hosts<T, E>>::Listener>>>::Weak;

/// A subject's handle: the gate to its subscribers, and whether it has ended.
pub(super) struct Hub<T: Clone + 'static, E: Clone + 'static, Sc: Hosts<T, E>, V: Latest<T>> {
    gate: HubGate<T, E, Sc, V>,
    ended: Arc<AtomicBool>,
    ids: Arc<AtomicU64>,
}

impl<T: Clone, E: Clone, Sc: Hosts<T, E>, V: Latest<T>> Clone for Hub<T, E, Sc, V> {
    fn clone(&self) -> Self {
        Self { gate: self.gate.clone(), ended: self.ended.clone(), ids: self.ids.clone() }
    }
}

impl<T: Clone, E: Clone, Sc: Hosts<T, E>, V: Latest<T>> Hub<T, E, Sc, V> {
    pub(super) fn new(latest: V) -> Self {
        let cast = Cast::new(latest);
        let ended = cast.ended.clone();
        Self { gate: Sc::gate(cast), ended, ids: Arc::default() }
    }

    #[inline]
    pub(super) fn send(&self, signal: Signal<T, E>) {
        Sc::send(&self.gate, CastIn::Signal(signal), never);
    }

    pub(super) fn send_batch(&self, items: Vec<T>) {
        Sc::send(&self.gate, CastIn::Batch(items), never);
    }

    pub(super) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn subscribe(&self, listener: Sc::Listener) -> SubjectSubscription<T, E, Sc, V> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let (subscriber, alive) = Subscriber::new(id, listener);
        Sc::send(&self.gate, CastIn::Subscribe(subscriber), never);
        SubjectSubscription { gate: self.gate.downgrade(), id, alive }
    }
}

/// A subscription to a subject; it does not keep the subject alive.
pub struct SubjectSubscription<T: Clone + 'static, E: Clone + 'static, Sc: Hosts<T, E>, V: Latest<T>> {
    gate: WeakHub<T, E, Sc, V>,
    id: u64,
    alive: Arc<AtomicBool>,
}

impl<T: Clone, E: Clone, Sc: Hosts<T, E>, V: Latest<T>> Subscription for SubjectSubscription<T, E, Sc, V> {
    fn unsubscribe(self) {
        if self.alive.swap(false, Ordering::AcqRel)
            && let Some(gate) = HubGate::<T, E, Sc, V>::upgrade(&self.gate)
        {
            Sc::send(&gate, CastIn::Unsubscribe(self.id), never);
        }
    }

    fn is_closed(&self) -> bool {
        !self.alive.load(Ordering::Acquire)
    }
}

/// What a subject keeps for subscribers to come.
pub trait Latest<T> {
    /// Whether it keeps anything at all.
    const KEEPS: bool = true;
    /// An item comes; what the subscribers get now.
    fn put(&mut self, item: T) -> Option<T>;
    /// Gives a new subscriber what it gets first; `ended`: by a completion, or not. `false` when it is over.
    fn greet(&mut self, ended: Option<bool>, next: &mut dyn FnMut(T) -> bool) -> bool;
    /// The end, by a completion or not: what the subscribers get before it.
    fn end(&mut self, _completed: bool) -> Option<T> {
        None
    }
}

impl<T> Latest<T> for () {
    const KEEPS: bool = false;

    #[inline]
    fn put(&mut self, item: T) -> Option<T> {
        Some(item)
    }

    #[inline]
    fn greet(&mut self, _ended: Option<bool>, _next: &mut dyn FnMut(T) -> bool) -> bool {
        true
    }
}

/// The inputs of a subject.
pub enum CastIn<T, E, O> {
    /// From its producers.
    Signal(Signal<T, E>),
    /// Items that arrive together.
    Batch(Vec<T>),
    /// A subscriber comes.
    Subscribe(Subscriber<O>),
    /// A subscriber goes.
    Unsubscribe(u64),
}

/// One subscriber of a subject.
pub struct Subscriber<O> {
    id: u64,
    /// Cleared by the subscription at once, also in the middle of a delivery, and when it ends.
    alive: Arc<AtomicBool>,
    listener: Option<O>,
}

impl<O> Subscriber<O> {
    /// With its flag.
    pub(super) fn new(id: u64, listener: O) -> (Self, Arc<AtomicBool>) {
        let alive = Arc::new(AtomicBool::new(true));
        (Self { id, alive: alive.clone(), listener: Some(listener) }, alive)
    }

    pub(super) fn alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Delivers one item; `false` when it is over.
    #[inline]
    fn next<T, E>(&mut self, item: T) -> bool
    where
        O: Listener<T, E>,
    {
        if !self.alive.load(Ordering::Relaxed) {
            return false;
        }
        let Some(listener) = &mut self.listener else { return false };
        let open = listener.next(item);
        if !open {
            self.alive.store(false, Ordering::Release);
        }
        open
    }

    /// Delivers items that arrive together; `false` when it is over.
    fn next_batch<T, E>(&mut self, items: Vec<T>) -> bool
    where
        O: Listener<T, E>,
    {
        let Some(listener) = &mut self.listener else { return false };
        let open = self.alive.load(Ordering::Relaxed) && listener.next_batch(items.into_iter(), &self.alive);
        if !open {
            self.alive.store(false, Ordering::Release);
        }
        open
    }

    /// Takes it out of the running; what is left must be told of the end, or dropped.
    fn retire(&mut self) -> Option<O> {
        self.alive.swap(false, Ordering::AcqRel);
        self.listener.take()
    }

    /// It is told nothing.
    pub(super) fn release(mut self) {
        drop_caught(self.retire());
    }

    fn end<T, E>(mut self, end: Result<(), E>)
    where
        O: Listener<T, E>,
    {
        if !self.alive.load(Ordering::Acquire) {
            return drop_caught(self);
        }
        if let Some(listener) = self.retire()
            && let Err(panic) = catch("subscriber", || listener.end(end))
        {
            unhandled(&panic.into());
        }
    }

    pub(super) fn fail<T, E>(mut self, failure: StreamError)
    where
        O: Listener<T, E>,
    {
        if let Some(listener) = self.retire()
            && let Err(panic) = catch("subscriber", || listener.fail(failure))
        {
            unhandled(&panic.into());
        }
    }
}

/// The state of a subject.
pub struct Cast<T, E, O, V> {
    subscribers: Vec<Subscriber<O>>,
    end: Option<Result<(), E>>,
    /// See `break_down`.
    broken: bool,
    ended: Arc<AtomicBool>,
    latest: V,
    types: PhantomData<fn() -> T>,
}

impl<T, E, O, V> Cast<T, E, O, V> {
    pub(super) fn new(latest: V) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        Self { subscribers: Vec::new(), end: None, broken: false, ended, latest, types: PhantomData }
    }

    /// Whether nobody listens.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// Whether nothing will come any more.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some() || self.broken
    }

    pub(super) fn take_subscribers(&mut self) -> Vec<Subscriber<O>> {
        mem::take(&mut self.subscribers)
    }
}

impl<T, E, O, V> Cast<T, E, O, V>
where
    T: Clone,
    E: Clone,
    O: Listener<T, E>,
    V: Latest<T>,
{
    #[inline]
    pub(super) fn cast(&mut self, item: T) {
        let item = if V::KEEPS {
            match catch("subject", || self.latest.put(item)) {
                Ok(Some(item)) => item,
                Ok(None) => return,
                Err(panic) => return self.break_down(panic),
            }
        } else {
            item
        };
        self.send(item);
    }

    #[inline]
    fn send(&mut self, item: T) {
        let open = match &mut self.subscribers[..] {
            // Nobody listens, and nothing is kept: a delivery is not done with that.
            [] if !V::KEEPS => return drop_caught(item),
            [only] => match catch("subscriber", || only.next(item)) {
                Ok(open) => open,
                Err(panic) => {
                    self.panicked(0, panic);
                    false
                }
            },
            _ => self.cast_to_many(item),
        };
        if !open {
            self.sweep();
        }
    }

    /// `false` when some of them have ended.
    #[inline(never)]
    fn cast_to_many(&mut self, item: T) -> bool {
        let mut item = Some(item);
        let (mut at, mut open) = (0, true);
        loop {
            // One guard for all; after a panic the others are served.
            let served = catch("subscriber", || {
                while at < self.subscribers.len() {
                    let last = at + 1 == self.subscribers.len();
                    if let Some(item) = if last { item.take() } else { item.clone() } {
                        open &= self.subscribers[at].next(item);
                    }
                    at += 1;
                }
            });
            match served {
                Ok(()) => return open,
                Err(panic) => self.panicked(at, panic),
            }
            open = false;
            at += 1;
        }
    }

    /// To each subscriber the whole batch, before the next one gets it.
    fn cast_batch(&mut self, mut items: Vec<T>) {
        if V::KEEPS {
            let latest = &mut self.latest;
            match catch("subject", || items.into_iter().filter_map(|item| latest.put(item)).collect()) {
                Ok(now) => items = now,
                Err(panic) => return self.break_down(panic),
            }
        }
        if self.subscribers.is_empty() && !V::KEEPS {
            return drop_caught(items);
        }
        let (mut items, mut open) = (Some(items), true);
        for at in 0..self.subscribers.len() {
            let last = at + 1 == self.subscribers.len();
            let served = catch("subscriber", || {
                let items = if last { items.take() } else { items.clone() };
                items.is_none_or(|items| self.subscribers[at].next_batch(items))
            });
            match served {
                Ok(served) => open &= served,
                Err(panic) => {
                    self.panicked(at, panic);
                    open = false;
                }
            }
        }
        if !open {
            self.sweep();
        }
    }

    #[cold]
    fn panicked(&mut self, at: usize, panic: PanicError) {
        match self.subscribers.get_mut(at).and_then(Subscriber::retire) {
            Some(listener) => listener.fail(panic.into()),
            None => unhandled(&panic.into()),
        }
    }

    #[cold]
    fn sweep(&mut self) {
        let gone: Vec<_> = self.subscribers.extract_if(.., |s| !s.alive.load(Ordering::Acquire)).collect();
        drop_caught(gone);
    }

    #[cold]
    pub(super) fn end(&mut self, end: Result<(), E>) {
        if self.end.is_some() || self.broken {
            return;
        }
        self.ended.store(true, Ordering::Release);
        match catch("subject", || self.latest.end(end.is_ok())) {
            Ok(Some(item)) => self.send(item),
            Ok(None) => {}
            Err(panic) => return self.break_down(panic),
        }
        for subscriber in mem::take(&mut self.subscribers) {
            match catch("subject", || end.clone()) {
                Ok(end) => subscriber.end(end),
                Err(panic) => subscriber.fail(panic.into()),
            }
        }
        self.end = Some(end);
    }

    /// An item cannot be cloned, so that nobody can be served any more.
    #[cold]
    fn break_down(&mut self, panic: PanicError) {
        self.broken = true;
        self.ended.store(true, Ordering::Release);
        for subscriber in mem::take(&mut self.subscribers) {
            subscriber.fail(panic.clone().into());
        }
    }
}

impl<T, E, O, V> Machine<CastIn<T, E, O>> for Cast<T, E, O, V>
where
    T: Clone,
    E: Clone,
    O: Listener<T, E>,
    V: Latest<T>,
{
    #[inline(always)]
    fn on(&mut self, input: CastIn<T, E, O>) -> Step<Infallible> {
        match input {
            CastIn::Signal(Signal::Next(item)) => {
                if self.end.is_none() && !self.broken {
                    self.cast(item);
                } else {
                    drop_caught(item);
                }
            }
            CastIn::Batch(items) => {
                if self.end.is_none() && !self.broken {
                    self.cast_batch(items);
                } else {
                    drop_caught(items);
                }
            }
            CastIn::Signal(Signal::Error(error)) => self.end(Err(error)),
            CastIn::Signal(Signal::Complete) => self.end(Ok(())),
            CastIn::Subscribe(subscriber) => self.welcome(subscriber),
            CastIn::Unsubscribe(id) => self.farewell(id),
        }
        Step::Continue
    }

    fn fail(&mut self, failure: StreamError) {
        // Subscribers' panics are caught one by one: this was the clone of an error.
        unhandled(&failure);
    }
}

impl<T, E, O, V> Cast<T, E, O, V>
where
    E: Clone,
    O: Listener<T, E>,
    V: Latest<T>,
{
    #[cold]
    pub(super) fn farewell(&mut self, id: u64) {
        if let Some(at) = self.subscribers.iter().position(|s| s.id == id) {
            drop_caught(self.subscribers.remove(at));
        }
    }

    /// Takes a subscriber in; it gets what is kept first, and the end.
    #[cold]
    pub(super) fn welcome(&mut self, mut subscriber: Subscriber<O>) {
        if self.broken {
            let message = "an item could not be cloned".into();
            return subscriber.fail(PanicError { operator: "subject", message }.into());
        }
        let ended = self.end.as_ref().map(Result::is_ok);
        let greeted = catch("subject", || {
            let open = self.latest.greet(ended, &mut |item| subscriber.next(item));
            (open, self.end.clone())
        });
        match greeted {
            Ok((false, _)) => drop_caught(subscriber),
            Ok((true, Some(end))) => subscriber.end(end),
            Ok((true, None)) => self.subscribers.push(subscriber),
            Err(panic) => subscriber.fail(panic.into()),
        }
    }
}

/// An observer of any type behind one pointer: one call an item, which says whether it still listens.
pub trait DynListener<T, E> {
    /// Delivers one item; `false` when it is over.
    fn next(&mut self, item: T) -> bool;
    /// Delivers items that arrive together, while it is `alive`; `false` when it is over.
    fn next_batch(&mut self, items: Items<T>, alive: &AtomicBool) -> bool;
    /// Tells the end.
    fn end(self: Box<Self>, end: Result<(), E>);
    /// Ends it with a failure of an operator.
    fn fail(self: Box<Self>, failure: StreamError);
}

/// An observer that is given one item after the other.
struct Single<O>(O);

/// An observer that is given whole batches; see [`batched`](crate::operator::batch::BatchOps::batched).
struct Whole<O>(O);

macro_rules! dyn_listener {
    ($name:ident: $bound:ident, |$listener:ident, $items:pat_param, $alive:ident| $next_batch:block) => {
        impl<O: $bound<T, E>, T, E: 'static> DynListener<T, E> for $name<O> {
            #[inline(always)]
            fn next(&mut self, item: T) -> bool {
                self.0.next(item);
                !self.0.is_closed()
            }

            fn next_batch(&mut self, $items: Items<T>, alive: &AtomicBool) -> bool {
                let ($listener, $alive) = (&mut self.0, || alive.load(Ordering::Relaxed));
                $next_batch
                $alive() && !$listener.is_closed()
            }

            fn end(self: Box<Self>, end: Result<(), E>) {
                match end {
                    Ok(()) => self.0.complete(),
                    Err(error) => self.0.error(error),
                }
            }

            fn fail(self: Box<Self>, failure: StreamError) {
                fail(self.0, failure);
            }
        }
    };
}
dyn_listener!(Single: Observer, |listener, mut items, alive| {
    while alive()
        && !listener.is_closed()
        && let Some(item) = items.next()
    {
        listener.next(item);
    }
});
dyn_listener!(Whole: BatchObserver, |listener, items, alive| {
    listener.take_batch(&mut While { items, condition: alive });
});

/// Items, as long as a condition holds.
struct While<I, F> {
    items: I,
    condition: F,
}

impl<I: Iterator, F: Fn() -> bool> Batch<I::Item> for While<I, F> {
    #[inline(always)]
    fn pull(&mut self) -> Option<I::Item> {
        if (self.condition)() { self.items.next() } else { None }
    }
}

/// A boxed observer; see [`DynListener`].
pub trait Listener<T, E> {
    /// Delivers one item; `false` when it is over.
    fn next(&mut self, item: T) -> bool;
    /// Delivers items that arrive together, while it is `alive`; `false` when it is over.
    fn next_batch(&mut self, items: Items<T>, alive: &AtomicBool) -> bool;
    /// Tells the end.
    fn end(self, end: Result<(), E>);
    /// Ends it with a failure of an operator.
    fn fail(self, failure: StreamError);
}

/// What becomes the boxed observer `B`.
pub trait IntoListener<B> {
    /// The observer, boxed.
    fn into_listener(self) -> B;
}

/// What becomes the boxed observer `B`, and is given whole batches.
pub trait IntoBatchListener<B> {
    /// The observer, boxed.
    fn into_batch_listener(self) -> B;
}

macro_rules! listener {
    ($($send:ident)?) => {
        impl<T, E> Listener<T, E> for Box<dyn DynListener<T, E> $(+ $send)?> {
            #[inline]
            fn next(&mut self, item: T) -> bool {
                DynListener::next(&mut **self, item)
            }

            fn next_batch(&mut self, items: Items<T>, alive: &AtomicBool) -> bool {
                DynListener::next_batch(&mut **self, items, alive)
            }

            fn end(self, end: Result<(), E>) {
                DynListener::end(self, end);
            }

            fn fail(self, failure: StreamError) {
                DynListener::fail(self, failure);
            }
        }

        impl<O, T, E> IntoListener<Box<dyn DynListener<T, E> $(+ $send)?>> for O
        where
            O: Observer<T, E> $(+ $send)? + 'static,
            E: 'static,
        {
            fn into_listener(self) -> Box<dyn DynListener<T, E> $(+ $send)?> {
                Box::new(Single(self))
            }
        }

        impl<O, T, E> IntoBatchListener<Box<dyn DynListener<T, E> $(+ $send)?>> for O
        where
            O: BatchObserver<T, E> $(+ $send)? + 'static,
            E: 'static,
        {
            fn into_batch_listener(self) -> Box<dyn DynListener<T, E> $(+ $send)?> {
                Box::new(Whole(self))
            }
        }
    };
}
listener!();
listener!(Send);
