use std::{
    collections::VecDeque,
    future::Future,
    marker::PhantomData,
    mem,
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context as TaskContext, Poll},
};

use rxrust::{
    context::{Context, RcDerefMut},
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::Scheduler,
    subscription::{IntoBoxedSubscription, Subscription},
};

use crate::{
    buffer::{Buffer, Overflow},
    delivery::fate::abandoning,
    error::{OverflowError, StreamError, catch, complete, drop_caught, fail, named, take_failure, unhandled},
    gate::{Flow, LOOK_AGAIN, SubOf, Waiting},
    held::Held,
    operator::{
        batch::BatchObserver,
        rate::{Ignore, OnDropped},
    },
    sync::thread_token,
    time::{Cancel, Clock},
};

/// How many items the task delivers before it lets others run.
const BUDGET: usize = 256;
/// How often the task looks for the next item before it sleeps.
const PATIENCE: u32 = 64;

/// See [`observe_on`](super::TimeOps::observe_on) and
/// [`on_backpressure_buffer`](super::TimeOps::on_backpressure_buffer).
pub struct ObserveOn<S, Sch, I, E, D = Ignore> {
    source: S,
    scheduler: Sch,
    buffer: Buffer,
    on_dropped: D,
    /// The operator's name, in errors.
    name: &'static str,
    /// How many items the task takes over at once.
    take: usize,
    types: PhantomData<fn() -> (I, E)>,
}

clone_by_fields!(ObserveOn<S, Sch, I, E, D>: source, scheduler, buffer, on_dropped, name, take, types where S, Sch, D);

impl<S, Sch, I, E> ObserveOn<S, Sch, I, E> {
    pub(super) fn new(source: S, scheduler: Sch, buffer: Buffer) -> Self {
        let (name, take) = ("observe_on", usize::MAX);
        Self { source, scheduler, buffer, on_dropped: Ignore, name, take, types: PhantomData }
    }
}

impl<S, Sch, I, E, D> ObserveOn<S, Sch, I, E, D> {
    /// The task takes over one item at a time: what the bound is for is where the policy still sees it.
    pub(super) fn one_by_one(source: S, scheduler: Sch, buffer: Buffer, on_dropped: D) -> Self {
        let (name, take) = ("on_backpressure_buffer", 1);
        Self { source, scheduler, buffer, on_dropped, name, take, types: PhantomData }
    }
}

impl<S, Sch, I, E, D> ObservableType for ObserveOn<S, Sch, I, E, D> {
    type Item<'a>
        = I
    where
        Self: 'a;
    type Err = E;
}

impl<S, Sch, I, E, D, C, U> CoreObservable<C> for ObserveOn<S, Sch, I, E, D>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<I, E>,
    E: 'static,
    Sch: Clock + Scheduler<HandOff<C::Inner, QueueOf<C, I, E>, I, E>>,
    D: OnDropped<I>,
    S: CoreObservable<C::With<HandIn<QueueOf<C, I, E>, Sch, D>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = HandOffSubscription<QueueOf<C, I, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let Self { source, scheduler, buffer, on_dropped, name, take, .. } = self;
        let (down, context_scheduler) = context.into_parts();
        let queue = C::RcMut::from(Queue {
            down: Some(down),
            items: Held::open(&buffer),
            end: None,
            taken: false,
            asleep: false,
            upstream: None,
        });
        let cancel = Cancel::default();
        let blocks = buffer.overflow() == Overflow::Block && C::Scope::THREADS;
        let room = blocks.then(Arc::<Room>::default);
        let task = HandOff {
            down: None,
            queue: queue.clone(),
            batch: VecDeque::new(),
            idle: PATIENCE,
            cancel: cancel.clone(),
            room: room.clone(),
            name,
            take,
            lost: |task| task.lost(),
            types: PhantomData,
        };
        match catch(name, || drop(scheduler.schedule(task, None))) {
            Ok(()) => queue.rc_deref_mut().taken = true,
            Err(panic) => {
                cancel.cancel();
                let down = queue.rc_deref_mut().down.take();
                if let Some(down) = down {
                    fail(down, panic);
                }
            }
        }
        let gone = |side: &HandIn<QueueOf<C, I, E>, Sch, D>| {
            side.end(take_failure().map_or(End::Gone, End::Failure))
        };
        let hand_in = HandIn {
            queue: queue.clone(),
            scheduler,
            buffer,
            cancel: cancel.clone(),
            room: room.clone(),
            on_dropped,
            name,
            full: false,
            gone,
        };
        let upstream = source.subscribe(C::With::from_parts(hand_in, context_scheduler));
        if !upstream.is_closed() {
            queue.rc_deref_mut().upstream = Some(upstream.into_boxed());
        }
        let subscription = HandOffSubscription { queue, cancel, room };
        // The output may have ended meanwhile.
        if subscription.cancel.cancelled() {
            subscription.end_upstream();
        }
        subscription
    }
}

