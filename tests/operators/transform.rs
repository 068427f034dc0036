use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rxevents::{
    assert_marbles,
    prelude::*,
    testing::{MarbleError, record_during},
};

use super::flavour::{Kind, Scheduler};
use crate::common::{Log, lock, ms, watchdog};

fn digit(n: u32) -> char {
    char::from_digit(n, 10).unwrap_or('?')
}

/// `C` is a completion and `E` an error.
fn told<E>(what: Notification<char, E>) -> char {
    match what {
        Notification::Next(item) => item,
        Notification::Error(_) => 'E',
        Notification::Complete => 'C',
    }
}

fn notify(c: char) -> Notification<char, StreamError> {
    match c {
        'C' => Notification::Complete,
        'E' => Notification::Error(StreamError::source(MarbleError)),
        item => Notification::Next(item),
    }
}

marbles! {
    map: |s| s.cold("--1--2--3-|").map(|c| c.to_digit(10).map_or('?', |n| digit(n * 2))), "--2--4--6-|";
    map_nothing: |s| s.cold("--|").map(|c| c), "--|";
    map_an_error: |s| s.cold("1-#").map(|c| c), "1-#";
    filter_map: |s| s.cold("-1-a-2|").filter_map(|c| c.to_digit(10).map(digit)), "-1---2|";
    scan: |s| s.cold("--1--2--3-|").scan(0, |sum, c| sum + c.to_digit(10).unwrap_or(0)).map(digit), "--1--3--6-|";
    scan_nothing: |s| s.cold("-|").scan('x', |_, c| c), "-|";
    scan_an_error: |s| s.cold("a-#").scan('x', |_, c| c), "a-#";

    pairwise: |s| s.cold("1-2-4-|").pairwise().map(|(a, b)| digit(b as u32 - a as u32)), "--1-2-|";
    pairwise_of_one: |s| s.cold("1--|").pairwise().map(|_| 'x'), "---|";
    pairwise_of_nothing: |s| s.cold("--|").pairwise().map(|_| 'x'), "--|";
    pairwise_of_an_error: |s| s.cold("1-1#").pairwise().map(|(a, _)| a), "--1#";
    index: |s| s.cold("-a-b|").index().map(|(n, _)| digit(n as u32)), "-0-1|";
    index_of_an_error: |s| s.cold("a-#").index().map(|(n, _)| digit(n as u32)), "0-#";

    materialize: |s| s.cold("-a-b-|").materialize().map(told), "-a-b-(C|)";
    materialize_of_nothing: |s| s.cold("--|").materialize().map(told), "--(C|)";
    materialize_of_an_error: |s| s.cold("-a-#").materialize().map(told), "-a-(E|)";
    materialize_of_never: |s| s.cold("-a---").materialize().map(told), "-a";
    materialize_below_take: |s| s.cold("-a-b-|").materialize().take(1).map(told), "-(a|)";
    dematerialize: |s| s.cold("-a-b-|").materialize().dematerialize(), "-a-b-|";
    dematerialize_of_an_error: |s| s.cold("-a-#").materialize().dematerialize(), "-a-#";
    dematerialize_later: |s| s.cold("-a-#").materialize().delay(ms(3)).dematerialize(), "----a-#";
    dematerialize_ends_with_the_first_end: |s| s.cold("a-C-b").map_err(StreamError::source).map(notify).dematerialize(), "a-|";
    dematerialize_ends_with_the_first_error: |s| s.cold("a-E-b").map_err(StreamError::source).map(notify)
        .dematerialize(), "a-#";
    dematerialize_without_an_end: |s| s.cold("a-b|").map_err(StreamError::source).map(notify).dematerialize(), "a-b|";
    dematerialize_an_error_beside: |s| s.cold("a-#").map_err(StreamError::source).map(notify).dematerialize(), "a-#";

    flat_map: |s| { let inner = s.cold("1---2|"); s.cold("--a-----b---|").flat_map(move |_| inner.clone()) },
        "--1---2-1---2|";
    flat_map_nothing: |s| { let inner = s.cold("1|"); s.cold("--|").flat_map(move |_| inner.clone()) }, "--|";
    flat_map_to_nothing: |s| { let inner = s.cold("|"); s.cold("a-b|").flat_map(move |_| inner.clone()) }, "---|";
    flat_map_waits_for_the_inner_ones: |s| {
        let inner = s.cold("1----2|");
        s.cold("a-(b|)").flat_map(move |_| inner.clone())
    }, "1-1--2-2|";
    flat_map_fails_by_its_source: |s| { let inner = s.cold("1-2-3-4"); s.cold("a--#").flat_map(move |_| inner.clone()) },
        "1-2#";
    flat_map_fails_by_an_inner_one: |s| { let inner = s.cold("1-#"); s.cold("ab----c").flat_map(move |_| inner.clone()) },
        "11#";
    flat_map_below_take: |s| { let inner = s.cold("1--2-3"); s.cold("a-b---c").flat_map(move |_| inner.clone()).take(3) },
        "1-1(2|)";
    exhaust_map: |s| { let inner = s.cold("1---2---3|"); s.cold("a-b-----c---|").exhaust_map(move |_| inner.clone()) },
        "1---2---3---|";
    exhaust_map_starts_again: |s| { let inner = s.cold("1-2|"); s.cold("ab--c----d|").exhaust_map(move |_| inner.clone()) },
        "1-2-1-2--1-2|";
    exhaust_map_nothing: |s| { let inner = s.cold("1|"); s.cold("--|").exhaust_map(move |_| inner.clone()) }, "--|";
    exhaust_map_to_nothing: |s| { let inner = s.cold("|"); s.cold("ab-c|").exhaust_map(move |_| inner.clone()) }, "----|";
    exhaust_map_to_silence: |s| { let inner = s.cold("1----"); s.cold("ab|").exhaust_map(move |_| inner.clone()) }, "1";
    exhaust_map_waits_for_the_inner_one: |s| { let inner = s.cold("1---2|"); s.cold("ab|").exhaust_map(move |_| inner.clone()) },
        "1---2|";
    exhaust_map_fails_by_its_source: |s| { let inner = s.cold("1-2-3-4"); s.cold("a--#").exhaust_map(move |_| inner.clone()) },
        "1-2#";
    exhaust_map_fails_by_an_inner_one: |s| { let inner = s.cold("1-#"); s.cold("ab----c").exhaust_map(move |_| inner.clone()) },
        "1-#";
    exhaust_map_below_take: |s| { let inner = s.cold("1-2-3"); s.cold("ab").exhaust_map(move |_| inner.clone()).take(2) },
        "1-(2|)";

    merge_on_next: |s| { let inner = s.cold("1---2|"); s.cold("--a-----b---|").map(move |_| inner.clone()).merge_on_next() },
        "--1---2-1---2|";
    concat_on_next: |s| { let inner = s.cold("1-2|"); s.cold("ab-|").map(move |_| inner.clone()).concat_on_next() },
        "1-21-2|";
    switch_on_next: |s| { let inner = s.cold("1-2-3|"); s.cold("a---b|").map(move |_| inner.clone()).switch_on_next() },
        "1-2-1-2-3|";
    switch_on_next_fails: |s| { let inner = s.cold("1-#"); s.cold("a-").map(move |_| inner.clone()).switch_on_next() },
        "1-#";

    flat_map_with_two: |s| {
        let inner = s.cold("1----2|");
        s.cold("abc|").flat_map_with(2, Buffer::default(), move |_| inner.clone())
    }, "11---2(21)-2|";
    flat_map_with_none_is_with_one: |s| {
        let inner = s.cold("1-2|");
        s.cold("ab|").flat_map_with(0, Buffer::default(), move |_| inner.clone())
    }, "1-21-2|";
    flat_map_with_none_of_nothing: |s| {
        let inner = s.cold("1-2|");
        s.cold("-|").flat_map_with(0, Buffer::default(), move |_| inner.clone())
    }, "-|";
    flat_map_with_all: |s| {
        let inner = s.cold("1----2----|");
        s.cold("(abc|)").flat_map_with(usize::MAX, Buffer::new(1), move |_| inner.clone())
    }, "(111)(222)|";
    flat_map_overflows: |s| {
        let inner = s.cold("1-----2|");
        s.cold("a-bcd").map_err(StreamError::source).flat_map_with(1, Buffer::new(2), move |_| inner.clone().map_err(StreamError::source))
    }, "1---#";
    flat_map_drops_the_oldest: |s| {
        let inner = s.cold("-----|");
        let buffer = Buffer::new(1).on_overflow(Overflow::DropOldest);
        s.cold("abc|").flat_map_with(1, buffer, move |c| inner.clone().on_error_return(|_| 'x')
            .map_err(|never| match never {}).merge(Kind::of(c).map_err(|never| match never {})))
    }, "a----c----|";

    concat_map: |s| { let inner = s.cold("1---2|"); s.cold("ab-|").concat_map(move |_| inner.clone()) }, "1---21---2|";
    concat_map_fails_with_items_waiting: |s| { let inner = s.cold("1---2|"); s.cold("ab#").concat_map(move |_| inner.clone()) },
        "1-#";
    concat_map_fails_by_an_inner_one: |s| { let inner = s.cold("1-#"); s.cold("ab|").concat_map(move |_| inner.clone()) },
        "1-#";
    concat_map_to_nothing: |s| { let inner = s.cold("|"); s.cold("ab|").concat_map(move |_| inner.clone()) }, "--|";

    switch_map: |s| { let inner = s.cold("1---2---3|"); s.cold("--a-----b-----|").switch_map(move |_| inner.clone()) },
        "--1---2-1---2---3|";
    switch_map_nothing: |s| { let inner = s.cold("1|"); s.cold("--|").switch_map(move |_| inner.clone()) }, "--|";
    switch_map_to_nothing: |s| { let inner = s.cold("|"); s.cold("a-b-|").switch_map(move |_| inner.clone()) }, "----|";
    switch_map_fails_by_its_source: |s| { let inner = s.cold("1-2-3-4"); s.cold("a--#").switch_map(move |_| inner.clone()) },
        "1-2#";
    switch_map_fails_by_the_latest: |s| { let inner = s.cold("1-#"); s.cold("ab---c").switch_map(move |_| inner.clone()) },
        "11-#";
    switch_map_below_take: |s| { let inner = s.cold("1-2-3"); s.cold("a--b").switch_map(move |_| inner.clone()).take(3) },
        "1-2(1|)";

    buffer_count_of_none_is_of_one: |s| s.cold("ab-c|").buffer_count(0).map(|w| { assert_eq!(w.len(), 1); w[0] }), "ab-c|";
    buffer_count_of_all: |s| s.cold("ab-c|").buffer_count(usize::MAX).map(|w| digit(w.len() as u32)), "----(3|)";
    buffer_count_of_nothing: |s| s.cold("--|").buffer_count(2).map(|w| w[0]), "--|";
    buffer_count: |s| s.cold("--1--2--3--4--5-|").buffer_count(2).map(|w| w[w.len() - 1]), "-----2-----4----(5|)";
    buffer_count_without_a_rest: |s| s.cold("12-|").buffer_count(2).map(|w| w[1]), "-2-|";
    buffer_count_fails_with_items_waiting: |s| s.cold("123#").buffer_count(2).map(|w| w[1]), "-2-#";
    buffer_count_below_take: |s| s.cold("12345").buffer_count(2).map(|w| w[1]).take(1), "-(2|)";
}

