//! Every operator beside the hand-written loop that does the same work and beside rxRust's own operator, in one run.
//!
//! `cargo bench --bench operators` prints a Markdown table: nanoseconds per event (the best of several interleaved
//! rounds), and the ratio to the loop by hand. Words on the command line pick rows.

#![allow(missing_docs, clippy::print_stdout)]

use std::{
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    future::poll_fn,
    hint::black_box,
    panic::catch_unwind,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt};
use rxevents::{
    StreamError,
    dead_letter::Reason,
    event_time::EventTime,
    operator::{
        event_window::{EventWindows, SlidingWindows},
        key::FastHasher,
    },
    sink::EventSink,
};
use validator::Validate;

#[path = "../common/table.rs"]
mod table;

/// Events per round, in chunks that fit no first-level cache.
const N: usize = 1_000_000;

/// A piece of work; it gives a checksum, equal for all that do the same work.
type Work = Box<dyn FnMut() -> u64>;
/// Something with a rule.
#[derive(Clone, Copy, validator::Validate)]
struct Positive {
    #[validate(range(min = 1))]
    value: u64,
}

/// A rule of a user's, which says why.
fn above(v: &u64) -> Result<u64, Reason> {
    v.checked_sub(1 << 10).ok_or_else(|| Reason::other("small"))
}

/// A line of JSON that does not change, so that reading it is what is measured.
fn json(v: u64) -> &'static str {
    black_box(if v == 0 { "{" } else { r#"{"sensor":"a","value":20}"# })
}

#[derive(serde::Deserialize)]
struct Reading {
    value: u64,
}

/// The same chain in `Local` and in `Shared`.
type Pair = [Option<Work>; 2];

struct Row {
    name: &'static str,
    events: usize,
    hand: Work,
    ours: Pair,
    theirs: Pair,
}

fn row(name: &'static str, hand: impl FnMut() -> u64 + 'static, ours: Pair, theirs: Pair) -> Row {
    Row { name, events: N, hand: Box::new(hand), ours, theirs }
}

fn main() {
    let picked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    println!("| operator | by hand, ns | ours `Local` | ours `Shared` | rxRust `Local` | rxRust `Shared` |");
    println!("|---|---|---|---|---|---|");
    for row in rows() {
        if picked.is_empty() || picked.iter().any(|word| row.name.contains(word.as_str())) {
            let Row { name, events, hand, ours: [a, b], theirs: [c, d] } = row;
            table::measure(name, events, [Some(hand), a, b, c, d]);
        }
    }
}

/// What the hand-written loops run over too.
fn data() -> &'static [u64] {
    let mut rng = rxevents::source::SplitMix64::new(1);
    (0..N).map(|_| rng.next_u64() >> 40).collect::<Vec<_>>().leak()
}

/// Adds up, in memory that others can see: as a subscriber does, in every column (a compiler may keep a loop's own
/// variable in a register, or add up four events at once; nobody could look at the sum meanwhile).
#[derive(Clone, Default)]
struct Sum(Arc<AtomicU64>);

