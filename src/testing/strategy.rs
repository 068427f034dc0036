//! Strategies for property tests with `proptest`: texts of marbles, and events. Feature `proptest`.
//!
//! ```
//! use proptest::prelude::*;
//! use rxevents::{prelude::*, source::{Class, PaymentLines}, testing::{VirtualScheduler, record, strategy}};
//! use std::time::Duration;
//!
//! proptest!(ProptestConfig::with_cases(20), |(
//!     text in strategy::marbles(20),
//!     lines in strategy::events(|seed| PaymentLines::new(seed).malformed(0.2), 50),
//! )| {
//!     // `delay` keeps every item, whatever comes when.
//!     let scheduler = VirtualScheduler::new();
//!     let source = scheduler.cold(&text);
//!     let (seen, delayed) = (record(source.clone()), record(source.delay(Duration::from_millis(7))));
//!     scheduler.advance_by(Duration::from_secs(1));
//!     prop_assert!(text.contains('#') || seen.items() == delayed.items());
//!
//!     let malformed = lines.iter().filter(|(class, _)| *class == Class::Malformed).count();
//!     let queue = MemoryQueue::new(50);
//!     Local::from_iter(lines.into_iter().map(|(_, line)| line))
//!         .decode_json::<serde_json::Value, _>()
//!         .stream_error()
//!         .dead_letter(queue.clone())
//!         .on_error_route(observer(|error| panic!("{error}")))
//!         .subscribe(|_| {});
//!     prop_assert_eq!(queue.letters().len(), malformed);
//! });
//! ```

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::subsequence,
};

use crate::source::{Class, Generator, Kind};

/// Texts for [`cold`](super::VirtualTime::cold) and [`hot`](super::VirtualTime::hot) of up to `length` marbles: letters,
/// frames without one, groups, longer times; then completion, an error or neither. Shrinks to fewer and simpler marbles.
pub fn marbles(length: usize) -> impl Strategy<Value = String> {
    let letter = || proptest::char::range('a', 'f');
    let marble = prop_oneof![
        4 => Just("-".to_owned()),
        4 => letter().prop_map(String::from),
        1 => vec(letter(), 1..4).prop_map(|group| format!("({})", String::from_iter(group))),
        1 => (2..50_u32).prop_map(|ms| format!(" {ms}ms ")),
    ];
    let end = prop_oneof![3 => Just("|"), 1 => Just(""), 1 => Just("#")];
    (vec(marble, 0..=length), end).prop_map(|(marbles, end)| marbles.concat() + end)
}

/// Up to `length` events that `generator` makes of a seed, in their order, each with its class. Shrinks to fewer of them.
pub fn events<K>(
    generator: impl Fn(u64) -> Generator<K>,
    length: usize,
) -> impl Strategy<Value = Vec<(Class, K::Item)>>
where
    K: Kind<Item: 'static>,
{
    let events = any::<u64>()
        .no_shrink()
        .prop_map(move |seed| -> Vec<_> { generator(seed).labelled().take(length).collect() });
    events.prop_flat_map(|events| {
        let most = events.len();
        subsequence(events, 0..=most)
    })
}
