use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rxevents::{assert_marbles, prelude::*, testing::record_during};

use super::flavour::{Kind, Scheduler};
use crate::common::ms;

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
