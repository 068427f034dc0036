use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rxevents::{
    assert_marbles,
    operator::combine::{Pattern, Unmatched},
    prelude::*,
    testing::{Cold, MarbleError, record, record_during},
};

use super::flavour::{Kind, OnTime, Scheduler, Sub};
use crate::common::{Log, lock, ms, watchdog};

/// A digit and a letter in one character: `2a` is 2, `2b` is 3.
fn both(digit: char, letter: char) -> char {
    char::from_u32(digit as u32 + letter as u32 - 'a' as u32).unwrap_or('?')
}

fn pair((digit, letter): (char, char)) -> char {
    both(digit, letter)
}

marbles! {
    merge: |s| s.cold("--1-----2--|").merge(s.cold("-----a-------b-|")), "--1--a--2----b-|";
    merge_an_empty_one: |s| s.cold("|").merge(s.cold("--a|")), "--a|";
    merge_two_empty_ones: |s| s.cold("--|").merge(s.cold("|")), "--|";
    merge_a_failing_one: |s| s.cold("--1-#").merge(s.cold("-a-b-c-d-e-f")), "-a1b#";
    merge_two_failing_ones: |s| s.cold("--#").merge(s.cold("-#")), "-#";
    merge_at_one_instant: |s| s.cold("(ab)---|").merge(s.cold("(xy)|")), "(abxy)-|";
    merge_one_with_a_silent_one: |s| s.cold("ab|").merge(s.cold("-----")), "ab";
    merge_below_take: |s| s.cold("a-b-c").merge(s.cold("-x-y-z")).take(3), "ax(b|)";
    merge_all: |s| s.on(Kind::merge_all(["a--b|", "-x--y|", "--m|"].map(|text| {
        Kind::<()>::lift(s.cold(text).into_inner())
    }))), "axmby|";
    merge_all_a_failing_one: |s| s.on(Kind::merge_all(["a--b|", "-#"].map(|text| {
        Kind::<()>::lift(s.cold(text).into_inner())
    }))), "a#";

    zip: |s| s.cold("--1--2-----3-|").zip(s.cold("----a----b---------|")).map(pair), "----1----3---------|";
    zip_ends_with_the_shorter: |s| s.cold("123|").zip(s.cold("a-a|")).map(pair), "1-2|";
    zip_ends_when_what_waits_is_used_up: |s| s.cold("12|").zip(s.cold("---a-a-a")).map(pair), "---1-(2|)";
    zip_an_empty_one: |s| s.cold("|").zip(s.cold("a-b")).map(pair), "|";
    zip_another_empty_one: |s| s.cold("1-2").zip(s.cold("-|")).map(pair), "-|";
    zip_fails_with_items_waiting: |s| s.cold("12#").zip(s.cold("------a")).map(pair), "--#";
    zip_another_failing_one: |s| s.cold("1---2-").zip(s.cold("a-#")).map(pair), "1-#";
    zip_below_take: |s| s.cold("123").zip(s.cold("aaa")).map(pair).take(2), "1(2|)";
    zip_a_buffer_of_nothing_holds_one: |s| s.cold("1-2-3").map_err(StreamError::source)
        .zip_with_buffer(s.cold("-a-a").map_err(StreamError::source), Buffer::new(0)).map(pair), "-1-2";
    zip_drops_the_newest: |s| s.cold("123|")
        .zip_with_buffer(s.cold("-----aa|"), Buffer::new(2).on_overflow(Overflow::DropNewest)).map(pair), "-----1(2|)";
    zip_drops_the_oldest: |s| s.cold("123|")
        .zip_with_buffer(s.cold("-----aa|"), Buffer::new(2).on_overflow(Overflow::DropOldest)).map(pair), "-----2(3|)";

    combine_latest: |s| s.cold("--1-----2------|").combine_latest(s.cold("----a------b-|"), both), "----1---2--3---|";
    combine_latest_with_an_empty_one: |s| s.cold("--|").combine_latest(s.cold("a-b-c-d|"), both), "--|";
    combine_latest_with_one_that_has_ended: |s| s.cold("1|").combine_latest(s.cold("--a-b|"), both), "--1-2|";
    combine_latest_fails: |s| s.cold("1-2-#").combine_latest(s.cold("-a------b"), both), "-12-#";
    combine_latest_fails_at_the_other: |s| s.cold("1-2-3").combine_latest(s.cold("-a-#"), both), "-12#";
    combine_latest_below_take: |s| s.cold("1-2-3").combine_latest(s.cold("a-b-"), both).take(2), "1-(2|)";

    with_latest_from: |s| s.cold("-1----2----3-|").with_latest_from(s.cold("---a----b------")).map(pair), "------2----4-|";
    with_latest_from_one_that_has_ended: |s| s.cold("--1-2|").with_latest_from(s.cold("a|")).map(pair), "--1-2|";
    with_latest_from_an_empty_one: |s| s.cold("1-2|").with_latest_from(s.cold("|")).map(pair), "---|";
    with_latest_from_fails: |s| s.cold("-1#").with_latest_from(s.cold("a---b")).map(pair), "-1#";
    with_latest_from_fails_at_the_other: |s| s.cold("-1---2").with_latest_from(s.cold("a--#")).map(pair), "-1-#";
}

#[test]
fn merge_all_of_nothing_completes() {
    let log = Log::<i32, Infallible>::default();
    Kind::merge_all(Vec::<Kind<rxevents::operator::create::Empty<i32>>>::new())
        .subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "|");
}

#[test]
fn unsubscribed_in_the_middle_they_are_silent() {
    let s = Scheduler::new();
    let merged = record_during(s.cold("1-2-3-").merge(s.cold("-a-b-c")), "^--!");
    s.advance_by(ms(100));
    assert_marbles!(merged, "1a2");
    assert_eq!(s.tasks(), 0);
    let s = Scheduler::new();
    let zipped = record_during(s.cold("123-").zip(s.cold("-a-a-a")).map(pair), "^--!");
    s.advance_by(ms(100));
    assert_marbles!(zipped, "-1");
    assert_eq!(s.tasks(), 0);
}

