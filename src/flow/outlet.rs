use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Poll, Waker},
};

use rxrust::{context::RcDerefMut, observer::Observer};

use crate::{
    buffer::{Buffer, Lost},
    delivery::fate::{Abandoned, abandoning},
    error::{OverflowError, StreamError, take_failure, unhandled},
    held::Held,
    operator::batch::BatchObserver,
};

/// What the two ends of an outlet tell each other without looking into it.
#[derive(Clone, Default)]
pub(super) struct Flags(Arc<AtomicU8>);

/// Something can be taken.
const FILLED: u8 = 1;
/// Nothing more comes, or nobody takes it.
const OVER: u8 = 2;

impl Flags {
    #[inline(always)]
    pub(super) fn is_filled(&self) -> bool {
        self.0.load(Ordering::Relaxed) & FILLED != 0
    }

    #[inline(always)]
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) & OVER != 0
    }

    /// It is drained: the next item says again that it is there. This and the following with the outlet locked.
    #[inline(always)]
    pub(super) fn drained(&self) {
        self.set(self.0.load(Ordering::Relaxed) & OVER);
    }

    #[inline(always)]
    fn filled(&self) {
        self.set(FILLED);
    }

    pub(super) fn over(&self) {
        self.set(FILLED | OVER);
    }

    #[inline(always)]
    fn set(&self, flags: u8) {
        self.0.store(flags, Ordering::Relaxed);
    }
}

/// Where a chain ends and a `Stream` begins.
pub struct Outlet<T, E> {
    /// Where there is one item only, it is here.
    only: Abandoned<Option<T>>,
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
        let only = Abandoned::new(None);
        Self { only, items: Held::open(&buffer), buffer, end: None, waker: None, closed: false }
    }

    #[inline(always)]
    fn take(&mut self, flags: &Flags) -> Option<T> {
        match self.only.value.take() {
            Some(item) => {
                if self.end.is_none() {
                    flags.drained();
                }
                Some(item)
            }
            None => self.take_of_many(flags),
        }
    }

    #[cold]
    fn take_of_many(&mut self, flags: &Flags) -> Option<T> {
        let item = self.items.pop_front();
        if self.items.is_empty() && self.end.is_none() {
            flags.drained();
        }
        item
    }

    /// The next item, or the end, by which it is `over`.
    #[inline(always)]
    pub(super) fn next(&mut self, flags: &Flags, over: &mut bool) -> Poll<Option<Result<T, E>>> {
        if let Some(item) = self.take(flags) {
            return Poll::Ready(Some(Ok(item)));
        }
        let Some(end) = &mut self.end else { return Poll::Pending };
        *over = true;
        Poll::Ready(std::mem::replace(end, Ok(())).err().map(Err))
    }

    /// Has the task woken when something comes; `false`: something has come already.
    pub(super) fn waits(&mut self, waker: &Waker) -> bool {
        if self.only.value.is_some() || !self.items.is_empty() || self.end.is_some() {
            return false;
        }
        if !self.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
        true
    }

    /// Queues an item.
    #[inline(never)]
    fn push_to_many(
        &mut self,
        item: T,
        operator: &'static str,
    ) -> Result<Lost<T>, (OverflowError, Abandoned<T>)> {
        if let Some(before) = self.only.value.take() {
            self.items.push_back(before);
        }
        self.buffer.push(&mut self.items, item, operator)
    }

    /// Nobody takes items any more.
    pub(super) fn close(&mut self) -> impl Sized + use<T, E> {
        self.closed = true;
        (self.only.value.take(), self.items.close(), self.waker.take())
    }

    fn is_over(&self) -> bool {
        self.closed || self.end.is_some()
    }
}

/// The observer at the end of the chain; `R` holds the [`Outlet`].
pub struct OutletObserver<R, T, E: 'static> {
    outlet: R,
    flags: Flags,
    /// The operator, in errors.
    name: &'static str,
    over: bool,
    /// For the drop, which has no bounds of its own.
    finish: fn(&R, &Flags, Result<(), E>),
    types: PhantomData<fn(T)>,
}

impl<R, T, E: 'static> OutletObserver<R, T, E>
where
    R: RcDerefMut<Target = Outlet<T, E>>,
{
    pub(super) fn new(outlet: R, flags: Flags, name: &'static str) -> Self {
        Self { outlet, flags, name, over: false, finish, types: PhantomData }
    }

    fn end(&mut self, end: Result<(), E>) {
        self.over = true;
        finish(&self.outlet, &self.flags, end);
    }
}

fn finish<R, T, E>(outlet: &R, flags: &Flags, end: Result<(), E>)
where
    R: RcDerefMut<Target = Outlet<T, E>>,
{
    let waker = {
        let mut outlet = outlet.rc_deref_mut();
        outlet.end.get_or_insert(end);
        flags.over();
        outlet.waker.take()
    };
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
        (self.finish)(&self.outlet, &self.flags, end);
    }
}

impl<R, T, E: 'static> Observer<T, E> for OutletObserver<R, T, E>
where
    R: RcDerefMut<Target = Outlet<T, E>>,
{
    #[inline]
    fn next(&mut self, item: T) {
        let mut outlet = self.outlet.rc_deref_mut();
        if outlet.is_over() {
            drop(outlet);
            return abandoning(|| drop(item));
        }
        self.flags.filled();
        if outlet.only.value.is_none() && outlet.items.is_empty() {
            outlet.only.value = Some(item);
            let waker = outlet.waker.take();
            drop(outlet);
            if let Some(waker) = waker {
                waker.wake();
            }
            return;
        }
        // Who takes items knows of it already.
        let pushed = outlet.push_to_many(item, self.name);
        drop(outlet);
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
        self.over || self.flags.is_over()
    }
}

impl<R, T, E: 'static> BatchObserver<T, E> for OutletObserver<R, T, E> where
    R: RcDerefMut<Target = Outlet<T, E>>
{
}