impl Sum {
    fn add(&self, v: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(v), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a chain is fed. Inside, `Ctx` is the context.
macro_rules! work {
    // By an iterator.
    (cold $ctx:ident $data:ident, |$s:ident| $chain:expr, |$v:pat_param| $fold:expr) => {
        Box::new(move || {
            #[allow(unused)]
            type Ctx<T> = $ctx<T>;
            let total = Sum::default();
            let sum = total.clone();
            let $s = $ctx::from_iter($data.iter().map(|v| black_box(*v)));
            $chain.subscribe(move |$v| sum.add($fold));
            total.get()
        })
    };
    // By two subjects in turn.
    (hot $ctx:ident $data:ident, |$s:ident, $t:ident| $chain:expr, |$v:pat_param| $fold:expr) => {
        Box::new(move || {
            #[allow(unused)]
            type Ctx<T> = $ctx<T>;
            let total = Sum::default();
            let sum = total.clone();
            let ($s, $t) = ($ctx::subject::<u64, Infallible>(), $ctx::subject::<u64, Infallible>());
            let (mut a, mut b) = ($s.clone(), $t.clone());
            $chain.subscribe(move |$v| sum.add($fold));
            for pair in $data.chunks_exact(2) {
                a.next(pair[0]);
                b.next(pair[1]);
            }
            a.complete();
            b.complete();
            total.get()
        })
    };
    // By two subjects in turn, in batches.
    (hot_batches $ctx:ident $data:ident, |$s:ident, $t:ident| $chain:expr, |$v:pat_param| $fold:expr) => {
        Box::new(move || {
            let total = Sum::default();
            let sum = total.clone();
            let (mut a, mut b) = ($ctx::subject::<u64, Infallible>(), $ctx::subject::<u64, Infallible>());
            let ($s, $t) = (a.clone().batched(), b.clone().batched());
            $chain.subscribe(move |$v| sum.add($fold));
            for pair in $data.chunks(512) {
                let pair = || pair.chunks_exact(2);
                a.inner_mut().next_batch(pair().map(|pair| pair[0]));
                b.inner_mut().next_batch(pair().map(|pair| pair[1]));
            }
            a.complete();
            b.complete();
            total.get()
        })
    };
    // By one subject, in batches.
    (one_batches $ctx:ident $data:ident, |$s:ident| $chain:expr, |$v:pat_param| $fold:expr) => {
        Box::new(move || {
            let total = Sum::default();
            let sum = total.clone();
            let mut a = $ctx::subject::<u64, Infallible>();
            let $s = a.clone().batched();
            $chain.subscribe(move |$v| sum.add($fold));
            $data.chunks(256).for_each(|batch| a.inner_mut().next_batch(batch.iter().copied()));
            a.complete();
            total.get()
        })
    };
    // By one subject; the other stays silent.
    (one $ctx:ident $data:ident, |$s:ident, $t:ident| $chain:expr, |$v:pat_param| $fold:expr) => {
        Box::new(move || {
            #[allow(unused)]
            type Ctx<T> = $ctx<T>;
            let total = Sum::default();
            let sum = total.clone();
            let ($s, $t) = ($ctx::subject::<u64, Infallible>(), $ctx::subject::<u64, Infallible>());
            let mut a = $s.clone();
            let _keep = $t.clone();
            $chain.subscribe(move |$v| sum.add($fold));
            for v in $data {
                a.next(*v);
            }
            a.complete();
            total.get()
        })
    };
    // By a subject of its own.
    (own $ctx:ident $data:ident, || $subject:expr, |$v:pat_param| $fold:expr) => {
        Box::new(move || {
            type Ctx<T> = $ctx<T>;
            let total = Sum::default();
            let sum = total.clone();
            let mut subject = $subject;
            subject.clone().subscribe(move |$v| sum.add($fold));
            $data.iter().for_each(|v| subject.next(*v));
            subject.complete();
            total.get()
        })
    };
    // By an iterator, inside a runtime, waiting for the end.
    (timed_cold $ctx:ident $data:ident, |$s:ident| $chain:expr, |$v:pat_param| $fold:expr) => {
        Box::new(move || {
            let total = Sum::default();
            let sum = total.clone();
            let done = Arc::new(AtomicU64::new(0));
            let ended = done.clone();
            let feed = || {
                let $s = $ctx::from_iter($data.iter().map(|v| black_box(*v)));
                $chain
                    .map(move |$v| sum.add($fold))
                    .on_complete(move || ended.store(1, Ordering::Release))
                    .subscribe(|()| {});
            };
            super::in_runtime(feed, || done.load(Ordering::Acquire) == 1);
            total.get()
        })
    };
    // By one subject, inside a runtime, waiting for the end.
    (timed $ctx:ident $data:ident, |$s:ident| $chain:expr, |$v:pat_param| $fold:expr) => {
        Box::new(move || {
            #[allow(unused)]
            type Ctx<T> = $ctx<T>;
            let total = Sum::default();
            let sum = total.clone();
            let done = Arc::new(AtomicU64::new(0));
            let ended = done.clone();
            let feed = || {
                let $s = $ctx::subject::<u64, Infallible>();
                let mut source = $s.clone();
                $chain
                    .map(move |$v| sum.add($fold))
                    .on_complete(move || ended.store(1, Ordering::Release))
                    .subscribe(|()| {});
                $data.iter().for_each(|v| source.next(*v));
                source.complete();
            };
            super::in_runtime(feed, || done.load(Ordering::Acquire) == 1);
            total.get()
        })
    };
}

/// A merge of two subjects that two threads feed.
macro_rules! merge_threads {
    () => {
        pub(super) fn merge_threads(data: &'static [u64]) -> super::Pair {
            let work = move || {
                let total = Sum::default();
                let sum = total.clone();
                let (a, b) = (Shared::subject::<u64, Infallible>(), Shared::subject::<u64, Infallible>());
                a.clone().merge(b.clone()).subscribe(move |v| sum.add(v));
                let (first, second) = data.split_at(data.len() / 2);
                std::thread::scope(|scope| {
                    let (mut a, mut b) = (a, b);
                    scope.spawn(move || first.iter().for_each(|v| a.next(*v)));
                    second.iter().for_each(|v| b.next(*v));
                });
                total.get()
            };
            [None, Some(Box::new(work))]
        }
    };
}

macro_rules! chains {
    ($($kind:ident $name:ident($($chain:tt)*);)*) => {
        $(
            pub(super) fn $name(data: &'static [u64]) -> super::Pair {
                [
                    Some(work!($kind Local data, $($chain)*)),
                    Some(work!($kind Shared data, $($chain)*)),
                ]
            }
        )*
    };
}

/// The chains that read the same with ours and with rxRust's operators.
macro_rules! same_chains {
    () => {
        use std::{
            convert::Infallible,
            sync::{
                Arc,
                atomic::{AtomicU64, Ordering},
            },
            time::Duration,
        };

        use std::hint::black_box;

        use super::{N, Sum};

        merge_threads!();

        chains! {
            cold map_filter(|s| s.map(|v: u64| v.wrapping_mul(3)).filter(|v| v & 15 != 0), |v| v);
            cold filter_map(|s| s.filter_map(|v: u64| v.checked_sub(1 << 20)), |v| v);
            cold scan(|s| s.scan(0_u64, |a, v| a.wrapping_add(v)), |v| v);
            cold tap(|s| s.tap(|v| { std::hint::black_box(v); }), |v| v);
            cold take(|s| s.take(N - 1), |v| v);
            cold take_while(|s| s.take_while(|v| *v < u64::MAX), |v| v);
            cold take_while_inclusive(|s| s.take_while_inclusive(|v| *v < u64::MAX), |v| v);
            cold skip_while(|s| s.skip_while(|v| *v == u64::MAX), |v| v);
            cold distinct(|s| s.map(|v: u64| v & 0xffff).distinct(), |v| v);
            cold distinct_until_changed(|s| s.map(|v: u64| v & 1).distinct_until_changed(), |v| v);
            cold last(|s| s.last(), |v| v);
            cold last_or(|s| s.last_or(0), |v| v);
            cold sum(|s| s.sum(), |v| v);
            cold average(|s| s.map(|v: u64| v as f64).average(), |v| v as u64);
            cold min(|s| s.min(), |v| v);
            cold max(|s| s.max(), |v| v);
            cold count(|s| s.count(), |v| v as u64);
            cold reduce(|s| s.reduce(|a, b| a ^ b), |v| v);
            cold contains(|s| s.contains(u64::MAX), |yes| u64::from(yes));
            cold default_if_empty(|s| s.default_if_empty(0), |v| v);
            cold pairwise(|s| s.pairwise(), |(a, b)| a ^ b);
            cold buffer_count(|s| s.buffer_count(5), |w| w.iter().fold(0, |a, v| a ^ v));
            cold flat_map(|s| s.flat_map(|v| Ctx::from_iter([v, v + 1])), |v| v);
            cold concat_map(|s| s.concat_map(|v| Ctx::from_iter([v, v + 1])), |v| v);
            cold switch_map(|s| s.switch_map(|v| Ctx::from_iter([v, v + 1])), |v| v);
            cold start_with(|s| s.start_with(vec![1_u64]), |v| v);
            cold merge_cold(|s| s.merge(Ctx::from_iter([1_u64])), |v| v);
            cold zip_cold(|s| s.zip(Ctx::from_iter(0..N as u64)), |(a, b)| a ^ b);
            one subject(|s, t| { let _ = t; s }, |v| v);
            hot merge(|s, t| s.merge(t), |v| v);
            hot zip(|s, t| s.zip(t), |(a, b)| a ^ b);
            hot combine_latest(|s, t| s.combine_latest(t, |a, b| a ^ b), |v| v);
            hot with_latest_from(|s, t| s.with_latest_from(t), |(a, b)| a ^ b);
            one take_until(|s, t| s.take_until(t), |v| v);
            timed debounce(|s| s.debounce(Duration::from_secs(3600)), |v| v);
            cold skip_until(|s| s.skip_until(Ctx::of(())), |v| v);
            cold from_fn(|s| s.flat_map(|v| Ctx::from_fn(move || v)), |v| v);
            cold first_or(|s| s.filter(|_| false).first_or(7), |v| v);
            timed buffer_time(|s| s.buffer_time(Duration::from_secs(3600)), |w| w.iter().fold(0, |a, v| a ^ v));
            timed_cold delay_subscription(|s| s.delay_subscription(Duration::ZERO), |v| v);
            timed_cold subscribe_on(|s| { let at = s.scheduler().clone(); s.subscribe_on(at) }, |v| v);
            own behavior_subject(|| Ctx::behavior_subject::<u64, Infallible>(0), |v| v);
            one ref_count(|s, t| { let _ = t; s.publish().ref_count() }, |v| v);
        }
    };
}

mod ours {
    use futures::Stream;
    use rxevents::{delivery::MemoryPosition, operator::event_window::aggregate, prelude::*};

    same_chains!();

    chains! {
        cold element_at(|s| s.element_at(N - 1), |v| v);
        cold element_at_or(|s| s.element_at_or(N, 7), |v| v);
        cold single(|s| s.filter(|v| *v == u64::MAX).merge(Ctx::of(7)).stream_error().single()
            .on_error_return(|_| 0), |v| v);
        cold ignore_elements(|s| s.ignore_elements().merge(Ctx::of(7_u64)), |v| v);
        cold distinct_by(|s| s.map(|v| v & 0xffff).distinct_by(|v| v), |v| v);
        cold distinct_by_with(|s| s.map(|v| v & 0xffff).distinct_by_with(Keys::new(1 << 16), |v| v), |v| v);
        cold distinct_by_flush(|s| s.map(|v| v & 0xffff)
            .distinct_by_flush(Keys::new(1 << 16), |v| v, Ctx::never::<()>()), |v| v);
        cold distinct_until_key_changed(|s| s.map(|v| v & 1).distinct_until_key_changed(|v| v), |v| v);
        cold average_by(|s| s.average_by(|v| *v as f64), |v| v as u64);
        cold min_by(|s| s.min_by(u64::cmp), |v| v);
        cold max_by(|s| s.max_by(u64::cmp), |v| v);
        cold min_by_key(|s| s.min_by_key(|v| *v), |v| v);
        cold max_by_key(|s| s.max_by_key(|v| *v), |v| v);
        cold fold(|s| s.fold(0, |a, v| a ^ v), |v| v);
        cold to_vec(|s| s.to_vec(), |v| v.iter().fold(0, |a, v| a ^ v));
        cold to_vec_with(|s| s.to_vec_with(Buffer::new(N)), |v| v.iter().fold(0, |a, v| a ^ v));
        cold all(|s| s.all(|v| *v < u64::MAX), |yes| u64::from(yes));
        cold any(|s| s.any(|v| *v == u64::MAX), |yes| u64::from(yes));
        cold is_empty(|s| s.ignore_elements::<u64, _>().is_empty(), |yes| u64::from(yes));
        cold switch_if_empty(|s| s.switch_if_empty(Ctx::of(0)), |v| v);
        hot sequence_equal(|s, t| s.map(|_| 0_u64).sequence_equal(t.map(|_| 0_u64)), |yes| u64::from(yes));
        hot sequence_equal_with_buffer(|s, t| {
            s.map(|_| 0_u64).sequence_equal_with_buffer(t.map(|_| 0_u64), Buffer::new(1))
        }, |yes| u64::from(yes));
        timed buffer_time_max(|s| s.buffer_time_max(Duration::from_secs(3600), 5, WhenFull::Fixed),
            |w| w.iter().fold(0, |a, v| a ^ v));
        timed buffer_time_shift(|s| s.buffer_time_shift(Duration::from_secs(3600), Duration::from_secs(1800)),
            |w| w.iter().fold(0, |a, v| a ^ v));
        hot buffer_with(|s, t| s.buffer_with(t), |w| w.iter().fold(0, |a, v| a ^ v));
        hot bounded(|s, t| s.buffer_with(t).bounded(Buffer::new(1)), |w| w.iter().fold(0, |a, v| a ^ v));
        hot buffer_toggle(|s, t| s.buffer_toggle(t, |_| Ctx::of(())), |w| w.iter().fold(0, |a, v| a ^ v));
        one buffer_when(|s, t| s.buffer_when(move || t.clone()), |w| w.iter().fold(0, |a, v| a ^ v));
        cold window_count(|s| s.window_count(5).flat_map(|w| w), |v| v);
        cold window_count_skip(|s| s.window_count_skip(5, 5).flat_map(|w| w), |v| v);
        timed window_time(|s| s.window_time(Duration::from_secs(3600)).flat_map(|w| w), |v| v);
        timed window_time_max(|s| s.window_time_max(Duration::from_secs(3600), 5, WhenFull::Fixed).flat_map(|w| w), |v| v);
        timed window_time_shift(|s| s.window_time_shift(Duration::from_secs(3600), Duration::from_secs(3600))
            .flat_map(|w| w), |v| v);
        hot window_with(|s, t| s.window_with(t).flat_map(|w| w), |v| v);
        hot window_toggle(|s, t| s.window_toggle(t, |_| Ctx::never::<()>()).take(1).flat_map(|w| w), |v| v);
        one window_when(|s, t| s.window_when(move || t.clone()).flat_map(|w| w), |v| v);
        cold group_by(|s| s.map(|v| v & 63).group_by(|v| v).flat_map(|group| group), |v| v);
        cold group_by_with(|s| s.map(|v| v & 63).group_by_with(Keys::new(64), |v| v, |_| Ctx::never::<()>())
            .flat_map(|group| group), |v| v);
        cold event_windows(|s| s.index().map(super::keyed).event_windows(super::tumbling(), super::key, super::moment, aggregate::count()),
            |w| w.value * w.key);
        cold event_windows_hopping(|s| s.index().map(super::keyed).event_windows(super::hopping(), super::key, super::moment, aggregate::count()),
            |w| w.value * w.key);
        cold event_windows_all(|s| s.index().map(super::keyed).event_windows_all(super::tumbling(), super::moment, aggregate::count()), |w| w.value);
        cold event_windows_acked(|s| s.index().map(super::keyed).map(Delivery::untracked)
            .event_windows_acked(super::tumbling(), super::key, super::moment, aggregate::count()), |w| w.value * w.key);
        cold sliding_event_windows(|s| s.index().map(super::keyed).sliding_event_windows(super::last_span(), super::key, super::moment,
            aggregate::sum(|of: &(u64, u64)| of.1)), |w| w.value as u64);
        cold index(|s| s.index(), |(n, v)| n ^ v);
        cold materialize(|s| s.materialize().dematerialize(), |v| v);
        cold timestamp(|s| s.timestamp(), |v| v.value);
        cold time_interval(|s| s.time_interval(), |v| v.value);
        one throttle_first(|s, t| { let _ = t; s.throttle_first(Duration::from_secs(3600)) }, |v| v);
        one_batches throttle_first_batches(|s| s.throttle_first(Duration::from_secs(3600)), |v| v);
        one_batches subject_batches(|s| s, |v| v);
        hot_batches merge_batches(|s, t| s.merge(t), |v| v);
        hot_batches zip_batches(|s, t| s.zip(t), |(a, b)| a ^ b);
        cold merge_cold_batches(|s| s.batched().merge(Ctx::from_iter([1_u64])), |v| v);
        cold zip_cold_batches(|s| s.batched().zip(Ctx::from_iter(0..N as u64).batched()), |(a, b)| a ^ b);
        cold throttle_first_by(|s| s.throttle_first_by(1 << 20, |v| *v), |v| v);
        timed on_backpressure_timeout(|s| s.on_backpressure_timeout(Duration::from_secs(3600),
            Buffer::new(1 << 20), |_| {}), |v| v);
        cold stage(|s| s.stage(&Pipeline::new("bench"), "stage", |s| s.map(|v| v.wrapping_mul(3))), |v| v);
        cold write_to(|s| s.map(Delivery::untracked).write_to(super::Hole), |n| n);
        cold try_map_value(|s| s.map(Delivery::untracked).try_map_value("above", super::above)
            .route_failures(observer(|_: Rejected<Delivery<u64>>| {})), |v| v.ack());
        timed rate_limit(|s| s.rate_limit(Quota::new(1 << 30, Duration::from_secs(1)).burst(1 << 30),
            Excess::Delay(Buffer::default())), |v| v);
        timed throttle_latest(|s| s.throttle_latest(Duration::from_secs(3600)), |v| v);
        timed delay(|s| s.delay(Duration::from_millis(1)), |v| v);
        cold catch_error(|s| s.stream_error().catch_error(|_| Ctx::empty::<u64>()), |v| v);
        cold on_error_route(|s| s.stream_error().on_error_route(observer(|_| {})), |v| v);
        cold on_error_return(|s| s.stream_error().on_error_return(|_| 0), |v| v);
        cold retry_with(|s| s.retry_with(Retry::times(1)), |v| v);
        cold finalize(|s| s.finalize(|| {}), |v| v);
        cold validate(|s| s.map(|value| super::Positive { value }).validate()
            .route_failures(observer(|_: Rejected<super::Positive>| {})), |v| v.value);
        cold decode_json(|s| s.map(super::json).decode_json::<super::Reading, _>()
            .dead_letter(MemoryQueue::new(1)), |v| v.value);
        cold dead_letter_with(|s| s.map(super::json).decode_json::<super::Reading, _>()
            .dead_letter_with(MemoryQueue::new(1), DeadLetterPolicy::new().max_consecutive(9)), |v| v.value);
        cold create(|s| {
            let mut numbers = Some(s);
            Ctx::create(move |mut emitter: Emitter<_, u64, Infallible>| {
                if let Some(numbers) = numbers.take() {
                    numbers.subscribe(move |v| {
                        let _ = emitter.next(v);
                    });
                }
            })
        }, |v| v);
        cold concat_with(|s| s.concat_with(Ctx::from_iter([1_u64])), |v| v);
        cold concat_all(|s| Ctx::concat_all([s]), |v| v);
        cold end_with(|s| s.end_with([1]), |v| v);
        cold repeat(|s| s.repeat(1), |v| v);
        cold repeat_when(|s| s.repeat_when(|ends| ends.take_while(|()| false)), |v| v);
        cold retry_when(|s| s.retry_when(|errors| errors.skip(0)), |v| v);
        cold on_error_resume_next(|s| s.on_error_resume_next(Ctx::empty::<u64>()), |v| v);
        hot merge_delay_error(|s, t| s.merge_delay_error(t).on_error_route(observer(|_| {})), |v| v);
        hot merge_all_delay_error(|s, t| {
            Ctx::merge_all_delay_error([s, t]).on_error_route(observer(|_| {}))
        }, |v| v);
        one amb(|s, t| s.amb(t), |v| v);
        one amb_all(|s, t| Ctx::amb_all([s, t]), |v| v);
        hot combine_latest_all(|s, t| Ctx::combine_latest_all([s, t], |row| row[0] ^ row[1]), |v| v);
        hot zip_all(|s, t| Ctx::zip_all([s, t], |row| row.fold(0, |a, b| a ^ b)), |v| v);
        hot zip_all_with_buffer(|s, t| {
            Ctx::zip_all_with_buffer([s, t], Buffer::new(1), |row| row.fold(0, |a, b| a ^ b))
        }, |v| v);
        hot when_with_buffer(|s, t| {
            let both = rxevents::operator::combine::Pattern::of(0).and(1);
            Ctx::when_with_buffer([s, t], [both], Buffer::new(1), |_, row| row.fold(0, |a, b| a ^ b))
        }, |v| v);
        hot when(|s, t| {
            let both = rxevents::operator::combine::Pattern::of(0).and(1);
            Ctx::when([s, t], [both], |_, row| row.fold(0, |a, b| a ^ b))
        }, |v| v);
        hot join(|s, t| s.join(t, |_| Ctx::empty::<()>(), |_| Ctx::empty::<()>()), |(a, b)| a ^ b);
        hot join_with_buffer(|s, t| {
            let latest = Buffer::new(1).on_overflow(Overflow::DropOldest);
            s.join_with_buffer(t, |_| Ctx::never::<()>(), |_| Ctx::never::<()>(), latest)
        }, |(a, b)| a ^ b);
        hot group_join(|s, t| s.group_join(t, |_| Ctx::empty::<()>(), |_| Ctx::empty::<()>()), |(v, _)| v);
        hot group_join_with_buffer(|s, t| {
            s.group_join_with_buffer(t, |_| Ctx::empty::<()>(), |_| Ctx::empty::<()>(), Buffer::new(1))
        }, |(v, _)| v);
        cold exhaust_map_on_dropped(|s| s.exhaust_map_on_dropped(|v| Ctx::from_iter([v, v + 1]), |_| {}), |v| v);
        cold exhaust_map(|s| s.exhaust_map(|v| Ctx::from_iter([v, v + 1])), |v| v);
        cold merge_on_next(|s| s.map(|v| Ctx::from_iter([v, v + 1])).merge_on_next(), |v| v);
        cold concat_on_next(|s| s.map(|v| Ctx::from_iter([v, v + 1])).concat_on_next(), |v| v);
        cold switch_on_next(|s| s.map(|v| Ctx::from_iter([v, v + 1])).switch_on_next(), |v| v);
        cold range(|s| { let _ = s; Ctx::range(0..N as u64).map(black_box) }, |v| v);
        cold generate(|s| { let _ = s; Ctx::generate(0, |v| *v < N as u64, |v| v + 1, |v| black_box(*v)) }, |v| v);
        cold from_callback(|s| s.flat_map(|v| Ctx::from_callback(move |done| done.call(v))), |v| v);
        cold using(|s| Ctx::using(|| (), move |()| s, |()| {}), |v| v);
        hot sample_with(|s, t| s.sample_with(t), |v| v);
        one share(|s, t| { let _ = t; s.share() }, |v| v);
        one share_replay(|s, t| { let _ = t; s.share_replay(Replay::last(1)) }, |v| v);
        one publish(|s, t| { let _ = t; let all = s.publish(); all.connect(); all }, |v| v);
        one replay(|s, t| { let _ = t; let all = s.replay(Replay::last(1)); all.connect(); all }, |v| v);
        own replay_subject(|| Ctx::replay_subject::<u64, Infallible>(Replay::last(1)), |v| v);
        own async_subject(|| Ctx::async_subject::<u64, Infallible>(), |v| v);
        hot audit_with(|s, t| s.audit_with(move |_| t.clone()), |v| v);
        timed audit(|s| s.stream_error().concat_with(Ctx::throw_err(StreamError::NoItem("the end")))
            .audit(Duration::from_secs(3600)).on_error_return(|_| 7), |v| v);
        timed debounce_with(|s| s.debounce_with(Duration::from_secs(3600), Edges::both()), |v| v);
        timed sample_emit_last(|s| s.sample_emit_last(Duration::from_secs(3600)), |v| v);
        one throttle_by(|s, t| s.throttle_by(move |_| t.clone(), Edges::leading()), |v| v);
        one debounce_by(|s, t| s.debounce_by(move |_| t.clone(), Edges::trailing()), |v| v);
        timed throttle_with(|s| s.throttle_with(Duration::from_secs(3600), Edges::leading()), |v| v);
        cold delay_each(|s| s.delay_each(|_| Ctx::of(())), |v| v);
        hot merge_all(|s, t| Ctx::merge_all([s, t]), |v| v);
        cold try_map(|s| s.try_map(super::above)
            .route_failures(observer(|_: Rejected<u64>| {})), |v| v);
    }

    pub(super) fn observe_on(data: &'static [u64]) -> super::Pair {
        [
            Some(work!(timed Local data, |s| s.observe_on(LocalScheduler), |v| v)),
            Some(work!(timed Shared data, |s| s.observe_on(SharedScheduler), |v| v)),
        ]
    }

    pub(super) fn on_backpressure_buffer(data: &'static [u64]) -> super::Pair {
        [
            Some(work!(timed Local data, |s| s.on_backpressure_buffer(1 << 20, Overflow::Error), |v| v)),
            Some(work!(timed Shared data, |s| s.on_backpressure_buffer(1 << 20, Overflow::Error), |v| v)),
        ]
    }

    /// Which items come while the consumer is busy is sure on one thread only.
    pub(super) fn on_backpressure_drop(data: &'static [u64]) -> super::Pair {
        [Some(work!(timed Local data, |s| s.on_backpressure_drop(|_| {}), |v| v)), None]
    }

    /// See [`on_backpressure_drop`].
    pub(super) fn on_backpressure_latest(data: &'static [u64]) -> super::Pair {
        [Some(work!(timed Local data, |s| s.on_backpressure_latest(), |v| v)), None]
    }

    pub(super) fn from_iter_result(data: &'static [u64]) -> super::Pair {
        let items = move || data.iter().map(|v| Ok::<u64, Infallible>(black_box(*v)));
        [
            Some(work!(cold Local data, |s| { let _ = s; Local::from_iter_result(items()) }, |v| v)),
            Some(work!(cold Shared data, |s| { let _ = s; Shared::from_iter_result(items()) }, |v| v)),
        ]
    }

    /// Each event is made a delivery, and acknowledged.
    pub(super) fn deliver(data: &'static [u64]) -> super::Pair {
        let items = move || {
            let acks = Acknowledger::new("bench", MemoryPosition::default());
            acks.into_iter().flat_map(move |acks| acks.deliver(data.iter().map(|v| black_box(*v))))
        };
        let failed = || observer(|_: StreamError| {});
        [
            Some(work!(cold Local data,
                |s| { let _ = s; Local::from_iter_result(items()).on_error_route(failed()) }, |v| v.ack())),
            Some(work!(cold Shared data,
                |s| { let _ = s; Shared::from_iter_result(items()).on_error_route(failed()) }, |v| v.ack())),
        ]
    }

    /// A chain between two streams.
    pub(super) fn through(data: &'static [u64]) -> super::Pair {
        through_of(move || super::numbers(data))
    }

    pub(super) fn through_of_channel(data: &'static [u64]) -> super::Pair {
        through_of(move || super::sent(data))
    }

    fn through_of<S>(source: impl Fn() -> S + Copy + 'static) -> super::Pair
    where
        S: Stream<Item = u64> + Unpin + Send + 'static,
    {
        [
            Some(Box::new(move || {
                super::drained(source().through(|s| s.map(super::thrice).filter(super::not_sixteenth)))
            })),
            Some(Box::new(move || {
                super::drained(source().through_shared(|s| s.map(super::thrice).filter(super::not_sixteenth)))
            })),
        ]
    }

    /// Every item crosses to a task over the ring.
    pub(super) fn hand_off_on(data: &'static [u64]) -> super::Pair {
        let ring = || Buffer::new(1 << 20);
        [
            Some(work!(timed Local data, |s| s.hand_off_on(LocalScheduler, ring()), |v| v)),
            Some(work!(timed Shared data, |s| s.hand_off_on(SharedScheduler, ring()), |v| v)),
        ]
    }
}

mod theirs {
    use rxevents::rx::{ThrottleEdge, prelude::*};

    same_chains!();

    chains! {
        cold merge_on_next(|s| s.map(|v| Ctx::from_iter([v, v + 1])).merge_all(usize::MAX), |v| v);
        cold concat_on_next(|s| s.map(|v| Ctx::from_iter([v, v + 1])).concat_all(), |v| v);
        cold switch_on_next(|s| s.map(|v| Ctx::from_iter([v, v + 1])).switch_map(|inner| inner), |v| v);
        cold concat_all(|s| Ctx::concat_observables([s]), |v| v);
        hot merge_all(|s, t| Ctx::merge_observables([s, t]), |v| v);
        cold group_by(|s| s.map(|v| v & 63).group_by(|v| *v).flat_map(|group| group), |v| v);
        cold distinct_by(|s| s.map(|v| v & 0xffff).distinct_key(|v| *v), |v| v);
        cold distinct_until_key_changed(|s| s.map(|v| v & 1).distinct_until_key_changed(|v| *v), |v| v);
        cold fold(|s| s.reduce_initial(0, |a, v| a ^ v), |v| v);
        cold to_vec(|s| s.collect::<Vec<_>>(), |v| v.iter().fold(0, |a, v| a ^ v));
        hot buffer_with(|s, t| s.buffer(t), |w| w.iter().fold(0, |a, v| a ^ v));
        timed buffer_time_max(|s| s.buffer_time_max(Duration::from_secs(3600), 5),
            |w| w.iter().fold(0, |a, v| a ^ v));
        hot sample_with(|s, t| s.sample(t), |v| v);
        one throttle_by(|s, t| s.throttle(move |_| t.clone(), ThrottleEdge::leading()), |v| v);
        one publish(|s, t| { let _ = t; let all = s.publish(); let one = all.fork(); all.connect(); one }, |v| v);
        timed throttle_first(|s| s.throttle_time(Duration::from_secs(3600), ThrottleEdge::leading()), |v| v);
    }

    /// In `Shared` it loses items, so there is nothing to compare.
    pub(super) fn observe_on(data: &'static [u64]) -> super::Pair {
        [Some(work!(timed Local data, |s| s.observe_on(LocalScheduler), |v| v)), None]
    }
}

/// How far apart events may be of those that came before, in the rows of event time: a thousand keys, a moment each.
const KEYS: u64 = 1_000;
const DISORDER: u64 = 100;
const SIZE: u64 = 16_000;
const HOPS: usize = 8;

fn keyed((n, v): (u64, u64)) -> (u64, u64) {
    (n, v % KEYS)
}

fn key(of: &(u64, u64)) -> &u64 {
    &of.1
}

fn moment(of: &(u64, u64)) -> i64 {
    of.0 as i64
}

fn tumbling() -> EventWindows {
    EventWindows::tumbling(Duration::from_nanos(SIZE)).time(disorder())
}

fn hopping() -> EventWindows {
    let size = Duration::from_nanos(SIZE);
    EventWindows::hopping(size * HOPS as u32, size).time(disorder())
}

fn last_span() -> SlidingWindows {
    SlidingWindows::new(Duration::from_nanos(SIZE))
}

fn disorder() -> EventTime {
    EventTime::disorder(Duration::from_nanos(DISORDER))
}

type Table = HashMap<u64, u64, FastHasher>;

/// Counts in tables, one for each piece of time; `close` is given those that make up a window.
fn by_tables(data: &[u64], hops: usize, mut close: impl FnMut(&[Table])) {
    // The first windows begin before the first event.
    let mut tables: Vec<Table> = vec![Table::default(); hops];
    let (mut first, early) = (0, (hops as u64 - 1) * SIZE);
    for (n, v) in data.iter().map(black_box).enumerate() {
        let n = n as u64 + early;
        let at = ((n - first) / SIZE) as usize;
        if at == tables.len() {
            tables.push(Table::default());
        }
        *tables[at].entry(v % KEYS).or_default() += 1;
        if n - DISORDER.min(n) >= first + SIZE * hops as u64 {
            close(&tables[..hops]);
            tables.remove(0);
            first += SIZE;
        }
    }
    (0..tables.len()).for_each(|from| close(&tables[from..(from + hops).min(tables.len())]));
}

/// Runs `feed` in a runtime with a `LocalSet`, and its tasks until `done`.
fn in_runtime(feed: impl FnOnce(), done: impl Fn() -> bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let Ok(runtime) = runtime else { return };
    tokio::task::LocalSet::new().block_on(&runtime, async {
        feed();
        while !done() {
            tokio::task::yield_now().await;
        }
    });
}

/// A loop by hand with the subscriber's work: adding to a cell that others can see.
macro_rules! hand {
    (|$sum:ident| $($body:tt)*) => {
        move || {
            let total = Sum::default();
            let $sum = total.clone();
            $($body)*
            total.get()
        }
    };
}

fn rows() -> Vec<Row> {
    let d = data();
    // Where rxRust starts a task for each event, fewer will do.
    let f = &d[..N / 10];
    let few = |name, hand: Work, ours, theirs| Row { name, events: f.len(), hand, ours, theirs };
    let none = || [None, None];
    vec![
        row(
            "map + filter",
            hand!(|sum| for v in d.iter().map(black_box) {
                let v = v.wrapping_mul(3);
                if v & 15 != 0 {
                    sum.add(v);
                }
            }),
            ours::map_filter(d),
            theirs::map_filter(d),
        ),
        row(
            "filter_map",
            hand!(|sum| for v in d.iter().map(black_box) {
                if let Some(v) = v.checked_sub(1 << 20) {
                    sum.add(v);
                }
            }),
            ours::filter_map(d),
            theirs::filter_map(d),
        ),
        row(
            "scan",
            hand!(|sum| {
                let mut acc = 0_u64;
                for v in d.iter().map(black_box) {
                    acc = acc.wrapping_add(*v);
                    sum.add(acc);
                }
            }),
            ours::scan(d),
            theirs::scan(d),
        ),
        row(
            "tap",
            hand!(|sum| for v in d.iter().map(black_box) {
                black_box(v);
                sum.add(*v);
            }),
            ours::tap(d),
            theirs::tap(d),
        ),
        row(
            "take",
            hand!(|sum| for v in d.iter().take(N - 1).map(black_box) {
                sum.add(*v);
            }),
            ours::take(d),
            theirs::take(d),
        ),
        row(
            "take_while",
            hand!(|sum| for v in d.iter().map(black_box) {
                if *v == u64::MAX {
                    break;
                }
                sum.add(*v);
            }),
            ours::take_while(d),
            theirs::take_while(d),
        ),
        row(
            "take_while_inclusive",
            opaque(d),
            ours::take_while_inclusive(d),
            theirs::take_while_inclusive(d),
        ),
        row("skip_while", opaque(d), ours::skip_while(d), theirs::skip_while(d)),
        row("skip_until, open", opaque(d), ours::skip_until(d), theirs::skip_until(d)),
        row("distinct, 65,536 different", first_of_each(d), ours::distinct(d), theirs::distinct(d)),
        row("distinct_by, 65,536 keys", first_of_each(d), ours::distinct_by(d), theirs::distinct_by(d)),
        row("distinct_by_with, 65,536 keys", first_of_each(d), ours::distinct_by_with(d), none()),
        row("distinct_by_flush, 65,536 keys", first_of_each(d), ours::distinct_by_flush(d), none()),
        row(
            "distinct_until_changed",
            changes(d),
            ours::distinct_until_changed(d),
            theirs::distinct_until_changed(d),
        ),
        row(
            "distinct_until_key_changed",
            changes(d),
            ours::distinct_until_key_changed(d),
            theirs::distinct_until_key_changed(d),
        ),
        row("element_at", folded(d, 0, |_, v| v), ours::element_at(d), none()),
        row("element_at_or", folded(d, 0, |_, _| 7), ours::element_at_or(d), none()),
        row("filter + first_or, of nothing", folded(d, 0, |_, _| 7), ours::first_or(d), theirs::first_or(d)),
        row("last", folded(d, 0, |_, v| v), ours::last(d), theirs::last(d)),
        row("last_or", folded(d, 0, |_, v| v), ours::last_or(d), theirs::last_or(d)),
        row("filter + merge + single", folded(d, 0, |_, _| 7), ours::single(d), none()),
        row("ignore_elements", folded(d, 0, |_, _| 7), ours::ignore_elements(d), none()),
        row("count", folded(d, 0, |n, _| n + 1), ours::count(d), theirs::count(d)),
        row("sum", folded(d, 0, |a, v| a + v), ours::sum(d), theirs::sum(d)),
        row("average", mean(d), ours::average(d), theirs::average(d)),
        row("average_by", mean(d), ours::average_by(d), none()),
        row("min", folded(d, u64::MAX, u64::min), ours::min(d), theirs::min(d)),
        row("max", folded(d, 0, u64::max), ours::max(d), theirs::max(d)),
        row("min_by", folded(d, u64::MAX, u64::min), ours::min_by(d), none()),
        row("max_by", folded(d, 0, u64::max), ours::max_by(d), none()),
        row("min_by_key", folded(d, u64::MAX, u64::min), ours::min_by_key(d), none()),
        row("max_by_key", folded(d, 0, u64::max), ours::max_by_key(d), none()),
        row("reduce", folded(d, 0, |a, v| a ^ v), ours::reduce(d), theirs::reduce(d)),
        row("fold", folded(d, 0, |a, v| a ^ v), ours::fold(d), theirs::fold(d)),
        row("to_vec", gathered(d), ours::to_vec(d), theirs::to_vec(d)),
        row("to_vec_with", gathered(d), ours::to_vec_with(d), none()),
        row("all", folded(d, 1, |a, v| a & u64::from(v < u64::MAX)), ours::all(d), none()),
        row("any", folded(d, 0, |a, v| a | u64::from(v == u64::MAX)), ours::any(d), none()),
        row(
            "contains",
            folded(d, 0, |a, v| a | u64::from(v == u64::MAX)),
            ours::contains(d),
            theirs::contains(d),
        ),
        row("is_empty, of nothing", folded(d, 1, |a, _| a), ours::is_empty(d), none()),
        row("default_if_empty", opaque(d), ours::default_if_empty(d), theirs::default_if_empty(d)),
        row("switch_if_empty", opaque(d), ours::switch_if_empty(d), none()),
        row("sequence_equal of subjects", equal(d), ours::sequence_equal(d), none()),
        row("sequence_equal_with_buffer of subjects", equal(d), ours::sequence_equal_with_buffer(d), none()),
        row(
            "pairwise",
            hand!(|sum| {
                let mut before = None;
                for v in d.iter().map(|v| black_box(*v)) {
                    if let Some(before) = before.replace(v) {
                        sum.add(before ^ v);
                    }
                }
            }),
            ours::pairwise(d),
            theirs::pairwise(d),
        ),
        row(
            "index",
            hand!(|sum| for (n, v) in d.iter().enumerate() {
                sum.add(n as u64 ^ black_box(*v));
            }),
            ours::index(d),
            none(),
        ),
        row("materialize + dematerialize", opaque(d), ours::materialize(d), none()),
        few(
            "timestamp",
            Box::new(hand!(|sum| for v in f {
                black_box((Instant::now(), std::time::SystemTime::now()));
                sum.add(*v);
            })),
            ours::timestamp(f),
            none(),
        ),
        few(
            "time_interval",
            Box::new(hand!(|sum| {
                let mut before = Instant::now();
                for v in f {
                    let now = Instant::now();
                    black_box(now - before);
                    before = now;
                    sum.add(*v);
                }
            })),
            ours::time_interval(f),
            none(),
        ),
        row("buffer_count(5), a Vec each", fives(d), ours::buffer_count(d), theirs::buffer_count(d)),
        row("buffer_time, an hour", gathered(d), ours::buffer_time(d), theirs::buffer_time(d)),
        row("buffer_time_max(5), a Vec each", fives(d), ours::buffer_time_max(d), theirs::buffer_time_max(d)),
        row("buffer_time_shift, an hour", gathered(d), ours::buffer_time_shift(d), none()),
        row("buffer_with, by turns", by_turns(d), ours::buffer_with(d), theirs::buffer_with(d)),
        row("buffer_with + bounded, by turns", by_turns(d), ours::bounded(d), none()),
        row(
            "buffer_toggle, by turns, empty",
            hand!(|sum| for pair in d.chunks_exact(2) {
                black_box(vec![pair[1]; 0]);
                sum.add(0);
            }),
            ours::buffer_toggle(d),
            none(),
        ),
        row("buffer_when, all in one", gathered(d), ours::buffer_when(d), none()),
        row("window_count(5) + flat_map", opaque(d), ours::window_count(d), none()),
        row("window_count_skip(5, 5) + flat_map", opaque(d), ours::window_count_skip(d), none()),
        row("window_time, an hour + flat_map", opaque(d), ours::window_time(d), none()),
        row("window_time_max(5) + flat_map", opaque(d), ours::window_time_max(d), none()),
        row("window_time_shift, an hour + flat_map", opaque(d), ours::window_time_shift(d), none()),
        row("window_with, by turns + flat_map", lefts(d), ours::window_with(d), none()),
        row(
            "window_toggle, the first + flat_map",
            // The first item comes before the first opening.
            hand!(|sum| d.chunks_exact(2).skip(1).for_each(|p| sum.add(black_box(p[0])));),
            ours::window_toggle(d),
            none(),
        ),
        row("window_when, all in one + flat_map", opaque(d), ours::window_when(d), none()),
        row(
            "event_windows, 1,000 keys, 16 events each",
            hand!(|sum| by_tables(d, 1, |tables| {
                tables.iter().flatten().for_each(|(key, count)| sum.add(key * count));
            });),
            ours::event_windows(d),
            none(),
        ),
        row(
            "event_windows, hopping, 8 panes",
            hand!(|sum| by_tables(d, HOPS, |tables| {
                let mut all = Table::default();
                tables.iter().flatten().for_each(|(key, count)| *all.entry(*key).or_default() += count);
                all.iter().for_each(|(key, count)| sum.add(key * count));
            });),
            ours::event_windows_hopping(d),
            none(),
        ),
        row(
            "event_windows_all",
            hand!(|sum| {
                let (mut count, mut end) = ([0, 0], SIZE);
                for (n, v) in d.iter().map(black_box).enumerate() {
                    black_box(v);
                    count[usize::from(n as u64 >= end)] += 1;
                    if n as u64 == end + DISORDER {
                        sum.add(count[0]);
                        (count, end) = ([count[1], 0], end + SIZE);
                    }
                }
                count.into_iter().for_each(|count| sum.add(count));
            }),
            ours::event_windows_all(d),
            none(),
        ),
        row(
            "event_windows_acked, of no source",
            hand!(|sum| by_tables(d, 1, |tables| {
                tables.iter().flatten().for_each(|(key, count)| sum.add(key * count));
            });),
            ours::event_windows_acked(d),
            none(),
        ),
        row(
            "sliding_event_windows, of 16 events",
            hand!(|sum| {
                let mut last: HashMap<u64, (VecDeque<u64>, u64), FastHasher> = HashMap::default();
                for (n, v) in d.iter().map(black_box).enumerate() {
                    let key = v % KEYS;
                    let (times, total) = last.entry(key).or_default();
                    while times.front().is_some_and(|at| at + SIZE <= n as u64) {
                        times.pop_front();
                        *total -= key;
                    }
                    times.push_back(n as u64);
                    *total += key;
                    sum.add(*total);
                }
            }),
            ours::sliding_event_windows(d),
            none(),
        ),
        row("group_by, 64 keys + flat_map", grouped(d), ours::group_by(d), theirs::group_by(d)),
        row("group_by_with, 64 keys + flat_map", grouped(d), ours::group_by_with(d), none()),
        row(
            "try_map + route_failures",
            hand!(|sum| for v in d.iter().map(black_box) {
                // A panic must not cost the item, so each call is guarded, as in ours.
                if let Ok(Ok(v)) = catch_unwind(|| above(v)) {
                    sum.add(v);
                }
            }),
            ours::try_map(d),
            none(),
        ),
        row(
            "validate + route_failures",
            hand!(|sum| for v in d.iter().map(|v| black_box(*v)) {
                if (Positive { value: v }).validate().is_ok() {
                    sum.add(v);
                }
            }),
            ours::validate(d),
            none(),
        ),
        row(
            "decode_json + dead_letter",
            hand!(|sum| for v in d {
                if let Ok(Ok(reading)) = catch_unwind(|| serde_json::from_str::<Reading>(json(*v))) {
                    sum.add(reading.value);
                }
            }),
            ours::decode_json(d),
            none(),
        ),
        row(
            "decode_json + dead_letter_with",
            hand!(|sum| for v in d {
                if let Ok(Ok(reading)) = catch_unwind(|| serde_json::from_str::<Reading>(json(*v))) {
                    sum.add(reading.value);
                }
            }),
            ours::dead_letter_with(d),
            none(),
        ),
        row("catch_error", opaque(d), ours::catch_error(d), none()),
        row("on_error_route", opaque(d), ours::on_error_route(d), none()),
        row("on_error_return", opaque(d), ours::on_error_return(d), none()),
        row("retry_with", opaque(d), ours::retry_with(d), none()),
        row("finalize", opaque(d), ours::finalize(d), none()),
        row("create", boxed(d), ours::create(d), none()),
        row(
            "throttle_first_by, of an iterator",
            hand!(|sum| {
                let mut open = None;
                for v in d.iter().map(black_box) {
                    if open.is_none_or(|at| *v >= at) {
                        open = v.checked_add(1 << 20);
                        sum.add(*v);
                    }
                }
            }),
            ours::throttle_first_by(d),
            none(),
        ),
        row("flat_map, 2 each", two_each(d), ours::flat_map(d), theirs::flat_map(d)),
        row("concat_map, 2 each", two_each(d), ours::concat_map(d), theirs::concat_map(d)),
        row("switch_map, 2 each", two_each(d), ours::switch_map(d), theirs::switch_map(d)),
        row("exhaust_map, 2 each", two_each(d), ours::exhaust_map(d), none()),
        row("exhaust_map_on_dropped, 2 each", two_each(d), ours::exhaust_map_on_dropped(d), none()),
        row("merge_on_next, 2 each", two_each(d), ours::merge_on_next(d), theirs::merge_on_next(d)),
        row("concat_on_next, 2 each", two_each(d), ours::concat_on_next(d), theirs::concat_on_next(d)),
        row("switch_on_next, 2 each", two_each(d), ours::switch_on_next(d), theirs::switch_on_next(d)),
        row("start_with", chained(d), ours::start_with(d), theirs::start_with(d)),
        row("end_with", chained(d), ours::end_with(d), none()),
        row("concat_with", chained(d), ours::concat_with(d), none()),
        row("concat_all", opaque(d), ours::concat_all(d), theirs::concat_all(d)),
        row("repeat", opaque(d), ours::repeat(d), none()),
        row("repeat_when", opaque(d), ours::repeat_when(d), none()),
        row("retry_when", opaque(d), ours::retry_when(d), none()),
        row("on_error_resume_next", opaque(d), ours::on_error_resume_next(d), none()),
        row("using", opaque(d), ours::using(d), none()),
        row("range", counted(), ours::range(d), none()),
        row("generate", counted(), ours::generate(d), none()),
        row("from_fn, one each", opaque(d), ours::from_fn(d), theirs::from_fn(d)),
        row("from_callback, one each", opaque(d), ours::from_callback(d), none()),
        row("amb of subjects", boxed(d), ours::amb(d), none()),
        row("amb_all of subjects", boxed(d), ours::amb_all(d), none()),
        row("merge_delay_error of subjects", boxed(d), ours::merge_delay_error(d), none()),
        row("merge_all_delay_error of subjects", boxed(d), ours::merge_all_delay_error(d), none()),
        row("zip_all of subjects", zipped(d), ours::zip_all(d), none()),
        row("zip_all_with_buffer of subjects", zipped(d), ours::zip_all_with_buffer(d), none()),
        row("when of subjects", zipped(d), ours::when(d), none()),
        row("when_with_buffer of subjects", zipped(d), ours::when_with_buffer(d), none()),
        row(
            "join of subjects, empty windows",
            hand!(|_sum| d.iter().for_each(|v| { black_box(*v); });),
            ours::join(d),
            none(),
        ),
        row(
            "join_with_buffer of subjects, one window each",
            latest_of_both(d),
            ours::join_with_buffer(d),
            none(),
        ),
        row("group_join of subjects, empty windows", lefts(d), ours::group_join(d), none()),
        row(
            "group_join_with_buffer of subjects, empty windows",
            lefts(d),
            ours::group_join_with_buffer(d),
            none(),
        ),
        row("combine_latest_all of subjects", latest_of_both(d), ours::combine_latest_all(d), none()),
        row("merge of iterators", chained(d), ours::merge_cold(d), theirs::merge_cold(d)),
        row("zip of iterators", zipped_cold(d), ours::zip_cold(d), theirs::zip_cold(d)),
        row("merge of iterators, in batches", chained(d), ours::merge_cold_batches(d), theirs::merge_cold(d)),
        row("zip of iterators, in batches", zipped_cold(d), ours::zip_cold_batches(d), theirs::zip_cold(d)),
        row("subject, one subscriber", boxed(d), ours::subject(d), theirs::subject(d)),
        row("merge of subjects", boxed(d), ours::merge(d), theirs::merge(d)),
        row("zip of subjects", zipped(d), ours::zip(d), theirs::zip(d)),
        row("subject, in batches", boxed(d), ours::subject_batches(d), theirs::subject(d)),
        row("merge of subjects, in batches", boxed(d), ours::merge_batches(d), theirs::merge(d)),
        row("zip of subjects, in batches", zipped(d), ours::zip_batches(d), theirs::zip(d)),
        row(
            "combine_latest of subjects",
            latest_of_both(d),
            ours::combine_latest(d),
            theirs::combine_latest(d),
        ),
        row(
            "with_latest_from of subjects",
            hand!(|sum| {
                let mut latest = None;
                for p in d.chunks_exact(2) {
                    if let Some(b) = latest {
                        sum.add(p[0] ^ b);
                    }
                    latest = black_box(Some(p[1]));
                }
            }),
            ours::with_latest_from(d),
            theirs::with_latest_from(d),
        ),
        row("merge_all of subjects", boxed(d), ours::merge_all(d), theirs::merge_all(d)),
        row("sample_with of subjects", latest_left(d), ours::sample_with(d), theirs::sample_with(d)),
        row("audit_with of subjects", latest_left(d), ours::audit_with(d), none()),
        row("share of a subject", boxed(d), ours::share(d), theirs::ref_count(d)),
        row("share_replay of a subject", kept(d), ours::share_replay(d), none()),
        row("publish + ref_count of a subject", boxed(d), ours::ref_count(d), theirs::ref_count(d)),
        row("publish + connect of a subject", boxed(d), ours::publish(d), theirs::publish(d)),
        row("replay + connect of a subject", kept(d), ours::replay(d), none()),
        row(
            "behavior_subject, one subscriber",
            kept(d),
            ours::behavior_subject(d),
            theirs::behavior_subject(d),
        ),
        row("replay_subject, one subscriber", kept(d), ours::replay_subject(d), none()),
        row("async_subject, one subscriber", folded(d, 0, |_, v| v), ours::async_subject(d), none()),
        row(
            "throttle_by, one window",
            hand!(|sum| {
                let mut open = true;
                for v in d {
                    if black_box(open) {
                        open = false;
                        sum.add(*v);
                    }
                }
            }),
            ours::throttle_by(d),
            theirs::throttle_by(d),
        ),
        few("debounce_by, one subject", last_one(f), ours::debounce_by(f), none()),
        row("delay_each, not at all", opaque(d), ours::delay_each(d), none()),
        few("throttle_with, 1 h", clocked(f), ours::throttle_with(f), theirs::throttle_first(f)),
        row("take_until of subjects", boxed(d), ours::take_until(d), theirs::take_until(d)),
        few("throttle_first, 1 h", clocked(f), ours::throttle_first(f), theirs::throttle_first(f)),
        few(
            "throttle_first, 1 h, in batches",
            clocked(f),
            ours::throttle_first_batches(f),
            theirs::throttle_first(f),
        ),
        few("throttle_latest, 1 h", first_and_last(f), ours::throttle_latest(f), none()),
        few("debounce, 1 h", last(f), ours::debounce(f), theirs::debounce(f)),
        few(
            "stream_error + concat_with + audit, 1 h, an error drops what waits",
            Box::new(hand!(|sum| {
                let mut waiting = None;
                f.iter().for_each(|v| waiting = black_box(Some(*v)));
                black_box(waiting);
                sum.add(7);
            })),
            ours::audit(f),
            none(),
        ),
        few("debounce_with, 1 h, both edges", first_and_last(f), ours::debounce_with(f), none()),
        few("sample_emit_last, 1 h", last_one(f), ours::sample_emit_last(f), none()),
        few(
            "delay_subscription, not at all",
            Box::new(opaque(f)),
            ours::delay_subscription(f),
            theirs::delay_subscription(f),
        ),
        few("subscribe_on", Box::new(opaque(f)), ours::subscribe_on(f), theirs::subscribe_on(f)),
        few("delay, 1 ms", queued(f), ours::delay(f), none()),
        few("observe_on", queued(f), ours::observe_on(f), theirs::observe_on(f)),
        few("on_backpressure_buffer", queued(f), ours::on_backpressure_buffer(f), none()),
        few("on_backpressure_drop", first_one(f), ours::on_backpressure_drop(f), none()),
        few("on_backpressure_latest", last_one(f), ours::on_backpressure_latest(f), none()),
        few("on_backpressure_timeout, 1 h", queued(f), ours::on_backpressure_timeout(f), none()),
        few("hand_off_on", queued(f), ours::hand_off_on(f), none()),
        few("rate_limit, 1 G/s", queued(f), ours::rate_limit(f), none()),
        row("from_iter_result", opaque(d), ours::from_iter_result(d), none()),
        row("deliver + ack", opaque(d), ours::deliver(d), none()),
        row("map + try_map_value", above_by_hand(d), ours::try_map_value(d), none()),
        row("map + write_to", settled_by_hand(d), ours::write_to(d), none()),
        row(
            "stage of map",
            hand!(|sum| for v in d.iter().map(black_box) {
                sum.add(v.wrapping_mul(3));
            }),
            ours::stage(d),
            none(),
        ),
        row(
            "through of map + filter, beside a Stream by hand",
            move || drained(ByHand(numbers(d))),
            ours::through(d),
            none(),
        ),
        row(
            "through of map + filter, beside a boxed Stream by hand",
            move || drained::<Pin<Box<dyn Stream<Item = _>>>>(Box::pin(ByHand(numbers(d)))),
            ours::through(d),
            none(),
        ),
        row(
            "send to a channel, then through, beside a Stream by hand",
            move || drained(ByHand(sent(d))),
            ours::through_of_channel(d),
            none(),
        ),
        few("merge, two threads", two_threads_by_hand(f), ours::merge_threads(f), theirs::merge_threads(f)),
    ]
}

/// The [`Stream`] adapter that one would write instead of a chain of `map` and `filter`.
struct ByHand<S>(S);

impl<S: Stream<Item = u64> + Unpin> Stream for ByHand<S> {
    type Item = Result<u64, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(v) = ready!(Pin::new(&mut self.0).poll_next(context)) else { return Poll::Ready(None) };
            let v = thrice(v);
            if not_sixteenth(&v) {
                return Poll::Ready(Some(Ok(v)));
            }
        }
    }
}

fn thrice(v: u64) -> u64 {
    v.wrapping_mul(3)
}

fn not_sixteenth(v: &u64) -> bool {
    v & 15 != 0
}

/// The source of both.
fn numbers(d: &'static [u64]) -> impl Stream<Item = u64> + Unpin + Send {
    futures::stream::iter(d.iter().map(|v| black_box(*v)))
}

/// The same, out of a channel that they are sent to in bursts.
fn sent(d: &'static [u64]) -> impl Stream<Item = u64> + Unpin + Send {
    let (sender, mut receiver) = futures::channel::mpsc::unbounded();
    let mut bursts = d.chunks(256);
    futures::stream::poll_fn(move |context| {
        loop {
            match receiver.poll_next_unpin(context) {
                Poll::Pending => match bursts.next() {
                    Some(burst) => burst.iter().for_each(|v| drop(sender.unbounded_send(*v))),
                    None => return Poll::Ready(None),
                },
                next => return next,
            }
        }
    })
}

/// The sum of a stream.
fn drained<S: Stream<Item = Result<u64, StreamError>>>(stream: S) -> u64 {
    let (sum, mut stream) = (Sum::default(), pin!(stream));
    futures::executor::block_on(async {
        while let Some(Ok(v)) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
            sum.add(v);
        }
    });
    sum.get()
}

