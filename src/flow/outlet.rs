use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};

use rxrust::{context::RcDerefMut, observer::Observer};

use crate::{
    buffer::Buffer,
    delivery::fate::abandoning,
    error::{StreamError, take_failure, unhandled},
    held::Held,
    operator::batch::BatchObserver,
};

/// Where a chain ends and a `Stream` begins.
pub struct Outlet<T, E> {
    items: Held<T>,
    buffer: Buffer,
    end: Option<Result<(), E>>,
    /// Of the task that waits for an item.
    waker: Option<Waker>,
    /// The `Stream` has been dropped.
    closed: bool,
}

impl<T, E> Outlet<T, E> {
    pub(super) fn new(buffer: Buffer) -> Self {
        Self { items: Held::open(&buffer), buffer, end: None, waker: None, closed: false }
    }

    /// The next item, or the end.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Option<Result<T, E>>> {
        match self.items.pop_front() {
            Some(item) => Some(Some(Ok(item))),
            None => self.end.as_mut().map(|end| std::mem::replace(end, Ok(())).err().map(Err)),
        }
    }

    /// The next item, or the end, or the task is woken.
    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<Option<Result<T, E>>> {
        match self.next() {
            Some(next) => Poll::Ready(next),
            None => {
                if !self.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
                    self.waker = Some(waker.clone());
                }
                Poll::Pending
            }
        }
    }

    /// Nobody takes items any more.
    pub(super) fn close(&mut self) -> impl Sized + use<T, E> {
        self.closed = true;
        (self.items.close(), self.waker.take())
    }

    fn is_over(&self) -> bool {
        self.closed || self.end.is_some()
    }
}

/// The observer at the end of the chain; `R` holds the [`Outlet`].
pub struct OutletObserver<R, T, E: 'static> {
    outlet: R,
    /// Set when there is something to take.
    filled: Arc<AtomicBool>,
    /// The operator, in errors.
    name: &'static str,
    over: bool,
    /// For the drop, which has no bounds of its own.
    finish: fn(&R, &AtomicBool, Result<(), E>),
    types: PhantomData<fn(T)>,
}

impl<R, T, E: 'static> OutletObserver<R, T, E>
where
    R: RcDerefMut<Target = Outlet<T, E>>,
{
    pub(super) fn new(outlet: R, filled: Arc<AtomicBool>, name: &'static str) -> Self {
        Self { outlet, filled, name, over: false, finish, types: PhantomData }
    }

    fn end(&mut self, end: Result<(), E>) {
        self.over = true;
        finish(&self.outlet, &self.filled, end);
    }
}

fn finish<R, T, E>(outlet: &R, filled: &AtomicBool, end: Result<(), E>)
where
    R: RcDerefMut<Target = Outlet<T, E>>,
{
    let waker = {
        let mut outlet = outlet.rc_deref_mut();
        outlet.end.get_or_insert(end);
        outlet.waker.take()
    };
    filled.store(true, Ordering::Relaxed);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The chain has let go of it without an end, perhaps as an operator has failed in a way that no error type could hold.
impl<R, T, E: 'static> Drop for OutletObserver<R, T, E> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let end = match take_failure().map(StreamError::into_error::<E>) {
            None => Ok(()),
            Some(Ok(error)) => Err(error),
            Some(Err(failure)) => {
                unhandled(&failure);
                Ok(())
            }
        };
        (self.finish)(&self.outlet, &self.filled, end);
    }
}

impl<R, T, E: 'static> Observer<T, E> for OutletObserver<R, T, E>
where
    R: RcDerefMut<Target = Outlet<T, E>>,
{
    #[inline]
    fn next(&mut self, item: T) {
        let (pushed, waker) = {
            let mut outlet = self.outlet.rc_deref_mut();
            if outlet.is_over() {
                drop(outlet);
                return abandoning(|| drop(item));
            }
            let outlet = &mut *outlet;
            (outlet.buffer.push(&mut outlet.items, item, self.name), outlet.waker.take())
        };
        self.filled.store(true, Ordering::Relaxed);
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Err((full, item)) = pushed {
            drop(item);
            match StreamError::from(full).into_error() {
                Ok(error) => self.end(Err(error)),
                Err(failure) => {
                    unhandled(&failure);
                    self.end(Ok(()));
                }
            }
        }
    }

    fn error(mut self, error: E) {
        self.end(Err(error));
    }

    fn complete(mut self) {
        self.end(Ok(()));
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.over || self.outlet.rc_deref_mut().is_over()
    }
}

impl<R, T, E: 'static> BatchObserver<T, E> for OutletObserver<R, T, E> where
    R: RcDerefMut<Target = Outlet<T, E>>
{
}
