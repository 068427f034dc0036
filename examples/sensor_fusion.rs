//! A join by time: each sample of one recording with one of another that is at most a tolerance apart.
//!
//! ```text
//! cargo run --release --example sensor_fusion -- [left.csv right.csv] [--tolerance 5ms] [--match M] [--kind K] [--json]
//! ```
//! The files are recordings as the app phyphox exports them, each in order of time: `Time (s)`, and either three axes
//! (`X (m/s^2)` …, `X (rad/s)` …, `X (µT)` …) or a position (`East (m)`, `North (m)`; or latitude and longitude). Which,
//! the header says. Without files, two sensors of 100 Hz are made up, of which the right one misses every 50th sample.
//!
//! By `one_to_one` the heads of both sides leave as a pair when they are at most `--tolerance` apart, else the older one
//! leaves unmatched; by the others a left sample is matched with all right ones, or the nearest, the latest before it or the
//! earliest after it. The file that is behind in time is read on, so that next to nothing waits in the join.
//!
//! `{"left": samples, "right": …, "pairs": …, "left_unmatched": …, "right_unmatched": …, "rows": pairs, and what comes out
//! alone by --kind, "rejected": rows that are no samples}`. By `one_to_one`, `left = pairs + left_unmatched`, `right = pairs +
//! right_unmatched`.

mod common;

use std::{cell::Cell, error::Error, process::ExitCode, rc::Rc, time::Duration};

use chrono::{DateTime, Utc};
use common::{
    ArgError, Args, Failure, Rejects, Usage, recorded,
    tally::Counter,
    turns::{Turn, Turns},
};
use rxevents::{
    operator::join::{Kind, WhyLeftOver},
    prelude::*,
    source::{CsvRecord, Line},
};
use serde_json::{Value, json};

const USAGE: Usage = Usage {
    text: "\
usage: sensor_fusion [left.csv right.csv] [--tolerance 5ms] [--match one_to_one] [--kind inner] [--json]

  --tolerance T  how far apart in time the two of a pair may be, such as 5ms or 0.2s
  --match M      one_to_one, all, nearest, latest_before or earliest_after
  --kind K       inner, left, right or outer: which samples come out alone when they have no partner
  --json         print the figures on one line",
    flags: &[],
    options: &["tolerance", "match", "kind"],
    files: 2,
};

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

/// How far a side has come.
type At = Rc<Cell<Option<DateTime<Utc>>>>;

fn job(args: &Args) -> Result<Value, Box<dyn Error>> {
    let tolerance: humantime::Duration = args.get("tolerance", Duration::from_millis(5).into())?;
    if args.file(0).is_some() && args.file(1).is_none() {
        return Err(ArgError("two files are needed, the left and the right one".into()).into());
    }
    let (left_records, left_decode) = recorded::open(args, 0)?;
    let (right_records, right_decode) = recorded::open(args, 1)?;

    let (rejects, failure) = (Rejects::default(), Failure::default());
    let [lefts, rights, rows]: [Counter; 3] = Default::default();
    let (left_at, right_at) = (At::default(), At::default());
    let (mut left, mut right) = (Local::subject(), Local::subject());
    let spec = EventJoin::new(|at: &DateTime<Utc>| *at, |at: &DateTime<Utc>| *at)
        .within(*tolerance)
        .matching(args.one_of("match", &MATCHES)?)
        .kind(args.one_of("kind", &KINDS)?)
        .to_the_end();
    let (counts, found) = (spec.counts(), rows.clone());
    samples(left.clone(), left_decode, &rejects, &lefts, &left_at)
        .join_events(samples(right.clone(), right_decode, &rejects, &rights, &right_at), spec)
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
        "left": lefts.get(),
        "right": rights.get(),
        "pairs": counts.matches(),
        "left_unmatched": counts.left(WhyLeftOver::Unmatched),
        "right_unmatched": counts.right(WhyLeftOver::Unmatched),
        "rows": rows.get(),
        "rejected": rejects.check()?,
    }))
}

const MATCHES: [(&str, Match); 5] = [
    ("one_to_one", Match::OneToOne),
    ("all", Match::All),
    ("nearest", Match::Nearest),
    ("latest_before", Match::LatestBefore),
    ("earliest_after", Match::EarliestAfter),
];
const KINDS: [(&str, Kind); 4] =
    [("inner", Kind::Inner), ("left", Kind::Left), ("right", Kind::Right), ("outer", Kind::Outer)];

/// The moments of the samples of one side.
fn samples(
    records: LocalSubject<Result<CsvRecord, Rejected<Line>>, StreamError>,
    decode: recorded::Decode,
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
