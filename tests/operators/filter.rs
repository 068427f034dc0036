use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rxevents::{
    assert_marbles,
    operator::key::KeyOverflow,
    prelude::*,
    testing::{record, record_during},
};

use super::flavour::{Kind, Scheduler};
use crate::common::{Log, ms};

fn even(c: &char) -> bool {
    c.to_digit(10).is_some_and(|n| n % 2 == 0)
}

marbles! {
    filter: |s| s.cold("--1--2--3--4-|").filter(even), "-----2-----4-|";
    filter_nothing: |s| s.cold("-|").filter(even), "-|";
    filter_an_error: |s| s.cold("2-1#").filter(even), "2--#";

    take: |s| s.cold("-a-b-c-d").take(2), "-a-(b|)";
    take_none: |s| s.cold("--a-b").take(0), "--|";
    take_none_of_nothing: |s| s.cold("--|").take(0), "--|";
    take_all: |s| s.cold("a-b|").take(usize::MAX), "a-b|";
    take_more_than_there_are: |s| s.cold("a-b|").take(3), "a-b|";
    take_before_an_error: |s| s.cold("a-b#").take(2), "a-(b|)";
    take_an_error: |s| s.cold("a-#").take(2), "a-#";
    take_twice: |s| s.cold("abcd").take(3).take(2), "a(b|)";
    first: |s| s.cold("--a-b").first(), "--(a|)";
    first_of_nothing: |s| s.cold("--|").first(), "--|";

    first_or: |s| s.cold("--a-b").first_or('z'), "--(a|)";
    first_or_of_nothing: |s| s.cold("--|").first_or('z'), "--(z|)";
    first_or_an_error: |s| s.cold("--#").first_or('z'), "--#";
    first_or_never: |s| s.cold("-----").first_or('z'), "-";
    element_at: |s| s.cold("-a-b-c-d").element_at(2), "-----(c|)";
    element_at_the_first: |s| s.cold("-a-b").element_at(0), "-(a|)";
    element_at_too_far: |s| s.cold("-a-b|").element_at(2), "----|";
    element_at_too_far_by_much: |s| s.cold("-a|").element_at(usize::MAX), "--|";
    element_at_before_an_error: |s| s.cold("a-b#").element_at(1), "--(b|)";
    element_at_an_error: |s| s.cold("a-#").element_at(1), "--#";
    element_at_or: |s| s.cold("-a-b-c").element_at_or(1, 'z'), "---(b|)";
    element_at_or_too_far: |s| s.cold("-a-b|").element_at_or(2, 'z'), "----(z|)";
    last: |s| s.cold("--a--b-|").last(), "-------(b|)";
    last_of_nothing: |s| s.cold("--|").last(), "--|";
    last_of_an_error: |s| s.cold("a-b#").last(), "---#";
    last_of_never: |s| s.cold("a-b---").last(), "-";
    last_below_take: |s| s.cold("a-b-c").take(2).last(), "--(b|)";
    last_or: |s| s.cold("a-b|").last_or('z'), "---(b|)";
    last_or_of_nothing: |s| s.cold("--|").last_or('z'), "--(z|)";
    last_or_of_an_error: |s| s.cold("--#").last_or('z'), "--#";
    single: |s| s.cold("--a--|").stream_error().single(), "-----(a|)";
    single_of_several: |s| s.cold("--a--b-c|").stream_error().single(), "-----#";
    single_of_nothing: |s| s.cold("--|").stream_error().single(), "--#";
    single_of_an_error: |s| s.cold("a-#").stream_error().single(), "--#";
    single_of_never: |s| s.cold("a----").stream_error().single(), "-";
    ignore_elements: |s| s.cold("--a--b-|").ignore_elements::<char, _>(), "-------|";
    ignore_elements_of_an_error: |s| s.cold("a-b#").ignore_elements::<char, _>(), "---#";
    ignore_elements_of_never: |s| s.cold("a-b--").ignore_elements::<char, _>(), "-";

    take_while_inclusive: |s| s.cold("-2-4-5-6").take_while_inclusive(even), "-2-4-(5|)";
    take_while_inclusive_all: |s| s.cold("2-4|").take_while_inclusive(even), "2-4|";
    take_while_inclusive_the_first: |s| s.cold("-1-2").take_while_inclusive(even), "-(1|)";
    take_while_inclusive_an_error: |s| s.cold("2-#").take_while_inclusive(even), "2-#";

    take_while: |s| s.cold("-2-4-5-6").take_while(even), "-2-4-|";
    take_while_all: |s| s.cold("2-4|").take_while(even), "2-4|";
    take_while_none: |s| s.cold("-1-2").take_while(even), "-|";
    take_while_an_error: |s| s.cold("2-#").take_while(even), "2-#";

    take_until: |s| s.cold("--1--2--3--4-|").take_until(s.cold("--------x")), "--1--2--|";
    take_until_at_once: |s| s.cold("a-b").take_until(s.cold("x")), "|";
    take_until_nothing: |s| s.cold("a-b-c|").take_until(s.cold("--|")), "a-b-c|";
    take_until_never: |s| s.cold("a-b|").take_until(s.cold("-----")), "a-b|";
    take_until_an_error: |s| s.cold("a-b-c").take_until(s.cold("---#")), "a-b#";
    take_until_its_own_error: |s| s.cold("a-#").take_until(s.cold("-----x")), "a-#";

    skip_while: |s| s.cold("-2-4-5-6-|").skip_while(even), "-----5-6-|";
    skip_while_all: |s| s.cold("2-4|").skip_while(even), "---|";
    skip_while_none: |s| s.cold("-1-2|").skip_while(even), "-1-2|";
    skip_while_an_error: |s| s.cold("2-#").skip_while(even), "--#";
    skip_while_of_nothing: |s| s.cold("--|").skip_while(even), "--|";

    skip_until: |s| s.cold("--1--2--3--4-|").skip_until(s.cold("------x")), "--------3--4-|";
    skip_until_at_once: |s| s.cold("a-b|").skip_until(s.on(Kind::of(())).map_err(|never| match never {})), "a-b|";
    skip_until_nothing: |s| s.cold("a-b-c|").skip_until(s.cold("--|")), "-----|";
    skip_until_never: |s| s.cold("a-b|").skip_until(s.cold("-----")), "---|";
    skip_until_an_error: |s| s.cold("a-b-c").skip_until(s.cold("---#")), "---#";
    skip_until_its_own_error: |s| s.cold("a-#").skip_until(s.cold("-----x")), "--#";
    skip_until_hears_the_notifier_once: |s| s.cold("a-b-c-d|").skip_until(s.cold("-x-#")), "--b-c-d|";
    skip_until_twice: |s| s.cold("a-b-c-d-|").skip_until(s.cold("-x")).skip_until(s.cold("---y")), "----c-d-|";

    distinct: |s| s.cold("-a-b-a-c-b|").distinct(), "-a-b---c--|";
    distinct_an_error: |s| s.cold("aa#").distinct(), "a-#";
    distinct_of_nothing: |s| s.cold("--|").distinct(), "--|";
    distinct_below_take: |s| s.cold("aab-c").distinct().take(2), "a-(b|)";
    distinct_by: |s| s.cold("1-4-2-3|").map(|c| (even(&c), c)).distinct_by(|(even, _)| even).map(|(_, c)| c), "1-4----|";
    distinct_by_with_forgets: |s| s.cold("abab|")
        .distinct_by_with(Keys::new(1).on_overflow(KeyOverflow::Forget), |c| c), "abab|";
    distinct_by_with_fails_when_full: |s| s.cold("aab-c").stream_error().distinct_by_with(Keys::new(1), |c| c), "a-#";
    distinct_by_flush: |s| s.cold("--a--a--b--a--b-|")
        .distinct_by_flush(Keys::default(), |c| c, s.cold("-------x")), "--a-----b--a----|";
    distinct_by_flush_again: |s| s.cold("a-a-a-a|")
        .distinct_by_flush(Keys::default(), |c| c, s.cold("-x---x")), "a-a---a|";
    distinct_by_flush_makes_room: |s| s.cold("a---b|").stream_error()
        .distinct_by_flush(Keys::new(1), |c| c, s.cold("--x").stream_error()), "a---b|";
    distinct_by_flush_has_no_room: |s| s.cold("a---b|").stream_error()
        .distinct_by_flush(Keys::new(1), |c| c, s.cold("------x").stream_error()), "a---#";
    distinct_by_flush_that_completes: |s| s.cold("aa-a|").distinct_by_flush(Keys::default(), |c| c, s.cold("-|")), "a---|";
    distinct_by_flush_that_fails: |s| s.cold("aa-a").distinct_by_flush(Keys::default(), |c| c, s.cold("--#")), "a-#";
    distinct_by_flush_its_own_error: |s| s.cold("aa#").distinct_by_flush(Keys::default(), |c| c, s.cold("------x")), "a-#";

    skip: |s| s.cold("a-b-c|").skip(2), "----c|";
    skip_none: |s| s.cold("a-b|").skip(0), "a-b|";
    skip_more_than_there_are: |s| s.cold("a-b|").skip(usize::MAX), "---|";
    skip_an_error: |s| s.cold("a-#").skip(2), "--#";
    take_last: |s| s.cold("a-b-c|").take_last(2), "-----(bc|)";
    take_last_all: |s| s.cold("a-b|").take_last(usize::MAX), "---(ab|)";
    skip_last_all: |s| s.cold("a-b|").skip_last(usize::MAX), "---|";
    take_last_below_take: |s| s.cold("abc|").take_last(3).take(1), "---(a|)";
    take_last_none: |s| s.cold("a-b|").take_last(0), "---|";
    take_last_more_than_there_are: |s| s.cold("a-b|").take_last(5), "---(ab|)";
    take_last_fails_with_items_waiting: |s| s.cold("a-b#").take_last(2), "---#";
    skip_last: |s| s.cold("a-b-c|").skip_last(1), "--a-b|";
    skip_last_none: |s| s.cold("a-b|").skip_last(0), "a-b|";
    skip_last_more_than_there_are: |s| s.cold("a-b|").skip_last(5), "---|";
    distinct_until_changed: |s| s.cold("aabba-a|").distinct_until_changed(), "a-b-a--|";
    distinct_until_changed_an_error: |s| s.cold("aa#").distinct_until_changed(), "a-#";
    distinct_until_changed_of_nothing: |s| s.cold("--|").distinct_until_changed(), "--|";
    distinct_until_key_changed: |s| s.cold("1-3-2-4-1|").map(|c| (even(&c), c))
        .distinct_until_key_changed(|(even, _)| even).map(|(_, c)| c), "1---2---1|";
    distinct_until_key_changed_an_error: |s| s.cold("aa#").distinct_until_key_changed(|c| c), "a-#";
}

