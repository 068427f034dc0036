//! An asynchronous source: a sensor that is polled, without blocking, and an action when its value rises above a threshold.
//!
//! ```text
//! cargo run --release --example sensor_stream -- [readings.csv] [--threshold 50] [--period MICROSECONDS] [--json]
//! ```
//! Without a file, the sensor is simulated: it takes a millisecond to answer, and does not answer every fiftieth time.
//! That is the failure of one read; the stream goes on. A CSV file with the columns `timestamp` and `value` is replayed,
//! one reading a period; a record that is no reading is a failed read, too. The threshold counts as not above.
//!
//! readings = the reads that succeeded; failed = the others; actions = how often it rose above the threshold.

mod common;

use std::{cell::RefCell, error::Error, process::ExitCode, rc::Rc, time::Duration};

use common::{ArgError, Args, Failure, Rejects, Usage, input, reading, say, tally::Counter};
use rxevents::{
    event::SensorReading,
    prelude::*,
    source::{CsvFile, CsvRecord, Line, SensorReadings},
};
use serde_json::{Value, json};
use tokio::time::sleep;

const USAGE: Usage = Usage {
    text: "\
usage: sensor_stream [readings.csv] [--threshold 50] [--period MICROSECONDS] [--json]

  readings.csv   in the columns timestamp and value; without one, a sensor is simulated
  --threshold X  an action when the value rises above X
  --period T     from one read to the next, in microseconds: 10 of a file, 1000 of the simulated sensor
  --json         print the figures on one line",
    flags: &[],
    options: &["threshold", "period"],
    files: 1,
};

/// How many readings the simulated sensor has.
const SIMULATED: usize = 500;

/// What a read has found: nothing when there is no more.
type Read = Option<Result<CsvRecord, Rejected<Line>>>;

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

fn job(args: &Args) -> Result<Value, Box<dyn Error>> {
    let simulated = args.file(0).is_none();
    let threshold: f64 = args.get("threshold", 50.0)?;
    let period = Duration::from_micros(args.get("period", if simulated { 1_000 } else { 10 })?);
    if threshold.is_nan() {
        return Err(ArgError(format!("--threshold `{threshold}`: must be a number")).into());
    }
    let made_up = SensorReadings::new(5).anomalies(0.02).take(SIMULATED);
    let records = Rc::new(RefCell::new(input::readings(args.file(0), made_up)?));
    let mut reads = 0;
    let read = move || {
        reads += 1;
        read(records.clone(), simulated, reads)
    };

    let (rejects, failure) = (Rejects::default(), Failure::default());
    let [readings, above, actions]: [Counter; 3] = Default::default();
    let (count, high, acted) = (readings.clone(), above.clone(), actions.clone());
    common::until_end(|end| {
        // A late tick is made up for, so that a replay is as fast as its period says, whatever the timer's grain.
        Local::poll_every_with(period, MissedTicks::Burst, read)
            .take_while(Option::is_some)
            .filter_map(|read: Read| read)
            .dead_letter(rejects.clone())
            .try_map_stage("reading", reading::from_record)
            .dead_letter(rejects.clone())
            .stream_error()
            .tap(move |_| count.add(1))
            .scan((false, None), move |(was_above, _), reading: SensorReading| {
                let is_above = reading.value > threshold;
                (is_above, (is_above && !was_above).then_some(reading))
            })
            .tap(move |(is_above, _)| high.add(u64::from(*is_above)))
            .filter_map(|(_, rose)| rose)
            .on_error_route(failure.observer())
            .finalize(move || _ = end.send(()))
            .subscribe(move |SensorReading { sensor, at, value }| {
                acted.add(1);
                say(&format!("{sensor} at {at}: {value} > {threshold}"));
            });
    })?;
    failure.check()?;
    Ok(json!({
        "readings": readings.get(),
        "above": above.get(),
        "failed": rejects.check()?,
        "actions": actions.get(),
    }))
}

/// A read of the sensor. The simulated one takes its time, and does not answer every fiftieth time.
async fn read(records: Rc<RefCell<CsvFile<input::Text>>>, simulated: bool, number: u64) -> Read {
    if simulated {
        sleep(Duration::from_millis(1)).await; // others run meanwhile
    }
    let read = records.borrow_mut().next()?;
    if simulated && number.is_multiple_of(50) {
        let what = Line::new(Vec::new(), number, "simulated");
        return Some(Err(Rejected::new(what, "read", Reason::other("no answer"))));
    }
    Some(read)
}
