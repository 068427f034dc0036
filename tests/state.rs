//! Tables: exactly once through crashes, what a store gives back, what is forgotten, and what is wrong.

#[path = "common/store.rs"]
mod store;

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;
use rxevents::{
    delivery::{AckPolicy, MemoryPosition},
    prelude::*,
    source::Replayed,
    state::{MemoryStore, RedbStore, StateError, Store, TableOptions, decode},
    testing::balanced,
};
use store::Faulty;

type Count = Table<String, u64>;

fn failed(error: StreamError) -> ! {
    panic!("{error}")
}

/// The events of a source "clicks", counted by key; `step` gets each with its count.
fn count(
    state: &State,
    table: &Count,
    clicks: &[u8],
    step: impl FnMut((Delivery<u8>, u64)) -> bool + 'static,
) {
    let policy = AckPolicy::default().commit_every(3);
    let acks = Acknowledger::with("clicks", state.source("clicks"), policy).unwrap();
    let mut step = step;
    let keys = Rc::new(table.clone());
    Local::from_iter_result(acks.resume(Replayed::new(clicks.to_vec())).unwrap())
        .map(|click: Delivery<u8>| click.map(|click| (click, format!("k{}", click % 4))))
        .count_by_key_in(&*keys, |(_, key): &(u8, String)| key.as_str())
        .map(move |(click, count)| step((click.map(|(click, _)| click), count)))
        .take_while(|go_on| *go_on)
        .on_error_route(observer(|error: StreamError| failed(error)))
        .subscribe(|_| {});
}

