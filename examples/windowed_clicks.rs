//! Event-time windows: clicks of each minute of a site, by the times of the requests, though lines are out of order.
//!
//! ```text
//! cargo run --release --example windowed_clicks -- [access.log] [--window 1m] [--disorder 1m] [--lateness 0s] [--json]
//! ```
//! The log is a web server's in Apache's combined format, whose lines are written when a request ends; without one,
//! 100,000 clicks are made up, 1 % of them late by more than the disorder, 1 % of the lines broken. Lines that are no
//! clicks go to stderr; empty ones are filtered.
//!
//! `{"events": clicks, "counted": clicks in windows, "late": clicks in none, as they came too late, "windows": …,
//! "largest_window": {"start", "count"}, the earliest of those, or null}`

mod common;

use std::{cell::RefCell, collections::BTreeMap, error::Error, process::ExitCode, rc::Rc, time::Duration};

use chrono::{DateTime, SecondsFormat};
use common::{Args, Failure, Rejects, Usage, input, say, tally::Counter};
use rxevents::{
    event::Click,
    event_time::EventTime,
    operator::event_window::{EventWindows, Late, aggregate::count},
    prelude::*,
    source::{ClickLines, Line},
};
use serde_json::{Value, json};

const USAGE: Usage = Usage {
    text: "\
usage: windowed_clicks [access.log] [--window 1m] [--disorder 1m] [--lateness 0s] [--json]

  access.log     a web server's log in Apache's combined format; without one, clicks are made up
  --window T     how long the windows are, such as 90s or 1h
  --disorder T   how much older than the newest a click may be that is waited for
  --lateness T   how long a window is kept when it has closed
  --json         print the figures on one line",
    flags: &[],
    options: &["window", "disorder", "lateness"],
    files: 1,
};

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

fn job(args: &Args) -> Result<Value, Box<dyn Error>> {
    let minute = humantime::Duration::from(Duration::from_secs(60));
    let window: humantime::Duration = args.get("window", minute)?;
    let disorder: humantime::Duration = args.get("disorder", minute)?;
    let lateness: humantime::Duration = args.get("lateness", Duration::ZERO.into())?;
    let lines = input::text(args.file(0), ClickLines::new(1).malformed(0.01).late(0.01).take(100_000))?;

    let (events, rejects, failure) = (Counter::default(), Rejects::default(), Failure::default());
    // What was emitted last of a window counts.
    let windows = Rc::new(RefCell::new(BTreeMap::<i64, u64>::new()));

    let spec = EventWindows::tumbling(*window)
        .time(EventTime::disorder(*disorder))
        .lateness(*lateness)
        .on_late(|late: Late<Click>| say(&format!("late: {} at {}", late.event.element, late.event.at)));
    let (late, taken, seen) = (spec.late(), events.clone(), windows.clone());
    Local::from_iter(lines)
        .dead_letter(rejects.clone())
        .filter(|line: &Line| !line.bytes().trim_ascii().is_empty())
        .try_map_stage("click", |line| Click::from_combined_log(line.text()?))
        .dead_letter(rejects.clone())
        .stream_error()
        .tap(move |_| taken.add(1))
        .event_windows_all(spec, |click| click.at, count())
        .on_error_route(failure.observer())
        .subscribe(move |window| _ = seen.borrow_mut().insert(window.start, window.value));
    failure.check()?;
    rejects.check()?;

    let windows = windows.borrow();
    let largest = windows.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
    let start = |at: i64| DateTime::from_timestamp_nanos(at).to_rfc3339_opts(SecondsFormat::AutoSi, true);
    Ok(json!({
        "events": events.get(),
        "counted": windows.values().sum::<u64>(),
        "late": late.get(),
        "windows": windows.len(),
        "largest_window": largest.map(|(at, count)| json!({"start": start(*at), "count": count})),
    }))
}
