//! What the pushing thread, the pool's threads and the delivering one share.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rayon::Yield;

use super::Parallel;
use crate::{
    dead_letter::{Reason, Rejected, attempt},
    error::{drop_caught, named},
    gate::{LOOK_AGAIN, Waiting, thread_token},
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
    line: Mutex<Line<I, Done<I, T>>>,
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
    /// How many of them are results that have not been delivered.
    done: usize,
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
        self.waiting > 0 && (self.in_flight - self.done) * 2 <= in_flight
    }
}

/// The next result.
pub(super) enum Next<R> {
    Ready(R),
    /// Work is in flight.
    NotYet,
    Nothing,
}

impl<F, I, T> Work<F, I, T> {
    pub(super) fn new(how: Parallel, f: Arc<F>) -> Self {
        let (queue, results) = (VecDeque::new(), VecDeque::new());
        Self {
            how,
            f,
            line: Mutex::new(Line { queue, jobs: 0, results, first: 0, in_flight: 0, done: 0, waiting: 0 }),
            changed: Condvar::new(),
            deliverer: AtomicUsize::new(0),
            cancel: Cancel::default(),
        }
    }

    /// A closure's panic never happens with it locked.
    fn lock(&self) -> MutexGuard<'_, Line<I, Done<I, T>>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an item in; whether a job is to be started for it. Gives it back where it is full and `wait`.
    pub(super) fn queue(&self, item: I, wait: bool) -> Result<bool, I> {
        let threads = match &self.how.pool {
            Some(pool) => pool.current_num_threads(),
            None => rayon::current_num_threads(),
        };
        let mut line = self.lock();
        if wait && line.in_flight >= self.how.in_flight.get() {
            return Err(item);
        }
        let number = line.first + line.in_flight as u64;
        line.in_flight += 1;
        if self.how.ordered {
            line.results.push_back(None);
        }
        line.queue.push_back((number, item));
        let start = line.jobs < threads;
        line.jobs += usize::from(start);
        Ok(start)
    }

    /// The next item for a job; without one, the job is over.
    fn next(&self) -> Option<(u64, I)> {
        let mut line = self.lock();
        let next = line.queue.pop_front();
        line.jobs -= usize::from(next.is_none());
        next
    }

    /// Stores a result; whether it can be delivered now. Gives it back where nobody listens any more.
    fn put(&self, number: u64, done: Done<I, T>) -> Result<bool, Done<I, T>> {
        let mut line = self.lock();
        if self.cancel.cancelled() {
            return Err(done);
        }
        let ready = if self.how.ordered {
            let at = number.wrapping_sub(line.first) as usize;
            match line.results.get_mut(at) {
                Some(place) => *place = Some(done),
                None => return Err(done),
            }
            at == 0
        } else {
            line.results.push_back(Some(done));
            true
        };
        line.done += 1;
        self.wake(line);
        Ok(ready)
    }

    fn wake(&self, line: MutexGuard<'_, Line<I, Done<I, T>>>) {
        let low = line.is_low(self.how.in_flight.get());
        drop(line);
        if low {
            self.changed.notify_all();
        }
    }

    /// Takes the next result, which makes room.
    pub(super) fn take(&self) -> Next<Done<I, T>> {
        let mut line = self.lock();
        if line.is_ready()
            && let Some(done) = line.results.pop_front().flatten()
        {
            line.first += 1;
            line.in_flight -= 1;
            line.done -= 1;
            self.wake(line);
            return Next::Ready(done);
        }
        if line.in_flight == 0 { Next::Nothing } else { Next::NotYet }
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
        for _ in 0..TURN {
            match self.work.next() {
                Some((number, item)) => self.work_on(number, item),
                None => return drop_caught(self),
            }
        }
        self.spawn();
    }

    fn work_on(&self, number: u64, item: I) {
        let Self { work, bell } = self;
        if work.cancel.cancelled() {
            return drop_caught(item);
        }
        let stage = work.how.stage;
        let done = match attempt(stage, || (work.f)(&item)) {
            Ok(value) => {
                drop_caught(item);
                Ok(value)
            }
            Err(reason) => Err(Rejected::new(item, stage, reason)),
        };
        match work.put(number, done) {
            Ok(true) => bell(),
            Ok(false) => {}
            Err(unheard) => drop_caught(unheard),
        }
    }
}
