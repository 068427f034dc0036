//! Durable counts beside a loop by hand that writes the same into the same store: a million updates of ten thousand keys,
//! the counts and the position committed every thousand, in one transaction that is flushed to the disk.
//!
//! `cargo bench --bench state` prints a Markdown table: nanoseconds per event, the best of several interleaved rounds.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

#[path = "../common/table.rs"]
mod table;

use std::{collections::HashSet, hint::black_box, time::Instant};

use hashbrown::HashMap;
use redb::{Database, TableDefinition};
use rxevents::{
    delivery::AckPolicy,
    operator::key::FastHasher,
    prelude::*,
    source::{Replayed, SplitMix64},
    state::{MemoryStore, RedbStore, Store},
};

const EVENTS: usize = 1_000_000;
const KEYS: u64 = 10_000;
const COMMIT: usize = 1000;
const COUNTS: TableDefinition<'_, u64, u64> = TableDefinition::new("counts");
const POSITION: TableDefinition<'_, (), u64> = TableDefinition::new("position");

type Work = Option<Box<dyn FnMut() -> (usize, u64)>>;

fn keys() -> &'static [u64] {
    let mut random = SplitMix64::new(9);
    (0..EVENTS).map(|_| random.next_u64() % KEYS).collect::<Vec<_>>().leak()
}

fn by_hand(keys: &[u64], disk: Option<&Database>) -> (usize, u64) {
    let mut counts = HashMap::<u64, u64, FastHasher>::default();
    let mut changed = HashSet::<u64, FastHasher>::default();
    for (at, key) in keys.iter().enumerate().map(black_box) {
        *counts.entry(*key).or_default() += 1;
        if let Some(disk) = disk {
            changed.insert(*key);
            if (at + 1) % COMMIT == 0 {
                let write = disk.begin_write().unwrap();
                {
                    let mut table = write.open_table(COUNTS).unwrap();
                    let mut changed: Vec<_> = changed.drain().collect();
                    changed.sort_unstable();
                    for key in changed {
                        table.insert(key, counts[&key]).unwrap();
                    }
                    write.open_table(POSITION).unwrap().insert((), at as u64 + 1).unwrap();
                }
                write.commit().unwrap();
            }
        }
    }
    (counts.len(), counts.values().sum())
}

fn ours(keys: &'static [u64], store: impl Store, commit: usize) -> (usize, u64) {
    let state = State::open(store).unwrap();
    let counts = state.table::<u64, u64>("counts").unwrap();
    let policy = AckPolicy::default().commit_every(commit as u64);
    let acks = Acknowledger::with("keys", state.source("keys"), policy).unwrap();
    Local::from_iter_result(acks.resume(Replayed::new(keys.iter().map(black_box))).unwrap())
        .count_by_key_in(&counts, |key: &&u64| *key)
        .on_error_route(observer(|error: StreamError| panic!("{error}")))
        .subscribe(|(key, _)| _ = key.ack());
    let all = counts.scan_prefix(&(), usize::MAX).unwrap();
    (all.len(), all.iter().map(|(_, count)| count).sum())
}

fn main() {
    let keys = keys();
    println!("| counts in a table | by hand, ns | ours |");
    println!("|---|---|---|");
    let hand: Work = Some(Box::new(move || by_hand(keys, None)));
    let in_memory: Work = Some(Box::new(move || ours(keys, MemoryStore::new(), 1 << 16)));
    table::measure("in memory, committed every 65,536", EVENTS, [hand, in_memory]);

    let folder = tempfile::tempdir().unwrap();
    let fresh = |who: &'static str| {
        let folder = folder.path().to_owned();
        let mut n = 0;
        move || {
            n += 1;
            folder.join(format!("{who}-{n}.redb"))
        }
    };
    let (mut a, mut b) = (fresh("hand"), fresh("ours"));
    let hand: Work = Some(Box::new(move || by_hand(keys, Some(&Database::create(a()).unwrap()))));
    let durable: Work = Some(Box::new(move || ours(keys, RedbStore::open(b()).unwrap(), COMMIT)));
    table::measure("redb, committed every 1,000", EVENTS, [hand, durable]);

    let last = folder.path().join(format!("ours-{}.redb", table::rounds()));
    let start = Instant::now();
    let state = State::open(RedbStore::open(last).unwrap()).unwrap();
    let counts = state.table::<u64, u64>("counts").unwrap();
    let first = counts.get(&0).unwrap();
    println!("\nopened again, and the first of {KEYS} keys read ({first:?}), in {:?}", start.elapsed());
}
