use std::{
    convert::Infallible,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rxrust::{
    context::{LocalScope, SharedScope},
    observer::{BoxedObserver, BoxedObserverSend, Observer},
    subscription::Subscription,
};

use super::subject_impls;
use crate::{
    error::{PanicError, catch, fail, unhandled},
    gate::{Flow, Gate, Machine, Signal, Step, never},
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
    type Observer: Observer<T, E>;
}

impl<T: 'static, E: 'static> Hosts<T, E> for LocalScope {
    type Observer = BoxedObserver<'static, T, E>;
}

impl<T: 'static, E: 'static> Hosts<T, E> for SharedScope {
    type Observer = BoxedObserverSend<'static, T, E>;
}

type Casting<T, E, Sc, V> = Cast<T, E, <Sc as Hosts<T, E>>::Observer, V>;
type HubGate<T, E, Sc, V> = <Sc as Flow>::Gate<Casting<T, E, Sc, V>, CastIn<T, E, <Sc as Hosts<T, E>>::Observer>>;
type WeakHub<T, E, Sc, V> =
    <HubGate<T, E, Sc, V> as Gate<Casting<T, E, Sc, V>, CastIn<T, E, <Sc as Hosts<T, E>>::Observer>>>::Weak;

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
        let ended = Arc::new(AtomicBool::new(false));
        let cast = Cast { subscribers: Vec::new(), end: None, ended: ended.clone(), latest, types: PhantomData };
        Self { gate: HubGate::<T, E, Sc, V>::new(cast), ended, ids: Arc::default() }
    }

    #[inline]
    pub(super) fn send(&self, signal: Signal<T, E>) {
        Sc::send(&self.gate, CastIn::Signal(signal), never);
    }

    pub(super) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn subscribe(&self, observer: Sc::Observer) -> SubjectSubscription<T, E, Sc, V> {
        let alive = Arc::new(AtomicBool::new(true));
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let subscriber = Subscriber { id, alive: alive.clone(), observer: Some(observer) };
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
    /// An item passes.
    fn set(&mut self, item: &T);
    /// What a new subscriber gets first.
    fn get(&self) -> Option<T>;
}

impl<T> Latest<T> for () {
    #[inline]
    fn set(&mut self, _item: &T) {}

    #[inline]
    fn get(&self) -> Option<T> {
        None
    }
}

/// The inputs of a subject.
pub enum CastIn<T, E, O> {
    /// From its producers.
    Signal(Signal<T, E>),
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
    observer: Option<O>,
}

impl<O> Subscriber<O> {
    /// Delivers one item; `false` when it is over.
    #[inline]
    fn next<T, E: 'static>(&mut self, item: T) -> bool
    where
        O: Observer<T, E>,
    {
        if !self.alive.load(Ordering::Relaxed) {
            return false;
        }
        let Some(observer) = &mut self.observer else { return false };
        match catch("subscriber", || observer.next(item)) {
            Ok(()) => {
                let over = observer.is_closed();
                if over {
                    self.alive.store(false, Ordering::Release);
                }
                !over
            }
            Err(panic) => {
                self.alive.store(false, Ordering::Release);
                if let Some(observer) = self.observer.take() {
                    fail(observer, panic);
                }
                false
            }
        }
    }

    fn end<T, E: 'static>(mut self, end: Result<(), E>)
    where
        O: Observer<T, E>,
    {
        if !self.alive.swap(false, Ordering::AcqRel) {
            return;
        }
        let Some(observer) = self.observer.take() else { return };
        let ended = catch("subscriber", || match end {
            Ok(()) => observer.complete(),
            Err(error) => observer.error(error),
        });
        if let Err(panic) = ended {
            unhandled(&panic.into());
        }
    }
}

/// The state of a subject.
pub struct Cast<T, E, O, V> {
    subscribers: Vec<Subscriber<O>>,
    end: Option<Result<(), E>>,
    ended: Arc<AtomicBool>,
    latest: V,
    types: PhantomData<fn() -> T>,
}

impl<T, E, O, V> Cast<T, E, O, V>
where
    T: Clone,
    E: Clone + 'static,
    O: Observer<T, E>,
    V: Latest<T>,
{
    #[inline]
    fn cast(&mut self, item: T) {
        self.latest.set(&item);
        let mut over = false;
        if let Some((last, others)) = self.subscribers.split_last_mut() {
            for subscriber in others {
                over |= !subscriber.next(item.clone());
            }
            over |= !last.next(item);
        }
        if over {
            self.sweep();
        }
    }

    #[cold]
    fn sweep(&mut self) {
        let gone = self.subscribers.extract_if(.., |s| !s.alive.load(Ordering::Acquire));
        drop_each(gone);
    }

    fn end(&mut self, end: Result<(), E>) {
        if self.end.is_some() {
            return;
        }
        self.ended.store(true, Ordering::Release);
        self.end = Some(end.clone());
        for subscriber in std::mem::take(&mut self.subscribers) {
            subscriber.end(end.clone());
        }
    }
}

/// Drops users' closures, whose own drop may panic.
fn drop_each<O>(gone: impl Iterator<Item = Subscriber<O>>) {
    for subscriber in gone {
        if let Err(panic) = catch("drop", || drop(subscriber)) {
            unhandled(&panic.into());
        }
    }
}

impl<T, E, O, V> Machine<CastIn<T, E, O>> for Cast<T, E, O, V>
where
    T: Clone,
    E: Clone + 'static,
    O: Observer<T, E>,
    V: Latest<T>,
{
    #[inline]
    fn on(&mut self, input: CastIn<T, E, O>) -> Step<Infallible> {
        match input {
            CastIn::Signal(Signal::Next(item)) => {
                if self.end.is_none() {
                    self.cast(item);
                }
            }
            CastIn::Signal(Signal::Error(error)) => self.end(Err(error)),
            CastIn::Signal(Signal::Complete) => self.end(Ok(())),
            CastIn::Subscribe(mut subscriber) => match &self.end {
                Some(end) => subscriber.end(end.clone()),
                None => {
                    if self.latest.get().is_none_or(|item| subscriber.next(item)) {
                        self.subscribers.push(subscriber);
                    }
                }
            },
            CastIn::Unsubscribe(id) => {
                if let Some(at) = self.subscribers.iter().position(|s| s.id == id) {
                    drop_each(std::iter::once(self.subscribers.remove(at)));
                }
            }
        }
        Step::Continue
    }

    fn on_panic(&mut self, panic: PanicError) {
        // Subscribers' panics are caught one by one: this was a clone of an item or of an error.
        unhandled(&panic.into());
    }
}