#[test]
fn take_until_does_not_subscribe_when_its_notifier_emits_at_once() {
    let subscribed = Arc::new(AtomicUsize::new(0));
    let count = subscribed.clone();
    let source = Kind::defer(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Kind::of(1)
    });
    source.take_until(Kind::of(())).subscribe(|_| {});
    assert_eq!(subscribed.load(Ordering::SeqCst), 0);
}

#[test]
fn unsubscribed_in_the_middle_take_until_ends_both() {
    let s = Scheduler::new();
    let seen = record_during(s.cold("a-b-c-d").take_until(s.cold("-------x")), "^--!");
    s.advance_by(ms(100));
    assert_marbles!(seen, "a-b");
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));
}

#[test]
fn single_says_what_is_wrong() {
    let said = |numbers: &'static [i32]| {
        let log = Log::<_, StreamError>::default();
        Kind::from_iter(numbers.iter().copied()).stream_error().single().subscribe_with(log.sink(|_| {}));
        log.text()
    };
    assert_eq!(said(&[7]), "7 |");
    assert_eq!(said(&[]), r##"#NoItem("single")"##);
    assert_eq!(said(&[7, 7]), r##"#SeveralItems("single")"##);
}

#[test]
fn what_decides_stops_an_endless_source() {
    let pulled = Arc::new(AtomicUsize::new(0));
    let numbers = || {
        let count = pulled.clone();
        Kind::from_iter(0..).tap(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        })
    };
    let log = Log::<i32, Infallible>::default();
    numbers().element_at(3).subscribe_with(log.sink(|_| {}));
    numbers().first_or(9).subscribe_with(log.sink(|_| {}));
    numbers().take_while_inclusive(|v| *v < 2).subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "3 | 0 | 0 1 2 |");
    assert_eq!(pulled.load(Ordering::SeqCst), 4 + 1 + 3);
}

