use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use rxevents::{operator::create::Empty, prelude::*, testing::record};

use super::flavour::{Kind, OnTime, Relay, Scheduler, Sub};
use crate::common::{Log, lock, ms, panic_of, unhandled, watchdog};

type Numbers = Relay<i32, Infallible>;

fn numbers() -> Numbers {
    Kind::subject()
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::SeqCst);
}

fn counter() -> (Arc<AtomicUsize>, impl Fn() -> usize) {
    let counter = Arc::new(AtomicUsize::new(0));
    let read = counter.clone();
    (counter, move || read.load(Ordering::SeqCst))
}

// ---- fed by their own subscriber (defects 6, 7, 8; rxRust #269, #278)

#[test]
fn subject_is_fed_by_its_own_subscriber() {
    watchdog(|| {
        let (mut subject, log) = (numbers(), Log::default());
        let (mut back, other) = (subject.clone(), Log::default());
        let feed = move |v: &i32| {
            if *v < 3 {
                back.next(v + 1);
            }
        };
        subject.clone().subscribe_with(log.sink(feed));
        subject.clone().subscribe_with(other.sink(|_| {}));
        subject.next(0);
        assert_eq!((log.text(), other.text()), ("0 1 2 3".into(), "0 1 2 3".into()));
    });
}

#[test]
fn subject_is_completed_by_its_own_subscriber() {
    watchdog(|| {
        let (mut subject, log, other) = (numbers(), Log::default(), Log::default());
        let mut end = Some(subject.clone());
        subject.clone().subscribe_with(log.sink(move |_| {
            end.take().into_iter().for_each(Observer::complete);
        }));
        subject.clone().subscribe_with(other.sink(|_| {}));
        subject.next(1);
        subject.next(2);
        assert_eq!((log.text(), other.text()), ("1 |".into(), "1 |".into()));
    });
}

#[test]
fn merge_is_fed_by_its_own_subscriber() {
    watchdog(|| {
        let (mut a, b, log) = (numbers(), numbers(), Log::default());
        let mut back = b.clone();
        let feed = move |v: &i32| {
            if *v < 3 {
                back.next(v + 1);
            }
        };
        a.clone().merge(b).subscribe_with(log.sink(feed));
        a.next(0);
        assert_eq!(log.text(), "0 1 2 3");
    });
}

#[test]
fn merge_all_is_fed_by_its_own_subscriber() {
    watchdog(|| {
        let (mut a, b, c, log) = (numbers(), numbers(), numbers(), Log::default());
        let mut back = [c.clone(), b.clone()];
        let feed = move |v: &i32| {
            if *v < 3 {
                back[*v as usize % 2].next(v + 1);
            }
        };
        Kind::merge_all([a.clone(), b, c]).subscribe_with(log.sink(feed));
        a.next(0);
        assert_eq!(log.text(), "0 1 2 3");
    });
}

#[test]
fn zip_is_fed_by_its_own_subscriber() {
    watchdog(|| {
        let (mut a, mut b, log) = (numbers(), numbers(), Log::default());
        let (mut left, mut right) = (a.clone(), b.clone());
        let feed = move |(v, _): &(i32, i32)| {
            if *v < 3 {
                right.next(v + 1);
                left.next(v + 1);
            }
        };
        a.clone().zip(b.clone()).subscribe_with(log.sink(feed));
        b.next(0);
        a.next(0);
        assert_eq!(log.text(), "(0, 0) (1, 1) (2, 2) (3, 3)");
    });
}

#[test]
fn with_latest_from_is_fed_by_its_own_subscriber() {
    watchdog(|| {
        let (mut a, mut b, log) = (numbers(), numbers(), Log::default());
        let (mut left, mut right) = (a.clone(), b.clone());
        let feed = move |(v, _): &(i32, i32)| {
            if *v < 3 {
                right.next(v + 1);
                left.next(v + 1);
            }
        };
        a.clone().with_latest_from(b.clone()).subscribe_with(log.sink(feed));
        b.next(0);
        a.next(0);
        assert_eq!(log.text(), "(0, 0) (1, 1) (2, 2) (3, 3)");
    });
}

