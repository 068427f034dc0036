use std::{sync::Barrier, thread};

use rxevents::prelude::*;

use super::{
    laws::{Rig, Verdict, all},
    table::{Op, out},
};
use crate::common::ms;

const EACH: i64 = 5_000;

fn two_producers_lose_nothing(op: &Op) -> Verdict {
    let rig = Rig::on(op, &Shared::subject(), |_| {});
    let start = Barrier::new(2);
    thread::scope(|scope| {
        for first in [0, EACH] {
            let (start, mut subject) = (&start, rig.subject.clone());
            scope.spawn(move || {
                start.wait();
                (first..first + EACH).for_each(|v| subject.next(v));
            });
        }
    });
    rig.scheduler.advance_by(ms(5));
    let mut items = rig.log.items();
    items.sort_unstable();
    if items.into_iter().eq(0..2 * EACH) { Ok(()) } else { Err("not all, or not each once".into()) }
}

#[test]
fn every_operator_counts_all_items_of_two_threads() {
    all(two_producers_lose_nothing, |op| !op.thins);
}

#[test]
fn the_law_finds_who_loses_items() {
    let loses = Op::new("loses items", |e| out(e.filter(|v| *v != 17)));
    assert!(two_producers_lose_nothing(&loses).is_err());
}
