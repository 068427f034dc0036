use std::{convert::Infallible, num::NonZeroUsize};

use rxevents::{
    assert_marbles,
    metrics::{
        DROPPED, EVENTS, FAILURES, QUEUE_CAPACITY, QUEUE_DEPTH, QUEUE_PEAK_DEPTH, STAGE_SECONDS,
        STREAM_ERRORS,
        facade::{Unit, with_local_recorder},
    },
    prelude::*,
    rx::scheduler::SleepProvider,
    testing::record,
};

use super::flavour::{BoxFuture, Kind, Scheduler};
use crate::common::{Recorder, ms};

#[test]
fn a_stage_is_counted_and_timed() {
    let (s, told) = (Scheduler::new(), Recorder::default());
    let slow = s.clone();
    let seen = with_local_recorder(&told, || {
        record(s.cold("-a----b#").measured("stage").tap(move |_| slow.stall(ms(3))))
    });
    s.advance_by(ms(100));
    assert_marbles!(seen, "----a----(b#)");
    assert_eq!(told.counter(EVENTS, "stage=stage"), 2);
    assert_eq!(told.counter(STREAM_ERRORS, "stage=stage"), 1);
    assert_eq!(told.times(STAGE_SECONDS, "stage=stage"), [0.003, 0.003]);
    assert!(!told.knows(FAILURES), "nobody can know");
}

#[test]
fn what_a_queue_below_takes_is_not_timed() {
    let (s, told) = (Scheduler::new(), Recorder::default());
    let slow = s.clone();
    let _seen = with_local_recorder(&told, || {
        record(s.cold("ab|").measured("above").observe_on(s.clone()).tap(move |_| slow.stall(ms(3))))
    });
    s.advance_by(ms(100));
    assert_eq!(told.times(STAGE_SECONDS, "stage=above"), [0.0, 0.0]);
    assert_eq!(told.counter(STREAM_ERRORS, "stage=above"), 0);
}

#[test]
fn results_that_are_errors_are_failures() {
    let (s, told) = (Scheduler::new(), Recorder::default());
    let seen = with_local_recorder(&told, || {
        let checked = s.cold("abcb|").try_map(|c| if *c == 'b' { Err(Reason::other("b")) } else { Ok(*c) });
        record(checked.measured_results("checked").route_failures(observer(|_: Rejected<char>| {})))
    });
    s.advance_by(ms(100));
    assert_marbles!(seen, "a-c-|");
    assert_eq!(told.counter(EVENTS, "stage=checked"), 4);
    assert_eq!(told.counter(FAILURES, "stage=checked"), 2);
    assert_eq!(told.times(STAGE_SECONDS, "stage=checked").len(), 4);
}

/// An item whose handling panics has come, and has not been handled.
#[test]
fn a_panic_below_is_not_timed() {
    let (s, told) = (Scheduler::new(), Recorder::default());
    let seen = with_local_recorder(&told, || {
        let source = s.on(Kind::from_iter(0..3).stream_error());
        record(source.measured("stage").map(|n| 1 / (1 - n)).on_error_return(|error| {
            assert_eq!(error.to_string(), "panic in `map`: attempt to divide by zero");
            -1
        }))
    });
    s.advance_by(ms(1));
    assert_eq!(seen.items(), [1, -1]);
    assert_eq!(told.counter(EVENTS, "stage=stage"), 2);
    assert_eq!(told.times(STAGE_SECONDS, "stage=stage").len(), 1);
}

#[test]
fn subscriptions_of_a_stage_add_up_and_each_registers_once() {
    let (s, told) = (Scheduler::new(), Recorder::default());
    let source = s.hot("abc|").measured("stage");
    assert!(!told.knows(EVENTS));
    let _seen = with_local_recorder(&told, || [record(source.clone()), record(source)]);
    let registered = told.registrations();
    s.advance_by(ms(100));
    assert_eq!(told.counter(EVENTS, "stage=stage"), 6);
    assert_eq!(told.registrations(), registered);
}

#[test]
fn each_metric_has_a_help_text_and_a_unit() {
    let (s, told) = (Scheduler::new(), Recorder::default());
    let _seen = with_local_recorder(&told, || {
        let results = s.cold("a").map(Ok::<char, char>).measured_results("stage");
        record(
            results.delay_with_buffer(ms(1), Buffer::new(1).on_overflow(Overflow::DropOldest).named("queue")),
        )
    });
    for (name, unit) in [
        (EVENTS, Unit::Count),
        (FAILURES, Unit::Count),
        (STREAM_ERRORS, Unit::Count),
        (STAGE_SECONDS, Unit::Seconds),
        (QUEUE_DEPTH, Unit::Count),
        (QUEUE_CAPACITY, Unit::Count),
        (QUEUE_PEAK_DEPTH, Unit::Count),
        (DROPPED, Unit::Count),
    ] {
        assert!(told.knows(name), "{name}");
        let (described, help) = told.described(name);
        assert_eq!((described, help.ends_with('.')), (Some(unit), true), "{name}: {help}");
    }
}

