use std::{
    marker::PhantomData,
    sync::atomic::{AtomicBool, Ordering},
};

use rxrust::{
    context::Context,
    observable::{CoreObservable, Observable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription, SubscriptionGuard},
};

use super::{
    Meet,
    windows::{Room, Windows},
};
use crate::{
    buffer::Buffer,
    delivery::fate::{Fate, abandon, with_fate},
    error::{StreamError, named},
    gate::{
        ActObserver, Down, Flow, Gate, GateOf, GateSubOf, Left, Machine, Place, Port, Right, Signal, Step,
        StopSubscription, SubOf, attach, guarded, in_turn,
    },
    time::Cancel,
};

/// See [`join`](super::CombineOps::join) and [`group_join`](super::CombineOps::group_join): `K` says what becomes of items
/// whose windows overlap, `L` is what it keeps of a left one.
pub struct Join<A, B, FL, FR, K, DL, DR, T, U, L, R, E> {
    left: A,
    right: B,
    left_duration: FL,
    right_duration: FR,
    meet: K,
    buffer: Buffer,
    types: PhantomData<fn(T, U) -> (DL, DR, L, R, E)>,
}

impl<A, B, FL, FR, K, DL, DR, T, U, L, R, E> Join<A, B, FL, FR, K, DL, DR, T, U, L, R, E> {
    pub(super) fn new(
        (left, right): (A, B),
        (left_duration, right_duration): (FL, FR),
        meet: K,
        buffer: Buffer,
    ) -> Self {
        Self { left, right, left_duration, right_duration, meet, buffer, types: PhantomData }
    }
}

impl<A, B, FL, FR, K, DL, DR, T, U, L, R, E> Clone for Join<A, B, FL, FR, K, DL, DR, T, U, L, R, E>
where
    A: Clone,
    B: Clone,
    FL: Clone,
    FR: Clone,
    K: Clone,
{
    fn clone(&self) -> Self {
        let Self { left, right, left_duration, right_duration, meet, buffer, .. } = self;
        let durations = (left_duration.clone(), right_duration.clone());
        Self::new((left.clone(), right.clone()), durations, meet.clone(), buffer.clone())
    }
}

