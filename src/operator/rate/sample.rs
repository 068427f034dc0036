use std::{convert::Infallible, marker::PhantomData, mem, time::Duration};

use rxrust::observer::Observer;

use super::OnDropped;
use crate::{
    delivery::fate::abandoning,
    error::{StreamError, named},
    gate::{Down, Either, Machine, Signal, Step},
    operator::{
        apply::Emit,
        combine::two_sources,
        timed::{Time, TimedKernel},
    },
    time::{Clock, Grid},
};

/// See [`sample`](super::RateOps::sample).
#[derive(Clone)]
pub struct Sample<I, D> {
    grid: Grid,
    on_dropped: D,
    latest: Option<I>,
    /// What waits when the source completes is sent.
    emits_last: bool,
}

impl<I, D> Sample<I, D> {
    pub(super) fn new(period: Duration, on_dropped: D) -> Self {
        Self { grid: Grid::new(period), on_dropped, latest: None, emits_last: false }
    }

    pub(super) fn emitting_last(self) -> Self {
        Self { emits_last: true, ..self }
    }
}

impl<I, D: OnDropped<I>> TimedKernel<I, I> for Sample<I, D> {
    const NAME: &'static str = "sample";

    fn start<S: Clock>(&mut self, time: &Time<S>) {
        time.arm(self.grid.start(time.now()));
    }

    #[inline]
    fn next<S: Clock>(&mut self, item: I, _time: &Time<S>) -> Emit<I> {
        if let Some(earlier) = self.latest.replace(item) {
            self.on_dropped.dropped(earlier);
        }
        Emit::Skip
    }

    fn tick<S: Clock>(&mut self, time: &Time<S>) -> Emit<I> {
        time.arm(self.grid.after(time.now()));
        self.latest.take().map_or(Emit::Skip, Emit::Item)
    }

    fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<I> {
        if self.emits_last {
            return self.latest.take().map_or(Emit::End, Emit::Last);
        }
        TimedKernel::<I, I>::abandon(self);
        Emit::End
    }

    fn abandon(&mut self) {
        if let Some(last) = self.latest.take() {
            self.on_dropped.dropped(last);
        }
    }

    fn is_idle(&self) -> bool {
        self.latest.is_none()
    }
}

two_sources! {
    /// See [`sample_with`](super::RateOps::sample_with).
    SampleWith<T, U, D> { on_dropped: D }
    left T, right U, item T,
    machine Sampling<C::Inner, T, U, D, E> = |down| Sampling {
        down: Down::new(down),
        latest: None,
        on_dropped,
        types: PhantomData,
    },
    order right then left
}

/// The state of a `sample_with`.
pub struct Sampling<O, T, U, D, E> {
    down: Down<O>,
    latest: Option<T>,
    on_dropped: D,
    types: PhantomData<fn() -> (U, E)>,
}

impl<O, T, U, D, E> Sampling<O, T, U, D, E>
where
    D: OnDropped<T>,
{
    /// The latest is `item` now; what it was is dropped.
    #[inline(always)]
    fn keep(&mut self, item: Option<T>) {
        if let Some(earlier) = mem::replace(&mut self.latest, item) {
            named(|| "sample_with", || self.on_dropped.dropped(earlier));
        }
    }
}

impl<O, T, U, D, E> Machine<Either<T, U, E>> for Sampling<O, T, U, D, E>
where
    O: Observer<T, E>,
    D: OnDropped<T>,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: Either<T, U, E>) -> Step<Infallible> {
        match input {
            Either::Left(Signal::Next(item)) => {
                self.keep(Some(item));
                Step::Continue
            }
            Either::Right(Signal::Next(_)) => match self.latest.take() {
                Some(item) => self.down.next(item),
                None => Step::Continue,
            },
            Either::Right(Signal::Complete) => Step::Continue,
            Either::Left(Signal::Complete) => {
                self.keep(None);
                self.down.complete()
            }
            Either::Left(Signal::Error(error)) | Either::Right(Signal::Error(error)) => {
                abandoning(|| self.keep(None));
                self.down.error(error)
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