/// What each event is counted as without a crash.
fn straight(clicks: &[u8]) -> Vec<u64> {
    let mut counts = [0; 4];
    let count = |click: &u8| {
        let count = &mut counts[usize::from(click % 4)];
        *count += 1;
        *count
    };
    clicks.iter().map(count).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Deliveries stay in flight and are done in any order; the disk is cut off at any moment, again and again.
    #[test]
    fn each_event_is_counted_once_through_crashes(
        clicks in proptest::collection::vec(any::<u8>(), 1..60),
        // Until the crash: how many events; after each, which of those in flight is done, and whether all is committed.
        lives in proptest::collection::vec(proptest::collection::vec((any::<u8>(), 0_u8..8), 0..30), 0..6),
    ) {
        let right = straight(&clicks);
        let mut disk = MemoryStore::new();
        let numbered: Vec<u8> = clicks.clone();
        for life in lives {
            let crashed = Rc::new(RefCell::new(disk.fork()));
            let state = State::open(disk.clone()).unwrap();
            let table: Count = state.table("counts").unwrap();
            let from = state.committed("clicks").map_or(0, |at| at.lines) as usize;
            let (right, at) = (right.clone(), crashed.clone());
            let (mut life, mut number, mut held) = (life.into_iter(), from, Vec::new());
            let (commits, disk_now) = (state.clone(), disk.clone());
            count(&state, &table, &numbered, move |(click, count)| {
                assert_eq!(count, right[number], "event {number}");
                number += 1;
                held.push(click);
                let Some((which, done)) = life.next() else { return false };
                for _ in 0..done / 2 {
                    if !held.is_empty() {
                        held.swap_remove(usize::from(which) % held.len()).ack();
                    }
                }
                if done == 7 {
                    commits.commit().unwrap();
                }
                // The crash is here, unless there is another event.
                *at.borrow_mut() = disk_now.fork();
                true
            });
            disk = crashed.borrow().clone();
        }
        let state = State::open(disk.clone()).unwrap();
        let table: Count = state.table("counts").unwrap();
        let from = state.committed("clicks").map_or(0, |at| at.lines) as usize;
        let (expected, seen) = (right[from..].to_vec(), Rc::new(RefCell::new(vec![])));
        let log = seen.clone();
        count(&state, &table, &numbered, move |(click, count)| {
            click.ack();
            log.borrow_mut().push(count);
            true
        });
        prop_assert_eq!(&*seen.borrow(), &expected);
        let mut totals = BTreeMap::new();
        clicks.iter().for_each(|click| *totals.entry(format!("k{}", click % 4)).or_insert(0_u64) += 1);
        prop_assert_eq!(table.scan_prefix(&(), 99).unwrap(), totals.into_iter().collect::<Vec<_>>());
        // All is done: nothing is remembered of single events.
        drop(table);
        drop(state);
        let mut remembered = 0;
        disk.scan(b"a", Some(b"b"), &mut |_, _| { remembered += 1; ControlFlow::Continue(()) }).unwrap();
        prop_assert_eq!(remembered, 0);
    }

    /// A table is what a map is, whatever is in memory, committed, or read anew.
    #[test]
    fn a_table_is_a_map(
        steps in proptest::collection::vec((0_u8..9, 0_u8..12, any::<u32>()), 1..120),
        cached in 1_usize..6,
        on_disk in proptest::bool::weighted(0.1),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        let memory = MemoryStore::new();
        let open = || {
            let state = if on_disk {
                State::open(RedbStore::open(&path).unwrap()).unwrap()
            } else {
                State::open(memory.clone()).unwrap()
            };
            let options = TableOptions::new().cached(cached);
            let table = state.table_with::<(String, u8), u32>("t", options).unwrap();
            // Neighbours in the store, which nobody may see.
            let _ = state.table::<(String, u8), u32>("t2").unwrap().insert(&("a".into(), 1), 1);
            (state, table)
        };
        let mut model = BTreeMap::<(String, u8), u32>::new();
        let mut now = open();
        for (step, key, value) in steps {
            let table = &now.1;
            let key = (["", "a", "a\0", "ab"][usize::from(key % 4)].to_owned(), key / 4);
            match step {
                0 | 1 => {
                    table.insert(&key, value).unwrap();
                    model.insert(key, value);
                }
                2 | 3 => {
                    let updated = table.update(&key, || 7, |v| { *v = v.wrapping_add(value); *v }).unwrap();
                    let of_model = model.entry(key).or_insert(7);
                    *of_model = of_model.wrapping_add(value);
                    prop_assert_eq!(updated, *of_model);
                }
                4 => prop_assert_eq!(table.remove(&key).unwrap(), model.remove(&key)),
                5 => prop_assert_eq!(table.get(&key).unwrap(), model.get(&key).copied()),
                6 => {
                    let limit = usize::from(key.1) + 1;
                    let of_model = model.iter().filter(|(k, _)| k.0 == key.0).take(limit);
                    let of_model: Vec<_> = of_model.map(|(k, v)| (k.clone(), *v)).collect();
                    prop_assert_eq!(table.reader().scan_prefix(&key.0, limit).unwrap(), of_model);
                    let of_model = model.iter().filter(|(k, _)| k.0.starts_with(&key.0));
                    let of_model: Vec<_> = of_model.map(|(k, v)| (k.clone(), *v)).collect();
                    prop_assert_eq!(table.scan_starting_with(&key.0, 99).unwrap(), of_model);
                }
                7 => now.0.commit().unwrap(),
                _ => {
                    drop(now);
                    now = open();
                }
            }
            prop_assert_eq!(now.1.len_estimate().unwrap(), model.len());
        }
    }
}

#[test]
fn an_event_that_becomes_several_items_changes_a_table_by_each_once() {
    let disk = MemoryStore::new();
    let run = |kept: &mut Vec<Delivery<u8>>, most: usize| {
        let state = State::open(disk.clone()).unwrap();
        let table = state.table::<u8, u64>("t").unwrap();
        let acks = Acknowledger::new("numbers", state.source("numbers")).unwrap();
        let _books = balanced(&acks).holding();
        let mut counts = vec![];
        for number in acks.resume(Replayed::new([3_u8, 2])).unwrap() {
            let number = number.unwrap();
            let parts: Vec<_> = (0..*number).map(|_| number.derive(1_u8)).collect();
            drop(number);
            Local::from_iter(parts.into_iter().take(most))
                .stream_error()
                .count_by_key_in(&table, |part: &u8| part)
                .on_error_route(observer(|error: StreamError| failed(error)))
                .subscribe(|(part, count)| {
                    counts.push(count);
                    kept.push(part);
                });
        }
        state.commit().unwrap();
        (counts, disk.fork())
    };
    let mut kept = vec![];
    // The process dies when each number has been counted twice at most.
    let (counts, crashed) = run(&mut kept, 2);
    assert_eq!(counts, [1, 2, 3, 4]);
    let state = State::open(crashed).unwrap();
    let table = state.table::<u8, u64>("t").unwrap();
    let acks = Acknowledger::new("numbers", state.source("numbers")).unwrap();
    let _books = balanced(&acks);
    let mut counts = vec![];
    for number in acks.resume(Replayed::new([3_u8, 2])).unwrap() {
        let number = number.unwrap();
        for _ in 0..*number {
            let writer = table.writer("count_by_key_in");
            counts.push(
                writer
                    .apply(
                        number.receipt(),
                        &1,
                        None,
                        || 0,
                        |n| {
                            *n += 1;
                            *n
                        },
                    )
                    .unwrap(),
            );
        }
    }
    // The third part of the first number is the only one that is new.
    assert_eq!(counts, [1, 2, 5, 3, 4]);
    assert_eq!(table.get(&1).unwrap(), Some(5));
}

