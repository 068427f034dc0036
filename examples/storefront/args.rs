//! The command line.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

pub(crate) const USAGE: &str = "\
usage: storefront [--sensors F.csv] [--payments F.csv] [--clicks access.log]
                  [--events N] [--dead-letters OUT.jsonl] [--state DIR] [--json]

  --sensors F.csv          readings, in the columns timestamp and value
  --payments F.csv         invoice lines, in the columns Description, Quantity, UnitPrice and CustomerID
  --clicks access.log      a web server's log in Apache's combined format
  --events N               without files: how many events to make up (default 1000000)
  --dead-letters OUT.jsonl where failed events are kept; a file that is there is replaced
                           (default storefront-dead-letters.jsonl in the folder for temporary files)
  --state DIR              keep in this folder how far the sources are, what has come out (output.jsonl) and what was left
                           out (left-out.jsonl); a job that was killed, or stopped by SIGINT or SIGTERM, goes on where
                           it was. Dead letters are in the folder, too, and are added to those that are there
  --json                   print the figures as one line of JSON instead of a table";

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) sensors: Option<PathBuf>,
    pub(crate) payments: Option<PathBuf>,
    pub(crate) clicks: Option<PathBuf>,
    pub(crate) events: u64,
    pub(crate) dead_letters: PathBuf,
    pub(crate) state: Option<PathBuf>,
    pub(crate) json: bool,
}

impl Args {
    /// `None` when help is asked for; `Err` with what is wrong and where.
    pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Option<Self>, String> {
        let (mut sensors, mut payments, mut clicks, mut events, mut dead_letters, mut state) =
            (None, None, None, None, None, None);
        let mut json = false;
        let mut args = args;
        while let Some(arg) = args.next() {
            // Only a path need not be text, and it may follow its option as an argument of its own.
            let text = arg.to_str().unwrap_or_default();
            let (name, mut value) = match text.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
                _ => (text, None),
            };
            let mut value_of = |slot: &mut Option<OsString>| {
                if slot.is_some() {
                    return Err(format!("{name} is given twice"));
                }
                let is_value = |arg: &OsString| !arg.is_empty() && !arg.to_string_lossy().starts_with("--");
                let value = value.take().or_else(|| args.next()).filter(is_value);
                *slot = Some(value.ok_or_else(|| format!("{name} needs a value"))?);
                Ok(())
            };
            match name {
                "--sensors" => value_of(&mut sensors)?,
                "--payments" => value_of(&mut payments)?,
                "--clicks" => value_of(&mut clicks)?,
                "--events" => value_of(&mut events)?,
                "--dead-letters" => value_of(&mut dead_letters)?,
                "--state" => value_of(&mut state)?,
                "--json" if value.is_none() => json = true,
                "--help" | "-h" if value.is_none() => return Ok(None),
                _ => return Err(format!("unknown argument `{}`", arg.display())),
            }
        }
        let state = state.map(PathBuf::from);
        let folder = || state.clone().unwrap_or_else(std::env::temp_dir);
        let args = Self {
            sensors: sensors.map(PathBuf::from),
            payments: payments.map(PathBuf::from),
            clicks: clicks.map(PathBuf::from),
            events: events.as_deref().map_or(Ok(1_000_000), count)?,
            dead_letters: dead_letters
                .map_or_else(|| folder().join("storefront-dead-letters.jsonl"), PathBuf::from),
            state,
            json,
        };
        if args.has_files() && events.is_some() {
            return Err("--events makes events up, which does not go with files".into());
        }
        // It is replaced.
        let written = args.dead_letters.canonicalize().ok();
        for read in args.files() {
            if written.is_some() && read.canonicalize().ok() == written {
                return Err(format!("--dead-letters {} would replace a file that is read", read.display()));
            }
        }
        Ok(Some(args))
    }

    pub(crate) fn has_files(&self) -> bool {
        self.files().next().is_some()
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.sensors, &self.payments, &self.clicks].into_iter().flatten().map(PathBuf::as_path)
    }
}

fn count(text: &OsStr) -> Result<u64, String> {
    let number = text.to_str().and_then(|text| text.replace('_', "").parse().ok());
    number.ok_or_else(|| format!("--events `{}` is not a whole number", text.display()))
}
