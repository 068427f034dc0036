use std::convert::Infallible;

use rxevents::{operator::key::KeyOverflow, prelude::*};

use super::flavour::Kind;
use crate::common::Log;

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