/// Sources of one type, of their marbles.
fn many<const N: usize>(s: &Scheduler, texts: [&str; N]) -> [Kind<Cold>; N] {
    texts.map(|text| Kind::<()>::lift(s.cold(text).into_inner()))
}

/// The text of a row: the sum of its digits.
fn sum(row: &[char]) -> char {
    row.iter().filter_map(|c| c.to_digit(10)).sum::<u32>().to_string().chars().next_back().unwrap_or('?')
}

marbles! {
    concat_with: |s| s.cold("--1--2-|").concat_with(s.cold("a--b|")), "--1--2-a--b|";
    concat_with_an_empty_one: |s| s.cold("--|").concat_with(s.cold("|")), "--|";
    concat_with_after_an_empty_one: |s| s.cold("|").concat_with(s.cold("-a|")), "-a|";
    concat_with_a_silent_one: |s| s.cold("a|").concat_with(s.cold("---")), "a";
    concat_with_after_a_silent_one: |s| s.cold("--").concat_with(s.cold("a|")), "";
    concat_with_fails: |s| s.cold("-1#").concat_with(s.cold("a|")), "-1#";
    concat_with_a_failing_one: |s| s.cold("-1|").concat_with(s.cold("a#")), "-1a#";
    concat_with_misses_what_is_hot: |s| s.cold("---|").concat_with(s.hot("abcdef|")), "---def|";
    concat_with_below_take: |s| s.cold("-1|").concat_with(s.cold("a-b-c")).take(2), "-1(a|)";
    concat_with_three: |s| s.cold("1|").concat_with(s.cold("2|")).concat_with(s.cold("3|")), "123|";
    concat_all: |s| s.on(Kind::concat_all(many(s, ["a-b|", "-x|", "|", "m|"]))), "a-b-xm|";
    concat_all_a_failing_one: |s| s.on(Kind::concat_all(many(s, ["a-b|", "-#", "m|"]))), "a-b-#";

    start_with: |s| s.cold("----1--2-|").start_with(['a', 'b']), "(ab)1--2-|";
    start_with_nothing: |s| s.cold("--1|").start_with([]), "--1|";
    start_with_before_nothing: |s| s.cold("|").start_with(['a']), "(a|)";
    start_with_before_silence: |s| s.cold("--").start_with(['a']), "a";
    start_with_before_an_error: |s| s.cold("-#").start_with(['a']), "a#";
    start_with_below_take: |s| s.cold("1").start_with(std::iter::repeat('a')).take(2), "(aa|)";
    end_with: |s| s.cold("--1--2-|").end_with(['a', 'b']), "--1--2-(ab|)";
    end_with_nothing: |s| s.cold("--1|").end_with([]), "--1|";
    end_with_after_nothing: |s| s.cold("--|").end_with(['a']), "--(a|)";
    end_with_after_an_error: |s| s.cold("-1#").end_with(['a']), "-1#";
    end_with_below_take: |s| s.cold("-1|").end_with(std::iter::repeat('a')).take(3), "-1(aa|)";

    repeat: |s| s.cold("-1-2|").repeat(3), "-1-2-1-2-1-2|";
    repeat_once: |s| s.cold("-1|").repeat(1), "-1|";
    repeat_not_at_all: |s| s.cold("-1|").repeat(0), "|";
    repeat_nothing: |s| s.cold("|").repeat(5), "|";
    repeat_fails: |s| s.cold("-1#").repeat(3), "-1#";
    repeat_below_take: |s| s.cold("-1|").repeat(u64::MAX).take(3), "-1-1-(1|)";
    repeat_when: |s| s.cold("-1-2|").repeat_when(|completions| completions.delay(ms(3)).take(2)),
        "-1-2----1-2---|";
    repeat_when_fails: |s| s.cold("-1#").repeat_when(|completions| completions.skip(0)), "-1#";
    repeat_when_the_notifier_is_silent: |s| {
        let never = s.cold("-----");
        s.cold("-1|").repeat_when(move |_| never)
    }, "-1";
    repeat_when_the_notifier_ends: |s| { let end = s.cold("---|"); s.cold("-1|").repeat_when(move |_| end) }, "-1-|";
    repeat_when_the_notifier_fails: |s| { let end = s.cold("---#"); s.cold("-1|").repeat_when(move |_| end) }, "-1-#";
    repeat_when_the_notifier_is_empty: |s| { let end = s.cold("|"); s.cold("(1|)").repeat_when(move |_| end) }, "|";
    repeat_when_ignores_what_comes_while_the_source_is_live: |s| {
        let ticks = s.cold("xx---x--");
        s.cold("-1-|").repeat_when(move |_| ticks)
    }, "-1----1-";

    amb: |s| s.cold("----1--2-|").amb(s.cold("--a----b--c-|")), "--a----b--c-|";
    amb_the_first_of_two_at_once: |s| s.cold("-1-2|").amb(s.cold("-a-b|")), "-1-2|";
    amb_an_empty_one: |s| s.cold("-----1|").amb(s.cold("--|")), "--|";
    amb_a_failing_one: |s| s.cold("-----1|").amb(s.cold("--#")), "--#";
    amb_one_that_fails_later: |s| s.cold("-1--#").amb(s.cold("--a--b--c")), "-1--#";
    amb_a_silent_one: |s| s.cold("----").amb(s.cold("--a|")), "--a|";
    amb_two_silent_ones: |s| s.cold("----").amb(s.cold("--")), "";
    amb_below_take: |s| s.cold("-1-2-3").amb(s.cold("--a")).take(2), "-1-(2|)";
    amb_one_that_emits_at_once: |s| s.cold("1").start_with(['0']).amb(s.cold("a").start_with(['x'])), "(01)";
    amb_all: |s| s.on(Kind::amb_all(many(s, ["---a|", "-x--y|", "--m|"]))), "-x--y|";

    merge_delay_error: |s| s.cold("--1-#").merge_delay_error(s.cold("-----a--b-|")), "--1--a--b-#";
    merge_delay_error_two: |s| s.cold("--#").merge_delay_error(s.cold("-a-#")), "-a-#";
    merge_delay_error_none: |s| s.cold("--1|").merge_delay_error(s.cold("a|")), "a-1|";
    merge_delay_error_one_is_silent: |s| s.cold("--#").merge_delay_error(s.cold("-a--")), "-a";
    merge_delay_error_below_take: |s| s.cold("#").merge_delay_error(s.cold("-a-b-c")).take(2), "-a-(b|)";
    merge_all_delay_error: |s| s.on(Kind::merge_all_delay_error(many(s, ["a#", "--#", "-b---c|"]))), "ab---c#";

    combine_latest_all: |s| s.on(Kind::combine_latest_all(many(s, ["1---2---|", "-3---4|", "--0-|"]), sum)), "--4-56--|";
    combine_latest_all_at_one_instant: |s| s.on(Kind::combine_latest_all(many(s, ["(12)|", "1|", "1|"]), sum)), "4---|";
    combine_latest_all_an_empty_one: |s| s.on(Kind::combine_latest_all(many(s, ["1-2-3", "--|", "1"]), sum)), "--|";
    combine_latest_all_a_failing_one: |s| s.on(Kind::combine_latest_all(many(s, ["1-2-3", "1--#"]), sum)), "2-3#";
    combine_latest_all_below_take: |s| s.on(Kind::combine_latest_all(many(s, ["1-2-3", "1"]), sum)).take(2), "2-(3|)";
    combine_latest_all_of_one: |s| s.on(Kind::combine_latest_all(many(s, ["1-2|"]), sum)), "1-2|";

    zip_all: |s| s.on(Kind::zip_all(many(s, ["123|", "1--1-|", "-11---1|"]), row)), "-3-4-|";
    zip_all_ends_when_what_waits_is_used_up: |s| s.on(Kind::zip_all(many(s, ["12|", "---1-1-1"]), row)), "---2-(3|)";
    zip_all_an_empty_one: |s| s.on(Kind::zip_all(many(s, ["12", "--|"]), row)), "--|";
    zip_all_a_failing_one: |s| s.on(Kind::zip_all(many(s, ["12---", "1-#"]), row)), "2-#";
    zip_all_below_take: |s| s.on(Kind::zip_all(many(s, ["123", "111"]), row)).take(2), "2(3|)";
    zip_all_drops_the_oldest: |s| s.on(Kind::zip_all_with_buffer(
        many(s, ["123|", "-----11|"]), Buffer::new(2).on_overflow(Overflow::DropOldest), row,
    )), "-----3(4|)";
}

