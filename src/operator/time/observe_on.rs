use std::{
    collections::VecDeque,
    future::Future,
    marker::PhantomData,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use rxrust::{
    context::{Context, RcDerefMut},
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::Scheduler,
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::room::{Feeding, Room, Rooms};
use crate::{
    buffer::{Buffer, Lost, Overflow},
    delivery::fate::{Abandoned, abandoning},
    error::{
        OverflowError, PanicError, StreamError, catch, complete, drop_caught, fail, take_failure, unhandled,
    },
    gate::{Flow, SubOf},
    held::Held,
    operator::{
        batch::BatchObserver,
        rate::{Ignore, OnDropped, Told},
    },
    time::{Cancel, Clock, deadline},
};

/// How many items the task delivers before it lets others run.
const BUDGET: usize = 256;
/// How often the task looks for the next item before it sleeps.
const PATIENCE: u32 = 64;

/// See [`observe_on`](super::TimeOps::observe_on) and
/// [`on_backpressure_buffer`](super::TimeOps::on_backpressure_buffer).
pub struct ObserveOn<S, Sch, I, E, D = Ignore, A = Ageless, M = ()> {
    source: S,
    scheduler: Sch,
    buffer: Buffer,
    on_dropped: D,
    aging: A,
    how: How,
    types: PhantomData<fn() -> (I, E, M)>,
}

clone_by_fields!(ObserveOn<S, Sch, I, E, D, A, M>: source, scheduler, buffer, on_dropped, aging, how, types where S, Sch, D, A);

/// How the operators differ that are an [`ObserveOn`].
#[derive(Clone, Copy)]
struct How {
    /// The operator's name, in errors.
    name: &'static str,
    /// How many items the task takes over at once.
    take: usize,
    /// Nothing waits besides the one item that the task has.
    alone: bool,
}

/// Whether items may wait too long: the mark `M` that each gets when it comes, and when that is too old.
pub trait Aging<M> {
    /// Now.
    fn mark(&self) -> M;
    /// Whether an item that came at `mark` has waited too long by `now`.
    fn is_old(&self, mark: &M, now: &M) -> bool;
}

/// They may wait for ever.
#[derive(Debug, Clone, Copy)]
pub struct Ageless;

impl Aging<()> for Ageless {
    #[inline(always)]
    fn mark(&self) {}

    #[inline(always)]
    fn is_old(&self, (): &(), (): &()) -> bool {
        false
    }
}

/// They may wait so long, by the scheduler's clock.
#[derive(Debug, Clone)]
pub struct TimeToLive<Sch> {
    clock: Sch,
    ttl: Duration,
}

impl<Sch: Clock> Aging<Duration> for TimeToLive<Sch> {
    fn mark(&self) -> Duration {
        self.clock.now()
    }

    fn is_old(&self, mark: &Duration, now: &Duration) -> bool {
        deadline(*mark, self.ttl) < *now
    }
}

impl<S, Sch, I, E> ObserveOn<S, Sch, I, E> {
    pub(super) fn new(source: S, scheduler: Sch, buffer: Buffer) -> Self {
        let how = How { name: "observe_on", take: usize::MAX, alone: false };
        Self { source, scheduler, buffer, on_dropped: Ignore, aging: Ageless, how, types: PhantomData }
    }
}

impl<S, Sch, I, E, D> ObserveOn<S, Sch, I, E, D> {
    /// The task takes over one item at a time: what the bound is for is where the policy still sees it.
    pub(super) fn one_by_one(
        source: S,
        scheduler: Sch,
        buffer: Buffer,
        on_dropped: D,
        name: &'static str,
    ) -> Self {
        let how = How { name, take: 1, alone: false };
        Self { source, scheduler, buffer, on_dropped, aging: Ageless, how, types: PhantomData }
    }

    /// Nothing waits while the task has an item.
    pub(super) fn alone(source: S, scheduler: Sch, buffer: Buffer, on_dropped: D) -> Self {
        let how = How { name: "on_backpressure_drop", take: 1, alone: true };
        Self { source, scheduler, buffer, on_dropped, aging: Ageless, how, types: PhantomData }
    }
}

impl<S, Sch: Clone, I, E, D> ObserveOn<S, Sch, I, E, D, TimeToLive<Sch>, Duration> {
    /// One by one, and none that has waited longer than `ttl`.
    pub(super) fn mortal(source: S, scheduler: Sch, ttl: Duration, buffer: Buffer, on_dropped: D) -> Self {
        let how = How { name: "on_backpressure_timeout", take: 1, alone: false };
        let aging = TimeToLive { clock: scheduler.clone(), ttl };
        Self { source, scheduler, buffer, on_dropped, aging, how, types: PhantomData }
    }
}

impl<S, Sch, I, E, D, A, M> ObservableType for ObserveOn<S, Sch, I, E, D, A, M> {
    type Item<'a>
        = I
    where
        Self: 'a;
    type Err = E;
}

/// What tells of dropped items in context `C`.
type ToldOf<C, D, I> = Told<<C as Context>::Scope, D, I>;
/// The producing side in context `C`.
type HandInOf<C, Sch, D, A, I, E, M> = HandIn<QueueOf<C, I, E, M>, Sch, ToldOf<C, D, I>, A>;
/// The consuming side in context `C`.
type HandOffOf<C, D, A, I, E, M> =
    HandOff<<C as Context>::Inner, QueueOf<C, I, E, M>, ToldOf<C, D, I>, A, I, E, M>;

impl<S, Sch, I, E, D, A, M, C, U> CoreObservable<C> for ObserveOn<S, Sch, I, E, D, A, M>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<I, E>,
    E: 'static,
    Sch: Clock + Scheduler<HandOffOf<C, D, A, I, E, M>>,
    D: OnDropped<I>,
    A: Aging<M> + Clone,
    S: CoreObservable<C::With<HandInOf<C, Sch, D, A, I, E, M>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = HandOffSubscription<QueueOf<C, I, E, M>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let Self { source, scheduler, buffer, on_dropped, aging, how, .. } = self;
        let name = how.name;
        let (down, context_scheduler) = context.into_parts();
        let queue = C::RcMut::from(Queue {
            down: Some(down),
            items: Held::open(&buffer),
            end: None,
            taken: false,
            busy: false,
            asleep: false,
            upstream: None,
        });
        let cancel = Cancel::default();
        let room = (buffer.overflow() == Overflow::Block).then(Arc::<Room>::default);
        let told = Told::new(on_dropped, name);
        let task = HandOff {
            down: None,
            queue: queue.clone(),
            batch: Abandoned::new(VecDeque::new()),
            idle: PATIENCE,
            cancel: cancel.clone(),
            room: room.clone(),
            rooms: Rooms::default(),
            told: told.clone(),
            aging: aging.clone(),
            buffer: buffer.clone(),
            how,
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
        let gone =
            |side: &HandInOf<C, Sch, D, A, I, E, M>| side.end(take_failure().map_or(End::Gone, End::Failure));
        let hand_in = HandIn {
            queue: queue.clone(),
            scheduler,
            buffer,
            cancel: cancel.clone(),
            room: room.clone(),
            told,
            aging,
            how,
            threads: C::Scope::THREADS,
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
type QueueOf<C, I, E, M> = <C as Context>::RcMut<Queue<<C as Context>::Inner, I, E, SubOf<C>, M>>;

/// The subscription to an `observe_on`.
pub struct HandOffSubscription<R> {
    queue: R,
    cancel: Cancel,
    room: Option<Arc<Room>>,
}

impl<R, O, I, E, Sub, M> HandOffSubscription<R>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub, M>>,
    Sub: Subscription,
{
    fn end_upstream(&self) {
        let upstream = self.queue.rc_deref_mut().upstream.take();
        if let Some(upstream) = upstream {
            upstream.unsubscribe();
        }
    }
}

impl<R, O, I, E, Sub, M> Subscription for HandOffSubscription<R>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub, M>>,
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
pub struct Queue<O, I, E, Sub, M> {
    /// Until the task has taken it.
    down: Option<O>,
    items: Held<(M, I)>,
    end: Option<End<E>>,
    /// The scheduler has taken the task.
    taken: bool,
    /// The task has an item, and nothing may wait besides that.
    busy: bool,
    /// The task waits to be woken.
    asleep: bool,
    /// The subscription to the source.
    upstream: Option<Sub>,
}

impl<O, I, E, Sub, M> Queue<O, I, E, Sub, M> {
    /// Takes out what has waited too long.
    #[inline(always)]
    fn bury(&mut self, aging: &impl Aging<M>, now: &M, buried: &mut Vec<I>) {
        while let Some((mark, _)) = self.items.front()
            && aging.is_old(mark, now)
            && let Some((_, item)) = self.items.pop_front()
        {
            self.items.meter().left("expired", 1);
            buried.push(item);
        }
    }
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

/// The producing side.
pub struct HandIn<R, Sch, T, A> {
    queue: R,
    scheduler: Sch,
    buffer: Buffer,
    cancel: Cancel,
    room: Option<Arc<Room>>,
    told: T,
    aging: A,
    how: How,
    /// Other threads may make room.
    threads: bool,
    /// The buffer has overflowed: nothing more is taken.
    full: bool,
    /// Says that the source has dropped its observer; a function, as a `Drop` has no bounds of its own.
    gone: fn(&Self),
}

impl<R, Sch, T, A, O, I, E, Sub, M> HandIn<R, Sch, T, A>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub, M>>,
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

    /// Finds room in a full queue; whether it has waited for that.
    #[cold]
    fn wait_for_room(&self, room: &Arc<Room>) -> Waited
    where
        Sch: Clock,
    {
        if Room::ask(room) {
            return Waited::Later;
        }
        if !self.threads || room.is_for_this_thread() {
            return Waited::Done;
        }
        let full =
            || !self.cancel.cancelled() && self.queue.rc_deref_mut().items.len() >= self.buffer.capacity();
        if self.scheduler.wait(|| room.wait_while(full)) { Waited::Done } else { Waited::Refused }
    }

    /// Puts an item into the queue; what is lost for that, or has been.
    #[inline(always)]
    fn put(&self, item: I) -> Result<Lost<I>, (End<E>, I)>
    where
        Sch: Clock,
        A: Aging<M>,
    {
        let now = self.aging.mark();
        let mut queue = self.queue.rc_deref_mut();
        let (mut bound, mut refused) = (self.buffer.capacity(), false);
        let mut buried = Vec::new();
        queue.bury(&self.aging, &now, &mut buried);
        if let Some(room) = &self.room
            && queue.items.len() >= bound
        {
            drop(queue);
            match self.wait_for_room(room) {
                Waited::Done => {}
                // Its source awaits room as soon as it has handed in what it is at.
                Waited::Later => bound = bound.saturating_mul(2),
                Waited::Refused => refused = true,
            }
            queue = self.queue.rc_deref_mut();
        }
        let pushed = if queue.busy || self.how.alone && !queue.items.is_empty() {
            self.buffer.dropped(queue.items.meter(), 1);
            Ok(Lost::one((now, item)))
        } else if queue.items.len() < bound {
            queue.items.push_back((now, item));
            Ok(Lost::None)
        } else {
            self.buffer.push(&mut queue.items, (now, item), self.how.name)
        };
        if let Some(room) = &self.room
            && queue.items.len() >= self.buffer.capacity()
        {
            Room::ask(room);
        }
        let wake = mem::take(&mut queue.asleep);
        drop(queue);
        if wake {
            self.cancel.wake();
        }
        self.buffer.count(buried.len() as u64);
        match pushed {
            Ok(lost) if buried.is_empty() => Ok(lost.map(|(_, item)| item)),
            Ok(lost) => {
                lost.each(|(_, item)| buried.push(item));
                Ok(Lost::many(buried.into()))
            }
            Err((full, item)) => {
                let end =
                    if refused { End::Failure(StreamError::WouldBlock(full)) } else { End::Overflow(full) };
                Err((end, item.value.1))
            }
        }
    }
}

/// What has become of a wait for room.
enum Waited {
    /// It is over.
    Done,
    /// Whoever pushes will wait, but not now.
    Later,
    /// This thread must not wait.
    Refused,
}

impl<R, Sch, Sc, D, A, O, I, E, Sub, M> Observer<I, E> for HandIn<R, Sch, Told<Sc, D, I>, A>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub, M>>,
    Sch: Clock,
    Sc: Flow,
    D: OnDropped<I>,
    A: Aging<M>,
{
    #[inline(always)]
    fn next(&mut self, item: I) {
        if self.full || self.cancel.cancelled() {
            return abandoning(|| drop(item));
        }
        // What was not kept is dropped here, with the queue free.
        match self.put(item) {
            Ok(lost) => lost.each(|item| self.told.tell(item)),
            Err((end, item)) => {
                self.full = true;
                self.end(end);
                abandoning(|| self.told.tell(item));
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

impl<R, Sch, Sc, D, A, O, I, E, Sub, M> BatchObserver<I, E> for HandIn<R, Sch, Told<Sc, D, I>, A>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub, M>>,
    Sch: Clock,
    Sc: Flow,
    D: OnDropped<I>,
    A: Aging<M>,
{
}

impl<R, Sch, T, A> Drop for HandIn<R, Sch, T, A> {
    fn drop(&mut self) {
        (self.gone)(self);
    }
}

/// The consuming side: a task of the scheduler.
pub struct HandOff<O, R, T, A, I, E, M> {
    down: Option<O>,
    queue: R,
    batch: Abandoned<VecDeque<(M, I)>>,
    /// How often it has looked since there was an item.
    idle: u32,
    cancel: Cancel,
    room: Option<Arc<Room>>,
    /// The full queues further down, whose room it awaits before the next item.
    rooms: Rooms,
    told: T,
    aging: A,
    buffer: Buffer,
    how: How,
    /// For the drop; a function, as a `Drop` has no bounds of its own.
    lost: fn(&mut Self),
    types: PhantomData<fn() -> E>,
}

impl<O, R, T, A, I, E, M> Drop for HandOff<O, R, T, A, I, E, M> {
    fn drop(&mut self) {
        if !self.cancel.cancelled() && !std::thread::panicking() {
            (self.lost)(self);
        }
    }
}

// Nothing in it is ever pinned.
impl<O, R, T, A, I, E, M> Unpin for HandOff<O, R, T, A, I, E, M> {}

impl<O, R, T, A, I, E, Sub, M> HandOff<O, R, T, A, I, E, M>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub, M>>,
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
            (!self.batch.value.is_empty() || !queue.items.is_empty(), queue.down.take())
        };
        match self.stop().or(not_begun) {
            Some(down) if waited => fail(down, StreamError::SchedulerGone(self.how.name)),
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
        drop_caught((items, mem::take(&mut self.batch.value)));
        self.down.take()
    }

    /// Delivers up to [`BUDGET`] items of the batch; `false` when nobody listens any more.
    fn deliver(&mut self) -> bool {
        let Some(down) = &mut self.down else { return false };
        let feeding = Feeding::begin();
        for _ in 0..BUDGET {
            // Before it is taken: what nobody has seen is not done.
            if self.cancel.cancelled() {
                return false;
            }
            let Some((_, item)) = self.batch.value.pop_front() else { break };
            down.next(item);
            if feeding.asked(&mut self.rooms) {
                break;
            }
        }
        !down.is_closed()
    }
}

impl<O, R, Sc, D, A, I, E, Sub, M> Future for HandOff<O, R, Told<Sc, D, I>, A, I, E, M>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub, M>>,
    Sc: Flow,
    D: OnDropped<I>,
    A: Aging<M>,
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
        if this.rooms.poll(context).is_pending() {
            return Poll::Pending;
        }
        if this.batch.value.is_empty() {
            let (now, mut buried) = (this.aging.mark(), Vec::new());
            let mut queue = this.queue.rc_deref_mut();
            queue.bury(&this.aging, &now, &mut buried);
            if !buried.is_empty() {
                drop(queue);
                this.idle = 0;
                return this.tell(buried, context);
            }
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
            queue.items.move_to(&mut this.batch.value, this.how.take);
            queue.busy = this.how.alone;
            let room = this.room.as_ref().filter(|_| queue.items.len() < this.buffer.capacity());
            drop(queue);
            this.idle = 0;
            if let Some(room) = room {
                room.notify();
            }
        }
        let room = this.room.clone();
        let delivered = Room::delivering(room.as_ref(), || catch("downstream", || this.deliver()));
        if this.how.alone {
            this.queue.rc_deref_mut().busy = false;
        }
        this.go_on(delivered, context)
    }
}

impl<O, R, Sc, D, A, I, E, Sub, M> HandOff<O, R, Told<Sc, D, I>, A, I, E, M>
where
    R: RcDerefMut<Target = Queue<O, I, E, Sub, M>>,
    Sc: Flow,
    D: OnDropped<I>,
    A: Aging<M>,
    O: Observer<I, E>,
    E: 'static,
    Sub: Subscription,
{
    /// Tells of what has waited too long.
    #[cold]
    fn tell(&mut self, buried: Vec<I>, context: &TaskContext<'_>) -> Poll<()> {
        self.buffer.count(buried.len() as u64);
        if let Some(room) = &self.room {
            room.notify();
        }
        let told = catch(self.how.name, || {
            buried.into_iter().for_each(|item| self.told.tell(item));
            true
        });
        self.go_on(told, context)
    }

    /// Goes on, unless nobody listens, or something has panicked.
    fn go_on(&mut self, delivered: Result<bool, PanicError>, context: &TaskContext<'_>) -> Poll<()> {
        match delivered {
            Ok(true) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(false) => {
                drop_caught(self.stop());
                Poll::Ready(())
            }
            Err(panic) => {
                if let Some(down) = self.stop() {
                    fail(down, panic);
                }
                Poll::Ready(())
            }
        }
    }
}
