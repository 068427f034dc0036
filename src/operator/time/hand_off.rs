use std::{
    future::Future,
    hint, iter,
    marker::PhantomData,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering, fence},
    },
    task::{Context as TaskContext, Poll},
    thread,
    time::Duration,
};

use crossbeam_queue::ArrayQueue;
use rtrb::{Consumer, Producer, PushError, RingBuffer};
use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::Scheduler,
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::room::{Feeding, Room, Rooms};
use crate::{
    buffer::{Buffer, Overflow},
    delivery::fate::{Abandoned, abandoning},
    error::{StreamError, catch, complete, drop_caught, fail, named, take_failure, unhandled},
    gate::{Flow, SubOf},
    held::QueueMeter,
    operator::{
        batch::{BATCH, Batch, BatchObserver},
        rate::OnDropped,
    },
    sync::lock,
    time::{Cancel, Clock},
};

/// The operator's name, in errors.
const NAME: &str = "hand_off";
/// How many items the consumer takes in a row before it looks who waits for room, and lets others run.
const BUDGET: usize = 256;
/// The ring is made at once; a larger one is none.
const MOST: usize = 1 << 24;
/// How long a consumer naps on its own thread before it sleeps until it is woken: a producer that has not seen that it sleeps
/// has pushed before, and that is seen by then. Otherwise a producer needed a fence for each item, which costs several times
/// the item.
const NAP: Duration = Duration::from_micros(100);
/// How often it looks at once on its own thread.
const LOOKS: u32 = 16;
/// How often a producer looks for room before it sleeps.
const LOOKS_FOR_ROOM: u32 = 1024;

/// How often the consumer looks for an item before it sleeps; to wake a thread costs as much as a thousand items.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// So often at once.
    spins: u32,
    /// And then so often, with other threads run in between.
    yields: u32,
    /// The thread is the consumer's own, so that it may nap.
    own_thread: bool,
}

impl Patience {
    /// Of a thread that does nothing else: some 50 µs.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) const OWN_THREAD: Self = Self { spins: 64, yields: 64, own_thread: true };
    /// Of a task among others.
    pub(super) const TASK: Self = Self { spins: 64, yields: 0, own_thread: false };
}

/// See [`hand_off`](super::TimeOps::hand_off).
pub struct HandOver<S, Sch, I, E, D> {
    source: S,
    scheduler: Sch,
    buffer: Buffer,
    on_dropped: D,
    patience: Patience,
    types: PhantomData<fn() -> (I, E)>,
}

clone_by_fields!(HandOver<S, Sch, I, E, D>: source, scheduler, buffer, on_dropped, patience, types where S, Sch, D);

impl<S, Sch, I, E, D> HandOver<S, Sch, I, E, D> {
    pub(super) fn new(source: S, scheduler: Sch, buffer: Buffer, on_dropped: D, patience: Patience) -> Self {
        Self { source, scheduler, buffer, on_dropped, patience, types: PhantomData }
    }
}

impl<S, Sch, I, E, D> ObservableType for HandOver<S, Sch, I, E, D> {
    type Item<'a>
        = I
    where
        Self: 'a;
    type Err = E;
}

/// What the two sides share in context `C`.
type LinkOf<C, E> = Link<<C as Context>::Inner, E, SubOf<C>>;