fn row(row: std::vec::Drain<'_, char>) -> char {
    sum(row.as_slice())
}

#[test]
fn of_no_sources_they_complete() {
    let none = Vec::<Kind<rxevents::operator::create::Empty<i32>>>::new;
    let log = Log::<i32, Infallible>::default();
    Kind::concat_all(none()).subscribe_with(log.sink(|_| {}));
    Kind::amb_all(none()).subscribe_with(log.sink(|_| {}));
    Kind::combine_latest_all(none(), |row| row.len() as i32).subscribe_with(log.sink(|_| {}));
    Kind::zip_all(none(), |row| row.len() as i32).subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "| | | |");
    let log = Log::<i32, rxevents::prelude::CompositeError<Infallible>>::default();
    Kind::merge_all_delay_error(none()).subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "|");
}

/// RxJava #5267: the composite of the errors of both.
#[test]
fn merge_delay_error_has_all_errors() {
    let s = Scheduler::new();
    let (first, second) =
        (s.cold("--#").map_err(|MarbleError| "first"), s.cold("-#").map_err(|MarbleError| "second"));
    let seen = record(first.merge_delay_error(second).map_err(|error| error.to_string()));
    s.advance_by(ms(10));
    let expected = "2 sources failed: second; first".to_owned();
    assert_eq!(seen.signals(), [(ms(2), rxevents::testing::Signal::Error(expected))]);

    let seen =
        record(s.cold("-#").merge_delay_error(s.cold("--|")).stream_error().map_err(|e| e.to_string()));
    s.advance_by(ms(10));
    let expected = rxevents::testing::Signal::Error(MarbleError.to_string());
    assert_eq!(seen.signals(), [(ms(12), expected)]);
}

#[test]
fn what_has_lost_is_unsubscribed() {
    let s = Scheduler::new();
    let (lost, won) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let count = |of: &Arc<AtomicUsize>| {
        let of = of.clone();
        move || drop(of.fetch_add(1, Ordering::SeqCst).to_string())
    };
    let slow = s.cold("---1--2").finalize(count(&lost));
    let mut seen = record(slow.amb(s.cold("-a-b-c").finalize(count(&won))));
    assert_eq!(s.tasks(), 2);
    s.advance_by(ms(2));
    assert_eq!((lost.load(Ordering::SeqCst), won.load(Ordering::SeqCst), s.tasks()), (1, 0, 1));
    seen.unsubscribe();
    s.run_ready();
    assert_eq!((lost.load(Ordering::SeqCst), won.load(Ordering::SeqCst), s.tasks()), (1, 1, 0));
    assert_marbles!(seen, "-a");

    // The subscriber makes the loser emit while it handles the winner's first.
    let (a, mut b) = (Kind::subject::<i32, Infallible>(), Kind::subject::<i32, Infallible>());
    let (log, mut back) = (Log::default(), a.clone());
    a.amb(b.clone()).subscribe_with(log.sink(move |_| back.next(9)));
    b.next(1);
    b.next(2);
    assert_eq!(log.text(), "1 2");
}

