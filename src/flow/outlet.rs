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

/// What is in an outlet, for its two ends to see without looking into it. It is changed with the outlet locked, but for
/// [`Flags::awake`].
#[derive(Clone, Default)]
pub(super) struct Flags(Arc<AtomicU8>);

/// Nothing, and no task waits for it.
const EMPTY: u8 = 0;
/// Nothing, and a task waits for it.
const WAITED_FOR: u8 = 1;
/// One item, and nothing else.
const ONE: u8 = 2;
/// Several items.
const MANY: u8 = 4;
/// Perhaps items; nothing more comes, or nobody takes it.
const OVER: u8 = 8;

impl Flags {
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.get() == EMPTY
    }

    #[inline(always)]
    pub(super) fn is_one(&self) -> bool {
        self.get() == ONE
    }

    #[inline(always)]
    pub(super) fn is_filled(&self) -> bool {
        self.get() >= ONE
    }

    #[inline(always)]
    pub(super) fn is_over(&self) -> bool {
        self.get() == OVER
    }

    /// Who waited looks for himself, and need not be woken.
    #[inline(always)]
    pub(super) fn awake(&self) {
        if self.get() == WAITED_FOR {
            // If it is that no longer, then something has come.
            let _ = self.0.compare_exchange(WAITED_FOR, EMPTY, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
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
}

impl<T, E> Outlet<T, E> {
    pub(super) fn new(buffer: Buffer) -> Self {
        let only = Abandoned::new(None);
        Self { only, items: Held::open(&buffer), buffer, end: None, waker: None }
    }

    /// The item that is the only one.
    #[inline(always)]
    pub(super) fn only(&mut self, flags: &Flags) -> Option<T> {
        if flags.get() != ONE {
            return None;
        }
        flags.set(EMPTY);
        self.only.value.take()
    }

    /// The next item, or the end, by which it is `over`.
    pub(super) fn next(&mut self, flags: &Flags, over: &mut bool) -> Poll<Option<Result<T, E>>> {
        if let Some(item) = self.only(flags) {
            return Poll::Ready(Some(Ok(item)));
        }
        if let Some(item) = self.only.value.take().or_else(|| self.items.pop_front()) {
            if self.items.is_empty() && self.end.is_none() {
                flags.set(EMPTY);
            }
            return Poll::Ready(Some(Ok(item)));
        }
        let Some(end) = &mut self.end else { return Poll::Pending };
        *over = true;
        Poll::Ready(std::mem::replace(end, Ok(())).err().map(Err))
    }

    /// Has the task woken when something comes; `false`: something has come already.
    pub(super) fn waits(&mut self, flags: &Flags, waker: &Waker) -> bool {
        if flags.is_filled() {
            return false;
        }
        if !self.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
        flags.set(WAITED_FOR);
        true
    }

    /// An item that is not the only one.
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
    pub(super) fn close(&mut self, flags: &Flags) -> impl Sized + use<T, E> {
        flags.set(OVER);
        (self.only.value.take(), self.items.close(), self.waker.take())
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
        flags.set(OVER);
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

impl<R, T, E: 'static> OutletObserver<R, T, E>
where
    R: RcDerefMut<Target = Outlet<T, E>>,
{
    /// Where a task waits, or there is an item already, or nobody takes it.
    #[inline(never)]
    fn next_to_others(&mut self, item: T) {
        let mut outlet = self.outlet.rc_deref_mut();
        match self.flags.get() {
            OVER => {
                drop(outlet);
                abandoning(|| drop(item));
            }
            EMPTY | WAITED_FOR => {
                outlet.only.value = Some(item);
                self.flags.set(ONE);
                let waker = outlet.waker.take();
                drop(outlet);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            _ => {
                let pushed = outlet.push_to_many(item, self.name);
                self.flags.set(MANY);
                drop(outlet);
                if let Err((full, item)) = pushed {
                    drop(item);
                    self.overflown(full);
                }
            }
        }
    }

    #[cold]
    fn overflown(&mut self, full: OverflowError) {
        match StreamError::from(full).into_error() {
            Ok(error) => self.end(Err(error)),
            Err(failure) => {
                unhandled(&failure);
                self.end(Ok(()));
            }
        }
    }
}

impl<R, T, E: 'static> Observer<T, E> for OutletObserver<R, T, E>
where
    R: RcDerefMut<Target = Outlet<T, E>>,
{
    #[inline]
    fn next(&mut self, item: T) {
        let mut outlet = self.outlet.rc_deref_mut();
        if self.flags.get() != EMPTY {
            drop(outlet);
            return self.next_to_others(item);
        }
        outlet.only.value = Some(item);
        self.flags.set(ONE);
    }

    fn error(mut self, error: E) {
        self.end(Err(error));
    }

    fn complete(mut self) {
        self.end(Ok(()));
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.flags.is_over()
    }
}

impl<R, T, E: 'static> BatchObserver<T, E> for OutletObserver<R, T, E> where
    R: RcDerefMut<Target = Outlet<T, E>>
{
}
