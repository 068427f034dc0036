use std::time::Duration;

use super::OnDropped;
use crate::{
    operator::{
        apply::Emit,
        timed::{Time, TimedKernel},
    },
    time::{Clock, deadline},
};

/// See [`debounce`](super::RateOps::debounce).
#[derive(Clone)]
pub struct Debounce<I, D> {
    silence: Duration,
    on_dropped: D,
    waiting: Option<I>,
}

impl<I, D> Debounce<I, D> {
    pub(super) fn new(silence: Duration, on_dropped: D) -> Self {
        Self { silence, on_dropped, waiting: None }
    }
}

impl<I, D: OnDropped<I>> TimedKernel<I, I> for Debounce<I, D> {
    const NAME: &'static str = "debounce";

    #[inline]
    fn next<S: Clock>(&mut self, item: I, time: &Time<S>) -> Emit<I> {
        if let Some(earlier) = self.waiting.replace(item) {
            self.on_dropped.dropped(earlier);
        }
        time.arm(deadline(time.now(), self.silence));
        Emit::Skip
    }

    fn tick<S: Clock>(&mut self, _time: &Time<S>) -> Emit<I> {
        self.waiting.take().map_or(Emit::Skip, Emit::Item)
    }

    fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<I> {
        self.waiting.take().map_or(Emit::End, Emit::Last)
    }

    fn abandon(&mut self) {
        if let Some(last) = self.waiting.take() {
            self.on_dropped.dropped(last);
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_none()
    }
}