/// The second source is subscribed when the first has completed, and the end of the first is told of nobody's.
#[test]
fn concat_with_takes_hot_sources_fed_from_within() {
    let (mut a, b) = (Kind::subject::<i32, Infallible>(), Kind::subject::<i32, Infallible>());
    let (log, end, mut second) = (Log::default(), a.clone(), b.clone());
    let mut end = Some(end);
    a.clone().concat_with(b.clone()).subscribe_with(log.sink(move |v| {
        // It completes the first while it handles an item; the second is not subscribed yet then.
        if let Some(end) = end.take() {
            end.complete();
            second.next(7);
        }
        if *v == 8 {
            second.next(9);
        }
    }));
    a.next(1);
    a.next(2);
    b.clone().next(8);
    b.complete();
    assert_eq!(log.text(), "1 8 9 |");
}

#[test]
fn a_hundred_thousand_synchronous_subscriptions_need_no_stack() {
    watchdog(|| {
        let (live, most, count) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counters = (live.clone(), most.clone(), count.clone());
        let counted = move || {
            let (live, most, count) = counters.clone();
            Kind::defer(move || {
                count.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(live.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                Kind::of(1).finalize(move || drop(live.fetch_sub(1, Ordering::SeqCst).to_string()))
            })
        };
        let n = 100_000;
        let log = Log::<i32, Infallible>::default();
        counted().repeat(n as u64).subscribe_with(log.sink(|_| {}));
        assert_eq!((log.items().len(), log.ends()), (n, 1));
        let log = Log::<i32, Infallible>::default();
        counted().repeat_when(|completions| completions.skip(0)).take(n).subscribe_with(log.sink(|_| {}));
        assert_eq!((log.items().len(), log.ends()), (n, 1));
        let log = Log::<i32, Infallible>::default();
        Kind::concat_all((0..n).map(move |_| counted())).subscribe_with(log.sink(|_| {}));
        assert_eq!((log.items().len(), log.ends()), (n, 1));
        assert_eq!(
            (count.load(Ordering::SeqCst), live.load(Ordering::SeqCst), most.load(Ordering::SeqCst)),
            (3 * n, 0, 1)
        );
    });
}

#[test]
fn unsubscribed_within_an_item_they_subscribe_no_more() {
    watchdog(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let (counter, start) = (count.clone(), Kind::subject::<i32, Infallible>());
        let again = Kind::defer(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            Kind::of(1)
        });
        let (log, slot) = (Log::default(), Arc::new(Mutex::new(None::<Sub>)));
        let own = slot.clone();
        let sub =
            start.clone().take(1).concat_with(again.repeat(u64::MAX)).subscribe_with(log.sink(move |v| {
                if *v == 1 {
                    let sub = lock(&own).take();
                    sub.into_iter().for_each(Subscription::unsubscribe);
                }
            }));
        *lock(&slot) = Some(Sub::new(sub));
        start.clone().next(0);
        assert_eq!((log.text(), count.load(Ordering::SeqCst)), ("0 1".into(), 1));
    });
}

#[test]
fn zip_all_is_bounded() {
    let errors = Log::<String, Infallible>::default();
    let left = Kind::subject::<u32, StreamError>();
    let sources = [left.clone(), Kind::subject()];
    Kind::zip_all_with_buffer(sources, Buffer::new(1000), |row| row.sum::<u32>())
        .map_err(|error| error.to_string())
        .on_error_route(errors.sink(|_| {}))
        .subscribe(|_| {});
    let mut source = left;
    (0..2000).for_each(|v| source.next(v));
    assert_eq!(errors.text(), "\"`zip_all`: buffer of 1000 items is full\" |");
}

#[test]
fn a_panic_in_a_row_is_an_error() {
    let errors = Log::<String, Infallible>::default();
    let source = || Kind::from_iter([1]).stream_error();
    let latest = Kind::combine_latest_all([source(), source()], |row: &[i32]| -> i32 { panic!("{row:?}") });
    latest.map_err(|error| error.to_string()).on_error_route(errors.sink(|_| {})).subscribe(|_| {});
    assert_eq!(errors.text(), "\"panic in `combine_latest_all`: [1, 1]\" |");
    let errors = Log::<String, Infallible>::default();
    let zipped = Kind::zip_all([source(), source()], |row| -> i32 { panic!("{row:?}") });
    zipped.map_err(|error| error.to_string()).on_error_route(errors.sink(|_| {})).subscribe(|_| {});
    assert_eq!(errors.text(), "\"panic in `zip_all`: Drain([1, 1])\" |");
    let errors = Log::<String, Infallible>::default();
    let started = source().start_with((0..3).map(|n| if n < 1 { n } else { panic!("no {n}") }));
    started.map_err(|error| error.to_string()).on_error_route(errors.sink(|_| {})).subscribe(|_| {});
    assert_eq!(errors.text(), "\"panic in `start_with`: no 1\" |");
    let errors = Log::<String, Infallible>::default();
    let ended = source().end_with((0..3).map(|n| if n < 1 { n } else { panic!("no {n}") }));
    ended.map_err(|error| error.to_string()).on_error_route(errors.sink(|_| {})).subscribe(|_| {});
    assert_eq!(errors.text(), "\"panic in `end_with`: no 1\" |");
}

/// Unsubscribing in the first pair's `next` gives exactly one pair (RxJS #6716).
#[test]
fn zip_unsubscribed_at_its_first_pair_gives_one() {
    let (mut a, mut b) = (Kind::subject::<i32, Infallible>(), Kind::subject::<i32, Infallible>());
    let (log, slot) = (Log::default(), Arc::new(Mutex::new(None::<Sub>)));
    let own = slot.clone();
    let sub = a.clone().zip(b.clone()).subscribe_with(log.sink(move |_| {
        let sub = lock(&own).take();
        sub.into_iter().for_each(Subscription::unsubscribe);
    }));
    *lock(&slot) = Some(Sub::new(sub));
    (0..5).for_each(|v| a.next(v));
    (0..5).for_each(|v| b.next(v));
    a.complete();
    assert_eq!(log.text(), "(0, 0)");
}

