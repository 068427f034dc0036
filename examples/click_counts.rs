//! Keyed state: clicks for each element of a site, and one alert for each that gets hot.
//!
//! ```text
//! cargo run --release --example click_counts -- [access.log] [--alert 100] [--state DIR] [--repeat K] [--json]
//! ```
//! The log is a web server's in Apache's combined format; without one, 100,000 clicks are made up, 1 % of them broken. An
//! element is the path without its query. Lines that are no clicks go to stderr and are counted; empty ones are filtered.
//!
//! With `--state`, counts and position are kept in that folder, in one transaction: killed at any moment and started
//! again, it goes on where it was, and each click is counted once. `--repeat` reads the log so many times.
//!
//! `{"events": clicks, "users": …, "elements": …, "alerts": elements with more than --alert clicks,
//! "top": [[element, clicks], … 5 at most], "rejected": lines that are no clicks}`

mod common;

use std::{error::Error, fs, process::ExitCode, sync::Arc};

use chrono::Utc;
use common::{Args, Failure, Rejects, Usage, repeated, say};
use rxevents::{
    delivery::AckPolicy,
    event::Click,
    prelude::*,
    source::{ClickLines, Line},
    state::{MemoryStore, RedbStore},
};
use serde_json::{Value, json};

const USAGE: Usage = Usage {
    text: "\
usage: click_counts [access.log] [--alert 100] [--state DIR] [--repeat K] [--json]

  access.log    a web server's log in Apache's combined format; without one, clicks are made up
  --alert N     more clicks than this make an element hot
  --state DIR   keep counts and position there, and go on where it was
  --repeat K    read the log K times
  --json        print the figures on one line",
    flags: &[],
    options: &["alert", "state", "repeat"],
    files: 1,
};

/// A line that may be a click.
type Attempt = Result<Delivery<Click>, Rejected<Delivery<Line>>>;

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

fn job(args: &Args) -> Result<Value, Box<dyn Error>> {
    let alert: u64 = args.get("alert", 100)?;
    let made_up = ClickLines::new(1).malformed(0.01).take(100_000);
    let lines = repeated::text(args.file(0), made_up, args.get("repeat", 1)?)?;

    let state = match args.path("state") {
        Some(folder) => {
            fs::create_dir_all(folder)?;
            State::open(RedbStore::open(folder.join("clicks.redb"))?)?
        }
        None => State::open(MemoryStore::new())?,
    };
    let elements = state.table::<Arc<str>, u64>("elements")?;
    let users = state.table::<Arc<str>, u64>("users")?;
    let bad = state.table::<(), u64>("rejected")?;
    let acks =
        Acknowledger::with("clicks", state.source("clicks"), AckPolicy::default().commit_every(10_000))?;

    let (mut rejects, failure, failed) = (Rejects::default(), Failure::default(), Failure::default());
    let (read, unstored, bad_once) = (rejects.clone(), failed.clone(), bad.writer("rejected"));
    let rejected = move |rejected: Rejected<Delivery<Line>>| {
        let letter = DeadLetter::from_rejected(&rejected, Utc::now());
        let counted = bad_once.apply(rejected.item.receipt(), &(), None, || 0, |count| *count += 1);
        match counted.map_err(Reason::other).and_then(|()| rejects.push(letter).map_err(Reason::other)) {
            Ok(()) => rejected.item.into_parts().1.dead_lettered(),
            // Not done: it comes again when this is started again.
            Err(error) => {
                unstored.set(error);
                rejected.item.abandon();
            }
        }
    };
    Local::from_iter_result(acks.resume(lines)?)
        .filter_map(click)
        .route_failures(observer(rejected))
        .count_by_key_in(&users, |click: &Click| &click.user)
        .map(|(click, _)| click)
        .count_by_key_in(&elements, |click: &Click| &click.element)
        .alert_once_above(alert)
        // A panic, or a store that fails, would end up here.
        .on_error_route(failure.observer())
        .subscribe(move |(click, _)| say(&format!("hot: {}", click.ack().element)));
    failure.check()?;
    failed.check()?;
    read.check()?;

    let mut counts = elements.scan_prefix(&(), usize::MAX)?;
    let (events, hot) =
        (counts.iter().map(|(_, n)| n).sum::<u64>(), counts.iter().filter(|(_, n)| *n > alert).count());
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let top: Vec<_> = counts.iter().take(5).map(|(element, count)| json!([&**element, count])).collect();
    Ok(json!({
        "events": events,
        "users": users.len_estimate()?,
        "elements": counts.len(),
        "alerts": hot,
        "top": top,
        "rejected": bad.get(&())?.unwrap_or(0),
    }))
}

/// The click of a line; `None`: the line is empty.
fn click(line: Delivery<Result<Line, Rejected<Line>>>) -> Option<Attempt> {
    match line.transpose() {
        Ok(line) if line.bytes().trim_ascii().is_empty() => None,
        Ok(line) => Some(line.try_map("click", |line| Click::from_combined_log(line.text()?))),
        Err(rejected) => Some(Err(rejected)),
    }
}
