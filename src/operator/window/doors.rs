//! Buffers and windows that go by other sources.

use std::{cell::Cell, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, Observable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription, SubscriptionGuard},
};

use super::{Bounded, Collect, Deal, Env, Keeper, OuterSubscription, Panes, PanesOf, Rack};
use crate::{
    buffer::Buffer,
    error::{StreamError, drop_caught, named},
    gate::{
        ActObserver, Flow, Gate, GateSubOf, Machine, Place, Port, Signal, Step, SubOf, attach, guarded,
        in_turn, settled,
    },
};

/// When buffers and windows begin and end, by the items of other sources: of openings `U`, and of a closing source `In`
/// for each.
pub trait Latch<U, In> {
    /// The operators' names, in errors: of buffers, of windows.
    const NAMES: [&'static str; 2];
    /// Whether one is open from the beginning on, and the next one begins where one ends.
    const GAPLESS: bool;
    /// The closing source of one that opens, with the item of the openings; `None`: it ends at the next opening.
    fn closing(&mut self, opening: Option<U>) -> Option<In>;
}

/// A source with buffers or windows (`G`) below it, which are opened and closed by other sources.
pub struct Doors<S, B, K, D, G, I, U, In, X, T, E> {
    source: S,
    openings: B,
    latch: K,
    collect: G,
    types: PhantomData<fn(I, U) -> (D, In, X, T, E)>,
}

impl<S, B, K, D, G: Default, I, U, In, X, T, E> Doors<S, B, K, D, G, I, U, In, X, T, E> {
    pub(super) fn new(source: S, openings: B, latch: K) -> Self {
        Self { source, openings, latch, collect: G::default(), types: PhantomData }
    }
}

impl<S, B, K, D, G, I, U, In, X, T, E> Clone for Doors<S, B, K, D, G, I, U, In, X, T, E>
where
    S: Clone,
    B: Clone,
    K: Clone,
    G: Clone,
{
    fn clone(&self) -> Self {
        let Self { source, openings, latch, collect, types } = self;
        Self {
            source: source.clone(),
            openings: openings.clone(),
            latch: latch.clone(),
            collect: collect.clone(),
            types: *types,
        }
    }
}

impl<S, B, K, D, G: Bounded, I, U, In, X, T, E> Bounded for Doors<S, B, K, D, G, I, U, In, X, T, E> {
    fn bound(&mut self, buffer: Buffer) {
        self.collect.bound(buffer);
    }
}

impl<S, B, K, D, G, I, U, In, X, T, E> ObservableType for Doors<S, B, K, D, G, I, U, In, X, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, K, D, G, I, U, In, T, E> = Keeping<PanesOf<C, G, I, T, E>, K, D, U, In, SubOf<C>>;
type Input<C, I, U, E> = Knock<I, U, E, SubOf<C>>;
/// The observer of one of the sources of machine `M`.
pub(crate) type DoorObserver<C, M, I, U, In, E, P> =
    ActObserver<<C as Context>::Scope, M, Input<C, I, U, E>, Close<In>, P, <C as Context>::Scheduler>;

impl<S, B, K, D, G, I, U, In, X, T, E, C, UA, UB, UC> CoreObservable<C>
    for Doors<S, B, K, D, G, I, U, In, X, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    K: Latch<U, In>,
    D: Deal<I>,
    G: Collect<I, T, E, C::Scope, C::Scheduler>,
    E: 'static,
    In: Observable,
    S: CoreObservable<
            C::With<DoorObserver<C, MachineOf<C, K, D, G, I, U, In, T, E>, I, U, In, E, Main>>,
            Unsub = UA,
        >,
    B: CoreObservable<
            C::With<DoorObserver<C, MachineOf<C, K, D, G, I, U, In, T, E>, I, U, In, E, Opener>>,
            Unsub = UB,
        >,
    In::Inner: CoreObservable<
            C::With<DoorObserver<C, MachineOf<C, K, D, G, I, U, In, T, E>, I, U, In, E, Closer<X>>>,
            Unsub = UC,
        >,
    UA: Subscription + IntoBoxedSubscription<SubOf<C>>,
    UB: Subscription + IntoBoxedSubscription<SubOf<C>>,
    UC: Subscription + IntoBoxedSubscription<SubOf<C>>,
    GateSubOf<C, MachineOf<C, K, D, G, I, U, In, T, E>, Input<C, I, U, E>>: IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub =
        OuterSubscription<C::Scope, GateSubOf<C, MachineOf<C, K, D, G, I, U, In, T, E>, Input<C, I, U, E>>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let keeper = Keeper::new();
        let env = Env { keeper: keeper.clone(), scheduler: scheduler.clone() };
        let gate = C::Scope::gate(Keeping {
            panes: Panes::new(down, self.collect, env),
            latch: self.latch,
            closings: Closings::default(),
            waits: false,
            types: PhantomData,
        });
        keeper.keep(gate.downgrade().into_boxed());
        let closing = watch_closing::<C, MachineOf<C, K, D, G, I, U, In, T, E>, I, U, In, X, E, UC>;
        settled(&gate, || C::Scope::send(&gate, Knock::Begin, |close| closing(&gate, &scheduler, close)));
        if !gate.closed() {
            let observer = ActObserver::new(&gate, &scheduler, closing, Opener);
            attach(&gate, self.openings.subscribe(C::With::from_parts(observer, scheduler.clone())));
        }
        if !gate.closed() {
            let observer = ActObserver::new(&gate, &scheduler, closing, Main);
            attach(&gate, self.source.subscribe(C::With::from_parts(observer, scheduler)));
        }
        OuterSubscription { keeper, gate: gate.downgrade() }
    }
}