/// The depth of a named queue of at most three after each of eight milliseconds; it has taken all back in the end.
macro_rules! depths {
    ($($name:ident: |$s:ident, $buffer:ident| $pipeline:expr, $queues:literal, $depths:expr;)*) => {$(
        #[test]
        fn $name() {
            let ($s, told) = (&Scheduler::new(), Recorder::default());
            let $buffer = Buffer::new(3).on_overflow(Overflow::DropOldest).named("queue");
            let mut seen = with_local_recorder(&told, || record($pipeline));
            let depth = || told.gauge(QUEUE_DEPTH, "queue=queue");
            let capacity = || told.gauge(QUEUE_CAPACITY, "queue=queue");
            assert_eq!((depth(), capacity()), (0.0, 3.0 * f64::from($queues)));
            let depths = [(); 8].map(|()| {
                $s.advance_by(ms(1));
                depth() as usize
            });
            assert_eq!(depths, $depths);
            seen.unsubscribe();
            drop(seen);
            $s.run_ready();
            assert_eq!((depth(), capacity()), (0.0, 0.0));
        }
    )*};
}

fn retry() -> Retry<Reason> {
    Retry::times(1).fixed(ms(4))
}

fn fails(_item: &char) -> Result<char, Reason> {
    Err(Reason::other("no"))
}

fn slow(s: &Scheduler) -> impl FnMut(&char) -> BoxFuture<Result<char, Reason>> + use<> {
    let s = s.clone();
    move |c| {
        let (c, answer) = (*c, s.sleep(ms(3)));
        Box::pin(async move {
            answer.await;
            Ok(c)
        })
    }
}

depths! {
    depth_of_delay: |s, b| s.cold("abc 20ms |").delay_with_buffer(ms(3), b), 1, [2, 3, 2, 1, 0, 0, 0, 0];
    depth_of_delay_with_drops: |s, b| s.cold("abcdef 20ms |").delay_with_buffer(ms(30), b), 1, [2, 3, 3, 3, 3, 3, 3, 3];
    depth_of_delay_that_fails: |s, b| s.cold("abc-#").delay_with_buffer(ms(30), b), 1, [2, 3, 3, 0, 0, 0, 0, 0];
    depth_of_zip: |s, b| { let other = s.cold("----12"); s.cold("abc").zip_with_buffer(other, b) }, 2, [2, 3, 3, 2, 1, 1, 1, 1];
    depth_of_join_within: |s, b| {
        let (other, within) = (s.cold("----b"), Within::new(ms(0)).buffer(b));
        s.cold("abc").join_within(other, within, |c| i64::from(u32::from(*c)), |c| i64::from(u32::from(*c)))
    }, 2, [2, 3, 3, 1, 1, 1, 1, 1];
    depth_of_flat_map: |s, b| { let inner = s.clone(); s.cold("abcd").flat_map_with(1, b, move |_| inner.cold("-----x|")) }, 1, [1, 2, 3, 3, 3, 2, 2, 2];
    depth_of_retry: |s, b| s.cold("abc 20ms |").try_map_with_retry_with(EventRetry::new(retry()).buffer(b), fails), 1, [2, 3, 3, 2, 1, 0, 0, 0];
    depth_of_retry_in_order: |s, b| s.cold("abc 20ms |").try_map_with_retry_with(EventRetry::new(retry()).buffer(b).ordered(), fails), 1, [2, 3, 3, 2, 1, 0, 0, 0];
    depth_of_async: |s, b| s.cold("abcd 20ms |").try_map_async_with_retry_with(NonZeroUsize::MIN, EventRetry::new(retry()).buffer(b), slow(s)), 1, [1, 2, 2, 2, 2, 1, 1, 1];
}

/// What is pushed while the task of the consumer does not run.
macro_rules! crossing {
    ($($name:ident: |$s:ident, $source:ident, $buffer:ident| $pipeline:expr;)*) => {$(
        #[test]
        fn $name() {
            for (overflow, policy) in [(Overflow::DropOldest, "drop_oldest"), (Overflow::DropNewest, "drop_newest")] {
                let ($s, told) = (&Scheduler::new(), Recorder::default());
                let $buffer = Buffer::new(3).on_overflow(overflow).named("queue");
                let mut subject = Kind::subject::<u32, Infallible>();
                let $source = $s.on(subject.clone());
                let mut seen = with_local_recorder(&told, || record($pipeline));
                let depth = || told.gauge(QUEUE_DEPTH, "queue=queue");
                let drops = || told.counter(DROPPED, &format!("policy={policy},queue=queue"));
                $s.run_ready();
                let depths = [1, 2, 3, 4, 5].map(|n| {
                    subject.next(n);
                    depth() as usize
                });
                assert_eq!((depths, drops()), ([1, 2, 3, 3, 3], 2));
                $s.run_ready();
                assert_eq!((depth(), seen.items().len()), (0.0, 3));
                subject.next(6);
                seen.unsubscribe();
                $s.run_ready();
                assert_eq!((depth(), told.gauge(QUEUE_CAPACITY, "queue=queue")), (0.0, 0.0));
                assert_eq!(drops(), 2);
            }
        }
    )*};
}

