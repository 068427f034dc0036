use std::{
    num::NonZeroU32,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::Stream;
use rxrust::scheduler::SleepProvider;

use super::{Decoded, Redrive};
use crate::time::{Clock, deadline};

/// A source that gives so many items a second, for `from_stream`: see [`Redrive::at_rate`].
pub struct AtRate<I, S: SleepProvider> {
    items: I,
    every: Duration,
    scheduler: S,
    /// When the next one may come.
    due: Option<Duration>,
    sleep: Option<Pin<Box<S::SleepFuture>>>,
}

// The sleep is boxed, nothing else is ever pinned.
impl<I, S: SleepProvider> Unpin for AtRate<I, S> {}

impl<I, S: SleepProvider> AtRate<I, S> {
    fn new(items: I, per_second: NonZeroU32, scheduler: S) -> Self {
        let every = Duration::from_secs(1) / per_second.get();
        Self { items, every, scheduler, due: None, sleep: None }
    }
}

impl Redrive {
    /// At most so many letters a second, by the clock of `scheduler`; refused ones and lines that are no letters count.
    /// After a stall it does not hurry: between two letters there is always the time of one.
    ///
    /// ```
    /// use rxevents::{dead_letter::redrive, prelude::*, testing::{VirtualScheduler, record}};
    /// use std::{num::NonZeroU32, time::Duration};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("dead.jsonl");
    /// Local::from_iter(["a", "b", "c"])
    ///     .try_map(|_| Err::<(), _>(Reason::other("down")))
    ///     .dead_letter(JsonlQueue::create(&path)?)
    ///     .subscribe(|()| {});
    ///
    /// let scheduler = VirtualScheduler::new();
    /// let two = NonZeroU32::new(2).unwrap();
    /// let letters = scheduler.on(Local::from_stream(redrive(&path)?.at_rate(two, scheduler.clone())));
    /// let seen = record(letters.map(|letter| letter.is_ok()));
    /// scheduler.advance_by(Duration::from_millis(999)); // at 0 and at 500
    /// assert_eq!(seen.items().len(), 2);
    /// scheduler.advance_by(Duration::from_millis(1));
    /// assert_eq!(seen.items().len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at_rate<S: Clock + SleepProvider>(self, per_second: NonZeroU32, scheduler: S) -> AtRate<Self, S> {
        AtRate::new(self, per_second, scheduler)
    }
}

impl<F> Decoded<F> {
    /// See [`Redrive::at_rate`].
    pub fn at_rate<S: Clock + SleepProvider>(self, per_second: NonZeroU32, scheduler: S) -> AtRate<Self, S> {
        AtRate::new(self, per_second, scheduler)
    }
}

impl<I: Iterator, S: Clock + SleepProvider> Stream for AtRate<I, S> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<I::Item>> {
        let this = &mut *self;
        loop {
            if let Some(sleep) = &mut this.sleep {
                if sleep.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                this.sleep = None;
            }
            let now = this.scheduler.now();
            match this.due {
                Some(due) if now < due => this.sleep = Some(Box::pin(this.scheduler.sleep(due - now))),
                _ => {
                    this.due = Some(deadline(now, this.every));
                    return Poll::Ready(this.items.next());
                }
            }
        }
    }
}
