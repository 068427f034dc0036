//! What the pipelines of this thread must end.

use std::{
    cell::RefCell,
    sync::{Arc, Weak},
};

use rxrust::subscription::BoxedSubscription;

use super::{Inner, Kept, Pipeline, When};

type OfPipeline = (Weak<Inner>, Kept<BoxedSubscription>);

thread_local! {
    static KEPT: RefCell<Vec<OfPipeline>> = const { RefCell::new(Vec::new()) };
}

fn is_of(pipeline: &Pipeline) -> impl Fn(&OfPipeline) -> bool {
    move |(inner, _)| inner.as_ptr() == Arc::as_ptr(&pipeline.0)
}

pub(super) fn keep(pipeline: &Pipeline, when: When, subscription: BoxedSubscription) {
    let gone: Vec<_> = KEPT.with_borrow_mut(|all| {
        let gone = all.extract_if(.., |(inner, _)| inner.strong_count() == 0).collect();
        match all.iter_mut().find(|of| is_of(pipeline)(of)) {
            Some((_, kept)) => kept.keep(when, subscription),
            None => {
                let mut kept = Kept::default();
                kept.keep(when, subscription);
                all.push((Arc::downgrade(&pipeline.0), kept));
            }
        }
        gone
    });
    // With nothing borrowed: what is below a source may be in it.
    drop(gone);
}

/// What is to be ended now.
pub(super) fn take(pipeline: &Pipeline, now: When) -> Vec<(When, BoxedSubscription)> {
    KEPT.with_borrow_mut(|all| match all.iter_mut().find(|of| is_of(pipeline)(of)) {
        Some((_, kept)) => kept.take(now),
        None => Vec::new(),
    })
}
