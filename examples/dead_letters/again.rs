//! Letters are sent again.

use std::{error::Error, num::NonZeroU32, path::Path};

use rxevents::{
    dead_letter::{DEFAULT_MAX_REDRIVES, redrive},
    prelude::*,
};
use serde_json::{Value, json};

use crate::{
    common::{ArgError, Args, Rejects},
    handler::handle,
    policy,
};

/// Sends the letters of a file; what fails again, and what is not sent, is appended to another.
pub(crate) fn again(args: &Args, path: &Path) -> Result<Value, Box<dyn Error>> {
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
