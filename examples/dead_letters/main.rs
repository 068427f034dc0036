//! Dead letters: a handler that may fail is tried again; what fails for good is kept in a file, and sent again later.
//!
//! ```text
//! cargo run --release --example dead_letters -- [FILE.jsonl] [--max-retries 2] [--dead-letters OUT.jsonl] [--json]
//! cargo run --release --example dead_letters -- --redrive OUT.jsonl [--max-redrives 3] [--dry-run] [--rate 100]
//!     [--cursor POSITION] [--json]
//! ```
//! Each line is a payment, `{"id": …, "amount": …, "currency": …, "timestamp": …}`; without a file, 20,000 are made up.
//! Empty lines are left out. The handler decodes a line, checks the rules of payments, and books the payment; one with
//! `"fail": n` is refused n times before it is booked, as if the bank were down for a while.
//!
//! What fails is tried again at most `--max-retries` times, 1 ms later, then 2 ms …, while others pass it; then it is a
//! dead letter with 1 + max-retries attempts. With `--retry transient` only what may pass is: a line that is no payment
//! is a dead letter after its first attempt.
//!
//! `{"lines": …, "ok": …, "dead": …, "attempts": …}`, where `lines = ok + dead` and attempts are all those of the handler,
//! the first of each line included (a line that is too long to be read has none). OUT.jsonl is replaced if it is there.
//!
//! `--redrive` sends the letters of OUT.jsonl again, which stays as it is. Those that fail again are appended to NEW.jsonl
//! (OUT.jsonl.again), with the attempts and redrives of before added up; so `"fail": n` goes on where it was. There too,
//! and unchanged, are those that were sent again `--max-redrives` times already, which are *refused*, and lines that are
//! no letters. So nothing is lost when OUT.jsonl is removed after the run and NEW.jsonl is redriven next time.
//!
//! `{"redriven": …, "ok": …, "dead": …, "refused": …, "unreadable": …, "attempts": …}`, where `redriven = ok + dead`.
//!
//! With `--rate` it sends so many a second at most. With `--cursor` it keeps in a file how far it is, and goes on there: a run
//! that was killed sends again only what it had not done. With `--dry-run` it sends nothing and changes nothing: `redriven` is
//! how many it would send, and `by_kind` and `by_stage` say which.

mod again;
#[path = "../common/mod.rs"]
mod common;
mod handler;

use std::{error::Error, process::ExitCode, time::Duration};

use common::{ArgError, Args, Rejects, Usage, input, tally::Counter};
use rxevents::{prelude::*, source::PaymentLines};
use serde_json::{Value, json};

const USAGE: Usage = Usage {
    text: "\
usage: dead_letters [FILE.jsonl] [--max-retries 2] [--retry all] [--dead-letters OUT.jsonl] [--json]
       dead_letters --redrive OUT.jsonl [--max-retries 2] [--retry all] [--max-redrives 3]
                    [--dead-letters NEW.jsonl] [--dry-run] [--rate 100] [--cursor POSITION] [--json]

  --retry    all: whatever fails; transient: only what may pass
  --dry-run  count what would be sent, and send nothing
  --rate     letters a second, at most
  --cursor   keep in this file how far it is, and go on there
  --json     print the figures on one line",
    flags: &["dry-run"],
    options: &["max-retries", "max-redrives", "retry", "dead-letters", "redrive", "rate", "cursor"],
    files: 1,
};

fn main() -> ExitCode {
    common::run(&USAGE, |args| match args.path("redrive") {
        None => first_time(args),
        Some(letters) => again::again(args, letters),
    })
}

fn first_time(args: &Args) -> Result<Value, Box<dyn Error>> {
    let lines = input::text(args.file(0), made_up())?;
    let lines = lines.filter(|line| !matches!(line, Ok(line) if line.bytes().trim_ascii().is_empty()));
    let policy = policy(args)?;
    let rejects = Rejects::replace(args, "dead-letters.jsonl")?;
    let taken = Counter::default();
    let count = taken.clone();
    let lines = Local::from_iter(lines.inspect(move |_| count.add(1))).boxed();
    let (ok, attempts) = handler::handle(lines, policy, &rejects, rejects.clone(), None)?;
    Ok(json!({"lines": taken.get(), "ok": ok, "dead": rejects.check()?, "attempts": attempts}))
}

/// How often and when what fails is tried again.
fn policy(args: &Args) -> Result<Retry<Reason>, Box<dyn Error>> {
    let policy = Retry::times(args.get("max-retries", 2)?)
        .exponential(Duration::from_millis(1), Duration::from_millis(10));
    match &*args.get("retry", "all".to_owned())? {
        "all" => Ok(policy.when(|_| true)),
        "transient" => Ok(policy.when(|reason: &Reason| reason.kind() == FailureKind::Other)),
        other => Err(ArgError(format!("--retry `{other}`: all or transient")).into()),
    }
}

/// Payments: 5 % no JSON, 5 % that break a rule; one in ten fails 1 to 5 times.
fn made_up() -> impl Iterator<Item = String> {
    let lines = PaymentLines::new(1).malformed(0.05).invalid(0.05).take(20_000).enumerate();
    lines.map(|(i, line)| match line.strip_suffix('}') {
        Some(head) if i % 10 == 0 => format!("{head},\"fail\":{}}}", i / 10 % 5 + 1),
        _ => line,
    })
}
