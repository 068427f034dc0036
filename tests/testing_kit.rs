//! Virtual time and marbles, as a user's own tests use them.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::{
    prop_assert, prop_assert_eq,
    test_runner::{TestError, TestRunner},
};
use rxevents::{
    assert_marbles, assert_subscriptions,
    prelude::*,
    source::{Class, PaymentLines},
    testing::{
        SharedVirtualScheduler, Signal, TestLocal, TestShared, VirtualScheduler, VirtualTime,
        VirtualTimeLimit, record, record_during, strategy,
    },
    time::Clock,
};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn panic_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    payload.downcast_ref::<String>().cloned().unwrap_or_default()
}

/// The same test in both flavours.
macro_rules! both {
    ($($(#[$meta:meta])* $name:ident: |$scheduler:ident, $context:ident| $body:block)*) => {$(
        #[test]
        $(#[$meta])*
        fn $name() {
            {
                #[allow(unused_imports, reason = "not every test makes a source")]
                use Local as $context;
                let $scheduler = VirtualScheduler::new();
                $body
            }
            {
                #[allow(unused_imports, reason = "not every test makes a source")]
                use Shared as $context;
                let $scheduler = SharedVirtualScheduler::new();
                $body
            }
        }
    )*};
}

/// What an operator makes of marbles; nothing is left behind.
macro_rules! marbles {
    ($($name:ident: $kind:ident $input:literal, |$events:ident| $pipeline:expr, $expected:literal;)*) => {$(
        #[test]
        fn $name() {
            marbles!(@in VirtualScheduler, $kind $input, $events $pipeline, $expected);
            marbles!(@in SharedVirtualScheduler, $kind $input, $events $pipeline, $expected);
        }
    )*};
    (@in $scheduler:ident, $kind:ident $input:literal, $events:ident $pipeline:expr, $expected:literal) => {
        let scheduler = $scheduler::new();
        let $events = scheduler.$kind($input);
        let seen = record($pipeline);
        scheduler.advance_by(ms(1000));
        assert_marbles!(seen, $expected);
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (0, 0));
    };
}

marbles! {
    debounce_hot: hot "-a-b------c-|", |e| e.debounce(ms(4)), "-------b----(c|)";
    debounce_cold: cold "-a-b------c-|", |e| e.debounce(ms(4)), "-------b----(c|)";
    debounce_error_drops: cold "-a#", |e| e.debounce(ms(4)), "--#";
    debounce_at_the_edge: cold "a---b 20ms |", |e| e.debounce(ms(4)), "--------b 16ms |";
    delay: cold "a-(bc)--|", |e| e.delay(ms(10)), "10ms a-(bc)--|";
    delay_error: cold "a-b-#", |e| e.delay(ms(3)), "---a#";
    throttle_latest: cold "-1-2-3-------4-|", |e| e.throttle_latest(ms(4)), "-1---3-------4-|";
    throttle_latest_flushes: cold "12|", |e| e.throttle_latest(ms(4)), "1-(2|)";
    throttle_first: cold "-1-2---3-4-5---|", |e| e.throttle_first(ms(4)), "-1-----3---5---|";
    sample: cold "-1-2-----3---|", |e| e.sample(ms(4)), "----2-------3|";
    sample_drops_the_rest: cold "-1---2|", |e| e.sample(ms(4)), "----1-|";
    buffer_count: cold "abcd|", |e| e.buffer_count(2).map(|pair| pair[1]), "-b-d|";
    delay_nothing: cold "a-b|", |e| e.delay(ms(0)), "a-b|";
    debounce_nothing: cold "ab-c|", |e| e.debounce(ms(0)), "ab-c|";
    sample_at_the_edge: cold "----a---(b|)", |e| e.sample(ms(4)), "----a---|";
    throttle_latest_at_the_edge: cold "a---b-c-d|", |e| e.throttle_latest(ms(4)), "a---b---d|";
    throttle_first_at_the_edge: cold "a--bc-d-e|", |e| e.throttle_first(ms(4)), "a---c---e|";
    retry_waits: cold "a#", |e| e.retry_with(Retry::times(2).fixed(ms(3))), "a---a---a#";
    take_ends_the_source: cold "a-b-c-d", |e| e.take(2), "a-(b|)";
    merge: hot "a---b----|", |e| e.clone().merge(e.map(|c| c.to_ascii_uppercase())), "(aA)(bB)-|";
}

/// Unsubscribing ends the tasks of the pipeline at that very instant, and nothing comes after it.
macro_rules! unsubscribe {
    ($($name:ident: |$events:ident| $pipeline:expr, $tasks:literal;)*) => {$(
        both! { $name: |scheduler, Kind| {
            let $events = scheduler.cold("a-b-c-d-e-f");
            let mut seen = record($pipeline);
            scheduler.advance_by(ms(4));
            assert_eq!(scheduler.tasks(), $tasks);
            seen.unsubscribe();
            scheduler.run_ready();
            assert_eq!((scheduler.tasks(), scheduler.sleeps(), scheduler.now()), (0, 0, ms(4)));
            scheduler.advance_by(ms(1000));
            assert_eq!(seen.violations(), []);
            assert!(!seen.is_over());
        }}
    )*};
}

unsubscribe! {
    unsubscribe_the_source: |e| e, 1;
    unsubscribe_debounce: |e| e.debounce(ms(3)), 2;
    unsubscribe_delay: |e| e.delay(ms(3)), 2;
    unsubscribe_throttle_latest: |e| e.throttle_latest(ms(3)), 2;
    unsubscribe_sample: |e| e.sample(ms(3)), 2;
    unsubscribe_take: |e| e.take(100), 1;
    unsubscribe_retry: |e| e.retry_with(Retry::forever().fixed(ms(1))), 1;
    unsubscribe_combine_latest: |e| e.clone().combine_latest(e, |a, _| a), 2;
    unsubscribe_zip: |e| e.clone().zip(e.delay(ms(1))).map(|(a, _)| a), 3;
    unsubscribe_a_chain: |e| e.delay(ms(1)).sample(ms(3)).debounce(ms(2)).throttle_latest(ms(1)), 5;
}

/// When ticks every 100 ms come, with a stall of 350 ms after the first (tokio #6029).
const MISSED_TICKS: [(MissedTicks, &[u128]); 3] = [
    (MissedTicks::Burst, &[100, 450, 450, 450, 500]),
    (MissedTicks::Skip, &[100, 450, 500]),
    (MissedTicks::Delay, &[100, 450, 550]),
];

both! {
    missed_ticks: |scheduler, Kind| {
        for (missed, expected) in MISSED_TICKS {
            let scheduler = fresh(&scheduler);
            let mut ticks = record(scheduler.on(Kind::interval_with(ms(100), missed)));
            scheduler.advance_by(ms(100));
            scheduler.stall(ms(350));
            scheduler.advance_to(ms(560));
            let times: Vec<_> = ticks.signals().iter().map(|(at, _)| at.as_millis()).collect();
            assert_eq!(times, expected, "{missed:?}");
            ticks.unsubscribe();
            scheduler.run_ready();
            assert_eq!((scheduler.tasks(), scheduler.now()), (0, ms(560)));
        }
    }

        a_slow_subscriber_misses_ticks: |scheduler, Kind| {
        for (missed, expected) in MISSED_TICKS {
            let scheduler = fresh(&scheduler);
            let log = Arc::new(Mutex::new(vec![]));
            let (clock, seen) = (scheduler.clone(), log.clone());
            scheduler.on(Kind::interval_with(ms(100), missed)).subscribe(move |n| {
                seen.lock().unwrap().push(clock.now().as_millis());
                if n == 0 {
                    clock.stall(ms(350));
                }
            });
            scheduler.advance_to(ms(560));
            assert_eq!(*log.lock().unwrap(), expected, "{missed:?}");
        }
    }

    an_endless_interval_meets_the_limit: |scheduler, Kind| {
        let ticks = record(scheduler.on(Kind::interval(ms(10))));
        let limit = VirtualTimeLimit { limit: ms(1005), tasks: 1, next: ms(1010) };
        assert_eq!(scheduler.advance_until_idle(ms(1005)), Err(limit));
        assert_eq!(ticks.items().len(), 100);
    }

    a_timer_for_ever_never_fires: |scheduler, Kind| {
        scheduler.advance_by(ms(1));
        let mut timer = record(scheduler.on(Kind::timer(Duration::MAX)));
        let mut delayed = record(scheduler.cold("a|").delay(Duration::MAX));
        assert!(scheduler.advance_until_idle(Duration::MAX).is_ok());
        timer.assert_eq(&[]);
        delayed.assert_eq(&[]);
        timer.unsubscribe();
        delayed.unsubscribe();
        scheduler.run_ready();
        assert_eq!(scheduler.tasks(), 0);
    }

    inner_sources_take_part: |scheduler, Kind| {
        let inner = scheduler.cold("1-2-3|");
        let (merged, switched) = (inner.clone(), inner.clone());
        let outer = scheduler.cold("a--b 20ms |");
        let mut flat = record(outer.clone().flat_map(move |_| merged.clone()));
        let mut switch = record(outer.clone().switch_map(move |_| switched.clone()));
        let mut concat = record(outer.concat_map(move |_| inner.clone()));
        scheduler.advance_by(ms(100));
        assert_marbles!(flat, "1-2132-3 16ms |");
        assert_marbles!(switch, "1-21-2-3 16ms |");
        assert_marbles!(concat, "1-2-31-2-3 14ms |");
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (0, 0));
        for recording in [&mut flat, &mut switch, &mut concat] {
            recording.unsubscribe();
        }
    }

    inner_sources_end_with_the_subscription: |scheduler, Kind| {
        let inner = scheduler.cold("1-2-3-4-5-6-7-8");
        let (merged, switched) = (inner.clone(), inner.clone());
        let outer = scheduler.cold("a--b-----");
        let mut flat = record(outer.clone().flat_map(move |_| merged.clone()));
        let mut switch = record(outer.clone().switch_map(move |_| switched.clone()));
        let mut concat = record(outer.concat_map(move |_| inner.clone()));
        scheduler.advance_by(ms(5));
        assert_eq!(scheduler.tasks(), 3 + 2 + 2);
        for recording in [&mut flat, &mut switch, &mut concat] {
            recording.unsubscribe();
        }
        scheduler.run_ready();
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (0, 0));
        scheduler.advance_by(ms(50));
        assert_eq!(flat.violations().len() + switch.violations().len() + concat.violations().len(), 0);
    }

    a_timer_ends_a_stream: |scheduler, Kind| {
        let stop = scheduler.on(Kind::timer(ms(5))).map_err(|never| match never {});
        let seen = record(scheduler.cold("a-b-c-d-e").take_until(stop));
        scheduler.advance_by(ms(100));
        assert_marbles!(seen, "a-b-c|");
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (0, 0));
    }

    backoff_ends_with_the_subscription: |scheduler, Kind| {
        let mut seen = record(scheduler.cold("a#").retry_with(Retry::forever().fixed(ms(10))));
        scheduler.advance_by(ms(15));
        seen.unsubscribe();
        scheduler.run_ready();
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (0, 0));
        scheduler.advance_by(ms(100));
        assert_marbles!(seen, "a----------a");
    }

    another_scheduler_takes_over: |scheduler, Kind| {
        let source = scheduler.cold("ab-c|");
        let mut seen = record(source.observe_on(scheduler.clone()));
        scheduler.advance_by(ms(3));
        assert_marbles!(seen, "ab-c");
        seen.unsubscribe();
        scheduler.run_ready();
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (0, 0));
    }

    unsubscribed_from_within: |scheduler, Kind| {
        let count = Arc::new(Mutex::new(0));
        let seen = count.clone();
        let mut relay = Kind::subject::<(), Infallible>();
        let stop = relay.clone();
        scheduler.on(Kind::interval(ms(10))).delay(ms(1)).take_until(stop).subscribe(move |_| {
            *seen.lock().unwrap() += 1;
            relay.next(());
        });
        scheduler.advance_by(ms(11));
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (0, 0));
        scheduler.advance_by(ms(100));
        assert_eq!(*count.lock().unwrap(), 1);
    }

    subjects_take_part: |scheduler, Kind| {
        let mut subject = Kind::subject::<u32, Infallible>();
        let mut seen = record(scheduler.on(subject.clone()).debounce(ms(5)));
        subject.next(1);
        scheduler.advance_by(ms(4));
        subject.next(2);
        scheduler.advance_by(ms(5));
        seen.assert_eq(&[(9, Signal::Next(2))]);
        subject.next(3);
        assert_eq!(scheduler.tasks(), 1);
        seen.unsubscribe();
        scheduler.run_ready();
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (0, 0));
        scheduler.advance_by(ms(100));
        seen.assert_eq(&[(9, Signal::Next(2))]);
    }

    streams_and_futures_take_part: |scheduler, Kind| {
        use rxevents::rx::scheduler::SleepProvider;
        let clock = scheduler.clone();
        let answer = async move {
            clock.sleep(ms(30)).await;
            42
        };
        let seen = record(scheduler.on(Kind::from_future(answer)));
        assert_eq!(scheduler.advance_until_idle(ms(100)), Ok(ms(30)));
        seen.assert_eq(&[(30, Signal::Next(42)), (30, Signal::Complete)]);
        assert_eq!(scheduler.tasks(), 0);
    }

    a_subscription_in_marbles: |scheduler, Kind| {
        let source = scheduler.hot("ab-^-c-d-e|");
        let seen = record_during(source.clone(), "---^---!");
        assert_marbles!(seen, "----d-e");
        assert_eq!((scheduler.now(), seen.is_over()), (ms(7), false));
        let seen = record_during(source, "-^");
        scheduler.advance_by(ms(100));
        assert_marbles!(seen, "--------|");
        assert_eq!(scheduler.tasks(), 0);
    }

    a_cold_source_starts_at_each_subscription: |scheduler, Kind| {
        let source = scheduler.cold("a-(b#)");
        let first = record(source.clone());
        scheduler.advance_by(ms(10));
        let second = record(source.map_err(|error| error.to_string()));
        scheduler.advance_by(ms(10));
        assert_marbles!(first, "a-(b#)");
        assert_marbles!(second, "10ms a-(b#)");
        let error = Signal::Error("the error of a marble diagram".to_owned());
        second.assert_eq(&[(10, Signal::Next('a')), (12, Signal::Next('b')), (12, error)]);
    }

    a_failed_assertion_shows_both: |scheduler, Kind| {
        let seen = record(scheduler.cold("--a--b|"));
        scheduler.advance_by(ms(10));
        let message = panic_of(|| assert_marbles!(seen, "--a-b-|"));
        assert_eq!(message, "\
other marbles than expected
  expected: --a-b-|
    actual: --a--b|
        2ms 'a'                  2ms 'a'
  !     4ms 'b'                  5ms 'b'
        6ms complete             6ms complete
");
        let message = panic_of(|| seen.assert_eq(&[(2, Signal::Next('a'))]));
        assert!(message.contains("\n  !                              5ms 'b'\n"), "{message}");
        let message = panic_of(|| assert_marbles!(seen, "--ä"));
        assert_eq!(message, "marbles: 'ä' at position 2: not a marble\n  --ä\n    ^");
    }

    a_frame_may_last_longer: |scheduler, Kind| {
        let scheduler = slow(&scheduler);
        let seen = record(scheduler.cold("a-b|").delay(ms(200)));
        scheduler.advance_by(ms(1000));
        assert_marbles!(seen, "--a-b|");
        seen.assert_eq(&[(200, Signal::Next('a')), (400, Signal::Next('b')), (500, Signal::Complete)]);
    }
}

