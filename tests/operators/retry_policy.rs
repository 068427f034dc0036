//! Policies of retries: classification, budgets, circuit breakers, timeouts, keys.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

use rxevents::{
    operator::validate::ByKey,
    prelude::*,
    rx::scheduler::SleepProvider,
    source::SplitMix64,
    testing::{MarbleError, record},
    time::Clock,
};

use super::flavour::{BoxFuture, Kind, Scheduler};
use crate::common::{lock, ms};

/// Each letter fails as often as it is in `text`, then settles.
fn flaky(text: &'static str) -> impl FnMut(&char) -> Result<char, Reason> {
    let mut attempts = HashMap::<char, usize>::new();
    move |c| {
        let attempt = attempts.entry(*c).or_default();
        *attempt += 1;
        match *attempt <= text.chars().filter(|of| of == c).count() {
            true => Err(Reason::other(format!("{c} fails"))),
            false => Ok(*c),
        }
    }
}

/// `a` takes a millisecond, `b` two, and so on; then as in [`flaky`].
fn ask(s: &Scheduler, text: &'static str) -> impl FnMut(&char) -> BoxFuture<Result<char, Reason>> + use<> {
    let (s, judge) = (s.clone(), Arc::new(Mutex::new(flaky(text))));
    move |c| {
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

/// Settled as it is, rejected in upper case.
fn letter(result: Result<char, Rejected<char>>) -> char {
    result.unwrap_or_else(|rejected| rejected.item.to_ascii_uppercase())
}

/// Three retries, 5 ms apart; what `a` fails with has this verdict.
fn judged(verdict: Verdict) -> EventRetry {
    let judge = move |reason: &Reason| match reason.message().starts_with('a') {
        true => verdict,
        false => Verdict::Retry,
    };
    EventRetry::new(Retry::times(3).fixed(ms(5)).classify(judge))
}

fn guarded(while_open: WhileOpen) -> EventRetry {
    let breaker = CircuitBreaker::new(ms(10)).consecutive(2).while_open(while_open);
    EventRetry::new(Retry::times(3).fixed(ms(5))).circuit_breaker(breaker)
}

/// `a` and `b` have one key, `c` and `d` another.
fn pair(c: &char) -> u32 {
    (u32::from(*c) - u32::from('a')) / 2
}

/// One retry after 5 ms.
fn keyed() -> EventRetry<ByKey<fn(&char) -> u32, u32>> {
    EventRetry::new(Retry::times(1).fixed(ms(5))).ordered_by(pair as fn(&char) -> u32)
}

fn room(capacity: usize, overflow: Overflow) -> Buffer {
    Buffer::new(capacity).on_overflow(overflow)
}

marbles! {
    retry_after_what_the_server_says: |s| s.cold("ab-------|").try_map_with_retry_with(judged(Verdict::RetryAfter(ms(4))), flaky("a")).map(letter), "-b--a----|";
    retry_never: |s| s.cold("ab-------|").try_map_with_retry_with(judged(Verdict::DeadLetter), flaky("a")).map(letter), "Ab-------|";
    retry_and_skip: |s| s.cold("abc|").try_map_with_retry_with(judged(Verdict::Skip), flaky("a")).map(letter), "-bc|";
    retry_and_skip_what_is_last: |s| s.cold("ba|").try_map_with_retry_with(judged(Verdict::Skip), flaky("a")).map(letter), "b-|";
    retry_ordered_and_skip: |s| s.cold("bac------|").try_map_with_retry_with(judged(Verdict::Skip).ordered(), flaky("ab")).map(letter), "-----(bc)|";
    retry_ordered_and_skip_the_first: |s| s.cold("abc|").try_map_with_retry_with(judged(Verdict::Skip).ordered(), flaky("a")).map(letter), "-bc|";
    retry_and_fail: |s| s.cold("-abc").map_err(std::io::Error::other).stream_error()
        .try_map_with_retry_with(judged(Verdict::Fail), flaky("a")).map(letter), "-(A#)";
    retry_and_fail_while_others_wait: |s| s.cold("bac").map_err(std::io::Error::other).stream_error()
        .try_map_with_retry_with(judged(Verdict::Fail), flaky("ab")).map(letter), "-(AB#)";
    retry_ordered_and_fail_while_others_wait: |s| s.cold("bac").map_err(std::io::Error::other).stream_error()
        .try_map_with_retry_with(judged(Verdict::Fail).ordered(), flaky("ab")).map(letter), "-(BA#)";
    ask_and_skip: |s| s.cold("(ab)|").try_map_async_with_retry_with(at_once(2), judged(Verdict::Skip), ask(s, "a")).map(letter), "--b-|";
    ask_in_order_and_skip: |s| s.cold("(bac)|").try_map_async_with_retry_with(at_once(3), judged(Verdict::Skip).ordered(), ask(s, "a")).map(letter), "--bc-|";
    ask_and_fail: |s| s.cold("(aec)").map_err(std::io::Error::other).stream_error()
        .try_map_async_with_retry_with(at_once(2), judged(Verdict::Fail), ask(s, "a")).map(letter), "-(AC)(e#)";
    ask_and_fail_while_the_source_goes_on: |s| s.cold("(ae)b--c").map_err(std::io::Error::other).stream_error()
        .try_map_async_with_retry_with(at_once(2), judged(Verdict::Fail), ask(s, "a")).map(letter), "-A--B(e#)";

    retry_not_too_late: |s| s.cold("a---------|").try_map_with_retry(Retry::forever().fixed(ms(3)).max_elapsed(ms(7)), flaky("aaaaaaaa")).map(letter), "------A---|";
    ask_not_too_late: |s| s.cold("a---------|").try_map_async_with_retry(at_once(1), Retry::forever().fixed(ms(2)).max_elapsed(ms(5)), ask(s, "aaaaaaaa")).map(letter), "-------A--|";

    ask_with_a_timeout: |s| s.cold("(da)----------|").try_map_async_with_retry_with(
        at_once(2), EventRetry::new(Retry::times(1).fixed(ms(3))).attempt_timeout(ms(2)), ask(s, "")).map(letter), "-a-----D------|";
    ask_in_time: |s| s.cold("(ab)|").try_map_async_with_retry_with(
        at_once(2), EventRetry::new(Retry::times(1)).attempt_timeout(ms(3)), ask(s, "")).map(letter), "-ab-|";
    ask_one_after_another_with_a_timeout: |s| s.cold("(dab)|").try_map_async_with_retry_with(
        at_once(1), EventRetry::new(Retry::times(0)).attempt_timeout(ms(3)), ask(s, "")).map(letter), "---Da-(b|)";

    hold_while_open: |s| s.cold("abc|").try_map_with_retry_with(guarded(WhileOpen::Hold), flaky("ab")).map(letter), "-----------(cab|)";
    hold_while_open_again: |s| s.cold("abc|").try_map_with_retry_with(guarded(WhileOpen::Hold), flaky("abc")).map(letter), "---------------------(abc|)";
    hold_in_order_while_open: |s| s.cold("abc|").try_map_with_retry_with(guarded(WhileOpen::Hold).ordered(), flaky("ab")).map(letter), "-----------(abc|)";
    hold_no_more_than_there_is_room_for: |s| s.cold("abcd|").try_map_with_retry_with(guarded(WhileOpen::Hold).buffer(room(3, Overflow::Reject)), flaky("ab")).map(letter), "---D-------(cab|)";
    hold_until_the_source_fails: |s| s.cold("abc#").try_map_with_retry_with(guarded(WhileOpen::Hold), flaky("ab")).map(letter), "---(CAB#)";
    reject_while_open: |s| s.cold("abc|").try_map_with_retry_with(guarded(WhileOpen::Reject), flaky("ab")).map(letter), "--C--A(B|)";
    reject_in_order_while_open: |s| s.cold("abc|").try_map_with_retry_with(guarded(WhileOpen::Reject).ordered(), flaky("ab")).map(letter), "-----A(BC|)";
    // a fails at 1, b at 2, which opens it until 12; c had begun before.
    ask_hold_while_open: |s| s.cold("(abc)|").try_map_async_with_retry_with(at_once(2), guarded(WhileOpen::Hold), ask(s, "ab")).map(letter), "----c--------a-(b|)";
    ask_reject_while_open: |s| s.cold("(ab)-c|").try_map_async_with_retry_with(at_once(2), guarded(WhileOpen::Reject), ask(s, "ab")).map(letter), "-----CA(B|)";

    keyed_retry: |s| s.cold("abcd------|").try_map_with_retry_with(keyed(), flaky("a")).map(letter), "--cd-(ab)-|";
    keyed_retry_of_both: |s| s.cold("abcd------------|").try_map_with_retry_with(keyed(), flaky("ab")).map(letter), "--cd-a----b-----|";
    keyed_retry_after_the_end: |s| s.cold("abc|").try_map_with_retry_with(keyed(), flaky("a")).map(letter), "--c--(ab|)";
    keyed_retry_until_the_source_fails: |s| s.cold("abcd#").try_map_with_retry_with(keyed(), flaky("a")).map(letter), "--cd(AB#)";
    keyed_retry_full_rejects: |s| s.cold("abcd------|").try_map_with_retry_with(keyed().buffer(room(1, Overflow::Reject)), flaky("a")).map(letter), "-Bcd-a----|";
    keyed_retry_full_drops_the_newest: |s| s.cold("abcd------|").try_map_with_retry_with(keyed().buffer(room(1, Overflow::DropNewest)), flaky("a")).map(letter), "--cd-a----|";
    keyed_retry_full_drops_the_oldest: |s| s.cold("abcd------|").try_map_with_retry_with(keyed().buffer(room(1, Overflow::DropOldest)), flaky("a")).map(letter), "-bcd------|";
    ask_keyed: |s| s.cold("(bacd)-----|").try_map_async_with_retry_with(at_once(4), keyed(), ask(s, "b")).map(letter), "---c---d-ba|";
    ask_keyed_until_the_source_fails: |s| s.cold("(bac)#").try_map_async_with_retry_with(at_once(4), keyed(), ask(s, "b")).map(letter), "---c-(BA#)";

    retry_stream_within_a_budget: |s| s.cold("-1#").retry_with(Retry::forever().budget(RetryBudget::new(0.0, 1, Duration::from_secs(2)))), "-1-1-1#";
    retry_stream_not_too_late: |s| s.cold("1#").retry_with(Retry::forever().fixed(ms(3)).max_elapsed(ms(7))), "1---1---1#";
    retry_stream_when_the_server_says: |s| s.cold("1#").retry_with(Retry::times(1).fixed(ms(1)).classify(|_: &MarbleError| Verdict::RetryAfter(ms(4)))), "1----1#";
}

/// What was tried, and when.
type Tries = Arc<Mutex<Vec<(u64, char)>>>;

fn noting<F>(s: &Scheduler, tries: &Tries, mut f: F) -> impl FnMut(&char) -> Result<char, Reason> + use<F>
where
    F: FnMut(&char) -> Result<char, Reason>,
{
    let (s, tries) = (s.clone(), tries.clone());
    move |c| {
        lock(&tries).push((s.now().as_millis() as u64, *c));
        f(c)
    }
}

#[test]
fn what_is_skipped_is_counted() {
    let (s, retry) = (Scheduler::new(), judged(Verdict::Skip));
    let skipped = retry.skipped();
    let seen = record(s.cold("abab|").try_map_with_retry_with(retry, flaky("aa")).map(letter));
    s.advance_by(ms(100));
    assert_eq!((seen.items().len() as u64, skipped.get()), (2, 2));
}

#[test]
fn what_another_attempt_cannot_mend_is_not_tried_again() {
    let s = Scheduler::new();
    let reasons = |c: &char| match c {
        'd' => Reason::decode("no JSON"),
        'v' => Reason::violation("amount", "range", "too large"),
        'l' => Reason::TooLong { limit: 1, length: 2 },
        'i' => std::io::Error::other("refused").into(),
        _ => Reason::other("down"),
    };
    let events = s.cold("dvlio|").try_map_with_retry(Retry::times(3), move |c| Err::<(), _>(reasons(c)));
    let seen = record(events.map(|failed| failed.map_or_else(|r| (r.item, r.attempts), |()| (' ', 0))));
    s.advance_by(ms(100));
    assert_eq!(seen.items(), [('d', 1), ('v', 1), ('l', 1), ('i', 4), ('o', 4)]);
}

/// Redpanda Connect: the count of retries was reset by the success of another event.
#[test]
fn each_bad_event_has_attempts_of_its_own() {
    let (s, tries) = (Scheduler::new(), Tries::default());
    let bad = noting(&s, &tries, |c| if "bd".contains(*c) { Err(Reason::other("bad")) } else { Ok(*c) });
    let policy = Retry::times(2).fixed(ms(3));
    let attempts = |r: Result<char, Rejected<char>>| r.map_or_else(|r| (r.item, r.attempts), |c| (c, 1));
    let seen = record(s.cold("abcd|").try_map_with_retry(policy, bad).map(attempts));
    s.advance_by(ms(100));
    assert_eq!(seen.items(), [('a', 1), ('c', 1), ('b', 3), ('d', 3)]);
    let of = |c| lock(&tries).iter().filter(|(_, of)| *of == c).map(|(at, _)| *at).collect::<Vec<_>>();
    assert_eq!((of('b'), of('d')), (vec![1, 4, 7], vec![3, 6, 9]));
}

/// NATS: naked NAKs burnt all attempts in milliseconds, and the last one was never told.
#[test]
fn attempts_are_spaced_and_the_last_one_is_one_dead_letter() {
    let (s, tries, queue) = (Scheduler::new(), Tries::default(), MemoryQueue::new(10));
    let down = noting(&s, &tries, |c| Err(Reason::other(format!("no answer for {c}"))));
    let policy = Retry::times(3).exponential(ms(100), ms(300));
    let events = s.cold("a|").map(|c| c.to_string()).try_map_with_retry(policy, {
        let mut down = down;
        move |text: &String| down(&text.chars().next().unwrap_or_default())
    });
    let seen = record(events.dead_letter(queue.clone()));
    let began = s.utc();
    s.advance_by(ms(10_000));
    assert!(seen.is_over() && seen.items().is_empty());
    assert_eq!(*lock(&tries), [(0, 'a'), (100, 'a'), (300, 'a'), (600, 'a')]);
    let letters = queue.letters();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.attempts, letter.delayed_ms), (4, 600));
    let after = |at: chrono::DateTime<chrono::Utc>| (at - began).num_milliseconds();
    assert_eq!((after(letter.first_failed_at), after(letter.failed_at)), (0, 600));
    let history: Vec<_> =
        letter.history.iter().map(|one| (after(one.at), one.kind, &one.message[..])).collect();
    let told = "no answer for a";
    assert_eq!(history, [0, 100, 300, 600].map(|at| (at, FailureKind::Other, told)));
}

