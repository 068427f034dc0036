use std::convert::Infallible;

use rxevents::{operator::key::KeyOverflow, prelude::*};

use super::flavour::{Kind, Scheduler};
use crate::common::{Log, ms, watchdog};

#[test]
fn count_by_key_fails_when_full() {
    let log = Log::<_, StreamError>::default();
    let items = Kind::from_iter("abac".chars()).stream_error();
    items.count_by_key_with(Keys::new(2), |v| v).map(|(_, count)| count).subscribe_with(log.sink(|_| {}));
    assert_eq!(log.items(), [1, 1, 2]);
    assert!(log.text().contains("Overflow") && log.text().contains("capacity: 2"), "{}", log.text());
}

#[test]
fn forgetting_spares_keys_that_are_used() {
    let keys = Keys::new(2).on_overflow(KeyOverflow::Forget).hasher(std::hash::RandomState::new());
    let (forgotten, log) = (keys.forgotten(), Log::<_, Infallible>::default());
    let words = ["a", "b", "a", "c", "a", "b"].map(str::to_owned);
    Kind::from_iter(words)
        .count_by_key_with(keys, |word| word.as_str())
        .map(|(_, count)| count)
        .subscribe_with(log.sink(|_| {}));
    // `c` takes the place of `b`, the second `b` that of `c`.
    assert_eq!((log.items(), forgotten.get()), (vec![1, 1, 2, 1, 3, 1], 2));
}

#[test]
fn alerts_come_once_for_each_key() {
    for (above, expected) in [(0, "ab"), (1, "ab"), (2, "a"), (4, ""), (u64::MAX, "")] {
        let log = Log::<_, Infallible>::default();
        Kind::from_iter("aabaab".chars())
            .count_by_key(|v| v)
            .alert_once_above(above)
            .map(move |(v, count)| {
                assert_eq!(count, above + 1);
                v
            })
            .subscribe_with(log.sink(|_| {}));
        assert_eq!(log.items().into_iter().collect::<String>(), expected, "{above}");
    }
}

#[test]
fn scan_by_key_has_a_state_for_each_key() {
    let log = Log::<_, Infallible>::default();
    let last = |last: &mut i64, (_, v): (char, i64)| std::mem::replace(last, v);
    Kind::from_iter([('a', 1), ('b', 2), ('a', 3), ('a', 4), ('b', 5)])
        .scan_by_key(|v| &v.0, 0, last)
        .subscribe_with(log.sink(|_| {}));
    assert_eq!(log.items(), [0, 0, 1, 3, 2]);
}

marbles! {
    group_by: |s| s.cold("abac|").group_by(|v| v).flat_map(|group| {
        let key = *group.key();
        group.count().map(move |n| if n == 2 { key } else { '1' })
    }), "----(a11|)";
    group_by_opens: |s| s.cold("abac|").group_by(|v| v).map(|group| *group.key()), "ab-c|";
    group_by_passes_on_at_once: |s| s.cold("a-ba-c|").group_by(|v| v).flat_map(|group| group), "a-ba-c|";
    group_by_nothing: |s| s.cold("-|").group_by(|v| v).flat_map(|group| group), "-|";
    group_by_an_error: |s| s.cold("ab#").group_by(|v| v).flat_map(|group| group), "ab#";
    group_by_below_take: |s| s.cold("a-b-c").group_by(|v| v).flat_map(|group| group).take(2), "a-(b|)";
    group_by_is_once_for_each_key: |s| s.cold("aabab|").group_by(|v| v).flat_map(|group| group.take(1)), "a-b--|";
    group_by_goes_on_without_the_outer: |s| s.cold("abaca|").group_by(|v| v).take(1).flat_map(|group| group), "a-a-a|";
    group_by_with_a_duration: |s| s.cold("-a-a---a---|").group_by_with(Keys::default(), |v| v, {
        let s = s.clone();
        move |_| s.cold("----|")
    }).flat_map(|group| group.count().map(|n| if n == 2 { '2' } else { '1' })), "-----2-----(1|)";
    group_by_with_a_duration_that_emits: |s| s.cold("aaaa|").group_by_with(Keys::default(), |v| v, {
        let s = s.clone();
        move |_| s.cold("-x-x")
    }).map(|_| 'g'), "g-g-|";
    group_by_with_a_failing_duration: |s| s.cold("a-b|").group_by_with(Keys::default(), |v| v, {
        let s = s.clone();
        move |_| s.cold("-#")
    }).flat_map(|group| group), "a#";
    group_by_with_a_duration_that_is_over: |s| s.cold("aa|").stream_error()
        .group_by_with(Keys::default(), |v| v, |_| Kind::of(()).stream_error()).flat_map(|group| group.count())
        .map(|n| if n == 1 { '1' } else { '?' }), "11|";
    group_by_with_forgets: |s| s.cold("ababc|").group_by_with(
        Keys::new(2).on_overflow(KeyOverflow::Forget), |v| v, {
            let s = s.clone();
            move |_| s.cold("-")
        }).flat_map(|group| {
            let key = *group.key();
            group.ignore_elements().default_if_empty(key)
        }), "----a(bc|)";
}

