use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use rxevents::{assert_marbles, assert_subscriptions, prelude::*, testing::record};

use super::flavour::{Kind, OnTime, Scheduler, Shareable};
use crate::common::{Log, lock, ms, watchdog};

marbles! {
    share_one: |s| s.cold("-a-b-|").share(), "-a-b-|";
    share_nothing: |s| s.cold("--|").share(), "--|";
    share_never: |s| s.cold("-").share(), "";
    share_an_error: |s| s.cold("-a#").share(), "-a#";
    share_below_take: |s| s.cold("-a-b-c-d").share().take(2), "-a-(b|)";
    share_at_once: |s| s.cold("(abc|)").share(), "(abc|)";
    share_repeated: |s| s.cold("-a-|").share().repeat(2), "-a--a-|";
    share_retried: |s| s.cold("-a-#").share().retry_with(Retry::times(1)), "-a--a-#";
    share_replay_one: |s| s.cold("-a-b-|").share_replay(Replay::last(1)), "-a-b-|";
    share_replay_an_error: |s| s.cold("-a#").share_replay(Replay::last(1)), "-a#";
    ref_count: |s| s.cold("-a-b-|").publish().ref_count(), "-a-b-|";
    replay_ref_count: |s| s.cold("-a-b-|").replay(Replay::last(1)).ref_count(), "-a-b-|";
    publish_unconnected: |s| s.cold("-a-b-|").publish(), "";
}

/// RxJS `share`: one subscription from the first subscriber to the last.
#[test]
fn share_begins_with_the_first_and_ends_with_the_last() {
    let s = Scheduler::new();
    let (source, subscriptions) = s.watch(s.cold("-a-b-c-d-e-f"));
    let shared = source.share();
    let mut first = record(shared.clone());
    s.advance_by(ms(4));
    let mut second = record(shared.clone());
    s.advance_by(ms(2));
    first.unsubscribe();
    s.advance_by(ms(2));
    second.unsubscribe();
    s.advance_by(ms(2));
    let mut third = record(shared);
    s.advance_by(ms(2));
    third.unsubscribe();
    s.run_ready();
    assert_marbles!(first, " -a-b-c");
    assert_marbles!(second, "-----c-d");
    assert_marbles!(third, " -----------a");
    assert_subscriptions!(subscriptions, "^-------!", "----------^-!");
    s.assert_no_leaks();
}

/// RxJS `share`: it is reset by the end, before that is told.
#[test]
fn share_runs_again_after_its_end() {
    let s = Scheduler::new();
    let (source, subscriptions) = s.watch(s.cold("-a|"));
    let shared = source.share();
    let (twice, also) = (record(shared.clone().repeat(2)), record(shared.clone().repeat(2)));
    s.advance_by(ms(8));
    let late = record(shared);
    s.advance_by(ms(8));
    assert_marbles!(twice, "-a-a|");
    assert_marbles!(also, " -a-a|");
    assert_marbles!(late, " ---------a|");
    assert_subscriptions!(subscriptions, "^-!", "--^-!", "--------^-!");
    let (source, subscriptions) = s.watch(s.cold("-a#"));
    let shared = source.share();
    let retried = [(); 2].map(|()| record(shared.clone().retry_with(Retry::times(1))));
    s.advance_by(ms(8));
    assert!(retried.iter().all(|seen| seen.items() == ['a', 'a'] && seen.is_over()));
    assert_eq!(subscriptions.spans().len(), 2, "one for both, each time");
    s.assert_no_leaks();
}

#[test]
fn a_source_that_emits_at_once_gives_all_to_the_first() {
    let (runs, log, late) = (Arc::new(AtomicUsize::new(0)), Log::default(), Log::default());
    let count = runs.clone();
    let counted = Kind::from_iter(0..3).tap(move |v| {
        count.fetch_add(usize::from(*v == 0), Ordering::Relaxed);
    });
    let shared = counted.share();
    shared.clone().subscribe_with(log.sink(|_| {}));
    shared.clone().subscribe_with(late.sink(|_| {}));
    assert_eq!((log.text(), late.text()), ("0 1 2 |".into(), "0 1 2 |".into()));
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    let few = Log::default();
    Kind::from_iter(0..1_000_000).share().take(3).subscribe_with(few.sink(|_| {}));
    assert_eq!(few.text(), "0 1 2 |");
}

