//! A join by time: each sample of one recording with one of another that is at most a tolerance apart.
//!
//! ```text
//! cargo run --release --example sensor_fusion -- [left.csv right.csv] [--tolerance 5ms] [--json]
//! ```
//! The files are recordings as the app phyphox exports them, each in order of time: `Time (s)`, and either three axes
//! (`X (m/s^2)` …, `X (rad/s)` …, `X (µT)` …) or a position (`East (m)`, `North (m)`; or latitude and longitude). Which,
//! the header says. Without files, two sensors of 100 Hz are made up, of which the right one misses every 50th sample.
//!
//! The heads of both sides leave as a pair when they are at most `--tolerance` apart, else the older one leaves
//! unmatched. The file that is behind in time is read on, so that next to nothing waits in the join.
//!
//! `{"left": samples, "right": …, "pairs": …, "left_unmatched": …, "right_unmatched": …, "rejected": rows that are no
//! samples}`, and `left = pairs + left_unmatched`, `right = pairs + right_unmatched`.

mod common;

use std::{cell::Cell, error::Error, process::ExitCode, rc::Rc, time::Duration};

use chrono::{DateTime, Utc};
use common::{
    ArgError, Args, Failure, Rejects, Usage,
    columns::with_columns,
    input,
    tally::Counter,
    turns::{Turn, Turns},
};
use rxevents::{
    event::{GeoFix, MotionSample},
    prelude::*,
    source::{CsvFile, CsvRecord, Line, OpenError, SplitMix64},
};
use serde_json::{Value, json};

const USAGE: Usage = Usage {
    text: "\
usage: sensor_fusion [left.csv right.csv] [--tolerance 5ms] [--json]

  --tolerance T  how far apart in time the two of a pair may be, such as 5ms or 0.2s
  --json         print the figures on one line",
    flags: &[],
    options: &["tolerance"],
    files: 2,
};

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

/// What decodes a row: the moment that it is of.
type Decode = fn(&CsvRecord) -> Result<DateTime<Utc>, Reason>;
/// How far a side has come.
type At = Rc<Cell<Option<DateTime<Utc>>>>;

fn job(args: &Args) -> Result<Value, Box<dyn Error>> {
    let tolerance: humantime::Duration = args.get("tolerance", Duration::from_millis(5).into())?;
    if args.file(0).is_some() && args.file(1).is_none() {
        return Err(ArgError("two files are needed, the left and the right one".into()).into());
    }
    let (left_records, left_decode) = open(args, 0)?;
    let (right_records, right_decode) = open(args, 1)?;

    let (rejects, failure) = (Rejects::default(), Failure::default());
    let [lefts, rights, pairs]: [Counter; 3] = Default::default();
    let (left_at, right_at) = (At::default(), At::default());
    let (mut left, mut right) = (Local::subject(), Local::subject());
    let within = Within::new(*tolerance).to_the_end();
    let unmatched = within.unmatched();
    let (found, entered) = (pairs.clone(), (lefts.clone(), rights.clone()));
    samples(left.clone(), left_decode, &rejects, &lefts, &left_at)
        .join_within(
            samples(right.clone(), right_decode, &rejects, &rights, &right_at),
            within,
            |at| *at,
            |at| *at,
        )
        .on_error_route(failure.observer())
        .subscribe(move |_| found.add(1));

    let left_behind = move || left_at.get() <= right_at.get();
    Local::from_iter(Turns { left: Some(left_records), right: Some(right_records), left_behind }).subscribe(
        move |turn| match turn {
            Turn::Left(Some(record)) => left.next(record),
            Turn::Left(None) => left.clone().complete(),
            Turn::Right(Some(record)) => right.next(record),
            Turn::Right(None) => right.clone().complete(),
        },
    );
    failure.check()?;
    Ok(json!({
        "left": entered.0.get(),
        "right": entered.1.get(),
        "pairs": pairs.get(),
        "left_unmatched": unmatched.left(),
        "right_unmatched": unmatched.right(),
        "rejected": rejects.check()?,
    }))
}

/// The moments of the samples of one side.
fn samples(
    records: LocalSubject<Result<CsvRecord, Rejected<Line>>, StreamError>,
    decode: Decode,
    rejects: &Rejects,
    count: &Counter,
    at: &At,
) -> LocalEvents<DateTime<Utc>, StreamError> {
    let (count, at) = (count.clone(), at.clone());
    records
        .dead_letter(rejects.clone())
        .try_map_stage("sample", decode)
        .dead_letter(rejects.clone())
        .tap(move |sample| {
            count.add(1);
            at.set(Some(*sample));
        })
        .boxed()
}

/// The file at this place of the command line, or made-up samples, and what decodes it.
fn open(args: &Args, index: u64) -> Result<(CsvFile<input::Text>, Decode), OpenError> {
    let mut random = SplitMix64::new(index + 1);
    let made_up = (0..10_000).filter(move |i| index == 0 || i % 50 != 0).map(move |i| {
        // Every 10 ms, up to 2 ms late.
        let micros = 10_000 * i + 3_000 * index + input::below(&mut random, 2_000);
        format!("{}.{:06},0.1,-0.2,9.8", micros / 1_000_000, micros % 1_000_000)
    });
    let header = std::iter::once("Time (s),X (m/s^2),Y (m/s^2),Z (m/s^2)".to_owned());
    let records = input::table(args.file(index as usize), header.chain(made_up))?;
    let motion: Decode =
        |record| MotionSample::from_csv(record, DateTime::UNIX_EPOCH).map(|sample| sample.at);
    let fix: Decode = |record| GeoFix::from_csv(record, DateTime::UNIX_EPOCH).map(|fix| fix.at);
    let kinds = [
        ("X (m/s^2)", motion),
        ("X (rad/s)", motion),
        ("X (µT)", motion),
        ("East (m)", fix),
        ("Latitude (°)", fix),
    ];
    let names = records.header().names();
    let kind = kinds.iter().find(|(column, _)| names.iter().any(|name| name == column));
    let (column, decode) = *kind.unwrap_or(&kinds[0]);
    Ok((with_columns(records, &["Time (s)", column])?, decode))
}
