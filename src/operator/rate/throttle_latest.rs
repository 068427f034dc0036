use std::time::Duration;

use super::OnDropped;
use crate::{
    operator::{
        apply::Emit,
        timed::{Time, TimedKernel},
    },
    time::{Clock, deadline},
};

/// See [`throttle_latest`](super::RateOps::throttle_latest).
#[derive(Clone)]
pub struct ThrottleLatest<I, D> {
    window: Duration,
    on_dropped: D,
    open: bool,
    waiting: Option<I>,
}

impl<I, D> ThrottleLatest<I, D> {
    pub(super) fn new(window: Duration, on_dropped: D) -> Self {
        Self { window, on_dropped, open: true, waiting: None }
    }

    fn close<S: Clock>(&mut self, time: &Time<S>) {
        self.open = false;
        time.arm(deadline(time.now(), self.window));
    }
}

impl<I, D: OnDropped<I>> TimedKernel<I, I> for ThrottleLatest<I, D> {
    const NAME: &'static str = "throttle_latest";

    #[inline]
    fn next<S: Clock>(&mut self, item: I, time: &Time<S>) -> Emit<I> {
        if self.open {
            self.close(time);
            Emit::Item(item)
        } else {
            if let Some(earlier) = self.waiting.replace(item) {
                self.on_dropped.dropped(earlier);
            }
            Emit::Skip
        }
    }

    fn tick<S: Clock>(&mut self, time: &Time<S>) -> Emit<I> {
        match self.waiting.take() {
            Some(item) => {
                self.close(time);
                Emit::Item(item)
            }
            None => {
                self.open = true;
                Emit::Skip
            }
        }
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