/// rxjs #678, #1717; reactor #1385: a shared source that fails at once, 100,000 times.
#[test]
fn subscribers_of_a_share_that_retry_see_every_retry() {
    const RETRIES: u64 = 100_000;
    let seen = watchdog(|| {
        let (trigger, runs) = (Kind::subject::<i64, &str>(), Arc::new(AtomicUsize::new(0)));
        let (first, count) = (trigger.clone(), runs.clone());
        // The first run waits until both are there; all the others fail at once.
        let source = Kind::<()>::defer(move || {
            let waits = count.fetch_add(1, Ordering::Relaxed) == 0;
            Kind::of(0_i64).map_err(|never: Infallible| match never {}).flat_map(move |_| {
                let failing = Kind::throw_err("down").map(|()| 0_i64);
                if waits { first.clone().boxed() } else { failing.boxed() }
            })
        });
        let boxed = Shareable::new(move || source.clone().boxed().into_inner());
        let shared = Kind::<()>::lift(crate::common::Again::<_, i64, &str>::new(boxed)).share();
        let (logs, tries) = ([Log::default(), Log::default()], [0, 1].map(|_| Arc::new(AtomicUsize::new(0))));
        for (log, tried) in logs.iter().zip(&tries) {
            let tried = tried.clone();
            let policy = Retry::times(RETRIES)
                .when(move |_: &&str| tried.fetch_add(1, Ordering::Relaxed) < usize::MAX);
            shared.clone().retry_with(policy).subscribe_with(log.sink(|_| {}));
        }
        trigger.clone().next(1);
        trigger.error("down");
        let tries = tries.map(|tried| tried.load(Ordering::Relaxed) as u64);
        (logs.map(|log| log.text()), tries, runs.load(Ordering::Relaxed) as u64)
    });
    let text = "1 #\"down\"".to_owned();
    assert_eq!(seen, ([text.clone(), text], [RETRIES, RETRIES], RETRIES + 1));
}

/// rxjs #3336, #5034, #5931.
#[test]
fn share_replay_drops_the_source_and_the_buffer_with_its_last_subscriber() {
    let s = Scheduler::new();
    let (source, subscriptions) = s.watch(s.cold("-a-b-c"));
    let item = Arc::new(Mutex::new(None));
    let weak = item.clone();
    let made = source.map(move |c| {
        let made = Arc::new(c);
        *lock(&weak) = Some(Arc::downgrade(&made));
        made
    });
    let shared = made.share_replay(Replay::last(9)).map(|c| *c);
    let kept = || lock(&item).as_ref().is_some_and(|weak| weak.upgrade().is_some());
    let mut first = record(shared.clone());
    s.advance_by(ms(4));
    let mut second = record(shared.clone());
    assert_eq!(second.items(), ['a', 'b']);
    first.unsubscribe();
    assert!(kept());
    second.unsubscribe();
    assert!(!kept(), "the buffer is still there");
    s.run_ready();
    assert_subscriptions!(subscriptions, "^---!");
    let mut third = record(shared);
    s.advance_by(ms(2));
    assert_eq!(third.items(), ['a']);
    third.unsubscribe();
    s.run_ready();
    s.assert_no_leaks();
}

/// RxJS `shareReplay`: not reset by the completion, but by an error.
#[test]
fn share_replay_keeps_what_has_completed() {
    let s = Scheduler::new();
    let (source, subscriptions) = s.watch(s.cold("-a-b|"));
    let shared = source.share_replay(Replay::last(1));
    let first = record(shared.clone());
    s.advance_by(ms(10));
    let late = record(shared);
    assert_marbles!(first, "-a-b|");
    assert_marbles!(late, " ----------(b|)");
    assert_subscriptions!(subscriptions, "^---!");
    let (source, subscriptions) = s.watch(s.cold("-a#"));
    let shared = source.share_replay(Replay::last(1));
    let _first = record(shared.clone());
    s.advance_by(ms(10));
    let late = record(shared);
    s.advance_by(ms(10));
    assert_marbles!(late, "-----------  10ms a#");
    assert_eq!(subscriptions.spans().len(), 2);
}

#[test]
fn replay_goes_by_count_and_by_time() {
    let s = Scheduler::new();
    let replays =
        [Replay::default(), Replay::last(2), Replay::default().within(ms(4)), Replay::last(1).within(ms(4))];
    let published = replays.map(|replay| s.cold("a-b-c-|").replay(replay));
    published.iter().for_each(|all| drop(all.connect()));
    s.advance_by(ms(5));
    let open: Vec<_> = published.iter().map(|all| record(all.clone())).collect();
    assert_eq!(
        open.iter().map(|seen| seen.items()).collect::<Vec<_>>(),
        [vec!['a', 'b', 'c'], vec!['b', 'c'], vec!['b', 'c'], vec!['c']]
    );
    s.advance_by(ms(3));
    let late: Vec<_> = published.iter().map(|all| record(all.clone())).collect();
    assert_eq!(
        late.iter().map(|seen| seen.items()).collect::<Vec<_>>(),
        [vec!['a', 'b', 'c'], vec!['b', 'c'], vec![], vec![]]
    );
    assert!(late.iter().all(|seen| seen.is_over()));
}