/// A sink that keeps nothing.
struct Hole;

impl EventSink<u64> for Hole {
    type Error = Infallible;

    fn write(&mut self, value: &u64) -> Result<(), Infallible> {
        black_box(value);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What a sink is given, counted by flushes.
fn settled_by_hand(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| for batch in d.chunks(256) {
        for v in batch {
            black_box(v);
        }
        sum.add(batch.len() as u64);
    })
}

/// A rule, one event after the other.
fn above_by_hand(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| for v in d {
        if let Ok(v) = above(black_box(v)) {
            sum.add(v);
        }
    })
}

/// The first event.
fn first_one(d: &'static [u64]) -> Work {
    Box::new(hand!(|sum| {
        let mut busy = false;
        for v in d.iter().map(black_box) {
            if !busy {
                busy = black_box(true);
                sum.add(*v);
            }
        }
    }))
}

/// One event after the other.
fn opaque(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| for v in d {
        sum.add(black_box(*v));
    })
}

/// One value of all events.
fn folded(d: &'static [u64], first: u64, f: fn(u64, u64) -> u64) -> impl FnMut() -> u64 {
    hand!(|sum| sum.add(d.iter().fold(first, |a, v| f(a, black_box(*v))));)
}

/// The mean.
fn mean(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let all: f64 = d.iter().map(|v| black_box(*v) as f64).sum();
        sum.add((all / d.len() as f64) as u64);
    })
}

