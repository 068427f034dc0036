//! Which events a writer has applied that are not done, and what it made of each.

use std::{
    any::Any,
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    StateError,
    codec::{Fnv, decode_at, encode, shown},
    key::{EncodeKey, decoded, encoded},
    space::{Space, prefix},
    store::{Sources, Write},
};
use crate::{
    delivery::{Position, Receipt, ReceiptPart},
    sync::lock,
};

/// An event of a source.
struct Applied<R> {
    end: Position,
    /// Which of several items that it has become.
    nth: u32,
    /// Which events the item was made of: 0, if of this one alone. It is recorded at the last of them.
    of: u64,
    /// It has come in this generation of its source.
    seen: bool,
    stored: bool,
    result: R,
}

/// The events of one source, in order.
struct OfSource<R> {
    source: Arc<str>,
    /// Who delivers, and in which generation of the source.
    tracker: Option<u64>,
    generation: u64,
    events: VecDeque<Applied<R>>,
}

/// The log of one writer. Memory: what is in flight, and what is done since the last commit.
pub(super) struct Log<R> {
    table: Arc<str>,
    writer: Arc<str>,
    sources: Vec<OfSource<R>>,
}

/// A log whatever its results are.
pub(super) trait AnyLog: Any + Send {
    fn collect(&self, sources: &Sources, batch: &mut Vec<Write>) -> Result<(), StateError>;
    fn committed(&mut self, sources: &Sources);
}

/// The logs of a table.
pub(super) struct Logs {
    table: Arc<str>,
    open: Vec<(Arc<str>, Box<dyn AnyLog>)>,
    /// Of those whose writers have not come, and said of which type the results are.
    stored: Vec<Stored>,
}

/// An event in the store.
struct Stored {
    writer: String,
    source: String,
    end: Position,
    nth: u32,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Logs {
    pub(super) fn new(table: Arc<str>) -> Self {
        Self { table, open: Vec::new(), stored: Vec::new() }
    }

    /// What the store has; `false`: it is damaged.
    pub(super) fn stored(&mut self, key: &[u8], value: &[u8]) -> bool {
        let row = key.get(prefix(Space::Applied, &self.table).len()..).and_then(decoded::<Row>);
        let Some((writer, source, bytes, lines, nth)) = row else { return false };
        let (end, key, value) = (Position { bytes, lines }, key.to_vec(), value.to_vec());
        self.stored.push(Stored { writer, source, end, nth, key, value });
        true
    }

    /// The log of a writer.
    pub(super) fn of<R>(&mut self, writer: &Arc<str>) -> Result<&mut Log<R>, StateError>
    where
        R: Serialize + DeserializeOwned + Clone + Send + 'static,
    {
        let at = match self.open.iter().position(|(name, _)| name == writer) {
            Some(at) => at,
            None => {
                let stored = self.stored.iter().filter(|event| event.writer == **writer);
                let log = Log::<R>::open(&self.table, writer, stored)?;
                self.stored.retain(|event| event.writer != **writer);
                self.open.push((writer.clone(), Box::new(log)));
                self.open.len() - 1
            }
        };
        let log: &mut dyn Any = &mut *self.open[at].1;
        log.downcast_mut()
            .ok_or_else(|| StateError::WriterType { table: self.table.clone(), writer: writer.clone() })
    }

    pub(super) fn collect(&self, sources: &Sources, batch: &mut Vec<Write>) -> Result<(), StateError> {
        for event in self.stored.iter().filter(|event| Some(event.end) <= sources.committed(&event.source)) {
            batch.push(Write { key: event.key.clone(), value: None });
        }
        self.open.iter().try_for_each(|(_, log)| log.collect(sources, batch))
    }

    pub(super) fn committed(&mut self, sources: &Sources) {
        self.stored.retain(|event| Some(event.end) > sources.committed(&event.source));
        self.open.iter_mut().for_each(|(_, log)| log.committed(sources));
    }
}

/// What an event is to a log.
pub(super) enum Turn<R> {
    /// It is new: the place to record it; of no source, none.
    New(Option<Place>),
    /// It was applied before, with this result.
    Again(R),
}

/// Where an item is to be recorded.
pub(super) struct Place {
    source: usize,
    at: usize,
    end: Position,
    nth: u32,
    of: u64,
}

/// Writer, source, bytes, lines, nth.
type Row = (String, String, u64, u64, u32);

impl<R> OfSource<R> {
    fn new(source: Arc<str>) -> Self {
        Self { source, tracker: None, generation: 0, events: VecDeque::new() }
    }

    /// The first item made of this event, and of those that `of` says, that has not come yet; or where the next is to be.
    #[inline]
    fn find(&self, end: Position, of: u64) -> Result<usize, (usize, u32)> {
        if self.events.back().is_none_or(|last| last.end < end) {
            return Err((self.events.len(), 0));
        }
        self.find_among(end, of)
    }

    fn find_among(&self, end: Position, of: u64) -> Result<usize, (usize, u32)> {
        let mut at = self.events.partition_point(|event| event.end < end);
        let mut nth = 0;
        while let Some(event) = self.events.get(at).filter(|event| event.end == end) {
            if !event.seen && event.of == of {
                return Ok(at);
            }
            (at, nth) = (at + 1, event.nth + 1);
        }
        Err((at, nth))
    }

