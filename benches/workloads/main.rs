//! Whole pipelines beside the hand-written loops that do the same work, in one run, with equal checksums.
//!
//! `cargo bench --bench workloads` prints a Markdown table: nanoseconds per event (the best of several interleaved
//! rounds), and the ratio to the loop by hand. Words on the command line pick rows.

#![allow(missing_docs, clippy::print_stdout)]

mod data;
#[path = "../common/table.rs"]
mod table;

use std::{
    cell::Cell,
    collections::VecDeque,
    convert::Infallible,
    hint::black_box,
    num::NonZeroUsize,
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hashbrown::HashMap;
use regex::Regex;
use rxevents::{operator::key::FastHasher, prelude::*};
use serde::Deserialize;
use tokio::task::LocalSet;

use data::Sensor;

/// A piece of work; what it gives is equal for all that do the same work.
type Work = Box<dyn FnMut() -> Sums>;
type Sums = [u64; 4];

/// The same pipeline in `Local` and in `Shared`: inside, `$ctx` is the context.
macro_rules! ours {
    (|$ctx:ident| $body:expr) => {
        [
            Some(Box::new(move || {
                use rxevents::prelude::Local as $ctx;
                $body
            }) as Work),
            Some(Box::new(move || {
                use rxevents::prelude::Shared as $ctx;
                $body
            }) as Work),
        ]
    };
}

struct Row {
    name: &'static str,
    events: usize,
    hand: Work,
    ours: [Option<Work>; 2],
}

fn row(
    name: &'static str,
    events: usize,
    hand: impl FnMut() -> Sums + 'static,
    ours: [Option<Work>; 2],
) -> Row {
    Row { name, events, hand: Box::new(hand), ours }
}

fn main() {
    let picked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    // For what starts a timer.
    let (runtime, local) =
        (tokio::runtime::Builder::new_current_thread().enable_all().build(), LocalSet::new());
    let Ok(runtime) = runtime else { return println!("no runtime") };
    let (_runtime, _local) = (runtime.enter(), local.enter());
    println!("| workload | by hand, ns | ours `Local` | ours `Shared` |");
    println!("|---|---|---|---|");
    let workloads: [(&str, fn() -> Vec<Row>); 8] =
        [("W1", w1), ("W2", w2), ("W3", w3), ("W4", w4), ("W5", w5), ("W6", w6), ("W7", w7), ("W8", w8)];
    for (name, rows) in workloads.into_iter().chain([("W10", w10 as fn() -> Vec<Row>)]) {
        if picked.is_empty() || picked.iter().any(|word| word == name) {
            for Row { name, events, hand, ours: [local, shared] } in rows() {
                table::measure(name, events, [Some(hand), local, shared]);
            }
        }
    }
}

fn leak<T>(events: Vec<T>) -> &'static [T] {
    events.leak()
}

/// A sum that several closures add to.
#[derive(Clone, Default)]
struct Sum(Arc<AtomicU64>);

