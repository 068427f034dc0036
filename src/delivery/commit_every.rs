use std::time::Duration;

use super::{Acknowledger, DeliveryError};
use crate::{
    operator::{
        apply::Emit,
        timed::{Time, TimedKernel},
    },
    time::{Clock, deadline},
};

/// See [`commit_every`](super::DeliveryOps::commit_every).
#[derive(Clone)]
pub struct CommitEvery {
    acks: Acknowledger,
    period: Duration,
    /// A commit is to come.
    armed: bool,
}

impl CommitEvery {
    pub(super) fn new(acks: Acknowledger, period: Duration) -> Self {
        Self { acks, period, armed: false }
    }
}

impl<I> TimedKernel<I, I> for CommitEvery {
    const NAME: &'static str = "commit_every";

    #[inline]
    fn next<S: Clock>(&mut self, item: I, time: &Time<S>) -> Emit<I> {
        if !self.armed {
            self.armed = true;
            time.arm(deadline(time.now(), self.period));
        }
        Emit::Item(item)
    }

    fn tick<S: Clock>(&mut self, _time: &Time<S>) -> Emit<I> {
        self.armed = false;
        match self.acks.commit() {
            Ok(_) => Emit::Skip,
            Err(error) => Emit::Fail(DeliveryError::from(error).into()),
        }
    }

    fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<I> {
        Emit::End
    }

    fn is_idle(&self) -> bool {
        !self.armed
    }
}