#[test]
fn the_history_is_bounded() {
    let (s, queue) = (Scheduler::new(), MemoryQueue::new(10));
    let long = "x".repeat(10_000);
    let events = s
        .cold("a|")
        .map(|c| c.to_string())
        .try_map_with_retry(Retry::times(99), move |_| Err::<(), _>(Reason::other(long.clone())));
    let seen = record(events.dead_letter(queue.clone()));
    s.advance_by(ms(10));
    assert!(seen.is_over());
    let letters = queue.letters();
    assert_eq!((letters[0].attempts, letters[0].history.len()), (100, 8));
    assert!(letters[0].history.iter().all(|one| one.message.len() <= 256));
}

/// Twenty fail at a time: the stage may try ten of them again, whichever.
#[test]
fn the_retries_of_a_stage_share_a_budget() {
    for asynchronous in [false, true] {
        let s = Scheduler::new();
        let budget = RetryBudget::new(0.0, 1, Duration::from_secs(10));
        let policy = Retry::times(3).fixed(ms(10)).budget(budget.clone());
        let events = s.on(Kind::from_iter(0..20));
        let tried = Arc::new(Mutex::new(0));
        let count = tried.clone();
        let fail = move |_: &i32| {
            *lock(&count) += 1;
            Err::<i32, _>(Reason::other("down"))
        };
        let told = |r: Result<i32, Rejected<i32>>| r.map_or_else(|r| r.attempts, |_| 0);
        let seen = if asynchronous {
            let ask = move |n: &i32| std::future::ready(fail(n));
            record(events.try_map_async_with_retry(at_once(20), policy, ask).map(told))
        } else {
            record(events.try_map_with_retry(policy, fail).map(told))
        };
        s.advance_by(ms(5_000));
        let mut attempts = seen.items();
        attempts.sort_unstable();
        assert_eq!(attempts.len(), 20, "asynchronous: {asynchronous}");
        assert_eq!((attempts.iter().sum::<u32>(), *lock(&tried)), (30, 30));
        assert_eq!((attempts[0], budget.granted(), budget.refused()), (1, 10, 20));
    }
}

