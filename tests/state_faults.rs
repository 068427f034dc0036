//! Faults that tables have had: what came before a crash, beside it, or after it.
#![cfg(feature = "state")]

#[path = "common/store.rs"]
mod store;

use rxevents::{
    delivery::Position,
    prelude::*,
    source::Replayed,
    state::{MemoryStore, StateError, TableOptions, decode},
    testing::balanced,
};
use std::{
    sync::{Arc, Mutex, atomic::Ordering, mpsc},
    time::Duration,
};
use store::Faulty;

type Count = Table<String, u64>;
fn inc(n: &mut u64) -> u64 {
    *n += 1;
    *n
}
fn ttl(after: u64) -> TableOptions<u64> {
    TableOptions::new().ttl(Duration::from_nanos(after))
}
fn timed(table: &Count, key: &str, at: i64) -> u64 {
    table.writer("w").apply(&Receipt::untracked(), key, Some(at), || 0, inc).unwrap()
}

/// Two entries of one key in one sweep.
#[test]
fn a_key_with_two_entries_is_swept_once() {
    let disk = MemoryStore::new();
    let state = State::open(disk.clone()).unwrap();
    let table = state.table_with::<String, u64>("t", ttl(10)).unwrap();
    timed(&table, "a", 0);
    state.commit().unwrap();
    table.remove("a").unwrap();
    state.commit().unwrap();
    timed(&table, "a", 1);
    state.commit().unwrap();
    timed(&table, "c", 100);
    state.commit().unwrap();
    let len = table.len_estimate();
    drop((table, state));
    let table = State::open(disk).unwrap().table_with::<String, u64>("t", ttl(10)).unwrap();
    assert_eq!((len.unwrap(), table.get("c").unwrap()), (1, Some(1)));
}

/// A source is made anew while the old one commits on another thread.
#[test]
fn a_source_made_anew_during_a_commit_counts_nothing_twice() {
    let disk = Faulty::default();
    let state = State::open(disk.clone()).unwrap();
    let table: Count = state.table("t").unwrap();
    let old = Acknowledger::new("s", state.source("s")).unwrap();
    let _old_books = balanced(&old);
    for d in old.resume(Replayed::new(["a", "a", "a"])).unwrap().take(2) {
        let d = d.unwrap();
        table.writer("w").apply(d.receipt(), *d, None, || 0, inc).unwrap();
        d.ack();
    }
    let (tx, rx) = mpsc::channel();
    let (ready, at) = mpsc::channel();
    let again = state.clone();
    *disk.before.lock().unwrap() = Some(Box::new(move || {
        std::thread::spawn(move || {
            tx.send(Acknowledger::new("s", again.source("s")).unwrap()).unwrap();
            let _ = ready.send(());
        });
        let _ = at.recv_timeout(Duration::from_millis(500));
    }));
    old.commit().unwrap();
    let new = rx.recv().unwrap();
    for d in new.resume(Replayed::new(["a", "a", "a"])).unwrap() {
        let d = d.unwrap();
        table.writer("w").apply(d.receipt(), *d, None, || 0, inc).unwrap();
        d.ack();
    }
    assert_eq!(table.get("a").unwrap(), Some(3));
}

/// What an old connection has left comes to the table first.
#[test]
fn a_late_delivery_of_before_does_not_shut_the_new_source_out() {
    let state = State::open(MemoryStore::new()).unwrap();
    let table: Count = state.table("t").unwrap();
    let old = Acknowledger::new("s", state.source("s")).unwrap();
    let _old_books = balanced(&old);
    let queued = old.resume(Replayed::new(["a", "a"])).unwrap().next().unwrap().unwrap();
    let new = Acknowledger::new("s", state.source("s")).unwrap();
    let _new_books = balanced(&new);
    // It may be refused or counted, but:
    let _ = table.writer("w").apply(queued.receipt(), *queued, None, || 0, inc);
    for d in new.resume(Replayed::new(["a", "a"])).unwrap() {
        let d = d.unwrap();
        table.writer("w").apply(d.receipt(), *d, None, || 0, inc).unwrap();
        d.ack();
    }
    assert_eq!(table.get("a").unwrap(), Some(2));
}

