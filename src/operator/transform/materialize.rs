use std::{convert::Infallible, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
};

use super::Notification;
use crate::{
    error::{catch, fail},
    operator::batch::{Batch, BatchObserver},
};

/// See [`materialize`](super::TransformOps::materialize).
pub struct Materialize<S, T, E> {
    source: S,
    types: PhantomData<fn() -> (T, E)>,
}

clone_by_fields!(Materialize<S, T, E>: source, types where S);

impl<S, T, E> Materialize<S, T, E> {
    pub(super) fn new(source: S) -> Self {
        Self { source, types: PhantomData }
    }
}

impl<S, T, E> ObservableType for Materialize<S, T, E> {
    type Item<'a>
        = Notification<T, E>
    where
        Self: 'a;
    type Err = Infallible;
}

impl<S, T, E, C> CoreObservable<C> for Materialize<S, T, E>
where
    C: Context,
    S: CoreObservable<C::With<MaterializeObserver<C::Inner, T, E>>>,
{
    type Unsub = S::Unsub;

    fn subscribe(self, context: C) -> S::Unsub {
        let Self { source, types } = self;
        source.subscribe(context.transform(|down| MaterializeObserver { down, types }))
    }
}

/// The observer of a `materialize`.
#[derive(Clone)]
pub struct MaterializeObserver<O, T, E> {
    down: O,
    types: PhantomData<fn() -> (T, E)>,
}

impl<O: Observer<Notification<T, E>, Infallible>, T, E> MaterializeObserver<O, T, E> {
    /// Caught here and not by the source, which has given its observer away.
    fn end(mut self, with: Notification<T, E>) {
        match catch("materialize", || self.down.next(with)) {
            Ok(()) => self.down.complete(),
            Err(panic) => fail(self.down, panic),
        }
    }
}

impl<O, T, E> Observer<T, E> for MaterializeObserver<O, T, E>
where
    O: Observer<Notification<T, E>, Infallible>,
{
    #[inline(always)]
    fn next(&mut self, item: T) {
        self.down.next(Notification::Next(item));
    }

    fn error(self, error: E) {
        self.end(Notification::Error(error));
    }

    fn complete(self) {
        self.end(Notification::Complete);
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.down.is_closed()
    }
}

impl<O, T, E> BatchObserver<T, E> for MaterializeObserver<O, T, E>
where
    O: BatchObserver<Notification<T, E>, Infallible>,
{
    #[inline(always)]
    fn take_batch<B: Batch<T>>(&mut self, items: &mut B) {
        self.down.take_batch(&mut Materialized(items, PhantomData));
    }
}

/// The items of a batch as notifications.
struct Materialized<'a, B, T>(&'a mut B, PhantomData<fn() -> T>);

impl<B: Batch<T>, T, E> Batch<Notification<T, E>> for Materialized<'_, B, T> {
    #[inline(always)]
    fn pull(&mut self) -> Option<Notification<T, E>> {
        self.0.pull().map(Notification::Next)
    }
}