/// The first event of each key.
fn first_of_each(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let mut seen = HashSet::with_hasher(rxevents::operator::key::FastHasher::default());
        for v in d.iter().map(|v| black_box(*v) & 0xffff) {
            if seen.insert(v) {
                sum.add(v);
            }
        }
    })
}

/// What is not as the one before.
fn changes(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let mut before = None;
        for v in d.iter().map(|v| black_box(*v) & 1) {
            if before != Some(v) {
                before = Some(v);
                sum.add(v);
            }
        }
    })
}

/// Two sources, one after the other.
fn chained(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| for v in d.iter().chain(&[1]).map(black_box) {
        sum.add(*v);
    })
}

/// One source waits for the other.
fn zipped_cold(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let mut left = VecDeque::new();
        d.iter().for_each(|v| left.push_back(black_box(*v)));
        for b in 0..N as u64 {
            if let Some(a) = left.pop_front() {
                sum.add(a ^ b);
            }
        }
    })
}

/// A queue for each source.
fn zipped(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let (mut left, mut right) = (VecDeque::new(), VecDeque::new());
        for p in d.chunks_exact(2) {
            left.push_back(black_box(p[0]));
            right.push_back(black_box(p[1]));
            while let (Some(a), Some(b)) = (left.front(), right.front()) {
                sum.add(a ^ b);
                left.pop_front();
                right.pop_front();
            }
        }
    })
}