impl<S, Sch, I, E, D, C, U> CoreObservable<C> for HandOver<S, Sch, I, E, D>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<I, E>,
    E: 'static,
    D: OnDropped<I>,
    Sch: Clock + Scheduler<RingOut<C::Inner, I, E, SubOf<C>>>,
    S: CoreObservable<C::With<RingIn<C::Inner, I, E, SubOf<C>, Sch, D>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = HandOverSubscription<C::Inner, E, SubOf<C>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let Self { source, scheduler, buffer, on_dropped, patience, .. } = self;
        let (down, context_scheduler) = context.into_parts();
        #[allow(clippy::arc_with_non_send_sync, reason = "in `Shared` it is both")]
        let link: Arc<LinkOf<C, E>> = Arc::new(Link::new(down, &buffer, !patience.own_thread));
        let tally = Arc::new(Tally::new(&buffer));
        let (push, pop) = ring(&buffer);
        let out = RingOut {
            down: None,
            ring: Abandoned::new(pop),
            popped: 0,
            room: link.room.clone(),
            link: link.clone(),
            tally: tally.clone(),
            patience,
            idle: 0,
            rooms: Rooms::default(),
            lost: |task| task.lost(),
        };
        match catch(NAME, || drop(scheduler.schedule(out, None))) {
            Ok(()) => link.taken.store(true, Ordering::Release),
            Err(panic) => {
                link.cancel.cancel();
                let down = take(&link.down);
                if let Some(down) = down {
                    fail(down, panic);
                }
            }
        }
        let side = RingIn {
            ring: Abandoned::new(push),
            pushed: 0,
            buffer,
            scheduler,
            on_dropped,
            threads: C::Scope::THREADS,
            full: false,
            link: link.clone(),
            tally,
        };
        let upstream = source.subscribe(C::With::from_parts(side, context_scheduler));
        if !upstream.is_closed() {
            *lock(&link.upstream) = Some(upstream.into_boxed());
        }
        // The output may have ended meanwhile.
        if link.cancel.cancelled() {
            link.end_upstream();
        }
        HandOverSubscription(link)
    }
}

fn take<T>(mutex: &Mutex<Option<T>>) -> Option<T> {
    lock(mutex).take()
}

/// The subscription to a `hand_off`.
pub struct HandOverSubscription<O, E, Sub>(Arc<Link<O, E, Sub>>);

impl<O, E, Sub: Subscription> Subscription for HandOverSubscription<O, E, Sub> {
    fn unsubscribe(self) {
        self.0.cancel.cancel();
        self.0.end_upstream();
        self.0.notify();
    }

    fn is_closed(&self) -> bool {
        self.0.cancel.cancelled()
    }
}

/// What the two sides share besides the ring.
struct Link<O, E, Sub> {
    /// The observer, until the consumer has taken it.
    down: Mutex<Option<O>>,
    /// The source has ended: `end` says how. Set after the last item.
    ended: AtomicBool,
    end: Mutex<Option<End<E>>>,
    /// Whether a producer is ordered with the consumer's going to sleep by a fence; otherwise that naps first.
    fences: bool,
    /// The consumer waits to be woken.
    asleep: AtomicBool,
    /// The scheduler has taken the consumer.
    taken: AtomicBool,
    cancel: Cancel,
    /// Where producers wait, where they do.
    room: Option<Arc<Room>>,
    upstream: Mutex<Option<Sub>>,
}

enum End<E> {
    Complete,
    Error(E),
    /// An overflow, or a failure above which no error type there could hold.
    Failure(StreamError),
    /// The source has dropped its observer.
    Gone,
}

impl<O, E, Sub> Link<O, E, Sub> {
    fn new(down: O, buffer: &Buffer, fences: bool) -> Self {
        Self {
            fences,
            down: Mutex::new(Some(down)),
            ended: AtomicBool::new(false),
            end: Mutex::new(None),
            asleep: AtomicBool::new(false),
            taken: AtomicBool::new(false),
            cancel: Cancel::default(),
            room: (buffer.overflow() == Overflow::Block).then(Arc::default),
            upstream: Mutex::new(None),
        }
    }

    fn end_upstream(&self)
    where
        Sub: Subscription,
    {
        let upstream = take(&self.upstream);
        if let Some(upstream) = upstream {
            upstream.unsubscribe();
        }
    }

    fn notify(&self) {
        if let Some(room) = &self.room {
            room.notify();
        }
    }

    /// Wakes the consumer, if it sleeps. The fence: either it sees what was pushed, or this sees that it sleeps.
    #[inline(always)]
    fn wake(&self) {
        if self.fences {
            fence(Ordering::SeqCst);
        }
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            self.cancel.wake();
        }
    }

    fn tell_end(&self, end: End<E>) {
        lock(&self.end).get_or_insert(end);
        self.ended.store(true, Ordering::Release);
        self.wake();
    }
}