/// The queue of context `C`.
type QueueOf<C, I, E> = <C as Context>::RcMut<Queue<<C as Context>::Inner, I, E, SubOf<C>>>;

/// The subscription to an `observe_on`.
pub struct HandOffSubscription<R> {
    queue: R,
    cancel: Cancel,
    room: Option<Arc<Room>>,
}

impl<R, O, I, E, Sub> HandOffSubscription<R>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub>>,
    Sub: Subscription,
{
    fn end_upstream(&self) {
        let upstream = self.queue.rc_deref_mut().upstream.take();
        if let Some(upstream) = upstream {
            upstream.unsubscribe();
        }
    }
}

impl<R, O, I, E, Sub> Subscription for HandOffSubscription<R>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub>>,
    Sub: Subscription,
{
    fn unsubscribe(self) {
        self.cancel.cancel();
        self.end_upstream();
        if let Some(room) = &self.room {
            room.notify();
        }
    }

    fn is_closed(&self) -> bool {
        self.cancel.cancelled()
    }
}

/// What lies between the producing and the consuming side.
pub struct Queue<O, I, E, Sub> {
    /// Until the task has taken it.
    down: Option<O>,
    items: Held<I>,
    end: Option<End<E>>,
    /// The scheduler has taken the task.
    taken: bool,
    /// The task waits to be woken.
    asleep: bool,
    /// The subscription to the source.
    upstream: Option<Sub>,
}

enum End<E> {
    Complete,
    Error(E),
    Overflow(OverflowError),
    /// A failure above, which no error type there could hold, has dropped the observer.
    Failure(StreamError),
    /// The source has dropped its observer.
    Gone,
}

/// Where a producing thread waits for room.
#[derive(Default)]
struct Room {
    lock: Mutex<()>,
    changed: Condvar,
    /// The thread that delivers right now, or 0.
    consumer: AtomicUsize,
}