#[test]
fn events_fill_the_budget() {
    let s = Scheduler::new();
    let budget = RetryBudget::new(0.5, 0, Duration::from_secs(10));
    let policy = Retry::times(1).fixed(ms(10)).budget(budget.clone());
    let bad = |n: &i32| if *n >= 8 { Err(Reason::other("down")) } else { Ok(*n) };
    let seen = record(s.on(Kind::from_iter(0..20)).try_map_with_retry(policy, bad).map(|r| r.is_ok()));
    s.advance_by(ms(5_000));
    // At the ninth there are four, and one more for every two; at last there are two still.
    assert_eq!((seen.items().len(), budget.granted(), budget.refused()), (20, 10, 2));
}

#[test]
fn no_attempt_is_made_while_the_circuit_breaker_is_open() {
    let (s, tries) = (Scheduler::new(), Tries::default());
    let breaker = CircuitBreaker::new(ms(100)).consecutive(3).half_open(2);
    let retry = EventRetry::new(Retry::forever().fixed(ms(10))).circuit_breaker(breaker.clone());
    let until = s.clone();
    let down = move |c: &char| if until.now() < ms(150) { Err(Reason::other("down")) } else { Ok(*c) };
    let seen = record(s.cold("abcdef|").try_map_with_retry_with(retry, noting(&s, &tries, down)).map(letter));
    s.advance_by(ms(1000));
    // Three fail; at 102 one tries and fails; at 202 two try, then all.
    let times: Vec<_> = lock(&tries).iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 1, 2, 102, 202, 202, 202, 202, 202, 202]);
    assert_eq!((breaker.opened(), breaker.is_open()), (2, false));
    let mut all = seen.items();
    all.sort_unstable();
    assert_eq!(all, ['a', 'b', 'c', 'd', 'e', 'f']);
}