/// Counts what is left in the ring when both sides are gone.
struct Tally {
    pushed: AtomicU64,
    popped: AtomicU64,
    buffer: Buffer,
    /// Where somebody asks for the depth; otherwise it is not locked.
    meter: Option<Mutex<QueueMeter>>,
}

impl Tally {
    fn new(buffer: &Buffer) -> Self {
        let meter = QueueMeter::open(buffer);
        Self {
            pushed: AtomicU64::new(0),
            popped: AtomicU64::new(0),
            buffer: buffer.clone(),
            meter: meter.is_read().then(|| Mutex::new(meter)),
        }
    }

    /// Looks how many wait, under the lock, so that who looks last is right.
    #[inline(always)]
    fn measure(&self, len: impl Fn() -> usize) {
        if let Some(meter) = &self.meter {
            lock(meter).set(len());
        }
    }

    /// The policy has dropped one.
    fn dropped(&self) {
        match &self.meter {
            Some(meter) => self.buffer.dropped(&lock(meter), 1),
            None => self.buffer.count(1),
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let left = self.pushed.get_mut().saturating_sub(*self.popped.get_mut());
        self.buffer.count(left);
        if let Some(meter) = &self.meter
            && left > 0
        {
            lock(meter).left("abandoned", left);
        }
    }
}

/// The end of the ring that is pushed to.
enum Push<I> {
    /// Who pushes never takes anything out. `spare` is what only an asynchronous source may use, which then waits.
    Single { ring: Producer<I>, spare: usize },
    /// Who pushes may take the oldest out.
    Double(Arc<ArrayQueue<I>>),
}

/// The end of the ring that is taken from.
enum Pop<I> {
    Single(Consumer<I>),
    Double(Arc<ArrayQueue<I>>),
}

fn ring<I>(buffer: &Buffer) -> (Push<I>, Pop<I>) {
    let capacity = buffer.capacity().min(MOST);
    match buffer.overflow() {
        Overflow::DropOldest | Overflow::Latest => {
            let ring = Arc::new(ArrayQueue::new(capacity));
            (Push::Double(ring.clone()), Pop::Double(ring))
        }
        overflow => {
            let spare = if overflow == Overflow::Block { capacity } else { 0 };
            let (push, pop) = RingBuffer::new(capacity + spare);
            (Push::Single { ring: push, spare }, Pop::Single(pop))
        }
    }
}

impl<I> Push<I> {
    /// Gives the item back where there is no room.
    #[inline(always)]
    fn push(&mut self, item: I) -> Result<(), I> {
        match self {
            Self::Single { ring, spare: 0 } => ring.push(item).map_err(|PushError::Full(item)| item),
            Self::Single { ring, spare } if ring.cached_slots() > *spare || ring.slots() > *spare => {
                ring.push(item).map_err(|PushError::Full(item)| item)
            }
            Self::Single { .. } => Err(item),
            Self::Double(ring) => ring.push(item),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Single { ring, .. } => ring.buffer().capacity() - ring.slots(),
            Self::Double(ring) => ring.len(),
        }
    }

