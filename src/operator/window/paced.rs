//! Buffers and windows that go by the source's items and the time.

use std::{convert::Infallible, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::{Scheduler, SleepProvider},
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::{Bounded, Collect, Env, Keeper, OuterSubscription, Panes, PanesOf, Rack};
use crate::{
    buffer::Buffer,
    error::StreamError,
    gate::{Flow, Gate, GateSubOf, Machine, Signal, Step, SubOf, attach, never, settled},
    operator::timed::{Handle, SourceObserver, Time, Timed},
    time::{Clock, Timer, TimerTask},
};

/// When buffers and windows begin and end, by items and time.
pub trait Pace<I> {
    /// Whether it needs a timer.
    const TIMED: bool;
    /// Called at the subscription.
    fn start<R: Rack<I>, S: Clock>(&mut self, _rack: &mut R, _time: &Time<S>) {}
    /// Puts an item into those that are open.
    fn next<R: Rack<I>, S: Clock>(&mut self, item: I, rack: &mut R, time: &Time<S>);
    /// The time has come.
    fn tick<R: Rack<I>, S: Clock>(&mut self, _rack: &mut R, _time: &Time<S>) {}
}

/// A source with buffers or windows (`G`) of a [`Pace`] below it.
pub struct Paced<S, P, G, I, T, E> {
    source: S,
    pace: P,
    collect: G,
    types: PhantomData<fn(I) -> (T, E)>,
}

clone_by_fields!(Paced<S, P, G, I, T, E>: source, pace, collect, types where S, P, G);

impl<S, P, G: Default, I, T, E> Paced<S, P, G, I, T, E> {
    pub(super) fn new(source: S, pace: P) -> Self {
        Self { source, pace, collect: G::default(), types: PhantomData }
    }
}

impl<S, P, G: Bounded, I, T, E> Bounded for Paced<S, P, G, I, T, E> {
    fn bound(&mut self, buffer: Buffer) {
        self.collect.bound(buffer);
    }
}

impl<S, P, G, I, T, E> ObservableType for Paced<S, P, G, I, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, P, G, I, T, E> = Pacing<PanesOf<C, G, I, T, E>, P, <C as Context>::Scheduler>;
type HandleOf<C, P, G, I, T, E> = Handle<<C as Context>::Scope, MachineOf<C, P, G, I, T, E>, I, E>;

impl<S, P, G, I, T, E, C, U> CoreObservable<C> for Paced<S, P, G, I, T, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<T, E>,
    C::Scheduler: Clock + SleepProvider + Scheduler<TimerTask<HandleOf<C, P, G, I, T, E>, C::Scheduler>>,
    P: Pace<I>,
    G: Collect<I, T, E, C::Scope, C::Scheduler>,
    E: 'static,
    S: CoreObservable<C::With<SourceObserver<C::Scope, MachineOf<C, P, G, I, T, E>, I, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
    GateSubOf<C, MachineOf<C, P, G, I, T, E>, Timed<I, E>>: IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = OuterSubscription<C::Scope, GateSubOf<C, MachineOf<C, P, G, I, T, E>, Timed<I, E>>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let (down, scheduler) = context.into_parts();
        let (keeper, timer) = (Keeper::new(), Timer::default());
        let starter = timer.starter();
        let env = Env { keeper: keeper.clone(), scheduler: scheduler.clone() };
        let gate = C::Scope::gate(Pacing {
            panes: Panes::new(down, self.collect, env),
            pace: self.pace,
            time: Time::new(scheduler.clone(), timer),
            gone: false,
        });
        keeper.keep(gate.downgrade().into_boxed());
        let started = if P::TIMED { starter.start(Handle::new(&gate), scheduler.clone()) } else { Ok(()) };
        settled(&gate, || C::Scope::send(&gate, Timed::Start(started), never));
        if !gate.closed() {
            attach(&gate, self.source.subscribe(C::With::from_parts(SourceObserver::new(&gate), scheduler)));
        }
        OuterSubscription { keeper, gate: gate.downgrade() }
    }
}

/// The state of a [`Paced`].
pub struct Pacing<R, P, S> {
    panes: R,
    pace: P,
    time: Time<S>,
    gone: bool,
}

impl<O, G, I, T, E, Sc, S, P> Machine<Timed<I, E>> for Pacing<Panes<O, G, I, T, E, Sc, S>, P, S>
where
    O: Observer<T, E>,
    Sc: Flow,
    G: Collect<I, T, E, Sc, S>,
    P: Pace<I>,
    S: Clock,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: Timed<I, E>) -> Step<Infallible> {
        let Self { panes, pace, time, gone } = self;
        match input {
            Timed::Source(Signal::Next(item)) => {
                pace.next(item, panes, time);
                panes.settle()
            }
            Timed::Source(Signal::Complete) => panes.complete(),
            Timed::Source(Signal::Error(error)) => panes.error(error),
            Timed::Tick => {
                pace.tick(panes, time);
                if *gone && panes.is_idle() { Step::Done } else { panes.settle() }
            }
            Timed::Start(Ok(())) => {
                pace.start(panes, time);
                panes.settle()
            }
            Timed::Start(Err(panic)) | Timed::Lost(Some(panic)) => panes.fail(panic.into()),
            Timed::Lost(None) if panes.is_idle() => Step::Done,
            Timed::Lost(None) => panes.fail(StreamError::SchedulerGone(G::NAME)),
            Timed::Gone => {
                *gone = true;
                if P::TIMED && G::HOLDS && !panes.is_idle() { Step::Continue } else { Step::Done }
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.panes.fail(failure);
    }
}