#[test]
fn a_connection_lasts_until_it_is_unsubscribed_or_the_source_ends() {
    let s = Scheduler::new();
    let (source, subscriptions) = s.watch(s.cold("-a-b-|"));
    let published = source.publish();
    let seen = record(published.clone());
    s.advance_by(ms(2));
    let (connection, same) = (published.connect(), published.connect());
    s.advance_by(ms(2));
    connection.unsubscribe();
    assert!(same.is_closed());
    s.advance_by(ms(2));
    let again = published.connect();
    assert!(!again.is_closed());
    same.unsubscribe(); // of another run
    s.advance_by(ms(6));
    assert!(again.is_closed());
    assert_marbles!(seen, "  ---a---a-b-|");
    assert_subscriptions!(subscriptions, "--^-!", "------^----!");
    let late = record(published.clone());
    assert_marbles!(late, "  ------------|");
    let _connection = published.connect();
    let third = record(published);
    s.advance_by(ms(6));
    assert_eq!((third.items(), third.is_over()), (vec!['a', 'b'], true));
    s.assert_no_leaks();
}

/// Probe 23 of rxRust: it was dead for ever.
#[test]
fn a_connection_needs_no_subscriber() {
    let s = Scheduler::new();
    let published = s.on(Kind::interval(ms(10))).publish();
    let connection = published.connect();
    s.advance_by(ms(25));
    let seen = record(published);
    s.advance_by(ms(20));
    assert_eq!(seen.items(), [2, 3]);
    connection.unsubscribe();
    s.run_ready();
    assert_eq!(s.tasks(), 0);
}

#[test]
fn a_connection_by_hand_counts_as_a_subscriber() {
    let s = Scheduler::new();
    let (source, subscriptions) = s.watch(s.cold("-a-b-c"));
    let published = source.publish();
    let connection = published.connect();
    let mut seen = record(published.ref_count());
    s.advance_by(ms(2));
    seen.unsubscribe();
    s.advance_by(ms(2));
    connection.unsubscribe();
    s.run_ready();
    assert_subscriptions!(subscriptions, "^---!");
    s.assert_no_leaks();
}

#[test]
fn a_subscriber_of_a_share_may_feed_it_join_it_and_leave_it() {
    let subject = Kind::subject::<i64, Infallible>();
    let shared = subject.clone().share();
    let (log, inner) = (Log::default(), Log::default());
    let (mut back, join, joined) = (subject.clone(), shared.clone(), inner.clone());
    shared.clone().subscribe_with(log.sink(move |v| {
        if *v == 0 {
            join.clone().subscribe_with(joined.sink(|_| {}));
            back.next(1);
            back.next(2);
        }
    }));
    subject.clone().next(0);
    assert_eq!((log.items(), inner.items()), (vec![0, 1, 2], vec![1, 2]));
    subject.complete();
    assert_eq!((log.ends(), inner.ends()), (1, 1));
}

#[test]
fn a_panic_in_a_shared_source_is_the_error_of_all() {
    let subject = Kind::subject::<i64, StreamError>();
    let shared = subject.clone().map(|v| 6 / v).share();
    let logs = [Log::<i64, StreamError>::default(), Log::default()];
    for log in &logs {
        shared.clone().subscribe_with(log.sink(|_| {}));
    }
    subject.clone().next(2);
    subject.clone().next(0);
    subject.clone().next(3);
    for log in &logs {
        assert!(log.text().starts_with("3 #Panic(PanicError { operator: \"map\""), "{}", log.text());
    }
    let again = Log::default();
    shared.subscribe_with(again.sink(|_| {}));
    subject.clone().next(1);
    assert_eq!(again.items(), [6], "a new run");
}

#[test]
fn a_panic_in_a_shared_source_of_another_error_type_is_told_below() {
    let subject = Kind::subject::<i64, Infallible>();
    let shared = subject.clone().map(|v| 6 / v).share();
    let log = Log::<i64, StreamError>::default();
    shared.clone().stream_error().subscribe_with(log.sink(|_| {}));
    subject.clone().next(0);
    assert!(log.text().starts_with("#Panic(PanicError { operator: \"map\""), "{}", log.text());
    let again = Log::default();
    shared.subscribe_with(again.sink(|_| {}));
    subject.clone().next(1);
    assert_eq!(again.items(), [6]);
}

