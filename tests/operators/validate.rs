use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    num::NonZeroUsize,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rxevents::{
    assert_marbles,
    dead_letter::{DeadLetterError, QueueError},
    prelude::*,
    rx::{scheduler::SleepProvider, subscription::IntoBoxedSubscription},
    testing::record,
    time::Clock,
};

use super::flavour::{Kind, Scheduler, Sub};
use crate::common::{Log, lock, ms};

fn parse(text: &&str) -> Result<i32, Reason> {
    text.parse().map_err(Reason::other)
}

/// A closure that panics on the second of three: out comes the rest, and one dead letter.
#[test]
fn a_panic_in_try_map_is_one_dead_letter() {
    let (queue, log) = (MemoryQueue::new(10), Log::<i32, Infallible>::default());
    Kind::from_iter(["1", "2", "3"])
        .try_map(|text| {
            assert!(*text != "2", "not two");
            parse(text)
        })
        .dead_letter(queue.clone())
        .subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "1 3 |");
    let letters = queue.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].kind, FailureKind::Panic);
}

/// arroyo's `dlq.rs`: good, bad, good, bad.
#[test]
fn good_and_bad_alternate() {
    let (bad, good) = (Log::<&str, Infallible>::default(), Log::<i32, Infallible>::default());
    let failures = Arc::new(Mutex::new(vec![]));
    let seen = failures.clone();
    Kind::from_iter(["1", "x", "2", "y"])
        .try_map(parse)
        .route_failures(observer(move |rejected: Rejected<&str>| lock(&seen).push(rejected.item)))
        .subscribe_with(good.sink(|_| {}));
    assert_eq!(good.text(), "1 2 |");
    assert_eq!(*lock(&failures), ["x", "y"]);
    // A subject as the route gets the end too.
    let route = Kind::subject::<Rejected<&'static str>, Infallible>();
    route.clone().map(|rejected| rejected.item).subscribe_with(bad.sink(|_| {}));
    Kind::from_iter(["x"]).try_map(parse).route_failures(route.into_inner()).subscribe(|_| {});
    assert_eq!(bad.text(), "\"x\" |");
}

/// Refuses all.
struct Down;

impl DeadLetterQueue for Down {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        Err(DeadLetterError { letter: Box::new(letter), cause: QueueError::Full { capacity: 0 } })
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        Ok(())
    }
}

#[test]
fn a_letter_that_cannot_be_stored_is_in_the_error() {
    let (errors, good) = (Arc::new(Mutex::new(vec![])), Log::<i32, Infallible>::default());
    let seen = errors.clone();
    Kind::from_iter(["1", "x", "2"])
        .stream_error()
        .try_map_stage("parse", parse)
        .dead_letter(Down)
        .on_error_route(observer(move |error: StreamError| lock(&seen).push(error)))
        .subscribe_with(good.sink(|_| {}));
    assert_eq!(good.text(), "1 |");
    match lock(&errors).as_slice() {
        [StreamError::DeadLetter(error)] => assert_eq!(error.letter.stage, "parse"),
        other => panic!("{other:?}"),
    }
}

/// Each letter fails as often as it is in `text` (upper case: with a panic), then settles.
fn flaky(text: &'static str) -> impl FnMut(&char) -> Result<char, Reason> {
    let mut attempts = HashMap::<char, usize>::new();
    move |c| {
        let attempt = attempts.entry(*c).or_default();
        *attempt += 1;
        assert!(!text.contains(c.to_ascii_uppercase()), "{c} panics");
        if *attempt <= text.chars().filter(|of| of == c).count() {
            Err(Reason::other(format!("{c} fails")))
        } else {
            Ok(*c)
        }
    }
}

/// Settled as it is, rejected in upper case.
fn letter(result: Result<char, Rejected<char>>) -> char {
    result.unwrap_or_else(|rejected| rejected.item.to_ascii_uppercase())
}

/// `n` times, `delay` apart.
fn again(n: u64, delay: u64) -> Retry<Reason> {
    Retry::times(n).fixed(ms(delay))
}

fn full(n: usize, overflow: Overflow, delay: u64) -> EventRetry {
    EventRetry::new(again(2, delay)).buffer(Buffer::new(n).on_overflow(overflow))
}

