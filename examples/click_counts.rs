//! Clicks for each element of a site, and one alert for each that gets hot.
//!
//! ```text
//! cargo run --release --example click_counts -- [access.log] [--alert 100] [--json]
//! ```
//! The log is a web server's in Apache's combined format; without one, clicks are made up. Lines that are no clicks go
//! to stderr and are counted.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    error::Error,
    io::Write,
    rc::Rc,
    sync::Arc,
};

use rxevents::{
    event::Click,
    prelude::*,
    source::{Clicks, TextFile},
};
use serde_json::json;

/// A click, or what is wrong with a line.
type Taken = Result<Click, String>;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut file, mut alert, mut as_json) = (None, 100_u64, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--alert" => {
                let value = args.next().ok_or("--alert needs a value")?;
                alert = value.parse().map_err(|error| format!("--alert `{value}`: {error}"))?;
            }
            "--json" => as_json = true,
            name if name.starts_with("--") || file.is_some() => {
                return Err(format!("unknown argument `{name}`").into());
            }
            _ => file = Some(arg),
        }
    }
    let taken: Box<dyn Iterator<Item = Taken>> = match file {
        None => Box::new(Clicks::new(1).take(100_000).map(Ok)),
        Some(path) => Box::new(TextFile::open(path)?.map(|line| {
            let line = line.map_err(|rejected| rejected.to_string())?;
            let click = line.text().map_err(Reason::from).and_then(Click::from_combined_log);
            click.map_err(|reason| format!("line {}: {reason}", line.number()))
        })),
    };

    let users = Rc::new(RefCell::new(HashSet::<Arc<str>>::new()));
    let counts = Rc::new(RefCell::new(HashMap::<Arc<str>, u64>::new()));
    let (events, rejected) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(0_u64)));
    let alerts = Rc::new(RefCell::new(Vec::new()));
    let failure = Rc::new(RefCell::new(None));

    let (seen, bad) = (events.clone(), rejected.clone());
    let (who, of_element) = (users.clone(), counts.clone());
    let (hot, failed) = (alerts.clone(), failure.clone());
    Local::from_iter(taken)
        .stream_error()
        .filter_map(move |taken| {
            let counter = if taken.is_ok() { &seen } else { &bad };
            counter.set(counter.get() + 1);
            taken.map_err(|message| eprintln!("click_counts: {message}")).ok()
        })
        .count_by_key(|click: &Click| &click.element)
        .tap(move |(click, count)| {
            who.borrow_mut().insert(click.user.clone());
            of_element.borrow_mut().insert(click.element.clone(), *count);
        })
        .alert_once_above(alert)
        // More than a million elements, or a panic, would end up here.
        .on_error_route(observer(move |error: StreamError| *failed.borrow_mut() = Some(error)))
        .subscribe(move |(click, _)| hot.borrow_mut().push(click.element));
    if let Some(error) = failure.take() {
        return Err(error.into());
    }

    let mut top: Vec<_> = counts.borrow().iter().map(|(element, count)| (element.clone(), *count)).collect();
    top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    top.truncate(5);
    let top: Vec<_> = top.iter().map(|(element, count)| json!([&**element, count])).collect();
    let figures = json!({
        "events": events.get(),
        "users": users.borrow().len(),
        "elements": counts.borrow().len(),
        "alerts": alerts.borrow().len(),
        "top": top,
        "rejected": rejected.get(),
    });
    let mut out = std::io::stdout().lock();
    if as_json {
        writeln!(out, "{figures}")?;
    } else {
        writeln!(out, "{figures:#}")?;
        alerts.borrow().iter().try_for_each(|element| writeln!(out, "hot: {element}"))?;
    }
    Ok(())
}
