use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rxevents::{assert_marbles, prelude::*, rx::subscription::IntoBoxedSubscription, testing::record};

use super::flavour::{Kind, Scheduler, Sub};
use crate::common::{lock, ms};

fn buffer(overflow: Overflow) -> Buffer {
    Buffer::new(2).on_overflow(overflow)
}

marbles! {
    timeout: |s| s.cold("--a-b-------c|").map_err(StreamError::source).timeout(ms(4)), "--a-b---#";
    timeout_of_the_first: |s| s.cold("-----a").map_err(StreamError::source).timeout(ms(4)), "----#";
    timeout_at_the_very_moment: |s| s.cold("----a---b|").map_err(StreamError::source).timeout(ms(4)), "----a---b|";
    timeout_of_nothing: |s| s.cold("--|").map_err(StreamError::source).timeout(ms(4)), "--|";
    timeout_of_the_end: |s| s.cold("a-----|").map_err(StreamError::source).timeout(ms(4)), "a---#";
    timeout_of_an_error: |s| s.cold("a--#").timeout(ms(4)), "a--#";
    timeout_of_none: |s| s.cold("a-").map_err(StreamError::source).timeout(Duration::MAX), "a";
    timeout_at_once: |s| s.cold("-a|").map_err(StreamError::source).timeout(ms(0)), "#";
    timeout_without_an_error_type: |s| s.cold("-a------b").timeout(ms(3)), "-a";
    timeout_below_take: |s| s.cold("-a------b").map_err(StreamError::source).timeout(ms(3)).take(1), "-(a|)";

    timeout_first: |s| s.cold("--a-------b|").map_err(StreamError::source).timeout_first(ms(4)), "--a-------b|";
    timeout_first_too_late: |s| s.cold("-----a|").map_err(StreamError::source).timeout_first(ms(4)), "----#";
    timeout_first_of_nothing: |s| s.cold("--|").map_err(StreamError::source).timeout_first(ms(4)), "--|";

    timeout_with: |s| { let other = s.cold("1-2|"); s.cold("--a---------b|").timeout_with(ms(4), other) }, "--a---1-2|";
    timeout_with_a_slow_one: |s| { let other = s.cold("---------1|"); s.cold("-").timeout_with(ms(4), other) }, "-------------1|";
    timeout_with_an_error: |s| { let other = s.cold("1#"); s.cold("a").timeout_with(ms(4), other) }, "a---1#";
    timeout_with_in_time: |s| { let other = s.cold("1"); s.cold("-a-|").timeout_with(ms(4), other) }, "-a-|";
    timeout_with_an_error_in_time: |s| { let other = s.cold("1"); s.cold("-a-#").timeout_with(ms(4), other) }, "-a-#";
    timeout_with_nothing: |s| { let other = s.cold("|"); s.cold("-").timeout_with(ms(4), other) }, "----|";

    delay_each: |s| { let t = s.clone(); s.cold("a-b---|").delay_each(move |v| t.cold(if *v == 'a' { "----x" } else { "-x" })) }, "---ba-|";
    delay_each_by_the_completion: |s| { let t = s.clone(); s.cold("ab|").delay_each(move |_| t.cold("--|")) }, "--a(b|)";
    delay_each_nothing: |s| { let t = s.clone(); s.cold("--|").delay_each(move |_| t.cold("-x")) }, "--|";
    delay_each_never: |s| { let t = s.clone(); s.cold("a|").delay_each(move |_| t.cold("-")) }, "";
    delay_each_an_error: |s| { let t = s.clone(); s.cold("a-#").delay_each(move |_| t.cold("-----x")) }, "--#";
    delay_each_a_failing_one: |s| { let t = s.clone(); s.cold("a-b").delay_each(move |_| t.cold("-#")) }, "-#";
    delay_each_below_take: |s| { let t = s.clone(); s.cold("abc").delay_each(move |_| t.cold("--x")).take(1) }, "--(a|)";
    delay_subscription: |s| s.cold("a-b-|").delay_subscription(ms(3)), "---a-b-|";
    delay_subscription_of_what_goes_on: |s| s.hot("abcd|").delay_subscription(ms(2)), "---d|";
    delay_subscription_nothing: |s| s.cold("|").delay_subscription(ms(2)), "--|";
    delay_subscription_an_error: |s| s.cold("#").delay_subscription(ms(2)), "--#";
    delay_subscription_for_ever: |s| s.cold("a|").delay_subscription(Duration::MAX), "";
    delay_subscription_below_take: |s| s.cold("abc").delay_subscription(ms(2)).take(2), "--a(b|)";
    subscribe_on: |s| s.cold("a-b|").subscribe_on(s.clone()), "a-b|";
    subscribe_on_an_error: |s| s.cold("a#").subscribe_on(s.clone()), "a#";
    subscribe_on_repeated: |s| s.cold("a-|").subscribe_on(s.clone()).repeat(2), "a-a-|";

    delay: |s| s.cold("--1--2-|").delay(ms(3)), "-----1--2-|";
    delay_nothing: |s| s.cold("--|").delay(ms(3)), "-----|";
    delay_none: |s| s.cold("(ab)-|").delay(Duration::ZERO), "(ab)-|";
    delay_fails_with_items_waiting: |s| s.cold("ab#").delay(ms(5)), "--#";
    delay_below_take: |s| s.cold("abcd").delay(ms(2)).take(2), "--a(b|)";
    delay_overflows: |s| s.cold("-abc").map_err(StreamError::source).delay_with_buffer(ms(9), buffer(Overflow::Error)), "---#";
    delay_cannot_block: |s| s.cold("-abc").map_err(StreamError::source).delay_with_buffer(ms(9), buffer(Overflow::Block)), "---#";
    delay_holds_all: |s| s.cold("abc|").delay_with_buffer(ms(9), Buffer::new(usize::MAX)), "---------abc|";
    delay_drops_the_oldest: |s| s.cold("abc|").delay_with_buffer(ms(9), buffer(Overflow::DropOldest)), "----------bc|";
    delay_drops_the_newest: |s| s.cold("abc|").delay_with_buffer(ms(9), buffer(Overflow::DropNewest)), "---------ab-|";

    observe_on: |s| s.cold("-a(bc)-|").observe_on(s.clone()), "-a(bc)-|";
    observe_on_nothing: |s| s.cold("--|").observe_on(s.clone()), "--|";
    observe_on_an_error_after_the_items: |s| s.cold("a(bc#)").observe_on(s.clone()), "a(bc#)";
    observe_on_below_take: |s| s.cold("abc-d").observe_on(s.clone()).take(2), "a(b|)";
    observe_on_overflows: |s| s.cold("-(abc)").map_err(StreamError::source).observe_on_with(s.clone(), buffer(Overflow::Error)), "-(ab#)";
    observe_on_drops_the_oldest: |s| s.cold("(abc|)").observe_on_with(s.clone(), buffer(Overflow::DropOldest)), "(bc|)";
    backpressure: |s| s.cold("-a(bc)-|").on_backpressure_buffer(2, Overflow::Error), "-a(bc)-|";
    backpressure_of_nothing: |s| s.cold("--|").on_backpressure_buffer(2, Overflow::Error), "--|";
    backpressure_an_error_after_the_items: |s| s.cold("a(bc#)").on_backpressure_buffer(2, Overflow::Error), "a(bc#)";
    backpressure_below_take: |s| s.cold("abc-d").on_backpressure_buffer(2, Overflow::Error).take(2), "a(b|)";
    backpressure_fails: |s| s.cold("-(abc)").map_err(StreamError::source).on_backpressure_buffer(2, Overflow::Error), "-(ab#)";
    backpressure_drops_the_oldest: |s| s.cold("(abcde|)").on_backpressure_buffer(2, Overflow::DropOldest), "(de|)";
    backpressure_drops_the_newest: |s| s.cold("(abcde|)").on_backpressure_buffer(2, Overflow::DropNewest), "(ab|)";
    backpressure_cannot_block: |s| s.cold("-(abc)").map_err(StreamError::source).on_backpressure_buffer(2, Overflow::Block), "-(ab#)";
    backpressure_cannot_reject: |s| s.cold("-(abc)").map_err(StreamError::source).on_backpressure_buffer(2, Overflow::Reject), "-(ab#)";
    backpressure_of_none_is_of_one: |s| s.cold("(abc|)").on_backpressure_buffer(0, Overflow::DropOldest), "(c|)";

    observe_on_keeps_the_latest: |s| s.cold("(abcde|)").observe_on_with(s.clone(), buffer(Overflow::Latest)), "(e|)";
    delay_keeps_the_latest: |s| s.cold("abcd|").delay_with_buffer(ms(9), buffer(Overflow::Latest)), "-----------cd|";
    backpressure_keeps_the_latest: |s| s.cold("(abcd|)").on_backpressure_buffer(2, Overflow::Latest), "(cd|)";

    backpressure_drop: |s| s.cold("a-b-(cde)-|").on_backpressure_drop(|_| {}), "a-b-c-----|";
    backpressure_drop_of_nothing: |s| s.cold("--|").on_backpressure_drop(|_| {}), "--|";
    backpressure_drop_an_error_after_the_item: |s| s.cold("a(bc#)").on_backpressure_drop(|_| {}), "a(b#)";
    backpressure_drop_below_take: |s| s.cold("abc-d").on_backpressure_drop(|_| {}).take(2), "a(b|)";
    backpressure_latest: |s| s.cold("a-b-(cde)-|").on_backpressure_latest(), "a-b-e-----|";
    backpressure_latest_of_nothing: |s| s.cold("--|").on_backpressure_latest(), "--|";
    backpressure_latest_an_error_after_the_item: |s| s.cold("a(bc#)").on_backpressure_latest(), "a(c#)";
    backpressure_latest_below_take: |s| s.cold("abc-d").on_backpressure_latest().take(2), "a(b|)";
    expired: |s| { let slow = s.clone(); s.cold("(abc|)").on_backpressure_timeout(ms(7), Buffer::new(9), |_| {}).tap(move |_| slow.stall(ms(5))) }, "-----a----(b|)";
    expired_at_the_very_moment: |s| { let slow = s.clone(); s.cold("(abc|)").on_backpressure_timeout(ms(5), Buffer::new(9), |_| {}).tap(move |_| slow.stall(ms(5))) }, "-----a----(b|)";
    expired_none: |s| s.cold("a-(bc)|").on_backpressure_timeout(ms(1), Buffer::new(9), |_| {}), "a-(bc)|";
    expired_or_full: |s| s.cold("(abcd|)").on_backpressure_timeout(ms(9), buffer(Overflow::DropNewest), |_| {}), "(ab|)";
    expired_fails: |s| s.cold("(abcd)").map_err(StreamError::source).on_backpressure_timeout(ms(9), buffer(Overflow::Error), |_| {}), "(ab#)";
    expired_below_take: |s| s.cold("abc-d").on_backpressure_timeout(ms(9), Buffer::new(2), |_| {}).take(2), "a(b|)";

    hand_off: |s| s.cold("-a(bc)-|").hand_off_on(s.clone(), buffer(Overflow::Error)), "-a(bc)-|";
    hand_off_nothing: |s| s.cold("--|").hand_off_on(s.clone(), buffer(Overflow::Error)), "--|";
    hand_off_an_error_after_the_items: |s| s.cold("a(bc#)").hand_off_on(s.clone(), buffer(Overflow::Error)), "a(bc#)";
    hand_off_below_take: |s| s.cold("abc-d").hand_off_on(s.clone(), buffer(Overflow::Error)).take(2), "a(b|)";
    hand_off_fails: |s| s.cold("-(abc)").map_err(StreamError::source).hand_off_on(s.clone(), buffer(Overflow::Error)), "-(ab#)";
    hand_off_drops_the_oldest: |s| s.cold("(abcde|)").hand_off_on(s.clone(), buffer(Overflow::DropOldest)), "(de|)";
    hand_off_drops_the_newest: |s| s.cold("(abcde|)").hand_off_on(s.clone(), buffer(Overflow::DropNewest)), "(ab|)";
    hand_off_keeps_the_latest: |s| s.cold("(abcde|)").hand_off_on(s.clone(), buffer(Overflow::Latest)), "(e|)";
    hand_off_cannot_block: |s| s.cold("-(abc)").map_err(StreamError::source).hand_off_on(s.clone(), buffer(Overflow::Block)), "-(ab#)";
    hand_off_cannot_reject: |s| s.cold("-(abc)").map_err(StreamError::source).hand_off_on(s.clone(), buffer(Overflow::Reject)), "-(ab#)";

    observe_on_drops_the_newest: |s| s.cold("(abc|)").observe_on_with(s.clone(), buffer(Overflow::DropNewest)), "(ab|)";
}