marbles! {
    retry_nothing: |s| s.cold("--|").try_map_with_retry(again(3, 1), flaky("")).map(letter), "--|";
    retry_what_does_not_fail: |s| s.cold("a-b|").try_map_with_retry(again(3, 1), flaky("")).map(letter), "a-b|";
    retry_and_be_overtaken: |s| s.cold("a---b-c---|").try_map_with_retry(again(3, 5), flaky("a")).map(letter), "----bac---|";
    retry_twice: |s| s.cold("ab-------|").try_map_with_retry(again(3, 3), flaky("aa")).map(letter), "-b----a--|";
    retry_until_it_gives_up: |s| s.cold("ab-------|").try_map_with_retry(again(2, 3), flaky("aaa")).map(letter), "-b----A--|";
    retry_goes_on_after_the_end: |s| s.cold("a|").try_map_with_retry(again(2, 3), flaky("aa")).map(letter), "------(a|)";
    retry_gives_up_after_the_end: |s| s.cold("ab|").try_map_with_retry(again(1, 3), flaky("aab")).map(letter), "---A(b|)";
    retry_events_exponentially: |s| s.cold("a|").try_map_with_retry(Retry::times(3).exponential(ms(1), ms(3)), flaky("aaa")).map(letter), "------(a|)";
    retry_at_once: |s| s.cold("ab|").try_map_with_retry(Retry::times(3), flaky("aaabbbb")).map(letter), "aB|";
    retry_no_events: |s| s.cold("ab|").try_map_with_retry(Retry::times(0).fixed(ms(3)), flaky("a")).map(letter), "Ab|";
    retry_no_panic: |s| s.cold("ab|").try_map_with_retry(again(3, 3), flaky("A")).map(letter), "Ab|";
    retry_only_when: |s| s.cold("ab|").try_map_with_retry(again(3, 1).when(|reason| reason.message() == "b fails"), flaky("ab")).map(letter), "A-(b|)";
    retry_for_ever: |s| s.cold("ab|").try_map_with_retry(Retry::forever().fixed(Duration::MAX), flaky("a")).map(letter), "-b";
    retry_several_at_a_time: |s| s.cold("(abc)---|").try_map_with_retry(again(3, 2), flaky("abc")).map(letter), "--(abc)-|";
    retry_until_the_source_fails: |s| s.cold("abc#").try_map_with_retry(again(3, 9), flaky("aacc")).map(letter), "-b-(AC#)";
    retry_below_take: |s| s.cold("abc|").try_map_with_retry(again(3, 9), flaky("a")).map(letter).take(2), "-b(c|)";

    retry_ordered: |s| s.cold("a---b-----c|").try_map_with_retry_ordered(again(3, 5), flaky("a")).map(letter), "-----(ab)-c|";
    retry_ordered_nothing: |s| s.cold("--|").try_map_with_retry_ordered(again(3, 5), flaky("a")).map(letter), "--|";
    retry_ordered_without_failure: |s| s.cold("ab-c|").try_map_with_retry_ordered(again(3, 5), flaky("")).map(letter), "ab-c|";
    retry_ordered_gives_up: |s| s.cold("abc|").try_map_with_retry_ordered(again(2, 3), flaky("aaab")).map(letter), "------(Abc|)";
    retry_ordered_two_that_wait: |s| s.cold("abc|").try_map_with_retry_ordered(again(2, 4), flaky("abb")).map(letter), "----a----(bc|)";
    retry_ordered_until_the_source_fails: |s| s.cold("abc#").try_map_with_retry_ordered(again(3, 9), flaky("ac")).map(letter), "---(AbC#)";
    retry_ordered_below_take: |s| s.cold("abc|").try_map_with_retry_ordered(again(3, 4), flaky("a")).map(letter).take(2), "----(ab|)";

    retry_full_rejects: |s| s.cold("abc----|").try_map_with_retry_with(full(1, Overflow::Reject, 4), flaky("ab")).map(letter), "-Bc-a--|";
    retry_full_drops_the_newest: |s| s.cold("abc----|").try_map_with_retry_with(full(1, Overflow::DropNewest, 4), flaky("ab")).map(letter), "--c-a--|";
    retry_full_drops_the_oldest: |s| s.cold("abc----|").try_map_with_retry_with(full(1, Overflow::DropOldest, 4), flaky("ab")).map(letter), "--c--b-|";
    retry_full_fails: |s| s.cold("abc").map_err(std::io::Error::other).stream_error()
        .try_map_with_retry_with(full(1, Overflow::Error, 4), flaky("ab")).map(letter), "-(A#)";
    retry_ordered_full_rejects: |s| s.cold("abcd----|").try_map_with_retry_with(full(2, Overflow::Reject, 6).ordered(), flaky("ab")).map(letter), "--A(Bcd)|";
    retry_ordered_full_drops_the_newest: |s| s.cold("abcd--------|").try_map_with_retry_with(full(2, Overflow::DropNewest, 6).ordered(), flaky("a")).map(letter), "------(ab)--|";
    retry_ordered_full_drops_the_oldest: |s| s.cold("abc-----d|").try_map_with_retry_with(full(2, Overflow::DropOldest, 6).ordered(), flaky("a")).map(letter), "--(bc)--d|";
    retry_ordered_full_fails: |s| s.cold("abcd").map_err(std::io::Error::other).stream_error()
        .try_map_with_retry_with(full(2, Overflow::Error, 6).ordered(), flaky("a")).map(letter), "--(Ab#)";
}