impl<A, B, FL, FR, K, DL, DR, T, U, L, R, E> ObservableType for Join<A, B, FL, FR, K, DL, DR, T, U, L, R, E> {
    type Item<'a>
        = R
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, FL, FR, K, DL, DR, T, U, L, R, E> =
    WindowJoin<<C as Context>::Inner, FL, FR, K, DL, DR, T, U, L, R, E, <C as Context>::Scheduler, SubOf<C>>;
type In<C, T, U, E> = Joined<T, U, E, SubOf<C>>;
type JoinGate<C, FL, FR, K, DL, DR, T, U, L, R, E> =
    GateOf<C, MachineOf<C, FL, FR, K, DL, DR, T, U, L, R, E>, In<C, T, U, E>>;
type Input<C, FL, FR, K, DL, DR, T, U, L, R, E, P> = ActObserver<
    <C as Context>::Scope,
    MachineOf<C, FL, FR, K, DL, DR, T, U, L, R, E>,
    In<C, T, U, E>,
    Open<DL, DR>,
    P,
    <C as Context>::Scheduler,
>;

impl<A, B, FL, FR, K, DL, DR, T, U, L, R, E, C, UA, UB, UL, UR> CoreObservable<C>
    for Join<A, B, FL, FR, K, DL, DR, T, U, L, R, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<R, E>,
    E: 'static,
    FL: FnMut(&T) -> DL,
    FR: FnMut(&U) -> DR,
    K: Meet<C::Inner, T, U, L, E, C::Scheduler>,
    DL: Observable,
    DR: Observable,
    A: CoreObservable<C::With<Input<C, FL, FR, K, DL, DR, T, U, L, R, E, Left>>, Unsub = UA>,
    B: CoreObservable<C::With<Input<C, FL, FR, K, DL, DR, T, U, L, R, E, Right>>, Unsub = UB>,
    DL::Inner: CoreObservable<C::With<Input<C, FL, FR, K, DL, DR, T, U, L, R, E, Window>>, Unsub = UL>,
    DR::Inner: CoreObservable<C::With<Input<C, FL, FR, K, DL, DR, T, U, L, R, E, Window>>, Unsub = UR>,
    UA: Subscription + IntoBoxedSubscription<SubOf<C>>,
    UB: Subscription + IntoBoxedSubscription<SubOf<C>>,
    UL: Subscription + IntoBoxedSubscription<SubOf<C>>,
    UR: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub =
        StopSubscription<GateSubOf<C, MachineOf<C, FL, FR, K, DL, DR, T, U, L, R, E>, In<C, T, U, E>>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let Self { left, right, left_duration, right_duration, mut meet, buffer, .. } = self;
        let (down, scheduler) = context.into_parts();
        meet.start(&scheduler);
        let cancel = Cancel::default();
        let gate = C::Scope::gate(WindowJoin {
            down: Down::new(down),
            left_duration,
            right_duration,
            meet,
            lefts: Windows::new(&buffer),
            rights: Windows::new(&buffer),
            cancel: cancel.clone(),
            types: PhantomData,
        });
        /// Subscribes to the durations of windows that have opened.
        fn open<C, FL, FR, K, DL, DR, T, U, L, R, E, UL, UR>(
            gate: &JoinGate<C, FL, FR, K, DL, DR, T, U, L, R, E>,
            scheduler: &C::Scheduler,
            first: Open<DL, DR>,
        ) where
            C: Context,
            C::Scope: Flow,
            C::Inner: Observer<R, E>,
            E: 'static,
            FL: FnMut(&T) -> DL,
            FR: FnMut(&U) -> DR,
            K: Meet<C::Inner, T, U, L, E, C::Scheduler>,
            DL: Observable,
            DR: Observable,
            DL::Inner:
                CoreObservable<C::With<Input<C, FL, FR, K, DL, DR, T, U, L, R, E, Window>>, Unsub = UL>,
            DR::Inner:
                CoreObservable<C::With<Input<C, FL, FR, K, DL, DR, T, U, L, R, E, Window>>, Unsub = UR>,
            UL: Subscription + IntoBoxedSubscription<SubOf<C>>,
            UR: Subscription + IntoBoxedSubscription<SubOf<C>>,
        {
            in_turn(first, |act, next| {
                let perform = open::<C, FL, FR, K, DL, DR, T, U, L, R, E, UL, UR>;
                let at = |side, number| {
                    let window = Window { side, number, over: AtomicBool::new(false) };
                    C::With::from_parts(ActObserver::new(gate, scheduler, perform, window), scheduler.clone())
                };
                let (side, number, sub) = match act {
                    Open::Left(number, duration) => {
                        (Side::Left, number, guarded(duration.into_inner().subscribe(at(Side::Left, number))))
                    }
                    Open::Right(number, duration) => (
                        Side::Right,
                        number,
                        guarded(duration.into_inner().subscribe(at(Side::Right, number))),
                    ),
                };
                if let Some(sub) = sub {
                    C::Scope::send(gate, Joined::Subscribed(side, number, sub), next);
                }
            });
        }
        let perform = open::<C, FL, FR, K, DL, DR, T, U, L, R, E, UL, UR>;
        let observer = ActObserver::new(&gate, &scheduler, perform, Left);
        attach(&gate, left.subscribe(C::With::from_parts(observer, scheduler.clone())));
        if !gate.closed() {
            let observer = ActObserver::new(&gate, &scheduler, perform, Right);
            attach(&gate, right.subscribe(C::With::from_parts(observer, scheduler)));
        }
        StopSubscription::new(gate.downgrade(), cancel)
    }
}

/// Subscribe to the duration of the window of that number.
pub enum Open<DL, DR> {
    /// Of a left item.
    Left(u64, DL),
    /// Of a right item.
    Right(u64, DR),
}

/// Of which source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that the operator was called on.
    Left,
    /// The other.
    Right,
}

/// The inputs of a join.
pub enum Joined<T, U, E, Sub: Subscription> {
    /// From the left source.
    Left(Signal<T, E>),
    /// From the right one.
    Right(Signal<U, E>),
    /// The duration of a window has been subscribed.
    Subscribed(Side, u64, SubscriptionGuard<Sub>),
    /// The duration of a window is over.
    Over(Side, u64),
    /// A duration has failed.
    Failed(E),
}

impl<T, U, E, Sub: Subscription> Port<T, E, Joined<T, U, E, Sub>> for Left {
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> Joined<T, U, E, Sub> {
        Joined::Left(signal)
    }
}

impl<T, U, E, Sub: Subscription> Port<U, E, Joined<T, U, E, Sub>> for Right {
    #[inline]
    fn input(&self, signal: Signal<U, E>) -> Joined<T, U, E, Sub> {
        Joined::Right(signal)
    }
}

/// The duration of a window; over with its first signal.
pub struct Window {
    side: Side,
    number: u64,
    over: AtomicBool,
}

impl Place for Window {}

