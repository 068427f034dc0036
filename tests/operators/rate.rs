use std::time::Duration;

use rxevents::{
    prelude::*,
    testing::{MarbleError, Signal, record},
};

use super::flavour::{Kind, OnTime, Scheduler};
use crate::common::{Log, ms};

/// [`Edges`] whose trailing item opens no window.
fn not_opening(edges: Edges) -> Edges {
    edges.trailing_opens(TrailingOpensWindow::No)
}

/// A notifier that emits as soon as it is subscribed to.
macro_rules! at_once {
    () => {
        |_| Kind::of(()).map_err(|never| -> MarbleError { match never {} })
    };
}

/// A notifier of these marbles.
macro_rules! after {
    ($scheduler:expr, $marbles:literal) => {{
        let scheduler = $scheduler.clone();
        move |_| scheduler.cold($marbles)
    }};
}

fn one_in_4() -> Quota {
    Quota::new(1, ms(4))
}

fn delaying(capacity: usize, overflow: Overflow) -> Excess {
    Excess::Delay(Buffer::new(capacity).on_overflow(overflow))
}

marbles! {
    rate_limit_delays: |s| s.cold("(abc)---d------|").rate_limit(one_in_4(), delaying(9, Overflow::Error)), "a---b---c---d--|";
    rate_limit_drops: |s| s.cold("(abc)---d------|").rate_limit(one_in_4(), Excess::Drop(Drops::default())), "a-------d------|";
    rate_limit_fails: |s| s.cold("(abc)---d------|").map_err(StreamError::source).rate_limit(one_in_4(), Excess::Error), "(a#)";
    rate_limit_of_a_burst: |s| s.cold("(abcd)|").rate_limit(one_in_4().burst(2), delaying(9, Overflow::Error)), "(ab)c---(d|)";
    rate_limit_of_a_burst_after_a_pause: |s| s.cold("(abcd)----------------(efg)|").rate_limit(one_in_4().burst(2), delaying(9, Overflow::Error)), "(ab)c---d-------------(ef)g|";
    rate_limit_of_what_is_slow: |s| s.cold("a---b----c|").rate_limit(one_in_4(), Excess::Error), "a---b----c|";
    rate_limit_of_nothing: |s| s.cold("--|").rate_limit(one_in_4(), Excess::Error), "--|";
    rate_limit_of_an_error: |s| s.cold("(ab)-#").rate_limit(Quota::new(1, ms(9)), delaying(9, Overflow::Error)), "a----#";
    rate_limit_below_take: |s| s.cold("(abc)").rate_limit(one_in_4(), delaying(9, Overflow::Error)).take(2), "a---(b|)";
    rate_limit_overflows: |s| s.cold("(abc)").map_err(StreamError::source).rate_limit(one_in_4(), delaying(1, Overflow::Error)), "(a#)";
    rate_limit_cannot_block: |s| s.cold("(abc)").map_err(StreamError::source).rate_limit(one_in_4(), delaying(1, Overflow::Block)), "(a#)";
    rate_limit_of_the_oldest: |s| s.cold("(abcd)|").rate_limit(one_in_4(), delaying(2, Overflow::DropOldest)), "a---c---(d|)";
    rate_limit_of_the_newest: |s| s.cold("(abcd)|").rate_limit(one_in_4(), delaying(2, Overflow::DropNewest)), "a---b---(c|)";
    rate_limit_of_the_latest: |s| s.cold("(abcd)|").rate_limit(one_in_4(), delaying(2, Overflow::Latest)), "a---d-|";
    throttle_leading: |s| s.cold("a-b-c-d--|").throttle_with(ms(5), Edges::leading()), "a-----d--|";
    throttle_trailing: |s| s.cold("a-b-c-d--|").throttle_with(ms(5), Edges::trailing()), "-----c----(d|)";
    throttle_both: |s| s.cold("a-b-c-d--|").throttle_with(ms(5), Edges::both()), "a----c----(d|)";
    throttle_both_not_opening: |s| s.cold("a-b-c-d--|").throttle_with(ms(5), not_opening(Edges::both())), "a----cd--|";
    throttle_rxjs_leading: |s| s.hot("-a-x-y----b---x-cx---|").throttle_with(ms(5), Edges::leading()), "-a--------b-----c----|";
    throttle_rxjs_both: |s| s.hot("-a-xy-----b--x--cxxx--|").throttle_with(ms(4), Edges::both()), "-a---y----b---x---x---(x|)";
    throttle_one_at_the_end: |s| s.cold("a|").throttle_with(ms(5), Edges::both()), "a|";
    throttle_fails_with_an_item_waiting: |s| s.cold("ab#").throttle_with(ms(5), Edges::both()), "a-#";
    throttle_nothing: |s| s.cold("--|").throttle_with(ms(5), Edges::both()), "--|";
    throttle_never: |s| s.cold("-").throttle_with(ms(5), Edges::both()), "";
    throttle_below_take: |s| s.cold("ab-c-d").throttle_with(ms(2), Edges::both()).take(2), "a-(b|)";
    throttle_for_ever: |s| s.cold("ab-c-d").throttle_with(Duration::MAX, Edges::trailing()), "";

    audit: |s| s.cold("a-b-c-d-----|").audit(ms(5)), "-----c-----d|";
    audit_rxjs: |s| s.hot("-a-x-y----b---x-cx---|").audit(ms(5)), "------y--------x-----(x|)";
    audit_waits_for_its_window: |s| s.cold("ab|").audit(ms(5)), "-----(b|)";
    audit_fails: |s| s.cold("ab#").audit(ms(5)), "--#";
    audit_nothing: |s| s.cold("--|").audit(ms(5)), "--|";
    audit_none: |s| s.cold("a-b|").audit(Duration::ZERO), "a-b|";

    debounce_leading: |s| s.cold("-1-2-3-----4-|").debounce_with(ms(3), Edges::leading()), "-1---------4-|";
    debounce_both: |s| s.cold("-1-2-3-----4-|").debounce_with(ms(3), Edges::both()), "-1------3--4-|";
    debounce_both_the_end: |s| s.cold("ab|").debounce_with(ms(5), Edges::both()), "a-(b|)";
    debounce_leading_fails: |s| s.cold("ab#").debounce_with(ms(5), Edges::leading()), "a-#";

    throttle_by: |s| s.cold("a-b-c-d--|").throttle_by(after!(s, "---x"), Edges::leading()), "a---c----|";
    throttle_by_trailing: |s| s.cold("a-b-c---d-|").throttle_by(after!(s, "---x"), Edges::trailing()), "---b--c--d|";
    throttle_by_the_completion: |s| s.cold("a-b-c---d-|").throttle_by(after!(s, "---|"), Edges::both()), "a--b--c--d|";
    throttle_by_what_never_comes: |s| s.cold("a-b-c|").throttle_by(after!(s, "-"), Edges::both()), "a";
    throttle_by_a_failing_one: |s| s.cold("a-b-c|").throttle_by(after!(s, "-#"), Edges::both()), "a#";
    throttle_by_at_once: |s| s.cold("(abc)-d|").throttle_by(at_once!(), Edges::trailing()), "(abc)-d|";
    throttle_by_fails: |s| s.cold("ab#").throttle_by(after!(s, "-----x"), Edges::both()), "a-#";
    throttle_by_below_take: |s| s.cold("abcdef").throttle_by(after!(s, "--x"), Edges::both()).take(2), "a-(b|)";
    throttle_by_nothing: |s| s.cold("--|").throttle_by(after!(s, "x"), Edges::both()), "--|";

    audit_with: |s| s.cold("a-b-c-d-------|").audit_with(after!(s, "---x")), "---b---d------|";
    audit_with_the_end: |s| s.cold("ab|").audit_with(after!(s, "-----x")), "-----(b|)";
    audit_with_a_failing_one: |s| s.cold("ab|").audit_with(after!(s, "-#")), "-#";
    audit_with_at_once: |s| s.cold("ab|").audit_with(at_once!()), "ab|";

    debounce_by: |s| s.cold("ab---c-|").debounce_by(after!(s, "--x"), Edges::trailing()), "---b---(c|)";
    debounce_by_the_completion: |s| s.cold("ab----c-|").debounce_by(after!(s, "--|"), Edges::trailing()), "---b----(c|)";
    debounce_by_leading: |s| s.cold("ab---c-|").debounce_by(after!(s, "--x"), Edges::leading()), "a----c-|";
    debounce_by_what_never_comes: |s| s.cold("ab---c-|").debounce_by(after!(s, "-"), Edges::trailing()), "-------(c|)";
    debounce_by_a_failing_one: |s| s.cold("ab---c-|").debounce_by(after!(s, "--#"), Edges::trailing()), "---#";
    debounce_by_at_once: |s| s.cold("(abc)-d|").debounce_by(at_once!(), Edges::trailing()), "(abc)-d|";
    debounce_by_fails: |s| s.cold("ab#").debounce_by(after!(s, "-----x"), Edges::trailing()), "--#";

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

    sample_emit_last: |s| s.cold("-1-2-----3---4|").sample_emit_last(ms(4)), "----2-------3-(4|)";
    sample_emit_last_nothing_waits: |s| s.cold("-1---|").sample_emit_last(ms(4)), "----1|";
    sample_emit_last_fails: |s| s.cold("a-#").sample_emit_last(ms(4)), "--#";
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

/// The same, by the edges.
#[test]
fn a_lone_item_is_sent_at_its_edge() {
    for end in ["x", "x|"] {
        for (edges, at) in [(Edges::leading(), 0), (Edges::trailing(), 100), (Edges::both(), 0)] {
            for opens in [TrailingOpensWindow::Yes, TrailingOpensWindow::No] {
                let s = Scheduler::new();
                let timers = s.clone();
                let timed = record(s.cold(end).throttle_with(ms(100), edges.trailing_opens(opens)));
                let notified = record(s.cold(end).throttle_by(
                    move |_| {
                        timers.on(Kind::timer(ms(100))).map_err(|never| -> MarbleError { match never {} })
                    },
                    edges.trailing_opens(opens),
                ));
                s.advance_by(ms(1000));
                for seen in [timed, notified] {
                    let items: Vec<_> = seen.items();
                    assert_eq!(items, ['x']);
                    let first = seen.signals().first().map(|(time, _)| *time);
                    assert_eq!(first, Some(ms(at)), "{edges:?} {end}");
                }
            }
        }
    }
}

/// RxJS #7115: whether the trailing item opens a window.
#[test]
fn the_trailing_item_opens_a_window_or_not() {
    let (first, last) = (Signal::Next('A'), Signal::Next('D'));
    let after = Signal::Next('d');
    for (opens, at) in [(TrailingOpensWindow::Yes, 200), (TrailingOpensWindow::No, 130)] {
        let s = Scheduler::new();
        let seen = record(
            s.cold("A 59ms B 29ms D 39ms d").throttle_with(ms(100), Edges::both().trailing_opens(opens)),
        );
        s.advance_by(ms(1000));
        seen.assert_eq(&[(0, first.clone()), (100, last.clone()), (at, after.clone())]);
    }
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
fn what_the_edges_leave_out_is_handed_on() {
    for text in ["ab-c--d-ef|", "ab-c--d-ef#", "(abcdef)|", "abcdef#", "a|", "|"] {
        for (n, edges) in [Edges::leading(), Edges::trailing(), Edges::both()].into_iter().enumerate() {
            for opens in [TrailingOpensWindow::Yes, TrailingOpensWindow::No] {
                let s = Scheduler::new();
                let all: Vec<char> = text.chars().filter(char::is_ascii_alphabetic).collect();
                let dropped = [const { Vec::new() }; 4]
                    .map(|none: Vec<char>| std::sync::Arc::new(std::sync::Mutex::new(none)));
                let edges = |at: usize| {
                    let dropped = dropped[at].clone();
                    edges
                        .trailing_opens(opens)
                        .on_dropped(move |item: char| dropped.lock().unwrap().push(item))
                };
                let seen = [
                    record(s.cold(text).throttle_with(ms(2), edges(0))),
                    record(s.cold(text).debounce_with(ms(2), edges(1))),
                    record(s.cold(text).throttle_by(after!(s, "--x"), edges(2))),
                    record(s.cold(text).debounce_by(after!(s, "--x"), edges(3))),
                ];
                s.advance_by(ms(100));
                for (at, seen) in seen.iter().enumerate() {
                    let mut accounted = seen.items();
                    accounted.extend(dropped[at].lock().unwrap().iter());
                    accounted.sort_unstable();
                    let mut all = all.clone();
                    all.sort_unstable();
                    assert_eq!(accounted, all, "{at}, edges {n}: {text}");
                }
            }
        }
    }
}

/// A notifier that has ended its window, or is no longer needed, is unsubscribed.
#[test]
fn notifiers_are_unsubscribed() {
    let s = Scheduler::new();
    let (notifier, subscriptions) = s.watch(s.cold("---x---"));
    let again = notifier.clone();
    let mut throttled = record(s.cold("a-----b").throttle_by(move |_| notifier.clone(), Edges::both()));
    let mut debounced = record(s.cold("--cd").debounce_by(move |_| again.clone(), Edges::trailing()));
    s.advance_by(ms(8));
    throttled.unsubscribe();
    debounced.unsubscribe();
    s.run_ready();
    rxevents::assert_subscriptions!(subscriptions, "^--!", "--^!", "---^--!", "------^-!");
    s.assert_no_leaks();
}

#[test]
fn an_edge_may_be_fed_back() {
    for edges in [Edges::leading(), Edges::trailing(), Edges::both()] {
        let (s, subject, log) = (Scheduler::new(), Kind::subject::<i64, MarbleError>(), Log::default());
        let mut back = subject.clone();
        let events: OnTime<_> = s.on(subject.clone());
        events.throttle_by(after!(s, "-x"), edges).subscribe_with(log.sink(move |v| {
            if *v < 3 {
                back.next(v + 1);
            }
        }));
        subject.clone().next(0);
        s.advance_by(ms(10));
        let items = log.items();
        assert_eq!(items[0], 0, "{edges:?}");
        assert_eq!(
            items.len(),
            if format!("{edges:?}").contains("trailing: true") { 4 } else { 1 },
            "{edges:?}"
        );
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

/// A closure that panics when it is told of what an error drops does not take the error's place.
#[test]
fn an_error_goes_on_though_on_dropped_panics() {
    let edges = || Edges::trailing().on_dropped(|_| panic!("rate: told of the last"));
    let s = Scheduler::new();
    let timed = record(s.cold("a-#").debounce_with(ms(9), edges()));
    let notified = record(s.cold("a-#").debounce_by(after!(s, "---------x"), edges()));
    s.advance_by(ms(20));
    for seen in [timed, notified] {
        rxevents::assert_marbles!(seen, "--#");
    }
}

/// What passes, what is dropped and what an error leaves are all there is.
#[test]
fn a_rate_limit_accounts_for_every_item() {
    let s = Scheduler::new();
    let drops = Drops::default();
    let lost = Log::<char, StreamError>::default();
    let mut log = lost.sink(|_| {});
    let dropping = Excess::Drop(drops.clone());
    let seen = record(s.cold("abcdefgh|").rate_limit_on_dropped(one_in_4(), dropping, move |c| log.next(c)));
    s.advance_by(ms(100));
    assert_eq!((seen.items(), lost.items().len(), drops.get()), (vec!['a', 'e'], 6, 6));

    let buffer = Buffer::new(9);
    let (drops, depth, lost) = (buffer.drops(), buffer.depth(), Log::<char, StreamError>::default());
    let mut log = lost.sink(|_| {});
    let source = s.cold("(abcd)-#");
    let quota = Quota::new(1, ms(9));
    let seen = record(source.rate_limit_on_dropped(quota, Excess::Delay(buffer), move |c| log.next(c)));
    s.advance_by(ms(100));
    assert_eq!((seen.items(), lost.items(), drops.get()), (vec!['a'], vec!['b', 'c', 'd'], 3));
    assert_eq!((depth.get(), depth.peak()), (0, 3));
}

#[test]
fn a_rate_limit_says_what_was_too_much() {
    let s = Scheduler::new();
    let source = s.on(Kind::from_iter('a'..='c').stream_error());
    let limited = source.rate_limit(Quota::new(2, Duration::from_secs(1)), Excess::Error);
    let seen =
        record(limited.map(String::from).catch_error(|error: StreamError| Kind::of(error.to_string())));
    s.advance_by(ms(10));
    assert_eq!(seen.items(), ["a", "`rate_limit`: more than 2 items in 1s"]);
}