#[test]
fn what_is_dropped_is_counted() {
    let s = Scheduler::new();
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        let (delayed, observed) = (buffer(overflow), buffer(overflow));
        let drops = (delayed.drops(), observed.drops());
        let seen = record(s.cold("(abcde|)").delay_with_buffer(ms(9), delayed));
        let other = record(s.cold("(abcde|)").observe_on_with(s.clone(), observed));
        s.advance_by(ms(100));
        assert_eq!((seen.items().len(), other.items().len()), (2, 2), "{overflow:?}");
        assert_eq!((drops.0.get(), drops.1.get()), (3, 3), "{overflow:?}");
    }
}

/// The consumer takes 10 ms for an item, the source 1 ms: at most two wait, besides the one that is delivered.
#[test]
fn a_slow_consumer_sees_what_the_policy_keeps() {
    for (overflow, expected) in [(Overflow::DropOldest, "ajkwx"), (Overflow::DropNewest, "abclm")] {
        let s = Scheduler::new();
        let limit = buffer(overflow);
        let drops = limit.drops();
        let lost = Arc::new(Mutex::new(vec![]));
        let (log, slow) = (lost.clone(), s.clone());
        let source = s.cold("abcdefghijklmnopqrstuvwx|");
        let hold = move |item| log.lock().unwrap().push(item);
        let seen = record(source.on_backpressure_buffer_with(limit, hold).tap(move |_| slow.stall(ms(10))));
        s.advance_by(ms(1000));
        let (items, lost) = (seen.items(), lost.lock().unwrap().clone());
        assert_eq!(items.iter().collect::<String>(), expected, "{overflow:?}, without {lost:?}");
        assert_eq!(drops.get(), lost.len() as u64);
        let mut all = [items, lost].concat();
        all.sort_unstable();
        assert_eq!(all, ('a'..='x').collect::<Vec<_>>());
    }
}