impl Sum {
    fn add(&self, v: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(v), Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Filter, map, count and sum.
fn w1() -> Vec<Row> {
    let events = leak(data::sensors());
    let sums = |count: u64, sum: f64| [count, (sum * f64::from(1 << 20)) as u64, 0, 0];
    let by_hand = move || {
        let (mut count, mut sum) = (0, 0.0);
        for Sensor { temperature, .. } in events.iter().map(black_box) {
            if *temperature > 30.0 {
                count += 1;
                sum += (temperature - 30.0) * 0.5;
            }
        }
        sums(count, sum)
    };
    let cold = ours!(|Ctx| {
        let (mut count, mut sum) = (0, 0.0);
        Ctx::from_iter(events.iter().map(black_box).copied())
            .filter(|sensor: &Sensor| sensor.temperature > 30.0)
            .map(|sensor| (sensor.temperature - 30.0) * 0.5)
            .subscribe(|v| {
                count += 1;
                sum += v;
            });
        sums(count, sum)
    });
    // Of a subject: whoever listens is behind one boxed call an event.
    let boxed = move || {
        let sums_of = Rc::new(Cell::new((0, 0.0)));
        let listener = sums_of.clone();
        let mut listen: Box<dyn FnMut(Sensor)> = black_box(Box::new(move |sensor: Sensor| {
            if sensor.temperature > 30.0 {
                let (count, sum) = listener.get();
                listener.set((count + 1, sum + (sensor.temperature - 30.0) * 0.5));
            }
        }));
        events.iter().for_each(|sensor| listen(*sensor));
        let (count, sum) = sums_of.get();
        sums(count, sum)
    };
    macro_rules! hot {
        (|$source:ident| $listened:expr, $feed:expr) => {
            ours!(|Ctx| {
                let (count, total) = (Sum::default(), Arc::new(AtomicU64::new(0)));
                let (counter, sum) = (count.clone(), total.clone());
                let mut $source = Ctx::subject::<Sensor, Infallible>();
                $listened
                    .filter(|sensor: &Sensor| sensor.temperature > 30.0)
                    .map(|sensor| (sensor.temperature - 30.0) * 0.5)
                    .subscribe(move |v| {
                        counter.add(1);
                        sum.store((f64::from_bits(sum.load(Relaxed)) + v).to_bits(), Relaxed);
                    });
                $feed;
                sums(count.get(), f64::from_bits(total.load(Relaxed)))
            })
        };
    }
    let hot = hot!(|source| source.clone(), events.iter().for_each(|sensor| source.next(*sensor)));
    let batches = hot!(
        |source| source.clone().batched(),
        events.chunks(256).for_each(|batch| source.inner_mut().next_batch(batch.iter().copied()))
    );
    vec![
        row("W1 filter, map, sum", events.len(), by_hand, cold),
        row("W1 … of a subject", events.len(), boxed, hot),
        row("W1 … of a subject, in batches", events.len(), by_hand, batches),
    ]
}

fn flagged_window(window: &[f64; 5]) -> bool {
    let mean = window.iter().sum::<f64>() / 5.0;
    window.iter().any(|value| *value > 1.5 * mean)
}

/// Windows of 5 with a value above 1.5 times the mean; the mean of the latest 100.
fn w2() -> Vec<Row> {
    let values = leak(data::values());
    let tumbling = move || {
        let (mut window, mut filled) = ([0.0; 5], 0);
        let (mut windows, mut flagged, mut at) = (0, 0, 0_u64);
        for value in values.iter().map(black_box) {
            window[filled] = *value;
            filled += 1;
            if filled == 5 {
                filled = 0;
                if flagged_window(&window) {
                    flagged += 1;
                    at += windows;
                }
                windows += 1;
            }
        }
        [windows, flagged, at, 0]
    };
    let chunks = ours!(|Ctx| {
        let (mut windows, mut flagged, mut at) = (0, 0, 0_u64);
        Ctx::from_iter(values.iter().map(black_box).copied())
            .chunks(5, |window: &[f64]| {
                // Of a length that the compiler knows.
                <[f64; 5]>::try_from(window).is_ok_and(|window| flagged_window(&window))
            })
            .subscribe(|flag| {
                if flag {
                    flagged += 1;
                    at += windows;
                }
                windows += 1;
            });
        [windows, flagged, at, 0]
    });
    let sliding = move || {
        let (mut ring, mut place, mut seen, mut sum) = ([0.0; 100], 0, 0, 0.0);
        let (mut means, mut hot, mut at) = (0, 0, 0_u64);
        for value in values.iter().map(black_box) {
            sum += value - ring[place];
            ring[place] = *value;
            place = if place == 99 { 0 } else { place + 1 };
            seen += 1;
            if seen >= 100 {
                if sum / 100.0 > 1.65 {
                    hot += 1;
                    at += means;
                }
                means += 1;
            }
        }
        [means, hot, at, 0]
    };
    let average = ours!(|Ctx| {
        let (mut means, mut hot, mut at) = (0, 0, 0_u64);
        Ctx::from_iter(values.iter().map(black_box).copied()).moving_average(100).subscribe(|mean| {
            if mean > 1.65 {
                hot += 1;
                at += means;
            }
            means += 1;
        });
        [means, hot, at, 0]
    });
    let deviations = move || {
        let (mut ring, mut place, mut seen) = ([0.0; 100], 0, 0);
        let (mut sum, mut squares, mut flagged) = (0.0_f64, 0.0, 0);
        for value in values.iter().map(black_box) {
            if seen >= 100 {
                let mean = sum / 100.0;
                let variance = (squares - sum * mean) / 99.0;
                flagged += u64::from((value - mean).abs() > 3.0 * variance.sqrt());
            }
            sum += value - ring[place];
            squares += value * value - ring[place] * ring[place];
            ring[place] = *value;
            place = if place == 99 { 0 } else { place + 1 };
            seen += 1;
        }
        [flagged, 0, 0, 0]
    };
    let zscore = ours!(|Ctx| {
        let mut flagged = 0;
        let detector = rxevents::operator::window::ZScore::new(100, 3.0);
        Ctx::from_iter(values.iter().map(black_box).copied())
            .flag_anomalies(detector, |value| *value)
            .subscribe(|scored| flagged += u64::from(scored.flagged));
        [flagged, 0, 0, 0]
    });
    vec![
        row("W2a windows of 5", values.len(), tumbling, chunks),
        row("W2b mean of the latest 100", values.len(), sliding, average),
        row("W2c 3 deviations from the mean of the latest 100", values.len(), deviations, zscore),
    ]
}

const THROTTLE: i64 = 100_000_000;

/// One event of each sensor in 100 ms.
fn w3() -> Vec<Row> {
    let ticks = leak(data::ticks());
    let by_hand = move || {
        let mut open: HashMap<u64, i64, FastHasher> = HashMap::default();
        let (mut emitted, mut sum) = (0, 0_u64);
        for (id, at) in ticks.iter().map(black_box) {
            let pass = match open.get_mut(id) {
                Some(open) if at < open => false,
                Some(open) => {
                    *open = at + THROTTLE;
                    true
                }
                None => {
                    open.insert(*id, at + THROTTLE);
                    true
                }
            };
            if pass {
                emitted += 1;
                sum = sum.wrapping_add(*at as u64);
            }
        }
        [emitted, sum, 0, 0]
    };
    let throttled = ours!(|Ctx| {
        let (mut emitted, mut sum) = (0, 0_u64);
        Ctx::from_iter(ticks.iter().map(black_box).copied())
            .throttle_first_by_key(|tick| &tick.0, |tick| tick.1, THROTTLE)
            .subscribe(|(_, at)| {
                emitted += 1;
                sum = sum.wrapping_add(at as u64);
            });
        [emitted, sum, 0, 0]
    });
    vec![row("W3 throttle_first for each key", ticks.len(), by_hand, throttled)]
}

/// Clicks for each element, and one alert when it is the 1,001st.
fn w4() -> Vec<Row> {
    let clicks = leak(data::clicks());
    let by_hand = move || {
        let mut counts: HashMap<String, u64, FastHasher> = HashMap::default();
        let (mut distinct, mut alerts, mut at) = (0, 0, 0_u64);
        for (n, element) in clicks.iter().map(black_box) {
            let count = match counts.get_mut(element.as_str()) {
                Some(count) => {
                    *count += 1;
                    *count
                }
                None => {
                    counts.insert(element.clone(), 1);
                    distinct += 1;
                    1
                }
            };
            if count == 1001 {
                alerts += 1;
                at += u64::from(*n);
            }
        }
        [distinct, alerts, at, 0]
    };
    let counted = ours!(|Ctx| {
        let distinct = Sum::default();
        let seen = distinct.clone();
        let (mut alerts, mut at) = (0, 0_u64);
        Ctx::from_iter(clicks.iter().map(black_box))
            .count_by_key(|(_, element): &&(u32, String)| element.as_str())
            .tap(move |(_, count)| {
                if *count == 1 {
                    seen.add(1);
                }
            })
            .alert_once_above(1000)
            .subscribe(|((n, _), _)| {
                alerts += 1;
                at += u64::from(*n);
            });
        [distinct.get(), alerts, at, 0]
    });
    vec![row("W4 count_by_key, alert_once_above", clicks.len(), by_hand, counted)]
}

/// A payment as it is written, borrowed from the line.
#[derive(Deserialize)]
struct Borrowed<'a> {
    id: &'a str,
    amount: f64,
    currency: &'a str,
    timestamp: &'a str,
}

impl Borrowed<'_> {
    /// The amount in cents, if all is as it must be.
    fn check(&self) -> Option<u64> {
        uuid::Uuid::try_parse(self.id).ok()?;
        let code = self.currency.len() == 3 && self.currency.bytes().all(|b| b.is_ascii_uppercase());
        let amount = self.amount > 0.0 && self.amount <= 1e6;
        chrono::DateTime::parse_from_rfc3339(self.timestamp).ok()?;
        (code && amount).then(|| (self.amount * 100.0).round() as u64)
    }
}