#[test]
fn combine_latest_is_fed_by_its_own_subscriber() {
    watchdog(|| {
        let (mut a, mut b, log) = (numbers(), numbers(), Log::default());
        let mut back = b.clone();
        let feed = move |(_, v): &(i32, i32)| {
            if *v < 3 {
                back.next(v + 1);
            }
        };
        a.clone().combine_latest(b.clone(), |a, b| (a, b)).subscribe_with(log.sink(feed));
        b.next(0);
        a.next(0);
        assert_eq!(log.text(), "(0, 0) (0, 1) (0, 2) (0, 3)");
    });
}

#[test]
fn sample_with_is_fed_by_its_own_subscriber() {
    watchdog(|| {
        let (mut a, mut tick, log) = (numbers(), numbers(), Log::default());
        let (mut back, mut again) = (a.clone(), tick.clone());
        let feed = move |v: &i32| {
            if *v < 3 {
                back.next(v + 1);
                again.next(0);
            }
        };
        a.clone().sample_with(tick.clone()).subscribe_with(log.sink(feed));
        a.next(0);
        tick.next(0);
        assert_eq!(log.text(), "0 1 2 3");
    });
}

#[test]
fn take_until_is_stopped_by_its_own_subscriber() {
    watchdog(|| {
        let (mut a, stop, log) = (numbers(), numbers(), Log::default());
        let mut halt = stop.clone();
        let feed = move |v: &i32| {
            if *v == 2 {
                halt.next(0);
            }
        };
        a.clone().take_until(stop).subscribe_with(log.sink(feed));
        (1..=4).for_each(|v| a.next(v));
        assert_eq!(log.text(), "1 2 |");
    });
}

#[test]
fn flattening_operators_are_fed_by_their_own_subscriber() {
    watchdog(|| {
        for which in 0..3 {
            let (mut outer, inner, log) = (numbers(), numbers(), Log::default());
            let (mut back, mut deep) = (outer.clone(), inner.clone());
            let feed = move |v: &i32| match v {
                0 => deep.next(1),
                1 => back.next(2),
                _ => {}
            };
            let f = move |v| inner.clone().merge(Kind::of(v));
            let sink = log.sink(feed);
            match which {
                0 => drop(outer.clone().flat_map(f).subscribe_with(sink)),
                1 => drop(outer.clone().flat_map_with(2, Buffer::default(), f).subscribe_with(sink)),
                _ => drop(outer.clone().switch_map(f).subscribe_with(sink)),
            }
            outer.next(0);
            assert_eq!(log.text(), "0 1 2", "{which}");
        }
    });
}

// ---- who is subscribed when (defect 24)

#[test]
fn who_subscribes_in_a_callback_gets_the_next_item() {
    let (mut subject, late) = (numbers(), Log::default());
    let (source, inner, mut first) = (subject.clone(), late.clone(), true);
    subject.clone().subscribe(move |_| {
        if std::mem::take(&mut first) {
            source.clone().subscribe_with(inner.sink(|_| {}));
        }
    });
    (1..=4).for_each(|v| subject.next(v));
    assert_eq!(late.text(), "2 3 4");
}

#[test]
fn who_subscribes_to_a_behavior_subject_in_a_callback_gets_each_value_once() {
    let (mut level, late) = (Kind::behavior_subject::<i32, Infallible>(0), Log::default());
    let (source, inner) = (level.clone(), late.clone());
    level.clone().subscribe(move |v| {
        if v == 2 {
            source.clone().subscribe_with(inner.sink(|_| {}));
        }
    });
    (1..=4).for_each(|v| level.next(v));
    assert_eq!(late.text(), "2 3 4");
}

#[test]
fn who_unsubscribes_in_next_gets_nothing_more() {
    let (mut subject, log, slot) = (numbers(), Log::default(), Arc::new(Mutex::new(None::<Sub>)));
    let own = slot.clone();
    let sub = subject.clone().subscribe_with(log.sink(move |_| {
        if let Some(sub) = lock(&own).take() {
            sub.unsubscribe();
        }
    }));
    *lock(&slot) = Some(Sub::new(sub));
    (1..=3).for_each(|v| subject.next(v));
    assert_eq!(log.text(), "1");
}