#[test]
fn unsubscribed_in_the_middle_flattening_is_silent() {
    for which in 0..3 {
        let s = Scheduler::new();
        let (outer, inner) = (s.cold("a-b-c-d"), s.cold("1--2--3"));
        let seen = match which {
            0 => record_during(outer.flat_map(move |_| inner.clone()), "^-!"),
            1 => record_during(outer.concat_map(move |_| inner.clone()), "^-!"),
            _ => record_during(outer.switch_map(move |_| inner.clone()), "^-!"),
        };
        s.advance_by(ms(100));
        assert_marbles!(seen, "1");
        assert_eq!((s.tasks(), s.sleeps()), (0, 0));
    }
}

#[test]
fn tap_sees_each_item_once() {
    let (seen, log) = (Arc::new(AtomicUsize::new(0)), Log::<i32, Infallible>::default());
    let count = seen.clone();
    let tapped = Kind::from_iter(1..=3).tap(move |v| {
        count.fetch_add(*v as usize, Ordering::SeqCst);
    });
    tapped.subscribe_with(log.sink(|_| {}));
    assert_eq!((log.text().as_str(), seen.load(Ordering::SeqCst)), ("1 2 3 |", 6));
}

/// Inner sources that end at once, a hundred thousand of them, and one that ends late and lets them go.
#[test]
fn flattening_does_not_recurse() {
    watchdog(|| {
        let (gate, log) = (Kind::subject::<u32, Infallible>(), Log::default());
        let first = gate.clone();
        let queued = Kind::from_iter(0..=100_000_u32);
        queued
            .concat_map(move |v| first.clone().take(1).filter(move |_| v == 0).merge(Kind::of(v)))
            .take(2)
            .subscribe_with(log.sink(|_| {}));
        assert_eq!(log.text(), "0");
        gate.clone().next(7);
        assert_eq!(log.text(), "0 7 |");

        let log = Log::<u32, Infallible>::default();
        Kind::from_iter(0..100_000).switch_map(Kind::of).subscribe_with(log.sink(|_| {}));
        assert_eq!(log.items().len(), 100_000);
    });
}

