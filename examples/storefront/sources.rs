//! Where the events come from: files, or made up. All three sources are read in turn, one event at a time, so nothing
//! piles up and none waits for another to end.

use std::{borrow::Cow, path::Path, sync::Arc};

use rxevents::{
    dead_letter::Origin,
    event::{Click, SensorReading},
    prelude::*,
    source::{Clicks, CsvFile, CsvRecord, Line, OpenError, PaymentLines, Replayed, SensorReadings, TextFile},
};

use super::{args::Args, columns::with_columns, invoice, reading, store::Store};

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
    Sensor(Delivery<Reading>),
    Payment(Delivery<Payment>),
    Click(Delivery<Visit>),
}

type Events = Box<dyn Iterator<Item = Result<Event, StreamError>>>;

/// All sources in turn: one event of each, as long as it has any.
pub(crate) struct Sources {
    sources: Vec<Events>,
    turn: usize,
}

impl Sources {
    /// The files of the command line; or, if there are none, made-up events. Each goes on where it had committed.
    pub(crate) fn open(
        args: &Args,
        [sensors, payments, clicks]: &[Acknowledger; 3],
    ) -> Result<Self, Box<dyn std::error::Error>> {
        if !args.has_files() {
            return Self::generate(args.events, [sensors, payments, clicks]);
        }
        let mut sources: Vec<Events> = Vec::new();
        if let Some(path) = &args.sensors {
            let records = sensors.resume(open_csv(path, &reading::COLUMNS)?)?;
            sources.push(Box::new(records.map(|record| Ok(Event::Sensor(record?.map(of_file))))));
        }
        if let Some(path) = &args.payments {
            let records = payments.resume(open_csv(path, &invoice::COLUMNS)?)?;
            sources.push(Box::new(records.map(|record| Ok(Event::Payment(record?.map(of_file))))));
        }
        if let Some(path) = &args.clicks {
            let lines = clicks.resume(TextFile::open(path)?.max_line_bytes(MAX_LINE))?;
            sources.push(Box::new(lines.map(|line| Ok(Event::Click(line?.map(of_file))))));
        }
        Ok(Self { sources, turn: 0 })
    }

    fn generate(
        events: u64,
        [of_sensors, of_payments, of_clicks]: [&Acknowledger; 3],
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let share = |index| usize::try_from(events / 3 + u64::from(index < events % 3)).unwrap_or(usize::MAX);
        let readings = SensorReadings::new(1).anomalies(ANOMALIES).take(share(0));
        let payments = PaymentLines::new(2).malformed(BROKEN).invalid(BROKEN).take(share(1));
        let name: Arc<str> = "made-up payments".into();
        let payments =
            payments.zip(1..).map(move |(line, number)| Line::new(line.into_bytes(), number, name.clone()));
        let clicks = Clicks::new(3).take(share(2));
        let readings = of_sensors.resume(Replayed::new(readings))?;
        let payments = of_payments.resume(Replayed::new(payments))?;
        let clicks = of_clicks.resume(Replayed::new(clicks))?;
        let sources: [Events; 3] = [
            Box::new(readings.map(|reading| Ok(Event::Sensor(reading?.map(made_up))))),
            Box::new(payments.map(|line| Ok(Event::Payment(line?.map(made_up))))),
            Box::new(clicks.map(|click| Ok(Event::Click(click?.map(made_up))))),
        ];
        Ok(Self { sources: sources.into(), turn: 0 })
    }
}

/// The acknowledgers of the three sources.
pub(crate) fn acknowledgers(store: &Store) -> Result<[Acknowledger; 3], Box<dyn std::error::Error>> {
    Ok([store.acknowledger("sensors")?, store.acknowledger("payments")?, store.acknowledger("clicks")?])
}

fn of_file<F, G>(item: Result<F, Rejected<Line>>) -> Taken<F, G> {
    item.map(Raw::File)
}

fn made_up<F, G>(item: G) -> Taken<F, G> {
    Ok(Raw::Generated(item))
}

impl Iterator for Sources {
    type Item = Result<Event, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
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
