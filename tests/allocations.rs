//! What allocates nothing per event, once there is room.

use std::{convert::Infallible, time::Duration};

#[path = "common/mod.rs"]
mod common;

use allocation_counter::measure;
use rxevents::{
    event_time::EventTime,
    operator::event_window::{EventWindows, SlidingWindows, aggregate::count},
    prelude::*,
};

const fn ns(n: u64) -> Duration {
    Duration::from_nanos(n)
}

/// One of ten keys, and a time later than the one before.
fn each_later((_, at): (u64, i64), v: f64) -> (u64, i64) {
    (v as u64 % 10, at + 1)
}

fn minutes() -> EventWindows {
    EventWindows::tumbling(ns(100)).time(EventTime::disorder(ns(50)))
}

/// Allocations of `send` for ten thousand events, after as many to make room.
fn allocations(mut send: impl FnMut(f64)) -> u64 {
    let mut events = || (0..10_000).for_each(|n| send(f64::from(n)));
    events();
    measure(events).count_total
}

macro_rules! allocates {
    ($($name:ident: |$events:ident| $pipeline:expr, $expected:expr;)*) => {$(
        #[test]
        fn $name() {
            let mut subject = Local::subject::<f64, Infallible>();
            let $events = subject.clone();
            $pipeline.subscribe(|_| {});
            assert_eq!(allocations(|v| subject.next(v)), $expected);
        }
    )*};
}

allocates! {
    chunks: |e| e.chunks(100, |w| w[0]), 0;
    sliding: |e| e.sliding(100, 1, |w| w[0]), 0;
    sliding_with_gaps: |e| e.sliding(3, 7, |w| w[0]), 0;
    moving_average: |e| e.moving_average(100), 0;
    moving_average_by: |e| e.moving_average_by(100, |v| *v), 0;
    throttle_first_by_key: |e| e.map(|v| (v as u64 % 100, v as u64)).throttle_first_by_key(|v| &v.0, |v| v.1, 200), 0;
    // Each item meets itself; one in two has no partner.
    join_within: |e| e.clone().scan(0_i64, |n, _| n + 1).join_within(
        e.scan(0_i64, |n, _| n + 1).filter(|n| n % 2 == 0), Within::new(Duration::ZERO), |n| *n, |n| *n,
    ), 0;
    count_by_key: |e| e.map(|v| v as u64 % 100).count_by_key(|v| v), 0;
    // One event in ten is late.
    event_windows: |e| e.scan((0, 0), each_later).map(|(key, at)| (key, at - i64::from(key == 9) * 500))
        .event_windows(minutes(), |event| &event.0, |event| event.1, count()), 0;
    event_windows_hopping: |e| e.scan((0, 0), each_later)
        .event_windows(EventWindows::hopping(ns(300), ns(30)), |event| &event.0, |event| event.1, count()), 0;
    event_windows_of_sessions: |e| e.scan((0, 0), each_later).map(|(key, at)| (key, at + at / 100 * 20))
        .event_windows(EventWindows::session(ns(15)), |event| &event.0, |event| event.1, count()), 0;
    sliding_event_windows: |e| e.scan((0, 0), each_later)
        .sliding_event_windows(SlidingWindows::new(ns(300)), |event| &event.0, |event| event.1, count()), 0;
    group_by: |e| e.map(|v| v as u64 % 100).group_by(|v| v).flat_map(|group| group), 0;
    distinct_by: |e| e.map(|v| v as u64 % 100).distinct_by(|v| v), 0;
    // The key is copied to where the one before was.
    distinct_until_key_changed: |e| e.map(|v| if v % 2.0 == 0.0 { "even" } else { "odd" })
        .distinct_until_key_changed(|text| *text), 0;
    sequence_equal: |e| e.clone().sequence_equal(e), 0;
    extremes: |e| e.min_by(f64::total_cmp), 0;
    notifications: |e| e.materialize().dematerialize().pairwise().index(), 0;
    // That the count counts.
    buffer_count_has_one_for_each_partition: |e| e.buffer_count(100), 100;
    buffer_count_skip_has_one_for_each_partition: |e| e.buffer_count_skip(100, 50), 200;
}

/// Handles are registered when a stream is subscribed, not for an event.
#[test]
fn what_is_measured_allocates_nothing() {
    let told = common::Recorder::default();
    let mut subject = Local::subject::<f64, Infallible>();
    let other = Local::subject::<f64, Infallible>();
    let buffer = Buffer::new(100).on_overflow(Overflow::DropOldest).named("ahead");
    rxevents::metrics::facade::with_local_recorder(&told, || {
        let results = subject.clone().map(|v| if v < 9_000.0 { Ok(v) } else { Err(v) });
        results.measured_results("stage").zip_with_buffer(other.clone(), buffer).subscribe(|_| {});
    });
    assert_eq!(allocations(|v| subject.next(v)), 0);
    assert_eq!(told.counter("rxevents_events_total", "stage=stage"), 20_000);
    assert_eq!(told.counter("rxevents_failures_total", "stage=stage"), 2_000);
    assert_eq!(told.counter("rxevents_dropped_total", "policy=drop_oldest,queue=ahead"), 19_900);
}
