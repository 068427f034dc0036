use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use rxevents::{
    assert_marbles,
    prelude::*,
    testing::{MarbleError, record, record_during},
};

use super::flavour::{Kind, Scheduler, Sub};
use crate::common::{Log, lock, ms};

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
