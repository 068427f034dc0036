use std::{
    cmp::Ordering,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering as Atomic},
    },
    time::Duration,
};

use rxevents::{assert_marbles, prelude::*, testing::record_during};

use super::flavour::{Kind, Scheduler};
use crate::common::{Log, ms};

fn digit(n: u64) -> char {
    char::from_digit(n as u32, 10).unwrap_or('?')
}

fn value(c: char) -> u64 {
    c.to_digit(10).map_or(0, u64::from)
}

/// `t` for true.
fn answer(yes: bool) -> char {
    if yes { 't' } else { 'f' }
}

fn even(c: &char) -> bool {
    value(*c).is_multiple_of(2)
}

marbles! {
    count: |s| s.cold("--a--b-|").count().map(digit), "-------(2|)";
    count_nothing: |s| s.cold("--|").count().map(digit), "--(0|)";
    count_an_error: |s| s.cold("a-#").count().map(digit), "--#";
    count_never: |s| s.cold("a---").count().map(digit), "-";
    count_below_take: |s| s.cold("a-b-c").take(2).count().map(digit), "--(2|)";

    sum: |s| s.cold("-1-2-3|").map(value).sum().map(digit), "------(6|)";
    sum_of_nothing: |s| s.cold("-|").map(value).sum().map(digit), "-(0|)";
    sum_of_an_error: |s| s.cold("1-#").map(value).sum().map(digit), "--#";
    sum_too_large: |s| s.cold("-1-1-1").stream_error().map(|_| 100_u8).sum().map(|_| 'x'), "-----#";

    average: |s| s.cold("1-2-6|").map(|c| value(c) as f64).average().map(|v| digit(v as u64)), "-----(3|)";
    average_of_nothing: |s| s.cold("--|").map(|_| 1.0).average().map(|_| 'x'), "--|";
    average_of_an_error: |s| s.cold("1-#").map(|_| 1.0).average().map(|_| 'x'), "--#";
    average_by: |s| s.cold("1-2-6|").average_by(|c| value(*c) as f64).map(|v| digit(v as u64)), "-----(3|)";
    average_by_of_nothing: |s| s.cold("--|").average_by(|_| 1.0).map(|_| 'x'), "--|";

    min: |s| s.cold("3-1-2|").min(), "-----(1|)";
    min_of_nothing: |s| s.cold("--|").min(), "--|";
    min_of_an_error: |s| s.cold("3-1#").min(), "---#";
    max: |s| s.cold("1-3-2|").max(), "-----(3|)";
    max_of_nothing: |s| s.cold("--|").max(), "--|";
    max_of_an_error: |s| s.cold("3-1#").max(), "---#";
    min_by: |s| s.cold("1-3-2|").min_by(|a, b| b.cmp(a)), "-----(3|)";
    max_by: |s| s.cold("3-1-2|").max_by(|a, b| b.cmp(a)), "-----(1|)";
    min_by_key: |s| s.cold("4-3-2-5|").min_by_key(even), "-------(3|)";
    max_by_key: |s| s.cold("4-3-2-5|").max_by_key(even), "-------(2|)";

    reduce: |s| s.cold("-1-2-3|").reduce(|a, b| digit(value(a) + value(b))), "------(6|)";
    reduce_one: |s| s.cold("-1--|").reduce(|_, _| 'x'), "----(1|)";
    reduce_nothing: |s| s.cold("--|").reduce(|_, _| 'x'), "--|";
    reduce_an_error: |s| s.cold("1-2#").reduce(|_, _| 'x'), "---#";
    fold: |s| s.cold("-1-2-3|").fold(1, |sum, c| sum + value(c)).map(digit), "------(7|)";
    fold_nothing: |s| s.cold("--|").fold(1, |sum, c| sum + value(c)).map(digit), "--(1|)";
    fold_an_error: |s| s.cold("1-#").fold('x', |_, _| 'y'), "--#";

    to_vec: |s| s.cold("-a-b|").to_vec().map(|v| { assert_eq!(v, ['a', 'b']); 'v' }), "----(v|)";
    to_vec_of_nothing: |s| s.cold("--|").to_vec().map(|v| digit(v.len() as u64)), "--(0|)";
    to_vec_of_an_error: |s| s.cold("a-#").to_vec().map(|_| 'x'), "--#";
    to_vec_with_fails_when_full: |s| s.cold("a-b-c-d").stream_error().to_vec_with(Buffer::new(2)).map(|_| 'x'), "----#";

    all: |s| s.cold("2-4-|").all(even).map(answer), "----(t|)";
    all_but_one: |s| s.cold("2-5-4").all(even).map(answer), "--(f|)";
    all_of_nothing: |s| s.cold("--|").all(even).map(answer), "--(t|)";
    all_of_an_error: |s| s.cold("2-#").all(even).map(answer), "--#";
    any: |s| s.cold("1-2-3").any(even).map(answer), "--(t|)";
    any_but_none: |s| s.cold("1-3|").any(even).map(answer), "---(f|)";
    any_of_nothing: |s| s.cold("--|").any(even).map(answer), "--(f|)";
    any_of_an_error: |s| s.cold("1-#").any(even).map(answer), "--#";
    contains: |s| s.cold("a-b-c").contains('b').map(answer), "--(t|)";
    contains_it_not: |s| s.cold("a-b-|").contains('c').map(answer), "----(f|)";
    contains_of_an_error: |s| s.cold("a-#").contains('c').map(answer), "--#";
    is_empty: |s| s.cold("--|").is_empty().map(answer), "--(t|)";
    is_empty_it_is_not: |s| s.cold("--a-b").is_empty().map(answer), "--(f|)";
    is_empty_of_an_error: |s| s.cold("--#").is_empty().map(answer), "--#";
    is_empty_of_never: |s| s.cold("-----").is_empty().map(answer), "-";

    default_if_empty: |s| s.cold("--a-b|").default_if_empty('z'), "--a-b|";
    default_if_empty_it_is: |s| s.cold("--|").default_if_empty('z'), "--(z|)";
    default_if_empty_of_an_error: |s| s.cold("--#").default_if_empty('z'), "--#";
    default_if_empty_of_never: |s| s.cold("-----").default_if_empty('z'), "-";

    switch_if_empty: |s| s.cold("----|").switch_if_empty(s.cold("1-2|")), "----1-2|";
    switch_if_empty_it_is_not: |s| s.cold("--a--|").switch_if_empty(s.cold("1-2|")), "--a--|";
    switch_if_empty_both_are: |s| s.cold("-|").switch_if_empty(s.cold("--|")), "---|";
    switch_if_empty_of_an_error: |s| s.cold("--#").switch_if_empty(s.cold("1-2|")), "--#";
    switch_if_empty_to_an_error: |s| s.cold("--|").switch_if_empty(s.cold("1-#")), "--1-#";
    switch_if_empty_of_never: |s| s.cold("-----").switch_if_empty(s.cold("1-2|")), "-";
    switch_if_empty_to_never: |s| s.cold("-|").switch_if_empty(s.cold("-----")), "-";
    switch_if_empty_below_take: |s| s.cold("-|").switch_if_empty(s.cold("a-b-c")).take(2), "-a-(b|)";

    sequence_equal: |s| s.cold("--1--2--3-|").sequence_equal(s.cold("----1-----2-3|")).map(answer), "-------------(t|)";
    sequence_equal_the_other_is_first: |s| s.cold("----1-2-|").sequence_equal(s.cold("12|")).map(answer), "--------(t|)";
    sequence_equal_two_empty_ones: |s| s.cold("-|").sequence_equal(s.cold("---|")).map(answer), "---(t|)";
    sequence_equal_they_differ: |s| s.cold("1-2-3-").sequence_equal(s.cold("1--4-")).map(answer), "---(f|)";
    sequence_equal_one_is_shorter: |s| s.cold("1-|").sequence_equal(s.cold("1---2---")).map(answer), "----(f|)";
    sequence_equal_the_other_is_shorter: |s| s.cold("1---2---").sequence_equal(s.cold("1-|")).map(answer), "----(f|)";
    sequence_equal_more_has_come_already: |s| s.cold("12---").sequence_equal(s.cold("1--|")).map(answer), "---(f|)";
    sequence_equal_more_of_the_other_has_come: |s| s.cold("1--|").sequence_equal(s.cold("12---")).map(answer), "---(f|)";
    sequence_equal_with_an_empty_one: |s| s.cold("|").sequence_equal(s.cold("--a-")).map(answer), "--(f|)";
    sequence_equal_with_never: |s| s.cold("1-|").sequence_equal(s.cold("1-----")).map(answer), "-";
    sequence_equal_it_fails: |s| s.cold("1-#").sequence_equal(s.cold("1---|")).map(answer), "--#";
    sequence_equal_the_other_fails: |s| s.cold("1---|").sequence_equal(s.cold("1-#")).map(answer), "--#";
    sequence_equal_it_differs_before_it_fails: |s| s.cold("1-#").sequence_equal(s.cold("2")).map(answer), "(f|)";
    sequence_equal_is_full: |s| s.cold("123").stream_error()
        .sequence_equal_with_buffer(s.cold("-----1").stream_error(), Buffer::new(2)).map(answer), "--#";
    sequence_equal_drops: |s| s.cold("123|")
        .sequence_equal_with_buffer(s.cold("-----23|"), Buffer::new(2).on_overflow(Overflow::DropOldest)).map(answer),
        "-------(t|)";
}

