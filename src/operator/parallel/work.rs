//! What the pushing thread, the pool's threads and the delivering one share.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rayon::Yield;

use super::Parallel;
use crate::{
    dead_letter::{Reason, Rejected, attempt},
    delivery::fate::Abandoned,
    error::{drop_caught, drop_done, named},
    gate::{LOOK_AGAIN, Waiting},
    sync::thread_token,
    time::Cancel,
};

/// What becomes of an item.
pub(super) type Done<I, T> = Result<T, Rejected<I>>;
/// Says that a result is ready.
pub(super) type Bell = Arc<dyn Fn() + Send + Sync>;

/// The items in flight and their results.
pub(super) struct Work<F, I, T> {
    how: Parallel,
    f: Arc<F>,
    /// How many the pool has.
    threads: usize,
    line: Abandoned<Mutex<Line<I, Done<I, T>>>>,
    /// A result is ready, or there is room.
    changed: Condvar,
    /// The thread that delivers right now, or 0.
    deliverer: AtomicUsize,
    pub(super) cancel: Cancel,
}

struct Line<I, R> {
    /// What nobody works on yet, and its numbers.
    queue: VecDeque<(u64, I)>,
    /// How many jobs of the pool work on the queue, or are about to.
    jobs: usize,
    /// Ordered: a place for each item in flight. Unordered: what is done.
    results: VecDeque<Option<R>>,
    /// The number of the first place.
    first: u64,
    in_flight: usize,
    /// How many of them are results that nobody has taken.
    done: usize,
    /// How many of them are results that are being delivered.
    taken: usize,
    /// How many threads wait.
    waiting: usize,
}

impl<I, R> Line<I, R> {
    /// Whether there is a result to deliver.
    fn is_ready(&self) -> bool {
        matches!(self.results.front(), Some(Some(_)))
    }

    /// Whether to wake who waits: when the pool has half of what it may have, not for each item, as that would cost more
    /// than many an item. Who waits looks by itself, too, now and then: so slow work is not held up.
    fn is_low(&self, in_flight: usize) -> bool {
        self.waiting > 0 && (self.in_flight - self.done - self.taken) * 2 <= in_flight
    }
}

/// Whether there are results.
pub(super) enum Next {
    Ready,
    /// Work is in flight.
    NotYet,
    Nothing,
}

/// An item has been taken in.
pub(super) struct Queued {
    /// A job is to be started for it.
    pub(super) start: bool,
    /// There are results to deliver.
    pub(super) ready: bool,
}

impl<F, I, T> Work<F, I, T> {
    pub(super) fn new(how: Parallel, f: Arc<F>) -> Self {
        let (queue, results) = (VecDeque::new(), VecDeque::new());
        let threads = match &how.pool {
            Some(pool) => pool.current_num_threads(),
            None => rayon::current_num_threads(),
        };
        Self {
            how,
            f,
            threads,
            line: Abandoned::new(Mutex::new(Line {
                queue,
                jobs: 0,
                results,
                first: 0,
                in_flight: 0,
                done: 0,
                taken: 0,
                waiting: 0,
            })),
            changed: Condvar::new(),
            deliverer: AtomicUsize::new(0),
            cancel: Cancel::default(),
        }
    }

    /// A closure's panic never happens with it locked.
    fn lock(&self) -> MutexGuard<'_, Line<I, Done<I, T>>> {
        self.line.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an item in. Gives it back where it is full and `wait`.
    pub(super) fn queue(&self, item: I, wait: bool) -> Result<Queued, I> {
        let mut line = self.lock();
        if wait && line.in_flight >= self.how.in_flight.get() {
            return Err(item);
        }
        let number = line.first + line.in_flight as u64 - line.taken as u64;
        line.in_flight += 1;
        if self.how.ordered {
            line.results.push_back(None);
        }
        line.queue.push_back((number, item));
        let start = line.jobs < self.threads;
        line.jobs += usize::from(start);
        Ok(Queued { start, ready: line.is_ready() })
    }

    /// Stores what a job has done; whether the next result is among it. What nobody listens to any more stays in its
    /// hands.
    fn put(&self, hands: &mut Hands<I, T>) -> bool {
        let mut line = self.lock();
        if self.cancel.cancelled() {
            return false;
        }
        let mut ready = false;
        for (number, done) in hands.done.drain(..) {
            line.done += 1;
            if !self.how.ordered {
                line.results.push_back(Some(done));
                ready = true;
                continue;
            }
            let at = number.wrapping_sub(line.first) as usize;
            ready |= at == 0;
            // The place is there: it was made with the number.
            if let Some(place) = line.results.get_mut(at) {
                *place = Some(done);
            }
        }
        self.wake(line);
        ready
    }

    /// Gives a job something to do; without it, the job is over.
    fn take_up(&self, hands: &mut Hands<I, T>) -> bool {
        let mut line = self.lock();
        // Something is left for the other threads.
        let fair = line.queue.len() / (2 * self.threads);
        let some = hands.size.min(fair.max(1)).min(line.queue.len());
        hands.items.extend(line.queue.drain(..some));
        line.jobs -= usize::from(some == 0);
        some > 0
    }

    fn wake(&self, line: MutexGuard<'_, Line<I, Done<I, T>>>) {
        let low = line.is_low(self.how.in_flight.get());
        drop(line);
        if low {
            self.changed.notify_all();
        }
    }

