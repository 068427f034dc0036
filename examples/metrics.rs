//! A pipeline that is measured: events, failures and times of its stages, depth and drops of its queue.
//!
//! ```text
//! cargo run --release --example metrics -- [readings.csv] [--capacity 1000] [--json] [--print]
//!                                          [--listen 127.0.0.1:9000 [--for SECONDS]]
//! ```
//! The readings are those of a CSV file with the columns `timestamp` and `value`; without one, they are made up, and some
//! are invalid. One an hour goes on, through a bounded queue, to a store.
//!
//! `--print` prints the metrics as Prometheus reads them, for `promtool check metrics`. `--listen` serves them, for so
//! many seconds or until ctrl-c. `--json` ends the output with the figures as one object.

mod common;

use std::{error::Error, net::SocketAddr, process::ExitCode, thread, time::Duration};

use chrono::TimeDelta;
use common::{ArgError, Args, Failure, Rejects, Usage, input, reading, tally::Counter};
use rxevents::{
    event::SensorReading,
    metrics::prometheus::Metrics,
    prelude::*,
    source::{CsvFile, SensorReadings},
};
use serde_json::json;

const USAGE: Usage = Usage {
    text: "\
usage: metrics [readings.csv] [--capacity 1000] [--print] [--listen 127.0.0.1:9000 [--for SECONDS]] [--json]

  readings.csv    in the columns timestamp and value; without one, readings are made up
  --capacity N    how many readings may wait for the store
  --print         print the metrics as Prometheus reads them
  --listen A      serve them on this address, until ctrl-c
  --for SECONDS   not until ctrl-c, but so long
  --json          print the figures on one line, the last one",
    flags: &["print"],
    options: &["capacity", "listen", "for"],
    files: 1,
};

fn main() -> ExitCode {
    common::run_printing(&USAGE, job)
}

fn job(args: &Args) -> Result<(), Box<dyn Error>> {
    let capacity = args.get("capacity", 1_000)?;
    let (listen, seconds) = (args.value::<SocketAddr>("listen")?, args.value("for")?);
    let made_up = SensorReadings::new(1).invalid(0.01).take(100_000);
    let records = input::readings(args.file(0), made_up)?;
    // Before the pipeline: what is subscribed registers with the recorder that is there.
    let metrics = match listen {
        Some(address) => Metrics::serve(address).map_err(|error| ArgError(format!("--listen: {error}")))?,
        None => Metrics::install()?,
    };
    let inbox = Buffer::new(capacity).on_overflow(Overflow::DropOldest).named("inbox");
    let (rejects, failure, drops) = (Rejects::default(), Failure::default(), inbox.drops());
    let counters: [Counter; 3] = Default::default();
    pipeline(records, inbox, &rejects, &failure, counters.clone())?;
    failure.check()?;

    let [readings, throttled, stored] = counters.map(|counter| counter.get());
    let figures = json!({
        "readings": readings,
        "failed": rejects.check()?,
        "throttled": throttled,
        "dropped": drops.get(),
        "stored": stored,
    });
    let print = args.flag("print");
    if print {
        common::print(metrics.render().trim_end())?;
    }
    if args.json || !print {
        common::print_figures(args, &figures)?;
    }
    if let Some(address) = listen {
        common::say(&format!("metrics: on http://{address}/metrics"));
        match seconds {
            Some(seconds) => thread::sleep(Duration::from_secs(seconds)),
            None => loop {
                thread::park();
            },
        }
    }
    Ok(())
}

/// Stores a reading an hour.
fn pipeline(
    records: CsvFile<input::Text>,
    inbox: Buffer,
    rejects: &Rejects,
    failure: &Failure,
    [readings, throttled, stored]: [Counter; 3],
) -> Result<(), Box<dyn Error>> {
    // The queue is emptied by a task, which wants a runtime.
    common::until_end(|end| {
        Local::from_iter(records)
            .tap(move |_| readings.add(1))
            .measured_results("read")
            .dead_letter(rejects.clone())
            .try_map_stage("reading", reading::from_record)
            .measured_results("decoded") // counts the failures, too
            .dead_letter(rejects.clone())
            .stream_error()
            .throttle_first_by_on_dropped(
                TimeDelta::hours(1),
                |reading: &SensorReading| reading.at,
                move |_| throttled.add(1),
            )
            .measured("hourly")
            .on_backpressure_buffer_with(inbox, |_| {})
            .measured("stored")
            .on_error_route(failure.observer())
            .finalize(move || _ = end.send(()))
            .subscribe(move |_| stored.add(1));
    })
}
