use std::time::Duration;

use rxevents::{
    prelude::*,
    testing::{Signal, record},
};

use super::flavour::Scheduler;
use crate::common::{Log, ms};

marbles! {
    throttle_first_none: |s| s.cold("(ab)c|").throttle_first(Duration::ZERO), "(ab)c|";
    throttle_first_for_ever: |s| s.cold("a-b 500ms c|").throttle_first(Duration::MAX), "a-- 500ms -|";
    throttle_first_an_error: |s| s.cold("ab#").throttle_first(ms(5)), "a-#";
    throttle_first_nothing: |s| s.cold("--|").throttle_first(ms(5)), "--|";
    throttle_first_below_take: |s| s.cold("a-b-c-d").throttle_first(ms(3)).take(2), "a---(c|)";

    throttle_latest_none: |s| s.cold("(ab)c|").throttle_latest(Duration::ZERO), "(ab)c|";
    throttle_latest_for_ever: |s| s.cold("ab-c|").throttle_latest(Duration::MAX), "a---(c|)";
    throttle_latest_fails_with_an_item_waiting: |s| s.cold("ab#").throttle_latest(ms(5)), "a-#";
    throttle_latest_nothing: |s| s.cold("--|").throttle_latest(ms(5)), "--|";
    throttle_latest_below_take: |s| s.cold("ab-c-d").throttle_latest(ms(2)).take(2), "a-(b|)";

    debounce: |s| s.cold("-1-2-3-----4-|").debounce(ms(3)), "--------3----(4|)";
    debounce_for_ever: |s| s.cold("a-b|").debounce(Duration::MAX), "---(b|)";
    debounce_for_ever_an_open_one: |s| s.cold("a-b").debounce(Duration::MAX), "";
    debounce_nothing: |s| s.cold("--|").debounce(ms(5)), "--|";
    debounce_below_take: |s| s.cold("a----b----c").debounce(ms(2)).take(1), "--(a|)";

    sample_for_ever: |s| s.cold("a-b|").sample(Duration::MAX), "---|";
    sample_fails_with_an_item_waiting: |s| s.cold("a-#").sample(ms(4)), "--#";
    sample_nothing: |s| s.cold("----------|").sample(ms(4)), "----------|";
    sample_sends_no_item_twice: |s| s.cold("a 20ms |").sample(ms(4)), "----a 16ms |";
    sample_below_take: |s| s.cold("a----b----c").sample(ms(2)).take(1), "--(a|)";

    sample_with: |s| s.cold("ab---c---|").sample_with(s.cold("--x-x-x--x")), "--b---c--|";
    sample_with_one_that_ends: |s| s.cold("ab--c|").sample_with(s.cold("--(x|)")), "--b--|";
    sample_with_a_failing_one: |s| s.cold("ab--c").sample_with(s.cold("--x#")), "--b#";
    sample_with_fails: |s| s.cold("ab#").sample_with(s.cold("---x")), "--#";
}

/// RxJS #2859, PR #4727: a lone item.
#[test]
fn a_lone_item_is_sent_once() {
    let s = Scheduler::new();
    let first = record(s.cold("x").throttle_first(ms(100)));
    let latest = record(s.cold("x").throttle_latest(ms(100)));
    let debounced = record(s.cold("x").debounce(ms(100)));
    s.advance_by(ms(1000));
    first.assert_eq(&[(0, Signal::Next('x'))]);
    latest.assert_eq(&[(0, Signal::Next('x'))]);
    debounced.assert_eq(&[(100, Signal::Next('x'))]);
}

/// RxJS #7115: an item sent at the end of a window opens the next.
#[test]
fn throttle_latest_opens_a_window_with_what_it_sends_at_the_end_of_one() {
    let s = Scheduler::new();
    let seen = record(s.cold("A 59ms B 29ms D 39ms d").throttle_latest(ms(100)));
    s.advance_by(ms(1000));
    seen.assert_eq(&[(0, Signal::Next('A')), (100, Signal::Next('D')), (200, Signal::Next('d'))]);
}

#[test]
fn throttle_first_by_goes_by_the_items_time() {
    let log = Log::default();
    let times = super::flavour::Kind::from_iter([0_i64, 30, 59, 60, 40, 119, 121, i64::MAX, i64::MAX]);
    times.throttle_first_by(60_i64, |t| *t).subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), format!("0 60 121 {} |", i64::MAX));
}

/// The law of the house: what comes in goes out or is handed on, whether the source completes or fails.
#[test]
fn what_is_not_sent_is_handed_on() {
    for text in ["ab-c--d-ef|", "ab-c--d-ef#", "(abcdef)|", "abcdef#", "a|", "|"] {
        let s = Scheduler::new();
        let mut all: Vec<char> = text.chars().filter(char::is_ascii_alphabetic).collect();
        let dropped =
            [const { Vec::new() }; 6].map(|none: Vec<char>| std::sync::Arc::new(std::sync::Mutex::new(none)));
        let note = |n: usize| {
            let dropped = dropped[n].clone();
            move |item: char| dropped.lock().unwrap().push(item)
        };
        let seen = [
            record(s.cold(text).throttle_first_on_dropped(ms(2), note(0))),
            record(s.cold(text).throttle_first_by_on_dropped(2_u64, |c| *c as u64, note(1))),
            record(s.cold(text).throttle_latest_on_dropped(ms(2), note(2))),
            record(s.cold(text).debounce_on_dropped(ms(2), note(3))),
            record(s.cold(text).sample_on_dropped(ms(3), note(4))),
            record(s.cold(text).sample_with_on_dropped(s.cold("--x--x--x"), note(5))),
        ];
        s.advance_by(ms(100));
        all.sort_unstable();
        for (n, seen) in seen.iter().enumerate() {
            let mut accounted = seen.items();
            accounted.extend(dropped[n].lock().unwrap().iter());
            accounted.sort_unstable();
            assert_eq!(accounted, all, "{n}: {text}");
        }
    }
}

#[test]
fn throttle_first_by_key_goes_by_the_items_time_and_key() {
    let log = Log::<_, std::convert::Infallible>::default();
    let items =
        [('a', 0_i64), ('b', 5), ('a', 59), ('a', 60), ('a', 40), ('b', 64), ('b', 65), ('a', 121), ('b', 0)];
    let at = |v: &(char, i64)| v.1;
    super::flavour::Kind::from_iter(items)
        .throttle_first_by_key(|v| &v.0, at, 60)
        .subscribe_with(log.sink(|_| {}));
    assert_eq!(log.items(), [('a', 0), ('b', 5), ('a', 60), ('b', 65), ('a', 121)]);
    let (dropped, passed) = (Log::<_, ()>::default(), Log::<_, std::convert::Infallible>::default());
    let mut sink = dropped.sink(|_| {});
    super::flavour::Kind::from_iter(items)
        .throttle_first_by_key_on_dropped(Keys::new(2), |v| &v.0, at, 60, move |v| sink.next(v))
        .subscribe_with(passed.sink(|_| {}));
    assert_eq!(passed.items(), log.items());
    assert_eq!(dropped.items(), [('a', 59), ('a', 40), ('b', 64), ('b', 0)]);
}