/// Results of another type are an error, and stay one.
#[test]
fn a_log_that_cannot_be_read_is_not_forgotten() {
    let disk = MemoryStore::new();
    let source = || Replayed::new(["a", "a"]);
    {
        let state = State::open(disk.clone()).unwrap();
        let table: Count = state.table("t").unwrap();
        let acks = Acknowledger::new("s", state.source("s")).unwrap();
        let _books = balanced(&acks);
        let d = acks.resume(source()).unwrap().next().unwrap().unwrap();
        table.writer("w").apply(d.receipt(), *d, None, || 0, inc).unwrap();
        state.commit().unwrap();
        d.abandon();
    }
    let state = State::open(disk).unwrap();
    let table: Count = state.table("t").unwrap();
    let acks = Acknowledger::new("s", state.source("s")).unwrap();
    let _books = balanced(&acks);
    let d = acks.resume(source()).unwrap().next().unwrap().unwrap();
    let wrong = |_: &mut u64| "text".to_owned();
    assert!(table.writer("w").apply(d.receipt(), *d, None, || 0, wrong).is_err());
    // Tried again, by a pipeline that is right.
    assert_eq!(table.writer("w").apply(d.receipt(), *d, None, || 0, inc).unwrap(), 1);
    assert_eq!(table.get("a").unwrap(), Some(1));
}

/// An event in two pairs, of which one is done.
#[test]
fn overlapping_pairs_go_on_after_a_crash() {
    let disk = MemoryStore::new();
    let state = State::open(disk.clone()).unwrap();
    let table = state.table::<(), u64>("t").unwrap();
    let acks = Acknowledger::new("s", state.source("s")).unwrap();
    let _books = balanced(&acks);
    let mut all = acks.resume(Replayed::new([1_u8, 2, 3])).unwrap().map(Result::unwrap);
    let (one, two) = (all.next().unwrap(), all.next().unwrap());
    let pair = one.pair(two.clone());
    table.writer("w").apply(pair.receipt(), &(), None, || 0, inc).unwrap();
    pair.ack();
    acks.commit().unwrap(); // the first is done, the second waits for the third
    let crashed = disk.fork();
    let state = State::open(crashed).unwrap();
    let table = state.table::<(), u64>("t").unwrap();
    let acks = Acknowledger::new("s", state.source("s")).unwrap();
    let _books = balanced(&acks);
    let mut all = acks.resume(Replayed::new([1_u8, 2, 3])).unwrap().map(Result::unwrap);
    let pair = all.next().unwrap().pair(all.next().unwrap());
    assert_eq!(*pair, (2, 3));
    assert_eq!(table.writer("w").apply(pair.receipt(), &(), None, || 0, inc).unwrap(), 2);
}

fn lines(ends: [Position; 2]) -> Option<u64> {
    let disk = MemoryStore::new();
    let state = State::open(disk.clone()).unwrap();
    let table: Count = state.table("t").unwrap();
    let acks = Acknowledger::new("s", state.source("s")).unwrap();
    let _books = balanced(&acks);
    let [first, second] = ends.map(|end| acks.issue("a", end).unwrap());
    for d in [&first, &second] {
        table.writer("w").apply(d.receipt(), "a", None, || 0, inc).unwrap();
    }
    first.ack();
    acks.commit().unwrap();
    let crashed = disk.fork();
    let state = State::open(crashed).unwrap();
    let table: Count = state.table("t").unwrap();
    let acks = Acknowledger::new("s", state.source("s")).unwrap();
    let _books = balanced(&acks);
    assert_eq!(acks.resumes_at(), Some(ends[0]));
    let again = acks.issue("a", ends[1]).unwrap();
    table.writer("w").apply(again.receipt(), "a", None, || 0, inc).unwrap();
    table.get("a").unwrap()
}

/// Positions that grow in bytes alone.
#[test]
fn two_events_of_one_line_are_counted_once() {
    assert_eq!(lines([Position { bytes: 10, lines: 1 }, Position { bytes: 20, lines: 1 }]), Some(2));
}
#[test]
fn events_without_lines_are_counted_once() {
    assert_eq!(lines([Position { bytes: 10, lines: 0 }, Position { bytes: 20, lines: 0 }]), Some(2));
}

/// A commit that is durable, and says that it is not certain.
#[test]
fn what_was_removed_after_an_uncertain_commit_stays_removed() {
    let disk = Faulty::default();
    let state = State::open(disk.clone()).unwrap();
    let table: Count = state.table("t").unwrap();
    table.insert("a", 1).unwrap();
    disk.fails_after.store(true, Ordering::SeqCst);
    state.commit().unwrap_err();
    disk.fails_after.store(false, Ordering::SeqCst);
    table.remove("a").unwrap();
    state.commit().unwrap();
    let table: Count = State::open(disk.inner.fork()).unwrap().table("t").unwrap();
    assert_eq!(table.scan_prefix(&(), 9).unwrap(), []);
}

/// Opened without a time to live.
#[test]
fn without_a_time_to_live_what_is_inserted_is_there() {
    let disk = MemoryStore::new();
    let state = State::open(disk.clone()).unwrap();
    let table = state.table_with::<String, u64>("t", ttl(10).sweep(1)).unwrap();
    timed(&table, "a", 0);
    timed(&table, "b", 0);
    state.commit().unwrap();
    timed(&table, "c", 50);
    drop((table, state));
    let table = State::open(disk).unwrap().table::<String, u64>("t").unwrap();
    table.insert("b", 7).unwrap();
    table.insert("a", 7).unwrap();
    assert_eq!((table.get("a").unwrap(), table.get("b").unwrap()), (Some(7), Some(7)));
}

