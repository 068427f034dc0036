use std::{pin::Pin, task::Context, time::Duration};

use rxrust::scheduler::SleepProvider;

use super::Clock;
use crate::error::{PanicError, catch};

/// What a task sleeps by: until one moment after the other.
pub(crate) struct Sleeper<S: SleepProvider>(Option<Pin<Box<S::SleepFuture>>>);

impl<S: SleepProvider> Default for Sleeper<S> {
    fn default() -> Self {
        Self(None)
    }
}

impl<S: SleepProvider + Clock> Sleeper<S> {
    /// The time, once `due` has come; `None` while it has not, and the task is woken then. A runtime without a timer
    /// panics: that is the error.
    pub(crate) fn until(
        &mut self,
        due: Duration,
        scheduler: &S,
        context: &mut Context<'_>,
    ) -> Result<Option<Duration>, PanicError> {
        loop {
            let now = scheduler.now();
            if now >= due {
                return Ok(Some(now));
            }
            let slept = catch("sleep", || {
                let sleep = self.0.get_or_insert_with(|| Box::pin(scheduler.sleep(due - now)));
                sleep.as_mut().poll(context)
            })?;
            if slept.is_pending() {
                return Ok(None);
            }
            self.0 = None;
        }
    }
}
