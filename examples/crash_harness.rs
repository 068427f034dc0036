//! Kills a job at random moments, as often as asked for, and looks whether an event was lost.
//!
//! ```text
//! cargo run --release --example crash_harness -- [--kills 200] [--seed S] [--events N] [--keep DIR] [--json]
//! ```
//! The job is the example `storefront`, in a process of its own, on files of readings, payments and clicks that are made up
//! (some malformed, some invalid, some lines empty). It is killed by SIGKILL after a random time, and started again in the
//! same folder, until its input is done; then begins another input, until there were as many kills as asked for. All random
//! numbers come from the seed, which is printed.
//!
//! Its files are read before each start and at the end: each line of each input must have come out, or be with the dead
//! letters, or with what was left out. One that is nowhere is *lost*. One that is there more than once is a *duplicate*: the
//! output itself has none, as the sink knows what it has written; the others may. At each start the lines are counted that
//! are recorded already and lie behind the committed position: these are *redelivered*, and they explain all duplicates, or
//! the run fails.
//!
//! `{"kills": …, "input": …, "output": …, "dead_lettered": …, "left_out": …, "redelivered": …, "duplicates": …, "lost": …,
//! "rounds": …, "starts": …, "seed": …}`, where events are counted once each but for the duplicates.
//!
//! Exit codes: 0; 1 when an event was lost, or the job failed; 2 for a wrong argument.

#[path = "common/args.rs"]
mod args;
#[path = "storefront/main.rs"]
mod storefront;

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use args::{ArgError, Args, Usage};
use rxevents::{
    dead_letter::DeadLetter,
    delivery::Position,
    source::{ClickLines, SplitMix64},
};
use serde::{Deserialize, Serialize};

const USAGE: Usage = Usage {
    text: "\
usage: crash_harness [--kills 200] [--seed S] [--events 90000] [--keep DIR] [--json]

  --kills N    how often the job is killed
  --seed S     of all random numbers; without it another one each time, which is printed
  --events N   how many events there are in each input
  --keep DIR   work in this folder, and leave it there, instead of in a temporary one
  --json       print the figures on one line",
    flags: &[],
    options: &["kills", "seed", "events", "keep"],
    files: 0,
};

/// Set for the process that is killed.
const JOB: &str = "RXEVENTS_CRASH_HARNESS_JOB";
/// It is killed after at most so long.
const LONGEST: Duration = Duration::from_millis(80);
const SOURCES: [&str; 3] = ["sensors", "payments", "clicks"];

fn main() -> ExitCode {
    if env::var_os(JOB).is_some() {
        return storefront::main();
    }
    let done = Args::parse(&USAGE).map_err(Box::from).and_then(|args| match args {
        None => print(USAGE.text),
        Some(args) => harness(&args).and_then(|figures| {
            let as_text = if args.json { serde_json::to_string } else { serde_json::to_string_pretty };
            print(&as_text(&figures)?)
        }),
    });
    let Err(error) = done else { return ExitCode::SUCCESS };
    say(&format!("crash_harness: {error}"));
    ExitCode::from(if error.is::<ArgError>() { 2 } else { 1 })
}

fn say(text: &str) {
    // If nobody listens, that is no failure.
    let _ = writeln!(io::stderr(), "{text}");
}

fn print(text: &str) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

fn below(random: &mut SplitMix64, bound: u64) -> u64 {
    random.next_u64() % bound.max(1)
}

#[derive(Debug, Default, Serialize)]
struct Figures {
    kills: u64,
    input: u64,
    output: u64,
    dead_lettered: u64,
    left_out: u64,
    redelivered: u64,
    duplicates: u64,
    lost: u64,
    rounds: u64,
    starts: u64,
    seed: u64,
}

