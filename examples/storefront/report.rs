//! What is printed: progress while the job runs, and the figures at its end.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt::{self, Display},
    io::{self, Write},
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use rust_decimal::Decimal;
use rxevents::pipeline::Ledger;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Totals, ledger::Account};

/// Progress is shown after each so many events; the clock is not asked in between.
const BATCH: u64 = 10_000;
/// After so many events the memory in use is printed.
const MILESTONES: [u64; 3] = [1_000_000, 5_000_000, 10_000_000];

const NAMES: [&str; 3] = ["sensors", "payments", "clicks"];

/// A bar on stderr, where that is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    events: Rc<Cell<u64>>,
    start: Instant,
}

impl Progress {
    /// Of so many events, if that is known.
    pub(crate) fn new(events: Option<u64>) -> Self {
        let (bar, template) = match events {
            Some(events) => {
                (ProgressBar::new(events), "{wide_bar} {human_pos}/{human_len} {rate}, {eta} left")
            }
            None => (ProgressBar::no_length(), "{spinner} {human_pos} events, {rate}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                // A bar that cannot be drawn is no failure.
                let _ = write!(out, "{} events/s", HumanCount(state.per_sec() as u64));
            }));
        }
        Self { bar, events: Rc::default(), start: Instant::now() }
    }

    /// What is to be called for each event.
    pub(crate) fn tap<T>(&self) -> impl FnMut(&T) + 'static {
        let (bar, events) = (self.bar.clone(), self.events.clone());
        move |_| {
            let count = events.get() + 1;
            events.set(count);
            if count % BATCH == 0 {
                bar.set_position(count);
                if MILESTONES.contains(&count) {
                    bar.suspend(|| eprintln!("{} events: {}", HumanCount(count), Memory::now()));
                }
            }
        }
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.get()
    }

    /// How long it took.
    pub(crate) fn finish(&self) -> Duration {
        let took = self.start.elapsed();
        self.bar.finish_and_clear();
        took
    }
}

/// The memory of this process, where the system says it in `/proc`.
struct Memory(Option<String>);

impl Memory {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Self(line.map(|size| size.trim().to_owned()))
    }
}

impl Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(size) => write!(f, "{size} of memory"),
            None => f.write_str("memory unknown on this system"),
        }
    }
}

/// The figures of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) events: u64,
    pub(crate) took: Duration,
    /// Of sensors, payments and clicks.
    pub(crate) accounts: [Account; 3],
    /// Why their events were dead-lettered, and how often.
    pub(crate) reasons: [BTreeMap<String, u64>; 3],
    pub(crate) flagged: u64,
    pub(crate) users: usize,
    pub(crate) elements: usize,
    /// More clicks than this make an element hot.
    pub(crate) hot: u64,
    pub(crate) totals: Totals,
    pub(crate) dead_letters: PathBuf,
    pub(crate) ledger: Ledger,
}

#[derive(Serialize)]
struct Json<'a> {
    overall: Account,
    sources: Sources<'a>,
    dead_letters: String,
    seconds: f64,
}

#[derive(Serialize)]
struct Sources<'a> {
    sensors: Sensors,
    payments: Payments<'a>,
    clicks: Clicks,
}

#[derive(Serialize)]
struct Sensors {
    #[serde(flatten)]
    account: Account,
    throttled: u64,
    flagged: u64,
}

#[derive(Serialize)]
struct Payments<'a> {
    #[serde(flatten)]
    account: Account,
    valid: u64,
    valid_sum: Box<RawValue>,
    reasons: &'a BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct Clicks {
    #[serde(flatten)]
    account: Account,
    users: usize,
    elements: usize,
    alerts: usize,
}

impl Report {
    fn overall(&self) -> Account {
        self.accounts.iter().fold(Account::default(), |sum, account| Account {
            taken: sum.taken + account.taken,
            out: sum.out + account.out,
            filtered: sum.filtered + account.filtered,
            dropped: sum.dropped + account.dropped,
            dead_lettered: sum.dead_lettered + account.dead_lettered,
            in_flight: sum.in_flight + account.in_flight,
        })
    }