#[test]
fn an_item_that_cannot_be_cloned_ends_all() {
    struct Bad;
    impl Clone for Bad {
        fn clone(&self) -> Self {
            panic!("no clones");
        }
    }
    let subject = Kind::subject::<(), StreamError>();
    let shared = subject.clone().map(|()| Bad).share_replay(Replay::last(1)).map(|_| 1);
    let log = Log::<i64, StreamError>::default();
    shared.clone().subscribe_with(log.sink(|_| {}));
    subject.clone().next(());
    subject.clone().next(());
    assert_eq!(log.text(), "#Panic(PanicError { operator: \"subject\", message: \"no clones\" })");
}

#[test]
fn a_replay_subject_replays_by_count_time_and_to_the_end() {
    let clock = Scheduler::default();
    let mut all = OnTime::<()>::replay_subject::<i64, &str>(Replay::last(3).within(ms(10)));
    for v in 0..5 {
        all.next(v);
        clock.advance_by(ms(3));
    }
    let other = all.clone();
    let seen = move || {
        let log = Log::default();
        other.clone().subscribe_with(log.sink(|_| {}));
        log.text()
    };
    assert_eq!(seen(), "2 3 4");
    clock.advance_by(ms(1)); // the first of them came 10 ms ago
    assert_eq!(seen(), "3 4");
    all.clone().error("down");
    all.next(9);
    assert_eq!(seen(), "3 4 #\"down\"");
    clock.advance_by(ms(100));
    assert_eq!(seen(), "#\"down\"");
    // Who has enough of what is replayed is not counted.
    let mut some = Kind::replay_subject::<i64, Infallible>(Replay::last(3));
    some.next(1);
    some.next(2);
    let first = Log::default();
    some.clone().take(1).subscribe_with(first.sink(|_| {}));
    some.next(3);
    assert_eq!(first.text(), "1 |");
}

/// ReactiveX `AsyncSubject`.
#[test]
fn an_async_subject_sends_its_last_item_when_it_completes() {
    for (items, end, expected) in [(2, true, "2 |"), (0, true, "|"), (2, false, "#\"down\"")] {
        let mut subject = Kind::async_subject::<i64, &str>();
        let (early, late) = (Log::default(), Log::default());
        subject.clone().subscribe_with(early.sink(|_| {}));
        (1..=items).for_each(|v| subject.next(v));
        assert_eq!(early.text(), "");
        if end {
            subject.clone().complete()
        } else {
            subject.clone().error("down")
        }
        subject.next(9);
        subject.clone().complete();
        subject.subscribe_with(late.sink(|_| {}));
        assert_eq!((early.text(), late.text()), (expected.into(), expected.into()));
    }
}

#[test]
fn batches_are_kept_too() {
    let mut replay = Kind::replay_subject::<i64, Infallible>(Replay::last(2));
    let mut last = Kind::async_subject::<i64, Infallible>();
    let logs = [Log::default(), Log::default()];
    last.clone().subscribe_with(logs[1].sink(|_| {}));
    replay.inner_mut().next_batch([1, 2, 3]);
    last.inner_mut().next_batch([1, 2, 3]);
    replay.subscribe_with(logs[0].sink(|_| {}));
    last.complete();
    assert_eq!(logs.map(|log| log.text()), ["2 3", "3 |"]);
}

/// A source that cannot be cloned ends the share: who comes later is told so, too.
#[test]
fn who_comes_after_a_failure_of_share_is_told() {
    struct Once(Shareable<AtomicUsize>);
    impl Clone for Once {
        fn clone(&self) -> Self {
            assert_eq!(self.0.fetch_add(1, Ordering::SeqCst), 0, "cloned twice");
            Self(self.0.clone())
        }
    }
    let once = Once(Shareable::default());
    let source = Kind::from_iter([1]).stream_error().tap(move |_| {
        let _whole = &once;
    });
    let shared = source.share();
    let texts: Vec<_> = (0..3)
        .map(|_| {
            let log = Log::<i32, StreamError>::default();
            let sub = shared.clone().subscribe_with(log.sink(|_| {}));
            assert!(sub.is_closed());
            log.text()
        })
        .collect();
    assert_eq!(texts[0], "1 |");
    assert!(texts[1].contains("cloned twice"), "{texts:?}");
    assert!(texts[2].contains("could not be cloned"), "{texts:?}");
}

#[test]
fn a_subscription_to_a_share_whose_source_is_gone_is_closed() {
    let shared = Kind::never().share();
    assert!(shared.subscribe(|()| {}).is_closed());
}