/// What a window or a join has made of several events.
#[test]
fn an_item_of_several_events_is_applied_once() {
    let disk = MemoryStore::new();
    let windows = |state: &State, size: usize| {
        let acks = Acknowledger::new("n", state.source("n")).unwrap();
        let _books = balanced(&acks).holding();
        let all: Vec<_> = acks.resume(Replayed::new(1_u64..=6)).unwrap().map(Result::unwrap).collect();
        let mut all = all.into_iter();
        let mut windows = vec![];
        while all.len() > 0 {
            windows.push(Delivery::gather(all.by_ref().take(size)));
        }
        windows
    };
    let sum = |table: &Table<(), u64>, window: &Delivery<Vec<u64>>| {
        let add = |sum: &mut u64| {
            *sum += window.iter().sum::<u64>();
            *sum
        };
        table.writer("sum").apply(window.receipt(), &(), None, || 0, add)
    };
    let state = State::open(disk.clone()).unwrap();
    let table = state.table("t").unwrap();
    let before = windows(&state, 2);
    // The second window is applied before the first.
    assert_eq!(sum(&table, &before[1]).unwrap(), 7);
    assert_eq!(sum(&table, &before[0]).unwrap(), 10);
    state.commit().unwrap();
    let crashed = disk.fork();

    let state = State::open(crashed).unwrap();
    let table = state.table("t").unwrap();
    let sums: Vec<_> = windows(&state, 2).iter().map(|window| sum(&table, window).unwrap()).collect();
    assert_eq!(sums, [10, 7, 21]);
}

#[test]
fn a_source_that_begins_anew_in_the_same_process_counts_nothing_twice() {
    let state = State::open(MemoryStore::new()).unwrap();
    let table: Count = state.table("t").unwrap();
    let mut seen = vec![];
    let seen_of = Rc::new(RefCell::new(vec![]));
    for most in [4, 9] {
        let log = seen_of.clone();
        let mut taken = 0;
        // The first two are done, the others given up.
        count(&state, &table, &[0, 0, 1, 0, 0], move |(click, count)| {
            taken += 1;
            log.borrow_mut().push(count);
            if taken <= 2 {
                click.ack()
            } else {
                click.abandon()
            };
            taken < most
        });
    }
    seen.extend(seen_of.borrow().iter().copied());
    assert_eq!(seen, [1, 2, 1, 3, 1, 3, 4]);
    assert_eq!(table.get("k0").unwrap(), Some(4));
}

#[test]
fn a_position_that_is_kept_elsewhere_is_an_error() {
    let state = State::open(MemoryStore::new()).unwrap();
    let table: Count = state.table("t").unwrap();
    let acks = Acknowledger::new("elsewhere", MemoryPosition::default()).unwrap();
    let _books = balanced(&acks);
    let errors = Rc::new(RefCell::new(vec![]));
    let log = errors.clone();
    Local::from_iter_result(acks.deliver(["a"].into_iter()))
        .count_by_key_in(&table, |key: &&str| *key)
        .on_error_route(observer(move |error: StreamError| log.borrow_mut().push(error.to_string())))
        .subscribe(|_| panic!("nothing is counted"));
    assert_eq!(
        *errors.borrow(),
        ["table `t`: the position of source `elsewhere` is not kept in the same state"]
    );
    assert_eq!(acks.counts().abandoned, 1);
    acks.counts().check().unwrap();
    assert_eq!(table.get("a").unwrap(), None);
}

