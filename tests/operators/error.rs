use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rxevents::{
    assert_marbles,
    operator::create::Throw,
    prelude::*,
    testing::{MarbleError, record, record_during},
};

use super::flavour::{Kind, OnTime, Scheduler};
use crate::common::{Log, ms, watchdog};

fn forever(delay: Duration) -> Retry<MarbleError> {
    Retry::forever().fixed(delay)
}

marbles! {
    catch_error: |s| { let other = s.cold("a--b|"); s.cold("--1--2-#").catch_error(move |_| other) }, "--1--2-a--b|";
    catch_no_error: |s| { let other = s.cold("a--b|"); s.cold("--1|").catch_error(move |_| other) }, "--1|";
    catch_nothing: |s| { let other = s.cold("a--b|"); s.cold("--|").catch_error(move |_| other) }, "--|";
    catch_an_error_of_the_other: |s| { let other = s.cold("a#"); s.cold("-#").catch_error(move |_| other) }, "-a#";
    catch_error_below_take: |s| { let other = s.cold("a-b-c"); s.cold("1#").catch_error(move |_| other).take(2) }, "1(a|)";

    on_error_resume_next: |s| s.cold("--1--2-#").on_error_resume_next(s.cold("a--b|")), "--1--2-a--b|";
    on_error_resume_next_without_one: |s| s.cold("-1|").on_error_resume_next(s.cold("a|")), "-1|";
    on_error_resume_next_nothing: |s| s.cold("|").on_error_resume_next(s.cold("a|")), "|";
    on_error_resume_next_fails_too: |s| s.cold("-#").on_error_resume_next(s.cold("a#")), "-a#";
    on_error_resume_next_below_take: |s| s.cold("1#").on_error_resume_next(s.cold("a-b-c")).take(2), "1(a|)";

    retry_when: |s| s.cold("-1-#").retry_when(|errors| errors.delay(ms(3)).take(2)), "-1-----1----|";
    retry_when_without_an_error: |s| s.cold("-1-2|").retry_when(|errors| errors.skip(0)), "-1-2|";
    retry_when_nothing: |s| s.cold("--|").retry_when(|errors| errors.skip(0)), "--|";
    retry_when_the_source_is_silent: |s| s.cold("-1--").retry_when(|errors| errors.skip(0)), "-1";
    retry_when_the_notifier_is_silent: |s| { let never = s.cold("---"); s.cold("-1#").retry_when(move |_| never) }, "-1";
    retry_when_the_notifier_ends: |s| { let end = s.cold("----|"); s.cold("-1#").retry_when(move |_| end) }, "-1--|";
    retry_when_the_notifier_fails: |s| { let end = s.cold("----#"); s.cold("-1#").retry_when(move |_| end) }, "-1--#";
    retry_when_the_notifier_is_empty: |s| { let end = s.cold("|"); s.cold("(1|)").retry_when(move |_| end) }, "|";
    retry_when_passes_the_error_on: |s| s.cold("-1#").retry_when(|errors| {
        errors.flat_map(Kind::throw_err::<(), _>)
    }), "-1#";
    retry_when_it_has_been_tried_twice: |s| {
        let mut tried = 0;
        s.cold("-1#").retry_when(move |errors| errors.flat_map(move |error| {
            tried += 1;
            let end = tried == 3;
            Kind::create(move |mut emitter: Emitter<_, (), MarbleError>| {
                if end { emitter.error(error) } else { assert_eq!(emitter.next(()), Ok(())) }
            })
        }))
    }, "-1-1-1#";
    retry_when_ignores_what_comes_while_the_source_is_live: |s| {
        let ticks = s.cold("xx---x--");
        s.cold("-1-#").retry_when(move |_| ticks)
    }, "-1----1-";
    retry_when_below_take: |s| s.cold("ab#").retry_when(|errors| errors.delay(ms(1))).take(3), "ab-(a|)";

    on_error_return: |s| s.cold("-a#").on_error_return(|_| 'x'), "-a(x|)";
    on_error_return_without_one: |s| s.cold("-a|").on_error_return(|_| 'x'), "-a|";
    on_error_route: |s| s.cold("-a#").on_error_route(observer(|MarbleError| {})), "-a|";

    retry_times: |s| s.cold("-a#").retry_with(Retry::times(2)), "-a-a-a#";
    retry_not_at_all: |s| s.cold("-a#").retry_with(Retry::times(0)), "-a#";
    retry_without_an_error: |s| s.cold("-a-|").retry_with(forever(ms(1))), "-a-|";
    retry_nothing: |s| s.cold("--|").retry_with(forever(ms(1))), "--|";
    retry_never: |s| s.cold("a#").retry_with(forever(Duration::MAX)), "a";
    retry_exponentially: |s| s.cold("a#").retry_with(Retry::times(3).exponential(ms(1), ms(3))), "a-a--a---a#";
    retry_when_it_is_not_worth_it: |s| s.cold("a#").retry_with(forever(ms(1)).when(|_| false)), "a#";
    retry_below_take: |s| s.cold("ab#").retry_with(forever(ms(1))).take(3), "ab-(a|)";

    map_err: |s| s.cold("-a#").map_err(|MarbleError| 1), "-a#";
    stream_error: |s| s.cold("-a#").map_err(std::io::Error::other).stream_error(), "-a#";
}