fn harness(args: &Args) -> Result<Figures, Box<dyn Error>> {
    let kills: u64 = args.get("kills", 200)?;
    let events: u64 = args.get("events", 90_000)?;
    let any = std::collections::hash_map::RandomState::new();
    let seed: u64 = args.get("seed", std::hash::BuildHasher::hash_one(&any, 0) >> 1)?;
    say(&format!("seed {seed}"));
    let mut random = SplitMix64::new(seed);
    let (kept, temporary) = (args.path("keep"), temporary()?);
    let folder = kept.unwrap_or(&temporary.0);

    let mut figures = Figures { seed, ..Figures::default() };
    while figures.kills < kills || figures.rounds == 0 {
        figures.rounds += 1;
        let folder = folder.join(format!("round-{}", figures.rounds));
        round(&folder, events, kills, &mut random, &mut figures)?;
    }
    if figures.lost > 0 || figures.duplicates > figures.redelivered {
        return Err(format!("events were lost, or are duplicated without a reason: {figures:?}").into());
    }
    Ok(figures)
}

/// A folder that is removed at the end.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed stays for whoever cleans up.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn temporary() -> Result<Temporary, Box<dyn Error>> {
    let folder = env::temp_dir().join(format!("crash-harness-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    Ok(Temporary(folder))
}

/// One input, until it is done.
fn round(
    folder: &Path,
    events: u64,
    kills: u64,
    random: &mut SplitMix64,
    figures: &mut Figures,
) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let lines = write_input(folder, events, random)?;
    let state = folder.join("state");
    let mut record = Record::new(&state, lines);
    loop {
        record.read()?;
        figures.redelivered += record.behind(&positions(&state)?);
        figures.starts += 1;
        let mut job = Command::new(env::current_exe()?)
            .env(JOB, "1")
            .args(["--sensors".as_ref(), folder.join("sensors.csv").as_os_str()])
            .args(["--payments".as_ref(), folder.join("payments.csv").as_os_str()])
            .args(["--clicks".as_ref(), folder.join("clicks.log").as_os_str()])
            .args(["--state".as_ref(), state.as_os_str()])
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if figures.kills < kills {
            thread::sleep(Duration::from_micros(below(random, LONGEST.as_micros() as u64)));
            if job.try_wait()?.is_none() {
                // SIGKILL. It may still end by itself just before.
                job.kill()?;
            }
        }
        let ended = job.wait_with_output()?;
        match ended.status.code() {
            None => figures.kills += 1,
            Some(0) => break,
            Some(_) => return Err(String::from_utf8_lossy(&ended.stderr).into()),
        }
    }
    record.read()?;
    figures.redelivered += record.behind(&positions(&state)?);
    record.add_to(figures);
    Ok(())
}

/// Makes the files of a round; how many events there are in each, and the line of the first.
fn write_input(
    folder: &Path,
    events: u64,
    random: &mut SplitMix64,
) -> Result<[(u64, u64); 3], Box<dyn Error>> {
    let share = events / 3;
    let open = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
    let mut one_in = |n: u64| below(random, n) == 0;

    let mut sensors = open("sensors.csv")?;
    writeln!(sensors, "timestamp,value")?;
    for n in 0..share {
        let (day, minute) = (n / 288, n % 288 * 5);
        let at = chrono::NaiveDate::from_ymd_opt(2020, 1, 1)
            .and_then(|start| start.checked_add_days(chrono::Days::new(day)))
            .ok_or("too many events")?;
        let value = if one_in(100) { "broken" } else { "21.5" };
        writeln!(sensors, "{at} {:02}:{:02}:00,{value}", minute / 60, minute % 60)?;
    }
    sensors.flush()?;

    let mut payments = open("payments.csv")?;
    writeln!(payments, "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country")?;
    for n in 0..share {
        let quantity = if one_in(50) { "-1" } else { "2" };
        let price = if one_in(50) { "free" } else { "1.25" };
        writeln!(payments, "{n},a,TEA,{quantity},2010-12-01 08:26:00,{price},17850.0,UK")?;
    }
    payments.flush()?;

    let mut clicks = open("clicks.log")?;
    for line in ClickLines::new(7).malformed(0.01).take(usize::try_from(share)?) {
        if one_in(100) {
            writeln!(clicks)?;
        } else {
            writeln!(clicks, "{line}")?;
        }
    }
    clicks.flush()?;
    Ok([(share, 2), (share, 2), (share, 1)])
}