/// Between the two no error can be told; the failure of an operator there is one again below.
#[test]
fn a_failure_between_materialize_and_dematerialize_is_an_error_of_the_stream() {
    let log = Log::<i32, StreamError>::default();
    Kind::from_iter(0..3)
        .stream_error()
        .materialize()
        .tap(|told| assert!(!matches!(told, Notification::Next(2)), "two"))
        .dematerialize()
        .subscribe_with(log.sink(|_| {}));
    assert!(log.text().starts_with("0 1 #Panic"), "{}", log.text());
}

/// The observer is given away with the end: nobody else could tell of it.
#[test]
fn a_panic_at_the_notification_of_the_end_is_an_error() {
    let log = Log::<char, StreamError>::default();
    Kind::from_iter("a".chars())
        .materialize()
        .stream_error()
        .map(|what| match what {
            Notification::Complete => panic!("at the end"),
            other => told(other),
        })
        .subscribe_with(log.sink(|_| {}));
    assert!(log.text().starts_with("'a' #Panic") && log.text().contains("at the end"), "{}", log.text());
    assert_eq!(log.ends(), 1);
}

#[test]
fn notifications_are_written_as_json_and_read_again() {
    let log = Log::<Notification<u32, String>, Infallible>::default();
    let numbers = Kind::from_iter([1]).map_err(|never| match never {});
    numbers.materialize().subscribe_with(log.sink(|_| {}));
    let mut told = log.items();
    told.push(Notification::Error("down".to_owned()));
    let json = serde_json::to_string(&told).unwrap();
    assert_eq!(json, r#"[{"next":1},"complete",{"error":"down"}]"#);
    assert_eq!(serde_json::from_str::<Vec<Notification<u32, String>>>(&json).unwrap(), told);
}

#[test]
fn materialized_batches_are_the_same() {
    let log = Log::<u64, Infallible>::default();
    let numbers = Kind::from_iter(0..1_000_u64).batched();
    numbers
        .materialize()
        .dematerialize()
        .pairwise()
        .index()
        .map(|(n, (a, b))| n + b - a)
        .subscribe_with(log.sink(|_| {}));
    assert_eq!(log.items(), (1..1_000).collect::<Vec<_>>());
    assert_eq!(log.ends(), 1);
}

#[test]
fn unsubscribed_in_the_middle_materialize_tells_nothing_more() {
    let s = Scheduler::new();
    let seen = record_during(s.cold("a-b-c|").materialize().map(told), "^--!");
    s.advance_by(ms(100));
    assert_marbles!(seen, "a-b");
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));
}