/// Full jitter: somewhere up to the delay, the same for the same seed.
#[test]
fn retry_with_jitter_waits_up_to_the_delay() {
    let end = |policy: Retry<MarbleError>| {
        let s = Scheduler::new();
        let seen = record(s.cold("#").retry_with(policy));
        s.advance_by(ms(100_000));
        assert!(seen.is_over());
        seen.signals()[0].0
    };
    let policy = || Retry::times(10).fixed(ms(1000));
    let seeded = end(policy().jitter_seeded(3));
    assert!(seeded > ms(1000) && seeded < ms(9000), "{seeded:?}");
    assert_eq!(seeded, end(policy().jitter_seeded(3)));
    assert_ne!(seeded, end(policy().jitter_seeded(4)));
    assert_eq!(end(policy()), ms(10_000));
}

#[test]
fn on_error_route_gets_the_error_and_the_end() {
    for (text, expected) in [("-a#", "MarbleError |"), ("-a|", "|")] {
        let (s, errors) = (Scheduler::new(), Log::<MarbleError, Infallible>::default());
        let seen = record(s.cold(text).on_error_route(errors.sink(|_| {})));
        s.advance_by(ms(10));
        assert_marbles!(seen, "-a|");
        assert_eq!(errors.text(), expected);
    }
}

/// The diagram of `retry_with`; and RxJava #1018: never two subscriptions at a time.
#[test]
fn retry_subscribes_to_one_attempt_at_a_time() {
    let s = Scheduler::new();
    let (attempts, live) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let sources = [s.cold("--1-#"), s.cold("--1-2-|")];
    let (count, open) = (attempts.clone(), live.clone());
    let source = OnTime::<()>::defer(move || {
        assert_eq!(open.fetch_add(1, Ordering::SeqCst), 0);
        let attempt = count.fetch_add(1, Ordering::SeqCst);
        let closed = open.clone();
        sources[attempt].clone().finalize(move || {
            closed.fetch_sub(1, Ordering::SeqCst);
        })
    });
    let seen = record(s.on(source).retry_with(Retry::times(5).fixed(ms(3))));
    s.advance_by(ms(100));
    assert_marbles!(seen, "--1------1-2-|");
    assert_eq!((attempts.load(Ordering::SeqCst), live.load(Ordering::SeqCst), s.tasks()), (2, 0, 0));
}

#[test]
fn finalize_and_on_complete_are_called_once() {
    for (text, completed, unsubscribe) in [("a|", 1, ""), ("a#", 0, ""), ("a-----", 0, "^--!")] {
        let (ends, finals) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (end, last) = (ends.clone(), finals.clone());
        let count =
            |counter: Arc<AtomicUsize>| move || drop(counter.fetch_add(1, Ordering::SeqCst).to_string());
        let s = Scheduler::new();
        let events = s.cold(text).on_complete(count(end)).finalize(count(last));
        if unsubscribe.is_empty() {
            let seen = record(events);
            s.advance_by(ms(10));
            assert!(seen.is_over());
        } else {
            let seen = record_during(events, unsubscribe);
            s.advance_by(ms(10));
            assert!(!seen.is_over());
        }
        assert_eq!((ends.load(Ordering::SeqCst), finals.load(Ordering::SeqCst)), (completed, 1), "{text}");
    }
}

#[test]
fn a_panic_in_catch_error_is_an_error() {
    let (subject, log) = (Kind::subject::<i32, &str>(), Log::<String, Infallible>::default());
    let caught =
        subject.clone().catch_error(|text| -> Kind<Throw<i32, StreamError>> { panic!("caught {text}") });
    caught.map_err(|error| error.to_string()).on_error_route(log.sink(|_| {})).subscribe(|_| {});
    subject.error("this");
    assert_eq!(log.text(), "\"panic in `catch_error`: caught this\" |");
}

