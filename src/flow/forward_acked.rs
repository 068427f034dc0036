use std::{future::poll_fn, task::Poll};

use futures::{Sink, Stream};

use crate::delivery::{Delivery, Receipt};

/// The end of a stream of deliveries.
pub trait DeliveryStreamOps<T, E>: Stream<Item = Result<Delivery<T>, E>> + Sized {
    /// Sends the values to a [`Sink`], and acknowledges them when it has flushed them: at least once, with its
    /// back-pressure, as the stream is polled only when the sink is ready. It flushes when the stream waits, after 256
    /// values, and at the end, where it closes the sink. How many values were acknowledged.
    ///
    /// # Errors
    /// The stream's error, after the sink was flushed; or the sink's own: what was sent since the last flush, and what was
    /// not sent, is not acknowledged then, and will be delivered again.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use rxevents::{delivery::MemoryPosition, flow::{DeliveryStreamOps, StreamOps}, prelude::*};
    ///
    /// let acks = Acknowledger::new("numbers", MemoryPosition::default())?;
    /// let (sink, received) = futures::channel::mpsc::channel(10);
    /// let numbers = acks.deliver_stream(futures::stream::iter(1..=4));
    /// let even = numbers.through(|n| n.filter_map(Result::ok).filter(|n| **n % 2 == 0));
    /// let sent = futures::executor::block_on(even.forward_acked(sink))?;
    /// assert_eq!(sent, 2);
    /// assert_eq!(futures::executor::block_on(received.collect::<Vec<_>>()), [2, 4]);
    /// assert_eq!((acks.counts().delivered, acks.counts().filtered), (2, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn forward_acked<S>(self, sink: S) -> impl Future<Output = Result<u64, ForwardError<E, S::Error>>>
    where
        S: Sink<T>,
    {
        forward(self, sink)
    }
}

impl<St, T, E> DeliveryStreamOps<T, E> for St where St: Stream<Item = Result<Delivery<T>, E>> {}

/// Why a stream of deliveries was not sent to its end.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError<E, S> {
    /// The stream's own error.
    #[error("the stream failed: {0}")]
    Stream(E),
    /// The sink's.
    #[error("the sink failed: {0}")]
    Sink(S),
}

/// How many values are sent between two flushes.
const FLUSH_EVERY: usize = 256;

async fn forward<St, S, T, E>(stream: St, sink: S) -> Result<u64, ForwardError<E, S::Error>>
where
    St: Stream<Item = Result<Delivery<T>, E>>,
    S: Sink<T>,
{
    let (mut stream, mut sink) = (Box::pin(stream), Box::pin(sink));
    let mut sent = Sent::default();
    let mut acked = 0;
    loop {
        poll_fn(|context| sink.as_mut().poll_ready(context)).await.map_err(ForwardError::Sink)?;
        // What the stream yields now; otherwise there is time to flush.
        let next = poll_fn(|context| match stream.as_mut().poll_next(context) {
            Poll::Pending if !sent.0.is_empty() => Poll::Ready(None),
            polled => polled.map(Some),
        });
        match next.await {
            Some(Some(Ok(delivery))) => {
                let (value, receipt) = delivery.into_parts();
                // Before it is given away: should the sink fail, it is not done.
                sent.0.push(receipt);
                sink.as_mut().start_send(value).map_err(ForwardError::Sink)?;
                if sent.0.len() < FLUSH_EVERY {
                    continue;
                }
            }
            Some(Some(Err(error))) => {
                poll_fn(|context| sink.as_mut().poll_flush(context)).await.map_err(ForwardError::Sink)?;
                sent.ack();
                return Err(ForwardError::Stream(error));
            }
            Some(None) => {
                poll_fn(|context| sink.as_mut().poll_close(context)).await.map_err(ForwardError::Sink)?;
                return Ok(acked + sent.ack());
            }
            None => {}
        }
        poll_fn(|context| sink.as_mut().poll_flush(context)).await.map_err(ForwardError::Sink)?;
        acked += sent.ack();
    }
}

/// What was sent, and not flushed: it is not done, however this ends.
#[derive(Default)]
struct Sent(Vec<Receipt>);

impl Sent {
    fn ack(&mut self) -> u64 {
        let acked = self.0.len() as u64;
        self.0.drain(..).for_each(Receipt::ack);
        acked
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Receipt::abandon);
    }
}