/// RxJava #867: one side a million items ahead.
#[test]
fn zip_is_bounded() {
    let (million, left) = (1_000_000, Kind::subject::<u32, Infallible>());
    let errors = Log::<String, Infallible>::default();
    left.clone()
        .stream_error()
        .zip_with_buffer(Kind::never::<u32>().stream_error(), Buffer::new(1000))
        .map_err(|error| error.to_string())
        .on_error_route(errors.sink(|_| {}))
        .subscribe(|_| {});
    let mut source = left.clone();
    (0..million).for_each(|v| source.next(v));
    assert_eq!(errors.text(), "\"`zip`: buffer of 1000 items is full\" |");

    let (left, right, log) =
        (Kind::subject::<u32, Infallible>(), Kind::subject::<u32, Infallible>(), Log::default());
    let buffer = Buffer::new(1000).on_overflow(Overflow::DropOldest);
    let drops = buffer.drops();
    left.clone().zip_with_buffer(right.clone(), buffer).subscribe_with(log.sink(|_| {}));
    let (mut source, mut other) = (left, right);
    (0..million).for_each(|v| source.next(v));
    assert_eq!(drops.get(), 999_000);
    other.next(0);
    assert_eq!(log.text(), "(999000, 0)");
}

/// The left source is subscribed first.
#[test]
fn zip_takes_an_endless_iterator_on_the_right() {
    let log = Log::<(i32, i32), Infallible>::default();
    Kind::from_iter(0..2).zip(Kind::from_iter(0..)).subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "(0, 0) (1, 1) |");

    let (log, errors) = (Log::<(i32, i32), Infallible>::default(), Log::<String, Infallible>::default());
    Kind::from_iter(0..)
        .stream_error()
        .zip_with_buffer(Kind::from_iter(0..2).stream_error(), Buffer::new(10))
        .map_err(|error| error.to_string())
        .on_error_route(errors.sink(|_| {}))
        .subscribe_with(log.sink(|_| {}));
    assert_eq!(errors.text(), "\"`zip`: buffer of 10 items is full\" |");
    assert_eq!(log.text(), "|");
}

/// RxJava #5267: the first error is the stream's, the second is nobody's.
#[test]
fn the_second_error_is_not_delivered() {
    let s = Scheduler::new();
    let first = s.cold("-#").map_err(|MarbleError| "first");
    let seen = record(first.merge(s.cold("--#").map_err(|MarbleError| "second")));
    s.advance_by(ms(100));
    let signals = seen.signals();
    assert_eq!(signals, [(ms(1), rxevents::testing::Signal::Error("first"))]);
}

/// A char's code as its time: `c` is one later than `b`.
fn code(c: &char) -> i64 {
    i64::from(u32::from(*c))
}

fn text((a, b): (char, char)) -> char {
    // The pairs of these tests are at most two apart: `b` for (b, b), `B` for (b, c) or (b, d).
    if a == b { a } else { a.to_ascii_uppercase() }
}

const APART: Duration = Duration::from_nanos(1);

marbles! {
    join_within: |s| s.cold("b--e----x-|").join_within(s.cold("-c---e--k-x|"), APART, code, code).map(text), "-B---e----(x|)";
    join_within_exactly_the_tolerance: |s| s.cold("be|").join_within(s.cold("-dg|"), APART * 2, code, code).map(text), "-B(E|)";
    join_within_just_beyond_the_tolerance: |s| s.cold("b|").join_within(s.cold("-d|"), APART, code, code).map(text), "-|";
    join_within_no_tolerance: |s| s.cold("abc|").join_within(s.cold("-acd|"), ms(0), code, code).map(text), "-ac|";
    join_within_equal_times_are_kept: |s| s.cold("bbb-c|").join_within(s.cold("--bbb|"), ms(0), code, code).map(text), "--bbb|";
    join_within_the_latest_time: |s| s.cold("a|").join_within(s.cold("-a|"), Duration::MAX, |_| i64::MIN, |_| i64::MAX).map(text), "-(a|)";
    join_within_completes_when_one_is_used_up: |s| s.cold("ab|").join_within(s.cold("---a-b-c-d"), ms(0), code, code).map(text), "---a-(b|)";
    join_within_an_empty_one: |s| s.cold("|").join_within(s.cold("a-b"), ms(0), code, code).map(text), "|";
    join_within_another_empty_one: |s| s.cold("a-b").join_within(s.cold("-|"), ms(0), code, code).map(text), "-|";
    join_within_to_the_end: |s| s.cold("ab|").join_within(s.cold("---a-b-c-|"), Within::new(ms(0)).to_the_end(), code, code).map(text), "---a-b---|";
    join_within_one_is_silent: |s| s.cold("abc|").join_within(s.cold("-----"), ms(0), code, code).map(text), "-----";
    join_within_fails_with_items_waiting: |s| s.cold("ab#").join_within(s.cold("------a"), ms(0), code, code).map(text), "--#";
    join_within_another_failing_one: |s| s.cold("a---b-").join_within(s.cold("a-#"), ms(0), code, code).map(text), "a-#";
    join_within_below_take: |s| s.cold("abc").join_within(s.cold("abc"), ms(0), code, code).map(text).take(2), "a(b|)";
}

