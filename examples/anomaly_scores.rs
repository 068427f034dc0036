//! Anomaly detectors, measured on labelled readings.
//!
//! ```text
//! cargo run --release --example anomaly_scores -- [readings.csv windows.json] [--json]
//! ```
//! The readings have columns `timestamp` and `value`; the windows are `[[start, end], …]`, as the Numenta Anomaly Benchmark has
//! them. Without files, 20,000 readings are made up, with a failure in each of three labelled windows.
//!
//! Four detectors judge each reading by those before it: `ratio` (1.2 times the mean of the 12 before), `zscore` (3 deviations from
//! the mean of the 288 before, a day), `ewma` (4 deviations, each reading weighing 1 %), `mad` (5 median deviations from the
//! median of the 2,016 before, a week).
//!
//! `{"readings": …, detector: {"flagged": readings, "hits": of these within a window, "windows_hit": windows with a hit,
//! "windows": …, "precision": hits / flagged, "recall": windows_hit / windows}, …, "rejected": rows that are no readings}`

mod common;

use std::{cell::RefCell, error::Error, fs, process::ExitCode, rc::Rc};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use common::{ArgError, Args, Failure, Rejects, Usage, input, reading};
use rxevents::{
    event::SensorReading,
    operator::window::{Detector, Ewma, MedianDeviation, Ratio, Scored, ZScore},
    prelude::*,
    source::{OpenError, SplitMix64},
};
use serde_json::{Value, json};

const USAGE: Usage = Usage {
    text: "\
usage: anomaly_scores [readings.csv windows.json] [--json]

  --json  print the figures on one line",
    flags: &[],
    options: &[],
    files: 2,
};

type Windows = Vec<(DateTime<Utc>, DateTime<Utc>)>;
type Readings = LocalSubject<SensorReading, StreamError>;

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

fn job(args: &Args) -> Result<Value, Box<dyn Error>> {
    let windows = match (args.file(0), args.file(1)) {
        (Some(_), None) => return Err(ArgError("two files are needed: readings and windows".into()).into()),
        (_, Some(path)) => labelled(path)?,
        _ => (1..=3).map(|n| (moment(n * 5_000 - 50), moment(n * 5_000 + 250))).collect(),
    };
    let readings = input::readings(args.file(0), made_up())?;
    let (rejects, failure) = (Rejects::default(), Failure::default());
    let judged: Readings = Local::subject();
    let windows = Rc::new(windows);
    let detectors = [
        ("ratio", score(&judged, &windows, Ratio::new(12, 1.2))),
        ("zscore", score(&judged, &windows, ZScore::new(288, 3.0))),
        ("ewma", score(&judged, &windows, Ewma::new(0.01, 4.0))),
        ("mad", score(&judged, &windows, MedianDeviation::new(2_016, 5.0))),
    ];
    let count = Rc::new(RefCell::new(0_u64));
    let (read, mut all) = (count.clone(), judged.clone());
    Local::from_iter(readings)
        .dead_letter(rejects.clone())
        .try_map_stage("reading", reading::from_record)
        .dead_letter(rejects.clone())
        .stream_error()
        .on_error_route(failure.observer())
        .subscribe(move |reading| {
            *read.borrow_mut() += 1;
            all.next(reading);
        });
    judged.complete();
    failure.check()?;
    let mut figures = json!({"readings": *count.borrow(), "rejected": rejects.check()?});
    for (name, scores) in detectors {
        figures[name] = scores.borrow().figures();
    }
    Ok(figures)
}

/// What a detector has found.
struct Found {
    flagged: u64,
    hits: u64,
    /// For each window, whether there was a hit.
    windows: Vec<bool>,
}

impl Found {
    fn figures(&self) -> Value {
        let hit = self.windows.iter().filter(|hit| **hit).count();
        let share = |part: u64, of: u64| if of == 0 { None } else { Some(part as f64 / of as f64) };
        json!({
            "flagged": self.flagged, "hits": self.hits, "windows_hit": hit, "windows": self.windows.len(),
            "precision": share(self.hits, self.flagged), "recall": share(hit as u64, self.windows.len() as u64),
        })
    }
}

fn score(
    readings: &Readings,
    windows: &Rc<Windows>,
    detector: impl Detector + 'static,
) -> Rc<RefCell<Found>> {
    let found = Rc::new(RefCell::new(Found { flagged: 0, hits: 0, windows: vec![false; windows.len()] }));
    let (log, windows) = (found.clone(), windows.clone());
    readings
        .clone()
        .flag_anomalies(detector, |reading: &SensorReading| reading.value)
        .filter(|scored| scored.flagged)
        .on_error_route(observer(|error: StreamError| common::say(&error.to_string())))
        .subscribe(move |Scored { item: SensorReading { at, .. }, .. }| {
            let mut found = log.borrow_mut();
            found.flagged += 1;
            let within: Vec<_> = windows.iter().map(|(start, end)| (*start..=*end).contains(&at)).collect();
            found.hits += u64::from(within.contains(&true));
            found.windows.iter_mut().zip(within).for_each(|(hit, within)| *hit |= within);
        });
    found
}

fn labelled(path: &std::path::Path) -> Result<Windows, Box<dyn Error>> {
    let name = path.display().to_string();
    let text = fs::read(path).map_err(|source| OpenError { name: name.as_str().into(), source })?;
    let windows: Vec<(String, String)> =
        serde_json::from_slice(&text).map_err(|error| format!("{name}: {error}"))?;
    let time = |text: &str| match NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f") {
        Ok(time) => Ok(time.and_utc()),
        Err(error) => Err(format!("{name}: `{text}`: {error}")),
    };
    Ok(windows.iter().map(|(start, end)| Ok((time(start)?, time(end)?))).collect::<Result<_, String>>()?)
}

fn moment(n: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(5 * n)
}

/// Warm and noisy, and three times on the way to a failure.
fn made_up() -> impl Iterator<Item = SensorReading> + Send {
    let mut random = SplitMix64::new(1);
    (0..20_000_i64).map(move |n| {
        let noise = input::below(&mut random, 1_000) as f64 / 250.0;
        let failure = if n > 200 && n % 5_000 < 200 { 1.5 } else { 1.0 };
        let (sensor, at) = ("made up".into(), moment(n));
        SensorReading { sensor, at, value: (80.0 + noise) * failure }
    })
}
