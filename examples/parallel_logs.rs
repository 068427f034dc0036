//! Parallel work: how often each level stands in a log, counted in chunks on all cores, with results in order.
//!
//! ```text
//! cargo run --release --example parallel_logs --features parallel -- [FILE.log] [--chunk 100] [--json]
//! ```
//! Without a file, 200,000 lines are made up. Levels are counted as whole words in capital letters, all occurrences of a
//! line. Lines that are not UTF-8, or longer than 1 MiB, go to stderr and are counted.
//!
//! A line is little work, so lines are gathered: an item of the thread pool is a chunk of `--chunk` lines. At most 16
//! chunks are in the pool or wait for their turn; then the reading waits. That bounds the memory.
//!
//! `{"lines": all lines, "levels": {"INFO": …, "WARN": …, "ERROR": …, "FATAL": …}, "chunks": …, "rejected": lines}`

mod common;

use std::{cell::Cell, error::Error, num::NonZeroUsize, process::ExitCode, rc::Rc};

use common::{Args, Failure, Rejects, Usage, input, tally::Counter};
use rxevents::{
    prelude::*,
    source::{Line, SplitMix64},
};
use serde_json::{Map, Value, json};

const USAGE: Usage = Usage {
    text: "\
usage: parallel_logs [FILE.log] [--chunk 100] [--json]

  FILE.log    a log of any form; without one, lines are made up
  --chunk N   how many lines are counted in one go
  --json      print the figures on one line",
    flags: &[],
    options: &["chunk"],
    files: 1,
};
const LEVELS: [&str; 4] = ["INFO", "WARN", "ERROR", "FATAL"];
/// How many chunks are in the pool at once, or done and waiting for those before them.
const IN_FLIGHT: usize = 16;

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

fn job(args: &Args) -> Result<Value, Box<dyn Error>> {
    let chunk = args.get("chunk", NonZeroUsize::MIN.saturating_add(99))?.get();
    let in_flight = NonZeroUsize::MIN.saturating_add(IN_FLIGHT - 1);
    let text = input::text(args.file(0), made_up())?;

    let (rejects, failure) = (Rejects::default(), Failure::default());
    let (lines, chunks, levels) = (Counter::default(), Counter::default(), Rc::new(Cell::new([0; 4])));
    let (taken, done, counted) = (lines.clone(), chunks.clone(), levels.clone());
    let panicked = failure.clone();
    Local::from_iter(text)
        .tap(move |_| taken.add(1))
        .map(|line| line.and_then(as_text))
        .dead_letter(rejects.clone())
        .buffer_count(chunk)
        .parallel_map(in_flight, |chunk: &Vec<Line>| Ok(count(chunk)))
        // To count cannot fail, but for a panic: that is the job's failure, not that of an event.
        .route_failures(observer(move |chunk: Rejected<Vec<Line>>| panicked.set(chunk.reason)))
        .stream_error()
        .on_error_route(failure.observer())
        .subscribe(move |found| {
            done.add(1);
            counted.set(std::array::from_fn(|i| counted.get()[i] + found[i]));
        });
    failure.check()?;

    let levels = LEVELS.iter().zip(levels.get()).map(|(level, count)| (level.to_string(), count.into()));
    Ok(json!({
        "lines": lines.get(),
        "levels": levels.collect::<Map<_, _>>(),
        "chunks": chunks.get(),
        "rejected": rejects.check()?,
    }))
}

fn as_text(line: Line) -> Result<Line, Rejected<Line>> {
    match line.text() {
        Ok(_) => Ok(line),
        Err(error) => Err(Rejected::new(line, "text", error)),
    }
}

/// How often each level stands in the lines.
fn count(lines: &[Line]) -> [u64; 4] {
    let words = lines.iter().filter_map(|line| line.text().ok());
    let words = words.flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_'));
    let mut counts = [0; 4];
    for word in words {
        if let Some((_, count)) = LEVELS.iter().zip(&mut counts).find(|(level, _)| **level == word) {
            *count += 1;
        }
    }
    counts
}

/// Lines of a server, most of them INFO.
fn made_up() -> impl Iterator<Item = String> {
    let mut random = SplitMix64::new(1);
    (0..200_000).map(move |i| {
        let level = match input::below(&mut random, 100) {
            0..80 => "INFO",
            80..95 => "WARN",
            95..99 => "ERROR",
            _ => "FATAL",
        };
        format!(
            "2024-05-01 12:{:02}:{:02},000 {level} [worker-{}] shop.Cart: item {i} taken, no ERRORS",
            i / 60 % 60,
            i % 60,
            i % 8
        )
    })
}
