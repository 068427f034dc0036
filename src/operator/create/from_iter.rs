use std::convert::Infallible;

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
};

use crate::error::{catch, complete, fail};

/// See [`from_iter`](super::CreateOps::from_iter).
#[derive(Clone)]
pub struct FromIter<I>(pub(crate) I);

impl<I: IntoIterator> ObservableType for FromIter<I> {
    type Item<'a>
        = I::Item
    where
        Self: 'a;
    type Err = Infallible;
}

impl<I, C> CoreObservable<C> for FromIter<I>
where
    C: Context,
    C::Inner: Observer<I::Item, Infallible>,
    I: IntoIterator,
{
    type Unsub = ();

    #[inline]
    fn subscribe(self, context: C) {
        let mut down = context.into_inner();
        match catch("from_iter", || drive(self.0, &mut down)) {
            Ok(()) => complete(down),
            Err(panic) => fail(down, panic),
        }
    }
}

/// A function of its own, so that the compiler knows that nothing else can reach `down` meanwhile.
#[inline(never)]
fn drive<I: IntoIterator, O: Observer<I::Item, Infallible>>(items: I, down: &mut O) {
    if down.is_closed() {
        return;
    }
    for item in items {
        down.next(item);
        if down.is_closed() {
            return;
        }
    }
}
