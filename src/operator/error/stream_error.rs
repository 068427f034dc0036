use std::convert::Infallible;

use super::at_the_end;
use crate::error::StreamError;

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

impl ToStreamError for Box<dyn std::error::Error + Send + Sync> {
    fn to_stream_error(self) -> StreamError {
        StreamError::Source(self.into())
    }
}

at_the_end! {
    /// See [`stream_error`](super::ErrorOps::stream_error).
    IntoStreamError<> {}
    out StreamError, where [E: ToStreamError,],
    error |down, error| down.error(error.to_stream_error()),
    complete |down| down.complete()
}
