//! Back-pressure: a fast sensor, throttled, and a bounded buffer before a slow consumer. Every reading is accounted for.
//!
//! ```text
//! cargo run --release --example throttled_sensor -- [readings.csv] [--every 60] [--capacity 100]
//!     [--policy drop-oldest|drop-newest|block|error] [--slow 200] [--json]
//! ```
//! The readings are those of a CSV file with the columns `timestamp` and `value`; without one, 100,000 are made up, one a
//! second. At most one goes on every so many seconds, by the readings' own time. The sensor pushes as fast as it can, on
//! one thread; the consumer takes `--slow` microseconds for each, on another. What finds the buffer full is dealt with by
//! the policy: the oldest or the newest is dropped, the sensor waits, or the stream ends with an error.
//!
//! readings = failed + throttled + dropped + delivered + in flight

mod common;

use std::{error::Error, process::ExitCode, str::FromStr, sync::mpsc, thread, time::Duration};

use chrono::TimeDelta;
use common::{Args, Failure, Rejects, Usage, input, reading, shared::SharedCounter};
use rxevents::{event::SensorReading, prelude::*, source::SensorReadings};
use serde_json::{Value, json};
use tokio::runtime::Builder;

const USAGE: Usage = Usage {
    text: "\
usage: throttled_sensor [readings.csv] [--every 60] [--capacity 100] [--policy drop-oldest] [--slow 200] [--json]

  readings.csv  in the columns timestamp and value; without one, readings are made up
  --every S     at most one reading goes on every S seconds, by their own time
  --capacity N  how many readings may wait for the consumer
  --policy P    for what finds the buffer full: drop-oldest, drop-newest, block, or error
  --slow T      microseconds that the consumer takes for a reading
  --json        print the figures on one line",
    flags: &[],
    options: &["every", "capacity", "policy", "slow"],
    files: 1,
};

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

struct Policy(Overflow);

impl FromStr for Policy {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "drop-oldest" => Ok(Self(Overflow::DropOldest)),
            "drop-newest" => Ok(Self(Overflow::DropNewest)),
            "block" => Ok(Self(Overflow::Block)),
            "error" => Ok(Self(Overflow::Error)),
            _ => Err("there is no such policy"),
        }
    }
}

fn job(args: &Args) -> Result<Value, Box<dyn Error>> {
    let every = TimeDelta::seconds(args.get("every", 60_u32)?.into());
    let slow = Duration::from_micros(args.get("slow", 200)?);
    let Policy(policy) = args.get("policy", Policy(Overflow::DropOldest))?;
    let buffer = Buffer::new(args.get("capacity", 100)?).on_overflow(policy);
    let made_up = SensorReadings::new(3).step(TimeDelta::seconds(1)).take(100_000);
    let records = input::readings(args.file(0), made_up)?;

    let (rejects, failure) = (Rejects::default(), Failure::default());
    let counters: [SharedCounter; 5] = Default::default();
    let [taken, left_out, entering, lost, arrived] = counters.clone();
    let (end, ended) = mpsc::channel();
    // The sensor has this thread, the consumer one of the runtime's.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
    let entered = runtime.enter();
    Shared::from_iter(records)
        .tap(move |_| taken.add(1))
        .dead_letter(rejects.clone())
        .try_map_stage("reading", reading::from_record)
        .dead_letter(rejects.clone())
        .stream_error()
        .throttle_first_by_on_dropped(every, |reading: &SensorReading| reading.at, move |_| left_out.add(1))
        .tap(move |_| entering.add(1))
        .on_backpressure_buffer_with(buffer, move |_| lost.add(1))
        .on_error_route(failure.observer())
        .finalize(move || _ = end.send(()))
        .subscribe(move |_| {
            thread::sleep(slow);
            arrived.add(1);
        });
    ended.recv()?;
    drop(entered);
    drop(runtime); // what still runs ends before the figures are read
    // A full buffer is what `--policy error` is there to show; another error fails the job.
    let full = match failure.check() {
        Err(StreamError::Overflow(full)) => Some(full.to_string()),
        other => other.map(|()| None)?,
    };

    let [readings, throttled, passed, dropped, delivered] = counters.map(|counter| counter.get());
    Ok(json!({
        "readings": readings,
        "failed": rejects.check()?,
        "throttled": throttled,
        "dropped": dropped,
        "delivered": delivered,
        "in_flight": passed.saturating_sub(dropped + delivered),
        "error": full,
    }))
}