/// The definition, on whole lists: the pairs, and what is unmatched on each side.
fn joined(left: &[i64], right: &[i64], tolerance: u64) -> (Vec<(i64, i64)>, Vec<i64>, Vec<i64>) {
    let (mut l, mut r) = (left.iter().copied().peekable(), right.iter().copied().peekable());
    let (mut pairs, mut lefts, mut rights) = (vec![], vec![], vec![]);
    while let (Some(&a), Some(&b)) = (l.peek(), r.peek()) {
        if a.abs_diff(b) <= tolerance {
            pairs.push((a, b));
            l.next();
            r.next();
        } else if a < b {
            lefts.extend(l.next());
        } else {
            rights.extend(r.next());
        }
    }
    lefts.extend(l);
    rights.extend(r);
    (pairs, lefts, rights)
}

proptest::proptest! {
    /// Sorted or not, whichever side is ahead.
    #[test]
    fn join_within_does_not_depend_on_the_interleaving(
        left in proptest::collection::vec(-20_i64..20, 0..30),
        right in proptest::collection::vec(-20_i64..20, 0..30),
        turns in proptest::collection::vec(proptest::bool::ANY, 60),
        tolerance in 0_u64..5,
        sort: bool,
    ) {
        let (mut left, mut right) = (left, right);
        if sort {
            left.sort_unstable();
            right.sort_unstable();
        }
        let (mut a, mut b) = (Kind::subject::<i64, Infallible>(), Kind::subject::<i64, Infallible>());
        let log = Log::default();
        let alone = Arc::new(Mutex::new((vec![], vec![])));
        let note = alone.clone();
        let within = Within::new(Duration::from_nanos(tolerance)).to_the_end();
        let count = within.unmatched();
        let within = within.on_unmatched(move |item| match item {
            Unmatched::Left(item) => lock(&note).0.push(item),
            Unmatched::Right(item) => lock(&note).1.push(item),
        });
        a.clone().join_within(b.clone(), within, |at| *at, |at| *at).subscribe_with(log.sink(|_| {}));
        let (mut l, mut r) = (left.iter(), right.iter());
        for turn in turns {
            if turn { l.next().into_iter().for_each(|v| a.next(*v)) } else { r.next().into_iter().for_each(|v| b.next(*v)) }
        }
        l.for_each(|v| a.next(*v));
        a.complete();
        r.for_each(|v| b.next(*v));
        b.complete();
        let (pairs, lefts, rights) = joined(&left, &right, tolerance);
        proptest::prop_assert_eq!(log.items(), pairs);
        proptest::prop_assert_eq!(log.ends(), 1);
        proptest::prop_assert_eq!((count.left(), count.right()), (lefts.len() as u64, rights.len() as u64));
        proptest::prop_assert_eq!(&*lock(&alone), &(lefts, rights));
    }
}

#[test]
fn join_within_is_bounded_when_one_side_is_silent() {
    let left = Kind::subject::<i64, Infallible>();
    let errors = Log::<String, Infallible>::default();
    let within = Within::new(ms(0)).buffer(Buffer::new(1000));
    left.clone()
        .stream_error()
        .join_within(Kind::never::<i64>().stream_error(), within, |at| *at, |at| *at)
        .map_err(|error| error.to_string())
        .on_error_route(errors.sink(|_| {}))
        .subscribe(|_| {});
    let mut source = left.clone();
    (0..2000).for_each(|v| source.next(v));
    assert_eq!(errors.text(), "\"`join_within`: buffer of 1000 items is full\" |");

    for (policy, pairs) in
        [(Overflow::DropOldest, "(8, 8) (9, 9) |"), (Overflow::DropNewest, "(0, 0) (1, 1) |")]
    {
        let (mut left, mut right) = (Kind::subject::<i64, Infallible>(), Kind::subject::<i64, Infallible>());
        let buffer = Buffer::new(2).on_overflow(policy);
        let (drops, log) = (buffer.drops(), Log::default());
        let within = Within::new(ms(0)).buffer(buffer).to_the_end();
        let unmatched = within.unmatched();
        left.clone().join_within(right.clone(), within, |at| *at, |at| *at).subscribe_with(log.sink(|_| {}));
        (0..10).for_each(|v| left.next(v));
        (0..10).for_each(|v| right.next(v));
        left.complete();
        right.complete();
        assert_eq!(log.text(), pairs);
        // in = out + dropped + unmatched, per side
        assert_eq!(unmatched.left(), 0);
        assert_eq!(unmatched.right() + drops.get(), 8 + 8);
    }
}

/// No pair is made of times that cannot be told apart.
#[test]
fn join_within_leaves_a_time_that_does_not_fit_unmatched() {
    use chrono::{DateTime, Utc};
    let log = Log::default();
    let within = Within::new(ms(1)).to_the_end();
    let unmatched = within.unmatched();
    let times =
        || Kind::from_iter([DateTime::<Utc>::MIN_UTC, DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC]);
    times()
        .join_within(times(), within, |at| *at, |at| *at)
        .map(|(a, _)| a.timestamp())
        .subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "0 |");
    assert_eq!((unmatched.left(), unmatched.right()), (2, 2));
}

/// A window of that marble's length, for any item.
fn window<T>(s: &Scheduler, text: &str) -> impl FnMut(&T) -> OnTime<Cold> + Clone + use<T> {
    let duration = s.cold(text);
    move |_| duration.clone()
}

