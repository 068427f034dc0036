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

mod common;

use std::{
    convert::Infallible, error::Error, num::NonZeroU32, path::Path, process::ExitCode, time::Duration,
};

use common::{ArgError, Args, Failure, Rejects, Usage, input, tally::Counter, tried::Tried};
use rxevents::{
    dead_letter::{DEFAULT_MAX_REDRIVES, RedriveCursor, redrive},
    event::Payment,
    prelude::*,
    source::PaymentLines,
};
use serde::Deserialize;
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
        Some(letters) => again(args, letters),
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
    let (ok, attempts) = handle(lines, policy, &rejects, rejects.clone(), None)?;
    Ok(json!({"lines": taken.get(), "ok": ok, "dead": rejects.check()?, "attempts": attempts}))
}

fn again(args: &Args, path: &Path) -> Result<Value, Box<dyn Error>> {
    if let Some(file) = args.file(0) {
        return Err(ArgError(format!("--redrive reads letters, not {}", file.display())).into());
    }
    let policy = policy(args)?;
    let mut letters = redrive(path)?.max_redrives(args.get("max-redrives", DEFAULT_MAX_REDRIVES)?);
    let mut cursor = None;
    if let Some(position) = args.path("cursor") {
        let (rest, of_rest) = letters.resume(position)?;
        (letters, cursor) = (rest, Some(of_rest));
    }
    if args.flag("dry-run") {
        let run = letters.dry_run();
        return Ok(json!({
            "redriven": run.sent, "ok": 0, "dead": 0, "refused": run.refused, "unreadable": run.unreadable,
            "attempts": 0, "by_kind": run.by_kind, "by_stage": run.by_stage,
        }));
    }
    let counts = letters.counts();
    let mut again = path.as_os_str().to_owned();
    again.push(".again");
    let rejects = Rejects::append(args.path("dead-letters").unwrap_or(again.as_ref()))?;
    let letters = match args.get("rate", 0)? {
        0 => Local::from_iter(letters).boxed(),
        rate => {
            let rate = NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN);
            Local::from_stream(letters.at_rate(rate, LocalScheduler)).boxed()
        }
    };
    let (ok, attempts) = match cursor {
        None => handle(letters, policy, &rejects, rejects.clone(), None)?,
        Some(cursor) => handle(letters, policy, &rejects, cursor.queue(rejects.clone()), Some(cursor))?,
    };
    let dead = rejects.check()? - counts.refused() - counts.unreadable();
    Ok(json!({
        "redriven": counts.sent(), "ok": ok, "dead": dead, "refused": counts.refused(),
        "unreadable": counts.unreadable(), "attempts": attempts,
    }))
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

/// Handles events, lines or letters alike: how many succeeded, and in how many attempts at all of them. A letter that
/// succeeded is told to the cursor.
fn handle<P, R, Q>(
    events: LocalEvents<Result<P, Rejected<R>>, Infallible>,
    policy: Retry<Reason>,
    rejects: &Rejects,
    queue: Q,
    cursor: Option<RedriveCursor>,
) -> Result<(u64, u64), Box<dyn Error>>
where
    P: Payload + 'static,
    R: Payload + 'static,
    Q: DeadLetterQueue + Clone + 'static,
{
    let (failure, ok, attempts) = (Failure::default(), Counter::default(), Counter::default());
    let (arrived, tried) = (ok.clone(), attempts.clone());
    // What waits for its next attempt wants a runtime.
    common::until_end(|end| {
        events
            .dead_letter(queue.clone())
            .map(Tried::new)
            .try_map_with_retry_with(EventRetry::new(policy).stage("payment"), move |event: &Tried<P>| {
                tried.add(1);
                let payment = attempt(&event.payload(), event.count())?;
                if let (Some(cursor), Some(letter)) = (&cursor, event.letter())
                    && let Err(error) = cursor.done(letter.id)
                {
                    // It is booked nevertheless.
                    common::say(&format!("the position is not kept: {error}"));
                }
                Ok(payment)
            })
            .dead_letter(queue)
            .stream_error()
            .on_error_route(failure.observer())
            .finalize(move || _ = end.send(()))
            .subscribe(move |_: Payment| arrived.add(1));
    })?;
    failure.check()?;
    rejects.check()?;
    Ok((ok.get(), attempts.get()))
}

/// One attempt at a payment, the `tried`-th.
fn attempt(json: &[u8], tried: u64) -> Result<Payment, Reason> {
    #[derive(Deserialize)]
    struct Plan {
        #[serde(default)]
        fail: u64,
    }
    let payment = Payment::from_json(json)?;
    let Plan { fail } = serde_json::from_slice(json)?;
    if tried > fail { Ok(payment) } else { Err(Reason::other("the bank does not answer")) }
}

/// Payments: 5 % no JSON, 5 % that break a rule; one in ten fails 1 to 5 times.
fn made_up() -> impl Iterator<Item = String> {
    let lines = PaymentLines::new(1).malformed(0.05).invalid(0.05).take(20_000).enumerate();
    lines.map(|(i, line)| match line.strip_suffix('}') {
        Some(head) if i % 10 == 0 => format!("{head},\"fail\":{}}}", i / 10 % 5 + 1),
        _ => line,
    })
}
