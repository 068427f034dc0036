use std::marker::PhantomData;

use super::at_the_end;
use crate::error::{catch, fail};

at_the_end! {
    /// See [`map_err`](super::ErrorOps::map_err).
    MapErr, MapErrObserver<F, G> { f: F, to: PhantomData<fn() -> G> }
    out G, where [F: FnOnce(E) -> G, G: 'static,],
    error |down, error, f| match catch("map_err", || f(error)) {
        Ok(error) => down.error(error),
        Err(panic) => fail(down, panic),
    },
    complete |down| down.complete()
}