marbles! {
    join: |s| s.cold("-1----2-------|").join(s.cold("---a-----b--c-|"), window(s, "----x"), window(s, "--x")).map(pair),
        "---1-----3----|";
    join_all_that_are_open: |s| s.cold("12----|").join(s.cold("--a---b---|"), window(s, "-"), window(s, "-")).map(pair),
        "--(12)(23)|";
    join_closes_by_completion: |s| s.cold("1---|").join(s.cold("--a-b-|"), window(s, "---|"), window(s, "-")).map(pair), "--1-|";
    join_ends_with_the_last_left_window: |s| s.cold("1|").join(s.cold("--a-b-c"), window(s, "---x"), window(s, "-")).map(pair), "--1|";
    join_ends_with_the_last_right_window: |s| s.cold("1--2--3").join(s.cold("a|"), window(s, "-"), window(s, "----x")).map(pair),
        "1--2|";
    join_over_at_once_pairs_with_what_is_open: |s| s.cold("--2|").join(s.cold("a--b-|"), window(s, "|"), window(s, "-")).map(pair),
        "--2|";
    join_an_empty_one: |s| s.cold("|").join(s.cold("a-b"), window(s, "-"), window(s, "-")).map(pair), "|";
    join_another_empty_one: |s| s.cold("1-2").join(s.cold("-|"), window(s, "-"), window(s, "-")).map(pair), "-|";
    join_silent_ones: |s| s.cold("1--").join(s.cold("---"), window(s, "-"), window(s, "-")).map(pair), "";
    join_fails: |s| s.cold("1--#").join(s.cold("-a---b"), window(s, "-"), window(s, "-")).map(pair), "-1-#";
    join_fails_at_the_other: |s| s.cold("1----2").join(s.cold("-a-#"), window(s, "-"), window(s, "-")).map(pair), "-1-#";
    join_fails_by_a_duration: |s| s.cold("1----2").join(s.cold("-a-"), window(s, "--#"), window(s, "-")).map(pair), "-1#";
    join_fails_by_another_duration: |s| s.cold("1----2").join(s.cold("-a-"), window(s, "-"), window(s, "--#")).map(pair), "-1-#";
    join_below_take: |s| s.cold("123").join(s.cold("---a"), window(s, "-"), window(s, "-")).map(pair).take(2), "---(12|)";

    group_join: |s| s.cold("-1----2---------|")
        .group_join(s.cold("--a-b------c----|"), window(s, "----x"), window(s, "---x"))
        .flat_map(|(digit, group)| group.map(move |letter| both(digit, letter))), "--1-2-3---------|";
    group_join_completes_with_the_last_window: |s| s.cold("1|")
        .group_join(s.cold("-a---a"), window(s, "---x"), window(s, "-"))
        .flat_map(|(digit, group)| group.map(move |letter| both(digit, letter))), "-1-|";
    group_join_completes_with_both: |s| s.cold("1-|")
        .group_join(s.cold("-a-a|"), window(s, "-"), window(s, "-"))
        .flat_map(|(digit, group)| group.map(move |letter| both(digit, letter))), "-1-1|";
    group_join_ends_each_group: |s| s.cold("1---2-|")
        .group_join(s.cold("-----"), window(s, "--x"), window(s, "-"))
        .flat_map(|(digit, group)| group.end_with([digit])), "--1---(2|)";
    group_join_without_right_items: |s| s.cold("1-2|").group_join(s.cold("|"), window(s, "-x"), window(s, "-")).map(|(c, _)| c), "1-2|";
    group_join_fails: |s| s.cold("1--#").group_join(s.cold("-a"), window(s, "-"), window(s, "-"))
        .flat_map(|(digit, group)| group.map(move |letter| both(digit, letter))), "-1-#";
    group_join_below_take: |s| s.cold("12").group_join(s.cold("--a---b"), window(s, "-"), window(s, "-"))
        .flat_map(|(digit, group)| group.map(move |letter| both(digit, letter))).take(3), "--(12)(2|)";
}

/// An error of the stream is each group's, too.
#[test]
fn group_join_fails_with_its_groups() {
    let s = Scheduler::new();
    let log = Log::<char, MarbleError>::default();
    let groups = log.clone();
    let seen = record(s.cold("12-#").group_join(s.cold("--a"), window(&s, "-"), window(&s, "-")).map(
        move |(digit, group)| {
            group.subscribe_with(groups.sink(|_| {}));
            digit
        },
    ));
    s.advance_by(ms(10));
    assert_marbles!(seen, "12-#");
    assert_eq!(log.text(), "'a' 'a' #MarbleError #MarbleError");
}

#[test]
fn join_unsubscribed_within_a_pair_gives_one() {
    let (mut a, mut b) = (Kind::subject::<i32, Infallible>(), Kind::subject::<i32, Infallible>());
    let (log, slot) = (Log::default(), Arc::new(Mutex::new(None::<Sub>)));
    let own = slot.clone();
    let never = || |_: &i32| Kind::never::<()>();
    let sub = a.clone().join(b.clone(), never(), never()).subscribe_with(log.sink(move |_| {
        let sub = lock(&own).take();
        sub.into_iter().for_each(Subscription::unsubscribe);
    }));
    *lock(&slot) = Some(Sub::new(sub));
    (0..5).for_each(|v| a.next(v));
    (0..5).for_each(|v| b.next(v));
    assert_eq!(log.text(), "(0, 0)");
}

/// A duration is unsubscribed with its window, an endless one that emits at once stops.
#[test]
fn join_ends_the_durations() {
    let s = Scheduler::new();
    let live = Arc::new(AtomicUsize::new(0));
    let duration = |text: &str| {
        let (duration, live) = (s.cold(text), live.clone());
        move |_: &char| {
            let ended = live.clone();
            live.fetch_add(1, Ordering::SeqCst);
            duration.clone().finalize(move || drop(ended.fetch_sub(1, Ordering::SeqCst).to_string()))
        }
    };
    let mut seen =
        record(s.cold("123-").join(s.cold("ab--"), duration("--x-x-x"), duration("-----")).map(pair));
    s.advance_by(ms(1));
    assert_eq!(live.load(Ordering::SeqCst), 4);
    s.advance_by(ms(1));
    // That of 1 is over; there is one of 3.
    assert_eq!(live.load(Ordering::SeqCst), 4);
    seen.unsubscribe();
    s.run_ready();
    assert_eq!((live.load(Ordering::SeqCst), s.tasks()), (0, 0));

    let log = Log::default();
    let endless = |_: &i32| Kind::range(0_u64..);
    Kind::from_iter([1, 2])
        .join(Kind::from_iter([3]), |_| Kind::never::<()>(), endless)
        .subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "(1, 3) (2, 3) |");
}

