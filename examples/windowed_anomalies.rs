//! Windows over sensor readings: partitions with outliers flagged, a moving average, and a throttle, all of one pass.
//!
//! ```text
//! cargo run --release --example windowed_anomalies -- [readings.csv] [--partition 5] [--ratio 1.5] [--slide 12]
//!     [--throttle 1h] [--json]
//! ```
//! The file has the columns `timestamp` (RFC 3339, or without a zone: UTC) and `value`; there may be more. Without one,
//! 100,000 readings are made up, 0.1 % of them anomalies. Rows that are no readings go to stderr and are counted.
//!
//! | figure | what |
//! |---|---|
//! | `readings` | rows that are readings; `rejected`: the others |
//! | `partitions` | full partitions of `--partition` readings, in file order; `left_over`: readings after the last of them |
//! | `flagged` | partitions with a value above `--ratio` times their mean |
//! | `first_flagged` | the time of the first reading of the first of these, or null |
//! | `means`, `mean_max`, `mean_min` | means of the latest `--slide` readings, from the first full window on |
//! | `throttled` | readings that pass the throttle: the first, and each at least `--throttle` after the last that passed |

mod common;

use std::{cell::RefCell, error::Error, num::NonZeroUsize, process::ExitCode, rc::Rc, time::Duration};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use common::{ArgError, Args, Failure, Rejects, Usage, input, reading, tally::Counter};
use rxevents::{event::SensorReading, prelude::*, source::SensorReadings};
use serde_json::{Value, json};

const USAGE: Usage = Usage {
    text: "\
usage: windowed_anomalies [readings.csv] [--partition 5] [--ratio 1.5] [--slide 12] [--throttle 1h] [--json]

  readings.csv    in the columns timestamp and value; without one, readings are made up
  --partition N   how many readings are judged together
  --ratio X       a value above X times the mean of its partition is an outlier
  --slide N       how many readings the moving average is of
  --throttle T    the least time between two readings that pass, such as 90s or 1h
  --json          print the figures on one line",
    flags: &[],
    options: &["partition", "ratio", "slide", "throttle"],
    files: 1,
};

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

/// What the partitions have shown.
#[derive(Default)]
struct Partitions {
    full: u64,
    left_over: usize,
    flagged: u64,
    first_flagged: Option<DateTime<Utc>>,
}

/// What the moving average has shown.
#[derive(Default)]
struct Means {
    count: u64,
    max: Option<f64>,
    min: Option<f64>,
}

fn job(args: &Args) -> Result<Value, Box<dyn Error>> {
    let partition = args.get("partition", NonZeroUsize::MIN.saturating_add(4))?.get();
    let ratio: f64 = args.get("ratio", 1.5)?;
    let slide = args.get("slide", NonZeroUsize::MIN.saturating_add(11))?.get();
    let throttle: humantime::Duration = args.get("throttle", Duration::from_secs(3600).into())?;
    let window = TimeDelta::from_std(*throttle)
        .map_err(|error| ArgError(format!("--throttle `{throttle}`: {error}")))?;
    if !(ratio.is_finite() && ratio > 0.0) {
        return Err(ArgError(format!("--ratio `{ratio}`: must be finite and above 0")).into());
    }
    let made_up = SensorReadings::new(1).anomalies(0.001).take(100_000);
    let records = input::readings(args.file(0), made_up)?;

    let (rejects, failure) = (Rejects::default(), Failure::default());
    let (readings, throttled) = (Counter::default(), Counter::default());
    let partitions = Rc::new(RefCell::new(Partitions::default()));
    let means = Rc::new(RefCell::new(Means::default()));

    // Whoever subscribes to the subject sees each reading: the file is read once.
    let shared: LocalSubject<SensorReading, StreamError> = Local::subject();
    let seen = partitions.clone();
    shared
        .clone()
        .buffer_count(partition)
        .flag_outliers_by(ratio, |reading| reading.value)
        .on_error_route(failure.observer())
        .subscribe(move |judged| {
            let mut seen = seen.borrow_mut();
            if judged.partition.len() < partition {
                // What is left at the end is too little to judge by.
                seen.left_over = judged.partition.len();
                return;
            }
            seen.full += 1;
            if judged.flagged {
                seen.flagged += 1;
                seen.first_flagged =
                    seen.first_flagged.or(judged.partition.first().map(|reading| reading.at));
            }
        });
    let seen = means.clone();
    shared
        .clone()
        .moving_average_by(slide, |reading| reading.value)
        .on_error_route(failure.observer())
        .subscribe(move |mean| {
            let Means { count, max, min } = &mut *seen.borrow_mut();
            *count += 1;
            *max = Some(max.map_or(mean, |max| max.max(mean)));
            *min = Some(min.map_or(mean, |min| min.min(mean)));
        });
    let passed = throttled.clone();
    shared
        .clone()
        .throttle_first_by(window, |reading: &SensorReading| reading.at)
        .on_error_route(failure.observer())
        .subscribe(move |_| passed.add(1));

    let taken = readings.clone();
    Local::from_iter(records)
        .dead_letter(rejects.clone())
        .try_map_stage("reading", reading::from_record)
        .dead_letter(rejects.clone())
        .tap(move |_| taken.add(1))
        .stream_error()
        .subscribe_with(shared);
    failure.check()?;

    let (partitions, means) = (partitions.borrow(), means.borrow());
    Ok(json!({
        "readings": readings.get(),
        "partitions": partitions.full,
        "flagged": partitions.flagged,
        "first_flagged": partitions.first_flagged.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        "means": means.count,
        "mean_max": means.max,
        "mean_min": means.min,
        "throttled": throttled.get(),
        "left_over": partitions.left_over,
        "rejected": rejects.check()?,
    }))
}
