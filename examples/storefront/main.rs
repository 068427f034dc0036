//! The storefront job: readings of sensors, payments and clicks, merged in one process, with every event accounted for.
//!
//! ```text
//! cargo run --release --example storefront -- \
//!     [--sensors F.csv] [--payments F.csv] [--clicks access.log] [--events N] [--dead-letters OUT.jsonl] \
//!     [--state DIR] [--json]
//! ```
//! Without files it makes up N events (1,000,000), 5 % of the payments malformed and 5 % invalid.
//!
//! | source | what is done | *out* | *filtered* | *dropped* | *dead-lettered* | *in flight* |
//! |---|---|---|---|---|---|---|
//! | sensors | averaged by fives, anomalies flagged, throttled | one an hour | | the others, by the throttle | not a reading | in a part-filled five |
//! | payments | decoded, checked, summed up | valid | | | malformed, or a rule is broken | |
//! | clicks | counted, one alert for each hot element | counted | empty lines | | malformed | |
//!
//! In each row, and overall, `in = out + filtered + dropped + dead-lettered + in flight`. Each event has a receipt, which
//! is counted where it ends ([`ledger`]); if the law does not hold, or events are left in flight at the end, the job fails.
//!
//! With a folder for its state ([`store`]) the job can be killed at any moment, and goes on where it was: each event is in
//! the output once, or with the dead letters or what was left out at least once. SIGINT and SIGTERM end it in good order.
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
mod store;
#[path = "../common/tally.rs"]
mod tally;

use std::{
    cell::RefCell, error::Error, fmt::Display, fs, process::ExitCode, rc::Rc, sync::Arc, time::Duration,
};

use rust_decimal::Decimal;
use rxevents::prelude::*;

use args::{Args, USAGE};
use ledger::{Account, Reasons};
use pipelines::{Clicks, Entrance, Outcome};
use report::{Progress, Report};
use sources::{Event, Sources, acknowledgers};
use store::{Store, line};
use tally::Counter;

/// How long what is under way at the end may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => return done(report::print(USAGE)),
        Err(message) => {
            eprintln!("storefront: {message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let begun = match begin(&args) {
        Ok(begun) => begun,
        Err(error) => {
            eprintln!("storefront: {error}");
            return ExitCode::from(2);
        }
    };
    let job = || -> Result<(), Box<dyn Error>> {
        let report = run(begun, &args)?;
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

/// What a job needs to begin.
struct Begun {
    acks: [Acknowledger; 3],
    sources: Sources,
    store: Store,
    letters: JsonlQueue,
}

/// Opens all files. The dead letters of an earlier run are replaced, unless the state is kept.
fn begin(args: &Args) -> Result<Begun, Box<dyn Error>> {
    let store = Store::open(args.state.as_deref())?;
    let acks = acknowledgers(&store)?;
    let sources = Sources::open(args, &acks)?;
    let path = args.dead_letters.as_path();
    let letters = if args.state.is_some() {
        JsonlQueue::append(path)?
    } else {
        if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            fs::remove_file(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        JsonlQueue::create(path)?
    };
    Ok(Begun { acks, sources, store, letters })
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
fn run(begun: Begun, args: &Args) -> Result<Report, Box<dyn Error>> {
    let Begun { acks, sources, store: Store { output, audit, .. }, letters } = begun;
    let pipeline = Pipeline::new("storefront");
    acks.iter().for_each(|acks| pipeline.acknowledges(acks));
    let _signals = pipeline.stop_on_signals()?;
    let reasons: [Reasons; 3] = Default::default();
    let [of_sensors, of_payments, of_clicks] = &reasons;
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
        pipelines::sensors(sensors.clone(), &pipeline, &letters, of_sensors, &audit, &flagged),
        pipelines::payments(payments.clone(), &pipeline, &letters, of_payments),
        pipelines::clicks(clicks.clone(), &pipeline, &letters, of_clicks, &audit, &counts),
    ])
    .tap({
        let totals = totals.clone();
        move |outcome| totals.borrow_mut().note(outcome, hot)
    })
    .map(|outcome: Delivery<Outcome>| {
        let line = line(&outcome);
        outcome.map(|outcome| (line, outcome))
    })
    .write_to(output)
    .on_error_route(observer({
        let failure = failure.clone();
        move |error| *failure.borrow_mut() = Some(error)
    }))
    .subscribe(drop);

    // All events in turn, until there are no more, or a pipeline has failed, or the job is told to stop.
    let progress = Progress::new((!args.has_files()).then_some(args.events));
    Local::from_iter_result(sources)
        .stoppable(&pipeline, "sources")
        .tap(progress.tap())
        .take_while({
            let failure = failure.clone();
            move |_| failure.borrow().is_none()
        })
        .on_error_route(observer({
            let failure = failure.clone();
            move |error| *failure.borrow_mut() = Some(error)
        }))
        .subscribe({
            let (mut sensors, mut payments, mut clicks) = (sensors.clone(), payments.clone(), clicks.clone());
            move |event| match event {
                Event::Sensor(reading) => sensors.next(reading),
                Event::Payment(payment) => payments.next(payment),
                Event::Click(click) => clicks.next(click),
            }
        });
    sensors.complete();
    payments.complete();
    clicks.complete();
    let took = progress.finish();
    if let Some(error) = failure.take() {
        return Err(error.into());
    }
    let drained = pipeline.shutdown(PATIENCE)?;
    let accounts = acks.each_ref().map(|acks| Account::try_from(acks.counts()));
    let [of_sensors, of_payments, of_clicks] = accounts;

    let counts = counts.borrow();
    Ok(Report {
        events: progress.events(),
        took,
        accounts: [of_sensors?, of_payments?, of_clicks?],
        flagged: flagged.get(),
        reasons: reasons.map(|reasons| reasons.take()),
        users: counts.users(),
        elements: counts.elements(),
        hot,
        totals: totals.take(),
        dead_letters: letters.path().to_owned(),
        ledger: drained.ledger,
    })
}

impl Totals {
    /// An outcome that goes to the sink.
    fn note(&mut self, outcome: &Outcome, hot: u64) {
        match outcome {
            Outcome::Reading(measured) => {
                self.highest_mean =
                    Some(self.highest_mean.map_or(measured.mean, |highest| highest.max(measured.mean)));
            }
            Outcome::Payment(amount) => self.sum += amount,
            // More clicks on a hot element are no news.
            Outcome::Click(click) if click.clicks == hot + 1 => self.alerts.push(click.element.clone()),
            Outcome::Click(_) => {}
        }
    }
}
