//! A pipeline across threads that runs for long, and whose memory must stay flat.
//!
//! ```text
//! cargo run --release --example soak -- [--seconds 600] [--json]
//! ```
//! Numbers are delivered on one thread, go over a ring to a second (`hand_off`), are worked on by a pool
//! (`parallel_map`), some of them retried, put into windows, and written; those that are bad go to a file of dead letters
//! that rotates. Resident memory after a tenth of the time is `rss_start_kb`. It fails if the books do not balance, if
//! anything was lost, or if at the end the process has more than a tenth and 4 MiB beyond that.

mod common;

use std::{
    borrow::Cow,
    convert::Infallible,
    error::Error,
    num::NonZeroUsize,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{Args, Usage};
use rxevents::{
    dead_letter::{Rotation, SyncPolicy},
    delivery::{AckPolicy, MemoryPosition},
    pipeline::{Pipeline, PipelineOps},
    prelude::*,
    source::Replayed,
};
use serde::Serialize;

const USAGE: Usage = Usage {
    text: "\
usage: soak [--seconds 600] [--json]

  --seconds S  for so long
  --json       print the figures on one line",
    flags: &[],
    options: &["seconds"],
    files: 0,
};

/// How much more memory there may be at the end than after a tenth of the time: a tenth, and this.
const ALLOWANCE_KB: u64 = 4 * 1024;
/// How many events may be on their way.
const IN_FLIGHT: usize = 1 << 14;

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

#[derive(Debug, Clone, Copy)]
struct Number(u64);

impl Payload for Number {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.0.to_string().into_bytes().into()
    }
}

#[derive(Serialize)]
struct Figures {
    seconds: f64,
    /// Taken from the source.
    events: u64,
    written: u64,
    dead_lettered: u64,
    /// Those that were busy at each attempt.
    given_up: u64,
    rss_start_kb: u64,
    rss_end_kb: u64,
    rss_max_kb: u64,
    in_flight: u64,
    ledger_balanced: bool,
}

#[derive(Debug, thiserror::Error)]
enum Unsound {
    #[error("{0}")]
    Stream(String),
    #[error("memory is not flat: {start} kB after a tenth of the time, {end} kB at the end")]
    Grows { start: u64, end: u64 },
    #[error("of {events} events {accounted} are accounted for, {in_flight} are in flight")]
    Lost { events: u64, accounted: u64, in_flight: u64 },
}

/// Counts what it is given, and is slow now and then.
struct Slow(Arc<AtomicU64>);

impl EventSink<Vec<u64>> for Slow {
    type Error = Infallible;

    fn write(&mut self, values: &Vec<u64>) -> Result<(), Infallible> {
        let written = self.0.fetch_add(values.len() as u64, Ordering::Relaxed);
        if written % 4096 < values.len() as u64 {
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Resident memory of this process; 0 where the system does not say.
fn rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn job(args: &Args) -> Result<Figures, Box<dyn Error>> {
    let seconds: f64 = args.value("seconds")?.unwrap_or(600.0);
    let time = Duration::try_from_secs_f64(seconds)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let _inside = runtime.enter();
    let folder = tempfile::tempdir()?;
    let letters = JsonlQueue::create(folder.path().join("letters.jsonl"))?
        .sync(SyncPolicy::Never)
        .rotate(Rotation::at_size(1 << 20).keep(3));
    let pipeline = Pipeline::new("soak");
    let policy = AckPolicy::default().max_in_flight(IN_FLIGHT).commit_every(1_000);
    let acks = Acknowledger::with("numbers", MemoryPosition::default(), policy)?;
    pipeline.acknowledges(&acks);
    let numbers = acks.resume(Replayed::new((0..).map(Number)))?.waiting();
    let written = Arc::new(AtomicU64::new(0));
    let failure = Arc::new(std::sync::Mutex::new(None));
    let (told, sink) = (failure.clone(), Slow(written.clone()));
    let source = pipeline.clone();
    let retry =
        EventRetry::new(Retry::times(3).fixed(Duration::from_millis(5))).buffer(Buffer::new(IN_FLIGHT));
    let tries = AtomicU64::new(0);
    let attempt = move |number: &Delivery<u64>| match **number % 64 {
        17 if !tries.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) => Err(Reason::other("busy")),
        _ => Ok(number.derive(**number)),
    };
    let feeding = thread::Builder::new().name("source".into()).spawn({
        let runtime = runtime.handle().clone();
        move || {
            let _inside = runtime.enter();
            let subscription = Shared::from_iter_result(numbers)
                .stoppable(&source, "numbers")
                .stage(&source, "over there", |numbers| {
                    numbers.hand_off(Buffer::new(1024).on_overflow(Overflow::Block))
                })
                .stage(&source, "checked", |numbers| {
                    numbers
                        .parallel_map(NonZeroUsize::new(256).unwrap_or(NonZeroUsize::MIN), |number| {
                            match number.0 % 1_000 {
                                13 => Err(Reason::decode("bad luck")),
                                _ => Ok(number.derive(number.0)),
                            }
                        })
                        .dead_letter(letters)
                })
                .stage(&source, "booked", |numbers| {
                    numbers
                        .try_map_with_retry_with(retry, attempt)
                        .map(Result::ok)
                        .filter_map(|number| number)
                })
                .stage(&source, "windows", |numbers| {
                    let span = Duration::from_millis(20);
                    numbers.buffer_time_max(span, 100, WhenFull::Restart).map(Delivery::gather)
                })
                // One window is flushed as it comes: were several waited for, all that may be in flight could end up there.
                .write_to_every(1, sink)
                .on_error_route(observer(move |error: StreamError| {
                    *told.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error.to_string());
                }))
                .subscribe(drop);
            source.keep(Shared::new(()), subscription);
        }
    })?;
    let begun = Instant::now();
    let (mut start, mut most) = (0, 0);
    while begun.elapsed() < time {
        let left = time.saturating_sub(begun.elapsed());
        thread::sleep(left.min(Duration::from_millis(100)));
        let now = rss_kb();
        most = most.max(now);
        if start == 0 && begun.elapsed() >= time / 10 {
            start = now;
        }
        if failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some() {
            break;
        }
    }
    let end = rss_kb();
    let drained = pipeline
        .shutdown(Duration::from_secs(10))
        .map_err(|left| Unsound::Stream(format!("{left}\n{}", left.ledger)));
    if let Some(failure) = failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
        return Err(Unsound::Stream(failure).into());
    }
    drained?;
    let _ = feeding.join();
    let counts = acks.counts();
    let accounted = counts.delivered + counts.filtered + counts.dead_lettered;
    if accounted != counts.taken || counts.delivered != written.load(Ordering::Relaxed) {
        return Err(Unsound::Lost { events: counts.taken, accounted, in_flight: counts.in_flight }.into());
    }
    if end > start + start / 10 + ALLOWANCE_KB {
        return Err(Unsound::Grows { start, end }.into());
    }
    Ok(Figures {
        seconds: begun.elapsed().as_secs_f64(),
        events: counts.taken,
        written: counts.delivered,
        dead_lettered: counts.dead_lettered,
        given_up: counts.filtered,
        rss_start_kb: start,
        rss_end_kb: end,
        rss_max_kb: most,
        in_flight: counts.in_flight,
        ledger_balanced: counts.check().is_ok(),
    })
}
