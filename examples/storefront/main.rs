//! The storefront job: readings of sensors, payments and clicks, merged in one process, with every event accounted for.
//!
//! ```text
//! cargo run --release --example storefront -- \
//!     [--sensors F.csv] [--payments F.csv] [--clicks access.log] [--events N] [--dead-letters OUT.jsonl] [--json]
//! ```
//! Without files it makes up N events (1,000,000), 5 % of the payments malformed and 5 % invalid.
//!
//! | source | what is done | *out* | *filtered* | *dropped* | *dead-lettered* | *in flight* |
//! |---|---|---|---|---|---|---|
//! | sensors | averaged by fives, anomalies flagged, throttled | one an hour | | the others, by the throttle | not a reading | in a part-filled five |
//! | payments | decoded, checked, summed up | valid | | | malformed, or a rule is broken | |
//! | clicks | counted, one alert for each hot element | counted | empty lines | | malformed | |
//!
//! In each row, and overall, `in = out + filtered + dropped + dead-lettered + in flight`. Each of these is counted where
//! it happens ([`ledger`]); if the law does not hold, or events are left in flight at the end, the job fails.
//!
//! The three sources are pulled in turn ([`sources`]) and pushed each into its pipeline ([`pipelines`]); what comes out
//! is merged into one sink. All is one thread; an event runs to its end before the next one is taken, so there is no
//! queue and memory is flat: it is printed at 1, 5 and 10 million events. Failed events are in a file, byte for byte
//! as they came, with their place and the reason. The last line of `--json` is an object:
//! `{"overall": {"in": …, "out": …, …}, "sources": {"sensors": {…, "flagged": …}, "payments": {…}, "clicks": {…}}, …}`.
//!
//! Exit codes: 0, 1 when the job failed, 2 when it could not begin: a wrong argument, no such file or column.

mod args;
#[path = "../common/columns.rs"]
mod columns;
mod invoice;
mod ledger;
mod pipelines;
mod reading;
mod report;
mod sources;
#[path = "../common/tally.rs"]
mod tally;

use std::{cell::RefCell, error::Error, fmt::Display, fs, process::ExitCode, rc::Rc, sync::Arc};

use rust_decimal::Decimal;
use rxevents::prelude::*;

use args::{Args, USAGE};
use ledger::Ledger;
use pipelines::{Clicks, Entrance, Outcome};
use report::{Progress, Report};
use sources::{Event, Sources};
use tally::Counter;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => return done(report::print(USAGE)),
        Err(message) => {
            eprintln!("storefront: {message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let (sources, letters) = match begin(&args) {
        Ok(begun) => begun,
        Err(error) => {
            eprintln!("storefront: {error}");
            return ExitCode::from(2);
        }
    };
    let job = || -> Result<(), Box<dyn Error>> {
        let report = run(sources, letters, &args)?;
        report.print(args.json)?;
        Ok(report.check()?)
    };
    done(job())
}

fn done<E: Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("storefront: the job failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The sources, and the dead letters of this run, in place of those of an earlier one.
fn begin(args: &Args) -> Result<(Sources, JsonlQueue), Box<dyn Error>> {
    let sources = Sources::open(args)?;
    let path = args.dead_letters.as_path();
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        fs::remove_file(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok((sources, JsonlQueue::create(path)?))
}

/// What the sink has seen.
#[derive(Debug, Default)]
struct Totals {
    /// Of the valid payments, exactly; of the made-up ones as if they were of one currency.
    sum: Decimal,
    /// The highest mean of a reading that arrived.
    highest_mean: Option<f64>,
    /// The hot elements, in the order in which they became hot.
    alerts: Vec<Arc<str>>,
}

/// The job itself.
fn run(sources: Sources, letters: JsonlQueue, args: &Args) -> Result<Report, StreamError> {
    let ledgers: [Ledger; 3] = Default::default();
    let [of_sensors, of_payments, of_clicks] = &ledgers;
    let flagged = Counter::default();
    let hot = if args.has_files() { 100 } else { 1_000 };
    let counts = Rc::new(RefCell::new(Clicks::with_users(if args.has_files() { 0 } else { 1_000_000 })));
    let totals = Rc::new(RefCell::new(Totals::default()));
    let failure = Rc::new(RefCell::new(None));

    // One entrance for each source, one sink for all.
    let sensors: Entrance<_> = Local::subject();
    let payments: Entrance<_> = Local::subject();
    let clicks: Entrance<_> = Local::subject();
    Local::merge_all([
        pipelines::sensors(sensors.clone(), &letters, of_sensors, &flagged),
        pipelines::payments(payments.clone(), &letters, of_payments),
        pipelines::clicks(clicks.clone(), &letters, of_clicks, &counts),
    ])
    .on_error_route(observer({
        let failure = failure.clone();
        move |error| *failure.borrow_mut() = Some(error)
    }))
    .subscribe({
        let totals = totals.clone();
        let [of_sensors, of_payments, of_clicks] = ledgers.clone();
        move |outcome| match outcome {
            Outcome::Reading(measured) => {
                of_sensors.out.add(1);
                let highest = &mut totals.borrow_mut().highest_mean;
                *highest = Some(highest.map_or(measured.mean, |highest| highest.max(measured.mean)));
            }
            Outcome::Payment(amount) => {
                of_payments.out.add(1);
                totals.borrow_mut().sum += amount;
            }
            Outcome::Click(click) => {
                of_clicks.out.add(1);
                // More clicks on a hot element are no news.
                if click.clicks == hot + 1 {
                    totals.borrow_mut().alerts.push(click.element);
                }
            }
        }
    });

    // All events in turn, until there are no more or a pipeline has failed.
    let progress = Progress::new((!args.has_files()).then_some(args.events));
    Local::from_iter(sources)
        .tap(progress.tap())
        .take_while({
            let failure = failure.clone();
            move |_| failure.borrow().is_none()
        })
        .subscribe({
            let [of_sensors, of_payments, of_clicks] = ledgers.clone();
            let (mut sensors, mut payments, mut clicks) = (sensors.clone(), payments.clone(), clicks.clone());
            move |event| match event {
                Event::Sensor(reading) => {
                    of_sensors.taken.add(1);
                    sensors.next(reading);
                }
                Event::Payment(payment) => {
                    of_payments.taken.add(1);
                    payments.next(payment);
                }
                Event::Click(click) => {
                    of_clicks.taken.add(1);
                    clicks.next(click);
                }
            }
        });
    sensors.complete();
    payments.complete();
    clicks.complete();
    let took = progress.finish();
    if let Some(error) = failure.take() {
        return Err(error);
    }

    let counts = counts.borrow();
    Ok(Report {
        events: progress.events(),
        took,
        accounts: ledgers.each_ref().map(Ledger::account),
        flagged: flagged.get(),
        reasons: ledgers.each_ref().map(|ledger| ledger.reasons.take()),
        users: counts.users(),
        elements: counts.elements(),
        hot,
        totals: totals.take(),
        dead_letters: letters.path().to_owned(),
    })
}
