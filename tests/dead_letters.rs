//! Dead letters on disk: nothing that was acknowledged is lost with the process, and letters go round without loss.

use std::{
    convert::Infallible,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rxevents::{
    dead_letter::{
        DryRun, ReadError, RedriveCounts, Redriven, Rotation, SyncPolicy, Unsent, read_letters, redrive,
    },
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
                    assert!(since.elapsed() < Duration::from_secs(120), "it writes no more");
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
        history: last[0].history.clone(),
        ..first[1].clone()
    };
    assert_eq!(last, [expected]);
    let times: Vec<_> = last[0].history.iter().map(|attempt| attempt.at).collect();
    assert_eq!(times, [0, 1, 2].map(|hours| first[1].failed_at + chrono::TimeDelta::hours(hours)));
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

/// The letters of these payloads; `x` has failed with something else.
fn file_of(path: &Path, payloads: &[&str]) {
    let mut queue = JsonlQueue::append(path).unwrap();
    for payload in payloads {
        let reason = if *payload == "x" { Reason::decode("no") } else { Reason::other("down") };
        let rejected = Rejected::new((*payload).to_owned(), "book", reason).with_attempts(2);
        queue.push(DeadLetter::from_rejected(&rejected, chrono::Utc::now())).unwrap();
    }
}

fn payloads(letters: impl Iterator<Item = Result<DeadLetter, Rejected<Unsent>>>) -> String {
    letters.filter_map(Result::ok).map(|letter| String::from_utf8(letter.payload).unwrap()).collect()
}

#[test]
fn a_dry_run_counts_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    file_of(&path("dead"), &["a", "x", "b", "c"]);
    std::fs::write(path("more"), b"no letter\n").unwrap();
    let text = [std::fs::read(path("dead")).unwrap(), std::fs::read(path("more")).unwrap()].concat();
    std::fs::write(path("dead"), &text).unwrap();
    let (letters, cursor) = redrive(path("dead")).unwrap().resume(path("position")).unwrap();
    let run = letters.only(|letter| letter.payload != b"c").dry_run();
    let expected = DryRun {
        sent: 3,
        unreadable: 1,
        left_out: 1,
        by_kind: [(FailureKind::Decode, 1), (FailureKind::Other, 2)].into(),
        by_stage: [("book".to_owned(), 3)].into(),
        ..DryRun::default()
    };
    assert_eq!(run, expected);
    assert_eq!(cursor.position(), 0);
    drop(cursor);
    assert!(!path("position").exists());
    assert_eq!(std::fs::read(path("dead")).unwrap(), text);
    assert_eq!(redrive(path("dead")).unwrap().max_attempts(2).dry_run().refused, 4);
}

#[test]
fn only_what_is_chosen_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead");
    file_of(&path, &["a", "x", "b"]);
    let letters = redrive(&path).unwrap().only(|letter| letter.kind == FailureKind::Decode);
    let counts = letters.counts();
    assert_eq!(payloads(letters), "x");
    assert_eq!((counts.sent(), counts.left_out()), (1, 2));
    let length = std::fs::metadata(&path).unwrap().len();
    assert_eq!(counts.progress(), (length, length));
    // One that makes it panic is refused, and handed on as it was.
    let mut letters = redrive(&path).unwrap().only(|letter| panic!("{}", letter.stage));
    assert_eq!(letters.next().unwrap().unwrap_err().reason.kind(), FailureKind::Panic);
}

/// Letters that fail again are appended to the very file that is read: they are not read in the same run, and each next
/// run reads them in the place of the old ones, so that they go round three times and no more.
#[test]
fn letters_in_the_file_that_is_read_do_not_go_round_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead");
    file_of(&path, &["a", "b"]);
    let mut seen = vec![];
    for _ in 0..6 {
        let letters = redrive(&path).unwrap().newest_only(100).unwrap();
        let counts = letters.counts();
        Local::from_iter(letters)
            .dead_letter(MemoryQueue::new(10))
            .try_map(|_| Err::<(), _>(Reason::other("still down")))
            .dead_letter(JsonlQueue::append(&path).unwrap())
            .subscribe(|()| unreachable!());
        seen.push((counts.sent(), counts.refused(), counts.superseded()));
    }
    assert_eq!(seen, [(2, 0, 0), (2, 0, 2), (2, 0, 4), (0, 2, 6), (0, 2, 6), (0, 2, 6)]);
    let last: Vec<_> = read_letters(&path).unwrap().map(Result::unwrap).skip(6).collect();
    assert_eq!(last.iter().map(|letter| (letter.redrives, letter.attempts)).collect::<Vec<_>>(), [(3, 5); 2]);
}

