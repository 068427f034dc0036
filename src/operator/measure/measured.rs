use std::marker::PhantomData;

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
};

use crate::{metrics::StageHandles, operator::batch::BatchObserver, time::Clock};

/// Which items are failures.
pub trait Judge<I> {
    /// Whether there are any.
    const KNOWS: bool;
    /// Whether this is one.
    fn failed(item: &I) -> bool;
}

/// None is.
#[derive(Debug, Clone, Copy)]
pub struct Items;

impl<I> Judge<I> for Items {
    const KNOWS: bool = false;

    #[inline]
    fn failed(_item: &I) -> bool {
        false
    }
}

/// An `Err` is.
#[derive(Debug, Clone, Copy)]
pub struct Results;

impl<T, R> Judge<Result<T, R>> for Results {
    const KNOWS: bool = true;

    #[inline]
    fn failed(item: &Result<T, R>) -> bool {
        item.is_err()
    }
}

/// See [`measured`](super::MeasureOps::measured).
pub struct Measured<S, J, I, E> {
    source: S,
    stage: &'static str,
    types: PhantomData<fn(I) -> (J, E)>,
}

impl<S: Clone, J, I, E> Clone for Measured<S, J, I, E> {
    fn clone(&self) -> Self {
        Self::new(self.source.clone(), self.stage)
    }
}

impl<S, J, I, E> Measured<S, J, I, E> {
    pub(super) fn new(source: S, stage: &'static str) -> Self {
        Self { source, stage, types: PhantomData }
    }
}

impl<S, J, I, E> ObservableType for Measured<S, J, I, E> {
    type Item<'a>
        = I
    where
        Self: 'a;
    type Err = E;
}

impl<S, J, I, E, C> CoreObservable<C> for Measured<S, J, I, E>
where
    C: Context,
    C::Scheduler: Clock,
    J: Judge<I>,
    S: CoreObservable<C::With<MeasuredObserver<C::Inner, C::Scheduler, J, I>>>,
{
    type Unsub = S::Unsub;

    fn subscribe(self, context: C) -> S::Unsub {
        let (down, clock) = context.into_parts();
        let handles = StageHandles::register(self.stage, J::KNOWS);
        let observer = MeasuredObserver { down, clock: clock.clone(), handles, types: PhantomData };
        self.source.subscribe(C::With::from_parts(observer, clock))
    }
}

/// The observer of a [`Measured`].
pub struct MeasuredObserver<O, S, J, I> {
    down: O,
    clock: S,
    handles: StageHandles,
    types: PhantomData<fn(I) -> J>,
}

impl<O: Clone, S: Clone, J, I> Clone for MeasuredObserver<O, S, J, I> {
    fn clone(&self) -> Self {
        let Self { down, clock, handles, types } = self;
        Self { down: down.clone(), clock: clock.clone(), handles: handles.clone(), types: *types }
    }
}

impl<O, S, J, I, E> Observer<I, E> for MeasuredObserver<O, S, J, I>
where
    O: Observer<I, E>,
    S: Clock,
    J: Judge<I>,
{
    #[inline(always)]
    fn next(&mut self, item: I) {
        let Self { down, clock, handles, .. } = self;
        handles.events.increment(1);
        if J::failed(&item) {
            handles.failures.increment(1);
        }
        let begun = clock.now();
        down.next(item);
        handles.seconds.record(clock.now().saturating_sub(begun).as_secs_f64());
    }

    fn error(self, error: E) {
        self.handles.errors.increment(1);
        self.down.error(error);
    }

    fn complete(self) {
        self.down.complete();
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.down.is_closed()
    }
}

/// Each item is timed by itself.
impl<O, S, J, I, E> BatchObserver<I, E> for MeasuredObserver<O, S, J, I>
where
    O: Observer<I, E>,
    S: Clock,
    J: Judge<I>,
{
}