crossing! {
    depth_of_observe_on: |s, source, b| source.observe_on_with(s.clone(), b);
    depth_of_backpressure: |s, source, b| source.on_backpressure_buffer_with(b, |_| {});
    depth_of_expiring: |s, source, b| source.on_backpressure_timeout(ms(100), b, |_| {});
    depth_of_hand_off: |s, source, b| source.hand_off_on(s.clone(), b);
}

/// What has filled and emptied a queue between two looks at its depth is seen in the peak, which outlives the queue.
#[test]
fn the_peak_depth_stays() {
    let (s, told) = (&Scheduler::new(), Recorder::default());
    // A name that no other test of this process has.
    let name = std::any::type_name::<Scheduler>();
    let peak = || told.gauge(QUEUE_PEAK_DEPTH, &format!("queue={name}")) as usize;
    for (items, expected) in [(3, 3), (5, 5), (2, 5)] {
        let buffer = Buffer::new(9).named(name);
        let seen = with_local_recorder(&told, || {
            record(s.on(Kind::from_iter(0..items)).observe_on_with(s.clone(), buffer))
        });
        s.run_ready();
        assert_eq!((seen.items().len(), peak()), (items, expected));
        assert_eq!(told.gauge(QUEUE_DEPTH, &format!("queue={name}")), 0.0);
    }
}

#[test]
fn what_has_expired_is_a_policy_of_its_own() {
    let (s, told) = (&Scheduler::new(), Recorder::default());
    let buffer = Buffer::new(9).named("queue");
    let mut subject = Kind::subject::<u32, Infallible>();
    let source = s.on(subject.clone());
    let seen = with_local_recorder(&told, || record(source.on_backpressure_timeout(ms(3), buffer, |_| {})));
    s.run_ready();
    subject.next(1);
    s.stall(ms(4));
    with_local_recorder(&told, || s.run_ready());
    assert_eq!((seen.items().len(), told.counter(DROPPED, "policy=expired,queue=queue")), (0, 1));
}

/// No policy has dropped it, the source's error has.
#[test]
fn what_a_failing_source_leaves_is_abandoned() {
    let (s, told) = (Scheduler::new(), Recorder::default());
    let buffer = Buffer::new(3).on_overflow(Overflow::DropOldest).named("queue");
    let drops = buffer.drops();
    with_local_recorder(&told, || {
        let _seen = record(s.cold("abcd#").delay_with_buffer(ms(30), buffer));
        s.advance_by(ms(10));
    });
    assert_eq!(told.counter(DROPPED, "policy=drop_oldest,queue=queue"), 1);
    assert_eq!(told.counter(DROPPED, "policy=abandoned,queue=queue"), 3);
    assert_eq!(drops.get(), 4);
}

#[test]
fn a_buffer_without_a_name_tells_nothing() {
    let (s, told) = (Scheduler::new(), Recorder::default());
    let buffer = Buffer::new(1).on_overflow(Overflow::DropNewest);
    let seen = with_local_recorder(&told, || record(s.cold("abc|").delay_with_buffer(ms(9), buffer)));
    s.advance_by(ms(20));
    assert_eq!((seen.items(), told.registrations()), (vec!['a'], 0));
}

/// Nothing is skipped in silence: each is a letter and counted, and the log is told without being flooded.
#[test]
fn what_is_skipped_is_a_letter_a_count_and_a_line_in_a_log_that_is_not_flooded() {
    let (s, told, queue) = (Scheduler::new(), Recorder::default(), MemoryQueue::new(100));
    let mut log = Kind::subject::<String, Infallible>();
    let lines = record(s.on(log.clone()).throttle_first(ms(10)));
    let seen = with_local_recorder(&told, || {
        let texts = s.cold("xaxxxxbxxxxxxxxx|").map(|c| c.to_string());
        let decoded = texts.map_err(std::io::Error::other).stream_error().try_map_stage("decode", |text| {
            if text == "x" { Err(Reason::other("an x")) } else { Ok(text.clone()) }
        });
        let told =
            decoded.measured_results("decode").tap(move |result: &Result<String, Rejected<String>>| {
                if let Err(rejected) = result {
                    log.next(rejected.to_string());
                }
            });
        record(told.dead_letter(queue.clone()))
    });
    s.advance_by(ms(100));
    assert_eq!(seen.items(), ["a", "b"]);
    assert_eq!(queue.letters().len(), 14);
    assert_eq!(told.counter(FAILURES, "stage=decode"), 14);
    assert_eq!(lines.items(), ["decode: an x"; 2]);
}
