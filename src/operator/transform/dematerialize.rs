use std::{convert::Infallible, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
};

use super::Notification;
use crate::{
    error::StreamError,
    operator::{batch::BatchObserver, error::Heir},
};

/// An error beside those in the notifications: none at all, or a [`StreamError`] where they are such, too.
pub trait BesideError<E> {
    /// The error of the output.
    fn into_error(self) -> E;
}

impl<E> BesideError<E> for Infallible {
    fn into_error(self) -> E {
        match self {}
    }
}

impl BesideError<StreamError> for StreamError {
    fn into_error(self) -> StreamError {
        self
    }
}

/// See [`dematerialize`](super::TransformOps::dematerialize).
pub struct Dematerialize<S, T, E> {
    source: S,
    types: PhantomData<fn() -> (T, E)>,
}

clone_by_fields!(Dematerialize<S, T, E>: source, types where S);

impl<S, T, E> Dematerialize<S, T, E> {
    pub(super) fn new(source: S) -> Self {
        Self { source, types: PhantomData }
    }
}

impl<S, T, E> ObservableType for Dematerialize<S, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<S, T, E, C> CoreObservable<C> for Dematerialize<S, T, E>
where
    C: Context,
    C::Inner: Observer<T, E>,
    E: 'static,
    S: CoreObservable<C::With<DematerializeObserver<C::Inner>>>,
{
    type Unsub = S::Unsub;

    fn subscribe(self, context: C) -> S::Unsub {
        self.source.subscribe(context.transform(|down| DematerializeObserver(Heir::new(down))))
    }
}

/// The observer of a `dematerialize`.
pub struct DematerializeObserver<O>(Heir<O>);

impl<O, T, E, F> Observer<Notification<T, E>, F> for DematerializeObserver<O>
where
    O: Observer<T, E>,
    F: BesideError<E>,
{
    #[inline(always)]
    fn next(&mut self, item: Notification<T, E>) {
        let Some(down) = self.0.get() else { return };
        match item {
            Notification::Next(item) => down.next(item),
            end => finish(self.0.take(), end),
        }
    }

    fn error(mut self, error: F) {
        if let Some(down) = self.0.take() {
            down.error(error.into_error());
        }
    }

    fn complete(mut self) {
        if let Some(down) = self.0.take() {
            down.complete();
        }
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

#[cold]
fn finish<O: Observer<T, E>, T, E>(down: Option<O>, end: Notification<T, E>) {
    match (down, end) {
        (Some(down), Notification::Error(error)) => down.error(error),
        (Some(down), Notification::Complete) => down.complete(),
        _ => {}
    }
}

/// One of them may be the end, so each goes its own way.
impl<O, T, E, F> BatchObserver<Notification<T, E>, F> for DematerializeObserver<O>
where
    O: Observer<T, E>,
    F: BesideError<E>,
{
}