/// A payment of types that cannot hold what is wrong, and rules for the rest.
#[derive(Deserialize, validator::Validate)]
struct Typed<'a> {
    #[serde(rename = "id", deserialize_with = "id")]
    _id: uuid::Uuid,
    #[validate(range(exclusive_min = 0.0, max = 1e6))]
    amount: f64,
    #[serde(borrow)]
    #[validate(custom(function = "code"))]
    currency: &'a str,
    #[serde(rename = "timestamp", deserialize_with = "time")]
    _at: chrono::DateTime<chrono::Utc>,
}

fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<uuid::Uuid, D::Error> {
    uuid::Uuid::try_parse(<&str>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn time<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<chrono::DateTime<chrono::Utc>, D::Error> {
    let text = <&str>::deserialize(deserializer)?;
    chrono::DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).map_err(serde::de::Error::custom)
}

fn code(currency: &str) -> Result<(), validator::ValidationError> {
    let code = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
    if code { Ok(()) } else { Err(validator::ValidationError::new("code")) }
}

/// Payments decoded and checked, three times those that fail, which are then dead letters.
fn w5() -> Vec<Row> {
    let lines = leak(data::payments());
    let by_hand = move || {
        let (mut valid, mut cents, mut attempts) = (0, 0, 0);
        let mut dead = Vec::new();
        for line in lines.iter().map(black_box) {
            let mut tried = 0;
            loop {
                tried += 1;
                attempts += 1;
                match serde_json::from_str::<Borrowed<'_>>(line).ok().and_then(|payment| payment.check()) {
                    Some(amount) => {
                        valid += 1;
                        cents += amount;
                        break;
                    }
                    None if tried == 3 => {
                        dead.push(line.as_str());
                        break;
                    }
                    None => {}
                }
            }
        }
        [valid, dead.len() as u64, cents, attempts]
    };
    macro_rules! retried {
        (|$line:ident| $read:expr) => {
            ours!(|Ctx| {
                let attempts = Sum::default();
                let counter = attempts.clone();
                let dead = Arc::new(Mutex::new(Vec::new()));
                let letters = dead.clone();
                let (valid, cents) = (Sum::default(), Sum::default());
                let (good, sum) = (valid.clone(), cents.clone());
                Ctx::from_iter(lines.iter().map(|line| black_box(line).as_str()))
                    .try_map_with_retry(Retry::times(2).when(|_| true), move |$line: &&str| {
                        counter.add(1);
                        $read
                    })
                    .route_failures(observer(move |rejected: Rejected<&'static str>| {
                        lock(&letters).push(rejected.item);
                    }))
                    .subscribe(move |amount: u64| {
                        good.add(1);
                        sum.add(amount);
                    });
                let dead = lock(&dead).len() as u64;
                [valid.get(), dead, cents.get(), attempts.get()]
            })
        };
    }
    let borrowed = retried!(|line| serde_json::from_str::<Borrowed<'_>>(line)?
        .check()
        .ok_or_else(|| Reason::decode("a rule is broken")));
    let typed = retried!(|line| {
        let payment: Typed<'_> = serde_json::from_str(line)?;
        validator::Validate::validate(&payment)?;
        black_box(payment.currency);
        Ok((payment.amount * 100.0).round() as u64)
    });
    vec![
        row("W5 payments, retried, dead letters", lines.len(), by_hand, borrowed),
        row("W5 … typed and validated", lines.len(), by_hand, typed),
    ]
}