/// All that goes in comes out or is counted.
#[test]
fn what_the_retries_drop_is_counted() {
    for (overflow, ordered) in
        [Overflow::DropOldest, Overflow::DropNewest].into_iter().flat_map(|o| [(o, true), (o, false)])
    {
        let s = Scheduler::new();
        let buffer = Buffer::new(2).on_overflow(overflow);
        let mut retry = EventRetry::new(again(1, 10)).buffer(buffer.clone());
        if ordered {
            retry = retry.ordered();
        }
        let seen = record(s.cold("abcdefgh|").try_map_with_retry_with(retry, flaky("aabccde")).map(letter));
        s.advance_by(ms(100));
        assert!(seen.is_over());
        assert_eq!(seen.items().len() as u64 + buffer.drops().get(), 8, "{overflow:?} {ordered}");
        assert!(buffer.drops().get() > 0, "{overflow:?} {ordered}");
    }
}

#[test]
fn a_rejected_event_says_how_often_it_was_tried() {
    let (s, queue) = (Scheduler::new(), MemoryQueue::new(10));
    let retry = EventRetry::new(again(2, 1)).stage("look up");
    let events = s.cold("ab|").map(|c| c.to_string()).try_map_with_retry_with(retry, |text| {
        assert!(text != "b", "not b");
        Err::<String, _>(Reason::from(std::io::Error::other("refused")))
    });
    let seen = record(events.dead_letter(queue.clone()).map(|_| ' '));
    s.advance_by(ms(10));
    assert_marbles!(seen, "--|");
    let told: Vec<_> = queue
        .letters()
        .iter()
        .map(|l| format!("{} {} {:?} {}", String::from_utf8_lossy(&l.payload), l.stage, l.kind, l.attempts))
        .collect();
    assert_eq!(told, ["b look up Panic 1", "a look up Io 3"]);
}

#[test]
fn jitter_is_random_and_inside_the_cap() {
    let waits = |policy: Retry<Reason>| {
        let s = Scheduler::new();
        let events = s.cold("(abcdefgh)").try_map_with_retry(policy, flaky("abcdefgh"));
        let seen = record(events.map(letter));
        s.advance_by(Duration::from_secs(10_000));
        seen
    };
    let policy = || Retry::times(1).fixed(ms(1000)).jitter_seeded(7);
    let times = |policy| waits(policy).signals().iter().map(|(at, _)| at.as_millis()).collect::<Vec<_>>();
    let (one, same) = (times(policy()), times(policy()));
    assert_eq!(one, same);
    assert!(one.len() == 8 && one.iter().all(|at| *at <= 1000), "{one:?}");
    assert!(one.iter().any(|at| *at < 500) && one.iter().any(|at| *at > 500), "{one:?}");
    let other = || times(Retry::times(1).fixed(ms(1_000_000)).jitter());
    assert_ne!(other(), other());
}

/// After the first rejected one nobody listens: the second is not sent, nor the error.
#[test]
fn unsubscribed_among_those_that_a_failed_source_leaves() {
    let (s, log) = (Scheduler::new(), Log::<char, _>::default());
    let sub = Arc::new(Mutex::new(None::<Sub>));
    let held = sub.clone();
    let events = s.cold("ab#").try_map_with_retry(again(3, 9), flaky("ab")).map(letter);
    let subscribed = events.subscribe_with(
        log.sink(move |_| lock(&held).take().into_iter().for_each(Subscription::unsubscribe)),
    );
    *lock(&sub) = Some(subscribed.into_boxed());
    s.advance_by(ms(20));
    assert_eq!(log.text(), "'A'");
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));
}