/// Exhausted is exhausted, whatever the limit was when it was set: one refusal, and nothing is burnt.
#[test]
fn a_limit_that_was_lowered_refuses_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead");
    file_of(&path, &["a"]);
    let before: Vec<_> = read_letters(&path).unwrap().map(Result::unwrap).collect();
    for limit in [2, 1] {
        let queue = MemoryQueue::new(10);
        Local::from_iter(redrive(&path).unwrap().max_attempts(limit))
            .dead_letter(queue.clone())
            .subscribe(|_| unreachable!());
        assert_eq!(queue.letters(), before);
    }
    assert_eq!(payloads(redrive(&path).unwrap().max_attempts(3)), "a");
}

#[test]
fn a_payload_that_was_cut_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead");
    let policy = rxevents::dead_letter::DeadLetterPolicy::new()
        .max_payload(3, rxevents::dead_letter::Oversize::Truncate);
    Local::from_iter(["abc", "abcd"])
        .try_map(|_| Err::<(), _>(Reason::other("down")))
        .dead_letter_with(JsonlQueue::create(&path).unwrap(), policy)
        .subscribe(|()| unreachable!());
    let read: Vec<_> = redrive(&path).unwrap().collect();
    assert_eq!(read[0].as_ref().unwrap().payload, b"abc");
    let refused = read[1].as_ref().unwrap_err();
    assert_eq!(
        refused.reason.to_string(),
        "only 3 of the payload's 4 bytes were kept: it cannot be sent again"
    );
    let letter = DeadLetter::from_rejected(refused, chrono::Utc::now());
    assert_eq!((letter.truncated_from, &letter.payload[..]), (Some(4), &b"abc"[..]));
}

/// smallrye: the user's headers were lost on the way through the dead-letter queue.
#[test]
fn headers_come_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: u32| folder.path().join(n.to_string());
    file_of(&path(0), &["a"]);
    let mut letter = read_letters(path(0)).unwrap().next().unwrap().unwrap();
    letter.headers = [("trace-id", "00-ä\u{0}\n\"\\"), ("", " "), ("x-dead-letter", "mine")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let headers = letter.headers.clone();
    std::fs::remove_file(path(0)).unwrap();
    JsonlQueue::create(path(0)).unwrap().push(letter).unwrap();
    for n in 0..3 {
        Local::from_iter(redrive(path(n)).unwrap())
            .dead_letter(MemoryQueue::new(0))
            .try_map(move |letter| {
                assert_eq!(Payload::headers(letter), letter.headers);
                Err::<(), _>(Reason::other("down"))
            })
            .dead_letter(JsonlQueue::create(path(n + 1)).unwrap())
            .subscribe(|()| unreachable!());
        let again = read_letters(path(n + 1)).unwrap().next().unwrap().unwrap();
        assert_eq!((again.headers, again.redrives), (headers.clone(), n + 1));
    }
}

#[test]
fn an_interrupted_redrive_goes_on_before_the_first_that_is_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    file_of(&path("dead"), &["a", "b", "c"]);
    std::fs::write(path("more"), b"no letter\n\n").unwrap();
    let text = [std::fs::read(path("dead")).unwrap(), std::fs::read(path("more")).unwrap()].concat();
    std::fs::write(path("dead"), text).unwrap();
    file_of(&path("dead"), &["d", "e"]);
    let start = || redrive(path("dead")).unwrap().resume(path("position")).unwrap();

    // c and d are done, a is not: nothing is.
    let (letters, cursor) = start();
    let ids: Vec<_> = letters.filter_map(Result::ok).map(|letter| letter.id).collect();
    let cursor = cursor.every(1);
    cursor.done(ids[2]).unwrap();
    cursor.done(ids[3]).unwrap();
    assert_eq!(cursor.position(), 0);
    drop(cursor);

    let (mut letters, cursor) = start();
    let cursor = cursor.every(1);
    letters.by_ref().take(3).for_each(|letter| drop(letter.unwrap()));
    // What is told out of order, or twice, or is of no letter, changes nothing.
    [ids[1], ids[1], ids[4], ids[0]].into_iter().for_each(|id| cursor.done(id).unwrap());
    // As after a kill: the file is what counts.
    let (letters, other) = start();
    let read: Vec<_> = letters.collect();
    let kinds: Vec<_> = read
        .iter()
        .map(|letter| letter.as_ref().map_or_else(|e| e.to_string(), |l| l.id.to_string()))
        .collect();
    assert_eq!(kinds.len(), 4);
    assert_eq!(
        (&kinds[0], &kinds[2], &kinds[3]),
        (&ids[2].to_string(), &ids[3].to_string(), &ids[4].to_string())
    );
    assert!(kinds[1].contains("line 4"), "{}", kinds[1]);
    [ids[2], ids[3], ids[4]].into_iter().for_each(|id| other.done(id).unwrap());
    other.save().unwrap();
    let (mut letters, last) = start();
    assert!(letters.next().is_none());
    drop((letters, last, cursor));

    // What is written later is sent then.
    file_of(&path("dead"), &["f"]);
    let (letters, _cursor) = start();
    assert_eq!(payloads(letters), "f");
}