/// A new scheduler of the same flavour.
fn fresh<F: Future<Output = ()> + ?Sized>(_: &VirtualTime<F>) -> VirtualTime<F> {
    VirtualTime::new()
}

/// The same, with longer frames.
fn slow<F: Future<Output = ()> + ?Sized>(_: &VirtualTime<F>) -> VirtualTime<F> {
    VirtualTime::with_frame(ms(100))
}

#[test]
fn the_factories_of_a_test_context_run_on_the_threads_scheduler() {
    let ticks = record(TestLocal::interval(ms(10)).take(2));
    VirtualScheduler::default().advance_by(ms(100));
    assert_eq!(ticks.items(), [0, 1]);
    let ticks = record(TestShared::interval(ms(10)).take(2));
    SharedVirtualScheduler::default().advance_by(ms(100));
    assert_eq!(ticks.items(), [0, 1]);
}

#[test]
fn operators_of_rxrust_run_on_virtual_time() {
    use rxevents::rx::{observable::Observable, ops::throttle::ThrottleEdge};
    let scheduler = VirtualScheduler::new();
    let seen = record(Observable::delay(scheduler.on(Local::from_iter("ab".chars())), ms(5)));
    let throttled = scheduler.cold("ab-c 50ms d|").on_error_return(|_| '#');
    let throttled = record(Observable::throttle_time(throttled, ms(20), ThrottleEdge::leading()));
    scheduler.advance_by(ms(100));
    assert_eq!(seen.items(), ['a', 'b']);
    assert_eq!(throttled.items(), ['a', 'd']);
    assert_eq!(scheduler.tasks(), 0);
}

