//! What machines that go by event time have in common: one input may send many items, and each may be the last.

use std::convert::Infallible;

use rxrust::observer::Observer;

use crate::{
    error::StreamError,
    gate::{Down, Step},
    time::Cancel,
};

/// Why nothing more is done.
pub(crate) enum Stop {
    /// Nobody listens any more.
    Closed,
    Fail(StreamError),
}

impl Stop {
    /// An event is too far behind the newest, and that is an error.
    #[cold]
    pub(crate) fn time_regression(operator: &'static str, at: i64, newest: Option<i64>) -> Self {
        let behind = newest.map_or(0, |newest| newest.abs_diff(at));
        Self::Fail(StreamError::TimeRegression { operator, at, behind })
    }
}

pub(crate) type Run = Result<(), Stop>;

/// Runs `f`, which sends items to the observer below, as long as what it sends to says that somebody listens.
#[inline(always)]
pub(crate) fn run<O, T, E>(
    down: &mut Down<O>,
    cancel: &Cancel,
    f: impl FnOnce(&mut dyn FnMut(T) -> bool) -> Run,
) -> Step<Infallible>
where
    O: Observer<T, E>,
    E: 'static,
{
    let sent = f(&mut |item| {
        let step: Step<Infallible> = down.next(item);
        step == Step::Continue && !cancel.cancelled()
    });
    match sent {
        Ok(()) => Step::Continue,
        Err(Stop::Closed) => Step::Done,
        Err(Stop::Fail(failure)) => down.fail(failure),
    }
}