#[test]
fn exhaust_map_accounts_for_what_it_drops() {
    let (mut source, inner) = (Kind::subject::<i32, Infallible>(), Kind::subject::<i32, Infallible>());
    let (log, dropped) = (Log::default(), Arc::new(std::sync::Mutex::new(vec![])));
    let (request, out) = (inner.clone(), dropped.clone());
    source
        .clone()
        .exhaust_map_on_dropped(
            move |n| request.clone().map(move |v| n * 10 + v).take(1),
            move |n| lock(&out).push(n),
        )
        .subscribe_with(log.sink(|_| {}));
    let mut answer = inner;
    (1..=3).for_each(|n| source.next(n));
    answer.next(1);
    (4..=5).for_each(|n| source.next(n));
    source.complete();
    answer.next(2);
    assert_eq!(log.text(), "11 42 |");
    assert_eq!(*lock(&dropped), [2, 3, 5]);
}

/// What the subscriber feeds back while it handles an item of an inner source is dropped, that of the last one too; what a
/// subject of its own keeps until the inner source has ended is not.
#[test]
fn exhaust_map_fed_by_its_own_subscriber() {
    let (source, inner) = (Kind::subject::<i32, Infallible>(), Kind::subject::<i32, Infallible>());
    let (log, mut back, request) = (Log::default(), source.clone(), inner.clone());
    let sink = log.sink(move |n| back.next(n + 1));
    source.clone().exhaust_map(move |n| request.clone().map(move |v| n + v).take(2)).subscribe_with(sink);
    source.clone().next(1);
    let mut answer = inner;
    (1..=4).for_each(|n| answer.next(n * 100));
    // The second answer's end lies behind what it makes the subscriber send.
    assert_eq!(log.text(), "101 201");

    let source = Kind::subject::<i32, Infallible>();
    let (log, mut back) = (Log::default(), source.clone());
    let sink = log.sink(move |n| {
        if *n < 3 {
            back.next(n + 1);
        }
    });
    source.clone().exhaust_map(Kind::of).subscribe_with(sink);
    source.clone().next(1);
    assert_eq!(log.text(), "1 2 3");
}