/// What comes out of values that are there.
macro_rules! made {
    ($items:expr, |$source:ident| $chain:expr) => {{
        let log = Log::<_, StreamError>::default();
        let $source = Kind::from_iter($items).stream_error();
        $chain.subscribe_with(log.sink(|_| {}));
        log.text()
    }};
}

#[test]
fn sums_are_of_many_types_and_never_wrap() {
    assert_eq!(made!([i64::MAX, -1, 1], |s| s.sum()), format!("{} |", i64::MAX));
    assert_eq!(made!([i32::MIN, -1], |s| s.sum()), r##"#OutOfRange { operator: "sum", of: "i32" }"##);
    assert_eq!(made!([0.1, 0.2], |s| s.sum()), "0.30000000000000004 |");
    assert_eq!(made!([1.0, f64::NAN], |s| s.sum()), "NaN |");
    assert_eq!(made!([Duration::from_secs(1), ms(500)], |s| s.sum()), "1.5s |");
    assert_eq!(
        made!([Duration::MAX, ms(1)], |s| s.sum()),
        r##"#OutOfRange { operator: "sum", of: "core::time::Duration" }"##
    );
}

/// As `Iterator` has it: of equal ones the first minimum and the last maximum.
#[test]
fn of_equal_ones_it_is_the_first_minimum_and_the_last_maximum() {
    let items = [(1, 'a'), (2, 'b'), (1, 'c'), (2, 'd')];
    let by = |a: &(i32, char), b: &(i32, char)| a.0.cmp(&b.0);
    assert_eq!(made!(items, |s| s.min_by(by)), "(1, 'a') |");
    assert_eq!(made!(items, |s| s.max_by(by)), "(2, 'd') |");
    assert_eq!(made!(items, |s| s.min_by_key(|v| v.0)), "(1, 'a') |");
    assert_eq!(made!(items, |s| s.max_by_key(|v| v.0)), "(2, 'd') |");
    assert_eq!(items.into_iter().min_by(by), Some((1, 'a')));
    assert_eq!(items.into_iter().max_by(by), Some((2, 'd')));
}

#[test]
fn floats_are_in_their_total_order() {
    let readings = [1.5, f64::NAN, -2.5, f64::INFINITY, -0.0, 0.0];
    assert_eq!(made!(readings, |s| s.min_by(f64::total_cmp)), "-2.5 |");
    assert_eq!(made!(readings, |s| s.max_by(f64::total_cmp)), "NaN |");
    assert_eq!(made!(readings, |s| s.filter(|v| !v.is_nan()).max_by(f64::total_cmp)), "inf |");
    assert_eq!(made!([0.0, -0.0], |s| s.min_by(f64::total_cmp)), "-0.0 |");
    assert_eq!(
        made!([f64::NEG_INFINITY, -f64::NAN], |s| s.min_by(f64::total_cmp).map(f64::is_nan)),
        "true |"
    );
}

#[test]
fn a_key_is_computed_once_an_item() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let key = move |v: &i32| {
        count.fetch_add(1, Atomic::SeqCst);
        *v
    };
    assert_eq!(made!([3, 1, 2], |s| s.min_by_key(key)), "1 |");
    assert_eq!(calls.load(Atomic::SeqCst), 3);
}

