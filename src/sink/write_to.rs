use std::{mem, num::NonZeroUsize};

use rxrust::context::Context;

use super::EventSink;
use crate::{
    delivery::{Delivery, Receipt},
    error::{StreamError, caught, unhandled},
    operator::{
        Events,
        apply::{Apply, Emit, Kernel},
    },
};

/// How many deliveries are written between two flushes unless told otherwise.
const FLUSH_EVERY: usize = 256;

/// Ends of a pipeline of [deliveries](Delivery).
pub trait SinkOps: rxrust::observable::Observable + 'static {
    /// Writes each value to `sink`, and acknowledges it when it is flushed: at least once. Emits how many were
    /// acknowledged at each flush, which is after 256 values and when the source completes.
    ///
    /// ```text
    /// deliveries              --1--2--3-------4--|
    /// write_to_every(2, sink) -----2----------2--|      at the end: what is left
    /// acknowledged                 1,2        3,4
    /// ```
    ///
    /// When a write or a flush fails, that is the stream's error, and neither the value nor what was written since the
    /// last flush is acknowledged: its source delivers it again. So a value may be written twice; a sink that knows its
    /// keys writes it once ([`JsonlSink::deduplicated`](super::JsonlSink::deduplicated)). Unsubscribed, or when the source
    /// goes away, what was written is flushed and acknowledged.
    ///
    /// Memory: the receipts of the deliveries that are not flushed.
    ///
    /// ```
    /// use rxevents::{delivery::{Acknowledger, MemoryPosition}, prelude::*, sink::SinkOps};
    /// use std::sync::{Arc, Mutex};
    ///
    /// let (stored, mut written) = (Arc::new(Mutex::new(vec![])), 0);
    /// let acks = Acknowledger::new("numbers", MemoryPosition::default())?;
    /// Local::from_iter_result(acks.deliver(1..=5))
    ///     .filter(|n| **n % 2 == 1)
    ///     .write_to(stored.clone())
    ///     .on_error_route(observer(|error: StreamError| panic!("{error}")))
    ///     .subscribe(|flushed| written += flushed);
    /// assert_eq!(written, 3);
    /// assert_eq!(*stored.lock().unwrap(), [1, 3, 5]);
    /// let counts = acks.counts();
    /// counts.check()?;
    /// assert_eq!((counts.taken, counts.delivered, counts.filtered), (5, 3, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn write_to<T, S, E>(
        self,
        sink: S,
    ) -> Self::With<Apply<<Self as Context>::Inner, WriteTo<S>, Delivery<T>, u64>>
    where
        Self: Events<Delivery<T>, E>,
        S: EventSink<T>,
    {
        self.write_to_every(FLUSH_EVERY, sink)
    }

    /// [`write_to`](Self::write_to) with a flush after so many values (at least 1). Slow with 1 and a sink that syncs a
    /// disk; what is not flushed comes again after a crash.
    ///
    /// ```
    /// use rxevents::{delivery::MemoryPosition, prelude::*};
    /// use std::sync::{Arc, Mutex};
    ///
    /// let (stored, mut flushed) = (Arc::new(Mutex::new(vec![])), vec![]);
    /// let acks = Acknowledger::new("numbers", MemoryPosition::default())?;
    /// Local::from_iter_result(acks.deliver(1..=5))
    ///     .write_to_every(2, stored)
    ///     .on_error_route(observer(|error: StreamError| panic!("{error}")))
    ///     .subscribe(|written| flushed.push(written));
    /// assert_eq!(flushed, [2, 2, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn write_to_every<T, S, E>(
        self,
        every: usize,
        sink: S,
    ) -> Self::With<Apply<<Self as Context>::Inner, WriteTo<S>, Delivery<T>, u64>>
    where
        Self: Events<Delivery<T>, E>,
        S: EventSink<T>,
    {
        let every = NonZeroUsize::new(every).unwrap_or(NonZeroUsize::MIN);
        self.transform(|source| {
            Apply::new(
                source,
                WriteTo { sink, every, written: Vec::new(), torn: false, failed: None, flush: flush::<T, S> },
            )
        })
    }
}

impl<S: rxrust::observable::Observable + 'static> SinkOps for S {}

/// See [`write_to`](SinkOps::write_to).
pub struct WriteTo<S> {
    sink: S,
    every: NonZeroUsize,
    /// What was written and is not flushed.
    written: Vec<Receipt>,
    /// A write or a flush has failed or panicked: what was written may not be there, whatever a later flush says.
    torn: bool,
    /// How the last flush has failed.
    failed: Option<StreamError>,
    /// A function, as a `Drop` has no bounds of its own.
    flush: fn(&mut S) -> Result<(), StreamError>,
}

/// A clone is another subscription, which has written nothing yet.
impl<S: Clone> Clone for WriteTo<S> {
    fn clone(&self) -> Self {
        Self {
            sink: self.sink.clone(),
            every: self.every,
            written: Vec::new(),
            torn: false,
            failed: None,
            flush: self.flush,
        }
    }
}

fn flush<T, S: EventSink<T>>(sink: &mut S) -> Result<(), StreamError> {
    sink.flush().map_err(StreamError::source)
}

impl<S> WriteTo<S> {
    /// Flushes, and acknowledges what was written: how many.
    fn settle(&mut self) -> Result<u64, StreamError> {
        if mem::replace(&mut self.torn, true) {
            self.written.drain(..).for_each(Receipt::abandon);
            return Ok(0);
        }
        if let Err(failure) = (self.flush)(&mut self.sink) {
            self.written.drain(..).for_each(Receipt::abandon);
            return Err(failure);
        }
        self.torn = false;
        let settled = self.written.len() as u64;
        self.written.drain(..).for_each(Receipt::ack);
        Ok(settled)
    }
}

impl<S> Drop for WriteTo<S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.written.drain(..).for_each(Receipt::abandon);
        } else if !self.written.is_empty() {
            caught("write_to", || {
                if let Err(failure) = self.settle() {
                    unhandled(&failure);
                }
            });
        }
    }
}

impl<T, S: EventSink<T>> Kernel<Delivery<T>, u64> for WriteTo<S> {
    const NAME: &'static str = "write_to";

    fn next(&mut self, item: Delivery<T>) -> Emit<u64> {
        // Not any more, if the write returns.
        self.torn = true;
        let write = self.sink.write(&item);
        self.torn = false;
        if let Err(error) = write {
            item.abandon();
            self.written.drain(..).for_each(Receipt::abandon);
            return Emit::Fail(StreamError::source(error));
        }
        let (_, receipt) = item.into_parts();
        self.written.push(receipt);
        if self.written.len() < self.every.get() {
            return Emit::Skip;
        }
        match self.settle() {
            Ok(settled) => Emit::Item(settled),
            Err(failure) => Emit::Fail(failure),
        }
    }

    fn finish(&mut self) -> Option<u64> {
        if self.written.is_empty() {
            return None;
        }
        self.settle().map_err(|failure| self.failed = Some(failure)).ok()
    }

    /// After an error of the source, too.
    fn end(&mut self) -> Result<(), StreamError> {
        match self.failed.take() {
            Some(failure) => Err(failure),
            None if self.written.is_empty() => Ok(()),
            None => self.settle().map(drop),
        }
    }
}