/// The latest of two, whenever one comes.
fn latest_of_both(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let mut b = None;
        for p in d.chunks_exact(2) {
            let a = black_box(Some(p[0]));
            if let (Some(a), Some(b)) = (a, b) {
                sum.add(a ^ b);
            }
            b = black_box(Some(p[1]));
            if let (Some(a), Some(b)) = (a, b) {
                sum.add(a ^ b);
            }
        }
    })
}

/// All in one.
fn gathered(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let mut window = Vec::new();
        for v in d.iter().map(black_box) {
            window.push(*v);
        }
        sum.add(window.iter().fold(0, |a, v| a ^ v));
    })
}

/// Five in one.
fn fives(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let mut window = Vec::with_capacity(5);
        for v in d.iter().map(black_box) {
            window.push(*v);
            if window.len() == 5 {
                let full = black_box(std::mem::replace(&mut window, Vec::with_capacity(5)));
                sum.add(full.iter().fold(0, |a, v| a ^ v));
            }
        }
    })
}

/// Every second one, in a window of its own.
fn by_turns(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| for pair in d.chunks_exact(2) {
        let one = black_box(vec![pair[0]]);
        sum.add(one.iter().fold(0, |a, v| a ^ v));
    })
}

/// By key.
fn grouped(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let mut groups = std::collections::HashMap::<u64, u64>::new();
        for v in d.iter().map(|v| black_box(*v) & 63) {
            *groups.entry(v).or_default() ^= v;
            sum.add(v);
        }
        black_box(groups);
    })
}

