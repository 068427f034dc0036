use std::{convert::Infallible, marker::PhantomData};

use rxrust::observer::Observer;

use crate::{
    error::StreamError,
    operator::apply::{Emit, Kernel},
};

/// See [`route_failures`](super::ValidateOps::route_failures).
#[derive(Clone)]
pub struct RouteFailures<D, F> {
    failures: Option<D>,
    types: PhantomData<fn(F)>,
}

impl<D, F> RouteFailures<D, F> {
    pub(super) fn new(failures: D) -> Self {
        Self { failures: Some(failures), types: PhantomData }
    }
}

impl<D: Observer<F, Infallible>, T, F> Kernel<Result<T, F>, T> for RouteFailures<D, F> {
    const NAME: &'static str = "route_failures";

    #[inline(always)]
    fn next(&mut self, item: Result<T, F>) -> Emit<T> {
        match item {
            Ok(good) => Emit::Item(good),
            Err(failure) => {
                if let Some(failures) = &mut self.failures {
                    failures.next(failure);
                }
                Emit::Skip
            }
        }
    }

    fn end(&mut self) -> Result<(), StreamError> {
        if let Some(failures) = self.failures.take() {
            failures.complete();
        }
        Ok(())
    }
}
