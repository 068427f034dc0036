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
    delivery::{Receipt, ReceiptPart},
    sync::lock,
};

/// An event of a source.
struct Applied<R> {
    line: u64,
    /// Which of several items that it has become.
    nth: u32,
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
        let Some((writer, source, _, _)) = row else { return false };
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
                let stored = self.stored.extract_if(.., |event| event.writer == **writer).collect();
                self.open.push((writer.clone(), Box::new(Log::<R>::open(&self.table, writer, stored)?)));
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
    /// It is new: the places to record it.
    New(Places),
    /// It was applied before, with this result.
    Again(R),
}

/// Where one event is to be recorded.
pub(super) struct Place {
    source: usize,
    at: usize,
    line: u64,
    nth: u32,
}

/// Where those of an item are; most are made of one.
pub(super) enum Places {
    None,
    One(Place),
    Many(Vec<Place>),
}

type Row = (String, String, u64, u32);

impl<R> OfSource<R> {
    fn new(source: Arc<str>) -> Self {
        Self { source, tracker: None, generation: 0, events: VecDeque::new() }
    }

    /// The first of this line that has not come yet, or where the next is to be.
    #[inline]
    fn find(&self, line: u64) -> Result<usize, (usize, u32)> {
        let end = self.events.len();
        if self.events.back().is_none_or(|last| last.line < line) {
            return Err((end, 0));
        }
        self.find_among(line)
    }

    fn find_among(&self, line: u64) -> Result<usize, (usize, u32)> {
        let mut at = self.events.partition_point(|event| event.line < line);
        let mut nth = 0;
        while let Some(event) = self.events.get(at).filter(|event| event.line == line) {
            if !event.seen {
                return Ok(at);
            }
            (at, nth) = (at + 1, nth + 1);
        }
        Err((at, nth))
    }

    fn drop_until(&mut self, line: u64) {
        while self.events.front().is_some_and(|event| event.line <= line) {
            self.events.pop_front();
        }
    }
}

impl<R> Log<R>
where
    R: Serialize + DeserializeOwned + Clone + Send + 'static,
{
    /// The log of a writer, with what is stored of it.
    fn open(table: &Arc<str>, writer: &Arc<str>, stored: Vec<Stored>) -> Result<Self, StateError> {
        let mut log = Self { table: table.clone(), writer: writer.clone(), sources: Vec::new() };
        for Stored { source, key, value, .. } in stored {
            let row = &key[prefix(Space::Applied, table).len()..];
            let wrong = || StateError::Key { table: table.clone(), key: shown(row) };
            let (_, _, line, nth) = decoded::<Row>(row).ok_or_else(wrong)?;
            let result = decode_at(&value, table, row)?;
            let at = log.at(&source.into());
            // The store has them in order.
            log.sources[at].events.push_back(Applied { line, nth, seen: false, stored: true, result });
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
        let known = lock(registry).known(part.source).ok_or_else(foreign)?;
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

    /// Whether the events of a receipt are new.
    #[inline]
    pub(super) fn turn(
        &mut self,
        receipt: &Receipt,
        registry: &Mutex<Sources>,
    ) -> Result<Turn<R>, StateError> {
        let mut parts = receipt.each();
        let Some(first) = parts.next() else { return Ok(Turn::New(Places::None)) };
        if receipt.events() > 1 {
            return self.turn_of_many(receipt, registry);
        }
        let source = self.of(&first, registry)?;
        let of = &mut self.sources[source];
        Ok(match of.find(first.line) {
            Err((at, nth)) => Turn::New(Places::One(Place { source, at, line: first.line, nth })),
            Ok(at) => {
                of.events[at].seen = true;
                Turn::Again(of.events[at].result.clone())
            }
        })
    }

    /// An item made of several events: all were applied, or none. Where one event is in it twice, it counts once.
    #[cold]
    fn turn_of_many(&mut self, receipt: &Receipt, registry: &Mutex<Sources>) -> Result<Turn<R>, StateError> {
        let (mut new, mut again) = (Vec::new(), Vec::new());
        let mut events: Vec<_> = receipt
            .each()
            .map(|part| Ok((self.of(&part, registry)?, part.line)))
            .collect::<Result<_, _>>()?;
        events.sort_unstable();
        events.dedup();
        for &(source, line) in &events {
            match self.sources[source].find(line) {
                Ok(at) => again.push((source, at)),
                Err((at, nth)) => new.push(Place { source, at, line, nth }),
            }
        }
        match &*again {
            [] => {
                // From the last to the first, so that the places before stay where they are.
                new.reverse();
                Ok(Turn::New(Places::Many(new)))
            }
            &[(source, at), ..] if new.is_empty() => {
                again.iter().for_each(|&(source, at)| self.sources[source].events[at].seen = true);
                Ok(Turn::Again(self.sources[source].events[at].result.clone()))
            }
            _ => Err(StateError::PartlyApplied {
                table: self.table.clone(),
                applied: again.len(),
                events: events.len(),
            }),
        }
    }

    /// The events at these places are applied.
    #[inline]
    pub(super) fn record(&mut self, places: Places, result: &R) {
        match places {
            Places::None => {}
            Places::One(place) => self.insert(place, result.clone()),
            Places::Many(places) => places.into_iter().for_each(|place| self.insert(place, result.clone())),
        }
    }

    #[inline]
    fn insert(&mut self, Place { source, at, line, nth }: Place, result: R) {
        let events = &mut self.sources[source].events;
        let event = Applied { line, nth, seen: true, stored: false, result };
        if at == events.len() { events.push_back(event) } else { events.insert(at, event) }
    }

    fn key(&self, source: &Arc<str>, line: u64, nth: u32) -> Vec<u8> {
        let mut key = prefix(Space::Applied, &self.table);
        (&*self.writer, &**source, line, nth).encode_key(&mut key);
        key
    }
}

impl<R> AnyLog for Log<R>
where
    R: Serialize + DeserializeOwned + Clone + Send + 'static,
{
    fn collect(&self, sources: &Sources, batch: &mut Vec<Write>) -> Result<(), StateError> {
        for of in &self.sources {
            let done = sources.lines(&of.source);
            for event in &of.events {
                let value = match (event.line <= done, event.stored) {
                    (true, true) => None,
                    (false, false) => {
                        let mut value = Vec::new();
                        encode(&event.result, &self.table, &mut value)?;
                        Some(value)
                    }
                    _ => continue,
                };
                batch.push(Write { key: self.key(&of.source, event.line, event.nth), value });
            }
        }
        Ok(())
    }

    fn committed(&mut self, sources: &Sources) {
        for of in &mut self.sources {
            of.drop_until(sources.lines(&of.source));
            of.events.iter_mut().for_each(|event| event.stored = true);
        }
    }
}

impl Stored {
    fn is_done(&self, table: &str, sources: &Sources) -> bool {
        let row = self.key.get(prefix(Space::Applied, table).len()..).and_then(decoded::<Row>);
        row.is_some_and(|(_, _, line, _)| line <= sources.lines(&self.source))
    }
}