#[test]
fn one_circuit_breaker_for_several_stages() {
    let (s, tries) = (Scheduler::new(), Tries::default());
    let breaker = CircuitBreaker::new(ms(100)).consecutive(1).while_open(WhileOpen::Reject);
    let retry = || EventRetry::new(Retry::times(0)).circuit_breaker(breaker.clone());
    let one = record(s.cold("a|").try_map_with_retry_with(retry(), flaky("a")).map(letter));
    let other =
        record(s.cold("-b|").try_map_with_retry_with(retry(), noting(&s, &tries, flaky(""))).map(|result| {
            result.map_or_else(|r| (r.attempts, r.reason.kind()), |_| (9, FailureKind::Other))
        }));
    s.advance_by(ms(10));
    assert_eq!(one.items(), ['A']);
    assert_eq!(other.items(), [(0, FailureKind::CircuitOpen)]);
    assert!(lock(&tries).is_empty());
}

#[test]
fn a_malformed_event_says_nothing_of_the_server() {
    let s = Scheduler::new();
    let breaker = CircuitBreaker::new(ms(100)).consecutive(1);
    let retry = EventRetry::new(Retry::times(3)).circuit_breaker(breaker.clone());
    let bad = |c: &char| {
        assert!(*c != 'p', "p panics");
        Err::<(), _>(Reason::decode("no JSON"))
    };
    let seen = record(s.cold("apa|").try_map_with_retry_with(retry, bad).map(|r| r.is_ok()));
    s.advance_by(ms(10));
    assert_eq!((seen.items(), breaker.opened()), (vec![false; 3], 0));
}

