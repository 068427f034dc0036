use std::convert::Infallible;

use super::at_the_end;
use crate::error::named;

at_the_end! {
    /// See [`on_error_return`](super::ErrorOps::on_error_return).
    OnErrorReturn, OnErrorReturnObserver<F> { f: F }
    out Infallible, where [F: FnOnce(E) -> T,],
    error |down, error, f| {
        down.next(named("on_error_return", || f(error)));
        down.complete();
    },
    complete |down| down.complete()
}
