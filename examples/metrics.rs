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

#[path = "common/readings.rs"]
mod readings;

use std::{cell::Cell, error::Error, io::Write, net::SocketAddr, rc::Rc, time::Duration};

use chrono::TimeDelta;
use rxevents::{event::SensorReading, metrics::prometheus::Metrics, prelude::*, source::SensorReadings};
use serde_json::json;
use tokio::task::LocalSet;

#[derive(Clone, Default)]
struct Counter(Rc<Cell<u64>>);

impl Counter {
    fn add(&self, n: u64) {
        self.0.set(self.0.get() + n);
    }
}

#[derive(Clone, Default)]
struct Account {
    readings: Counter,
    failed: Counter,
    throttled: Counter,
    stored: Counter,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut file, mut capacity, mut as_json, mut print) = (None, 1_000, false, false);
    let (mut listen, mut seconds) = (None::<SocketAddr>, None::<u64>);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--capacity" => capacity = readings::value("--capacity", &mut args)?,
            "--listen" => listen = Some(readings::value("--listen", &mut args)?),
            "--for" => seconds = Some(readings::value("--for", &mut args)?),
            "--json" => as_json = true,
            "--print" => print = true,
            name if name.starts_with("--") || file.is_some() => {
                return Err(format!("unknown argument `{name}`").into());
            }
            _ => file = Some(arg),
        }
    }
    // Before the pipeline: what is subscribed registers with the recorder that is there.
    let metrics = match listen {
        Some(address) => Metrics::serve(address)?,
        None => Metrics::install()?,
    };
    let readings = readings::open(file.as_deref(), SensorReadings::new(1).invalid(0.01), 100_000)?;
    let inbox = Buffer::new(capacity).on_overflow(Overflow::DropOldest).named("inbox");
    let (account, drops) = (Account::default(), inbox.drops());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    LocalSet::new().block_on(&runtime, pipeline(readings, inbox, account.clone()))?;

    let mut out = std::io::stdout().lock();
    if print {
        write!(out, "{}", metrics.render())?;
    }
    let figures = json!({
        "readings": account.readings.0.get(),
        "failed": account.failed.0.get(),
        "throttled": account.throttled.0.get(),
        "dropped": drops.get(),
        "stored": account.stored.0.get(),
    });
    if as_json {
        writeln!(out, "{figures}")?;
    } else if !print {
        writeln!(out, "{figures:#}")?;
    }
    out.flush()?;
    if let Some(address) = listen {
        eprintln!("metrics: on http://{address}/metrics");
        match seconds {
            Some(seconds) => std::thread::sleep(Duration::from_secs(seconds)),
            None => loop {
                std::thread::park();
            },
        }
    }
    Ok(())
}

async fn pipeline(taken: readings::Readings, inbox: Buffer, account: Account) -> Result<(), StreamError> {
    let (done, wait) = futures::channel::oneshot::channel();
    let failure = Rc::new(Cell::new(None));
    let Account { readings, failed, throttled, stored } = account;
    let error = failure.clone();
    Local::from_iter(taken)
        .stream_error()
        .tap(move |_| readings.add(1))
        .measured_results("decoded")
        .filter_map(move |taken| {
            let good = taken.map_err(|message| eprintln!("metrics: {message}"));
            failed.add(u64::from(good.is_err()));
            good.ok()
        })
        .throttle_first_by_on_dropped(
            TimeDelta::hours(1),
            |reading: &SensorReading| reading.at,
            move |_| throttled.add(1),
        )
        .measured("hourly")
        .on_backpressure_buffer_with(inbox, |_| {})
        .measured("stored")
        .on_error_route(observer(move |failed: StreamError| error.set(Some(failed))))
        .finalize(move || done.send(()).unwrap_or_default())
        .subscribe(move |_| stored.add(1));
    // An error means that the pipeline is gone, which is an end, too.
    let _ = wait.await;
    failure.take().map_or(Ok(()), Err)
}