#[test]
fn join_is_bounded() {
    let never = || |_: &u32| Kind::never::<()>().stream_error();
    let errors = Log::<String, Infallible>::default();
    Kind::from_iter(0_u32..10)
        .stream_error()
        .join_with_buffer(Kind::never::<u32>().stream_error(), never(), never(), Buffer::new(2))
        .map_err(|error| error.to_string())
        .on_error_route(errors.sink(|_| {}))
        .subscribe(|_| {});
    assert_eq!(errors.text(), "\"`join`: buffer of 2 items is full\" |");

    for (policy, pairs) in [(Overflow::DropOldest, "(8, 0) (9, 0)"), (Overflow::DropNewest, "(0, 0) (1, 0)")]
    {
        let buffer = Buffer::new(2).on_overflow(policy);
        let (drops, log) = (buffer.drops(), Log::<_, StreamError>::default());
        Kind::from_iter(0_u32..10)
            .stream_error()
            .join_with_buffer(Kind::of(0_u32).stream_error(), never(), never(), buffer)
            .subscribe_with(log.sink(|_| {}));
        assert_eq!((log.text(), drops.get()), (format!("{pairs} |"), 8));
    }
    // What goes for another, takes its group with it; so all items are in some group, or counted.
    let buffer = Buffer::new(1).on_overflow(Overflow::DropOldest);
    let (drops, log) = (buffer.drops(), Log::<_, StreamError>::default());
    Kind::from_iter(0_u32..3)
        .stream_error()
        .group_join_with_buffer(Kind::of(9_u32).stream_error(), never(), never(), buffer)
        .flat_map(|(n, group)| group.map(move |m| (n, m)).end_with([(n, 0)]))
        .subscribe_with(log.sink(|_| {}));
    assert_eq!((log.text(), drops.get()), ("(0, 0) (1, 0) (2, 9) (2, 0) |".into(), 2));
}

/// bytewax #406: `join(a, b)` is `join(b, a)` with the pairs swapped.
#[test]
fn join_does_not_depend_on_the_side() {
    let texts = ["-1--2-3--4---5|", "--a--b---c-d---e|"];
    let pairs = |swap: bool| {
        let s = Scheduler::new();
        let [one, other] = texts.map(|text| s.cold(text));
        let seen = if swap {
            record(other.join(one, window(&s, "---x"), window(&s, "----x")).map(|(b, a)| (a, b)))
        } else {
            record(one.join(other, window(&s, "----x"), window(&s, "---x")))
        };
        s.advance_by(ms(100));
        let mut items = seen.items();
        items.sort_unstable();
        items
    };
    assert_eq!(pairs(false), pairs(true));
    assert!(pairs(false).len() > 5);
}

/// A row of a digit and a letter.
fn matched(_: usize, row: std::vec::Drain<'_, char>) -> char {
    let row = row.as_slice();
    both(row[0], row[1])
}

fn two_patterns() -> [Pattern; 2] {
    [Pattern::of(0).and(1), Pattern::of(0).and(2)]
}

marbles! {
    when: |s| s.on(Kind::when(many(s, ["--1-----2---|", "----a-----------b-|", "------c--------|"]), two_patterns(), matched)),
        "----1---4---|";
    when_the_first_that_matches: |s| s.on(Kind::when(many(s, ["--1-2|", "b---|", "c---|"]), two_patterns(), matched)), "--2-(4|)";
    when_each_item_goes_to_one: |s| s.on(Kind::when(many(s, ["1----|", "--a--|", "--c--|"]), two_patterns(), matched)), "--1--|";
    when_of_one_source: |s| s.on(Kind::when(many(s, ["a-b|"]), [Pattern::of(0)], |_, mut row| row.next().unwrap_or('?'))), "a-b|";
    when_of_two_items_of_one: |s| s.on(Kind::when(many(s, ["1b-2c-3|"]), [Pattern::of(0).and(0)], matched)), "-2--4--|";
    when_no_pattern: |s| s.on(Kind::when(many(s, ["1--"]), [], matched)), "|";
    when_an_empty_source: |s| s.on(Kind::when(many(s, ["1--", "-|"]), [Pattern::of(0).and(1)], matched)), "-|";
    when_one_pattern_is_over: |s| s.on(Kind::when(many(s, ["1--2-|", "|", "--c-c"]), two_patterns(), matched)), "--3-4|";
    when_a_source_in_no_pattern: |s| s.on(Kind::when(many(s, ["1|", "a|", "c-----"]), [Pattern::of(0).and(1)], matched)), "1|";
    when_fails: |s| s.on(Kind::when(many(s, ["1--#", "-a-"]), [Pattern::of(0).and(1)], matched)), "-1-#";
    when_below_take: |s| s.on(Kind::when(many(s, ["123", "aaa"]), [Pattern::of(0).and(1)], matched)).take(2), "1(2|)";
}

#[test]
fn when_is_bounded_and_knows_its_sources() {
    let source = || Kind::from_iter(0_u32..10).stream_error();
    let text = |patterns: &[Pattern]| {
        let errors = Log::<String, Infallible>::default();
        Kind::when_with_buffer([source(), source()], patterns.to_vec(), Buffer::new(2), |_, row| {
            row.sum::<u32>()
        })
        .map_err(|error| error.to_string())
        .on_error_route(errors.sink(|_| {}))
        .subscribe(|_| {});
        errors.text()
    };
    assert_eq!(text(&[Pattern::of(0).and(1)]), "\"`when`: buffer of 2 items is full\" |");
    assert_eq!(
        text(&[Pattern::of(1), Pattern::of(0).and(2)]),
        "\"`when`: pattern 1 names source 2, but there are 2 (both count from 0)\" |"
    );
}