/// The committed positions.
fn positions(state: &Path) -> Result<BTreeMap<String, Position>, Box<dyn Error>> {
    let path = state.join("positions.json");
    if path.exists() { Ok(serde_json::from_slice(&fs::read(path)?)?) } else { Ok(BTreeMap::new()) }
}

/// What is recorded of each line, in the three files of the job.
struct Record {
    lines: [Vec<Seen>; 3],
    first: [u64; 3],
    /// The files, and how far they were read.
    files: [(PathBuf, u64); 3],
}

/// How often a line is in the output, the dead letters, and what was left out.
type Seen = [u16; 3];

#[derive(Deserialize)]
struct Stored {
    source: String,
    line: u64,
}

impl Record {
    fn new(state: &Path, lines: [(u64, u64); 3]) -> Self {
        Self {
            lines: lines.map(|(count, _)| vec![Seen::default(); count as usize]),
            first: lines.map(|(_, first)| first),
            files: ["output.jsonl", "storefront-dead-letters.jsonl", "left-out.jsonl"]
                .map(|name| (state.join(name), 0)),
        }
    }

    /// Reads what is new. A last line without an end was torn; it is cut off, or ended by the next start.
    fn read(&mut self) -> Result<(), Box<dyn Error>> {
        for which in 0..self.files.len() {
            let (path, from) = &mut self.files[which];
            let Ok(mut file) = File::open(path) else { continue };
            file.seek(SeekFrom::Start(*from))?;
            let mut reader = BufReader::new(file);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
                self.files[which].1 += line.len() as u64;
                if let Some((source, number)) = place(which, &line) {
                    let at = number.checked_sub(self.first[source]).and_then(|at| usize::try_from(at).ok());
                    let seen = at.and_then(|at| self.lines[source].get_mut(at));
                    seen.ok_or_else(|| format!("no such line: {}", String::from_utf8_lossy(&line)))?
                        [which] += 1;
                }
                line.clear();
            }
        }
        Ok(())
    }

    /// How many recorded lines lie behind the committed positions.
    fn behind(&self, positions: &BTreeMap<String, Position>) -> u64 {
        let of_source = |source: usize| {
            let committed = positions.get(SOURCES[source]).map_or(0, |at| at.lines);
            let at = (committed + 1).saturating_sub(self.first[source]) as usize;
            let behind = self.lines[source].get(at..).unwrap_or_default();
            behind.iter().filter(|seen| seen.iter().any(|times| *times > 0)).count() as u64
        };
        (0..SOURCES.len()).map(of_source).sum()
    }

    fn add_to(&self, figures: &mut Figures) {
        for seen in self.lines.iter().flatten() {
            figures.input += 1;
            let times: u64 = seen.iter().map(|times| u64::from(*times)).sum();
            figures.duplicates += times.saturating_sub(1);
            match seen {
                [0, 0, 0] => figures.lost += 1,
                [0, 0, _] => figures.left_out += 1,
                [0, ..] => figures.dead_lettered += 1,
                _ => figures.output += 1,
            }
        }
    }
}

/// The source and the line of what is recorded; `None` for a torn line.
fn place(which: usize, line: &[u8]) -> Option<(usize, u64)> {
    if which != 1 {
        let stored: Stored = serde_json::from_slice(line).ok()?;
        return Some((SOURCES.iter().position(|source| *source == stored.source)?, stored.line));
    }
    let letter: DeadLetter = serde_json::from_slice(line).ok()?;
    let origin = letter.origin?;
    let name = Path::new(&*origin.source).file_stem()?.to_str()?.to_owned();
    Some((SOURCES.iter().position(|source| *source == name)?, origin.line?))
}
