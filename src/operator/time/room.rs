//! How a full queue has its producer wait for room: a plain thread blocks, an asynchronous source of this crate awaits.

use std::{
    cell::RefCell,
    mem,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering, fence},
    },
    task::{Context, Poll, Waker},
};

use crate::{
    gate::{LOOK_AGAIN, Waiting},
    sync::thread_token,
};

/// Where producers wait for room in one queue.
#[derive(Default)]
pub(crate) struct Room {
    /// The tasks that wait.
    wakers: Mutex<Vec<Waker>>,
    changed: Condvar,
    full: AtomicBool,
    /// The thread that delivers right now, or 0.
    consumer: AtomicUsize,
}

impl Room {
    /// Blocks this thread while it is full; gives up where the consumer waits for this thread.
    pub(crate) fn wait_while(&self, full: impl Fn() -> bool) {
        let mut guard = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        while full() {
            if self.is_for_this_thread() {
                return;
            }
            let consumer = self.consumer.load(Ordering::Acquire);
            let Some(_waiting) = Waiting::for_thread(consumer) else { return };
            guard = match self.changed.wait_timeout(guard, LOOK_AGAIN) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// There is room, or nobody needs it any more.
    pub(crate) fn notify(&self) {
        self.full.store(false, Ordering::SeqCst);
        let wakers = mem::take(&mut *self.wakers.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Says that somebody waits; whoever makes room then notifies.
    pub(crate) fn mark_full(&self) {
        self.full.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether somebody has been told that it is full.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    /// This thread delivers what is in the queue, while `deliver` runs.
    pub(crate) fn delivering<R>(room: Option<&Arc<Self>>, deliver: impl FnOnce() -> R) -> R {
        let Some(room) = room else { return deliver() };
        room.consumer.store(thread_token(), Ordering::Release);
        let delivered = deliver();
        room.consumer.store(0, Ordering::Release);
        delivered
    }

    /// Whether the consumer is on this very thread, further up: it cannot make room before that returns.
    pub(crate) fn is_for_this_thread(&self) -> bool {
        self.consumer.load(Ordering::Acquire) == thread_token()
    }

    /// Has the asynchronous source that feeds this thread await room; `false` where there is none, or where that is the
    /// consumer itself.
    pub(crate) fn ask(room: &Arc<Self>) -> bool {
        if room.is_for_this_thread() {
            return false;
        }
        let ask = |feeding: &RefCell<Option<Rooms>>| {
            let mut feeding = feeding.borrow_mut();
            let Some(Rooms(rooms)) = &mut *feeding else { return false };
            room.full.store(true, Ordering::SeqCst);
            if !rooms.iter().any(|other| Arc::ptr_eq(other, room)) {
                rooms.push(room.clone());
            }
            true
        };
        FEEDING.try_with(ask).unwrap_or(false)
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_full() {
            return Poll::Ready(());
        }
        if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

/// The full queues whose room an asynchronous source awaits.
#[derive(Default)]
pub(crate) struct Rooms(Vec<Arc<Room>>);

impl Rooms {
    /// Whether all have room.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.0.is_empty() {
            return Poll::Ready(());
        }
        self.0.retain(|room| room.poll(context).is_pending());
        if self.0.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

thread_local! {
    /// What full queues have asked of the source that feeds this thread; `None` where it cannot await.
    static FEEDING: RefCell<Option<Rooms>> = const { RefCell::new(None) };
}

/// While it lives, this thread is fed by an asynchronous source, which awaits room where it is [asked](Self::asked) to.
pub(crate) struct Feeding(Option<Rooms>);

impl Feeding {
    pub(crate) fn begin() -> Self {
        Self(FEEDING.replace(Some(Rooms::default())))
    }

    /// Whether the items so far have filled a queue; then those queues go to `rooms`.
    #[inline]
    pub(crate) fn asked(&self, rooms: &mut Rooms) -> bool {
        FEEDING.with_borrow_mut(|feeding| match feeding {
            Some(asked) if !asked.0.is_empty() => {
                rooms.0.append(&mut asked.0);
                true
            }
            _ => false,
        })
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        FEEDING.replace(self.0.take());
    }
}
