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

#[path = "common/readings.rs"]
mod readings;

use std::{
    error::Error,
    io::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use chrono::TimeDelta;
use rxevents::{event::SensorReading, prelude::*, source::SensorReadings};
use serde_json::json;

#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

impl Counter {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut file, mut every, mut capacity, mut slow, mut as_json) =
        (None, 60_u32, 100_usize, 200_u64, false);
    let mut policy = Overflow::DropOldest;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--every" => every = readings::value("--every", &mut args)?,
            "--capacity" => capacity = readings::value("--capacity", &mut args)?,
            "--slow" => slow = readings::value("--slow", &mut args)?,
            "--policy" => {
                policy = match readings::value::<String>("--policy", &mut args)?.as_str() {
                    "drop-oldest" => Overflow::DropOldest,
                    "drop-newest" => Overflow::DropNewest,
                    "block" => Overflow::Block,
                    "error" => Overflow::Error,
                    name => return Err(format!("--policy `{name}`: there is no such policy").into()),
                }
            }
            "--json" => as_json = true,
            name if name.starts_with("--") || file.is_some() => {
                return Err(format!("unknown argument `{name}`").into());
            }
            _ => file = Some(arg),
        }
    }
    let generated = SensorReadings::new(3).step(TimeDelta::seconds(1));
    let taken = readings::open(file.as_deref(), generated, 100_000)?;
    let [readings, failed, throttled, passed, dropped, delivered] = [(); 6].map(|()| Counter::default());
    let failure = Arc::new(Mutex::new(None));

    let (count, bad, left_out, entering) =
        (readings.clone(), failed.clone(), throttled.clone(), passed.clone());
    let (lost, arrived, error) = (dropped.clone(), delivered.clone(), failure.clone());
    let (done, wait) = mpsc::channel();
    // The sensor has this thread, the consumer one of the runtime's.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
    let entered = runtime.enter();
    Shared::from_iter(taken)
        .stream_error()
        .filter_map(move |taken| {
            count.add();
            taken
                .map_err(|message| {
                    bad.add();
                    eprintln!("throttled_sensor: {message}");
                })
                .ok()
        })
        .throttle_first_by_on_dropped(
            TimeDelta::seconds(every.into()),
            |reading: &SensorReading| reading.at,
            move |_| left_out.add(),
        )
        .tap(move |_| entering.add())
        .on_backpressure_buffer_with(Buffer::new(capacity).on_overflow(policy), move |_| lost.add())
        .on_error_route(observer(move |failed: StreamError| {
            *error.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed);
        }))
        .finalize(move || done.send(()).unwrap_or_default())
        .subscribe(move |_| {
            thread::sleep(Duration::from_micros(slow));
            arrived.add();
        });
    wait.recv()?;
    drop(entered);
    drop(runtime); // what still runs ends before the figures are read

    let figures = json!({
        "readings": readings.get(),
        "failed": failed.get(),
        "throttled": throttled.get(),
        "dropped": dropped.get(),
        "delivered": delivered.get(),
        "in_flight": passed.get().saturating_sub(dropped.get() + delivered.get()),
        "error": failure.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(ToString::to_string),
    });
    let mut out = std::io::stdout().lock();
    if as_json {
        writeln!(out, "{figures}")?
    } else {
        writeln!(out, "{figures:#}")?
    }
    Ok(())
}
