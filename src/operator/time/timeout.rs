use std::time::Duration;

use crate::{
    error::StreamError,
    operator::{
        apply::Emit,
        timed::{Time, TimedKernel},
    },
    time::{Clock, deadline},
};

const NAME: &str = "timeout";

/// See [`timeout`](super::TimeOps::timeout). In a `timeout_with` its items are `Some`, and `None` says that it is too
/// late.
#[derive(Clone)]
pub struct Timeout {
    within: Duration,
    /// Only the first item must come in time.
    first_only: bool,
    /// When the next item must have come.
    due: Option<Duration>,
}

impl Timeout {
    pub(super) fn new(within: Duration, first_only: bool) -> Self {
        Self { within, first_only, due: None }
    }

    fn arm<S: Clock>(&mut self, time: &Time<S>) {
        let due = deadline(time.now(), self.within);
        self.due = Some(due);
        time.arm(due);
    }

    #[inline]
    fn came<S: Clock>(&mut self, time: &Time<S>) {
        if !self.first_only {
            self.arm(time);
        } else if self.due.take().is_some() {
            time.disarm();
        }
    }

    /// Whether it is too late: an item may have come while the tick waited for its turn.
    fn is_late<S: Clock>(&self, time: &Time<S>) -> bool {
        self.due.is_some_and(|due| due <= time.now())
    }
}

impl<I> TimedKernel<I, I> for Timeout {
    const NAME: &'static str = NAME;

    fn start<S: Clock>(&mut self, time: &Time<S>) {
        self.arm(time);
    }

    #[inline]
    fn next<S: Clock>(&mut self, item: I, time: &Time<S>) -> Emit<I> {
        self.came(time);
        Emit::Item(item)
    }

    fn tick<S: Clock>(&mut self, time: &Time<S>) -> Emit<I> {
        if self.is_late(time) { Emit::Fail(StreamError::Timeout { within: self.within }) } else { Emit::Skip }
    }

    fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<I> {
        Emit::End
    }

    /// A source that goes away without an end will be too late as well.
    fn is_idle(&self) -> bool {
        self.due.is_none()
    }
}

impl<I> TimedKernel<I, Option<I>> for Timeout {
    const NAME: &'static str = NAME;

    fn start<S: Clock>(&mut self, time: &Time<S>) {
        self.arm(time);
    }

    #[inline]
    fn next<S: Clock>(&mut self, item: I, time: &Time<S>) -> Emit<Option<I>> {
        self.came(time);
        Emit::Item(Some(item))
    }

    fn tick<S: Clock>(&mut self, time: &Time<S>) -> Emit<Option<I>> {
        if self.is_late(time) { Emit::Last(None) } else { Emit::Skip }
    }

    fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<Option<I>> {
        Emit::End
    }

    fn is_idle(&self) -> bool {
        self.due.is_none()
    }
}
