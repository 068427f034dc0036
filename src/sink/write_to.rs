use std::{
    mem,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use rxrust::context::Context;

use super::EventSink;
use crate::{
    delivery::{Delivery, Flush, Receipt, SourceId},
    error::{StreamError, catch, caught, unhandled},
    operator::{
        Events,
        apply::{Apply, Emit, Kernel},
    },
    sync::lock,
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
    /// When a source has no room for more in flight, it has this flushed, too: so what is not flushed never holds it up.
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
        S: EventSink<T> + Send + 'static,
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
        S: EventSink<T> + Send + 'static,
    {
        let every = NonZeroUsize::new(every).unwrap_or(NonZeroUsize::MIN);
        self.transform(|source| Apply::new(source, WriteTo::new(sink, every, flush::<T, S>)))
    }
}

impl<S: rxrust::observable::Observable + 'static> SinkOps for S {}

/// See [`write_to`](SinkOps::write_to).
pub struct WriteTo<S: Send + 'static> {
    state: Arc<Mutex<State<S>>>,
    every: NonZeroUsize,
    /// The source whose deliveries come, which asks for a flush when it has no room.
    source: Option<SourceId>,
}

/// Shared with the source, which may have it flushed.
struct State<S> {
    sink: S,
    /// What was written and is not flushed.
    written: Vec<Receipt>,
    /// How many were acknowledged since that was said.
    settled: u64,
    /// A write or a flush has failed or panicked: what was written may not be there, whatever a later flush says.
    torn: bool,
    /// How a flush has failed.
    failed: Option<StreamError>,
    /// A function, as a `Drop` has no bounds of its own.
    flush: fn(&mut S) -> Result<(), StreamError>,
}

/// A clone is another subscription, which has written nothing yet.
impl<S: Clone + Send + 'static> Clone for WriteTo<S> {
    fn clone(&self) -> Self {
        let state = lock(&self.state);
        Self::new(state.sink.clone(), self.every, state.flush)
    }
}

fn flush<T, S: EventSink<T>>(sink: &mut S) -> Result<(), StreamError> {
    sink.flush().map_err(StreamError::source)
}

impl<S: Send + 'static> WriteTo<S> {
    fn new(sink: S, every: NonZeroUsize, flush: fn(&mut S) -> Result<(), StreamError>) -> Self {
        let state = State { sink, written: Vec::new(), settled: 0, torn: false, failed: None, flush };
        Self { state: Arc::new(Mutex::new(state)), every, source: None }
    }
}

impl<S> State<S> {
    /// Flushes, and acknowledges what was written.
    fn settle(&mut self) -> Result<(), StreamError> {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        if self.written.is_empty() {
            return Ok(());
        }
        if mem::replace(&mut self.torn, true) {
            self.written.drain(..).for_each(Receipt::abandon);
            return Ok(());
        }
        if let Err(failure) = (self.flush)(&mut self.sink) {
            self.written.drain(..).for_each(Receipt::abandon);
            return Err(failure);
        }
        self.torn = false;
        self.settled += self.written.len() as u64;
        self.written.drain(..).for_each(Receipt::ack);
        Ok(())
    }
}

/// For a source without room: what is not flushed takes it up, and perhaps nothing more comes to the sink for long.
impl<S: Send + 'static> Flush for Mutex<State<S>> {
    fn flush(&self) {
        let mut state = lock(self);
        let settled = catch("write_to", || state.settle());
        if let Err(failure) = settled.unwrap_or_else(|panic| Err(panic.into())) {
            state.failed = Some(failure);
        }
    }
}

impl<S: Send + 'static> Drop for WriteTo<S> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if std::thread::panicking() {
            state.written.drain(..).for_each(Receipt::abandon);
        } else {
            caught("write_to", || {
                if let Err(failure) = state.settle() {
                    unhandled(&failure);
                }
            });
        }
    }
}

impl<T, S: EventSink<T> + Send + 'static> Kernel<Delivery<T>, u64> for WriteTo<S> {
    const NAME: &'static str = "write_to";

    fn next(&mut self, item: Delivery<T>) -> Emit<u64> {
        if item.receipt().source() != self.source {
            self.source = item.receipt().source();
            let flush: Arc<dyn Flush> = self.state.clone();
            item.receipt().flushes(Arc::downgrade(&flush));
        }
        let mut state = lock(&self.state);
        // Not any more, if the write returns.
        let torn = mem::replace(&mut state.torn, true);
        let write = state.sink.write(&item);
        state.torn = torn;
        if let Err(error) = write {
            item.abandon();
            state.written.drain(..).for_each(Receipt::abandon);
            return Emit::Fail(StreamError::source(error));
        }
        let (_, receipt) = item.into_parts();
        let awaited = receipt.is_awaited();
        state.written.push(receipt);
        if state.written.len() < self.every.get() && !awaited && state.failed.is_none() {
            return Emit::Skip;
        }
        match state.settle() {
            Ok(()) => Emit::Item(mem::take(&mut state.settled)),
            Err(failure) => Emit::Fail(failure),
        }
    }

    fn finish(&mut self) -> Option<u64> {
        let mut state = lock(&self.state);
        if let Err(failure) = state.settle() {
            state.failed = Some(failure);
            return None;
        }
        Some(mem::take(&mut state.settled)).filter(|settled| *settled > 0)
    }

    /// After an error of the source, too.
    fn end(&mut self) -> Result<(), StreamError> {
        lock(&self.state).settle()
    }
}