#[test]
fn a_peer_that_is_unsubscribed_in_a_delivery_does_not_get_that_item() {
    let (mut subject, log, slot) = (numbers(), Log::default(), Arc::new(Mutex::new(None::<Sub>)));
    let peer = slot.clone();
    subject.clone().subscribe(move |_| {
        if let Some(sub) = lock(&peer).take() {
            sub.unsubscribe();
        }
    });
    *lock(&slot) = Some(Sub::new(subject.clone().subscribe_with(log.sink(|_| {}))));
    subject.next(1);
    assert_eq!(log.text(), "");
}

// ---- after the end (defect 22)

#[test]
fn subject_is_silent_after_its_end_and_tells_it_to_the_late() {
    for error in [false, true] {
        let (mut subject, early, late) = (Kind::subject::<i32, &str>(), Log::default(), Log::default());
        subject.clone().subscribe_with(early.sink(|_| {}));
        if error {
            subject.clone().error("down")
        } else {
            subject.clone().complete()
        }
        let end = if error { "#\"down\"" } else { "|" };
        subject.next(7);
        subject.clone().complete();
        subject.clone().subscribe_with(late.sink(|_| {}));
        subject.next(8);
        assert_eq!((early.text(), late.text()), (end.into(), end.into()));
    }
}

#[test]
fn behavior_subject_is_silent_after_its_end_and_tells_it_to_the_late() {
    for error in [false, true] {
        let mut subject = Kind::behavior_subject::<i32, &str>(1);
        let (early, late) = (Log::default(), Log::default());
        subject.clone().subscribe_with(early.sink(|_| {}));
        if error {
            subject.clone().error("down")
        } else {
            subject.clone().complete()
        }
        let end = if error { "#\"down\"" } else { "|" };
        subject.next(7);
        subject.clone().subscribe_with(late.sink(|_| {}));
        assert_eq!((early.text(), late.text()), (format!("1 {end}"), end.into()));
    }
}

#[test]
fn a_subject_as_the_sink_of_a_finished_source_has_ended() {
    let (subject, late) = (numbers(), Log::default());
    Kind::from_iter(0..5).subscribe_with(subject.clone().into_inner());
    subject.subscribe_with(late.sink(|_| {}));
    assert_eq!(late.text(), "|");
}

// ---- no runtime where nobody waits (defects 4, 5, 11, 12)

#[test]
fn no_runtime_is_needed_where_nobody_waits() {
    let (mut subject, log) = (numbers(), Log::default());
    subject.clone().take(1).subscribe_with(log.sink(|_| {}));
    let zipped = subject.clone().zip(subject.clone()).subscribe(|_| {});
    subject.next(1);
    subject.next(2);
    zipped.unsubscribe();
    assert_eq!(log.text(), "1 |");

    let (attempts, seen) = counter();
    let failing = Kind::defer(move || {
        count(&attempts);
        Kind::throw_err("down").map(|()| 0)
    });
    let log = Log::default();
    // Defect 11: operators below a retry need not be `Clone`, nor need closures.
    let not_clone = Mutex::new(1);
    let below = failing.retry_with(Retry::times(2)).map(move |v| v + *lock(&not_clone)).take(1);
    below.subscribe_with(log.sink(|_| {}));
    assert_eq!((log.text().as_str(), seen()), ("#\"down\"", 3));
}

#[test]
fn who_waits_without_a_runtime_fails_and_does_not_panic() {
    let (errors, subject) = (Log::<_, Infallible>::default(), numbers());
    let route = errors.sink(|_: &String| {});
    subject
        .clone()
        .stream_error()
        .debounce(ms(5))
        .map_err(|error| error.to_string())
        .on_error_route(route)
        .subscribe(|_| {});
    assert_eq!(errors.items().len(), 1, "{}", errors.text());
    Kind::timer(ms(1)).subscribe(|()| {});
}

// ---- delay, observe_on (defects 1, 2)

#[test]
fn delay_keeps_all_items_in_order_and_the_end_last() {
    let scheduler = Scheduler::new();
    let seen = record(scheduler.on(Kind::from_iter(0..1000)).delay(ms(20)));
    scheduler.advance_by(ms(19));
    assert!(seen.items().is_empty());
    scheduler.advance_by(ms(1));
    assert!(seen.items().into_iter().eq(0..1000));
    assert!(seen.is_over());
}