/// ReactiveX/rxjs #678, #1717 and RxJava #1018: many failures at once, one subscription at a time.
#[test]
fn retry_when_needs_no_stack() {
    watchdog(|| {
        let (live, most, count) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counters = (live.clone(), most.clone(), count.clone());
        let failing = Kind::defer(move || {
            let (live, most, count) = &counters;
            count.fetch_add(1, Ordering::SeqCst);
            most.fetch_max(live.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let live = live.clone();
            Kind::throw_err::<i32, _>("down")
                .finalize(move || drop(live.fetch_sub(1, Ordering::SeqCst).to_string()))
        });
        let log = Log::<i32, &str>::default();
        failing.retry_when(|errors| errors.take(100_000)).subscribe_with(log.sink(|_| {}));
        assert_eq!(log.text(), "|");
        let counts = (count.load(Ordering::SeqCst), live.load(Ordering::SeqCst), most.load(Ordering::SeqCst));
        // The notifier's last item comes with its end.
        assert_eq!(counts, (100_000, 0, 1));
    });
}

#[test]
fn retry_when_over_a_subject_keeps_one_subscription() {
    // Not a source that fails again and again, but one that is subscribed again and again.
    let s = Scheduler::new();
    let attempts = Arc::new(AtomicUsize::new(0));
    let (count, source) = (attempts.clone(), s.cold("-1#"));
    let source = OnTime::<()>::defer(move || {
        count.fetch_add(1, Ordering::SeqCst);
        source.clone()
    });
    let seen = record_during(s.on(source).retry_when(|errors| errors.delay(ms(2))), "^----------!");
    s.advance_by(ms(100));
    assert_marbles!(seen, "-1---1---1");
    assert_eq!((attempts.load(Ordering::SeqCst), s.tasks(), s.sleeps()), (3, 0, 0));
}

#[test]
fn a_panic_in_a_notifier_is_an_error() {
    let failing =
        || Kind::throw_err::<i32, _>("down").map_err(|text| StreamError::source(std::io::Error::other(text)));
    let log = Log::<String, Infallible>::default();
    let panicking = failing().retry_when(|_| -> Kind<Throw<(), StreamError>> { panic!("no notifier") });
    panicking.map_err(|error| error.to_string()).on_error_route(log.sink(|_| {})).subscribe(|_| {});
    assert_eq!(log.text(), "\"panic in `retry_when`: no notifier\" |");

    let log = Log::<String, Infallible>::default();
    let panicking = failing().retry_when(|errors| errors.tap(|error| panic!("notified of {error}")));
    panicking.map_err(|error| error.to_string()).on_error_route(log.sink(|_| {})).subscribe(|_| {});
    assert_eq!(log.text(), "\"panic in `tap`: notified of down\" |");
}

/// A source that is gone without an end leaves nothing that the notifier could be told, and so nobody behind.
#[test]
fn retry_when_and_repeat_when_release_what_is_gone() {
    let held = Arc::new(());
    for repeats in [false, true] {
        let (source, log) = (Kind::never().stream_error(), Log::<(), StreamError>::default());
        let kept = held.clone();
        let sink = log.sink(move |()| drop(kept.clone()));
        if repeats {
            drop(source.repeat_when(|ends| ends).subscribe_with(sink));
        } else {
            drop(source.retry_when(|errors| errors).subscribe_with(sink));
        }
        assert_eq!((Arc::strong_count(&held), log.ends()), (1, 0));
    }
}

/// What is retried and repeated needs a source that can be cloned, but neither its items nor its error.
#[test]
fn items_and_errors_need_not_be_clone() {
    struct Item(i32);
    #[derive(Debug)]
    struct Down;
    let s = Scheduler::new();
    let numbers = || s.on(Kind::from_iter(0..3)).map(Item).map_err(|_| Down);
    let whole = numbers().merge(numbers()).timestamp().map(|stamped| stamped.value);
    let zipped = whole.zip(numbers()).map(|(a, b)| a.0 + b.0).finalize(|| {}).on_complete(|| {});
    let seen = record(zipped.repeat(2).retry_with(Retry::times(1).when(|_: &Down| true)));
    s.advance_by(ms(10));
    assert_eq!(seen.items(), [0, 2, 4, 0, 2, 4]);
    s.assert_no_leaks();
}

/// An operator's own failure is an error like another: it is tried again, too.
#[test]
fn the_failure_of_an_operator_is_retried() {
    for delay in [0, 10] {
        let (s, tries) = (Scheduler::new(), Arc::new(AtomicUsize::new(0)));
        let count = tries.clone();
        let source = s.on(Kind::from_iter([1])).stream_error().map(move |n| {
            assert!(count.fetch_add(1, Ordering::SeqCst) == 2, "not yet");
            n
        });
        let seen = record(source.retry_with(Retry::times(5).fixed(ms(delay))).map(|n| n.to_string()));
        s.advance_by(ms(100));
        assert_eq!((seen.items(), tries.load(Ordering::SeqCst)), (vec!["1".to_owned()], 3), "{delay}");
    }
}
