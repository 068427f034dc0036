//! What a job keeps in its folder, so that it can be killed and goes on where it was: its position in each source, what has
//! come out, and what was left out and why. Each line has the source and the line of its event.

use std::{cell::RefCell, fs, path::Path, rc::Rc, sync::Arc};

use rust_decimal::Decimal;
use rxevents::{
    dead_letter::SyncPolicy,
    delivery::{AckPolicy, MemoryPosition, PositionFile},
    prelude::*,
    sink::SinkError,
};
use serde::{Deserialize, Serialize};

use super::pipelines::{Clicked, Measured, Outcome};

/// Of so many events of a source the job knows which are in the output already: as many as may come again, which are those
/// between two commits and those in flight.
const REMEMBERED: usize = 1 << 17;

/// A source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    Sensors,
    Payments,
    Clicks,
}

/// An event that has come out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    source: Source,
    line: u64,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum What {
    Reading { value: f64, mean: f64 },
    Payment { amount: Decimal },
    Click { element: Arc<str> },
}

/// An event that was left out.
#[derive(Debug, Serialize)]
struct LeftOut {
    source: Source,
    line: u64,
    why: &'static str,
}

/// The sink: a file in the job's folder, if it has one.
pub(crate) struct Output(Option<JsonlSink<Stored>>);

/// What is left out is noted in a file in the job's folder, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Audit(Option<Rc<RefCell<JsonlSink<LeftOut>>>>);

/// The files of the folder.
pub(crate) struct Store {
    positions: Option<PositionFile>,
    pub(crate) output: Output,
    pub(crate) audit: Audit,
}

impl Store {
    /// In that folder, which is made if it is not there; `None`: nothing is kept.
    pub(crate) fn open(folder: Option<&Path>) -> Result<Self, Box<dyn std::error::Error>> {
        let Some(folder) = folder else {
            return Ok(Self { positions: None, output: Output(None), audit: Audit::default() });
        };
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let key = |stored: &Stored| (stored.source, stored.line);
        let output = JsonlSink::deduplicated(folder.join("output.jsonl"), REMEMBERED, key)?;
        // Written at once, though not to the disk: it is for those who look at what was left out.
        let audit = JsonlSink::open(folder.join("left-out.jsonl"))?.sync(SyncPolicy::Never);
        Ok(Self {
            positions: Some(PositionFile::open(folder.join("positions.json"))?),
            output: Output(Some(output)),
            audit: Audit(Some(Rc::new(RefCell::new(audit)))),
        })
    }

    /// The acknowledger of a source, by its name.
    pub(crate) fn acknowledger(&self, name: &str) -> Result<Acknowledger, Box<dyn std::error::Error>> {
        let policy = AckPolicy::default();
        Ok(match &self.positions {
            Some(positions) => Acknowledger::with(name, positions.source(name), policy)?,
            None => Acknowledger::with(name, MemoryPosition::default(), policy)?,
        })
    }
}

/// The line of an event, or its number where it is made up.
pub(crate) fn line<T>(event: &Delivery<T>) -> u64 {
    event.receipt().origin().and_then(|origin| origin.line).unwrap_or_default()
}

impl EventSink<(u64, Outcome)> for Output {
    type Error = SinkError;

    fn write(&mut self, (line, outcome): &(u64, Outcome)) -> Result<(), SinkError> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let (source, what) = match outcome {
            Outcome::Reading(Measured { reading, mean }) => {
                (Source::Sensors, What::Reading { value: reading.value, mean: *mean })
            }
            Outcome::Payment(amount) => (Source::Payments, What::Payment { amount: *amount }),
            Outcome::Click(Clicked { element, .. }) => {
                (Source::Clicks, What::Click { element: element.clone() })
            }
        };
        file.write(&Stored { source, line: *line, what })
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.0.as_mut().map_or(Ok(()), EventSink::flush)
    }
}

impl Audit {
    /// Notes that an event is left out. One that cannot be noted will come again.
    pub(crate) fn left_out<T>(&self, source: Source, why: &'static str, event: Delivery<T>) {
        let Some(file) = &self.0 else { return };
        let mut file = file.borrow_mut();
        let noted = file.write(&LeftOut { source, line: line(&event), why }).and_then(|()| file.flush());
        if let Err(error) = noted {
            eprintln!("storefront: {error}");
            event.abandon();
        }
    }
}