#[test]
fn two_writers_of_a_table_have_names_of_their_own() {
    let state = State::open(MemoryStore::new()).unwrap();
    let table: Count = state.table("t").unwrap();
    let acks = Acknowledger::new("words", state.source("words")).unwrap();
    let _books = balanced(&acks);
    let mut seen = vec![];
    Local::from_iter_result(acks.resume(Replayed::new(["a b", "b b"])).unwrap())
        .count_by_key_in(table.writer("first"), |words: &&str| &words[..1])
        .map(|(words, _)| words)
        .count_by_key_in(table.writer("second"), |words: &&str| &words[2..])
        .on_error_route(observer(|error: StreamError| failed(error)))
        .subscribe(|(words, count)| {
            words.ack();
            seen.push(count);
        });
    assert_eq!(seen, [1, 3]);
    assert_eq!(table.scan_prefix(&(), 9).unwrap(), [("a".into(), 1), ("b".into(), 3)]);
    let wrong = table.writer("first").apply(&Receipt::untracked(), "a", None, || 0, |_| "text".to_owned());
    assert_eq!(
        wrong.unwrap_err().to_string(),
        "table `t`: writer `first` has results of another type already"
    );
}

#[test]
fn a_commit_that_fails_loses_nothing() {
    let disk = Faulty::default();
    let state = State::open(disk.clone()).unwrap();
    let table: Count = state.table("t").unwrap();
    let acks = Acknowledger::new("s", state.source("s")).unwrap();
    let _books = balanced(&acks);
    let mut deliveries = acks.resume(Replayed::new(["a", "a", "b"])).unwrap().map(Result::unwrap);
    let mut apply = || {
        let delivery = deliveries.next().unwrap();
        let count = |n: &mut u64| {
            *n += 1;
            *n
        };
        let counted = table.writer("w").apply(delivery.receipt(), *delivery, None, || 0, count).unwrap();
        (delivery, counted)
    };
    let (first, one) = apply();
    state.commit().unwrap();
    first.ack();
    let (second, two) = apply();
    disk.fails_before.store(true, Ordering::Relaxed);
    let error = acks.commit().unwrap_err().to_string();
    assert_eq!(error, "position of `s` in failing: store failing: disk full");
    assert_eq!(state.commit().unwrap_err().to_string(), "store failing: disk full");
    disk.fails_before.store(false, Ordering::Relaxed);
    let (third, again_one) = apply();
    assert_eq!((one, two, again_one), (1, 2, 1));
    state.commit().unwrap();
    let crashed = disk.inner.fork();
    drop((second, third));

    let state = State::open(crashed).unwrap();
    let table: Count = state.table("t").unwrap();
    assert_eq!(state.committed("s"), None, "the position was not durable");
    assert_eq!(table.scan_prefix(&(), 9).unwrap(), [("a".into(), 2), ("b".into(), 1)]);
    let acks = Acknowledger::new("s", state.source("s")).unwrap();
    let _books = balanced(&acks);
    let mut counts = vec![];
    Local::from_iter_result(acks.resume(Replayed::new(["a", "a", "b"])).unwrap())
        .count_by_key_in(table.writer("w"), |key: &&str| *key)
        .on_error_route(observer(|error: StreamError| failed(error)))
        .subscribe(|(_, count)| counts.push(count));
    assert_eq!(counts, [1, 2, 1], "as they were counted before");
}

