//! Keyed counts, and counts in tumbling windows of event time for each key: a loop by hand, rxevents, timely and renoir, on
//! one thread (renoir gives its source a thread of its own).
//!
//! Prints a Markdown table: nanoseconds per event, the best of several interleaved rounds. All give the same sums.

use std::{hint::black_box, time::Instant};

use hashbrown::HashMap;
use rxevents::{
    operator::{
        event_window::{EventWindows, aggregate},
        key::FastHasher,
    },
    prelude::*,
    source::SplitMix64,
};

const EVENTS: usize = 1 << 20;
const KEYS: u64 = 10_000;
const SIZE: i64 = 10_000_000_000;
const ROUNDS: usize = 5;

/// Key, and event time in nanoseconds: one each millisecond.
#[derive(Debug, Clone, Copy)]
struct Event {
    key: u64,
    at: i64,
}

/// How many counts came out, and their sum.
type Sums = (u64, u64);
type Work = fn(&'static [Event]) -> Sums;

fn main() {
    let mut random = SplitMix64::new(4);
    // Some keys come much more often than others.
    let mut key = || (random.next_u64() % KEYS).min(random.next_u64() % KEYS);
    let events: Vec<_> = (0..EVENTS).map(|n| Event { key: key(), at: n as i64 * 1_000_000 }).collect();
    let events: &'static [Event] = events.leak();
    println!("| work | by hand | rxevents | timely 0.32 | renoir 0.6 |");
    println!("|---|---|---|---|---|");
    measure("counts of 10,000 keys", events, [by_hand::counts, ours::counts, timely_::counts, renoir_::counts]);
    measure(
        "counts in tumbling windows of 10 s, for each key",
        events,
        [by_hand::windows, ours::windows, timely_::windows, renoir_::windows],
    );
}

fn measure(name: &str, events: &'static [Event], works: [Work; 4]) {
    let (mut best, mut sums) = ([f64::INFINITY; 4], [(0, 0); 4]);
    for _ in 0..ROUNDS {
        for (work, (best, sum)) in works.iter().zip(best.iter_mut().zip(&mut sums)) {
            let start = Instant::now();
            *sum = work(events);
            *best = best.min(start.elapsed().as_secs_f64() * 1e9 / EVENTS as f64);
        }
    }
    assert!(sums.iter().all(|sum| sum.1 == sums[0].1), "{name}: {sums:?}");
    let cells: Vec<_> = best.iter().map(|ns| format!("{ns:.1}")).collect();
    println!("| {name} | {} |", cells.join(" | "));
}

mod by_hand {
    use super::*;

    pub(crate) fn counts(events: &'static [Event]) -> Sums {
        let mut counts = HashMap::<u64, u64, FastHasher>::default();
        for event in events.iter().map(black_box) {
            *counts.entry(event.key).or_default() += 1;
        }
        (counts.len() as u64, counts.values().sum())
    }

    pub(crate) fn windows(events: &'static [Event]) -> Sums {
        let mut open = HashMap::<u64, u64, FastHasher>::default();
        let (mut end, mut sums) = (SIZE, (0, 0));
        let mut close = |open: &mut HashMap<u64, u64, FastHasher>| {
            for (_, count) in open.drain() {
                sums = (sums.0 + 1, sums.1 + black_box(count));
            }
        };
        for event in events.iter().map(black_box) {
            while event.at >= end {
                close(&mut open);
                end += SIZE;
            }
            *open.entry(event.key).or_default() += 1;
        }
        close(&mut open);
        sums
    }
}

mod ours {
    use super::*;
    use std::{cell::Cell, rc::Rc};

    /// Each event comes out with its count; the last of each key is what counts.
    pub(crate) fn counts(events: &'static [Event]) -> Sums {
        let (mut keys, mut sum) = (0, 0);
        Local::from_iter(events.iter().map(black_box)).count_by_key(|event: &&Event| &event.key).subscribe(
            |(_, count)| {
                keys += u64::from(count == 1);
                sum += u64::from(black_box(count) > 0);
            },
        );
        (keys, sum)
    }

    pub(crate) fn windows(events: &'static [Event]) -> Sums {
        let sums = Rc::new(Cell::new((0, 0)));
        let log = sums.clone();
        let spec = EventWindows::tumbling(std::time::Duration::from_nanos(SIZE as u64));
        Local::from_iter(events.iter().map(black_box))
            .event_windows(spec, |event: &&Event| &event.key, |event: &&Event| event.at, aggregate::count())
            .subscribe(move |window| {
                let (windows, sum) = log.get();
                log.set((windows + 1, sum + black_box(window.value)));
            });
        sums.get()
    }
}

mod timely_ {
    use super::*;
    use std::{cell::Cell, rc::Rc};
    use timely::container::CapacityContainerBuilder;
    use timely::dataflow::{
        InputHandle, ProbeHandle,
        channels::pact::Pipeline,
        operators::{Inspect, Operator, Probe},
    };

    type Input = InputHandle<u64, CapacityContainerBuilder<Vec<u64>>>;

    /// Events go in by 1,024, as its own examples and its users do.
    const BATCH: usize = 1024;

    pub(crate) fn counts(events: &'static [Event]) -> Sums {
        timely::execute_directly(move |worker| {
            let sums = Rc::new(Cell::new((0, 0)));
            let log = sums.clone();
            let mut input: Input = InputHandle::new();
            let probe = ProbeHandle::new();
            worker.dataflow::<u64, _, _>(|scope| {
                input
                    .to_stream(scope)
                    .unary(Pipeline, "count", |_, _| {
                        let mut counts = HashMap::<u64, u64, FastHasher>::default();
                        move |input, output| {
                            input.for_each_stamp(|cap, data| {
                                let mut session = output.session(&cap);
                                for batch in data {
                                    for key in batch.drain(..) {
                                        let count = counts.entry(key).or_default();
                                        *count += 1;
                                        session.give((key, *count));
                                    }
                                }
                            });
                        }
                    })
                    .container::<Vec<(u64, u64)>>()
                    .inspect(move |(_, count)| {
                        let (keys, sum) = log.get();
                        log.set((keys + u64::from(*count == 1), sum + u64::from(black_box(*count) > 0)));
                    })
                    .probe_with(&probe);
            });
            for (n, batch) in events.chunks(BATCH).enumerate() {
                batch.iter().map(black_box).for_each(|event| input.send(event.key));
                input.advance_to(n as u64 + 1);
                while probe.less_than(input.time()) {
                    worker.step();
                }
            }
            sums.get()
        })
    }

    /// A window is one of its times: counted as it comes, sent when the frontier has passed it.
    pub(crate) fn windows(events: &'static [Event]) -> Sums {
        timely::execute_directly(move |worker| {
            let sums = Rc::new(Cell::new((0, 0)));
            let log = sums.clone();
            let mut input: Input = InputHandle::new();
            let probe = ProbeHandle::new();
            worker.dataflow::<u64, _, _>(|scope| {
                input
                    .to_stream(scope)
                    .unary_frontier(Pipeline, "windows", |_, _| {
                        let mut open = std::collections::BTreeMap::new();
                        move |(input, frontier), output| {
                            input.for_each_stamp(|cap, data| {
                                if let Some(cap) = cap.retain_least(output.output_index()) {
                                    let (_, counts) = open
                                        .entry(*cap.time())
                                        .or_insert_with(|| (cap, HashMap::<u64, u64, FastHasher>::default()));
                                    for batch in data {
                                        for key in batch.drain(..) {
                                            *counts.entry(key).or_default() += 1;
                                        }
                                    }
                                }
                            });
                            while let Some(entry) = open.first_entry() {
                                if frontier.less_equal(entry.key()) {
                                    break;
                                }
                                let (cap, counts) = entry.remove();
                                let mut session = output.session(&cap);
                                counts.into_iter().for_each(|count| session.give(count));
                            }
                        }
                    })
                    .container::<Vec<(u64, u64)>>()
                    .inspect(move |(_, count)| {
                        let (windows, sum) = log.get();
                        log.set((windows + 1, sum + black_box(*count)));
                    })
                    .probe_with(&probe);
            });
            let mut sent = 0;
            for event in events.iter().map(black_box) {
                let window = (event.at / SIZE) as u64;
                if window > *input.time() {
                    input.advance_to(window);
                }
                input.send(event.key);
                sent += 1;
                if sent % BATCH == 0 {
                    worker.step();
                }
            }
            input.close();
            while worker.step() {}
            sums.get()
        })
    }
}

mod renoir_ {
    use super::*;
    use renoir::prelude::*;

    fn env() -> StreamContext {
        StreamContext::new(RuntimeConfig::local(1).expect("one host"))
    }

    pub(crate) fn counts(events: &'static [Event]) -> Sums {
        let env = env();
        let keys = env
            .stream_iter(events.iter().map(|event| black_box(event).key))
            .batch_mode(BatchMode::fixed(1024))
            .group_by(|key| *key)
            .fold(0_u64, |count, _| *count += 1)
            .collect_vec();
        env.execute_blocking();
        let keys = keys.get().unwrap_or_default();
        (keys.len() as u64, keys.iter().map(|(_, count)| count).sum())
    }

    pub(crate) fn windows(events: &'static [Event]) -> Sums {
        let env = env();
        let windows = env
            .stream_iter(events.iter().map(|event| (black_box(event).key, event.at)))
            .batch_mode(BatchMode::fixed(1024))
            .add_timestamps(|(_, at)| *at, {
                let mut n = 0_u64;
                move |_, at| {
                    n += 1;
                    n.is_multiple_of(1000).then_some(*at)
                }
            })
            .group_by(|(key, _)| *key)
            .window(EventTimeWindow::tumbling(SIZE))
            .fold(0_u64, |count, _| *count += 1)
            .collect_vec();
        env.execute_blocking();
        let windows = windows.get().unwrap_or_default();
        (windows.len() as u64, windows.iter().map(|(_, count)| count).sum())
    }
}