    /// Whether there is no room for more.
    fn is_full(&self) -> bool {
        match self {
            Self::Single { ring, spare } => ring.slots() <= *spare,
            Self::Double(ring) => ring.is_full(),
        }
    }
}

/// One by one: where the drop of one panics, the rings would leak the others.
impl<I> Drop for Pop<I> {
    fn drop(&mut self) {
        while let Some(item) = self.pop() {
            drop_caught(item);
        }
    }
}

impl<I> Pop<I> {
    #[inline(always)]
    fn pop(&mut self) -> Option<I> {
        match self {
            Self::Single(ring) => ring.pop().ok(),
            Self::Double(ring) => ring.pop(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Single(ring) => ring.slots(),
            Self::Double(ring) => ring.len(),
        }
    }
}

/// The producing side.
pub struct RingIn<O, I, E, Sub, Sch, D> {
    ring: Abandoned<Push<I>>,
    pushed: u64,
    buffer: Buffer,
    scheduler: Sch,
    on_dropped: D,
    /// Another thread makes room.
    threads: bool,
    /// The ring has overflowed: nothing more is taken.
    full: bool,
    link: Arc<Link<O, E, Sub>>,
    tally: Arc<Tally>,
}

impl<O, I, E, Sub, Sch, D> Drop for RingIn<O, I, E, Sub, Sch, D> {
    fn drop(&mut self) {
        self.tally.pushed.store(self.pushed, Ordering::Release);
        if !self.link.ended.load(Ordering::Relaxed) {
            self.link.tell_end(take_failure().map_or(End::Gone, End::Failure));
        }
    }
}

impl<O, I, E, Sub, Sch: Clock, D: OnDropped<I>> RingIn<O, I, E, Sub, Sch, D> {
    /// Items are in the ring.
    #[inline(always)]
    fn arrived(&mut self, n: usize) {
        self.pushed += n as u64;
        self.tally.measure(|| self.ring.value.len());
        self.link.wake();
    }

    /// An item has found the ring full.
    #[cold]
    fn overflow(&mut self, item: I) {
        match self.buffer.overflow() {
            Overflow::Block => self.block(item),
            Overflow::DropOldest | Overflow::Latest => self.push_out(item),
            Overflow::DropNewest => self.lose(item),
            Overflow::Error | Overflow::Reject => {
                let full = self.buffer.full(NAME);
                self.fail(full.into(), item);
            }
        }
    }

    fn lose(&mut self, item: I) {
        self.tally.dropped();
        named(|| NAME, || self.on_dropped.dropped(item));
    }

    fn fail(&mut self, failure: StreamError, item: I) {
        self.full = true;
        self.link.tell_end(End::Failure(failure));
        abandoning(|| named(|| NAME, || self.on_dropped.dropped(item)));
    }

    /// Makes room by taking out the oldest, or all.
    fn push_out(&mut self, mut item: I) {
        let Push::Double(ring) = &self.ring.value else { return self.lose(item) };
        let (ring, all) = (ring.clone(), self.buffer.overflow() == Overflow::Latest);
        loop {
            while let Some(oldest) = ring.pop() {
                self.pushed -= 1;
                self.lose(oldest);
                if !all {
                    break;
                }
            }
            match ring.push(item) {
                Ok(()) => return self.arrived(1),
                // There is one producer, so this cannot be.
                Err(back) => item = back,
            }
        }
    }

    /// Waits for room, in the way that this thread may.
    fn block(&mut self, item: I) {
        let link = self.link.clone();
        let Some(room) = &link.room else { return self.lose(item) };
        if Room::ask(room) {
            // Its source waits as soon as it has handed in what it is at; until then there is some room left.
            let Push::Single { ring, .. } = &mut self.ring.value else { return self.lose(item) };
            return match ring.push(item) {
                Ok(()) => self.arrived(1),
                Err(PushError::Full(item)) => self.would_block(item),
            };
        }
        let full = || !link.cancel.cancelled() && self.ring.value.is_full();
        let own = room.is_for_this_thread();
        let waited = self.threads
            && !own
            && self.scheduler.wait(|| {
                for look in 0..LOOKS_FOR_ROOM {
                    if !full() {
                        return;
                    }
                    if look % 64 == 63 { thread::yield_now() } else { hint::spin_loop() }
                }
                room.wait_while(|| {
                    room.mark_full();
                    full()
                });
            });
        match self.ring.value.push(item) {
            Ok(()) => self.arrived(1),
            Err(item) if link.cancel.cancelled() => {
                self.tally.dropped();
                abandoning(|| drop(item));
            }
            Err(item) if waited || own || !self.threads => self.fail(self.buffer.full(NAME).into(), item),
            Err(item) => self.would_block(item),
        }
    }

    fn would_block(&mut self, item: I) {
        self.fail(StreamError::WouldBlock(self.buffer.full(NAME)), item);
    }