#[test]
fn observe_on_keeps_all_items_in_order_and_the_end_last() {
    let scheduler = Scheduler::new();
    let seen = record(scheduler.on(Kind::from_iter(0..20_000)).observe_on(scheduler.clone()));
    scheduler.run_ready();
    assert!(seen.items().into_iter().eq(0..20_000));
    assert!(seen.is_over());
}

#[test]
fn observe_on_stops_its_source_when_its_buffer_overflows() {
    let (pulled, seen) = counter();
    let scheduler = Scheduler::new();
    let source = Kind::from_iter(0..1_000_000).tap(move |_| count(&pulled));
    let source = scheduler.on(source.stream_error());
    let recording = record(source.observe_on_with(scheduler.clone(), Buffer::new(16)));
    scheduler.run_ready();
    assert!(recording.is_over());
    assert_eq!(seen(), 17);
}

// ---- retry (defects 10, 12, 21 of rxJava's kind)

#[test]
fn retry_stops_when_it_is_unsubscribed_while_it_waits() {
    let (attempts, seen) = counter();
    let scheduler = Scheduler::new();
    let failing = OnTime::<()>::defer(move || {
        count(&attempts);
        OnTime::<()>::throw_err("down").map(|()| 0)
    });
    let mut recording = record(scheduler.on(failing).retry_with(Retry::forever().fixed(ms(10))));
    scheduler.advance_by(ms(25));
    assert_eq!(seen(), 3);
    recording.unsubscribe();
    scheduler.advance_by(ms(1000));
    assert_eq!((seen(), scheduler.tasks()), (3, 0));
}

#[test]
fn retry_loops_over_failures_at_once() {
    watchdog(|| {
        let (attempts, seen) = counter();
        let failing = Kind::defer(move || {
            count(&attempts);
            Kind::throw_err("down").map(|()| 0)
        });
        let log = Log::default();
        failing.retry_with(Retry::times(100_000)).subscribe_with(log.sink(|_| {}));
        assert_eq!((log.text().as_str(), seen()), ("#\"down\"", 100_001));
    });
}

// ---- endless sources (defects 14, 15)

#[test]
fn from_iter_asks_for_no_more_once_nobody_listens() {
    let (pulled, seen) = counter();
    Kind::from_iter((0..).inspect(move |_| count(&pulled))).take(3).subscribe(|_| {});
    assert_eq!(seen(), 3);
}

#[test]
fn create_is_told_that_nobody_listens() {
    let (pulled, seen) = counter();
    let log = Log::<u32, Infallible>::default();
    Kind::create(move |mut emitter| {
        for n in 0..1_000_000 {
            count(&pulled);
            if emitter.next(n).is_err() {
                break;
            }
        }
    })
    .take(3)
    .subscribe_with(log.sink(|_| {}));
    assert_eq!((log.text().as_str(), seen()), ("0 1 2 |", 3));
}

#[test]
fn from_stream_stops_below_take() {
    let (pulled, seen) = counter();
    let scheduler = Scheduler::new();
    let stream = futures::stream::repeat_with(move || pulled.fetch_add(1, Ordering::SeqCst));
    let recording = record(scheduler.on(Kind::from_stream(stream)).take(3));
    scheduler.run_ready();
    assert_eq!((recording.items(), recording.is_over(), seen()), (vec![0, 1, 2], true, 3));
    assert_eq!(scheduler.tasks(), 0);
}

#[test]
fn from_stream_lets_other_tasks_run() {
    let scheduler = Scheduler::new();
    let slot = Arc::new(Mutex::new(None::<Sub>));
    let (polled, seen) = counter();
    let count = polled.clone();
    let stream = futures::stream::repeat_with(move || count.fetch_add(1, Ordering::SeqCst));
    *lock(&slot) = Some(Sub::new(scheduler.on(Kind::from_stream(stream)).subscribe(|_| {})));
    scheduler.on(Kind::from_future(std::future::ready(()))).subscribe(move |()| {
        if let Some(sub) = lock(&slot).take() {
            sub.unsubscribe();
        }
    });
    scheduler.run_ready();
    assert_eq!((seen(), scheduler.tasks()), (64, 0));
}

#[test]
fn from_stream_is_dropped_when_it_is_unsubscribed() {
    let scheduler = Scheduler::new();
    let (sender, receiver) = futures::channel::mpsc::unbounded::<i32>();
    let mut recording = record(scheduler.on(Kind::from_stream(receiver)));
    scheduler.run_ready();
    assert!(!sender.is_closed());
    recording.unsubscribe();
    scheduler.run_ready();
    assert!(sender.is_closed());
}