#[test]
fn skip_while_asks_no_more_once_it_is_open() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, log) = (asked.clone(), Log::<i32, Infallible>::default());
    let skip = move |v: &i32| {
        count.fetch_add(1, Ordering::SeqCst);
        *v < 2
    };
    Kind::from_iter(0..5).skip_while(skip).subscribe_with(log.sink(|_| {}));
    assert_eq!((log.items(), asked.load(Ordering::SeqCst)), (vec![2, 3, 4], 3));
}

#[test]
fn skip_until_is_opened_by_its_own_source() {
    let (mut door, log) = (Kind::subject::<(), Infallible>(), Log::<i32, Infallible>::default());
    let open = door.clone();
    let numbers = Kind::from_iter(0..4).tap(move |v| {
        if *v == 2 {
            door.next(());
        }
    });
    numbers.skip_until(open).subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "2 3 |");
}

#[test]
fn unsubscribed_in_the_middle_skip_until_ends_both() {
    let s = Scheduler::new();
    for notifier in ["-x", "--------x"] {
        let seen = record_during(s.cold("a-b-c-d").skip_until(s.cold(notifier)), "^--!");
        s.advance_by(ms(100));
        assert_eq!(seen.items().len(), usize::from(notifier == "-x"));
        assert_eq!((s.tasks(), s.sleeps()), (0, 0));
    }
}

