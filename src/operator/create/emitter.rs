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
    observer::{IntoBoxedObserver, Observer},
    subscription::Subscription,
};

use crate::{
    error::{catch, fail, unhandled},
    operator::share::subject::Hosts,
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
    C::Scope: Hosts<T, E, Observer = O>,
    C::Inner: IntoBoxedObserver<O>,
    O: Observer<T, E>,
    E: 'static,
    F: FnOnce(Emitter<O, T, E>) -> U,
    U: Subscription,
{
    type Unsub = CreateSubscription<U>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let closed = Arc::new(AtomicBool::new(false));
        let left_behind = Arc::new(Mutex::new(None));
        let emitter = Emitter {
            down: Some(context.into_inner().into_boxed()),
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
                    Some(down) => fail(down, panic),
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
/// Dropping it without an end means that nothing more comes, as ReactiveX says.
pub struct Emitter<O, T, E> {
    down: Option<O>,
    closed: Arc<AtomicBool>,
    /// Where the observer goes when a panic drops the emitter, so that the panic can be its error.
    left_behind: Arc<Mutex<Option<O>>>,
    types: PhantomData<fn(T, E)>,
}

/// The [`Emitter`] of `Local::create`.
pub type LocalEmitter<T, E> = Emitter<<LocalScope as Hosts<T, E>>::Observer, T, E>;
/// The [`Emitter`] of `Shared::create`.
pub type SharedEmitter<T, E> = Emitter<<SharedScope as Hosts<T, E>>::Observer, T, E>;

/// Nobody listens any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody listens any more")]
pub struct Closed;

impl<O: Observer<T, E>, T, E> Emitter<O, T, E> {
    /// Sends an item. [`Closed`] when nobody listens any more: stop then.
    #[inline]
    pub fn next(&mut self, item: T) -> Result<(), Closed> {
        if self.closed.load(Ordering::Acquire) {
            self.down = None;
        }
        let Some(down) = &mut self.down else { return Err(Closed) };
        down.next(item);
        if down.is_closed() {
            self.closed.store(true, Ordering::Release);
            self.down = None;
            return Err(Closed);
        }
        Ok(())
    }

    /// Ends the stream with an error.
    pub fn error(mut self, error: E) {
        if let Some(down) = self.end() {
            down.error(error);
        }
    }

    /// Completes the stream.
    pub fn complete(mut self) {
        if let Some(down) = self.end() {
            down.complete();
        }
    }

    /// Whether nobody listens any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) || self.down.as_ref().is_none_or(Observer::is_closed)
    }

    fn end(&mut self) -> Option<O> {
        let open = !self.closed.swap(true, Ordering::AcqRel);
        self.down.take().filter(|_| open)
    }
}

impl<O, T, E> Drop for Emitter<O, T, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.left_behind.lock().unwrap_or_else(PoisonError::into_inner) = self.down.take();
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