/// The item that does not fit is handed on, but no policy has dropped it.
#[test]
fn what_overflows_is_handed_on() {
    let s = Scheduler::new();
    let limit = buffer(Overflow::Error);
    let drops = limit.drops();
    let lost = Arc::new(Mutex::new(vec![]));
    let log = lost.clone();
    let source = s.cold("(abcd)").map_err(StreamError::source);
    let seen = record(source.on_backpressure_buffer_with(limit, move |item| log.lock().unwrap().push(item)));
    s.advance_by(ms(10));
    assert_marbles!(seen, "(ab#)");
    assert_eq!((&**lost.lock().unwrap(), drops.get()), (&['c'][..], 0));
}

#[test]
fn a_panic_in_on_dropped_ends_the_stream_after_what_waits() {
    let s = Scheduler::new();
    let source = s.on(Kind::from_iter('a'..='d').stream_error());
    let seen = record(
        source
            .on_backpressure_buffer_with(buffer(Overflow::DropNewest), |item| panic!("{item}"))
            .map(|item| item.to_string())
            .catch_error(|error: StreamError| Kind::of(error.to_string())),
    );
    s.advance_by(ms(10));
    assert_eq!(seen.items(), ["a", "b", "panic in `on_backpressure_buffer`: c"]);
}

/// The source's call comes back before the consumer has the item; what is pushed back from below has its place.
#[test]
fn the_source_does_not_wait_for_the_consumer() {
    let s = Scheduler::new();
    let mut source = Kind::subject::<u32, StreamError>();
    let (mut back, seen) = (source.clone(), Arc::new(Mutex::new(vec![])));
    let log = seen.clone();
    s.on(source.clone())
        .on_backpressure_buffer(2, Overflow::DropNewest)
        .on_error_route(observer(|error: StreamError| panic!("{error}")))
        .subscribe(move |n| {
            log.lock().unwrap().push(n);
            if n < 3 {
                back.next(n + 10);
            }
        });
    s.run_ready();
    (1..=3).for_each(|n| source.next(n));
    assert!(seen.lock().unwrap().is_empty());
    s.run_ready();
    assert_eq!(*seen.lock().unwrap(), [1, 2, 11, 12]);
}

