use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::Stream;

use super::{Delivery, Position, PositionError, PositionStore, Receipt, tracker::Tracker};
use crate::{error::StreamError, source::Resumable};

/// How many deliveries may be in flight unless told otherwise.
pub const DEFAULT_MAX_IN_FLIGHT: usize = 1 << 16;
/// After how many it commits unless told otherwise.
pub const DEFAULT_COMMIT_EVERY: u64 = 1000;

/// Makes the events of one source [deliveries](Delivery), and commits how far all of them are done: the contiguous
/// prefix, whatever the order in which they are.
///
/// It commits while the source is read, when as many as [`commit_every`](AckPolicy::commit_every) are done since the last
/// time; when the source is at its end and the last delivery is done; when nobody uses it any more; and when
/// [told to](Self::commit). What is done but not committed when the process dies is delivered again: at least once.
///
/// Memory: 4 bytes for each delivery that may be in flight, 16 for each that is. Cost of a delivery: one lock that
/// nobody else wants, and four atomic operations.
///
/// Clones are handles to the same source, which is read by one at a time.
#[derive(Clone)]
pub struct Acknowledger {
    tracker: Arc<Tracker>,
    resume_at: Option<Position>,
}

/// How an [`Acknowledger`] is to be; see [`Acknowledger::with`].
#[derive(Debug, Clone, Copy)]
pub struct AckPolicy {
    max_in_flight: usize,
    commit_every: u64,
}

impl Default for AckPolicy {
    fn default() -> Self {
        Self { max_in_flight: DEFAULT_MAX_IN_FLIGHT, commit_every: DEFAULT_COMMIT_EVERY }
    }
}

impl AckPolicy {
    /// How many deliveries may be in flight (at least 1, at most 16,777,216), from the first that is not done on. A
    /// stream waits for room; an iterator is over with an [error](DeliveryError::InFlight), as nothing could make room
    /// while it waits, unless it is told to [wait](Deliveries::waiting).
    #[must_use]
    pub fn max_in_flight(self, max_in_flight: usize) -> Self {
        Self { max_in_flight: max_in_flight.clamp(1, 1 << 24), ..self }
    }

    /// After how many that are done it commits (at least 1): so many, and those in flight, may come again after a crash.
    #[must_use]
    pub fn commit_every(self, commit_every: u64) -> Self {
        Self { commit_every: commit_every.max(1), ..self }
    }
}

/// A source cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// So many deliveries are not done that no more may be made.
    #[error(
        "`{source_name}`: {max} deliveries are in flight, of which {abandoned} were abandoned and will never be done"
    )]
    InFlight {
        /// The source.
        source_name: Arc<str>,
        /// How many may be in flight.
        max: usize,
        /// How many were given up: by a panic, an operator that has ended, or the user.
        abandoned: u64,
    },
    /// The position could not be read or committed.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// The source cannot go on where it had committed.
    #[error("`{source_name}` cannot resume at line {}, byte {}: {cause}", at.lines, at.bytes)]
    Resume {
        /// The source.
        source_name: Arc<str>,
        /// The committed position.
        at: Position,
        /// What is wrong.
        #[source]
        cause: io::Error,
    },
}

/// Where the events of one source are. They are balanced when `taken` is the sum of all below but `committed`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DeliveryCounts {
    /// The source.
    pub source: Arc<str>,
    /// Taken from the source.
    #[serde(rename = "in")]
    pub taken: u64,
    /// Arrived: [`Delivery::ack`], a sink.
    #[serde(rename = "out")]
    pub delivered: u64,
    /// Dropped in the usual course of things.
    pub filtered: u64,
    /// Dropped by a policy of a name.
    pub dropped: u64,
    /// With the dead letters.
    pub dead_lettered: u64,
    /// Not done, and they will not be: their source must deliver them again.
    pub abandoned: u64,
    /// Somebody holds them.
    pub in_flight: u64,
    /// How many of those taken are behind the committed position.
    pub committed: u64,
}

impl From<DeliveryError> for StreamError {
    fn from(error: DeliveryError) -> Self {
        Self::Delivery(Arc::new(error))
    }
}

/// The books of a source do not balance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("events are not accounted for: {0:?}")]
pub struct Imbalance(pub DeliveryCounts);

impl DeliveryCounts {
    /// The law of the house: every event is accounted for.
    ///
    /// # Errors
    /// One is not, or one is twice; or an event is on its way just now, on another thread.
    pub fn check(&self) -> Result<(), Imbalance> {
        let Self { taken, delivered, filtered, dropped, dead_lettered, abandoned, in_flight, .. } = *self;
        if taken == delivered + filtered + dropped + dead_lettered + abandoned + in_flight {
            Ok(())
        } else {
            Err(Imbalance(self.clone()))
        }
    }
}

impl Acknowledger {
    /// For the source of that name, whose position is kept there.
    ///
    /// # Errors
    /// The position cannot be read.
    pub fn new(
        name: impl Into<Arc<str>>,
        store: impl PositionStore + Send + 'static,
    ) -> Result<Self, PositionError> {
        Self::with(name, store, AckPolicy::default())
    }

    /// [`new`](Self::new), otherwise than usual.
    ///
    /// # Errors
    /// The position cannot be read.
    pub fn with(
        name: impl Into<Arc<str>>,
        mut store: impl PositionStore + Send + 'static,
        policy: AckPolicy,
    ) -> Result<Self, PositionError> {
        let resume_at = store.load()?;
        let AckPolicy { max_in_flight, commit_every } = policy;
        let tracker = Tracker::new(name.into(), max_in_flight, commit_every, Box::new(store), resume_at);
        Ok(Self { tracker: Arc::new(tracker), resume_at })
    }

