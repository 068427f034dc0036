use std::convert::Infallible;

use super::at_the_end;
use crate::error::{catch, fail};

at_the_end! {
    /// See [`on_error_return`](super::ErrorOps::on_error_return).
    OnErrorReturn, OnErrorReturnObserver<F> { f: F }
    out Infallible, where [F: FnOnce(E) -> T,],
    error |down, error, f| {
        match catch("on_error_return", || down.next(f(error))) {
            Ok(()) => down.complete(),
            Err(panic) => fail(down, panic),
        }
    },
    complete |down| down.complete()
}