/// While one waits, those behind it of its key are not tried.
#[test]
fn later_events_of_a_key_wait_for_their_turn() {
    for asynchronous in [false, true] {
        let (s, tries) = (Scheduler::new(), Tries::default());
        let mut f = noting(&s, &tries, flaky("a"));
        let events = s.cold("abcd|");
        let seen = if asynchronous {
            let ask = move |c: &char| std::future::ready(f(c));
            record(events.try_map_async_with_retry_with(at_once(4), keyed(), ask).map(letter))
        } else {
            record(events.try_map_with_retry_with(keyed(), f).map(letter))
        };
        s.advance_by(ms(100));
        assert_eq!(*lock(&tries), [(0, 'a'), (2, 'c'), (3, 'd'), (5, 'a'), (5, 'b')], "{asynchronous}");
        assert_eq!(seen.items(), ['c', 'd', 'a', 'b']);
    }
}

/// Whatever fails, each key's results are in the order of its events, and all come out.
#[test]
fn the_order_of_each_key_is_kept() {
    for asynchronous in [false, true] {
        let s = Scheduler::new();
        let items: Vec<(u32, u32)> = (0..400).map(|n| (n * 7 % 13, n)).collect();
        let mut failed = HashMap::<u32, u32>::new();
        let mut f = move |&(key, n): &(u32, u32)| {
            let times = failed.entry(n).or_default();
            *times += 1;
            if *times <= n * 2_654_435_761 % 4 { Err(Reason::other("busy")) } else { Ok((key, n)) }
        };
        let retry = EventRetry::new(Retry::times(2).exponential(ms(3), ms(50)).jitter_seeded(5))
            .ordered_by(|(key, _): &(u32, u32)| *key);
        let events = s.on(Kind::from_iter(items));
        let item = |r: Result<(u32, u32), Rejected<(u32, u32)>>| r.unwrap_or_else(|r| r.item);
        let seen = if asynchronous {
            let ask = move |item: &(u32, u32)| std::future::ready(f(item));
            record(events.try_map_async_with_retry_with(at_once(5), retry, ask).map(item))
        } else {
            record(events.try_map_with_retry_with(retry, f).map(item))
        };
        s.advance_by(Duration::from_secs(100));
        assert!(seen.is_over());
        let mut last = HashMap::new();
        for (key, n) in seen.items() {
            assert!(last.insert(key, n).is_none_or(|before| before < n), "{key}: {n} {asynchronous}");
        }
        assert_eq!(seen.items().len(), 400);
    }
}

