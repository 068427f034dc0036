//! Operators that move items in time or to another thread.

mod delay;
mod observe_on;

pub use delay::*;
pub use observe_on::*;

use std::time::Duration;

use rxrust::observable::Observable;

use super::timed::TimedApply;
use crate::buffer::Buffer;

/// Operators that move items in time or to another thread.
pub trait TimeOps: Observable + 'static {
    /// Each item, and the completion, `delay` later (ReactiveX `delay`; an error is sent at once and drops what
    /// waits).
    ///
    /// ```text
    /// --1--2-|
    ///   delay(3)
    /// -----1--2-|
    /// ```
    /// In order, all of them. Time O(1) per item; memory: the items of one `delay`, at most the default [`Buffer`];
    /// one timer.
    fn delay<I>(self, delay: Duration) -> Self::With<TimedApply<Self::Inner, Delay<I>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.delay_with_buffer(delay, Buffer::default())
    }

    /// [`delay`](Self::delay) with a stated bound on what waits.
    fn delay_with_buffer<I>(
        self,
        delay: Duration,
        buffer: Buffer,
    ) -> Self::With<TimedApply<Self::Inner, Delay<I>, I, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| TimedApply::new(source, Delay::new(delay, buffer)))
    }

    /// Delivers on `scheduler`: items cross through a bounded queue, in order, the end after them (ReactiveX
    /// `observeOn`).
    ///
    /// The consuming task takes all that is there at once and is woken only when it sleeps. Memory: the default
    /// [`Buffer`]; use [`observe_on_with`](Self::observe_on_with) and [`Overflow::Block`](crate::Overflow::Block) to
    /// make a fast producing thread wait for a slow consumer.
    fn observe_on<Sch, I>(self, scheduler: Sch) -> Self::With<ObserveOn<Self::Inner, Sch, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.observe_on_with(scheduler, Buffer::default())
    }

    /// [`observe_on`](Self::observe_on) with a stated bound and policy. The queue holds at most the buffer's capacity,
    /// the consumer as many again that it has taken over.
    fn observe_on_with<Sch, I>(
        self,
        scheduler: Sch,
        buffer: Buffer,
    ) -> Self::With<ObserveOn<Self::Inner, Sch, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| ObserveOn::new(source, scheduler, buffer))
    }
}

impl<S: Observable + 'static> TimeOps for S {}