/// A policy that never gives up and does not wait holds up neither other events nor the unsubscription.
#[test]
fn retries_without_a_delay_let_others_have_their_turn() {
    let (s, log) = (Scheduler::new(), Log::<char, _>::default());
    let (sub, attempts) = (Arc::new(Mutex::new(None::<Sub>)), Arc::new(AtomicUsize::new(0)));
    let (held, tried) = (sub.clone(), attempts.clone());
    let try_it = move |c: &char| {
        if *c == 'b' {
            return Ok('b');
        }
        if tried.fetch_add(1, Ordering::SeqCst) == 5_000 {
            lock(&held).take().into_iter().for_each(Subscription::unsubscribe);
        }
        Err(Reason::other("never"))
    };
    let events = s.cold("(ab)|").try_map_with_retry(Retry::forever(), try_it).map(letter);
    let subscribed = events.subscribe_with(log.sink(|_| {}));
    *lock(&sub) = Some(subscribed.into_boxed());
    s.advance_by(ms(20));
    assert_eq!(log.text(), "'b'");
    assert!((5_001..5_100).contains(&attempts.load(Ordering::SeqCst)), "{attempts:?}");
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));
}

type Answer = Pin<Box<dyn Future<Output = Result<char, Reason>> + Send>>;

/// `a` takes a millisecond, `b` two, and so on; then as in [`flaky`].
fn ask(s: &Scheduler, text: &'static str) -> impl FnMut(&char) -> Answer + use<> {
    let (s, judge) = (s.clone(), Arc::new(Mutex::new(flaky(text))));
    move |c| {
        assert!(*c != 'z', "z is not even asked");
        let (c, judge) = (*c, judge.clone());
        let answer = s.sleep(ms(u64::from(u32::from(c) - u32::from('a') + 1)));
        Box::pin(async move {
            answer.await;
            (lock(&judge))(&c)
        })
    }
}

fn at_once(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("not 0")
}

