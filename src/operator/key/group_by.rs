use std::{collections::HashMap, convert::Infallible, hash::BuildHasher, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, Observable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::{FastHasher, Key, Keys, Table};
use crate::{
    buffer::Buffer,
    delivery::fate::{Fate, abandon, with_fate},
    error::{StreamError, named},
    gate::{ActObserver, Down, Flow, Gate, GateSubOf, Machine, Signal, Step, SubOf, attach},
    held::QueueMeter,
    operator::{
        share::{Hosts, IntoListener},
        window::{
            Bounded, Close, Closer, Closings, DoorObserver, Keeper, Knock, Main, OuterSubscription, Window,
            WindowFeed, WindowSubscription, put, watch_closing,
        },
    },
};

/// See [`group_by`](super::KeyOps::group_by).
pub struct GroupBy<S, K, Q: Key + ?Sized, H, F, I, In, X, W, E> {
    source: S,
    keys: Keys<H>,
    key: K,
    duration: F,
    buffer: Buffer,
    types: PhantomData<fn(I, &Q) -> (In, X, W, E)>,
}

impl<S, K, Q: Key + ?Sized, H, F, I, In, X, W, E> GroupBy<S, K, Q, H, F, I, In, X, W, E> {
    pub(super) fn new(source: S, keys: Keys<H>, key: K, duration: F) -> Self {
        Self { source, keys, key, duration, buffer: Buffer::default(), types: PhantomData }
    }
}

impl<S, K, Q, H, F, I, In, X, W, E> Clone for GroupBy<S, K, Q, H, F, I, In, X, W, E>
where
    S: Clone,
    K: Clone,
    Q: Key + ?Sized,
    H: Clone,
    F: Clone,
{
    fn clone(&self) -> Self {
        let Self { source, keys, key, duration, buffer, types } = self;
        Self {
            source: source.clone(),
            keys: keys.clone(),
            key: key.clone(),
            duration: duration.clone(),
            buffer: buffer.clone(),
            types: *types,
        }
    }
}

impl<S, K, Q: Key + ?Sized, H, F, I, In, X, W, E> Bounded for GroupBy<S, K, Q, H, F, I, In, X, W, E> {
    fn bound(&mut self, buffer: Buffer) {
        self.buffer = buffer;
    }
}

impl<S, K, Q: Key + ?Sized, H, F, I, In, X, W, E> ObservableType for GroupBy<S, K, Q, H, F, I, In, X, W, E> {
    type Item<'a>
        = W
    where
        Self: 'a;
    type Err = E;
}

/// The items of one key.
pub struct Group<K, T: 'static, E: 'static, Sc: Hosts<T, E>> {
    key: K,
    window: Window<T, E, Sc>,
}

impl<K, T, E, Sc: Hosts<T, E>> ObservableType for Group<K, T, E, Sc> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<K, T, E, Sc, C> CoreObservable<C> for Group<K, T, E, Sc>
where
    Sc: Hosts<T, E>,
    C: Context<Scope = Sc>,
    C::Inner: IntoListener<Sc::Listener>,
{
    type Unsub = WindowSubscription<T, E, Sc>;

    fn subscribe(self, context: C) -> Self::Unsub {
        self.window.subscribe(context)
    }
}

/// What has a key: the groups of [`group_by`](super::KeyOps::group_by).
pub trait Keyed {
    /// The key's type.
    type Key;
    /// The key of all items of the group.
    fn key(&self) -> &Self::Key;
}

impl<K, T, E, Sc: Hosts<T, E>> Keyed for Group<K, T, E, Sc> {
    type Key = K;

    fn key(&self) -> &K {
        &self.key
    }
}

impl<C: Context<Inner: Keyed>> Keyed for C {
    type Key = <C::Inner as Keyed>::Key;

    fn key(&self) -> &Self::Key {
        self.inner().key()
    }
}

/// How long groups are open.
pub trait Duration<K, In> {
    /// The source whose first signal ends the group; `None`: nothing does.
    fn of(&mut self, key: &K) -> Option<In>;
}

/// Until the source ends.
#[derive(Debug, Clone, Copy)]
pub struct ForEver;

impl<K, In> Duration<K, In> for ForEver {
    fn of(&mut self, _key: &K) -> Option<In> {
        None
    }
}

/// Until a source of its own emits or completes.
#[derive(Debug, Clone)]
pub struct Until<F>(pub(super) F);

impl<K, In, F: FnMut(&K) -> In> Duration<K, In> for Until<F> {
    fn of(&mut self, key: &K) -> Option<In> {
        Some((self.0)(key))
    }
}

type Owned<Q> = <Q as ToOwned>::Owned;
type MachineOf<C, K, Q, H, F, I, In, W, E> = Grouping<
    <C as Context>::Inner,
    K,
    Q,
    H,
    F,
    I,
    In,
    W,
    E,
    <C as Context>::Scope,
    <C as Context>::Scheduler,
    SubOf<C>,
>;
type Input<C, I, E> = Knock<I, Infallible, E, SubOf<C>>;
type InputObserver<C, K, Q, H, F, I, In, W, E, P> =
    DoorObserver<C, MachineOf<C, K, Q, H, F, I, In, W, E>, I, Infallible, In, E, P>;
type WeakOf<C, K, Q, H, F, I, In, W, E> = GateSubOf<C, MachineOf<C, K, Q, H, F, I, In, W, E>, Input<C, I, E>>;

impl<S, K, Q, H, F, I, In, X, W, E, C, U, V> CoreObservable<C> for GroupBy<S, K, Q, H, F, I, In, X, W, E>
where
    C: Context,
    C::Scope: Hosts<I, E>,
    C::Inner: Observer<W, E>,
    K: FnMut(&I) -> &Q,
    Q: Key + ?Sized,
    H: BuildHasher,
    F: Duration<Owned<Q>, In>,
    W: Context<Inner = Group<Owned<Q>, I, E, C::Scope>, Scheduler = C::Scheduler>,
    I: 'static,
    E: Clone + 'static,
    In: Observable,
    S: CoreObservable<C::With<InputObserver<C, K, Q, H, F, I, In, W, E, Main>>, Unsub = U>,
    In::Inner: CoreObservable<C::With<InputObserver<C, K, Q, H, F, I, In, W, E, Closer<X>>>, Unsub = V>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
    V: Subscription + IntoBoxedSubscription<SubOf<C>>,
    WeakOf<C, K, Q, H, F, I, In, W, E>: IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = OuterSubscription<C::Scope, WeakOf<C, K, Q, H, F, I, In, W, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let keeper = Keeper::new();
        let gate = C::Scope::gate(Grouping {
            down: Down::new(down),
            key: self.key,
            duration: self.duration,
            groups: Table::new(self.keys),
            opened: 0,
            ends: HashMap::default(),
            closings: Closings::default(),
            buffer: self.buffer,
            keeper: keeper.clone(),
            scheduler: scheduler.clone(),
            types: PhantomData,
        });
        keeper.keep(gate.downgrade().into_boxed());
        let closing = watch_closing::<C, MachineOf<C, K, Q, H, F, I, In, W, E>, I, Infallible, In, X, E, V>;
        let observer = ActObserver::new(&gate, &scheduler, closing, Main);
        attach(&gate, self.source.subscribe(C::With::from_parts(observer, scheduler)));
        OuterSubscription { keeper, gate: gate.downgrade() }
    }
}

