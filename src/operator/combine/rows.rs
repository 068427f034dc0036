use std::{convert::Infallible, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use crate::{
    error::{OverflowError, StreamError},
    gate::{Down, Flow, Gate, GateObserver, GateSubOf, Machine, Port, Signal, Step, SubOf, attach, never},
};

/// Items of many sources of one type, one of each in a row, see
/// [`combine_latest_all`](crate::operator::create::CreateOps::combine_latest_all) and
/// [`zip_all`](crate::operator::create::CreateOps::zip_all).
pub struct InRows<S, K, T, R, E> {
    sources: Vec<S>,
    rows: K,
    types: PhantomData<fn() -> (T, R, E)>,
}

clone_by_fields!(InRows<S, K, T, R, E>: sources, rows, types where S, K);

impl<S, K, T, R, E> InRows<S, K, T, R, E> {
    pub(crate) fn new(sources: Vec<S>, rows: K) -> Self {
        Self { sources, rows, types: PhantomData }
    }
}

/// Which items make a row, and what becomes of it.
pub trait Rows<T, R> {
    /// There are so many sources.
    fn open(&mut self, sources: usize) -> Result<(), StreamError>;
    /// An item of the `n`-th source.
    fn item(&mut self, n: usize, item: T) -> Result<Option<R>, OverflowError>;
    /// The `n`-th source has completed.
    fn done(&mut self, n: usize);
    /// Whether there can be no further row.
    fn is_over(&self) -> bool;
}

impl<S, K, T, R, E> ObservableType for InRows<S, K, T, R, E> {
    type Item<'a>
        = R
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, K, T, R, E> = Gathering<<C as Context>::Inner, K, T, R, E>;
type Input<C, K, T, R, E> = GateObserver<<C as Context>::Scope, MachineOf<C, K, T, R, E>, Of<T, E>, Nth>;

impl<S, K, T, R, E, C, U> CoreObservable<C> for InRows<S, K, T, R, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<R, E>,
    E: 'static,
    K: Rows<T, R>,
    S: CoreObservable<C::With<Input<C, K, T, R, E>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, K, T, R, E>, Of<T, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let Self { sources, mut rows, types } = self;
        let (down, scheduler) = context.into_parts();
        let opened = rows.open(sources.len());
        let gate = C::Scope::gate(Gathering { down: Down::new(down), rows, types });
        C::Scope::send(&gate, Of::Open(opened), never);
        for (n, source) in sources.into_iter().enumerate() {
            if gate.closed() {
                break;
            }
            let observer = GateObserver::at(&gate, Nth(n));
            attach(&gate, source.subscribe(C::With::from_parts(observer, scheduler.clone())));
        }
        gate.downgrade()
    }
}

/// The inputs of an operator with many sources.
#[derive(Debug)]
pub enum Of<T, E> {
    /// From the n-th source.
    Source(usize, Signal<T, E>),
    /// Before the sources are subscribed; whether they may be.
    Open(Result<(), StreamError>),
}

/// The n-th source.
#[derive(Debug, Clone, Copy)]
pub struct Nth(usize);

impl<T, E> Port<T, E, Of<T, E>> for Nth {
    #[inline]
    fn input(&self, signal: Signal<T, E>) -> Of<T, E> {
        Of::Source(self.0, signal)
    }
}

/// The state of an operator with many sources: its rows.
pub struct Gathering<O, K, T, R, E> {
    down: Down<O>,
    rows: K,
    types: PhantomData<fn() -> (T, R, E)>,
}

impl<O: Observer<R, E>, K: Rows<T, R>, T, R, E: 'static> Machine<Of<T, E>> for Gathering<O, K, T, R, E> {
    #[inline(always)]
    fn on(&mut self, input: Of<T, E>) -> Step<Infallible> {
        let step = match input {
            Of::Source(n, Signal::Next(item)) => match self.rows.item(n, item) {
                Ok(Some(row)) => self.down.next(row),
                Ok(None) => Step::Continue,
                Err(full) => self.down.fail(full),
            },
            Of::Source(_, Signal::Error(error)) => self.down.error(error),
            Of::Source(n, Signal::Complete) => {
                self.rows.done(n);
                Step::Continue
            }
            Of::Open(Ok(())) => Step::Continue,
            Of::Open(Err(failure)) => self.down.fail(failure),
        };
        match step {
            Step::Continue if self.rows.is_over() => self.down.complete(),
            step => step,
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