// ---- panics in closures (defects 20, 21)

#[test]
fn a_panic_of_one_input_leaves_the_other_unharmed() {
    let (mut a, mut b, log) = (numbers(), numbers(), Log::default());
    let broken = a.clone().map(|v| {
        assert!(v != 1, "one input: ours");
        v
    });
    broken.merge(b.clone()).subscribe_with(log.sink(|_| {}));
    a.next(0);
    a.next(1);
    a.next(2);
    b.next(3);
    assert_eq!(log.text(), "0 3");
    assert!(!unhandled("one input: ours").is_empty());
}

#[test]
fn a_panic_that_no_stream_can_carry_goes_to_the_hook_once() {
    let scheduler = Scheduler::new();
    macro_rules! hooked {
        ($name:literal, |$e:ident| $pipeline:expr) => {{
            let (mut subject, text) = (numbers(), format!("{}, {}", $name, std::any::type_name::<Numbers>()));
            let (message, sibling) = (text.clone(), Log::default());
            unhandled(&text);
            let $e = scheduler.on(subject.clone());
            $pipeline.subscribe(move |_| panic!("{message}"));
            subject.clone().subscribe_with(sibling.sink(|_| {}));
            for v in 1..=2 {
                subject.next(v);
                scheduler.advance_by(ms(5));
            }
            assert_eq!(unhandled(&text), [format!("panic in `subscribe`: {text}")]);
            assert_eq!(sibling.text(), "1 2", "{text}");
            assert_eq!(scheduler.tasks(), 0, "{text}");
        }};
    }
    hooked!("map", |e| e.map(|v| v));
    hooked!("merge", |e| e.merge(numbers()));
    hooked!("zip", |e| e.zip(Kind::from_iter(0..9)));
    hooked!("flat_map", |e| e.flat_map(Kind::of));
    hooked!("switch_map", |e| e.switch_map(Kind::of));
    hooked!("take_until", |e| e.take_until(numbers()));
    hooked!("skip_until", |e| e.skip_until(Kind::of(())));
    hooked!("distinct_by_flush", |e| e.distinct_by_flush(Keys::default(), |v| v, numbers()));
    hooked!("sequence_equal", |e| e.sequence_equal(Kind::of(0)));
    hooked!("switch_if_empty", |e| e.switch_if_empty(numbers()));
    hooked!("materialize", |e| e.materialize().dematerialize());
    hooked!("last, inner", |e| e.flat_map(|v| Kind::of(v).last()));
    hooked!("throttle_latest", |e| e.throttle_latest(ms(1)));
    hooked!("debounce", |e| e.debounce(ms(1)));
    hooked!("sample", |e| e.sample(ms(1)));
    hooked!("delay", |e| e.delay(ms(1)));
    hooked!("observe_on", |e| e.observe_on(scheduler.clone()));
}

/// What comes out of `events`, whose timer or task meets a panic.
macro_rules! routed {
    ($scheduler:ident, $events:expr) => {{
        let errors = Log::<String, Infallible>::default();
        let events = $events.map_err(|error: StreamError| error.to_string());
        let seen = record(events.on_error_route(errors.sink(|_| {})));
        $scheduler.advance_by(ms(100));
        assert_eq!($scheduler.tasks(), 0);
        assert!(seen.is_over());
        errors.items()
    }};
}

fn explode<T, U>(_: T) -> U {
    panic!("in a task")
}

#[test]
fn a_panic_below_a_timer_is_an_error() {
    let scheduler = Scheduler::new();
    let expected = ["panic in `map`: in a task"];
    let timer = scheduler.on(Kind::timer(ms(1))).stream_error();
    assert_eq!(routed!(scheduler, timer.map(explode::<_, u8>)), expected);
    let interval = scheduler.on(Kind::interval(ms(1))).stream_error();
    assert_eq!(routed!(scheduler, interval.map(explode::<_, u8>)), expected);
    let stream = scheduler.on(Kind::from_stream(futures::stream::repeat(1))).stream_error();
    assert_eq!(routed!(scheduler, stream.map(explode::<_, u8>)), expected);
    let one = || scheduler.cold("a-----").map_err(StreamError::source);
    assert_eq!(routed!(scheduler, one().delay(ms(1)).map(explode::<_, u8>)), expected);
    assert_eq!(routed!(scheduler, one().debounce(ms(1)).map(explode::<_, u8>)), expected);
    assert_eq!(routed!(scheduler, one().sample(ms(1)).map(explode::<_, u8>)), expected);
    let finite = scheduler.cold("a-#").map_err(StreamError::source);
    assert_eq!(routed!(scheduler, finite.observe_on(scheduler.clone()).map(explode::<_, u8>)), expected);
}

