use std::{convert::Infallible, marker::PhantomData};

use rxrust::observer::Observer;

use crate::{
    error::StreamError,
    gate::{Down, Either, Machine, Signal, Step},
    operator::combine::two_sources,
};

two_sources! {
    /// See [`skip_until`](super::FilterOps::skip_until).
    SkipUntil<T, U> {}
    left T, right U, item T,
    machine SkippingUntil<C::Inner, T, U, E> =
        |down| SkippingUntil { down: Down::new(down), open: false, types: PhantomData },
    order right then left
}

/// The state of a `skip_until`.
pub struct SkippingUntil<O, T, U, E> {
    down: Down<O>,
    open: bool,
    types: PhantomData<fn() -> (T, U, E)>,
}

impl<O: Observer<T, E>, T, U, E: 'static> Machine<Either<T, U, E>> for SkippingUntil<O, T, U, E> {
    #[inline(always)]
    fn on(&mut self, input: Either<T, U, E>) -> Step<Infallible> {
        match input {
            Either::Left(Signal::Next(item)) if self.open => self.down.next(item),
            Either::Left(Signal::Next(_)) | Either::Right(Signal::Complete) => Step::Continue,
            Either::Right(Signal::Next(_)) => {
                self.open = true;
                Step::Continue
            }
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