#[test]
fn what_to_vec_drops_is_counted() {
    for (overflow, kept) in [(Overflow::DropOldest, "[4, 5] |"), (Overflow::DropNewest, "[1, 2] |")] {
        let buffer = Buffer::new(2).on_overflow(overflow);
        let drops = buffer.drops();
        assert_eq!(made!(1..=5, |s| s.to_vec_with(buffer)), kept);
        assert_eq!(drops.get(), 3);
    }
    // Of a stream that fails, all.
    let buffer = Buffer::new(2);
    let drops = buffer.drops();
    assert!(made!(1..=5, |s| s.to_vec_with(buffer)).contains("Overflow"));
    assert_eq!(drops.get(), 2);
    let buffer = Buffer::new(5);
    let drops = buffer.drops();
    let failing = made!(0..3, |s| s.map(|v| 2 / (2 - v)).to_vec_with(buffer));
    assert!(failing.contains("divide by zero"), "{failing}");
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_panic_says_whose_closure_it_was() {
    let panics = |_: &i32| -> bool { panic!("no") };
    let compare = |_: &i32, _: &i32| -> Ordering { panic!("no") };
    assert!(made!([1, 2], |s| s.all(panics)).contains(r#"operator: "all""#));
    assert!(made!([1, 2], |s| s.any(panics)).contains(r#"operator: "any""#));
    assert!(made!([1, 2], |s| s.min_by(compare)).contains(r#"operator: "min_by""#));
    assert!(made!([1, 2], |s| s.max_by(compare)).contains(r#"operator: "max_by""#));
    assert!(made!([1, 2], |s| s.max_by_key(panics)).contains(r#"operator: "max_by_key""#));
    assert!(made!([1, 2], |s| s.reduce(|_, _| panic!("no"))).contains(r#"operator: "reduce""#));
    assert!(made!([1, 2], |s| s.fold(0, |_, _| panic!("no"))).contains(r#"operator: "fold""#));
}

#[test]
fn what_decides_stops_an_endless_source() {
    assert_eq!(made!(0.., |s| s.all(|v| *v < 3)), "false |");
    assert_eq!(made!(0.., |s| s.any(|v| *v == 3)), "true |");
    assert_eq!(made!(0.., |s| s.contains(3)), "true |");
    assert_eq!(made!(0.., |s| s.is_empty()), "false |");
    let endless = || Kind::from_iter(0..).stream_error();
    assert_eq!(made!(0..3, |s| s.sequence_equal(endless())), "false |");
}

#[test]
fn switch_if_empty_subscribes_only_where_it_must() {
    let subscribed = Arc::new(AtomicUsize::new(0));
    let other = || {
        let count = subscribed.clone();
        Kind::defer(move || {
            count.fetch_add(1, Atomic::SeqCst);
            Kind::from_iter([7, 8])
        })
        .stream_error()
    };
    assert_eq!(made!([1], |s| s.switch_if_empty(other())), "1 |");
    assert_eq!(subscribed.load(Atomic::SeqCst), 0);
    assert_eq!(made!([1], |s| s.skip(1).switch_if_empty(other())), "7 8 |");
    assert_eq!(made!([1], |s| s.skip(1).switch_if_empty(other()).take(1)), "7 |");
    assert_eq!(subscribed.load(Atomic::SeqCst), 2);
}

/// What the left source feeds to the right one while it emits is compared in order.
#[test]
fn sequence_equal_may_be_fed_by_its_own_source() {
    let (mut right, log) = (Kind::subject::<i32, Infallible>(), Log::<bool, Infallible>::default());
    let (other, mut end) = (right.clone(), right.clone());
    let left = Kind::subject::<i32, Infallible>();
    let (mut feed, close) = (left.clone(), left.clone());
    left.tap(move |v| right.next(*v)).sequence_equal(other).subscribe_with(log.sink(|_| {}));
    (0..1_000).for_each(|v| feed.next(v));
    close.complete();
    assert_eq!(log.text(), "");
    end.next(7);
    assert_eq!(log.text(), "false |");
}

#[test]
fn unsubscribed_in_the_middle_both_are_ended() {
    let s = Scheduler::new();
    let equal = record_during(s.cold("a-b-c-d").sequence_equal(s.cold("a-b-c-d")).map(answer), "^--!");
    s.advance_by(ms(100));
    assert_marbles!(equal, "-");
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));

    let s = Scheduler::new();
    let switched = record_during(s.cold("|").switch_if_empty(s.cold("a-b-c-d")), "^-!");
    s.advance_by(ms(100));
    assert_marbles!(switched, "a");
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));
}
