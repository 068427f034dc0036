//! What the pipelines of this thread must end.

use std::{
    cell::RefCell,
    mem,
    sync::{Arc, Weak},
};

use rxrust::subscription::{BoxedSubscription, Subscription};

use super::{Inner, Kept, Pipeline, keep_in};

thread_local! {
    static KEPT: RefCell<Vec<(Weak<Inner>, Kept<BoxedSubscription>)>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn keep(
    pipeline: &Pipeline,
    list: fn(&mut Kept<BoxedSubscription>) -> &mut Vec<BoxedSubscription>,
    subscription: BoxedSubscription,
) {
    KEPT.with_borrow_mut(|all| {
        all.retain(|(inner, _)| inner.strong_count() > 0);
        let of_pipeline = |(inner, _): &(Weak<Inner>, _)| inner.as_ptr() == Arc::as_ptr(&pipeline.0);
        let at = match all.iter().position(of_pipeline) {
            Some(at) => at,
            None => {
                all.push((Arc::downgrade(&pipeline.0), Kept::default()));
                all.len() - 1
            }
        };
        if let Some((_, kept)) = all.get_mut(at) {
            keep_in(list(kept), subscription);
        }
    });
}

/// Ends what is in the list.
pub(super) fn end(
    pipeline: &Pipeline,
    list: fn(&mut Kept<BoxedSubscription>) -> &mut Vec<BoxedSubscription>,
) {
    let ended = KEPT.with_borrow_mut(|all| {
        let found = all.iter_mut().find(|(inner, _)| inner.as_ptr() == Arc::as_ptr(&pipeline.0));
        found.map(|(_, kept)| mem::take(list(kept))).unwrap_or_default()
    });
    ended.into_iter().for_each(Subscription::unsubscribe);
}