/// The state of a [`GroupBy`].
pub struct Grouping<O, K, Q, H, F, I, In, W, E, Sc, S, Sub>
where
    Q: Key + ?Sized,
    I: 'static,
    E: 'static,
    Sc: Hosts<I, E>,
    Sub: Subscription,
{
    down: Down<O>,
    key: K,
    duration: F,
    groups: Table<Owned<Q>, Open<I, E, Sc>, H>,
    opened: u64,
    /// The keys of the groups that a source of their own ends.
    ends: HashMap<u64, Owned<Q>, FastHasher>,
    closings: Closings<Sub>,
    buffer: Buffer,
    keeper: Keeper<Sc>,
    scheduler: S,
    types: PhantomData<fn() -> (In, W)>,
}

/// An open group, and its number.
struct Open<I: 'static, E: 'static, Sc: Hosts<I, E>> {
    number: u64,
    feed: WindowFeed<I, E, Sc>,
}

impl<O, K, Q, H, F, I, In, W, E, Sc, S, Sub> Grouping<O, K, Q, H, F, I, In, W, E, Sc, S, Sub>
where
    O: Observer<W, E>,
    K: FnMut(&I) -> &Q,
    Q: Key + ?Sized,
    H: BuildHasher,
    F: Duration<Owned<Q>, In>,
    W: Context<Inner = Group<Owned<Q>, I, E, Sc>, Scheduler = S>,
    E: Clone,
    Sc: Hosts<I, E>,
    S: Clone,
    Sub: Subscription,
{
    #[inline]
    fn next(&mut self, item: I) -> Step<Close<In>> {
        let Self { key, groups, buffer, keeper, opened, .. } = self;
        let key = named(|| "group_by", || key(&item));
        if !keeper.listens() {
            // No groups are opened any more.
            let put = match named(|| "group_by", || groups.find(key)) {
                Some(open) => put(&open.feed, item, buffer, keeper),
                None => {
                    buffer.dropped(&QueueMeter::default(), 1);
                    with_fate(Fate::Dropped, || drop(item));
                    Ok(false)
                }
            };
            return self.settle(put);
        }
        let (mut new, number) = (None, *opened);
        let open = || {
            let (feed, window) = WindowFeed::open(buffer, keeper);
            new = Some((key.to_owned(), feed.clone(), window));
            Open { number, feed }
        };
        match named(|| "group_by", || groups.get_or_evict(key, "group_by", open)) {
            Ok((open, evicted)) => match new {
                None => {
                    let put = put(&open.feed, item, buffer, keeper);
                    self.settle(put)
                }
                Some((key, feed, window)) => self.open(item, key, feed, window, evicted),
            },
            Err(_) => {
                let limit = groups.capacity();
                abandon(item);
                self.fail_all(StreamError::GroupLimitExceeded { limit })
            }
        }
    }

    #[inline]
    fn settle(&mut self, put: Result<bool, StreamError>) -> Step<Close<In>> {
        match put {
            Ok(true) => Step::Continue,
            Ok(false) => self.look_down(),
            Err(full) => self.fail_all(full),
        }
    }

    /// Nobody has heard an item. A source that emits while it is being subscribed cannot be unsubscribed yet: whether its
    /// subscriber has gone shows here only.
    #[cold]
    fn look_down(&mut self) -> Step<Close<In>> {
        if self.down.is_closed() || !self.keeper.listens() {
            self.down.release();
            self.keeper.leave();
        }
        Step::Continue
    }

    /// The item is the first of a new group, for which another one may have had to end.
    #[cold]
    fn open(
        &mut self,
        item: I,
        key: Owned<Q>,
        feed: WindowFeed<I, E, Sc>,
        window: Window<I, E, Sc>,
        evicted: Option<Open<I, E, Sc>>,
    ) -> Step<Close<In>> {
        let number = self.opened;
        self.opened += 1;
        if let Some(evicted) = evicted {
            self.ends.remove(&evicted.number);
            self.closings.end(evicted.number);
            evicted.feed.complete();
        }
        let source = named(|| "group_by", || self.duration.of(&key));
        let group = Group { key: named(|| "group_by", || key.clone()), window };
        let step: Step<Infallible> = self.down.next(W::from_parts(group, self.scheduler.clone()));
        if step == Step::Done {
            self.down.release();
            self.keeper.leave();
        }
        if let Err(full) = put(&feed, item, &self.buffer, &self.keeper) {
            return self.fail_all(full);
        }
        match source {
            Some(source) => {
                self.ends.insert(number, key);
                self.closings.start(number);
                Step::Act(Close { number, source })
            }
            None => Step::Continue,
        }
    }

    /// The source that ends this group has done so.
    fn close(&mut self, number: u64) {
        self.closings.end(number);
        if let Some(key) = self.ends.remove(&number)
            && let Some(open) = self.groups.remove(&key, |open| open.number == number)
        {
            open.feed.complete();
        }
    }

    /// All open groups, the oldest first.
    fn all(&mut self) -> Vec<Open<I, E, Sc>> {
        let mut all: Vec<_> = self.groups.drain().collect();
        all.sort_unstable_by_key(|open| open.number);
        all
    }

    fn fail_all(&mut self, failure: StreamError) -> Step<Close<In>> {
        self.all().into_iter().for_each(|open| open.feed.fail(failure.clone()));
        if self.keeper.listens() { self.down.fail(failure) } else { Step::Done }
    }
}