#[test]
fn the_future_of_an_attempt_that_takes_too_long_is_dropped() {
    let (s, held) = (Scheduler::new(), Arc::new(()));
    let (hold, clock) = (held.clone(), s.clone());
    let retry = EventRetry::new(Retry::times(1).fixed(ms(5))).attempt_timeout(ms(10));
    let events = s.cold("a|").try_map_async_with_retry_with(at_once(1), retry, move |c| {
        let (c, hold, answer) = (*c, hold.clone(), clock.sleep(ms(50)));
        async move {
            let _hold = hold;
            answer.await;
            Ok(c)
        }
    });
    let seen =
        record(events.map(|r| r.map_or_else(|r| format!("{} {}", r.attempts, r.reason), String::from)));
    s.advance_by(ms(9));
    assert_eq!(Arc::strong_count(&held), 3); // here, `f`, the future
    s.advance_by(ms(1));
    assert_eq!(Arc::strong_count(&held), 2);
    s.advance_by(ms(100));
    assert_eq!(seen.items(), ["2 no result within 10ms"]);
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));
}

/// arroyo: the buffer for late failures was unbounded, or trimmed, so that their bytes were gone.
#[test]
fn whatever_fails_late_still_has_its_bytes_and_the_buffer_its_bound() {
    let (s, queue) = (Scheduler::new(), MemoryQueue::new(1000));
    let buffer = Buffer::new(8).on_overflow(Overflow::Reject);
    let retry = EventRetry::new(Retry::times(2).fixed(ms(10))).buffer(buffer);
    let lines: Vec<String> = (0..100).map(|n| format!("line {n} \u{fffd}")).collect();
    let expected = lines.clone();
    let events = s.on(Kind::from_iter(lines));
    let dead = events
        .try_map_async_with_retry_with(at_once(4), retry, |_: &String| {
            std::future::ready(Err::<(), _>(Reason::other("down")))
        })
        .dead_letter(queue.clone());
    let seen = record(dead);
    s.advance_by(ms(1000));
    assert!(seen.is_over());
    let mut payloads: Vec<_> = queue.letters().into_iter().map(|letter| letter.payload).collect();
    payloads.sort_unstable();
    let mut expected: Vec<_> = expected.into_iter().map(String::into_bytes).collect();
    expected.sort_unstable();
    assert_eq!(payloads, expected);
}

/// Fails as `seed` says, for each event and attempt another.
fn whims(seed: u64) -> impl FnMut(&u64) -> Result<u64, Reason> {
    let mut attempts = HashMap::<u64, u64>::new();
    move |n| {
        let attempt = attempts.entry(*n).or_default();
        *attempt += 1;
        match SplitMix64::new(seed ^ (*n << 8) ^ *attempt).next_u64() % 8 {
            0..3 => Ok(*n),
            3 => Err(Reason::other("skip")),
            4 => Err(Reason::other("wait")),
            _ => Err(Reason::other("down")),
        }
    }
}

