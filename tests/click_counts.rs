//! A pipeline with durable counts is killed at random moments, and started again, until its input is done: then the counts
//! are those of a straight run.
//!
//! Shortened by default; in full, 100 kills over 5 million clicks:
//!
//! ```text
//! CLICK_KILLS=100 CLICK_REPEAT=715 cargo test --release --test click_counts -- --nocapture
//! ```
#![cfg(all(feature = "files", feature = "redb"))]

#[path = "common/built.rs"]
mod built;
#[path = "common/recordings.rs"]
mod recordings;

use std::{
    env,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use built::example;
use recordings::recording;
use rxevents::source::SplitMix64;

/// It is killed after at most so long.
const LONGEST: Duration = Duration::from_millis(300);

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn counts_are_exact_after_any_number_of_kills() {
    // Made-up clicks, one in a hundred of them broken, where there is no recording.
    let (log, default_repeat) = match recording("clicks/access.log") {
        Some(log) => (vec![log], 30),
        None => (vec![], 2),
    };
    let (kills, seed) = (setting("CLICK_KILLS", 10), setting("CLICK_SEED", 7));
    let repeat = setting("CLICK_REPEAT", default_repeat).to_string();
    let mut random = SplitMix64::new(seed);
    let job = |more: &[&str]| {
        let mut job = Command::new(example("click_counts"));
        job.args(&log).args(["--repeat", &repeat, "--json"]).args(more);
        job.stdout(Stdio::piped()).stderr(Stdio::null());
        job
    };
    let straight = job(&[]).output().unwrap();
    assert!(straight.status.success());

    let (mut killed, mut rounds, mut restarts) = (0, 0, Duration::ZERO);
    while killed < kills {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().to_str().unwrap();
        rounds += 1;
        loop {
            let mut run = job(&["--state", state]).spawn().unwrap();
            if killed < kills {
                thread::sleep(LONGEST.mul_f64((random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64));
                if run.try_wait().unwrap().is_none() {
                    // SIGKILL. It may still end by itself just before.
                    run.kill().unwrap();
                }
            }
            let ended = run.wait_with_output().unwrap();
            match ended.status.code() {
                None => killed += 1,
                code => {
                    assert_eq!(code, Some(0));
                    let (seen, right) = (text(&ended.stdout), text(&straight.stdout));
                    assert_eq!(seen, right, "round {rounds}, seed {seed}");
                    break;
                }
            }
        }
        // Once more: there is nothing left to do, and it says the same.
        let begun = Instant::now();
        let again = job(&["--state", state]).output().unwrap();
        restarts += begun.elapsed();
        assert_eq!(text(&again.stdout), text(&straight.stdout));
    }
    eprintln!(
        "{killed} kills in {rounds} rounds, counts exact, seed {seed}; a start with all done takes {:?}",
        restarts / rounds
    );
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}
