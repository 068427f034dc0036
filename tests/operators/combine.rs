use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use rxevents::{
    assert_marbles,
    operator::combine::Unmatched,
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