/// Whatever the policies, each event comes out once, or is skipped or dropped and counted; and in its order.
#[test]
fn every_event_is_accounted_for() {
    for seed in 0..400 {
        let mut random = SplitMix64::new(seed);
        let mut below = |n: u64| random.next_u64() % n;
        let s = Scheduler::new();
        let marbles: String = (0..60).map(|_| if below(3) == 0 { '-' } else { 'x' }).collect();
        let sent = marbles.matches('x').count() as u64;
        let marbles = marbles + if below(2) == 0 { "|" } else { "#" };
        let mut count = 0;
        let events = s.cold(&marbles).map(move |_| {
            count += 1;
            count
        });

        let delay = ms(below(12));
        let mut policy = Retry::times(below(4)).exponential(delay, 4 * delay).classify(|reason: &Reason| {
            match reason.message().as_str() {
                "skip" => Verdict::Skip,
                "wait" => Verdict::RetryAfter(ms(7)),
                _ => Verdict::Retry,
            }
        });
        if below(3) == 0 {
            policy = policy.budget(RetryBudget::new(0.1, 200, ms(100)));
        }
        if below(3) == 0 {
            policy = policy.jitter_with(Jitter::Decorrelated).seed(seed);
        }
        let overflow = [Overflow::DropOldest, Overflow::DropNewest, Overflow::Reject, Overflow::Latest];
        let overflow = overflow[below(4) as usize];
        let buffer = room(1 + below(8) as usize, overflow);
        let mut retry = EventRetry::new(policy).buffer(buffer.clone());
        if below(2) == 0 {
            let while_open = if below(2) == 0 { WhileOpen::Hold } else { WhileOpen::Reject };
            let breaker =
                CircuitBreaker::new(ms(1 + below(20))).consecutive(3).half_open(1 + below(3) as u32);
            retry = retry.circuit_breaker(breaker.while_open(while_open));
        }
        if below(2) == 0 {
            retry = retry.attempt_timeout(ms(4));
        }
        let (asynchronous, order, skipped) = (below(2) == 0, below(3), retry.skipped());

        let mut f = whims(seed);
        let clock = s.clone();
        let mut ask = move |n: &u64| {
            let (answer, result) = (clock.sleep(ms(*n * 5 % 7)), f(n));
            async move {
                answer.await;
                result
            }
        };
        // What overflows is rejected out of its turn.
        let told = |r: Result<u64, Rejected<u64>>| {
            r.map_or_else(|r| (r.item, r.reason.kind() != FailureKind::Overflow), |n| (n, true))
        };
        let by_three = (|n: &u64| n % 3) as fn(&u64) -> u64;
        let three = at_once(3);
        let seen = match (asynchronous, order) {
            (true, 0) => {
                record(events.try_map_async_with_retry_with(three, retry, move |n| ask(n)).map(told))
            }
            (true, 1) => {
                let retry = retry.ordered();
                record(events.try_map_async_with_retry_with(three, retry, move |n| ask(n)).map(told))
            }
            (true, _) => {
                let retry = retry.ordered_by(by_three);
                record(events.try_map_async_with_retry_with(three, retry, move |n| ask(n)).map(told))
            }
            (false, 0) => record(events.try_map_with_retry_with(retry, whims(seed)).map(told)),
            (false, 1) => record(events.try_map_with_retry_with(retry.ordered(), whims(seed)).map(told)),
            (false, _) => {
                record(events.try_map_with_retry_with(retry.ordered_by(by_three), whims(seed)).map(told))
            }
        };
        s.advance_by(Duration::from_secs(100));
        let how = format!("seed {seed}: {marbles} {asynchronous} {order} {overflow:?}");
        assert!(seen.is_over(), "{how}");
        assert_eq!((s.tasks(), s.sleeps()), (0, 0), "{how}");
        let mut items = seen.items();
        let count = items.len() as u64 + skipped.get() + buffer.drops().get();
        assert_eq!(count, sent, "{how}: {items:?}");
        let in_turn: Vec<_> = items.iter().filter(|(_, in_turn)| *in_turn).map(|(n, _)| *n).collect();
        match order {
            0 => {}
            1 => assert!(in_turn.is_sorted(), "{how}: {in_turn:?}"),
            _ => {
                for key in 0..3 {
                    assert!(in_turn.iter().filter(|n| *n % 3 == key).is_sorted(), "{how}: {in_turn:?}");
                }
            }
        }
        items.sort_unstable();
        items.dedup_by_key(|(n, _)| *n);
        assert_eq!(items.len() as u64 + skipped.get() + buffer.drops().get(), sent, "{how}: twice");
    }
}