#[test]
fn threads_feed_a_shared_pipeline_on_virtual_time() {
    let scheduler = SharedVirtualScheduler::new();
    let subject = Shared::subject::<u32, Infallible>();
    let seen = record(scheduler.on(subject.clone()).delay(ms(5)));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (mut subject, scheduler) = (subject.clone(), scheduler.clone());
            scope.spawn(move || {
                for n in 0..500 {
                    subject.next(n);
                    scheduler.advance_by(ms(1));
                }
            });
        }
    });
    subject.complete();
    scheduler.advance_by(ms(10));
    assert_eq!((seen.items().len(), seen.is_over(), scheduler.tasks()), (1000, true, 0));
}

both! {
    subscriptions_are_noted: |s, Ctx| {
        let (source, subscriptions) = s.watch(s.cold("-a-b|"));
        assert_subscriptions!(subscriptions);
        let whole = record(source.clone());
        s.advance_by(ms(2));
        let mut part = record(source.clone().take_while(|c| *c != 'b'));
        s.advance_by(ms(1));
        let mut open = record(source.clone().merge(s.on(Ctx::never()).map_err(|never| match never {})));
        s.advance_by(ms(3));
        assert_subscriptions!(subscriptions, "^---!", "--^--!", "---^");
        part.unsubscribe();
        open.unsubscribe();
        assert_subscriptions!(subscriptions, "^---!", "--^--!", "---^--!");
        assert!(whole.is_over());
        s.assert_no_leaks();
        let failed = panic_of(|| assert_subscriptions!(subscriptions, "^---!"));
        assert!(failed.ends_with("expected: 0ns to 4ms\n    actual: 0ns to 4ms, 2ms to 5ms, 3ms to 6ms"), "{failed}");
    }

    what_is_left_is_told: |s, Ctx| {
        let hot = s.hot("a-b-c|");
        let mut seen = record(hot.clone().delay(ms(100)));
        let failed = panic_of(|| s.assert_no_leaks());
        assert_eq!(failed, "left behind: tasks: 2, sleeps: 2, open subscriptions: 1");
        seen.unsubscribe();
        assert_eq!(s.leaks().map(|left| (left.tasks, left.subscriptions)), Some((1, 0)), "the hot source itself");
        s.advance_by(ms(5));
        s.assert_no_leaks();
    }
}