const TOLERANCE: i64 = 200_000_000;

/// GPS and IMU within 0.2 s.
fn w6() -> Vec<Row> {
    let (gps, imu) = data::motion();
    let (gps, imu) = (leak(gps), leak(imu));
    let events = gps.len() + imu.len();
    let slices = move || {
        let (mut pairs, mut sum, mut g, mut m) = (0, 0_u64, 0, 0);
        while let (Some(left), Some(right)) = (gps.get(g), imu.get(m)) {
            let apart = left - right;
            if apart.abs() <= TOLERANCE {
                pairs += 1;
                sum = sum.wrapping_add(apart as u64);
                g += 1;
                m += 1;
            } else if apart < 0 {
                g += 1;
            } else {
                m += 1;
            }
        }
        [pairs, sum, 0, 0]
    };
    /// In order of arrival: whether it is GPS, and when.
    fn arrivals(gps: &[i64], imu: &[i64]) -> Vec<(bool, i64)> {
        let mut arrivals: Vec<_> =
            gps.iter().map(|at| (true, *at)).chain(imu.iter().map(|at| (false, *at))).collect();
        arrivals.sort_by_key(|(_, at)| *at);
        arrivals
    }
    let arrived = leak(arrivals(gps, imu));
    let pushed = move || {
        let (mut left, mut right) = (VecDeque::new(), VecDeque::new());
        let (mut pairs, mut sum) = (0, 0_u64);
        for (is_gps, at) in arrived.iter().map(black_box) {
            if *is_gps {
                left.push_back(*at)
            } else {
                right.push_back(*at)
            }
            while let (Some(g), Some(m)) = (left.front(), right.front()) {
                let apart: i64 = g - m;
                if apart.abs() <= TOLERANCE {
                    pairs += 1;
                    sum = sum.wrapping_add(apart as u64);
                    left.pop_front();
                    right.pop_front();
                } else if apart < 0 {
                    left.pop_front();
                } else {
                    right.pop_front();
                }
            }
        }
        [pairs, sum, 0, 0]
    };
    let within = || Within::new(Duration::from_nanos(TOLERANCE as u64)).buffer(Buffer::new(1 << 20));
    let cold = ours!(|Ctx| {
        let (pairs, sum) = (Sum::default(), Sum::default());
        let (pair, apart) = (pairs.clone(), sum.clone());
        Ctx::from_iter(gps.iter().map(black_box).copied())
            .join_within(Ctx::from_iter(imu.iter().map(black_box).copied()), within(), |at| *at, |at| *at)
            .subscribe(move |(g, m): (i64, i64)| {
                pair.add(1);
                apart.add((g - m) as u64);
            });
        [pairs.get(), sum.get(), 0, 0]
    });
    let cold_batches = ours!(|Ctx| {
        let (pairs, sum) = (Sum::default(), Sum::default());
        let (pair, apart) = (pairs.clone(), sum.clone());
        let imu = Ctx::from_iter(imu.iter().map(black_box).copied()).batched();
        Ctx::from_iter(gps.iter().map(black_box).copied())
            .batched()
            .join_within(imu, within(), |at| *at, |at| *at)
            .subscribe(move |(g, m): (i64, i64)| {
                pair.add(1);
                apart.add((g - m) as u64);
            });
        [pairs.get(), sum.get(), 0, 0]
    });
    let hot = ours!(|Ctx| {
        let (pairs, sum) = (Sum::default(), Sum::default());
        let (pair, apart) = (pairs.clone(), sum.clone());
        let (mut left, mut right) = (Ctx::subject::<i64, Infallible>(), Ctx::subject::<i64, Infallible>());
        left.clone().join_within(right.clone(), within(), |at| *at, |at| *at).subscribe(
            move |(g, m): (i64, i64)| {
                pair.add(1);
                apart.add((g - m) as u64);
            },
        );
        for (is_gps, at) in arrived {
            if *is_gps { left.next(*at) } else { right.next(*at) }
        }
        [pairs.get(), sum.get(), 0, 0]
    });
    let by_events = ours!(|Ctx| {
        let (pairs, sum) = (Sum::default(), Sum::default());
        let (pair, apart) = (pairs.clone(), sum.clone());
        let (mut left, mut right) = (Ctx::subject::<i64, Infallible>(), Ctx::subject::<i64, Infallible>());
        let spec = EventJoin::new(|at: &i64| *at, |at: &i64| *at)
            .within(Duration::from_nanos(TOLERANCE as u64))
            .matching(Match::OneToOne);
        left.clone().join_events(right.clone(), spec).subscribe(move |row: Joined<i64, i64>| {
            if let Some((g, m)) = row.both() {
                pair.add(1);
                apart.add((g - m) as u64);
            }
        });
        for (is_gps, at) in arrived {
            if *is_gps { left.next(*at) } else { right.next(*at) }
        }
        [pairs.get(), sum.get(), 0, 0]
    });
    vec![
        row("W6 join_within of iterators", events, slices, cold),
        row("W6 … in batches", events, slices, cold_batches),
        row("W6 join_within of subjects, event by event", events, pushed, hot),
        row("W6 join_events of subjects, one to one", events, pushed, by_events),
    ]
}