marbles! {
    ask_nothing: |s| s.cold("--|").try_map_async_with_retry(at_once(1), again(0, 0), ask(s, "")).map(letter), "--|";
    ask_one: |s| s.cold("b---|").try_map_async_with_retry(at_once(1), again(0, 0), ask(s, "")).map(letter), "--b-|";
    ask_two_at_once: |s| s.cold("d-a----|").try_map_async_with_retry(at_once(2), again(0, 0), ask(s, "")).map(letter), "---ad--|";
    ask_in_order: |s| s.cold("d-a------|").try_map_async_with_retry_ordered(at_once(2), again(0, 0), ask(s, "")).map(letter), "----(da)-|";
    ask_one_at_a_time: |s| s.cold("(ba)----|").try_map_async_with_retry(at_once(1), again(0, 0), ask(s, "")).map(letter), "--ba----|";
    ask_again: |s| s.cold("a-----|").try_map_async_with_retry(at_once(1), again(1, 2), ask(s, "a")).map(letter), "----a-|";
    ask_again_at_once: |s| s.cold("a-----|").try_map_async_with_retry(at_once(1), Retry::times(2), ask(s, "aa")).map(letter), "---a--|";
    ask_others_while_one_waits: |s| s.cold("(ab)-----|").try_map_async_with_retry(at_once(1), again(1, 3), ask(s, "a")).map(letter), "---b-a---|";
    ask_until_it_gives_up: |s| s.cold("a------|").try_map_async_with_retry(at_once(1), again(2, 1), ask(s, "aaa")).map(letter), "-----A-|";
    ask_in_order_again: |s| s.cold("ab---------|").try_map_async_with_retry_ordered(at_once(1), again(1, 3), ask(s, "a")).map(letter), "-----(ab)--|";
    ask_after_the_end: |s| s.cold("a|").try_map_async_with_retry(at_once(1), again(1, 2), ask(s, "a")).map(letter), "----(a|)";
    ask_and_panic: |s| s.cold("ab--|").try_map_async_with_retry(at_once(2), again(1, 1), ask(s, "A")).map(letter), "-A-b|";
    ask_and_panic_at_once: |s| s.cold("az------|").try_map_async_with_retry(at_once(2), again(1, 1), ask(s, "")).map(letter), "-(Za)---|";
    ask_only_when: |s| s.cold("a---|").try_map_async_with_retry(at_once(2), again(1, 1).when(|_| false), ask(s, "a")).map(letter), "-A--|";
    ask_until_the_source_fails: |s| s.cold("(bdf)#").try_map_async_with_retry(at_once(2), again(0, 0), ask(s, "")).map(letter), "--b-d---(f#)";
    ask_what_is_not_begun_when_it_fails: |s| s.cold("(bde)#").try_map_async_with_retry(at_once(1), again(0, 0), ask(s, "")).map(letter), "--b--E(d#)";
    ask_what_waits_when_it_fails: |s| s.cold("(ab)--#").try_map_async_with_retry(at_once(2), again(3, 9), ask(s, "aa")).map(letter), "--b---(A#)";
    ask_not_again_when_it_has_failed: |s| s.cold("(eb)#").try_map_async_with_retry(at_once(2), again(3, 1), ask(s, "e")).map(letter), "--b--(E#)";
    ask_in_order_until_it_fails: |s| s.cold("(bde)#").try_map_async_with_retry_ordered(at_once(1), again(0, 0), ask(s, "")).map(letter), "--b---(dE#)";
    ask_below_take: |s| s.cold("(ab)---|").try_map_async_with_retry(at_once(2), again(0, 0), ask(s, "")).map(letter).take(1), "-(a|)";

    ask_full_rejects: |s| s.cold("(abc)--|").try_map_async_with_retry_with(at_once(1), full(1, Overflow::Reject, 1), ask(s, "")).map(letter), "Ca-b---|";
    ask_full_drops_the_newest: |s| s.cold("(abc)--|").try_map_async_with_retry_with(at_once(1), full(1, Overflow::DropNewest, 1), ask(s, "")).map(letter), "-a-b---|";
    ask_full_drops_the_oldest: |s| s.cold("(abc)--|").try_map_async_with_retry_with(at_once(1), full(1, Overflow::DropOldest, 1), ask(s, "")).map(letter), "-a--c--|";
    ask_full_fails: |s| s.cold("(abc)").map_err(std::io::Error::other).stream_error()
        .try_map_async_with_retry_with(at_once(1), full(1, Overflow::Error, 1), ask(s, "")).map(letter), "#";
    ask_in_order_full_drops_the_oldest: |s| s.cold("(abc)--|").try_map_async_with_retry_with(at_once(1), full(1, Overflow::DropOldest, 1).ordered(), ask(s, "")).map(letter), "-a--c--|";
    ask_in_order_holds_what_has_settled: |s| s.cold("(dabc)---|").try_map_async_with_retry_with(at_once(2), full(1, Overflow::Reject, 1).ordered(), ask(s, "")).map(letter), "C---(dab)|";
}

/// Two results wait for the first, which ends the subscription.
#[test]
fn unsubscribed_while_results_follow_each_other() {
    let (s, log) = (Scheduler::new(), Log::<char, _>::default());
    let sub = Arc::new(Mutex::new(None::<Sub>));
    let held = sub.clone();
    let events =
        s.cold("dba|").try_map_async_with_retry_ordered(at_once(3), again(0, 0), ask(&s, "")).map(letter);
    let sink = log.sink(move |_| lock(&held).take().into_iter().for_each(Subscription::unsubscribe));
    *lock(&sub) = Some(events.subscribe_with(sink).into_boxed());
    s.advance_by(ms(20));
    assert_eq!(log.text(), "'d'");
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));
}

