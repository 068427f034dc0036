use std::convert::Infallible;

use rxrust::observer::Observer;

use super::at_the_end;

at_the_end! {
    /// See [`on_error_route`](super::ErrorOps::on_error_route).
    OnErrorRoute, OnErrorRouteObserver<D> { errors: D }
    out Infallible, where [D: Observer<E, Infallible>,],
    error |down, error, errors| {
        errors.next(error);
        errors.complete();
        down.complete();
    },
    complete |down, errors| {
        errors.complete();
        down.complete();
    }
}
