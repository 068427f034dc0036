use std::{convert::Infallible, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::{Scheduler, SleepProvider},
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::{
    JoinSpec, Joined,
    core::{Core, NAME},
    spec::{Asks, EventJoin},
};
use crate::{
    delivery::fate::Abandoned,
    error::StreamError,
    event_time::{Run, run},
    gate::{
        Down, Flow, Gate, GateObserver, GateSubOf, Machine, Place, Port, Signal, Step, StopSubscription,
        SubOf, attach, never,
    },
    operator::timed::{Handle, Time, Timed},
    time::{Cancel, Clock, Timer, TimerTask},
};

/// See [`join_events`](super::JoinOps::join_events).
pub struct JoinEvents<A, B, FL, FR, KL, KR, D, T, U, E> {
    left: A,
    right: B,
    spec: EventJoin<FL, FR, KL, KR, D>,
    types: PhantomData<fn(T, U) -> E>,
}

clone_by_fields!(JoinEvents<A, B, FL, FR, KL, KR, D, T, U, E>: left, right, spec, types where A, B, FL, FR, KL, KR, D);

impl<A, B, FL, FR, KL, KR, D, T, U, E> JoinEvents<A, B, FL, FR, KL, KR, D, T, U, E> {
    pub(super) fn new(left: A, right: B, spec: EventJoin<FL, FR, KL, KR, D>) -> Self {
        Self { left, right, spec, types: PhantomData }
    }
}

impl<A, B, FL, FR, KL, KR, D, T, U, E> ObservableType for JoinEvents<A, B, FL, FR, KL, KR, D, T, U, E> {
    type Item<'a>
        = Joined<T, U>
    where
        Self: 'a;
    type Err = E;
}

/// What comes from the sides.
pub enum Sides<T, U> {
    /// An item of the left one.
    Left(T),
    /// An item of the right one.
    Right(U),
    /// The left one has ended.
    LeftEnd,
    /// The right one has ended.
    RightEnd,
}

/// Where the left side comes in.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeftPort;
/// Where the right side comes in.
#[derive(Debug, Clone, Copy, Default)]
pub struct RightPort;

impl Place for LeftPort {}
impl Place for RightPort {}

type In<T, U, E> = Timed<Sides<T, U>, E>;

impl<T, U, E> Port<T, E, In<T, U, E>> for LeftPort {
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> In<T, U, E> {
        Timed::Source(match signal {
            Signal::Next(item) => Signal::Next(Sides::Left(item)),
            Signal::Complete => Signal::Next(Sides::LeftEnd),
            Signal::Error(error) => Signal::Error(error),
        })
    }
}

impl<T, U, E> Port<U, E, In<T, U, E>> for RightPort {
    #[inline]
    fn input(&self, signal: Signal<U, E>) -> In<T, U, E> {
        Timed::Source(match signal {
            Signal::Next(item) => Signal::Next(Sides::Right(item)),
            Signal::Complete => Signal::Next(Sides::RightEnd),
            Signal::Error(error) => Signal::Error(error),
        })
    }
}

type MachineOf<C, FL, FR, KL, KR, D, T, U, E> =
    Joining<<C as Context>::Inner, (Asks<FL, FR, KL, KR>, D), T, U, E, <C as Context>::Scheduler>;

impl<A, B, FL, FR, KL, KR, D, T, U, E, C, UA, UB> CoreObservable<C>
    for JoinEvents<A, B, FL, FR, KL, KR, D, T, U, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<Joined<T, U>, E>,
    C::Scheduler: Clock
        + SleepProvider
        + Scheduler<
            TimerTask<
                Handle<C::Scope, MachineOf<C, FL, FR, KL, KR, D, T, U, E>, Sides<T, U>, E>,
                C::Scheduler,
            >,
        >,
    (Asks<FL, FR, KL, KR>, D): JoinSpec<T, U>,
    T: Clone,
    U: Clone,
    E: 'static,
    A: CoreObservable<
            C::With<GateObserver<C::Scope, MachineOf<C, FL, FR, KL, KR, D, T, U, E>, In<T, U, E>, LeftPort>>,
            Unsub = UA,
        >,
    B: CoreObservable<
            C::With<GateObserver<C::Scope, MachineOf<C, FL, FR, KL, KR, D, T, U, E>, In<T, U, E>, RightPort>>,
            Unsub = UB,
        >,
    UA: Subscription + IntoBoxedSubscription<SubOf<C>>,
    UB: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = StopSubscription<GateSubOf<C, MachineOf<C, FL, FR, KL, KR, D, T, U, E>, In<T, U, E>>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let Self { left, right, spec, .. } = self;
        let (down, scheduler) = context.into_parts();
        let timer = Timer::default();
        let (starter, cancel) = (timer.starter(), timer.cancel());
        let timed = spec.times.iter().any(|time| time.idle_after().is_some());
        let EventJoin { asks, plan, times, buffers, keys, counts, on_left_over } = spec;
        let gate = C::Scope::gate(Joining {
            down: Down::new(down),
            core: Abandoned::new(Core::new((asks, on_left_over), plan, times, buffers, keys, counts.share())),
            time: Time::new(scheduler.clone(), timer),
            cancel: cancel.clone(),
            timed,
            types: PhantomData,
        });
        let started = if timed { starter.start(Handle::new(&gate), scheduler.clone()) } else { Ok(()) };
        C::Scope::send(&gate, Timed::Start(started), never);
        attach(&gate, left.subscribe(C::With::from_parts(GateObserver::new(&gate), scheduler.clone())));
        if !gate.closed() {
            attach(&gate, right.subscribe(C::With::from_parts(GateObserver::new(&gate), scheduler)));
        }
        StopSubscription::new(gate.downgrade(), cancel)
    }
}