#[test]
fn what_is_wrong_is_said_by_name() {
    let disk = MemoryStore::new();
    let state = State::open(disk.clone()).unwrap();
    let table: Count = state.table("t").unwrap();
    let message = |error: StateError| error.to_string();
    assert_eq!(message(state.table::<u8, u8>("t").err().unwrap()), "table `t` is open already");
    table.insert("a", 7).unwrap();
    state.commit().unwrap();

    let other = State::open(disk.fork()).unwrap().table::<String, Vec<String>>("t").unwrap();
    let error = message(other.get("a").unwrap_err());
    assert!(
        error.starts_with("table `t`, key r\\x00\\x01ta\\x00\\x01: not a value of its type: "),
        "{error}"
    );
    let other = State::open(disk.fork()).unwrap().table::<u64, u64>("t").unwrap();
    assert_eq!(
        message(other.scan_prefix(&(), 9).unwrap_err()),
        "table `t`: a\\x00\\x01 is no key of its type"
    );

    let newer =
        TableOptions::new().version(2).migrate(|from, bytes| Ok(u64::from(from) + decode::<u64>(bytes)?));
    let state_2 = State::open(disk.fork()).unwrap();
    assert_eq!(
        message(state_2.table_with::<String, u64>("t", TableOptions::new().version(2)).err().unwrap()),
        "table `t` has schema version 0, and the program wants 2, without a migration"
    );
    let disk_2 = disk.fork();
    let table_2 = State::open(disk_2.clone()).unwrap().table_with::<String, u64>("t", newer).unwrap();
    assert_eq!(table_2.get("a").unwrap(), Some(7));
    drop(table_2);
    assert_eq!(
        message(State::open(disk_2).unwrap().table::<String, u64>("t").err().unwrap()),
        "table `t` has schema version 2, and the program wants 0"
    );

    let inner = table.clone();
    let error = table.update("a", || 0, |_| inner.get("a")).unwrap().unwrap_err();
    assert_eq!(message(error), "table `t` was used within an update of a table");
    let (inner, other) = (table.clone(), state.clone());
    assert!(table.update("a", || 0, |_| (inner.remove("a").is_err(), other.commit().is_err())).unwrap().0);

    let panics = std::panic::AssertUnwindSafe(|| table.update("a", || 0, |_| -> u64 { panic!("boom") }));
    std::panic::catch_unwind(panics).unwrap_err();
    let poisoned = "table `t`: an update panicked, so nothing can be committed any more";
    assert_eq!(message(table.get("a").unwrap_err()), poisoned);
    assert_eq!(message(state.commit().unwrap_err()), poisoned);
}

#[test]
fn a_closure_that_panics_ends_the_stream_and_the_state_is_as_it_was_committed() {
    let disk = MemoryStore::new();
    let run = |bad: u8| {
        let state = State::open(disk.clone()).unwrap();
        let table = state.table::<u8, u64>("t").unwrap();
        let policy = AckPolicy::default().commit_every(1);
        let acks = Acknowledger::with("s", state.source("s"), policy).unwrap();
        let (mut seen, errors) = (vec![], Rc::new(RefCell::new(vec![])));
        let log = errors.clone();
        Local::from_iter_result(acks.resume(Replayed::new([1_u8, 1, 2, 1])).unwrap())
            .scan_by_key_in(
                &table,
                |key: &u8| key,
                || 0,
                move |n, key| {
                    *n += 1;
                    assert_ne!(*key, bad, "boom");
                    *n
                },
            )
            .on_error_route(observer(move |error: StreamError| log.borrow_mut().push(error.to_string())))
            .subscribe(|n| seen.push(n.ack()));
        (seen, errors.take())
    };
    let (seen, errors) = run(2);
    assert_eq!(seen, [1, 2]);
    assert!(errors[0].contains("scan_by_key_in") && errors[0].contains("boom"), "{errors:?}");
    // What a commit in between had is there; the rest is counted once.
    let (seen, errors) = run(9);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(seen.last(), Some(&3));
}

fn ttl(after: u64) -> TableOptions<u64> {
    TableOptions::new().ttl(Duration::from_nanos(after))
}

/// Counts `(key, time)`.
fn timed(table: &Count, key: &str, at: i64) -> u64 {
    let count = |n: &mut u64| {
        *n += 1;
        *n
    };
    table.writer("w").apply(&Receipt::untracked(), key, Some(at), || 0, count).unwrap()
}

#[test]
fn a_key_is_forgotten_a_while_after_its_last_event() {
    let disk = MemoryStore::new();
    let state = State::open(disk.clone()).unwrap();
    let table = state.table_with::<String, u64>("t", ttl(10)).unwrap();
    assert_eq!(timed(&table, "a", 0), 1);
    assert_eq!(timed(&table, "a", 9), 2);
    assert_eq!(timed(&table, "a", 5), 3, "an older event does not shorten its life");
    assert_eq!(timed(&table, "b", 18), 1);
    assert_eq!(table.get("a").unwrap(), Some(3));
    assert_eq!(timed(&table, "b", 19), 2);
    assert_eq!(table.get("a").unwrap(), None, "9 + 10");
    assert_eq!(timed(&table, "a", 20), 1, "counted anew");
    let error = table.writer("x").apply(&Receipt::untracked(), "a", None, || 0, |n| *n);
    assert_eq!(error.unwrap(), 1, "by the newest time");
    // The newest time survives too.
    drop((table, state));
    let table = State::open(disk).unwrap().table_with::<String, u64>("t", ttl(10)).unwrap();
    assert_eq!(table.get("b").unwrap(), Some(2));
    timed(&table, "c", 30);
    assert_eq!(table.scan_prefix(&(), 9).unwrap(), [("c".into(), 1)]);

    let fresh = State::open(MemoryStore::new()).unwrap().table_with::<String, u64>("t", ttl(10)).unwrap();
    let error = fresh.insert("a", 1).unwrap_err();
    assert_eq!(error.to_string(), "table `t` forgets by event time, and an update has none");
}