impl<X, T, U, E, Sub: Subscription> Port<X, E, Joined<T, U, E, Sub>> for Window {
    fn input(&self, signal: Signal<X, E>) -> Joined<T, U, E, Sub> {
        self.over.store(true, Ordering::Relaxed);
        match signal {
            Signal::Error(error) => Joined::Failed(error),
            Signal::Next(_) | Signal::Complete => Joined::Over(self.side, self.number),
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// The state of a join: the open windows of both sides.
pub struct WindowJoin<O, FL, FR, K, DL, DR, T, U, L, R, E, Sch, Sub: Subscription> {
    down: Down<O>,
    left_duration: FL,
    right_duration: FR,
    meet: K,
    lefts: Windows<L, Sub>,
    rights: Windows<U, Sub>,
    /// Several items may go in one step: unsubscribed meanwhile, it stops.
    cancel: Cancel,
    types: PhantomData<fn(T) -> (DL, DR, R, E, Sch)>,
}

impl<O, FL, FR, K, DL, DR, T, U, L, R, E, Sch, Sub> WindowJoin<O, FL, FR, K, DL, DR, T, U, L, R, E, Sch, Sub>
where
    O: Observer<R, E>,
    K: Meet<O, T, U, L, E, Sch>,
    FL: FnMut(&T) -> DL,
    FR: FnMut(&U) -> DR,
    E: 'static,
    Sub: Subscription,
{
    fn left(&mut self, item: T) -> Step<Open<DL, DR>> {
        match self.lefts.room(K::NAME) {
            Err(full) => {
                abandon(item);
                return self.ends_with(full.into());
            }
            Ok(Room::No) => {
                with_fate(Fate::Dropped, || drop(item));
                return Step::Continue;
            }
            Ok(Room::Yes(oldest)) => oldest.each(|left| self.meet.close(left, None)),
        }
        let duration = named(|| K::NAME, || (self.left_duration)(&item));
        let Self { down, meet, lefts, rights, cancel, .. } = self;
        let Some(left) = meet.open(down, item) else { return Step::Done };
        for right in rights.values() {
            if cancel.cancelled() || !meet.meet(down, &left, right) {
                return Step::Done;
            }
        }
        Step::Act(Open::Left(lefts.open(left), duration))
    }

    fn right(&mut self, item: U) -> Step<Open<DL, DR>> {
        match self.rights.room(K::NAME) {
            Err(full) => {
                abandon(item);
                return self.ends_with(full.into());
            }
            Ok(Room::No) => {
                with_fate(Fate::Dropped, || drop(item));
                return Step::Continue;
            }
            Ok(Room::Yes(_)) => {}
        }
        let duration = named(|| K::NAME, || (self.right_duration)(&item));
        let Self { down, meet, lefts, rights, cancel, .. } = self;
        for left in lefts.values() {
            if cancel.cancelled() || !meet.meet(down, left, &item) {
                return Step::Done;
            }
        }
        // Who listens to a group may have been the only one to listen.
        if down.is_closed() {
            return Step::Done;
        }
        Step::Act(Open::Right(rights.open(item), duration))
    }

    fn end_if_over(&mut self) -> Step<Open<DL, DR>> {
        let Self { lefts, rights, .. } = &self;
        let over = (lefts.done && rights.done) || lefts.is_over() || (K::NEEDS_RIGHT && rights.is_over());
        if !over {
            return Step::Continue;
        }
        self.close_all(None);
        self.down.complete()
    }

    fn close_all(&mut self, error: Option<&E>) {
        let Self { lefts, meet, .. } = self;
        lefts.close_all().for_each(|left| meet.close(left, error));
    }

    fn error(&mut self, error: E) -> Step<Open<DL, DR>> {
        self.close_all(Some(&error));
        self.down.error(error)
    }

    #[cold]
    fn ends_with(&mut self, failure: StreamError) -> Step<Open<DL, DR>> {
        if let Ok(error) = failure.clone().into_error::<E>() {
            self.close_all(Some(&error));
        }
        self.down.fail(failure)
    }
}

impl<O, FL, FR, K, DL, DR, T, U, L, R, E, Sch, Sub> Machine<Joined<T, U, E, Sub>, Open<DL, DR>>
    for WindowJoin<O, FL, FR, K, DL, DR, T, U, L, R, E, Sch, Sub>
where
    O: Observer<R, E>,
    K: Meet<O, T, U, L, E, Sch>,
    FL: FnMut(&T) -> DL,
    FR: FnMut(&U) -> DR,
    E: 'static,
    Sub: Subscription,
{
    fn on(&mut self, input: Joined<T, U, E, Sub>) -> Step<Open<DL, DR>> {
        match input {
            Joined::Left(Signal::Next(item)) => return self.left(item),
            Joined::Right(Signal::Next(item)) => return self.right(item),
            Joined::Subscribed(Side::Left, number, sub) => self.lefts.keep(number, sub),
            Joined::Subscribed(Side::Right, number, sub) => self.rights.keep(number, sub),
            Joined::Over(Side::Left, number) => {
                if let Some(left) = self.lefts.close(number) {
                    self.meet.close(left, None);
                }
            }
            Joined::Over(Side::Right, number) => drop(self.rights.close(number)),
            Joined::Left(Signal::Complete) => self.lefts.done = true,
            Joined::Right(Signal::Complete) => self.rights.done = true,
            Joined::Left(Signal::Error(error))
            | Joined::Right(Signal::Error(error))
            | Joined::Failed(error) => return self.error(error),
        }
        self.end_if_over()
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Open<DL, DR>> = self.ends_with(failure);
    }
}
