use std::time::Duration;

use crate::{
    buffer::Buffer,
    held::Held,
    operator::{
        apply::Emit,
        timed::{Time, TimedKernel},
    },
    time::{Clock, deadline},
};

/// See [`delay`](super::TimeOps::delay).
#[derive(Clone)]
pub struct Delay<I> {
    delay: Duration,
    buffer: Buffer,
    waiting: Held<(Duration, I)>,
    end: Option<Duration>,
}

impl<I> Delay<I> {
    pub(super) fn new(delay: Duration, buffer: Buffer) -> Self {
        Self { delay, buffer, waiting: Held::default(), end: None }
    }
}

impl<I> TimedKernel<I, I> for Delay<I> {
    const NAME: &'static str = "delay";

    fn start<S: Clock>(&mut self, _time: &Time<S>) {
        self.waiting = Held::open(&self.buffer);
    }

    #[inline]
    fn next<S: Clock>(&mut self, item: I, time: &Time<S>) -> Emit<I> {
        let due = deadline(time.now(), self.delay);
        if self.waiting.is_empty() {
            time.arm(due);
        }
        match self.buffer.push(&mut self.waiting, (due, item), "delay") {
            Ok(_) => Emit::Skip,
            Err((full, _)) => Emit::Fail(full.into()),
        }
    }

    fn tick<S: Clock>(&mut self, time: &Time<S>) -> Emit<I> {
        let now = time.now();
        let item = match self.waiting.front() {
            Some((due, _)) if *due <= now => self.waiting.pop_front().map(|(_, item)| item),
            _ => None,
        };
        match (item, self.waiting.front(), self.end) {
            (None, None, Some(end)) if end <= now => Emit::End,
            (item, front, end) => {
                if let Some(next) = front.map(|(due, _)| *due).or(end) {
                    time.arm(next);
                }
                item.map_or(Emit::Skip, Emit::Item)
            }
        }
    }

    fn complete<S: Clock>(&mut self, time: &Time<S>) -> Emit<I> {
        let end = deadline(time.now(), self.delay);
        self.end = Some(end);
        if self.waiting.is_empty() {
            time.arm(end);
        }
        Emit::Skip
    }

    fn abandon(&mut self) {
        self.buffer.drop_all(&mut self.waiting);
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.end.is_none()
    }
}
