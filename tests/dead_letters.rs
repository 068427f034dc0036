//! Dead letters on disk: nothing that was acknowledged is lost with the process, and letters go round without loss.

use std::{
    convert::Infallible,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rxevents::{
    dead_letter::{ReadError, RedriveCounts, Redriven, SyncPolicy, read_letters, redrive},
    event::SensorReading,
    prelude::*,
    source::lines,
    testing::VirtualScheduler,
};

const FILE: &str = "RXEVENTS_TEST_DEAD_LETTERS";
const ROUNDS: usize = 20;

/// Of different sizes, the larger ones beyond what is written at once.
fn payload(n: usize) -> Vec<u8> {
    let mut payload = format!("{n}:").into_bytes();
    payload.resize([10, 100_000, 1_000, 3_000_000][n % 4], if n.is_multiple_of(3) { 0xff } else { b'x' });
    payload
}

/// No test of its own: the process that is killed. It writes letters for ever, and says so after each.
#[test]
fn writer() {
    let Ok(path) = std::env::var(FILE) else { return };
    let mut queue = JsonlQueue::append(path).unwrap().sync(SyncPolicy::Never);
    for n in 0.. {
        let rejected = Rejected::new(payload(n), "check", Reason::decode("no"));
        queue.push(DeadLetter::from_rejected(&rejected, chrono::Utc::now())).unwrap();
        if writeln!(std::io::stdout(), "stored {n}").is_err() {
            return; // whoever started it is gone
        }
    }
}

/// Starts a writer and kills it after so many letters, as soon as it writes the next; how many it has acknowledged.
fn write_and_kill(path: &Path, letters: usize) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["writer", "--exact", "--nocapture", "--test-threads=1"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if line.unwrap().contains("stored ") {
            acknowledged += 1;
            if acknowledged == letters {
                let length = || std::fs::metadata(path).unwrap().len();
                let (before, since) = (length(), Instant::now());
                while length() == before {
                    assert!(since.elapsed() < Duration::from_secs(10), "it writes no more");
                }
                child.kill().unwrap();
            }
        }
    }
    assert!(!child.wait().unwrap().success());
    acknowledged
}

#[test]
fn a_killed_process_loses_no_letter_that_it_has_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead.jsonl");
    let mut torn = 0;
    for round in 0..ROUNDS {
        // Each second time the file goes on, maybe after a torn line.
        if round % 2 == 0 && path.exists() {
            std::fs::remove_file(&path).unwrap();
        }
        let before = if path.exists() { read_letters(&path).unwrap().count() } else { 0 };
        // A large letter is next, or any.
        let letters = if round % 2 == 0 { 3 } else { 1 + round % 7 };
        let acknowledged = write_and_kill(&path, letters);
        let read: Vec<_> = read_letters(&path).unwrap().skip(before).collect();
        let (last, whole) = match read.split_last().unwrap() {
            (Err(ReadError::Torn { .. }), whole) => (1, whole),
            _ => (0, &read[..]),
        };
        torn += last;
        for (n, letter) in whole.iter().enumerate() {
            assert_eq!(letter.as_ref().unwrap().payload, payload(n), "round {round}, letter {n}");
        }
        // One more may be there whose acknowledgement was not sent any more.
        assert!(
            (acknowledged..=acknowledged + 1).contains(&whole.len()),
            "round {round}: {acknowledged} of {}",
            whole.len()
        );
    }
    eprintln!("{torn} of {ROUNDS} kills left a torn line");
}

/// What fails again, on virtual time, an hour after the last pass.
fn pass(
    scheduler: &VirtualScheduler,
    from: &Path,
    to: &Path,
    limit: f64,
) -> (Vec<f64>, RedriveCounts, usize) {
    let letters = redrive(from).unwrap().max_redrives(2).decode(SensorReading::from_json);
    let (counts, refused) = (letters.counts(), MemoryQueue::new(10));
    let again = JsonlQueue::create(to).unwrap();
    let check = move |sent: &Redriven<SensorReading>| match sent.item.value {
        value if value <= limit => Ok(value),
        _ => Err(Reason::violation("value", "range", "too large")),
    };
    let seen = rxevents::testing::record::<_, _, Infallible, _, _>(
        scheduler
            .on(Local::from_iter(letters))
            .dead_letter(refused.clone())
            .validate()
            .dead_letter(again.clone())
            .try_map_stage("check", check)
            .dead_letter(again),
    );
    scheduler.advance_by(Duration::from_secs(3600));
    (seen.items(), counts, refused.len())
}

#[test]
fn letters_go_round_until_they_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: usize| folder.path().join(format!("{n}.jsonl"));
    let reading = |value: &str| format!(r#"{{"sensor":"a","at":"2024-05-01T12:00:00Z","value":{value}}}"#);
    let text = ["1", "20", "300", "4"].map(reading).join("\n");
    let scheduler = VirtualScheduler::new();
    let seen = rxevents::testing::record(
        scheduler
            .on(Local::from_iter(lines(std::io::Cursor::new(text), "a.jsonl")))
            .dead_letter(MemoryQueue::new(0))
            .try_map_stage("check", |line| match SensorReading::from_json(line.bytes())?.value {
                value if value <= 10.0 => Ok(value),
                _ => Err(Reason::violation("value", "range", "too large")),
            })
            .dead_letter(JsonlQueue::create(path(0)).unwrap()),
    );
    assert_eq!(seen.items(), [1.0, 4.0]);
    let first: Vec<_> = read_letters(path(0)).unwrap().map(Result::unwrap).collect();
    scheduler.advance_by(Duration::from_secs(3600));

    // 20 comes through at the first pass, 300 never.
    let (seen, counts, refused) = pass(&scheduler, &path(0), &path(1), 100.0);
    assert_eq!((seen, counts.sent(), counts.refused(), refused), (vec![20.0], 2, 0, 0));
    let (seen, counts, refused) = pass(&scheduler, &path(1), &path(2), 100.0);
    assert_eq!((seen.len(), counts.sent(), counts.refused(), refused), (0, 1, 0, 0));
    let last: Vec<_> = read_letters(path(2)).unwrap().map(Result::unwrap).collect();
    let expected = DeadLetter {
        attempts: 3,
        redrives: 2,
        failed_at: first[1].failed_at + chrono::TimeDelta::hours(2),
        ..first[1].clone()
    };
    assert_eq!(last, [expected]);
    assert_eq!(last[0].origin.as_ref().unwrap().line, Some(3));

    // It is refused then, and handed on as it was.
    let (seen, counts, refused) = pass(&scheduler, &path(2), &path(3), 1000.0);
    assert_eq!((seen.len(), counts.sent(), counts.refused(), refused), (0, 0, 1, 1));
    let parked = MemoryQueue::new(1);
    Shared::from_iter(redrive(path(2)).unwrap().max_redrives(2))
        .dead_letter(parked.clone())
        .subscribe(|letter| panic!("{letter:?}"));
    assert_eq!(parked.letters(), last);
}
