//! Which events a writer has applied that are not done, and what it made of each.

use std::{
    any::Any,
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    StateError,
    codec::{decode_at, encode, shown},
    key::{EncodeKey, decoded},
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
        let Some((writer, source, ..)) = row else { return false };
        self.stored.push(Stored { writer, source, key: key.to_vec(), value: value.to_vec() });
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
        for event in self.stored.iter().filter(|event| event.is_done(&self.table, sources)) {
            batch.push(Write { key: event.key.clone(), value: None });
        }
        self.open.iter().try_for_each(|(_, log)| log.collect(sources, batch))
    }

    pub(super) fn committed(&mut self, sources: &Sources) {
        let table = &self.table;
        self.stored.retain(|event| !event.is_done(table, sources));
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

    fn drop_done(&mut self, sources: &Sources) {
        while self.events.front().is_some_and(|event| sources.is_done(&self.source, event.end)) {
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
        for Stored { source, key, value, .. } in stored {
            let row = &key[prefix(Space::Applied, table).len()..];
            let wrong = || StateError::Key { table: table.clone(), key: shown(row) };
            let (_, _, bytes, lines, nth) = decoded::<Row>(row).ok_or_else(wrong)?;
            let (of, result) = value.split_first_chunk().ok_or_else(wrong)?;
            let (end, of) = (Position { bytes, lines }, u64::from_be_bytes(*of));
            let result = decode_at(result, table, row)?;
            let at = log.at(&source.as_str().into());
            // The store has them in order.
            log.sources[at].events.push_back(Applied { end, nth, of, seen: false, stored: true, result });
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
        let foreign =
            || StateError::ForeignSource { table: self.table.clone(), source_name: part.source.clone() };
        // What an earlier generation has left on its way will come again.
        let known = lock(registry).known(part.source).filter(|known| part.tracker >= known.since);
        let known = known.ok_or_else(foreign)?;
        let at = self.at(part.source);
        let of = &mut self.sources[at];
        if of.tracker.is_some() && of.generation == known.generation {
            return Err(StateError::ForeignSource {
                table: self.table.clone(),
                source_name: part.source.clone(),
            });
        }
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
        // FNV-1a, which is the same in the next process; 0 is for one event.
        let (mut of, fnv) = (0xcbf2_9ce4_8422_2325_u64, |of: u64, byte: u8| {
            (of ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        for (source, end, _) in &events {
            let numbers = [end.bytes.to_be_bytes(), end.lines.to_be_bytes()].concat();
            of = source.bytes().chain([0]).chain(numbers).fold(of, fnv);
        }
        let last =
            events.pop().map(|(_, end, source)| (source, end, if events.is_empty() { 0 } else { of.max(1) }));
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
            for event in &of.events {
                let value = match (sources.is_done(&of.source, event.end), event.stored) {
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
            of.drop_done(sources);
            of.events.iter_mut().for_each(|event| event.stored = true);
        }
    }
}

impl Stored {
    fn is_done(&self, table: &str, sources: &Sources) -> bool {
        let row = self.key.get(prefix(Space::Applied, table).len()..).and_then(decoded::<Row>);
        row.is_some_and(|(.., bytes, lines, _)| sources.is_done(&self.source, Position { bytes, lines }))
    }
}