#[test]
fn the_flush_is_unsubscribed_with_the_source() {
    let s = Scheduler::new();
    let once = s.cold("aab|").distinct_by_flush(Keys::default(), |c| c, s.cold("----------x"));
    let seen = record(once);
    s.advance_by(ms(5));
    assert_marbles!(seen, "a-b|");
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));
}

/// A flush that the subscriber causes while it handles an item comes after that item.
#[test]
fn distinct_by_flush_may_be_flushed_by_its_subscriber() {
    let (mut items, flush) = (Kind::subject::<char, Infallible>(), Kind::subject::<(), Infallible>());
    let (log, mut forget) = (Log::<char, Infallible>::default(), flush.clone());
    items.clone().distinct_by_flush(Keys::default(), |c| c, flush).subscribe_with(log.sink(move |c| {
        if *c == 'x' {
            forget.next(());
        }
    }));
    "aaxaa".chars().for_each(|c| items.next(c));
    assert_eq!(log.items(), ['a', 'x', 'a']);
}

#[test]
fn a_nan_is_never_the_same_again() {
    let log = Log::<f64, Infallible>::default();
    Kind::from_iter([f64::NAN, f64::NAN, 1.0, 1.0]).distinct_until_changed().subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "NaN NaN 1.0 |");
}

#[test]
fn a_key_of_text_is_compared_as_text() {
    let log = Log::<String, Infallible>::default();
    let words = ["up", "up", "down", "up"].map(str::to_owned);
    Kind::from_iter(words.clone())
        .distinct_until_key_changed(|word| word.as_str())
        .subscribe_with(log.sink(|_| {}));
    assert_eq!(log.items(), ["up", "down", "up"]);
    let log = Log::<String, Infallible>::default();
    Kind::from_iter(words).distinct_by(|word| word.as_str()).subscribe_with(log.sink(|_| {}));
    assert_eq!(log.items(), ["up", "down"]);
}