#[test]
fn one_group_too_many_fails() {
    let log = Log::<char, StreamError>::default();
    let items = Kind::from_iter("abac".chars()).stream_error();
    items
        .group_by_with(Keys::new(2), |v| v, |_| Kind::never::<()>().stream_error())
        .flat_map(|group| group)
        .subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "'a' 'b' 'a' #GroupLimitExceeded { limit: 2 }");
}

/// RxJava #6284; reactor-core #596, #2138, #3442, #1959.
#[test]
fn ten_thousand_groups_pass_four_at_once() {
    let counts = watchdog(|| {
        let log = Log::<u64, StreamError>::default();
        let items = Kind::from_iter(0..30_000_u64).map(|n| n % 10_000).stream_error();
        let four = items.group_by(|v| v).flat_map_with(4, Buffer::default(), |group| group.count());
        four.subscribe_with(log.sink(|_| {}));
        assert_eq!(log.ends(), 1);
        log.items()
    });
    assert!(counts.len() == 10_000 && counts.iter().all(|n| *n == 3), "{} groups", counts.len());

    // Where too many wait, it fails at once.
    let text = watchdog(|| {
        let log = Log::<u64, StreamError>::default();
        let items = Kind::from_iter(0..).stream_error();
        let four = items.group_by_with(Keys::new(100), |v| v, |_| Kind::never::<()>().stream_error());
        four.flat_map_with(4, Buffer::default(), |group| group).subscribe_with(log.sink(|_| {}));
        log.text()
    });
    assert_eq!(text, "0 1 2 3 #GroupLimitExceeded { limit: 100 }");
}

#[test]
fn groups_are_fed_by_their_subscribers() {
    watchdog(|| {
        let items = Kind::subject::<u32, Infallible>();
        let (mut back, log) = (items.clone(), Log::<_, Infallible>::default());
        items.clone().group_by(|v| v).flat_map(|group| group).subscribe_with(log.sink(move |v| {
            if *v < 3 {
                back.next(v + 1);
            }
        }));
        items.clone().next(0);
        assert_eq!(log.items(), [0, 1, 2, 3]);
    });
}

/// Keys that come and go leave nothing: neither groups nor the places of their keys.
#[test]
fn groups_that_end_are_forgotten() {
    let s = Scheduler::new();
    let keys = Keys::new(10).on_overflow(KeyOverflow::Forget);
    let (forgotten, log, time) = (keys.forgotten(), Log::<u64, StreamError>::default(), s.clone());
    let mut items = Kind::subject::<u64, StreamError>();
    let sub = s
        .on(items.clone())
        .group_by_with(keys, |v| v, move |_| time.on(Kind::timer(ms(1))).stream_error())
        .flat_map(|group| group.count())
        .subscribe_with(log.sink(|_| {}));
    for n in 0..1_000 {
        items.next(n % 10);
        items.next(n % 10);
        s.advance_by(ms(2));
    }
    assert_eq!((forgotten.get(), log.items()), (0, vec![2; 1_000]));
    sub.unsubscribe();
    s.assert_no_leaks();
}

#[test]
fn what_nobody_wants_of_a_group_is_counted() {
    let buffer = Buffer::default();
    let (drops, log) = (buffer.drops(), Log::<_, Infallible>::default());
    let groups = Kind::from_iter(0..10).map(|v| v % 2).group_by(|v| v).bounded(buffer);
    groups.filter(|group| *group.key() == 0).flat_map(|group| group.take(3)).subscribe_with(log.sink(|_| {}));
    assert_eq!((log.items(), drops.get()), (vec![0; 3], 7));
}

#[test]
fn a_key_that_panics_when_it_is_kept_is_named() {
    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Name(u8);
    impl Clone for Name {
        fn clone(&self) -> Self {
            assert_ne!(self.0, 2, "no second");
            Self(self.0)
        }
    }
    let log = Log::<_, StreamError>::default();
    let items = Kind::from_iter((1..4).map(Name)).stream_error();
    items.group_by(|name| name).map(|group| group.key().0).subscribe_with(log.sink(|_| {}));
    assert_eq!(log.items(), [1]);
    assert!(log.text().contains("group_by") && log.text().contains("no second"), "{}", log.text());
}
