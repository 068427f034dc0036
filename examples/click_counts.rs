//! Keyed state: clicks for each element of a site, and one alert for each that gets hot.
//!
//! ```text
//! cargo run --release --example click_counts -- [access.log] [--alert 100] [--json]
//! ```
//! The log is a web server's in Apache's combined format; without one, 100,000 clicks are made up, 1 % of them broken. An
//! element is the path without its query. Lines that are no clicks go to stderr and are counted; empty ones are filtered.
//!
//! `{"events": clicks, "users": …, "elements": …, "alerts": elements with more than --alert clicks,
//! "top": [[element, clicks], … 5 at most], "rejected": lines that are no clicks}`

mod common;

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    error::Error,
    process::ExitCode,
    rc::Rc,
    sync::Arc,
};

use common::{Args, Failure, Rejects, Usage, input, say, tally::Counter};
use rxevents::{
    event::Click,
    prelude::*,
    source::{ClickLines, Line},
};
use serde_json::{Value, json};

const USAGE: Usage = Usage {
    text: "\
usage: click_counts [access.log] [--alert 100] [--json]

  access.log    a web server's log in Apache's combined format; without one, clicks are made up
  --alert N     more clicks than this make an element hot
  --json        print the figures on one line",
    flags: &[],
    options: &["alert"],
    files: 1,
};

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

fn job(args: &Args) -> Result<Value, Box<dyn Error>> {
    let alert: u64 = args.get("alert", 100)?;
    let lines = input::text(args.file(0), ClickLines::new(1).malformed(0.01).take(100_000))?;

    let (events, alerts) = (Counter::default(), Counter::default());
    let users = Rc::new(RefCell::new(HashSet::<Arc<str>>::new()));
    let counts = Rc::new(RefCell::new(HashMap::<Arc<str>, u64>::new()));
    let (rejects, failure) = (Rejects::default(), Failure::default());

    let (taken, hot) = (events.clone(), alerts.clone());
    let (who, of_element) = (users.clone(), counts.clone());
    Local::from_iter(lines)
        .dead_letter(rejects.clone())
        .filter(|line: &Line| !line.bytes().trim_ascii().is_empty())
        .try_map_stage("click", |line| Click::from_combined_log(line.text()?))
        .dead_letter(rejects.clone())
        .stream_error()
        .count_by_key(|click: &Click| &click.element)
        .tap(move |(click, count)| {
            taken.add(1);
            who.borrow_mut().insert(click.user.clone());
            of_element.borrow_mut().insert(click.element.clone(), *count);
        })
        .alert_once_above(alert)
        // More than a million elements, or a panic, would end up here.
        .on_error_route(failure.observer())
        .subscribe(move |(click, _)| {
            hot.add(1);
            say(&format!("hot: {}", click.element));
        });
    failure.check()?;

    let mut top: Vec<_> = counts.borrow().iter().map(|(element, count)| (element.clone(), *count)).collect();
    top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    top.truncate(5);
    let top: Vec<_> = top.iter().map(|(element, count)| json!([&**element, count])).collect();
    Ok(json!({
        "events": events.get(),
        "users": users.borrow().len(),
        "elements": counts.borrow().len(),
        "alerts": alerts.get(),
        "top": top,
        "rejected": rejects.check()?,
    }))
}