impl<O, K, Q, H, F, I, In, W, E, Sc, S, Sub> Machine<Knock<I, Infallible, E, Sub>, Close<In>>
    for Grouping<O, K, Q, H, F, I, In, W, E, Sc, S, Sub>
where
    O: Observer<W, E>,
    K: FnMut(&I) -> &Q,
    Q: Key + ?Sized,
    H: BuildHasher,
    F: Duration<Owned<Q>, In>,
    W: Context<Inner = Group<Owned<Q>, I, E, Sc>, Scheduler = S>,
    E: Clone,
    Sc: Hosts<I, E>,
    S: Clone,
    Sub: Subscription,
{
    #[inline(always)]
    fn on(&mut self, input: Knock<I, Infallible, E, Sub>) -> Step<Close<In>> {
        match input {
            Knock::Source(Signal::Next(item)) => self.next(item),
            Knock::Source(Signal::Complete) => {
                self.all().into_iter().for_each(|open| open.feed.complete());
                if self.keeper.listens() { self.down.complete() } else { Step::Done }
            }
            Knock::Source(Signal::Error(error))
            | Knock::Opening(Signal::Error(error))
            | Knock::Closing(_, Err(error)) => {
                self.all().into_iter().for_each(|open| open.feed.error(error.clone()));
                if self.keeper.listens() { self.down.error(error) } else { Step::Done }
            }
            Knock::Closing(number, Ok(())) => {
                self.close(number);
                Step::Continue
            }
            Knock::Subscribed(number, sub) => {
                let wanted = self.ends.contains_key(&number);
                self.closings.started(number, sub, wanted);
                Step::Continue
            }
            Knock::Begin | Knock::Opening(_) => Step::Continue,
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Close<In>> = self.fail_all(failure);
    }
}