fn rows(disk: &MemoryStore, space: u8) -> usize {
    let mut rows = 0;
    disk.scan(&[space], Some(&[space + 1]), &mut |_, _| {
        rows += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    rows
}

/// A key refreshed in the batch that sweeps it survives; `key` that is over leaves `key2`.
#[test]
fn a_sweep_takes_what_is_over_and_nothing_else() {
    let disk = MemoryStore::new();
    let state = State::open(disk.clone()).unwrap();
    let table = state.table_with::<String, u64>("t", ttl(10)).unwrap();
    timed(&table, "key", 0);
    timed(&table, "kept", 0);
    timed(&table, "key2", 5);
    state.commit().unwrap();
    assert_eq!((rows(&disk, b'r'), rows(&disk, b'x')), (3, 3));
    timed(&table, "kept", 9);
    timed(&table, "now", 12);
    state.commit().unwrap(); // sweeps at 12: `key`; `kept` has been refreshed in this batch
    assert_eq!((rows(&disk, b'r'), rows(&disk, b'x')), (3, 3));
    assert_eq!(table.get("kept").unwrap(), Some(2));
    assert_eq!(table.get("key2").unwrap(), Some(1));
    assert_eq!(table.get("key").unwrap(), None);
    assert_eq!(table.len_estimate().unwrap(), 3);
    drop((table, state));
    let table = State::open(disk.clone()).unwrap().table_with::<String, u64>("t", ttl(10)).unwrap();
    assert_eq!(table.get("kept").unwrap(), Some(2));
    assert_eq!(table.len_estimate().unwrap(), 3);
}

/// After all are over and swept, what is stored is what lives; no commit takes more than its budget.
#[test]
fn sweeps_have_a_budget_and_come_to_an_end() {
    let disk = MemoryStore::new();
    let state = State::open(disk.clone()).unwrap();
    // Less in memory than there are keys.
    let table = state.table_with::<String, u64>("t", ttl(10).sweep(30).cached(16)).unwrap();
    for key in 0..100 {
        timed(&table, &format!("{key}"), key % 10);
    }
    state.commit().unwrap();
    assert_eq!(rows(&disk, b'r'), 100);
    timed(&table, "living", 100);
    for left in [71, 41, 11, 1, 1] {
        state.commit().unwrap();
        assert_eq!(rows(&disk, b'r'), left);
        timed(&table, "living", 100);
    }
    assert_eq!((rows(&disk, b'x'), table.len_estimate().unwrap()), (1, 1));
}

#[test]
fn a_clock_of_your_own_forgets_without_events() {
    let clock = Arc::new(AtomicI64::new(0));
    let now = clock.clone();
    let options =
        TableOptions::new().ttl_by_clock(Duration::from_nanos(10), move || now.load(Ordering::Relaxed));
    let disk = MemoryStore::new();
    let state = State::open(disk.clone()).unwrap();
    let table = state.table_with::<String, u64>("t", options).unwrap();
    table.insert("a", 1).unwrap();
    state.commit().unwrap();
    clock.store(10, Ordering::Relaxed);
    assert_eq!(table.get("a").unwrap(), None);
    state.commit().unwrap();
    assert_eq!((rows(&disk, b'r'), rows(&disk, b'x')), (0, 0));
}

/// Recovery of a store with nothing in it, or with removed keys only, comes to an end and is right.
#[test]
fn what_was_removed_stays_removed() {
    let disk = MemoryStore::new();
    for _ in 0..3 {
        let state = State::open(disk.clone()).unwrap();
        let table: Count = state.table("t").unwrap();
        assert_eq!(table.scan_prefix(&(), 9).unwrap(), []);
        assert_eq!(table.len_estimate().unwrap(), 0);
        table.insert("a", 1).unwrap();
        state.commit().unwrap();
        assert_eq!(table.remove("a").unwrap(), Some(1));
        assert_eq!(table.remove("a").unwrap(), None);
    }
    assert_eq!(rows(&disk, b'r'), 0);
}

/// A million fast increments; the disk is cut off in their midst.
#[test]
fn after_a_crash_the_counts_are_those_of_the_committed_input() {
    const KEYS: u64 = 1000;
    let disk = MemoryStore::new();
    let run = |disk: &MemoryStore, crash_at: u64| {
        let state = State::open(disk.clone()).unwrap();
        let table = state.table::<u64, u64>("t").unwrap();
        let acks = Acknowledger::new("n", state.source("n")).unwrap();
        let _books = balanced(&acks);
        let (mut left, crashed, now) = (crash_at, Rc::new(RefCell::new(None)), disk.clone());
        let at = crashed.clone();
        Local::from_iter_result(acks.resume(Replayed::new(0..1_000_000_u64)).unwrap())
            .map(|n: Delivery<u64>| n.map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS))
            .count_by_key_in(&table, |key: &u64| key)
            .on_error_route(observer(|error: StreamError| failed(error)))
            .subscribe(move |_| {
                left -= 1;
                if left == 0 {
                    *at.borrow_mut() = Some(now.fork());
                }
            });
        let at = crashed.borrow_mut().take();
        (at, table)
    };
    let (crashed, _) = run(&disk, 654_321);
    let crashed = crashed.unwrap();
    let state = State::open(crashed.fork()).unwrap();
    let counted = state.table::<u64, u64>("t").unwrap().scan_prefix(&(), 9999).unwrap();
    let committed = state.committed("n").unwrap().lines;
    assert_eq!(committed, 654_000);
    assert_eq!(counted.iter().map(|(_, n)| n).sum::<u64>(), committed);
    drop(state);
    let (_, table) = run(&crashed, u64::MAX);
    let mut right = HashMap::new();
    (0..1_000_000_u64)
        .for_each(|n| *right.entry(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS).or_insert(0_u64) += 1);
    let counted = table.scan_prefix(&(), 9999).unwrap();
    assert_eq!(counted.len(), right.len());
    assert!(counted.iter().all(|(key, count)| right[key] == *count));
}

/// Two threads count into one table, a third one asks.
#[test]
fn a_table_is_shared_by_threads() {
    let state = State::open(MemoryStore::new()).unwrap();
    let table = state.table::<u64, u64>("t").unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let (reader, done) = (table.reader(), &done);
        let asks = threads.spawn(move || {
            let mut last = 0;
            while !done.load(Ordering::Acquire) {
                let now = reader.get(&0).unwrap().unwrap_or(0);
                assert!(now >= last);
                last = now;
            }
        });
        let counts: Vec<_> = ["one", "two"]
            .into_iter()
            .map(|name| {
                let (state, table) = (state.clone(), table.clone());
                threads.spawn(move || {
                    let policy = AckPolicy::default().commit_every(50);
                    let acks = Acknowledger::with(name, state.source(name), policy).unwrap();
                    let seen = Arc::new(AtomicI64::new(0));
                    let log = seen.clone();
                    Shared::from_iter_result(acks.resume(Replayed::new(0..20_000_u64)).unwrap())
                        .map(|n: Delivery<u64>| n.map(|n| n % 7))
                        .count_by_key_in(&table, |key: &u64| key)
                        .on_error_route(observer(|error: StreamError| failed(error)))
                        .subscribe(move |_| _ = log.fetch_add(1, Ordering::Relaxed));
                    assert_eq!(seen.load(Ordering::Relaxed), 20_000);
                })
            })
            .collect();
        counts.into_iter().for_each(|thread| thread.join().unwrap());
        done.store(true, Ordering::Release);
        asks.join().unwrap();
    });
    let total: u64 = table.scan_prefix(&(), 99).unwrap().iter().map(|(_, n)| n).sum();
    assert_eq!(total, 40_000);
    for name in ["one", "two"] {
        assert_eq!(state.committed(name).unwrap().lines, 20_000);
    }
}