    /// Where the source had committed when this was made; `None`: it begins at its start.
    pub fn resumes_at(&self) -> Option<Position> {
        self.resume_at
    }

    /// The items of `source` as deliveries. It begins where it begins; to go on where it had committed, see
    /// [`resume`](Self::resume).
    ///
    /// An iterator cannot wait: when as many are in flight as may be, it yields an error, and is over.
    pub fn deliver<I: Iterator>(&self, source: I) -> Deliveries<I> {
        let position = self.resume_at.unwrap_or_default();
        Deliveries { source, place: Place::Counted(position), acks: self.clone(), waits: false, over: false }
    }

    /// The items of `source` as deliveries, from where it had committed.
    ///
    /// # Errors
    /// It cannot go on there: it has become shorter, say.
    pub fn resume<I: Resumable>(&self, mut source: I) -> Result<Deliveries<I>, DeliveryError> {
        if let Some(at) = self.resume_at {
            let source_name = self.tracker.name.clone();
            source.resume(at).map_err(|cause| DeliveryError::Resume { source_name, at, cause })?;
        }
        let place = Place::Known(I::reached);
        Ok(Deliveries { source, place, acks: self.clone(), waits: false, over: false })
    }

    /// The items of `stream` as deliveries. While as many are in flight as may be, it is not polled.
    pub fn deliver_stream<S: Stream>(&self, stream: S) -> DeliveryStream<S> {
        DeliveryStream {
            stream: Box::pin(stream),
            position: self.resume_at.unwrap_or_default(),
            acks: self.clone(),
            over: false,
        }
    }

    /// Commits how far all is done. The position that is committed now.
    ///
    /// # Errors
    /// The position is not durable.
    pub fn commit(&self) -> Result<Option<Position>, PositionError> {
        self.tracker.commit()
    }

    /// The position that is committed.
    pub fn committed(&self) -> Option<Position> {
        self.tracker.committed()
    }

    /// Where the events are.
    pub fn counts(&self) -> DeliveryCounts {
        self.tracker.counts()
    }

    /// One delivery of a source of your own, which ends at `end`. Positions must grow.
    ///
    /// # Errors
    /// There is no room for one more, or the commit that it was time for has failed.
    pub fn issue<T>(&self, value: T, end: Position) -> Result<Delivery<T>, DeliveryError> {
        if !self.tracker.has_room() {
            return Err(self.in_flight());
        }
        Ok(self.issue_to_room(value, end)?)
    }

    fn issue_to_room<T>(&self, value: T, end: Position) -> Result<Delivery<T>, PositionError> {
        let number = self.tracker.issue(end)?;
        Ok(Delivery::new(value, Receipt::new(self.tracker.clone(), number, end)))
    }

    fn in_flight(&self) -> DeliveryError {
        DeliveryError::InFlight {
            source_name: self.tracker.name.clone(),
            max: self.tracker.max_in_flight(),
            abandoned: self.tracker.counts().abandoned,
        }
    }
}

/// Where a source is after an item.
enum Place<I> {
    /// After so many.
    Counted(Position),
    Known(fn(&I) -> Position),
}

/// The items of an iterator as deliveries; see [`Acknowledger::deliver`].
pub struct Deliveries<I> {
    source: I,
    place: Place<I>,
    acks: Acknowledger,
    waits: bool,
    over: bool,
}

impl<I> Deliveries<I> {
    /// Waits for room, and keeps its thread meanwhile: only where other threads make room. What waits for more items
    /// than may be in flight, as a large window does, is waited for for ever; but where one was abandoned, so that there
    /// will never be room, it is an [error](DeliveryError::InFlight).
    #[must_use]
    pub fn waiting(self) -> Self {
        Self { waits: true, ..self }
    }
}

impl<I: Iterator> Iterator for Deliveries<I> {
    type Item = Result<Delivery<I::Item>, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let tracker = &self.acks.tracker;
        // Before an item is taken, so that none is lost.
        if !(tracker.has_room() || self.waits && tracker.wait_for_room()) {
            self.over = true;
            return Some(Err(self.acks.in_flight().into()));
        }
        let Some(item) = self.source.next() else {
            self.over = true;
            tracker.end();
            return None;
        };
        let end = match &mut self.place {
            Place::Counted(position) => {
                position.lines += 1;
                *position
            }
            Place::Known(position) => position(&self.source),
        };
        let delivery = self.acks.issue_to_room(item, end).map_err(|error| DeliveryError::from(error).into());
        self.over = delivery.is_err();
        Some(delivery)
    }
}

/// The items of a stream as deliveries; see [`Acknowledger::deliver_stream`].
pub struct DeliveryStream<S> {
    stream: Pin<Box<S>>,
    position: Position,
    acks: Acknowledger,
    over: bool,
}

impl<S: Stream> Stream for DeliveryStream<S> {
    type Item = Result<Delivery<S::Item>, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        if !this.acks.tracker.has_room_or_wakes(context.waker()) {
            if !this.acks.tracker.is_stuck() {
                return Poll::Pending;
            }
            this.over = true;
            return Poll::Ready(Some(Err(this.acks.in_flight().into())));
        }
        let Poll::Ready(item) = this.stream.as_mut().poll_next(context) else { return Poll::Pending };
        let Some(item) = item else {
            this.over = true;
            this.acks.tracker.end();
            return Poll::Ready(None);
        };
        this.position.lines += 1;
        let delivery =
            this.acks.issue_to_room(item, this.position).map_err(|error| DeliveryError::from(error).into());
        this.over = delivery.is_err();
        Poll::Ready(Some(delivery))
    }
}
