use std::convert::Infallible;

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
};

use crate::error::push;

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
        push("from_iter", context.into_inner(), |down| {
            if down.is_closed() {
                return;
            }
            for item in self.0 {
                down.next(item);
                if down.is_closed() {
                    return;
                }
            }
        });
    }
}
