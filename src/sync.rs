//! What the gate of many threads is built of. With `--cfg shuttle` it is what the model checker `shuttle` has in its
//! place, which tries out in which order threads may run: see `tests/model.rs`.

#[cfg(not(shuttle))]
mod real {
    pub(crate) use crossbeam_utils::atomic::AtomicCell;
    pub(crate) use std::{
        sync::{
            Arc, Condvar, Mutex, MutexGuard, Weak,
            atomic::{AtomicBool, AtomicUsize},
        },
        thread::yield_now,
    };

    /// A number that no other living thread has.
    pub(crate) fn thread_token() -> usize {
        thread_local!(static TOKEN: u8 = const { 0 });
        TOKEN.with(|token| std::ptr::from_ref(token) as usize)
    }
}

#[cfg(shuttle)]
mod model {
    pub(crate) use shuttle::{
        sync::{
            Arc, Condvar, Mutex, MutexGuard, Weak,
            atomic::{AtomicBool, AtomicUsize},
        },
        thread::yield_now,
    };

    use std::sync::PoisonError;

    /// A number that no other living thread has.
    pub(crate) fn thread_token() -> usize {
        shuttle::thread_local! {
            static TOKEN: Box<u8> = Box::new(0);
        }
        TOKEN.with(|token| std::ptr::from_ref(&**token) as usize)
    }

    /// As that of crossbeam.
    pub(crate) struct AtomicCell<T>(Mutex<T>);

    impl<T: Default> AtomicCell<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn swap(&self, value: T) -> T {
            std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), value)
        }

        pub(crate) fn take(&self) -> T {
            self.swap(T::default())
        }

        pub(crate) fn store(&self, value: T) {
            drop(self.swap(value));
        }
    }
}

/// Locks a mutex of the standard library, whatever has panicked with it locked.
pub(crate) fn lock<T: ?Sized>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(shuttle)]
pub(crate) use model::*;
#[cfg(not(shuttle))]
pub(crate) use real::*;