/// Every second one.
fn lefts(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| for p in d.chunks_exact(2) {
        sum.add(black_box(p[0]));
    })
}

/// The latest of one source whenever the other emits.
fn latest_left(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let mut latest;
        for p in d.chunks_exact(2) {
            latest = black_box(Some(p[0]));
            if let Some(v) = latest {
                sum.add(v);
            }
        }
    })
}

/// Whether two sources are equal.
fn equal(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let mut equal = true;
        for p in d.chunks_exact(2) {
            equal &= black_box(p[0]).wrapping_mul(0) == black_box(p[1]).wrapping_mul(0);
        }
        sum.add(u64::from(equal));
    })
}

/// The numbers themselves.
fn counted() -> impl FnMut() -> u64 {
    hand!(|sum| for v in 0..N as u64 {
        sum.add(black_box(v));
    })
}

fn two_each(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| for v in d {
        for v in [*v, v + 1] {
            sum.add(black_box(v));
        }
    })
}

/// What a subscriber of unknown type costs at the least: one boxed call an event.
fn boxed(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let mut call: Box<dyn FnMut(u64)> = black_box(Box::new(move |v| sum.add(v)));
        d.iter().for_each(|v| call(*v));
    })
}

/// A boxed call, and the last event kept.
fn kept(d: &'static [u64]) -> impl FnMut() -> u64 {
    hand!(|sum| {
        let mut call: Box<dyn FnMut(u64)> = black_box(Box::new(move |v| sum.add(v)));
        let mut queue = VecDeque::new();
        d.iter().for_each(|v| {
            queue.clear();
            queue.push_back(black_box(*v));
            call(*v);
        });
    })
}