#[test]
fn a_timeout_ends_the_source() {
    let s = Scheduler::new();
    let ends = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let ended = ends.clone();
        let source = s.cold("-").map_err(StreamError::source).finalize(move || {
            ended.fetch_add(1, Ordering::SeqCst);
        });
        let other = s.cold("-1").map_err(StreamError::source);
        drop(record(source.clone().timeout(ms(3))));
        drop(record(source.timeout_with(ms(3), other)));
    }
    s.advance_by(ms(2));
    assert_eq!(ends.load(Ordering::SeqCst), 0);
    s.advance_by(ms(1));
    assert_eq!(ends.load(Ordering::SeqCst), 4);
}

#[test]
fn a_source_that_has_gone_away_is_too_late() {
    let s = Scheduler::new();
    let never = || s.on(Kind::never::<char>().stream_error());
    let (seen, other) = (record(never().timeout(ms(3))), s.cold("1|").map_err(StreamError::source));
    let instead = record(never().timeout_with(ms(3), other));
    s.advance_by(ms(10));
    assert_marbles!(seen, "---#");
    assert_marbles!(instead, "---1|");
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));
}

#[test]
fn a_timestamp_is_the_time_of_both_clocks() {
    let s = Scheduler::new();
    s.advance_by(ms(100));
    let seen = record(s.cold("--a---(bc)|").timestamp());
    s.advance_by(ms(20));
    let items = seen.items();
    let at: Vec<_> = items.iter().map(|item| (item.value, item.at)).collect();
    assert_eq!(at, [('a', ms(102)), ('b', ms(106)), ('c', ms(106))]);
    assert_eq!((items[1].utc - items[0].utc).to_std(), Ok(ms(4)));
    assert_eq!(items[2].utc, items[1].utc);
    let json = serde_json::to_string(&items[0]).unwrap();
    assert_eq!(serde_json::from_str::<rxevents::operator::time::Timestamped<char>>(&json).unwrap(), items[0]);
}

