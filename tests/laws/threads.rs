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

/// One thread sends; another does something once the first is at it.
fn race(op: &Op, act: impl FnOnce(&mut Rig) + Send) -> Rig {
    let mut rig = Rig::on(op, &Shared::subject(), |_| {});
    let (start, mut subject) = (Barrier::new(2), rig.subject.clone());
    thread::scope(|scope| {
        scope.spawn(|| {
            (0..100).for_each(|v| subject.next(v));
            start.wait();
            (100..2_000).for_each(|v| subject.next(v));
        });
        start.wait();
        act(&mut rig);
    });
    rig
}

fn unsubscribing_while_another_sends_frees(op: &Op) -> Verdict {
    let mut rig = race(op, |rig| rig.sub.take().into_iter().for_each(Subscription::unsubscribe));
    rig.scheduler.advance_by(ms(5));
    let seen = rig.log.text();
    rig.send(-1);
    if rig.log.text() != seen || rig.log.ends() > 0 {
        return Err("it goes on".into());
    }
    rig.freed()
}

fn completing_while_another_sends_ends_once(op: &Op) -> Verdict {
    let mut rig = race(op, |rig| rig.subject.clone().complete());
    rig.scheduler.advance_by(ms(50));
    rig.send(-1);
    if rig.log.ends() != 1 || rig.log.items().contains(&-1) {
        return Err(format!("{} ends", rig.log.ends()));
    }
    rig.freed()
}

#[test]
fn every_operator_can_be_unsubscribed_while_another_thread_sends() {
    all(unsubscribing_while_another_sends_frees, |_| true);
}

#[test]
fn every_operator_ends_once_while_another_thread_sends() {
    all(completing_while_another_sends_ends_once, |_| true);
}

#[test]
fn every_operator_counts_all_items_of_two_threads() {
    all(two_producers_lose_nothing, |op| !op.thins);
}

#[test]
fn the_law_finds_who_loses_items() {
    let loses = Op::new("loses items", |e| out(e.filter(|v| *v != 17)));
    assert!(two_producers_lose_nothing(&loses).is_err());
    let endless = Op::new("never ends", |e| out(e.merge(Shared::never().stream_error())));
    assert!(completing_while_another_sends_ends_once(&endless).is_err());
    let keeps = Op::new("keeps its source", |e| {
        std::mem::forget(e.clone());
        out(e)
    });
    assert!(unsubscribing_while_another_sends_frees(&keeps).is_err());
}
