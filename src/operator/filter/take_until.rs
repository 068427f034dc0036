use std::{convert::Infallible, marker::PhantomData};

use rxrust::observer::Observer;

use crate::{
    error::StreamError,
    gate::{Down, Either, Machine, Signal, Step},
    operator::combine::two_sources,
};

two_sources! {
    /// See [`take_until`](super::FilterOps::take_until).
    TakeUntil<T, U> {}
    left T, right U, item T,
    machine TakingUntil<C::Inner, T, U, E> = |down| TakingUntil { down: Down::new(down), types: PhantomData },
    order right then left
}

/// The state of a `take_until`.
pub struct TakingUntil<O, T, U, E> {
    down: Down<O>,
    types: PhantomData<fn() -> (T, U, E)>,
}

impl<O: Observer<T, E>, T, U, E: 'static> Machine<Either<T, U, E>> for TakingUntil<O, T, U, E> {
    #[inline(always)]
    fn on(&mut self, input: Either<T, U, E>) -> Step<Infallible> {
        match input {
            Either::Left(Signal::Next(item)) => self.down.next(item),
            Either::Right(Signal::Complete) => Step::Continue,
            Either::Left(Signal::Complete) | Either::Right(Signal::Next(_)) => self.down.complete(),
            Either::Left(Signal::Error(error)) | Either::Right(Signal::Error(error)) => {
                self.down.error(error)
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