#[test]
fn a_position_is_of_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    file_of(&path("dead"), &["a", "b"]);
    let (letters, cursor) = redrive(path("dead")).unwrap().resume(path("position")).unwrap();
    letters.for_each(|letter| cursor.done(letter.unwrap().id).unwrap());
    drop(cursor);
    let error = |path: &Path, position: &Path| {
        redrive(path).unwrap().resume(position).map(drop).unwrap_err().to_string()
    };
    file_of(&path("other"), &["b", "a", "c"]);
    let told = error(&path("other"), &path("position"));
    assert!(told.contains("position: line 0: it is not a position in ") && told.ends_with("other"), "{told}");
    std::fs::write(path("torn"), b"{\"version\":1,").unwrap();
    let told = error(&path("dead"), &path("torn"));
    assert!(told.contains("torn: line 0: "), "{told}");
    std::fs::write(path("newer"), std::fs::read_to_string(path("position")).unwrap().replace(":1,", ":2,"))
        .unwrap();
    let told = error(&path("dead"), &path("newer"));
    assert!(told.contains("position of version 2"), "{told}");
}

/// Letters that are kept elsewhere are done when they are durable there.
#[test]
fn what_fails_again_is_done_when_it_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    file_of(&path("dead"), &["a", "b"]);
    let (letters, cursor) = redrive(path("dead")).unwrap().resume(path("position")).unwrap();
    let mut queue = cursor.queue(JsonlQueue::create(path("again")).unwrap());
    letters.for_each(|letter| queue.push(letter.unwrap()).unwrap());
    assert_eq!(cursor.position(), 0);
    queue.flush().unwrap();
    assert_eq!(cursor.position(), std::fs::metadata(path("dead")).unwrap().len());
}

#[test]
fn a_large_file_goes_on_in_another_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead.jsonl");
    let names: Vec<String> = (0..50).map(|n| format!("{n:02}")).collect();
    let rotation = Rotation::at_size(1000);
    let open = |rotation| JsonlQueue::append(&path).unwrap().rotate(rotation);
    let mut queue = open(rotation);
    let letter = |payload: &String| {
        DeadLetter::from_rejected(
            &Rejected::new(payload.clone(), "book", Reason::other("down")),
            chrono::Utc::now(),
        )
    };
    for (n, name) in names.iter().enumerate() {
        if n == 20 {
            queue = open(rotation); // another process
        }
        queue.push(letter(name)).unwrap();
        if n == 30 {
            // A torn line stays in its file.
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(b"{\"version\":1,").unwrap();
            queue = open(rotation);
        }
    }
    let files = JsonlQueue::files(&path).unwrap();
    assert!(files.len() > 5, "{files:?}");
    assert!(files.iter().all(|file| std::fs::metadata(file).unwrap().len() <= 1100));
    let read: Vec<_> = files.iter().flat_map(|file| read_letters(file).unwrap()).collect();
    let payloads: Vec<_> =
        read.iter().flatten().map(|l| String::from_utf8(l.payload.clone()).unwrap()).collect();
    assert_eq!(payloads, names);
    assert_eq!((read.len(), queue.deleted()), (51, 0));

    // Only who says so deletes.
    let mut queue = open(rotation.keep(2));
    names.iter().for_each(|name| queue.push(letter(name)).unwrap());
    assert_eq!(JsonlQueue::files(&path).unwrap().len(), 3);
    assert!(queue.deleted() > 5);
}