    /// Whether every event is accounted for, and none left in flight.
    pub(crate) fn check(&self) -> Result<(), String> {
        let overall = self.overall();
        if overall.taken != self.events {
            return Err(format!(
                "{} events were taken, but {} were given to pipelines",
                self.events, overall.taken
            ));
        }
        if overall.in_flight > 0 {
            return Err(format!("{} events are in flight, but the job is over", overall.in_flight));
        }
        // What is not read is not accounted for either.
        let mut unread =
            NAMES.into_iter().zip(&self.reasons).filter(|(_, reasons)| reasons.contains_key("io"));
        match unread.next() {
            None => Ok(()),
            Some((name, _)) => Err(format!("{name}: not read to the end; the dead letters say why")),
        }
    }

    /// Prints the table, or the line of JSON.
    pub(crate) fn print(&self, json: bool) -> io::Result<()> {
        let seconds = self.took.as_secs_f64();
        let rate = self.events as f64 / seconds.max(1e-9);
        eprintln!(
            "{} events in {seconds:.2} s, {} events/s, {}",
            HumanCount(self.events),
            HumanCount(rate as u64),
            Memory::now()
        );
        if !json {
            eprint!("{}", self.ledger);
            eprintln!("dead letters: {}", self.dead_letters.display());
            return print(self);
        }
        let [sensors, payments, clicks] = self.accounts;
        let [_, reasons, _] = &self.reasons;
        print(serde_json::to_string(&Json {
            overall: self.overall(),
            sources: Sources {
                sensors: Sensors { account: sensors, throttled: sensors.out, flagged: self.flagged },
                payments: Payments {
                    account: payments,
                    valid: payments.out,
                    valid_sum: RawValue::from_string(with_pence(self.totals.sum).to_string())?,
                    reasons,
                },
                clicks: Clicks {
                    account: clicks,
                    users: self.users,
                    elements: self.elements,
                    alerts: self.totals.alerts.len(),
                },
            },
            dead_letters: self.dead_letters.to_string_lossy().into_owned(),
            seconds,
        })?)
    }
}

/// The sum to its last digit, with at least two decimals.
fn with_pence(sum: Decimal) -> Decimal {
    let mut sum = sum.normalize();
    sum.rescale(sum.scale().max(2));
    sum
}

/// The table.
impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sensors, payments, clicks] = self.accounts;
        let rows = NAMES.into_iter().zip(self.accounts).chain([("overall", self.overall())]);
        write!(f, "{:<9}", "")?;
        for column in ["in", "out", "filtered", "dropped", "dead-lettered", "in flight"] {
            write!(f, "{column:>14}")?;
        }
        for (name, account) in rows {
            let Account { taken, out, filtered, dropped, dead_lettered, in_flight } = account;
            write!(f, "\n{name:<9}")?;
            for count in [taken, out, filtered, dropped, dead_lettered, in_flight] {
                write!(f, "{:>14}", HumanCount(count).to_string())?;
            }
        }
        let Totals { sum, highest_mean, alerts } = &self.totals;
        write!(f, "\n\nsensors:  {} passed the throttle", HumanCount(sensors.out))?;
        write!(f, "; partitions flagged: {}", HumanCount(self.flagged))?;
        if let Some(mean) = highest_mean {
            write!(f, "; highest mean: {mean:.2}")?;
        }
        write!(f, "\npayments: {} valid; their sum: {}", HumanCount(payments.out), with_pence(*sum))?;
        write!(f, "\nclicks:   {} by {} users", HumanCount(clicks.out), HumanCount(self.users as u64))?;
        write!(f, " on {} elements", HumanCount(self.elements as u64))?;
        write!(f, "; alerts (more than {} clicks): {}", HumanCount(self.hot), alerts.len())?;
        for (i, element) in alerts.iter().take(3).enumerate() {
            write!(f, "{} {element}", if i == 0 { ", the first for" } else { "," })?;
        }
        for (name, reasons) in NAMES.into_iter().zip(&self.reasons) {
            for (reason, count) in reasons {
                write!(f, "\ndead letters of {name}: {:>8}  {reason}", HumanCount(*count).to_string())?;
            }
        }
        Ok(())
    }
}

/// Prints a line on stdout. If nobody reads it any more, that is no failure of the job.
pub(crate) fn print(line: impl Display) -> io::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