    /// Takes the next results. Those taken before have been delivered, which makes room.
    pub(super) fn take(&self, results: &mut VecDeque<Done<I, T>>) -> Next {
        let mut line = self.lock();
        let delivered = mem::take(&mut line.taken);
        line.in_flight -= delivered;
        // Few at once: they keep their room until all are delivered.
        let most = (self.how.in_flight.get() / 8).max(1);
        while line.taken < most
            && line.is_ready()
            && let Some(done) = line.results.pop_front().flatten()
        {
            results.push_back(done);
            line.first += 1;
            line.taken += 1;
        }
        line.done -= line.taken;
        let next = match line.taken {
            0 if line.in_flight == 0 => Next::Nothing,
            0 => Next::NotYet,
            _ => Next::Ready,
        };
        self.wake(line);
        next
    }

    /// Runs `deliver` as the thread that delivers.
    pub(super) fn delivering<R>(&self, deliver: impl FnOnce() -> R) -> R {
        struct Over<'a>(&'a AtomicUsize);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(0, Ordering::Release);
            }
        }
        self.deliverer.store(thread_token(), Ordering::Release);
        let _over = Over(&self.deliverer);
        deliver()
    }

    /// Waits until there is room, or a result if `or_ready`, or nobody listens any more. `false`, at once, where the
    /// delivering thread waits for this one, or is this one.
    pub(super) fn wait_for_room(&self, or_ready: bool) -> bool {
        self.wait(|line| line.in_flight < self.how.in_flight.get() || (or_ready && line.is_ready()))
    }

    /// Waits until there is a result.
    pub(super) fn wait_for_result(&self) {
        self.wait(Line::is_ready);
    }

    fn wait(&self, over: impl Fn(&Line<I, Done<I, T>>) -> bool) -> bool {
        loop {
            let deliverer = self.deliverer.load(Ordering::Acquire);
            if deliverer == thread_token() {
                return false;
            }
            // A thread of the pool helps: it may be the only one.
            let helped = rayon::yield_now() == Some(Yield::Executed);
            let mut line = self.lock();
            if over(&line) || self.cancel.cancelled() {
                return true;
            }
            if helped {
                continue;
            }
            let _waiting = match deliverer {
                0 => None,
                deliverer => match Waiting::for_thread(deliverer) {
                    None => return false,
                    waiting => waiting,
                },
            };
            line.waiting += 1;
            let (mut line, _) =
                self.changed.wait_timeout(line, LOOK_AGAIN).unwrap_or_else(PoisonError::into_inner);
            line.waiting -= 1;
        }
    }

    /// Nobody listens any more: lets go of all that is left, and of who waits.
    pub(super) fn stop(&self) {
        self.cancel.cancel();
        let left = {
            let mut line = self.lock();
            line.done = 0;
            (mem::take(&mut line.queue), mem::take(&mut line.results))
        };
        self.changed.notify_all();
        drop_caught(left);
    }
}

/// How many items a job works on before others in the pool have their turn.
const TURN: usize = 64;
/// How many it takes up at once, at most, and how long they may take: so quick items cost few locks, and slow ones wait
/// for a thread and not for each other.
const HANDFUL: usize = 16;
const QUICK: Duration = Duration::from_micros(50);

/// What a job has taken up, and what it has done.
struct Hands<I, T> {
    items: Vec<(u64, I)>,
    done: Vec<(u64, Done<I, T>)>,
    /// How many it takes up at once.
    size: usize,
}

/// A job of the pool: works on one item after the other. A job for each item would cost more than many an item.
pub(super) struct Job<F, I, T> {
    pub(super) work: Arc<Work<F, I, T>>,
    pub(super) bell: Bell,
}

impl<F, I, T> Job<F, I, T>
where
    F: Fn(&I) -> Result<T, Reason> + Send + Sync + 'static,
    I: Send + 'static,
    T: Send + 'static,
{
    pub(super) fn spawn(self) {
        let pool = self.work.how.pool.clone();
        named(
            || "parallel_map",
            || match pool {
                Some(pool) => pool.spawn_fifo(|| self.run()),
                None => rayon::spawn_fifo(|| self.run()),
            },
        );
    }

    /// Never panics: that would end the process.
    fn run(self) {
        let mut hands = Hands { items: Vec::new(), done: Vec::new(), size: 1 };
        let mut turn = 0;
        while turn < TURN {
            if !self.work.take_up(&mut hands) {
                return drop_caught(self);
            }
            turn += hands.items.len();
            let begun = Instant::now();
            for (number, item) in hands.items.drain(..) {
                if let Some(done) = self.work_on(item) {
                    hands.done.push((number, done));
                }
            }
            hands.size = if begun.elapsed() < QUICK { HANDFUL.min(2 * hands.size) } else { 1 };
            // With empty hands, as delivery may take long.
            if self.work.put(&mut hands) {
                (self.bell)();
            }
            drop_caught(mem::take(&mut hands.done));
        }
        self.spawn();
    }

    fn work_on(&self, item: I) -> Option<Done<I, T>> {
        let Work { cancel, f, how, .. } = &*self.work;
        if cancel.cancelled() {
            drop_caught(item);
            return None;
        }
        match attempt(how.stage, || f(&item)) {
            Ok(value) => {
                drop_done(item);
                Some(Ok(value))
            }
            Err(reason) => Some(Err(Rejected::new(item, how.stage, reason))),
        }
    }
}