    fn drop_until(&mut self, done: Option<Position>) {
        while self.events.front().is_some_and(|event| Some(event.end) <= done) {
            self.events.pop_front();
        }
    }
}

impl<R> Log<R>
where
    R: Serialize + DeserializeOwned + Clone + Send + 'static,
{
    /// The log of a writer, with what is stored of it.
    fn open<'a>(
        table: &Arc<str>,
        writer: &Arc<str>,
        stored: impl Iterator<Item = &'a Stored>,
    ) -> Result<Self, StateError> {
        let mut log = Self { table: table.clone(), writer: writer.clone(), sources: Vec::new() };
        for Stored { source, end, nth, key, value, .. } in stored {
            let wrong = || StateError::Key { table: table.clone(), key: shown(key) };
            let (of, result) = value.split_first_chunk().ok_or_else(wrong)?;
            let (of, result) = (u64::from_be_bytes(*of), decode_at(result, table, key)?);
            let at = log.at(&source.as_str().into());
            // The store has them in order.
            let event = Applied { end: *end, nth: *nth, of, seen: false, stored: true, result };
            log.sources[at].events.push_back(event);
        }
        Ok(log)
    }

    fn at(&mut self, source: &Arc<str>) -> usize {
        if let Some(at) = self.sources.iter().position(|of| of.source == *source) {
            return at;
        }
        self.sources.push(OfSource::new(source.clone()));
        self.sources.len() - 1
    }

    /// The log of the source whose delivery that is.
    #[inline]
    fn of(&mut self, part: &ReceiptPart<'_>, registry: &Mutex<Sources>) -> Result<usize, StateError> {
        match self.sources.iter().position(|source| source.tracker == Some(part.tracker)) {
            Some(at) => Ok(at),
            None => self.claim(part, registry),
        }
    }

    /// Somebody new delivers: the source from anew, or somebody whose position is not kept with this table.
    #[cold]
    fn claim(&mut self, part: &ReceiptPart<'_>, registry: &Mutex<Sources>) -> Result<usize, StateError> {
        let at = self.at(part.source);
        let of = &mut self.sources[at];
        // What an earlier generation has left on its way will come again.
        let known = lock(registry).known(part.source).filter(|known| part.tracker >= known.since);
        let free = known.filter(|known| of.tracker.is_none() || of.generation != known.generation);
        let Some(known) = free else {
            let (table, source_name) = (self.table.clone(), part.source.clone());
            return Err(StateError::ForeignSource { table, source_name });
        };
        (of.tracker, of.generation) = (Some(part.tracker), known.generation);
        of.events.iter_mut().for_each(|event| event.seen = false);
        Ok(at)
    }

    /// Whether an item of these events is new.
    #[inline]
    pub(super) fn turn(
        &mut self,
        receipt: &Receipt,
        registry: &Mutex<Sources>,
    ) -> Result<Turn<R>, StateError> {
        let mut parts = receipt.each();
        let Some(first) = parts.next() else { return Ok(Turn::New(None)) };
        let (source, end, of) = match receipt.events() {
            1 => (self.of(&first, registry)?, first.end, 0),
            _ => self.last_of_many(receipt, registry)?,
        };
        let events = &mut self.sources[source];
        Ok(match events.find(end, of) {
            Err((at, nth)) => Turn::New(Some(Place { source, at, end, nth, of })),
            Ok(at) => {
                events.events[at].seen = true;
                Turn::Again(events.events[at].result.clone())
            }
        })
    }

    /// The last of several events, and a number for all of them: the same events are the same item. Where one is in it twice,
    /// it counts once.
    #[cold]
    fn last_of_many(
        &mut self,
        receipt: &Receipt,
        registry: &Mutex<Sources>,
    ) -> Result<(usize, Position, u64), StateError> {
        let mut events: Vec<_> = receipt
            .each()
            .map(|part| Ok((part.source.clone(), part.end, self.of(&part, registry)?)))
            .collect::<Result<_, StateError>>()?;
        events.sort_unstable();
        events.dedup();
        let mut of = Fnv::new();
        for (source, end, _) in &events {
            of.add(&encoded(&(&**source, end.bytes, end.lines)));
        }
        // 0 is for one event.
        let of = if events.len() > 1 { of.0.max(1) } else { 0 };
        let last = events.pop().map(|(_, end, source)| (source, end, of));
        // There are two at least.
        Ok(last.unwrap_or_default())
    }

    /// The item at this place is applied.
    #[inline]
    pub(super) fn record(&mut self, place: Option<Place>, result: &R) {
        let Some(Place { source, at, end, nth, of }) = place else { return };
        let events = &mut self.sources[source].events;
        let event = Applied { end, nth, of, seen: true, stored: false, result: result.clone() };
        if at == events.len() { events.push_back(event) } else { events.insert(at, event) }
    }

    fn key(&self, source: &Arc<str>, Position { bytes, lines }: Position, nth: u32) -> Vec<u8> {
        let mut key = prefix(Space::Applied, &self.table);
        (&*self.writer, &**source, (bytes, lines, nth)).encode_key(&mut key);
        key
    }
}

impl<R> AnyLog for Log<R>
where
    R: Serialize + DeserializeOwned + Clone + Send + 'static,
{
    fn collect(&self, sources: &Sources, batch: &mut Vec<Write>) -> Result<(), StateError> {
        for of in &self.sources {
            let done = sources.committed(&of.source);
            for event in &of.events {
                let value = match (Some(event.end) <= done, event.stored) {
                    (true, true) => None,
                    (false, false) => {
                        let mut value = event.of.to_be_bytes().to_vec();
                        encode(&event.result, &self.table, &mut value)?;
                        Some(value)
                    }
                    _ => continue,
                };
                batch.push(Write { key: self.key(&of.source, event.end, event.nth), value });
            }
        }
        Ok(())
    }

    fn committed(&mut self, sources: &Sources) {
        for of in &mut self.sources {
            of.drop_until(sources.committed(&of.source));
            of.events.iter_mut().for_each(|event| event.stored = true);
        }
    }
}