    /// Has an asynchronous source wait when it has filled the ring.
    #[inline(always)]
    fn settle(&self) {
        if let Push::Single { ring, spare } = &self.ring.value
            && let Some(room) = &self.link.room
            && ring.cached_slots() <= *spare
        {
            self.ask(room);
        }
    }

    #[cold]
    fn ask(&self, room: &Arc<Room>) {
        if self.ring.value.is_full() && Room::ask(room) {
            fence(Ordering::SeqCst);
            // The consumer may have made room before it could see that somebody waits.
            if !self.ring.value.is_full() {
                room.notify();
            }
        }
    }
}

impl<O, I, E, Sub, Sch: Clock, D: OnDropped<I>> Observer<I, E> for RingIn<O, I, E, Sub, Sch, D> {
    #[inline(always)]
    fn next(&mut self, item: I) {
        if self.is_over() {
            return abandoning(|| drop(item));
        }
        match self.ring.value.push(item) {
            Ok(()) => self.arrived(1),
            Err(item) => self.overflow(item),
        }
        self.settle();
    }

    fn error(self, error: E) {
        self.link.tell_end(End::Error(error));
    }

    fn complete(self) {
        self.link.tell_end(End::Complete);
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.is_over()
    }
}

impl<O, I, E, Sub, Sch, D> RingIn<O, I, E, Sub, Sch, D> {
    #[inline(always)]
    fn is_over(&self) -> bool {
        self.full || self.link.cancel.cancelled()
    }
}

/// As many of a batch as there is room for go into the ring at once.
impl<O, I, E, Sub, Sch: Clock, D: OnDropped<I>> BatchObserver<I, E> for RingIn<O, I, E, Sub, Sch, D> {
    #[inline(always)]
    fn take_batch<B: Batch<I>>(&mut self, items: &mut B) {
        while !self.is_over() {
            let mut written = 0;
            if let Push::Single { ring, spare } = &mut self.ring.value {
                let room = ring.slots().saturating_sub(*spare).min(BATCH);
                let cancel = &self.link.cancel;
                let pull = iter::from_fn(|| if cancel.cancelled() { None } else { items.pull() });
                written = ring.write_chunk_uninit(room).map_or(0, |chunk| chunk.fill_from_iter(pull));
                if written > 0 {
                    self.arrived(written);
                    self.settle();
                }
                if written < room {
                    return;
                }
            }
            // One by one what finds the ring full.
            if written == 0 {
                let Some(item) = items.pull() else { return };
                self.next(item);
            }
        }
    }
}

/// The consuming side: a task of the scheduler.
pub struct RingOut<O, I, E, Sub> {
    down: Option<O>,
    ring: Abandoned<Pop<I>>,
    popped: u64,
    link: Arc<Link<O, E, Sub>>,
    /// That of the link.
    room: Option<Arc<Room>>,
    tally: Arc<Tally>,
    patience: Patience,
    /// How often it has looked since there was an item.
    idle: u32,
    /// The full queues further down, whose room it awaits before the next item.
    rooms: Rooms,
    /// For the drop; a function, as a `Drop` has no bounds of its own.
    lost: fn(&mut Self),
}

// Nothing in it is ever pinned.
impl<O, I, E, Sub> Unpin for RingOut<O, I, E, Sub> {}

impl<O, I, E, Sub> Drop for RingOut<O, I, E, Sub> {
    fn drop(&mut self) {
        if !self.link.cancel.cancelled() && !thread::panicking() {
            (self.lost)(self);
        }
        self.tally.popped.store(self.popped, Ordering::Release);
    }
}

impl<O, I, E, Sub> RingOut<O, I, E, Sub>
where
    O: Observer<I, E>,
    E: 'static,
    Sub: Subscription,
{
    /// The scheduler has dropped the task, with its runtime. That ends the stream; not silently, if items waited.
    fn lost(&mut self) {
        if !self.link.taken.load(Ordering::Acquire) {
            // A scheduler that panics has not taken the task: its caller says so.
            return;
        }
        let (waited, not_begun) = (self.ring.value.len() > 0, take(&self.link.down));
        match self.stop().or(not_begun) {
            Some(down) if waited => fail(down, StreamError::SchedulerGone(NAME)),
            down => drop_caught(down),
        }
    }

    /// Stops both sides; what waits goes with the ring, and is counted then.
    fn stop(&mut self) -> Option<O> {
        self.link.cancel.cancel();
        self.link.end_upstream();
        self.link.notify();
        self.down.take()
    }

    /// Delivers up to [`BUDGET`] items; how many, or `None` when nobody listens any more.
    fn deliver(&mut self) -> Option<usize> {
        let down = self.down.as_mut()?;
        let feeding = Feeding::begin();
        let mut n = 0;
        while n < BUDGET {
            // Before it is taken: what nobody has seen is counted with what is left.
            if self.link.cancel.cancelled() || down.is_closed() {
                return None;
            }
            let Some(item) = self.ring.value.pop() else { break };
            n += 1;
            self.popped += 1;
            down.next(item);
            if feeding.asked(&mut self.rooms) {
                break;
            }
        }
        (!down.is_closed()).then_some(n)
    }

    /// Tells who waits for room that there is some.
    fn made_room(&self) {
        self.tally.measure(|| self.ring.value.len());
        if let Some(room) = &self.room {
            fence(Ordering::SeqCst);
            if room.is_full() && self.ring.value.len() < self.tally.buffer.capacity() {
                room.notify();
            }
        }
    }

    /// There is no item: looks again for a while, then sleeps.
    fn idle(&mut self, context: &TaskContext<'_>) -> Poll<()> {
        let Patience { spins, yields, own_thread } = self.patience;
        if self.idle < spins + yields {
            self.idle += 1;
            if self.idle > spins {
                thread::yield_now();
            } else if own_thread {
                for _ in 0..LOOKS {
                    if self.ring.value.len() > 0 {
                        break;
                    }
                    hint::spin_loop();
                }
            }
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Only now: it writes to the memory in which the producer looks, for each item, whether anybody listens.
        self.link.cancel.register(context);
        self.link.asleep.store(true, Ordering::Relaxed);
        // See `Link::wake`.
        fence(Ordering::SeqCst);
        if own_thread {
            thread::park_timeout(NAP);
        }
        let link = &self.link;
        if self.ring.value.len() > 0 || link.ended.load(Ordering::Acquire) || link.cancel.cancelled() {
            link.asleep.store(false, Ordering::Relaxed);
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Sleeps until a queue further down has room.
    fn await_room(&self, context: &TaskContext<'_>) -> Poll<()> {
        self.link.cancel.register(context);
        if self.link.cancel.cancelled() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn end(&mut self) -> Poll<()> {
        let end = take(&self.link.end).unwrap_or(End::Gone);
        match (self.stop(), end) {
            (Some(down), End::Complete) => complete(down),
            (Some(down), End::Error(error)) => crate::error::error(down, error),
            (Some(down), End::Failure(failure)) => fail(down, failure),
            (None, End::Failure(failure)) => unhandled(&failure),
            (down, End::Gone) => drop_caught(down),
            (None, _) => {}
        }
        Poll::Ready(())
    }
}

impl<O, I, E, Sub> Future for RingOut<O, I, E, Sub>
where
    O: Observer<I, E>,
    E: 'static,
    Sub: Subscription,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.down.is_none() {
            this.down = take(&this.link.down);
        }
        if this.link.cancel.cancelled() {
            drop_caught(this.stop());
            return Poll::Ready(());
        }
        if this.rooms.poll(context).is_pending() {
            return this.await_room(context);
        }
        // Looked at first: the items before the end are in the ring then.
        let ended = this.link.ended.load(Ordering::Acquire);
        let room = this.room.take();
        let delivered = Room::delivering(room.as_ref(), || catch("downstream", || this.deliver()));
        this.room = room;
        match delivered {
            Ok(Some(0)) if ended && this.ring.value.len() == 0 => this.end(),
            Ok(Some(0)) => this.idle(context),
            Ok(Some(_)) => {
                this.idle = 0;
                this.made_room();
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(None) => {
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