/// Subscribes to one closing source after the other as machine `M` hands them out.
pub(crate) fn watch_closing<C, M, I, U, In, X, E, V>(
    gate: &<C::Scope as Flow>::Gate<M, Input<C, I, U, E>>,
    scheduler: &C::Scheduler,
    first: Close<In>,
) where
    C: Context,
    C::Scope: Flow,
    M: Machine<Input<C, I, U, E>, Close<In>>,
    In: Observable,
    In::Inner: CoreObservable<C::With<DoorObserver<C, M, I, U, In, E, Closer<X>>>, Unsub = V>,
    V: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    in_turn(first, |Close { number, source }, next| {
        let port = Closer { number, over: Cell::new(false), types: PhantomData };
        let observer = ActObserver::new(gate, scheduler, watch_closing::<C, M, I, U, In, X, E, V>, port);
        let sub = source.into_inner().subscribe(C::With::from_parts(observer, scheduler.clone()));
        C::Scope::send(gate, Knock::Subscribed(number, guarded(sub)), next);
    });
}

/// The inputs of what goes by other sources.
pub enum Knock<I, U, E, Sub: Subscription> {
    /// The subscription.
    Begin,
    /// From the source.
    Source(Signal<I, E>),
    /// From the openings.
    Opening(Signal<U, E>),
    /// From a closing source; an item or its completion are the same.
    Closing(u64, Result<(), E>),
    /// A closing source has been subscribed.
    Subscribed(u64, Option<SubscriptionGuard<Sub>>),
}

/// Subscribe to this closing source.
pub struct Close<In> {
    pub(crate) number: u64,
    pub(crate) source: In,
}

/// The source.
#[derive(Debug, Clone, Copy)]
pub struct Main;
/// The openings.
#[derive(Debug, Clone, Copy)]
pub struct Opener;
/// A closing source; over after its first signal.
pub struct Closer<X> {
    number: u64,
    over: Cell<bool>,
    types: PhantomData<fn(X)>,
}

impl Place for Main {}
impl Place for Opener {}
impl<X> Place for Closer<X> {}

impl<I, U, E, Sub: Subscription> Port<I, E, Knock<I, U, E, Sub>> for Main {
    #[inline]
    fn input(&self, signal: Signal<I, E>) -> Knock<I, U, E, Sub> {
        Knock::Source(signal)
    }
}

impl<I, U, E, Sub: Subscription> Port<U, E, Knock<I, U, E, Sub>> for Opener {
    #[inline]
    fn input(&self, signal: Signal<U, E>) -> Knock<I, U, E, Sub> {
        Knock::Opening(signal)
    }
}

impl<X, I, U, E, Sub: Subscription> Port<X, E, Knock<I, U, E, Sub>> for Closer<X> {
    fn input(&self, signal: Signal<X, E>) -> Knock<I, U, E, Sub> {
        self.over.set(true);
        let end = match signal {
            Signal::Error(error) => Err(error),
            Signal::Next(_) | Signal::Complete => Ok(()),
        };
        Knock::Closing(self.number, end)
    }

    fn is_over(&self) -> bool {
        self.over.get()
    }
}

/// The closing sources that are subscribed.
pub(crate) struct Closings<Sub: Subscription> {
    /// Their subscriptions are under way: what they trigger may wait for them.
    starting: Vec<u64>,
    live: Vec<(u64, SubscriptionGuard<Sub>)>,
}

