use std::time::Duration;

use crate::{
    operator::{
        apply::Emit,
        timed::{Time, TimedKernel},
    },
    time::{Clock, deadline},
};

/// See [`debounce`](super::RateOps::debounce).
#[derive(Clone)]
pub struct Debounce<I> {
    silence: Duration,
    waiting: Option<I>,
}

impl<I> Debounce<I> {
    pub(super) fn new(silence: Duration) -> Self {
        Self { silence, waiting: None }
    }
}

impl<I> TimedKernel<I, I> for Debounce<I> {
    const NAME: &'static str = "debounce";

    #[inline]
    fn next<S: Clock>(&mut self, item: I, time: &Time<S>) -> Emit<I> {
        self.waiting = Some(item);
        time.arm(deadline(time.now(), self.silence));
        Emit::Skip
    }

    fn tick<S: Clock>(&mut self, _time: &Time<S>) -> Emit<I> {
        self.waiting.take().map_or(Emit::Skip, Emit::Item)
    }

    fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<I> {
        self.waiting.take().map_or(Emit::End, Emit::Last)
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_none()
    }
}