#[test]
fn a_time_interval_begins_with_the_subscription() {
    let s = Scheduler::new();
    let intervals = s.cold("--a---(bc)-d-#").time_interval();
    s.advance_by(ms(100));
    let seen = record(intervals);
    s.advance_by(ms(20));
    let took: Vec<_> = seen.items().iter().map(|item| (item.value, item.interval)).collect();
    assert_eq!(took, [('a', ms(2)), ('b', ms(4)), ('c', ms(0)), ('d', ms(5))]);
    assert!(seen.is_over());
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));
}

#[test]
fn stamps_and_intervals_pass_the_end_on() {
    let s = Scheduler::new();
    let stamped = record(s.cold("a-#").timestamp().map(|item| item.value));
    let measured = record(s.cold("a-|").time_interval().map(|item| item.value));
    s.advance_by(ms(20));
    assert_marbles!(stamped, "a-#");
    assert_marbles!(measured, "a-|");
}

#[test]
fn a_subscription_that_is_to_come_can_be_unsubscribed() {
    let s = Scheduler::new();
    let (source, subscriptions) = s.watch(s.cold("-a-b"));
    let mut later = record(source.clone().delay_subscription(ms(5)));
    let mut elsewhere = record(source.clone().subscribe_on(s.clone()));
    s.advance_by(ms(2));
    later.unsubscribe();
    elsewhere.unsubscribe();
    s.advance_by(ms(10));
    assert_eq!((later.items(), elsewhere.items()), (vec![], vec!['a']));
    rxevents::assert_subscriptions!(subscriptions, "^-!");
    s.assert_no_leaks();
}