fn mix(v: u32) -> u64 {
    u64::from(v ^ (v >> 7))
}

/// Three sources merged, two zipped.
fn w7() -> Vec<Row> {
    let numbers = leak(data::numbers(8, 30_000));
    let sources: [&'static [u32]; 3] = [&numbers[..10_000], &numbers[10_000..20_000], &numbers[20_000..]];
    let merged = move || {
        let (count, sum) = (Sum::default(), Sum::default());
        for v in numbers.iter().map(black_box) {
            count.add(1);
            sum.add(mix(*v));
        }
        [count.get(), sum.get(), 0, 0]
    };
    macro_rules! merge {
        (|$a:ident| $listened:expr, |$b:ident, $batch:ident| $feed:expr, $size:literal) => {
            ours!(|Ctx| {
                let (count, sum) = (Sum::default(), Sum::default());
                let (counter, total) = (count.clone(), sum.clone());
                let mut subjects = [(); 3].map(|()| Ctx::subject::<u32, Infallible>());
                Ctx::merge_all(subjects.clone().map(|$a| $listened)).subscribe(move |v| {
                    counter.add(1);
                    total.add(mix(v));
                });
                for at in (0..10_000).step_by($size) {
                    for ($b, source) in subjects.iter_mut().zip(sources) {
                        let $batch = &source[at..source.len().min(at + $size)];
                        $feed;
                    }
                }
                subjects.into_iter().for_each(|subject| subject.complete());
                [count.get(), sum.get(), 0, 0]
            })
        };
    }
    let merge_cold = ours!(|Ctx| {
        let (count, sum) = (Sum::default(), Sum::default());
        let (counter, total) = (count.clone(), sum.clone());
        let sources = sources.map(|source| Ctx::from_iter(source.iter().map(black_box).copied()));
        Ctx::merge_all(sources).subscribe(move |v| {
            counter.add(1);
            total.add(mix(v));
        });
        [count.get(), sum.get(), 0, 0]
    });
    let merge_hot = merge!(|a| a, |b, batch| b.next(batch[0]), 1);
    let merge_batches =
        merge!(|a| a.batched(), |b, batch| b.inner_mut().next_batch(batch.iter().copied()), 256);

    let pairs = leak(data::numbers(9, 32_768));
    let (left, right) = pairs.split_at(16_384);
    let y = |a: u32, b: u32| u64::from(a.wrapping_mul(31).wrapping_add(b));
    let zipped = move || {
        let (mut a, mut b) = (VecDeque::new(), VecDeque::new());
        let (count, sum) = (Sum::default(), Sum::default());
        for (l, r) in left.iter().zip(right).map(black_box) {
            a.push_back(*l);
            b.push_back(*r);
            while let (Some(l), Some(r)) = (a.front(), b.front()) {
                count.add(1);
                sum.add(y(*l, *r));
                a.pop_front();
                b.pop_front();
            }
        }
        [count.get(), sum.get(), 0, 0]
    };
    macro_rules! zip {
        (|$a:ident| $listened:expr, |$b:ident, $batch:ident| $feed:expr, $size:literal) => {
            ours!(|Ctx| {
                let (count, sum) = (Sum::default(), Sum::default());
                let (counter, total) = (count.clone(), sum.clone());
                let mut subjects = [(); 2].map(|()| Ctx::subject::<u32, Infallible>());
                let [first, second] = subjects.clone().map(|$a| $listened);
                first.zip(second).subscribe(move |(a, b)| {
                    counter.add(1);
                    total.add(y(a, b));
                });
                for (left, right) in left.chunks($size).zip(right.chunks($size)) {
                    for ($b, $batch) in subjects.iter_mut().zip([left, right]) {
                        $feed;
                    }
                }
                subjects.into_iter().for_each(|subject| subject.complete());
                [count.get(), sum.get(), 0, 0]
            })
        };
    }
    let zip_cold = ours!(|Ctx| {
        let (count, sum) = (Sum::default(), Sum::default());
        let (counter, total) = (count.clone(), sum.clone());
        let [first, second] =
            [left, right].map(|source| Ctx::from_iter(source.iter().map(black_box).copied()));
        first.zip(second).subscribe(move |(a, b)| {
            counter.add(1);
            total.add(y(a, b));
        });
        [count.get(), sum.get(), 0, 0]
    });
    let zip_hot = zip!(|a| a, |b, batch| b.next(batch[0]), 1);
    let zip_batches = zip!(|a| a.batched(), |b, batch| b.inner_mut().next_batch(batch.iter().copied()), 256);
    vec![
        row("W7 merge of 3 iterators", numbers.len(), merged, merge_cold),
        row("W7 merge of 3 subjects", numbers.len(), merged, merge_hot),
        row("W7 merge of 3 subjects, in batches", numbers.len(), merged, merge_batches),
        row("W7 zip of iterators", pairs.len(), zipped, zip_cold),
        row("W7 zip of subjects", pairs.len(), zipped, zip_hot),
        row("W7 zip of subjects, in batches", pairs.len(), zipped, zip_batches),
    ]
}

/// One source, many subscribers; nanoseconds for each event, not for each delivery.
fn w8() -> Vec<Row> {
    let numbers = leak(data::numbers(10, 32_768));
    let rows =
        [(1, ""), (10, ""), (100, ""), (1, ", in batches"), (10, ", in batches"), (100, ", in batches")];
    rows.map(|(subscribers, how)| {
        let by_hand = move || {
            let sums: Vec<_> = (0..subscribers).map(|_| Sum::default()).collect();
            let listener = |(j, sum): (usize, Sum)| -> Box<dyn FnMut(u32)> {
                Box::new(move |v| sum.add(u64::from(v ^ j as u32)))
            };
            let mut listeners: Vec<_> = sums.iter().cloned().enumerate().map(listener).collect();
            black_box(&mut listeners);
            for v in numbers {
                listeners.iter_mut().for_each(|listen| listen(*v));
            }
            [subscribers as u64, sums.iter().map(Sum::get).fold(0, u64::wrapping_add), 0, 0]
        };
        let cast = ours!(|Ctx| {
            let total: Vec<_> = (0..subscribers).map(|_| Sum::default()).collect();
            let mut source = Ctx::subject::<u32, Infallible>();
            for (j, sum) in total.iter().cloned().enumerate() {
                let add = move |v: u32| sum.add(u64::from(v ^ j as u32));
                if how.is_empty() {
                    source.clone().subscribe(add);
                } else {
                    source.clone().batched().subscribe(add);
                }
            }
            if how.is_empty() {
                numbers.iter().for_each(|v| source.next(*v));
            } else {
                numbers.chunks(256).for_each(|batch| source.inner_mut().next_batch(batch.iter().copied()));
            }
            [subscribers as u64, total.iter().map(Sum::get).fold(0, u64::wrapping_add), 0, 0]
        });
        let name = format!("W8 {subscribers} subscribers{how}").leak();
        row(name, numbers.len(), by_hand, cast)
    })
    .into()
}

thread_local! {
    /// One for each thread: a shared one would be fought for.
    static ERROR: Regex = Regex::new(r"\bERROR\b").unwrap_or_else(|error| panic!("{error}"));
}

fn errors(lines: &[impl AsRef<str>]) -> u64 {
    ERROR.with(|error| lines.iter().filter(|line| error.is_match(line.as_ref())).count() as u64)
}

/// Lines with an error, in chunks of 100. By hand it is one thread.
fn w10() -> Vec<Row> {
    let lines = leak(data::log());
    let by_hand = move || {
        let (mut found, mut weighed) = (0, 0);
        for (chunk, lines) in lines.chunks(100).enumerate() {
            let errors = errors(lines);
            found += errors;
            weighed += errors * (chunk as u64 + 1);
        }
        [found, weighed, 0, 0]
    };
    macro_rules! parallel {
        (|$Ctx:ident| $chunks:expr, |$chunk:ident: $type:ty| $errors:expr) => {
            ours!(|$Ctx| {
                let (found, weighed, chunk) = (Sum::default(), Sum::default(), Sum::default());
                let (all, heavy) = (found.clone(), weighed.clone());
                let (done, is_done) = std::sync::mpsc::channel();
                let in_flight = NonZeroUsize::new(256).unwrap_or(NonZeroUsize::MIN);
                $chunks
                    .parallel_map(in_flight, |$chunk: &$type| Ok($errors))
                    .route_failures(observer(|_: Rejected<$type>| {}))
                    .on_complete(move || done.send(()).unwrap_or_default())
                    .subscribe(move |errors| {
                        chunk.add(1);
                        all.add(errors);
                        heavy.add(errors * chunk.get());
                    });
                let _ = is_done.recv();
                [found.get(), weighed.get(), 0, 0]
            })
        };
    }
    let slices = parallel!(|Ctx| Ctx::from_iter(lines.chunks(100)), |chunk: &'static [String]| errors(chunk));
    let gathered =
        parallel!(|Ctx| Ctx::from_iter(lines.iter().map(String::as_str)).buffer_count(100), |chunk: Vec<
            &'static str,
        >| {
            errors(chunk)
        });
    vec![
        row("W10 log lines, parallel_map of slices, 2 threads", lines.len(), by_hand, slices),
        row("W10 … gathered by buffer_count", lines.len(), by_hand, gathered),
    ]
}
