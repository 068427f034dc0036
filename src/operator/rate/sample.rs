use std::{convert::Infallible, marker::PhantomData, time::Duration};

use rxrust::observer::Observer;

use crate::{
    error::StreamError,
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
pub struct Sample<I> {
    grid: Grid,
    latest: Option<I>,
}

impl<I> Sample<I> {
    pub(super) fn new(period: Duration) -> Self {
        Self { grid: Grid::new(period), latest: None }
    }
}

impl<I> TimedKernel<I, I> for Sample<I> {
    const NAME: &'static str = "sample";

    fn start<S: Clock>(&mut self, time: &Time<S>) {
        time.arm(self.grid.start(time.now()));
    }

    #[inline]
    fn next<S: Clock>(&mut self, item: I, _time: &Time<S>) -> Emit<I> {
        self.latest = Some(item);
        Emit::Skip
    }

    fn tick<S: Clock>(&mut self, time: &Time<S>) -> Emit<I> {
        time.arm(self.grid.after(time.now()));
        self.latest.take().map_or(Emit::Skip, Emit::Item)
    }

    fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<I> {
        Emit::End
    }

    fn is_idle(&self) -> bool {
        self.latest.is_none()
    }
}

two_sources! {
    /// See [`sample_with`](super::RateOps::sample_with).
    SampleWith<T, U> {}
    left T, right U, item T,
    machine Sampling<C::Inner, T, U, E> = |down| Sampling { down: Down::new(down), latest: None, types: PhantomData },
    order right then left
}

/// The state of a `sample_with`.
pub struct Sampling<O, T, U, E> {
    down: Down<O>,
    latest: Option<T>,
    types: PhantomData<fn() -> (U, E)>,
}

impl<O: Observer<T, E>, T, U, E: 'static> Machine<Either<T, U, E>> for Sampling<O, T, U, E> {
    #[inline(always)]
    fn on(&mut self, input: Either<T, U, E>) -> Step<Infallible> {
        match input {
            Either::Left(Signal::Next(item)) => {
                self.latest = Some(item);
                Step::Continue
            }
            Either::Right(Signal::Next(_)) => match self.latest.take() {
                Some(item) => self.down.next(item),
                None => Step::Continue,
            },
            Either::Right(Signal::Complete) => Step::Continue,
            Either::Left(Signal::Complete) => self.down.complete(),
            Either::Left(Signal::Error(error)) | Either::Right(Signal::Error(error)) => {
                self.down.error(error)
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