/// A text of marbles is read as it was made; what fails shrinks to what matters.
#[test]
fn strategies_make_marbles_and_shrink() {
    let runner = TestRunner::deterministic;
    let seen = RefCell::new(BTreeSet::new());
    runner()
        .run(&strategy::marbles(30), |text| {
            seen.borrow_mut().extend(text.chars());
            let s = VirtualScheduler::new();
            let items = record(s.cold(&text));
            s.advance_by(Duration::from_secs(60));
            // The units of times are no items.
            let words = text.split(' ').enumerate().filter(|(_, word)| !word.ends_with("ms"));
            let letters = words.flat_map(|(_, word)| word.chars()).filter(char::is_ascii_alphabetic);
            prop_assert!(letters.eq(items.items()), "{}", text);
            prop_assert_eq!(items.is_over(), text.ends_with(['|', '#']));
            Ok(())
        })
        .unwrap();
    let failed = runner().run(&strategy::marbles(30), |text| {
        prop_assert!(!text.contains('c'));
        Ok(())
    });
    let Err(TestError::Fail(_, smallest)) = failed else { panic!("{failed:?}") };
    assert_eq!(smallest, "c|");
    assert!("abcdef-(|#m".chars().all(|c| seen.borrow().contains(&c)), "{seen:?}");

    let lines = strategy::events(|seed| PaymentLines::new(seed).malformed(0.1).invalid(0.1), 100);
    let failed = runner().run(&lines, |lines| {
        prop_assert!(lines.iter().all(|(class, _)| *class != Class::Malformed));
        Ok(())
    });
    let Err(TestError::Fail(_, smallest)) = failed else { panic!("{failed:?}") };
    assert_eq!(smallest.len(), 1);
}