impl Room {
    /// Waits while it is full; gives up where the consumer waits for this thread.
    fn wait_while(&self, full: impl Fn() -> bool) {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while full() {
            let consumer = self.consumer.load(Ordering::Acquire);
            if consumer == thread_token() {
                return;
            }
            let Some(_waiting) = Waiting::for_thread(consumer) else { return };
            guard = match self.changed.wait_timeout(guard, LOOK_AGAIN) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn notify(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

/// The producing side.
pub struct HandIn<R, Sch, D> {
    queue: R,
    scheduler: Sch,
    buffer: Buffer,
    cancel: Cancel,
    room: Option<Arc<Room>>,
    on_dropped: D,
    name: &'static str,
    /// The buffer has overflowed: nothing more is taken.
    full: bool,
    /// Says that the source has dropped its observer; a function, as a `Drop` has no bounds of its own.
    gone: fn(&Self),
}

impl<R, Sch, D, O, I, E, Sub> HandIn<R, Sch, D>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub>>,
{
    fn end(&self, end: End<E>) {
        let mut queue = self.queue.rc_deref_mut();
        if queue.end.is_none() {
            queue.end = Some(end);
        }
        let wake = mem::take(&mut queue.asleep);
        drop(queue);
        if wake {
            self.cancel.wake();
        }
    }

    #[cold]
    fn wait_for_room(&self, room: &Room) -> bool
    where
        Sch: Clock,
    {
        self.scheduler.wait(|| {
            room.wait_while(|| {
                !self.cancel.cancelled() && self.queue.rc_deref_mut().items.len() >= self.buffer.capacity()
            });
        })
    }
}

impl<R, Sch, D, O, I, E, Sub> Observer<I, E> for HandIn<R, Sch, D>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub>>,
    Sch: Clock,
    D: OnDropped<I>,
{
    #[inline(always)]
    fn next(&mut self, item: I) {
        if self.full || self.cancel.cancelled() {
            return;
        }
        let mut queue = self.queue.rc_deref_mut();
        if let Some(room) = &self.room
            && queue.items.len() >= self.buffer.capacity()
        {
            drop(queue);
            self.wait_for_room(room);
            queue = self.queue.rc_deref_mut();
        }
        let pushed = self.buffer.push(&mut queue.items, item, self.name);
        let wake = mem::take(&mut queue.asleep);
        drop(queue);
        if wake {
            self.cancel.wake();
        }
        // What was not kept is dropped here, with the queue free.
        match pushed {
            Ok(None) => {}
            Ok(Some(lost)) => named(|| self.name, || self.on_dropped.dropped(lost.into_inner())),
            Err((full, item)) => {
                self.full = true;
                self.end(End::Overflow(full));
                abandoning(|| named(|| self.name, || self.on_dropped.dropped(item.value)));
            }
        }
    }

    fn error(self, error: E) {
        self.end(End::Error(error));
    }

    fn complete(self) {
        self.end(End::Complete);
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.full || self.cancel.cancelled()
    }
}

impl<R, Sch, D, O, I, E, Sub> BatchObserver<I, E> for HandIn<R, Sch, D>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub>>,
    Sch: Clock,
    D: OnDropped<I>,
{
}

impl<R, Sch, D> Drop for HandIn<R, Sch, D> {
    fn drop(&mut self) {
        (self.gone)(self);
    }
}

/// The consuming side: a task of the scheduler.
pub struct HandOff<O, R, I, E> {
    down: Option<O>,
    queue: R,
    batch: VecDeque<I>,
    /// How often it has looked since there was an item.
    idle: u32,
    cancel: Cancel,
    room: Option<Arc<Room>>,
    name: &'static str,
    take: usize,
    /// For the drop; a function, as a `Drop` has no bounds of its own.
    lost: fn(&mut Self),
    types: PhantomData<fn() -> E>,
}

impl<O, R, I, E> Drop for HandOff<O, R, I, E> {
    fn drop(&mut self) {
        if !self.cancel.cancelled() && !std::thread::panicking() {
            (self.lost)(self);
        }
    }
}

// Nothing in it is ever pinned.
impl<O, R, I, E> Unpin for HandOff<O, R, I, E> {}

impl<O, R, I, E, Sub> HandOff<O, R, I, E>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub>>,
    O: Observer<I, E>,
    E: 'static,
    Sub: Subscription,
{
    /// The scheduler has dropped the task, with its runtime. That ends the stream; not silently, if items waited.
    fn lost(&mut self) {
        let (waited, not_begun) = {
            let mut queue = self.queue.rc_deref_mut();
            if !queue.taken {
                // A scheduler that panics has not taken the task: its caller says so.
                return;
            }
            (!self.batch.is_empty() || !queue.items.is_empty(), queue.down.take())
        };
        match self.stop().or(not_begun) {
            Some(down) if waited => fail(down, StreamError::SchedulerGone(self.name)),
            down => drop_caught(down),
        }
    }

    /// Stops both sides and lets go of what waits.
    fn stop(&mut self) -> Option<O> {
        self.cancel.cancel();
        let (items, upstream) = {
            let mut queue = self.queue.rc_deref_mut();
            (queue.items.close(), queue.upstream.take())
        };
        if let Some(upstream) = upstream {
            upstream.unsubscribe();
        }
        if let Some(room) = &self.room {
            room.notify();
        }
        drop_caught((items, mem::take(&mut self.batch)));
        self.down.take()
    }

    /// Delivers up to [`BUDGET`] items of the batch; `false` when nobody listens any more.
    fn deliver(&mut self) -> bool {
        let Some(down) = &mut self.down else { return false };
        for item in self.batch.drain(..self.batch.len().min(BUDGET)) {
            if self.cancel.cancelled() {
                return false;
            }
            down.next(item);
        }
        !down.is_closed()
    }
}

impl<O, R, I, E, Sub> Future for HandOff<O, R, I, E>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub>>,
    O: Observer<I, E>,
    E: 'static,
    Sub: Subscription,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        this.cancel.register(context);
        if this.down.is_none() {
            this.down = this.queue.rc_deref_mut().down.take();
        }
        if this.cancel.cancelled() {
            drop_caught(this.stop());
            return Poll::Ready(());
        }
        if this.batch.is_empty() {
            let mut queue = this.queue.rc_deref_mut();
            if queue.items.is_empty() {
                let Some(end) = queue.end.take() else {
                    // To wake a thread costs as much as a thousand items: look again a few times before it sleeps.
                    if this.idle < PATIENCE {
                        this.idle += 1;
                        context.waker().wake_by_ref();
                    } else {
                        queue.asleep = true;
                    }
                    return Poll::Pending;
                };
                drop(queue);
                let down = this.stop();
                match (down, end) {
                    (Some(down), End::Complete) => complete(down),
                    (Some(down), End::Error(error)) => crate::error::error(down, error),
                    (Some(down), End::Overflow(full)) => fail(down, full),
                    (Some(down), End::Failure(failure)) => fail(down, failure),
                    (None, End::Failure(failure)) => unhandled(&failure),
                    (_, End::Gone) | (None, _) => {}
                }
                return Poll::Ready(());
            }
            queue.items.move_to(&mut this.batch, this.take);
            drop(queue);
            this.idle = 0;
            if let Some(room) = &this.room {
                room.notify();
            }
        }
        if let Some(room) = &this.room {
            room.consumer.store(thread_token(), Ordering::Release);
        }
        let delivered = catch("downstream", || this.deliver());
        if let Some(room) = &this.room {
            room.consumer.store(0, Ordering::Release);
        }
        match delivered {
            Ok(true) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(false) => {
                drop_caught(this.stop());
                Poll::Ready(())
            }
            Err(panic) => {
                if let Some(down) = this.stop() {
                    fail(down, panic);
                }
                Poll::Ready(())
            }
        }
    }
}