impl<Sub: Subscription> Default for Closings<Sub> {
    fn default() -> Self {
        Self { starting: Vec::new(), live: Vec::new() }
    }
}

impl<Sub: Subscription> Closings<Sub> {
    pub(crate) fn start(&mut self, number: u64) {
        self.starting.push(number);
    }

    /// It has been subscribed; kept if it is still wanted.
    pub(crate) fn started(&mut self, number: u64, sub: Option<SubscriptionGuard<Sub>>, wanted: bool) {
        self.starting.retain(|starting| *starting != number);
        match sub {
            Some(sub) if wanted => self.live.push((number, sub)),
            sub => drop_caught(sub),
        }
    }

    /// It is over; whether it was so from the start.
    pub(crate) fn end(&mut self, number: u64) -> bool {
        if let Some(at) = self.live.iter().position(|(live, _)| *live == number) {
            drop_caught(self.live.swap_remove(at));
        }
        self.starting.contains(&number)
    }
}

/// The state of [`Doors`].
pub struct Keeping<R, K, D, U, In, Sub: Subscription> {
    panes: R,
    latch: K,
    closings: Closings<Sub>,
    /// A closing source was over from the start: the next one opens with the next item, or they would do so for ever.
    waits: bool,
    types: PhantomData<fn(U) -> (D, In)>,
}

impl<R, K, D, U, In, Sub: Subscription> Keeping<R, K, D, U, In, Sub> {
    fn open<I>(&mut self, opening: Option<U>) -> Option<Close<In>>
    where
        R: Rack<I>,
        K: Latch<U, In>,
    {
        self.waits = false;
        // A panic in the closure comes before anything has changed.
        let source = named(|| K::NAMES[usize::from(R::WINDOWS)], || self.latch.closing(opening));
        let number = self.panes.open()?;
        let source = source?;
        self.closings.start(number);
        Some(Close { number, source })
    }
}

impl<O, G, I, T, E, Sc, S, K, D, U, In, Sub> Machine<Knock<I, U, E, Sub>, Close<In>>
    for Keeping<Panes<O, G, I, T, E, Sc, S>, K, D, U, In, Sub>
where
    O: Observer<T, E>,
    Sc: Flow,
    G: Collect<I, T, E, Sc, S>,
    K: Latch<U, In>,
    D: Deal<I>,
    E: 'static,
    Sub: Subscription,
{
    #[inline(always)]
    fn on(&mut self, input: Knock<I, U, E, Sub>) -> Step<Close<In>> {
        let mut close = None;
        match input {
            Knock::Source(Signal::Next(item)) => {
                if self.waits {
                    close = self.open::<I>(None);
                }
                self.panes.put::<D>(item);
            }
            Knock::Opening(Signal::Next(opening)) => {
                if K::GAPLESS {
                    self.panes.close_oldest();
                }
                close = self.open::<I>(Some(opening));
            }
            Knock::Closing(number, Ok(())) => {
                let at_once = self.closings.end(number);
                if self.panes.is_open(number) {
                    self.panes.close(number);
                    self.waits = K::GAPLESS && at_once;
                    if K::GAPLESS && !at_once {
                        close = self.open::<I>(None);
                    }
                }
            }
            Knock::Subscribed(number, sub) => {
                let wanted = self.panes.is_open(number);
                self.closings.started(number, sub, wanted);
            }
            Knock::Begin if K::GAPLESS => close = self.open::<I>(None),
            Knock::Begin | Knock::Opening(Signal::Complete) => {}
            Knock::Source(Signal::Complete) => return self.panes.complete(),
            Knock::Source(Signal::Error(error))
            | Knock::Opening(Signal::Error(error))
            | Knock::Closing(_, Err(error)) => return self.panes.error(error),
        }
        match self.panes.settle() {
            Step::Continue => close.map_or(Step::Continue, Step::Act),
            over => over,
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Close<In>> = self.panes.fail(failure);
    }
}

/// A source that says nothing.
pub struct Silent<T, E>(PhantomData<fn() -> (T, E)>);

impl<T, E> Default for Silent<T, E> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, E> Clone for Silent<T, E> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T, E> ObservableType for Silent<T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<T, E, C> CoreObservable<C> for Silent<T, E>
where
    C: Context,
    C::Inner: Observer<T, E>,
{
    type Unsub = ();

    fn subscribe(self, _context: C) {}
}
