//! Where the events come from: files, or made up. All three sources are read in turn, one event at a time, so nothing
//! piles up and none waits for another to end.

use std::{borrow::Cow, path::Path, sync::Arc};

use rxevents::{
    dead_letter::Origin,
    event::{Click, SensorReading},
    prelude::*,
    source::{Clicks, CsvFile, CsvRecord, Line, OpenError, PaymentLines, SensorReadings, TextFile},
};

use crate::{args::Args, columns::with_columns, invoice, reading};

/// The longest line, in bytes, that is read from a file; a longer one becomes a dead letter.
pub(crate) const MAX_LINE: usize = 64 * 1024;
/// The share of malformed, and that of invalid payments that are made up; and of readings out of the ordinary.
const BROKEN: f64 = 0.05;
const ANOMALIES: f64 = 0.001;

/// An event before it is decoded: from a file as it was written there, or made up.
#[derive(Debug, Clone)]
pub(crate) enum Raw<F, G> {
    File(F),
    Generated(G),
}

impl<F: Payload, G: Payload> Payload for Raw<F, G> {
    fn payload(&self) -> Cow<'_, [u8]> {
        match self {
            Self::File(item) => item.payload(),
            Self::Generated(item) => item.payload(),
        }
    }

    fn origin(&self) -> Option<Origin> {
        match self {
            Self::File(item) => item.origin(),
            Self::Generated(item) => item.origin(),
        }
    }
}

/// What a source yields: a raw event, or a line that cannot even be one.
pub(crate) type Taken<F, G> = Result<Raw<F, G>, Rejected<Line>>;
pub(crate) type Reading = Taken<CsvRecord, SensorReading>;
pub(crate) type Payment = Taken<CsvRecord, Line>;
pub(crate) type Visit = Taken<Line, Click>;

/// An event of any source.
pub(crate) enum Event {
    Sensor(Reading),
    Payment(Payment),
    Click(Visit),
}

/// All sources in turn: one event of each, as long as it has any.
pub(crate) struct Sources {
    sources: Vec<Box<dyn Iterator<Item = Event>>>,
    turn: usize,
}

impl Sources {
    /// The files of the command line; or, if there are none, made-up events.
    pub(crate) fn open(args: &Args) -> Result<Self, OpenError> {
        if !args.has_files() {
            return Ok(Self::generate(args.events));
        }
        let mut sources: Vec<Box<dyn Iterator<Item = Event>>> = Vec::new();
        if let Some(path) = &args.sensors {
            let records = open_csv(path, &reading::COLUMNS)?;
            sources.push(Box::new(records.map(|record| Event::Sensor(record.map(Raw::File)))));
        }
        if let Some(path) = &args.payments {
            let records = open_csv(path, &invoice::COLUMNS)?;
            sources.push(Box::new(records.map(|record| Event::Payment(record.map(Raw::File)))));
        }
        if let Some(path) = &args.clicks {
            let lines = TextFile::open(path)?.max_line_bytes(MAX_LINE);
            sources.push(Box::new(lines.map(|line| Event::Click(line.map(Raw::File)))));
        }
        Ok(Self { sources, turn: 0 })
    }

    fn generate(events: u64) -> Self {
        let share = |index| usize::try_from(events / 3 + u64::from(index < events % 3)).unwrap_or(usize::MAX);
        let readings = SensorReadings::new(1).anomalies(ANOMALIES);
        let payments = PaymentLines::new(2).malformed(BROKEN).invalid(BROKEN);
        let name: Arc<str> = "made-up payments".into();
        let payments =
            payments.zip(1..).map(move |(line, number)| Line::new(line.into_bytes(), number, name.clone()));
        let clicks = Clicks::new(3);
        let sources: [Box<dyn Iterator<Item = Event>>; 3] = [
            Box::new(readings.map(|reading| Event::Sensor(Ok(Raw::Generated(reading)))).take(share(0))),
            Box::new(payments.map(|line| Event::Payment(Ok(Raw::Generated(line)))).take(share(1))),
            Box::new(clicks.map(|click| Event::Click(Ok(Raw::Generated(click)))).take(share(2))),
        ];
        Self { sources: sources.into(), turn: 0 }
    }
}

impl Iterator for Sources {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if self.turn >= self.sources.len() {
                self.turn = 0;
            }
            match self.sources.get_mut(self.turn)?.next() {
                Some(event) => {
                    self.turn += 1;
                    return Some(event);
                }
                None => drop(self.sources.remove(self.turn)),
            }
        }
    }
}

/// The records of a CSV file that must have these columns.
fn open_csv(path: &Path, columns: &[&str]) -> Result<CsvFile<std::fs::File>, OpenError> {
    with_columns(CsvFile::open(path)?.max_record_bytes(MAX_LINE), columns)
}