/// The machine of a join.
pub struct Joining<O, J: JoinSpec<T, U>, T, U, E, S> {
    down: Down<O>,
    core: Abandoned<Core<J, T, U>>,
    time: Time<S>,
    cancel: Cancel,
    /// Whether a silent side means something.
    timed: bool,
    types: PhantomData<fn() -> E>,
}

impl<O, J, T, U, E, S> Joining<O, J, T, U, E, S>
where
    O: Observer<Joined<T, U>, E>,
    J: JoinSpec<T, U>,
    T: Clone,
    U: Clone,
    S: Clock,
    E: 'static,
{
    /// Runs the core, which emits to the observer below.
    #[inline(always)]
    fn run<R>(&mut self, f: R) -> Step<Infallible>
    where
        R: FnOnce(&mut Core<J, T, U>, &Time<S>, &mut dyn FnMut(Joined<T, U>) -> bool) -> Run,
    {
        let Self { down, core, time, cancel, .. } = self;
        run(down, cancel, |out| f(&mut core.value, time, out))
    }

    fn end(&mut self, right: bool) -> Step<Infallible> {
        let mut over = false;
        let step = self.run(|core, _, mut out| {
            over = core.end(right, &mut out)?;
            Ok(())
        });
        if over && step == Step::Continue { self.down.complete() } else { step }
    }

    /// Nothing can come out any more, though one side goes on.
    #[cold]
    fn end_at_last(&mut self) -> Step<Infallible> {
        let step = self.run(|core, _, mut out| core.finish(&mut out));
        if step == Step::Continue { self.down.complete() } else { step }
    }

    /// Has the timer tell when a side may be idle.
    #[inline]
    fn arm(&mut self) {
        if self.timed
            && let Some(at) = self.core.value.deadline()
        {
            self.time.arm(at);
        }
    }
}

impl<O, J, T, U, E, S> Machine<In<T, U, E>> for Joining<O, J, T, U, E, S>
where
    O: Observer<Joined<T, U>, E>,
    J: JoinSpec<T, U>,
    T: Clone,
    U: Clone,
    S: Clock,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: In<T, U, E>) -> Step<Infallible> {
        let step = match input {
            Timed::Source(Signal::Next(Sides::Left(item))) => {
                self.run(|core, time, mut out| core.next_left(item, || time.now(), &mut out))
            }
            Timed::Source(Signal::Next(Sides::Right(item))) => {
                self.run(|core, time, mut out| core.next_right(item, || time.now(), &mut out))
            }
            Timed::Source(Signal::Next(Sides::LeftEnd)) => return self.end(false),
            Timed::Source(Signal::Next(Sides::RightEnd)) => return self.end(true),
            Timed::Source(Signal::Error(error)) => return self.down.error(error),
            Timed::Tick => {
                let now = self.time.now();
                self.run(|core, _, mut out| core.tick(now, &mut out))
            }
            Timed::Start(Ok(())) => {
                self.core.value.start(self.time.now());
                Step::Continue
            }
            Timed::Start(Err(panic)) | Timed::Lost(Some(panic)) => return self.down.fail(panic),
            Timed::Lost(None) => return self.down.fail(StreamError::SchedulerGone(NAME)),
            // The sides say when they end.
            Timed::Source(Signal::Complete) | Timed::Gone => Step::Continue,
        };
        self.arm();
        // A side has ended before, and the last that could be matched with it has left.
        if step == Step::Continue && self.core.value.is_over() { self.end_at_last() } else { step }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