#[test]
fn duplicates_are_dropped_by_policy_and_come_again_with_the_same_answer() {
    let disk = MemoryStore::new();
    let run = |disk: &MemoryStore| {
        let state = State::open(disk.clone()).unwrap();
        let options = TableOptions::new().ttl(Duration::from_nanos(10));
        let orders = state.table_with::<u32, ()>("orders", options).unwrap();
        let acks = Acknowledger::new("orders", state.source("orders")).unwrap();
        let _books = balanced(&acks);
        let orders_at = [(1_u32, 0_i64), (1, 5), (1, 9), (1, 10), (2, 11)];
        let seen = Rc::new(RefCell::new(vec![]));
        let (log, crashed) = (seen.clone(), Rc::new(RefCell::new(None)));
        let (at, now, all) = (crashed.clone(), disk.clone(), state.clone());
        let mut held = vec![];
        Local::from_iter_result(acks.resume(Replayed::new(orders_at)).unwrap())
            .deduplicate_in(orders.writer("once").timed(|order: &(u32, i64)| order.1), |order| &order.0)
            .on_error_route(observer(|error: StreamError| failed(error)))
            .subscribe(move |order| {
                log.borrow_mut().push(order.1);
                held.push(order);
                all.commit().unwrap();
                *at.borrow_mut() = Some(now.fork());
            });
        let counts = acks.counts();
        counts.check().unwrap();
        assert_eq!(counts.dropped, 2);
        let crashed = crashed.borrow_mut().take().unwrap();
        (seen.borrow().clone(), crashed)
    };
    let (seen, crashed) = run(&disk);
    assert_eq!(seen, [0, 10, 11], "those that are dropped do not prolong it");
    assert_eq!(run(&crashed).0, seen);
}

