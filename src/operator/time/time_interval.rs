use std::{marker::PhantomData, time::Duration};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
};
use serde::{Deserialize, Serialize};

use crate::{
    operator::apply::{Apply, ApplyObserver, Emit, Kernel},
    time::Clock,
};

/// An item, and how long it took to come: see [`time_interval`](super::TimeOps::time_interval).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeInterval<T> {
    /// Since the item before; for the first, since the subscription.
    pub interval: Duration,
    /// The item.
    pub value: T,
}

/// See [`time_interval`](super::TimeOps::time_interval).
pub struct TimeIntervals<S, I> {
    source: S,
    types: PhantomData<fn() -> I>,
}

clone_by_fields!(TimeIntervals<S, I>: source, types where S);

impl<S, I> TimeIntervals<S, I> {
    pub(super) fn new(source: S) -> Self {
        Self { source, types: PhantomData }
    }
}

impl<S: ObservableType, I> ObservableType for TimeIntervals<S, I> {
    type Item<'a>
        = TimeInterval<I>
    where
        Self: 'a;
    type Err = S::Err;
}

impl<S, I, C> CoreObservable<C> for TimeIntervals<S, I>
where
    C: Context,
    C::Scheduler: Clock,
    S: CoreObservable<C::With<ApplyObserver<C::Inner, Measure<C::Scheduler>, I, TimeInterval<I>>>>,
{
    type Unsub = S::Unsub;

    fn subscribe(self, context: C) -> S::Unsub {
        let clock = context.scheduler().clone();
        let before = clock.now();
        Apply::new(self.source, Measure { clock, before, together: None }).subscribe(context)
    }
}

/// The kernel of a `time_interval`; it is made at the subscription.
#[derive(Clone)]
pub struct Measure<S> {
    clock: S,
    /// When the item before came.
    before: Duration,
    /// The moment of the batch.
    together: Option<Duration>,
}

impl<S: Clock, I> Kernel<I, TimeInterval<I>> for Measure<S> {
    const NAME: &'static str = "time_interval";

    #[inline]
    fn next(&mut self, value: I) -> Emit<TimeInterval<I>> {
        let now = self.together.unwrap_or_else(|| self.clock.now());
        let interval = now.saturating_sub(self.before);
        self.before = now;
        Emit::Item(TimeInterval { interval, value })
    }

    fn batch_begins(&mut self) {
        self.together = Some(self.clock.now());
    }

    fn batch_ends(&mut self) {
        self.together = None;
    }
}
