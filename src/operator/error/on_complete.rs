use super::at_the_end;
use crate::error::{catch, fail};

at_the_end! {
    /// See [`on_complete`](super::ErrorOps::on_complete).
    OnComplete, OnCompleteObserver<F> { f: F }
    out E, where [F: FnOnce(), E: 'static,],
    error |down, error| down.error(error),
    complete |down, f| match catch("on_complete", f) {
        Ok(()) => down.complete(),
        Err(panic) => fail(down, panic),
    }
}
