//! The three pipelines: raw events in, outcomes out; what fails goes to the dead letters.

use std::{
    cell::RefCell,
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    rc::Rc,
    sync::Arc,
};

use chrono::TimeDelta;
use rust_decimal::Decimal;
use rxevents::{
    event::{Click, Payment, SensorReading},
    operator::window::Judged,
    prelude::*,
    source::{CsvRecord, Line},
};
use validator::Validate;

use super::{
    invoice::InvoiceLine,
    ledger::{Counted, Reasons},
    reading,
    sources::{self, Raw},
    store::{Audit, Source},
    tally::Counter,
};

/// How many readings are averaged together, and how many times their mean one must exceed to be an anomaly.
const PARTITION: usize = 5;
const RATIO: f64 = 1.5;

/// What becomes of an event that arrives at the sink.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Reading(Measured),
    /// The amount of a valid payment.
    Payment(Decimal),
    Click(Clicked),
}

/// A reading with the mean of its partition.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) reading: SensorReading,
    pub(crate) mean: f64,
}

/// A click, counted.
#[derive(Debug, Clone)]
pub(crate) struct Clicked {
    pub(crate) element: Arc<str>,
    /// How often the element was clicked on, this time included.
    pub(crate) clicks: u64,
}

/// The entrance of a pipeline, and its end: boxed, so that a function can return it whatever is in it.
pub(crate) type Entrance<T> = LocalSubject<Delivery<T>, StreamError>;
pub(crate) type Outcomes = LocalEvents<Delivery<Outcome>, StreamError>;

/// Readings: decoded and checked, averaged by fives with anomalies flagged, then one an hour goes on.
pub(crate) fn sensors(
    readings: Entrance<sources::Reading>,
    pipeline: &Pipeline,
    letters: &JsonlQueue,
    reasons: &Reasons,
    audit: &Audit,
    flagged: &Counter,
) -> Outcomes {
    let letters = Counted::new(letters.clone(), reasons);
    let (audit, flagged) = (audit.clone(), flagged.clone());
    readings
        .stage(pipeline, "readings", |readings| {
            readings
                .map(Delivery::transpose)
                .dead_letter(letters.clone())
                .try_map_value("reading", reading)
                .dead_letter(letters)
        })
        .stage(pipeline, "anomalies", |readings| {
            readings
                .buffer_count(PARTITION)
                .flag_outliers_by(RATIO, |reading: &Delivery<SensorReading>| reading.value)
                .flat_map(move |judged: Judged<Vec<Delivery<SensorReading>>>| {
                    // What is left at the end is too little to judge by.
                    if judged.flagged && judged.partition.len() == PARTITION {
                        flagged.add(1);
                    }
                    let mean = judged.mean;
                    let measured = move |reading| Measured { reading, mean };
                    let partition = judged.partition.into_iter();
                    Local::from_iter(partition.map(move |reading| reading.map(measured))).stream_error()
                })
        })
        .stage(pipeline, "one an hour", |measured| {
            measured.throttle_first_by_on_dropped(
                TimeDelta::hours(1),
                |measured: &Delivery<Measured>| measured.reading.at,
                move |measured| audit.left_out(Source::Sensors, "throttled", measured),
            )
        })
        .map(|measured| measured.map(Outcome::Reading))
        .boxed()
}

fn reading(raw: &Raw<CsvRecord, SensorReading>) -> Result<SensorReading, Reason> {
    match raw {
        Raw::File(record) => reading::from_record(record),
        Raw::Generated(reading) => {
            reading.validate()?;
            Ok(reading.clone())
        }
    }
}

/// Payments: decoded and checked.
pub(crate) fn payments(
    payments: Entrance<sources::Payment>,
    pipeline: &Pipeline,
    letters: &JsonlQueue,
    reasons: &Reasons,
) -> Outcomes {
    let letters = Counted::new(letters.clone(), reasons);
    payments
        .stage(pipeline, "payments", |payments| {
            payments
                .map(Delivery::transpose)
                .dead_letter(letters.clone())
                .try_map_value("payment", |raw| match raw {
                    Raw::File(record) => InvoiceLine::from_record(record).map(|line| line.amount),
                    Raw::Generated(line) => Payment::from_json(line.bytes()).map(|payment| payment.amount),
                })
                .dead_letter(letters)
        })
        .map(|amount| amount.map(Outcome::Payment))
        .boxed()
}

/// Clicks: decoded, checked and counted. Empty lines are no clicks.
pub(crate) fn clicks(
    clicks: Entrance<sources::Visit>,
    pipeline: &Pipeline,
    letters: &JsonlQueue,
    reasons: &Reasons,
    audit: &Audit,
    counts: &Rc<RefCell<Clicks>>,
) -> Outcomes {
    let letters = Counted::new(letters.clone(), reasons);
    let (audit, counts) = (audit.clone(), counts.clone());
    clicks
        .stage(pipeline, "clicks", |clicks| {
            clicks
                .map(Delivery::transpose)
                .dead_letter(letters.clone())
                .filter_map(move |raw: Delivery<Raw<Line, Click>>| {
                    let blank = matches!(&*raw, Raw::File(line) if line.bytes().trim_ascii().is_empty());
                    if !blank {
                        return Some(raw);
                    }
                    audit.left_out(Source::Clicks, "empty", raw);
                    None
                })
                .try_map_value("click", click)
                .dead_letter(letters)
        })
        .stage(pipeline, "counts", |clicks| {
            clicks.count_by_key(|click: &Delivery<Click>| &click.element).map(
                move |(click, clicks): (Delivery<Click>, u64)| {
                    counts.borrow_mut().note(&click.user, clicks == 1);
                    click.map(|click| Outcome::Click(Clicked { element: click.element, clicks }))
                },
            )
        })
        .boxed()
}

fn click(raw: &Raw<Line, Click>) -> Result<Click, Reason> {
    let click = match raw {
        Raw::File(line) => Click::from_combined_log(line.text()?)?,
        Raw::Generated(click) => click.clone(),
    };
    click.validate()?;
    Ok(click)
}

/// How many users and elements there were.
///
/// Memory: 9 to 18 bytes a user, whose names are kept as 64-bit hashes (of a million users, two are taken for one in
/// one run of 37 million). Made-up clicks are of 1,000,000 users on 10,000 elements.
#[derive(Debug, Default)]
pub(crate) struct Clicks {
    users: HashSet<u64>,
    hasher: RandomState,
    elements: usize,
}

impl Clicks {
    /// With room for so many users.
    pub(crate) fn with_users(users: usize) -> Self {
        Self { users: HashSet::with_capacity(users), ..Self::default() }
    }

    pub(crate) fn users(&self) -> usize {
        self.users.len()
    }

    pub(crate) fn elements(&self) -> usize {
        self.elements
    }

    fn note(&mut self, user: &str, new_element: bool) {
        self.users.insert(self.hasher.hash_one(user));
        self.elements += usize::from(new_element);
    }
}
