use std::{
    marker::PhantomData,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rxrust::{
    context::{Context, LocalScope, SharedScope},
    observable::{CoreObservable, ObservableType},
    subscription::Subscription,
};

use crate::{
    error::{catch, drop_caught, drop_done, unhandled},
    operator::share::{Hosts, IntoListener, Listener},
};

/// See [`create`](super::CreateOps::create).
pub struct Create<F, T, E> {
    f: F,
    types: PhantomData<fn() -> (T, E)>,
}

impl<F, T, E> Create<F, T, E> {
    pub(super) fn new(f: F) -> Self {
        Self { f, types: PhantomData }
    }
}

impl<F: Clone, T, E> Clone for Create<F, T, E> {
    fn clone(&self) -> Self {
        Self::new(self.f.clone())
    }
}

impl<F, T, E> ObservableType for Create<F, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<F, T, E, C, O, U> CoreObservable<C> for Create<F, T, E>
where
    C: Context,
    C::Scope: Hosts<T, E, Listener = O>,
    C::Inner: IntoListener<O>,
    O: Listener<T, E>,
    F: FnOnce(Emitter<O, T, E>) -> U,
    U: Subscription,
{
    type Unsub = CreateSubscription<U>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let closed = Arc::new(AtomicBool::new(false));
        let left_behind = Arc::new(Mutex::new(None));
        let emitter = Emitter {
            down: Some(context.into_inner().into_listener()),
            closed: closed.clone(),
            left_behind: left_behind.clone(),
            types: PhantomData,
        };
        let upstream = match catch("create", || (self.f)(emitter)) {
            Ok(upstream) => Some(upstream),
            Err(panic) => {
                closed.store(true, Ordering::Release);
                let down = left_behind.lock().unwrap_or_else(PoisonError::into_inner).take();
                match down {
                    Some(down) => down.fail(panic.into()),
                    None => unhandled(&panic.into()),
                }
                None
            }
        };
        CreateSubscription { upstream, closed }
    }
}

/// The observer side of [`create`](super::CreateOps::create). In `Shared` it can be moved to another thread.
///
/// Dropping it without an end means that nothing more comes, as ReactiveX says. After an unsubscription the
/// subscriber is let go with the emitter, or with its next use.
pub struct Emitter<O, T, E> {
    down: Option<O>,
    closed: Arc<AtomicBool>,
    /// Where the observer goes when a panic drops the emitter, so that the panic can be its error.
    left_behind: Arc<Mutex<Option<O>>>,
    types: PhantomData<fn(T, E)>,
}

/// The [`Emitter`] of `Local::create`.
pub type LocalEmitter<T, E> = Emitter<<LocalScope as Hosts<T, E>>::Listener, T, E>;
/// The [`Emitter`] of `Shared::create`.
pub type SharedEmitter<T, E> = Emitter<<SharedScope as Hosts<T, E>>::Listener, T, E>;

/// Nobody listens any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody listens any more")]
pub struct Closed;

impl<O: Listener<T, E>, T, E> Emitter<O, T, E> {
    /// Sends an item. [`Closed`] when nobody listens any more: stop then.
    #[inline]
    pub fn next(&mut self, item: T) -> Result<(), Closed> {
        if self.closed.load(Ordering::Acquire) {
            drop_done(self.down.take());
        }
        let Some(down) = &mut self.down else {
            drop_caught(item);
            return Err(Closed);
        };
        match catch("downstream", || down.next(item)) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.closed.store(true, Ordering::Release);
                drop_done(self.down.take());
                Err(Closed)
            }
            Err(panic) => {
                if let Some(down) = self.end() {
                    down.fail(panic.into());
                }
                Err(Closed)
            }
        }
    }

    /// Ends the stream with an error.
    pub fn error(self, error: E) {
        self.over(Err(error));
    }

    /// Completes the stream.
    pub fn complete(self) {
        self.over(Ok(()));
    }

    fn over(mut self, end: Result<(), E>) {
        if let Some(down) = self.end()
            && let Err(panic) = catch("downstream", || down.end(end))
        {
            unhandled(&panic.into());
        }
    }

    /// Whether nobody listens any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) || self.down.is_none()
    }

    fn end(&mut self) -> Option<O> {
        let open = !self.closed.swap(true, Ordering::AcqRel);
        let down = self.down.take();
        if open {
            return down;
        }
        drop_done(down);
        None
    }
}

impl<O, T, E> Drop for Emitter<O, T, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.left_behind.lock().unwrap_or_else(PoisonError::into_inner) = self.down.take();
        } else {
            // What operators hold may panic when it is dropped.
            drop_done(self.down.take());
        }
    }
}

/// The subscription to a `create`.
pub struct CreateSubscription<U> {
    upstream: Option<U>,
    closed: Arc<AtomicBool>,
}

impl<U: Subscription> Subscription for CreateSubscription<U> {
    fn unsubscribe(self) {
        self.closed.store(true, Ordering::Release);
        if let Some(upstream) = self.upstream {
            upstream.unsubscribe();
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}