#[test]
fn a_snapshot_is_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let state = State::open(RedbStore::open(folder.path().join("state.redb")).unwrap()).unwrap();
    let table: Count = state.table("t").unwrap();
    let acks = Acknowledger::new("s", state.source("s")).unwrap();
    let _books = balanced(&acks);
    let mut deliveries = acks.resume(Replayed::new(["a", "b"])).unwrap().map(Result::unwrap);
    let (first, second) = (deliveries.next().unwrap(), deliveries.next().unwrap());
    for delivery in [&second, &first] {
        table
            .writer("w")
            .apply(
                delivery.receipt(),
                **delivery,
                None,
                || 0,
                |n| {
                    *n += 1;
                    *n
                },
            )
            .unwrap();
    }
    first.ack();
    acks.commit().unwrap();
    state.snapshot(&path).unwrap();

    let restored = State::restore(&path, MemoryStore::new()).unwrap();
    assert_eq!(restored.committed("s").unwrap().lines, 1);
    let table_2: Count = restored.table("t").unwrap();
    let acks_2 = Acknowledger::new("s", restored.source("s")).unwrap();
    let _acks_2_books = balanced(&acks_2);
    let again = acks_2.resume(Replayed::new(["a", "b"])).unwrap().next().unwrap().unwrap();
    // `b` was applied, and was not done.
    let count = |n: &mut u64| {
        *n += 1;
        *n
    };
    assert_eq!(table_2.writer("w").apply(again.receipt(), "b", None, || 0, count).unwrap(), 1);
    assert_eq!(table_2.scan_prefix(&(), 9).unwrap(), [("a".into(), 1), ("b".into(), 1)]);

    let store = MemoryStore::new();
    State::open(store.clone()).unwrap().table::<u8, u8>("x").unwrap().insert(&1, 1).unwrap();
    let error = State::restore(&path, store).err().unwrap().to_string();
    assert!(error.ends_with("snapshot: the store memory is not empty"), "{error}");

    let whole = std::fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged");
    let refused = |bytes: &[u8]| {
        std::fs::write(&damaged, bytes).unwrap();
        State::restore(&damaged, MemoryStore::new()).is_err()
    };
    assert!((0..whole.len()).all(|length| refused(&whole[..length])), "torn");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        assert!(refused(&bytes), "byte {at}");
    }
}

#[test]
fn a_file_has_one_owner_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let store = RedbStore::open(&path).unwrap();
    let error = RedbStore::open(&path).err().unwrap().to_string();
    assert!(error.contains("state.redb: "), "{error}");
    drop(store);
    std::fs::write(&path, b"this is no database").unwrap();
    let error = RedbStore::open(&path).err().unwrap().to_string();
    assert!(error.contains("state.redb: "), "{error}");
}
