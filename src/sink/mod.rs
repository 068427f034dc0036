//! Where events go in the end: files, and whatever you make an [`EventSink`].

mod jsonl;
mod write_to;

pub use jsonl::{JsonlSink, SinkError};
pub use write_to::{SinkOps, WriteTo};

use std::error::Error;

/// Where values are written.
pub trait EventSink<T> {
    /// Why a value could not be written.
    type Error: Error + Send + Sync + 'static;

    /// Writes one value; it need not be durable before [`flush`](Self::flush).
    ///
    /// # Errors
    /// It was not written, or not wholly.
    fn write(&mut self, value: &T) -> Result<(), Self::Error>;

    /// Makes all that was written as durable as this sink can.
    ///
    /// # Errors
    /// What was written since the last flush may not be durable.
    fn flush(&mut self) -> Result<(), Self::Error>;
}

/// A sink that keeps the values in memory, without a bound: for tests.
impl<T: Clone> EventSink<T> for std::sync::Arc<std::sync::Mutex<Vec<T>>> {
    type Error = std::convert::Infallible;

    fn write(&mut self, value: &T) -> Result<(), Self::Error> {
        self.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(value.clone());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
