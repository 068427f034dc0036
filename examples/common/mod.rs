//! What the examples share: the command line, the input, and the account of what was rejected.
#![allow(dead_code)] // each example uses a part

mod args;
pub(crate) mod columns;
pub(crate) mod input;
#[path = "../storefront/reading.rs"]
pub(crate) mod reading;
pub(crate) mod recorded;
mod rejects;
pub(crate) mod repeated;
pub(crate) mod shared;
pub(crate) mod tally;
pub(crate) mod tried;
pub(crate) mod turns;

pub(crate) use args::{ArgError, Args, Usage};
#[allow(unused_imports)] // not every example rejects
pub(crate) use rejects::{Failure, Rejects};

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use rxevents::{dead_letter::ReadError, source::OpenError};
use serde::Serialize;
use tokio::{runtime::Builder, sync::oneshot, task::LocalSet};

/// Runs an example and prints its figures on stdout: on one line with `--json`.
///
/// Exit codes: 0; 1 when the job failed; 2 when it could not begin: a wrong argument, no such file or column.
pub(crate) fn run<F: Serialize>(
    usage: &Usage,
    job: impl FnOnce(&Args) -> Result<F, Box<dyn Error>>,
) -> ExitCode {
    run_printing(usage, |args| print_figures(args, &job(args)?))
}

/// The same for a job that prints by itself.
pub(crate) fn run_printing(usage: &Usage, job: impl FnOnce(&Args) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let done = Args::parse(usage).map_err(Box::from).and_then(|args| match args {
        None => print(usage.text),
        Some(args) => job(&args),
    });
    let Err(error) = done else { return ExitCode::SUCCESS };
    say(&format!("{}: {error}", env!("CARGO_CRATE_NAME")));
    if error.is::<ArgError>() {
        say(&format!("\n{}", usage.text));
    }
    let not_begun = error.is::<ArgError>() || error.is::<OpenError>() || error.is::<ReadError>();
    ExitCode::from(if not_begun { 2 } else { 1 })
}

/// Prints figures on stdout: on one line with `--json`.
pub(crate) fn print_figures(args: &Args, figures: &impl Serialize) -> Result<(), Box<dyn Error>> {
    let as_text = if args.json { serde_json::to_string } else { serde_json::to_string_pretty };
    print(&as_text(figures)?)
}

/// Subscribes on this thread to what waits, and waits for its end, which `finalize` is to send.
pub(crate) fn until_end(subscribe: impl FnOnce(oneshot::Sender<()>)) -> Result<(), Box<dyn Error>> {
    let (end, ended) = oneshot::channel();
    let subscribed = async {
        subscribe(end);
        ended.await
    };
    Ok(LocalSet::new().block_on(&Builder::new_current_thread().enable_time().build()?, subscribed)?)
}

/// Says something on stderr. If nobody listens, that is no failure of the job.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints on stdout. If nobody reads it any more, that is no failure of the job.
pub(crate) fn print(text: &str) -> Result<(), Box<dyn Error>> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