/// The last event.
fn last_one(d: &'static [u64]) -> Work {
    Box::new(hand!(|sum| {
        let mut waiting = None;
        for v in d {
            waiting = black_box(Some(*v));
        }
        sum.add(waiting.unwrap_or(0));
    }))
}

/// One look at the clock an event.
fn clocked(d: &'static [u64]) -> Work {
    Box::new(hand!(|sum| {
        let mut open = None;
        for v in d {
            let now = Instant::now();
            if open.is_none_or(|at| now >= at) {
                open = Some(now + Duration::from_secs(3600));
                sum.add(*v);
            }
        }
    }))
}

/// The first and the last.
fn first_and_last(d: &'static [u64]) -> Work {
    Box::new(hand!(|sum| {
        let mut latest = None;
        for v in d {
            if latest.is_none() {
                sum.add(*v);
            }
            latest = black_box(Some(*v));
        }
        sum.add(latest.unwrap_or(0));
    }))
}

/// The last, with one look at the clock an event.
fn last(d: &'static [u64]) -> Work {
    Box::new(hand!(|sum| {
        let mut waiting = None;
        for v in d {
            waiting = black_box(Some((Instant::now(), *v)));
        }
        sum.add(waiting.map_or(0, |(_, v)| v));
    }))
}

/// Through a queue.
fn queued(d: &'static [u64]) -> Work {
    Box::new(hand!(|sum| {
        let mut queue = VecDeque::new();
        d.iter().for_each(|v| queue.push_back(*v));
        queue.drain(..).for_each(|v| sum.add(v));
    }))
}

/// Two threads and a lock.
fn two_threads_by_hand(d: &'static [u64]) -> Work {
    Box::new(hand!(|sum| {
        let sum = Mutex::new(sum);
        let add = |v| sum.lock().unwrap_or_else(PoisonError::into_inner).add(v);
        two_threads(d, &add, &add);
    }))
}

/// Feeds half of the events from each of two threads.
fn two_threads(d: &'static [u64], left: &(impl Fn(u64) + Sync), right: &(impl Fn(u64) + Sync)) {
    let (first, second) = d.split_at(d.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| first.iter().for_each(|v| left(*v)));
        second.iter().for_each(|v| right(*v));
    });
}
