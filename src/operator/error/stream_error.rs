use std::{convert::Infallible, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
};

use crate::{
    delivery::fate::going_on,
    error::{StreamError, fail, take_failure},
    operator::batch::{Batch, BatchObserver},
};

/// Errors that [`stream_error`](super::ErrorOps::stream_error) turns into a [`StreamError`]: one already, none at all
/// (`Infallible`), or a boxed error of the source.
pub trait ToStreamError {
    /// The error as a `StreamError`.
    fn to_stream_error(self) -> StreamError;
}

impl ToStreamError for Infallible {
    fn to_stream_error(self) -> StreamError {
        match self {}
    }
}

impl ToStreamError for StreamError {
    fn to_stream_error(self) -> StreamError {
        self
    }
}

impl ToStreamError for std::io::Error {
    fn to_stream_error(self) -> StreamError {
        StreamError::source(self)
    }
}

#[cfg(all(any(test, feature = "testing"), not(target_arch = "wasm32")))]
impl ToStreamError for crate::testing::MarbleError {
    fn to_stream_error(self) -> StreamError {
        StreamError::source(self)
    }
}

impl ToStreamError for Box<dyn std::error::Error + Send + Sync> {
    fn to_stream_error(self) -> StreamError {
        StreamError::Source(self.into())
    }
}

/// See [`stream_error`](super::ErrorOps::stream_error).
pub struct IntoStreamError<S, T, E> {
    source: S,
    types: PhantomData<fn() -> (T, E)>,
}

clone_by_fields!(IntoStreamError<S, T, E>: source, types where S);

impl<S, T, E> IntoStreamError<S, T, E> {
    pub(super) fn new(source: S) -> Self {
        Self { source, types: PhantomData }
    }
}

impl<S, T, E> ObservableType for IntoStreamError<S, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = StreamError;
}

impl<S, T, E, C> CoreObservable<C> for IntoStreamError<S, T, E>
where
    C: Context,
    C::Inner: Observer<T, StreamError>,
    S: CoreObservable<C::With<StreamErrorObserver<C::Inner>>>,
{
    type Unsub = S::Unsub;

    fn subscribe(self, context: C) -> S::Unsub {
        self.source.subscribe(context.transform(|down| StreamErrorObserver(Heir::new(down))))
    }
}

/// An observer. A failure that drops it, because nothing above could hold it as an error, becomes its error.
pub(in crate::operator) struct Heir<O> {
    down: Option<O>,
    /// A function, as a `Drop` has no bounds of its own.
    fail: fn(O, StreamError),
}

impl<O> Drop for Heir<O> {
    fn drop(&mut self) {
        if let Some(down) = self.down.take()
            && let Some(failure) = take_failure()
        {
            going_on(|| (self.fail)(down, failure));
        }
    }
}

impl<O> Heir<O> {
    pub(in crate::operator) fn new<T, E: 'static>(down: O) -> Self
    where
        O: Observer<T, E>,
    {
        Self { down: Some(down), fail: |down, failure| fail(down, failure) }
    }

    #[inline(always)]
    pub(in crate::operator) fn get(&mut self) -> Option<&mut O> {
        self.down.as_mut()
    }

    pub(in crate::operator) fn take(&mut self) -> Option<O> {
        self.down.take()
    }

    #[inline]
    pub(in crate::operator) fn is_closed<T, E>(&self) -> bool
    where
        O: Observer<T, E>,
    {
        self.down.as_ref().is_none_or(Observer::is_closed)
    }
}

/// The observer of a `stream_error`.
pub struct StreamErrorObserver<O>(Heir<O>);

impl<O, T, E> Observer<T, E> for StreamErrorObserver<O>
where
    O: Observer<T, StreamError>,
    E: ToStreamError,
{
    #[inline(always)]
    fn next(&mut self, item: T) {
        if let Some(down) = self.0.get() {
            down.next(item);
        }
    }

    fn error(mut self, error: E) {
        if let Some(down) = self.0.take() {
            down.error(error.to_stream_error());
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

impl<O, T, E> BatchObserver<T, E> for StreamErrorObserver<O>
where
    O: BatchObserver<T, StreamError>,
    E: ToStreamError,
{
    #[inline(always)]
    fn take_batch<B: Batch<T>>(&mut self, items: &mut B) {
        if let Some(down) = self.0.get() {
            down.take_batch(items);
        }
    }
}