/// The time of an event that changes no key.
#[test]
fn the_newest_time_survives_also_of_duplicates() {
    let disk = MemoryStore::new();
    let late = |disk: &MemoryStore, first: bool| {
        let state = State::open(disk.clone()).unwrap();
        let options = TableOptions::new().ttl(Duration::from_nanos(10));
        let table = state.table_with::<u32, ()>("t", options).unwrap();
        let acks = Acknowledger::new("s", state.source("s")).unwrap();
        let _books = balanced(&acks);
        let events = vec![(1_u32, 5_i64), (1, 12), (2, 1), (2, 1)];
        let mut seen = vec![];
        Local::from_iter_result(acks.resume(Replayed::new(events)).unwrap())
            .deduplicate_in(table.writer("w").timed(|e: &(u32, i64)| e.1), |e| &e.0)
            .take(if first { 1 } else { 9 })
            .on_error_route(observer(|error: StreamError| panic!("{error}")))
            .subscribe(|e| seen.push(e.ack()));
        seen
    };
    let straight = late(&MemoryStore::new(), false);
    // (1, 5) and (1, 12) are done and committed; then a crash.
    let state = State::open(disk.clone()).unwrap();
    let table = state.table_with::<u32, ()>("t", TableOptions::new().ttl(Duration::from_nanos(10))).unwrap();
    let acks = Acknowledger::new("s", state.source("s")).unwrap();
    let _books = balanced(&acks);
    Local::from_iter_result(acks.resume(Replayed::new(vec![(1_u32, 5_i64)])).unwrap())
        .deduplicate_in(table.writer("w").timed(|e: &(u32, i64)| e.1), |e| &e.0)
        .on_error_route(observer(|error: StreamError| panic!("{error}")))
        .subscribe(|e| _ = e.ack());
    drop((table, state, acks));
    let state = State::open(disk.clone()).unwrap();
    let table = state.table_with::<u32, ()>("t", TableOptions::new().ttl(Duration::from_nanos(10))).unwrap();
    let acks = Acknowledger::new("s", state.source("s")).unwrap();
    let _books = balanced(&acks);
    Local::from_iter_result(acks.resume(Replayed::new(vec![(1_u32, 5_i64), (1, 12)])).unwrap())
        .deduplicate_in(table.writer("w").timed(|e: &(u32, i64)| e.1), |e| &e.0)
        .on_error_route(observer(|error: StreamError| panic!("{error}")))
        .subscribe(|e| _ = e.ack());
    drop((table, state, acks));
    let rest = late(&disk, false);
    assert_eq!(rest, straight[1..]);
}

/// A migration with events in flight.
#[test]
fn a_migrated_table_goes_on_with_what_was_in_flight() {
    let disk = MemoryStore::new();
    let state = State::open(disk.clone()).unwrap();
    let table = state.table::<String, u64>("t").unwrap();
    let acks = Acknowledger::new("s", state.source("s")).unwrap();
    let _books = balanced(&acks);
    Local::from_iter_result(acks.resume(Replayed::new(["a", "a"])).unwrap())
        .aggregate_by_key_in(&table, |k: &&str| *k, || 0, |n, _| *n += 1)
        .on_error_route(observer(|error: StreamError| panic!("{error}")))
        .subscribe(|(d, _)| _ = d.abandon());
    state.commit().unwrap();
    let errors = Arc::new(Mutex::new(vec![]));
    let log = errors.clone();
    let options = TableOptions::new().version(1).migrate(|_, b| Ok((decode::<u64>(b)?, String::new())));
    let state = State::open(disk.fork()).unwrap();
    let table = state.table_with::<String, (u64, String)>("t", options).unwrap();
    let acks = Acknowledger::new("s", state.source("s")).unwrap();
    let _books = balanced(&acks);
    Local::from_iter_result(acks.resume(Replayed::new(["a", "a"])).unwrap())
        .aggregate_by_key_in(&table, |k: &&str| *k, || (0, String::new()), |n, _| n.0 += 1)
        .on_error_route(observer(move |error: StreamError| log.lock().unwrap().push(error.to_string())))
        .subscribe(|(d, _)| _ = d.ack());
    assert_eq!(*errors.lock().unwrap(), Vec::<String>::new());
    assert_eq!(table.get("a").unwrap().map(|v| v.0), Some(2));
}

/// Bytes after the end.
#[test]
fn a_snapshot_with_more_behind_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    State::open(MemoryStore::new()).unwrap().snapshot(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"more");
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(State::restore(&path, MemoryStore::new()), Err(StateError::Snapshot { .. })));
}
