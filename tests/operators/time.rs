use std::time::Duration;

use rxevents::{prelude::*, testing::record};

use super::flavour::Scheduler;
use crate::common::ms;

fn buffer(overflow: Overflow) -> Buffer {
    Buffer::new(2).on_overflow(overflow)
}

marbles! {
    delay: |s| s.cold("--1--2-|").delay(ms(3)), "-----1--2-|";
    delay_nothing: |s| s.cold("--|").delay(ms(3)), "-----|";
    delay_none: |s| s.cold("(ab)-|").delay(Duration::ZERO), "(ab)-|";
    delay_fails_with_items_waiting: |s| s.cold("ab#").delay(ms(5)), "--#";
    delay_below_take: |s| s.cold("abcd").delay(ms(2)).take(2), "--a(b|)";
    delay_overflows: |s| s.cold("-abc").map_err(StreamError::source).delay_with_buffer(ms(9), buffer(Overflow::Error)), "---#";
    delay_cannot_block: |s| s.cold("-abc").map_err(StreamError::source).delay_with_buffer(ms(9), buffer(Overflow::Block)), "---#";
    delay_holds_all: |s| s.cold("abc|").delay_with_buffer(ms(9), Buffer::new(usize::MAX)), "---------abc|";
    delay_drops_the_oldest: |s| s.cold("abc|").delay_with_buffer(ms(9), buffer(Overflow::DropOldest)), "----------bc|";
    delay_drops_the_newest: |s| s.cold("abc|").delay_with_buffer(ms(9), buffer(Overflow::DropNewest)), "---------ab-|";

    observe_on: |s| s.cold("-a(bc)-|").observe_on(s.clone()), "-a(bc)-|";
    observe_on_nothing: |s| s.cold("--|").observe_on(s.clone()), "--|";
    observe_on_an_error_after_the_items: |s| s.cold("a(bc#)").observe_on(s.clone()), "a(bc#)";
    observe_on_below_take: |s| s.cold("abc-d").observe_on(s.clone()).take(2), "a(b|)";
    observe_on_overflows: |s| s.cold("-(abc)").map_err(StreamError::source).observe_on_with(s.clone(), buffer(Overflow::Error)), "-(ab#)";
    observe_on_drops_the_oldest: |s| s.cold("(abc|)").observe_on_with(s.clone(), buffer(Overflow::DropOldest)), "(bc|)";
    observe_on_drops_the_newest: |s| s.cold("(abc|)").observe_on_with(s.clone(), buffer(Overflow::DropNewest)), "(ab|)";
}

#[test]
fn what_is_dropped_is_counted() {
    let s = Scheduler::new();
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        let (delayed, observed) = (buffer(overflow), buffer(overflow));
        let drops = (delayed.drops(), observed.drops());
        let seen = record(s.cold("(abcde|)").delay_with_buffer(ms(9), delayed));
        let other = record(s.cold("(abcde|)").observe_on_with(s.clone(), observed));
        s.advance_by(ms(100));
        assert_eq!((seen.items().len(), other.items().len()), (2, 2), "{overflow:?}");
        assert_eq!((drops.0.get(), drops.1.get()), (3, 3), "{overflow:?}");
    }
}