/// Probe 16 of rxRust: a deadlock in `Shared`, a panic in `Local`.
#[test]
fn a_source_that_is_subscribed_to_later_may_be_stopped_by_its_first_item() {
    let s = Scheduler::new();
    let few = record(s.on(Kind::from_iter(0..1_000_000)).delay_subscription(ms(1)).take(2));
    s.advance_by(ms(2));
    assert_eq!((few.items(), few.is_over()), (vec![0, 1], true));
    s.assert_no_leaks();
}

/// A source that emits while it is being subscribed to learns of an unsubscription in the middle.
#[test]
fn subscribe_on_is_unsubscribed_while_it_emits() {
    let s = Scheduler::new();
    let seen = Arc::new(Mutex::new(vec![]));
    let slot: Arc<Mutex<Option<Sub>>> = Arc::default();
    let (log, own) = (seen.clone(), slot.clone());
    let sub = s.on(Kind::from_iter(0..)).subscribe_on(s.clone()).subscribe(move |v| {
        lock(&log).push(v);
        let sub = lock(&own).take_if(|_| v == 2);
        if let Some(sub) = sub {
            sub.unsubscribe();
        }
    });
    *lock(&slot) = Some(sub.into_boxed());
    s.run_ready();
    assert_eq!(*lock(&seen), [0, 1, 2]);
    s.assert_no_leaks();
}

#[test]
fn subscribe_on_passes_batches() {
    let s = Scheduler::new();
    let seen = record(s.on(Kind::from_iter(0..600)).batched().subscribe_on(s.clone()).each().take(300));
    s.run_ready();
    assert_eq!(seen.items(), (0..300).collect::<Vec<_>>());
}

/// The source has an item a millisecond, the consumer takes 3 for each: nothing waits, or the latest alone.
#[test]
fn every_item_is_delivered_or_handed_on() {
    for latest in [false, true] {
        let s = Scheduler::new();
        let (lost, slow) = (Arc::new(Mutex::new(vec![])), s.clone());
        let log = lost.clone();
        let (source, hold) = (s.cold("abcdefghijkl|"), move |item| log.lock().unwrap().push(item));
        let stall = move |_: &char| slow.stall(ms(3));
        let seen = match latest {
            false => record(source.on_backpressure_drop(hold).tap(stall)),
            true => record(source.on_backpressure_latest_on_dropped(hold).tap(stall)),
        };
        s.advance_by(ms(1000));
        let (items, lost) = (seen.items(), lost.lock().unwrap().clone());
        assert!(!lost.is_empty());
        // Nothing waits where the newest is dropped; the last one is delivered where the latest is kept.
        assert_eq!(items.contains(&'l'), latest, "{items:?}, without {lost:?}");
        let mut all = [items, lost].concat();
        all.sort_unstable();
        assert_eq!(all, ('a'..='l').collect::<Vec<_>>());
    }
}

#[test]
fn what_has_expired_is_counted_and_handed_on_the_oldest_first() {
    let s = Scheduler::new();
    let mut source = Kind::subject::<u32, StreamError>();
    let (buffer, lost) = (Buffer::new(3), Arc::new(Mutex::new(vec![])));
    let (drops, depth, log) = (buffer.drops(), buffer.depth(), lost.clone());
    let hold = move |n| log.lock().unwrap().push(n);
    let seen = record(s.on(source.clone()).on_backpressure_timeout(ms(5), buffer, hold));
    s.run_ready();
    (1..=3).for_each(|n| source.next(n));
    // The consumer's task does not run meanwhile. An item that comes finds them too old, and not the buffer full.
    s.stall(ms(6));
    source.next(4);
    assert_eq!((lost.lock().unwrap().clone(), drops.get(), depth.get()), (vec![1, 2, 3], 3, 1));
    s.stall(ms(6));
    s.run_ready();
    assert_eq!((seen.items(), lost.lock().unwrap().clone(), drops.get()), (vec![], vec![1, 2, 3, 4], 4));
    source.next(5);
    s.run_ready();
    assert_eq!((seen.items(), depth.get(), depth.peak()), (vec![5], 0, 3));
}