#[test]
fn no_more_than_allowed_are_asked_at_once() {
    let s = Scheduler::new();
    let (live, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let (max, clock) = (most.clone(), s.clone());
    let events = s.cold("(abcdefgh)|").try_map_async_with_retry(at_once(3), again(0, 0), move |c| {
        let (c, live, max, answer) = (*c, live.clone(), max.clone(), clock.sleep(ms(5)));
        async move {
            max.fetch_max(live.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            answer.await;
            live.fetch_sub(1, Ordering::SeqCst);
            Ok(c)
        }
    });
    let seen = record(events.map(letter));
    s.advance_by(ms(100));
    assert_eq!(seen.items().into_iter().collect::<String>(), "abcdefgh");
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn unsubscribed_it_drops_the_futures() {
    let (s, held) = (Scheduler::new(), Arc::new(()));
    let (hold, clock) = (held.clone(), s.clone());
    let events = s.cold("abcd|").try_map_async_with_retry(at_once(2), again(0, 0), move |c| {
        let (c, hold, answer) = (*c, hold.clone(), clock.sleep(ms(50)));
        async move {
            let _hold = hold;
            answer.await;
            Ok(c)
        }
    });
    let mut seen = record(events.map(letter));
    s.advance_by(ms(8));
    assert_eq!(Arc::strong_count(&held), 4); // here, `f`, two futures
    seen.unsubscribe();
    s.run_ready();
    assert!(!seen.is_over() && seen.items().is_empty());
    assert_eq!((Arc::strong_count(&held), s.tasks(), s.sleeps()), (1, 0, 0));
}

#[test]
fn what_the_futures_reject_says_how_often_it_was_tried() {
    let s = Scheduler::new();
    let retry = full(1, Overflow::Reject, 1).stage("ask");
    let told = |r: Result<char, Rejected<char>>| {
        r.map_or_else(|r| format!("{} {} {}", r.item, r.attempts, r.reason), |c| c.to_string())
    };
    let events =
        s.cold("(abc)z|").try_map_async_with_retry_with(at_once(1), retry, ask(&s, "aaab")).map(told);
    let log = Log::<String, _>::default();
    events.subscribe_with(log.sink(|_| {}));
    s.advance_by(ms(50));
    let expected = [
        "c 0 no room left: the capacity is 1 events",
        "z 0 no room left: the capacity is 1 events",
        "b",
        "a 3 a fails",
    ];
    assert_eq!(log.items(), expected);
}

/// Five at once of 100 ms each, and a consumer that takes 1,000 ms for each result.
#[test]
fn what_is_in_flight_goes_on_while_the_consumer_is_busy() {
    let (s, finished) = (Scheduler::new(), Arc::new(Mutex::new(vec![])));
    let (clock, log, consumer) = (s.clone(), finished.clone(), s.clone());
    let results = s.cold("(abcde)|").try_map_async_with_retry(at_once(5), again(0, 0), move |c| {
        let (c, clock, log, work) = (*c, clock.clone(), log.clone(), clock.sleep(ms(100)));
        async move {
            work.await;
            lock(&log).push(clock.now());
            Ok(c)
        }
    });
    let seen = record(results.map(letter).concat_map(move |c| consumer.cold("1s (x|)").map(move |_| c)));
    s.advance_by(ms(10_000));
    assert_eq!(*lock(&finished), [ms(100); 5]);
    seen.assert_marbles("1100ms a 999ms b 999ms c 999ms d 999ms (e|)");
}

/// The last three fail, and the later an item the sooner it is done.
#[test]
fn failures_at_the_end_neither_hold_the_end_nor_change_the_order() {
    for ordered in [true, false] {
        let s = Scheduler::new();
        let (clock, wait) = (s.clone(), Arc::new(AtomicUsize::new(20)));
        let ask = move |&(key, n): &(char, u32)| {
            let time = ms(wait.fetch_sub(2, Ordering::SeqCst) as u64);
            let answer = clock.sleep(time);
            async move {
                answer.await;
                if n < 3 { Ok(format!("{key}{n}")) } else { Err(Reason::other("late")) }
            }
        };
        let items = [('a', 0), ('b', 0), ('a', 1), ('b', 1), ('a', 2), ('b', 3), ('a', 3), ('b', 4)];
        let retry = EventRetry::new(Retry::times(0));
        let retry = if ordered { retry.ordered() } else { retry };
        let dead = Arc::new(Mutex::new(vec![]));
        let letters = dead.clone();
        let done = s.on(Kind::from_iter(items)).try_map_async_with_retry_with(at_once(4), retry, ask);
        let seen = record(done.route_failures(observer(move |rejected: Rejected<(char, u32)>| {
            lock(&letters).push(rejected.item);
        })));
        s.advance_by(ms(1000));
        assert!(seen.is_over());
        let (mut good, mut dead) = (seen.items(), lock(&dead).clone());
        if !ordered {
            good.sort_by_key(|item| item.chars().rev().collect::<String>());
            dead.sort_by_key(|(key, n)| (*n, *key != 'b'));
        }
        assert_eq!(good, ["a0", "b0", "a1", "b1", "a2"]);
        assert_eq!(dead, [('b', 3), ('a', 3), ('b', 4)]);
    }
}