#[test]
fn observe_on_ends_its_source_when_the_output_ends() {
    let scheduler = Scheduler::new();
    let seen = record(scheduler.cold("a-----").observe_on(scheduler.clone()).take(1));
    scheduler.advance_by(ms(1));
    rxevents::assert_marbles!(seen, "(a|)");
    assert_eq!(scheduler.tasks(), 0);
}

#[test]
fn a_panic_below_the_completion_of_from_iter_is_not_the_callers() {
    let kind = std::any::type_name::<Numbers>();
    let caught = |name: &str, run: &dyn Fn(String)| {
        let text = format!("{name}: {kind}");
        unhandled(&text);
        let harmless = catch_unwind(AssertUnwindSafe(|| run(text.clone()))).is_ok();
        assert!(harmless, "{text}: the caller got the panic");
        assert_eq!(unhandled(&text).len(), 1, "{text}");
    };
    caught("rest", &|text| Kind::from_iter(0..1).buffer_count(2).subscribe(move |_| panic!("{text}")));
    caught("last", &|text| Kind::from_iter(0..1).take_last(1).subscribe(move |_| panic!("{text}")));
    caught("end", &|text| Kind::from_iter(0..1).on_complete(move || panic!("{text}")).subscribe(|_| {}));
    caught("empty", &|text| Kind::empty::<u8>().on_complete(move || panic!("{text}")).subscribe(|_| {}));
    let failed = || Kind::throw_err(()).map(|()| 0).on_error_return(|()| 1);
    caught("instead", &|text| failed().subscribe(move |_| panic!("{text}")));
    caught("catch", &|text| {
        let failed = Kind::throw_err(()).map(|()| 0);
        failed.catch_error(move |()| -> Kind<Empty<i32>> { panic!("{text}") }).subscribe(|_| {});
    });
}

#[test]
fn a_panic_below_the_completion_of_a_task_is_not_the_schedulers() {
    let scheduler = Scheduler::new();
    let timer = scheduler.on(Kind::timer(ms(1))).stream_error();
    let expected = ["panic in `map`: in a task"];
    assert_eq!(routed!(scheduler, timer.buffer_count(2).map(explode::<_, u8>)), expected);
    let stream = scheduler.on(Kind::from_stream(futures::stream::iter([1]))).stream_error();
    assert_eq!(routed!(scheduler, stream.buffer_count(2).map(explode::<_, u8>)), expected);
    let one = || scheduler.cold("a|").map_err(StreamError::source);
    let observed = one().observe_on(scheduler.clone());
    assert_eq!(routed!(scheduler, observed.buffer_count(2).map(explode::<_, u8>)), expected);
}

#[test]
fn a_panic_below_the_completion_of_a_subject_harms_no_sibling() {
    let (subject, log) = (numbers(), Log::default());
    unhandled("");
    subject.clone().on_complete(|| panic!("a sibling's end")).subscribe(|_| {});
    subject.clone().subscribe_with(log.sink(|_| {}));
    subject.complete();
    assert_eq!(log.text(), "|");
    assert!(!unhandled("a sibling's end").is_empty());
}

#[test]
fn finalize_may_unsubscribe() {
    watchdog(|| {
        let (subject, slot) = (numbers(), Arc::new(Mutex::new(None::<Sub>)));
        let own = slot.clone();
        let sub = subject.clone().finalize(move || {
            let sub = lock(&own).take();
            sub.into_iter().for_each(Subscription::unsubscribe);
        });
        *lock(&slot) = Some(Sub::new(sub.subscribe(|_| {})));
        unhandled("");
        subject.complete();
        assert_eq!(unhandled("already").len(), 0);
    });
}