/// A panic in `on_dropped` ends the stream whoever calls it.
#[test]
fn a_panic_for_what_has_expired_ends_the_stream() {
    let s = Scheduler::new();
    let slow = s.clone();
    let source = s.on(Kind::from_iter('a'..='c').stream_error());
    let seen = record(
        source
            .on_backpressure_timeout(ms(1), Buffer::new(9), |item| panic!("{item}"))
            .tap(move |_| slow.stall(ms(5)))
            .map(|item| item.to_string())
            .catch_error(|error: StreamError| Kind::of(error.to_string())),
    );
    s.advance_by(ms(10));
    assert_eq!(seen.items(), ["a", "panic in `on_backpressure_timeout`: b"]);
}

/// Latest: all that wait are counted, and handed on in order.
#[test]
fn the_latest_drops_all_that_wait() {
    let s = Scheduler::new();
    let limit = Buffer::new(3).on_overflow(Overflow::Latest);
    let (drops, lost) = (limit.drops(), Arc::new(Mutex::new(vec![])));
    let log = lost.clone();
    let source = s.cold("(abcde|)");
    let seen = record(source.on_backpressure_buffer_with(limit, move |item| log.lock().unwrap().push(item)));
    s.advance_by(ms(10));
    assert_marbles!(seen, "(de|)");
    assert_eq!((&**lost.lock().unwrap(), drops.get()), (&['a', 'b', 'c'][..], 3));
}

#[test]
fn the_depth_is_read_while_it_runs() {
    let s = Scheduler::new();
    let (zipped, ring, idle) = (Buffer::new(9), Buffer::new(9), Buffer::new(9));
    let depths = [zipped.depth(), ring.depth(), idle.depth()];
    let (mut left, right) = (Kind::subject::<u32, StreamError>(), Kind::subject::<u32, StreamError>());
    let pairs = record(s.on(left.clone()).zip_with_buffer(s.on(right.clone()), zipped));
    let rings = record(s.on(left.clone()).hand_off_on(s.clone(), ring));
    (1..=4).for_each(|n| left.next(n));
    assert_eq!(depths.each_ref().map(Depth::get), [4, 4, 0]);
    s.run_ready();
    right.clone().next(1);
    assert_eq!(depths.each_ref().map(Depth::get), [3, 0, 0]);
    assert_eq!((pairs.items().len(), rings.items().len()), (1, 4));
    drop((pairs, rings));
    s.run_ready();
    assert_eq!(depths.each_ref().map(Depth::peak), [4, 4, 0]);
}

/// What a ring still holds when its output ends is counted as soon as both sides are gone.
#[test]
fn what_is_left_in_a_ring_is_counted() {
    for overflow in [Overflow::Error, Overflow::DropOldest] {
        let s = Scheduler::new();
        let ring = Buffer::new(9).on_overflow(overflow);
        let drops = ring.drops();
        let seen = record(s.cold("(abcde|)").hand_off_on(s.clone(), ring).take(2));
        s.advance_by(ms(10));
        assert_eq!((seen.items().len(), drops.get()), (2, 3), "{overflow:?}");
    }
}

#[test]
fn a_batch_goes_into_the_ring_as_far_as_there_is_room() {
    for (overflow, expected) in [
        (Overflow::DropNewest, vec![0, 1]),
        (Overflow::DropOldest, vec![998, 999]),
        (Overflow::Latest, vec![998, 999]),
    ] {
        let s = Scheduler::new();
        let ring = buffer(overflow);
        let drops = ring.drops();
        let seen = record(s.on(Kind::from_iter(0..1000)).batched().hand_off_on(s.clone(), ring));
        s.run_ready();
        assert_eq!((seen.items(), drops.get()), (expected, 998), "{overflow:?}");
    }
}
