use std::convert::Infallible;

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
};

use crate::error::{catch, fail};

/// See [`from_iter`](super::CreateOps::from_iter).
#[derive(Clone)]
pub struct FromIter<I>(pub(super) I);

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
        let run = catch("from_iter", || {
            for item in self.0 {
                if down.is_closed() {
                    break;
                }
                down.next(item);
            }
        });
        match run {
            Ok(()) => down.complete(),
            Err(panic) => fail(down, panic),
        }
    }
}