// ---- timers (defect 18)

#[test]
fn a_timed_operator_has_one_timer_and_is_freed_when_it_is_unsubscribed() {
    const HOUR: u64 = 3_600_000;
    let scheduler = Scheduler::new();
    let one_timer = |name: &str, start: &dyn Fn(Relay<Arc<()>, Infallible>) -> Box<dyn FnOnce()>| {
        let (mut subject, item) = (Kind::subject(), Arc::new(()));
        let unsubscribe = start(subject.clone());
        for _ in 0..100 {
            subject.next(item.clone());
            scheduler.advance_by(ms(1));
        }
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (1, 1), "{name}");
        assert!(Arc::strong_count(&item) > 1, "{name} keeps nothing");
        unsubscribe();
        scheduler.run_ready();
        assert_eq!((scheduler.tasks(), Arc::strong_count(&item)), (0, 1), "{name}");
    };
    macro_rules! one_timer {
        ($name:literal, |$events:ident| $pipeline:expr) => {
            one_timer($name, &|subject| {
                let $events = scheduler.on(subject);
                let kept = Mutex::new(None);
                let sub = $pipeline.subscribe(move |item| *lock(&kept) = Some(item));
                Box::new(move || sub.unsubscribe())
            })
        };
    }
    one_timer!("debounce", |e| e.debounce(ms(HOUR)));
    one_timer!("delay", |e| e.delay(ms(HOUR)));
    one_timer!("throttle_latest", |e| e.throttle_latest(ms(HOUR)));
    one_timer!("sample", |e| e.sample(ms(HOUR)));
}

#[test]
fn interval_does_not_drift() {
    let scheduler = Scheduler::new();
    let (clock, times) = (scheduler.clone(), Arc::new(Mutex::new(vec![])));
    let log = times.clone();
    scheduler.on(Kind::interval(ms(10))).take(1000).subscribe(move |_| {
        use rxevents::time::Clock;
        lock(&log).push(clock.now());
        clock.stall(ms(3));
    });
    scheduler.advance_by(ms(20_000));
    assert!(lock(&times).iter().copied().eq((1..=1000).map(|n| ms(10 * n))));
}

// ---- the rest

#[test]
fn take_until_ignores_that_its_notifier_completes_and_forwards_its_error() {
    let (mut source, notifier, log) =
        (Kind::subject::<i32, &str>(), Kind::subject::<(), &str>(), Log::default());
    source.clone().take_until(notifier.clone()).subscribe_with(log.sink(|_| {}));
    notifier.complete();
    source.next(1);
    assert_eq!(log.text(), "1");
    let (notifier, log) = (Kind::subject::<(), &str>(), Log::default());
    source.clone().take_until(notifier.clone()).subscribe_with(log.sink(|_| {}));
    source.next(1);
    notifier.error("down");
    source.next(2);
    assert_eq!(log.text(), "1 #\"down\"");
}

#[test]
fn concat_map_drains_its_queue_without_recursion() {
    watchdog(|| {
        let (mut outer, first, log) = (numbers(), numbers(), Log::<i32, Infallible>::default());
        let inner = first.clone();
        let f = move |v| Kind::of(v).merge(inner.clone().take(usize::from(v == 0)));
        // The inner one of the first item ends late, those of the others with `take(0)`'s first item.
        let mut end = first.clone();
        outer
            .clone()
            .concat_map(move |v| f(v).take(if v == 0 { 2 } else { 1 }))
            .subscribe_with(log.sink(|_| {}));
        (0..=100_000).for_each(|v| outer.next(v));
        assert_eq!(log.items(), [0]);
        end.next(-1);
        assert_eq!(log.items().len(), 100_002);
        outer.complete();
        assert_eq!(log.ends(), 1);
    });
}

#[test]
fn throttle_and_timer_work_with_streams_that_can_fail() {
    let scheduler = Scheduler::new();
    let seen = record(scheduler.cold("ab-#").throttle_latest(ms(1)).throttle_first(ms(1)));
    scheduler.advance_by(ms(10));
    rxevents::assert_marbles!(seen, "ab-#");
}

#[test]
fn the_watchdog_bites() {
    assert_eq!(panic_of(|| watchdog(|| panic!("inside"))), "inside");
}
