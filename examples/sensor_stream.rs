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

#[path = "common/readings.rs"]
mod readings;

use std::{
    cell::{Cell, RefCell},
    error::Error,
    io::Write,
    rc::Rc,
    time::Duration,
};

use rxevents::{event::SensorReading, prelude::*, source::SensorReadings};
use serde_json::json;
use tokio::{task::LocalSet, time::sleep};

/// How many readings the simulated sensor has.
const SIMULATED: usize = 500;

#[derive(Clone, Default)]
struct Counter(Rc<Cell<u64>>);

impl Counter {
    fn add(&self) {
        self.0.set(self.0.get() + 1);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut file, mut threshold, mut period, mut as_json) = (None, 50.0, None::<u64>, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--threshold" => threshold = readings::value("--threshold", &mut args)?,
            "--period" => period = Some(readings::value("--period", &mut args)?),
            "--json" => as_json = true,
            name if name.starts_with("--") || file.is_some() => {
                return Err(format!("unknown argument `{name}`").into());
            }
            _ => file = Some(arg),
        }
    }
    let period = Duration::from_micros(period.unwrap_or(if file.is_some() { 10 } else { 1_000 }));
    let simulated = file.is_none();
    let sensor = readings::open(file.as_deref(), SensorReadings::new(5).anomalies(0.02), SIMULATED)?;
    let [readings, above, failed, actions] = [(); 4].map(|()| Counter::default());
    let counters = [readings.clone(), above.clone(), failed.clone(), actions.clone()];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    LocalSet::new().block_on(&runtime, watch(sensor, simulated, period, threshold, counters))?;

    let figures = json!({
        "readings": readings.0.get(),
        "above": above.0.get(),
        "failed": failed.0.get(),
        "actions": actions.0.get(),
    });
    let mut out = std::io::stdout().lock();
    if as_json {
        writeln!(out, "{figures}")?
    } else {
        writeln!(out, "{figures:#}")?
    }
    Ok(())
}

/// Reads the sensor until it has no more.
async fn watch(
    sensor: readings::Readings,
    simulated: bool,
    period: Duration,
    threshold: f64,
    [readings, above, failed, actions]: [Counter; 4],
) -> Result<(), StreamError> {
    let (sensor, mut reads) = (Rc::new(RefCell::new(sensor)), 0_u64);
    let read = move || {
        reads += 1;
        let (sensor, number) = (sensor.clone(), reads);
        async move {
            if simulated {
                sleep(Duration::from_millis(1)).await; // others run meanwhile
            }
            let taken = sensor.borrow_mut().next()?;
            Some(taken.and_then(|reading| match number {
                n if simulated && n % 50 == 0 => Err(format!("read {n}: no answer")),
                _ => Ok(reading),
            }))
        }
    };
    let (done, wait) = futures::channel::oneshot::channel();
    let failure = Rc::new(Cell::new(None));
    let error = failure.clone();
    // A late tick is made up for, so that a replay is as fast as its period says, whatever the timer's grain.
    Local::poll_every_with(period, MissedTicks::Burst, read)
        .stream_error()
        .take_while(Option::is_some)
        .filter_map(|taken| {
            Some(taken?.map_err(|message| Rejected::new("sensor", "read", Reason::other(message))))
        })
        .route_failures(observer(move |rejected: Rejected<&'static str>| {
            failed.add();
            eprintln!("sensor_stream: {rejected}");
        }))
        .tap(move |_| readings.add())
        .scan((false, None), move |(was_above, _), reading: SensorReading| {
            let is_above = reading.value > threshold;
            (is_above, (is_above && !was_above).then_some(reading))
        })
        .tap(move |(is_above, _)| {
            if *is_above {
                above.add()
            }
        })
        .filter_map(|(_, rose)| rose)
        .on_error_route(observer(move |failed: StreamError| error.set(Some(failed))))
        .finalize(move || done.send(()).unwrap_or_default())
        .subscribe(move |reading| {
            actions.add();
            eprintln!("sensor_stream: {} at {}: {} > {threshold}", reading.sensor, reading.at, reading.value);
        });
    let _ = wait.await; // gone is over, too
    failure.take().map_or(Ok(()), Err)
}
