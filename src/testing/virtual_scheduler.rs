use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context as TaskContext, Poll, Wake, Waker},
    thread::{self, ThreadId},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rxrust::{
    context::{Context, LocalCtx, LocalScope, SharedCtx, SharedScope},
    scheduler::{SleepProvider, TaskHandle},
    subscription::Subscription,
};

use super::MarbleError;
use crate::{
    operator::share::Hosts,
    sync::lock,
    time::{Clock, open_handle, schedules_boxed},
};

/// More polls than this at one instant are a livelock: a task wakes itself again and again and never waits.
pub const POLL_LIMIT: usize = 1_000_000;

/// 2026-01-01T00:00:00Z, in seconds.
const EPOCH: i64 = 1_767_225_600;

/// Virtual time and the tasks that live in it: the implementation of [`VirtualScheduler`] and
/// [`SharedVirtualScheduler`]. Clones are the same scheduler.
///
/// Nothing moves by itself: time passes, and tasks run, in [`advance_by`](Self::advance_by) and its siblings only.
/// At each instant the tasks that were woken run first, in the order of their waking; then the sleeps that are due
/// end one by one, those of marbles first, then in order of registration, and what each wakes runs before the next
/// ends. So a test gives the same result each time.
///
/// A panic in a task ends that task and comes out of the call that ran it; scheduler and other tasks are unharmed.
/// (The operators of this crate catch the panics of closures themselves.)
///
/// A task that is still alive when the test ends may keep the scheduler, and so itself, in memory.
///
/// ```
/// use rxevents::{rx::scheduler::{Scheduler, SleepProvider}, testing::VirtualScheduler, time::Clock};
/// use std::{cell::Cell, rc::Rc, time::Duration};
///
/// let scheduler = VirtualScheduler::new();
/// let woke = Rc::new(Cell::new(None));
/// let (clock, log) = (scheduler.clone(), woke.clone());
/// let task = async move {
///     clock.sleep(Duration::from_secs(3600)).await;
///     log.set(Some(clock.now()));
/// };
/// scheduler.schedule(task, None);
/// scheduler.advance_by(Duration::from_secs(7200));
/// assert_eq!(woke.get(), Some(Duration::from_secs(3600)));
/// assert_eq!(scheduler.tasks(), 0);
/// ```
pub struct VirtualTime<F: ?Sized> {
    core: Arc<Core<F>>,
}

impl<F: ?Sized> Clone for VirtualTime<F> {
    fn clone(&self) -> Self {
        Self { core: self.core.clone() }
    }
}

struct Core<F: ?Sized> {
    timeline: Arc<Timeline>,
    /// A task that is being polled leaves its place empty.
    tasks: Mutex<BTreeMap<u64, Option<Task<F>>>>,
    /// The thread that runs the tasks.
    runner: Mutex<Option<ThreadId>>,
    idle: Condvar,
}

struct Task<F: ?Sized> {
    future: Pin<Box<F>>,
    handle: TaskHandle,
    waker: Arc<TaskWaker>,
}

struct TaskWaker {
    id: u64,
    queued: AtomicBool,
    timeline: Arc<Timeline>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.timeline.state().ready.push_back(self.id);
        }
    }
}

/// What tasks, wakers and sleeps of both flavours share.
pub(super) struct Timeline {
    pub(super) frame: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Duration,
    ids: u64,
    ready: VecDeque<u64>,
    sleeps: BTreeMap<Due, Waker>,
    /// How many subscriptions of watched sources are open.
    open: usize,
}

impl State {
    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }
}

/// When a sleep ends, and which goes first at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Duration,
    rank: Rank,
    id: u64,
}

/// Which sleeps end first at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Marble,
    Timer,
}

impl Timeline {
    pub(super) fn opened(&self) {
        self.state().open += 1;
    }

    pub(super) fn closed(&self) {
        self.state().open -= 1;
    }

    pub(super) fn open(&self) -> usize {
        self.state().open
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn now(&self) -> Duration {
        self.state().now
    }

    /// Ends the next sleep that is due until `end`; the time moves there.
    fn end_sleep(&self, end: Duration) -> bool {
        let mut state = self.state();
        let Some(first) = state.sleeps.first_entry() else { return false };
        let at = first.key().at;
        if at == Duration::MAX || at > end.max(state.now) {
            return false;
        }
        let waker = state.sleeps.pop_first();
        state.now = state.now.max(at);
        drop(state);
        if let Some((_, waker)) = waker {
            waker.wake();
        }
        true
    }

    /// When the next sleep ends that ever will.
    fn next_due(&self) -> Option<Duration> {
        self.state().sleeps.first_key_value().map(|(due, _)| due.at).filter(|at| *at != Duration::MAX)
    }

    /// Time never goes back.
    fn move_to(&self, moment: Duration) {
        let mut state = self.state();
        state.now = state.now.max(moment);
    }
}

/// Waits for a moment of virtual time. It always lets other tasks run, even if the moment has come.
pub struct Sleep {
    timeline: Arc<Timeline>,
    due: Due,
    registered: bool,
}

impl Sleep {
    pub(super) fn until(timeline: &Arc<Timeline>, at: Duration, rank: Rank) -> Self {
        Self { timeline: timeline.clone(), due: Due { at, rank, id: 0 }, registered: false }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.timeline.state();
        if !this.registered {
            this.registered = true;
            this.due.id = state.id();
            state.sleeps.insert(this.due, context.waker().clone());
            return Poll::Pending;
        }
        let Some(waker) = state.sleeps.get_mut(&this.due) else { return Poll::Ready(()) };
        let old = std::mem::replace(waker, context.waker().clone());
        // A foreign waker may do anything when it is dropped.
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if self.registered {
            let waker = self.timeline.state().sleeps.remove(&self.due);
            drop(waker);
        }
    }
}

/// [`advance_until_idle`](VirtualTime::advance_until_idle) came to its limit, and something was still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not idle after {limit:?} of virtual time: {tasks} tasks, the next is due at {next:?}")]
pub struct VirtualTimeLimit {
    /// The limit.
    pub limit: Duration,
    /// The tasks that were still alive.
    pub tasks: usize,
    /// When the next of them was due.
    pub next: Duration,
}

impl<F: Future<Output = ()> + ?Sized> VirtualTime<F> {
    /// A scheduler of its own, at time zero. A frame of its marbles is one millisecond.
    pub fn new() -> Self {
        Self::with_frame(Duration::from_millis(1))
    }

    /// As [`new`](Self::new), with another frame for its marbles.
    ///
    /// # Panics
    /// If `frame` is zero.
    pub fn with_frame(frame: Duration) -> Self {
        assert!(!frame.is_zero(), "a frame of marbles must last");
        Self {
            core: Arc::new(Core {
                timeline: Arc::new(Timeline { frame, state: Mutex::default() }),
                tasks: Mutex::default(),
                runner: Mutex::default(),
                idle: Condvar::new(),
            }),
        }
    }

    /// Runs all that happens in the next `duration`, and moves the time to its end.
    ///
    /// # Panics
    /// If a task panics; if a task of this scheduler calls it to move the time; after [`POLL_LIMIT`] polls at one
    /// instant.
    pub fn advance_by(&self, duration: Duration) {
        self.advance_to(self.now().saturating_add(duration));
    }

    /// Runs all that happens until `moment`, and moves the time there. Time never goes back: if `moment` is past this
    /// is [`run_ready`](Self::run_ready).
    ///
    /// # Panics
    /// As [`advance_by`](Self::advance_by).
    pub fn advance_to(&self, moment: Duration) {
        match self.enter() {
            Some(_running) => {
                self.run(moment);
                self.core.timeline.move_to(moment);
            }
            None => self.must_not_move(moment),
        }
    }

    /// Runs all that happens before `moment`, and moves the time there.
    pub(super) fn advance_before(&self, moment: Duration) {
        if moment > self.now() {
            self.advance_to(moment.saturating_sub(Duration::from_nanos(1)));
            self.core.timeline.move_to(moment);
        }
    }

    /// Runs the tasks that are woken or due now. Time does not move. From within a task it does nothing: they run
    /// anyway.
    ///
    /// # Panics
    /// As [`advance_by`](Self::advance_by).
    pub fn run_ready(&self) {
        self.advance_to(Duration::ZERO);
    }

    /// Runs until no sleep is left that ever ends; gives the time then. Tasks that wait for something else may be
    /// left. If it takes more than `limit`, the time is where [`advance_by(limit)`](Self::advance_by) would have left
    /// it.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let scheduler = VirtualScheduler::new();
    /// let ticks = record(scheduler.on(Local::interval(Duration::from_secs(1))));
    /// let error = scheduler.advance_until_idle(Duration::from_secs(60)).unwrap_err();
    /// assert_eq!(ticks.items().len(), 60);
    /// assert_eq!(error.to_string(), "not idle after 60s of virtual time: 1 tasks, the next is due at 61s");
    /// ```
    ///
    /// # Errors
    /// [`VirtualTimeLimit`] after `limit` of virtual time.
    ///
    /// # Panics
    /// As [`advance_by`](Self::advance_by).
    pub fn advance_until_idle(&self, limit: Duration) -> Result<Duration, VirtualTimeLimit> {
        let end = self.now().saturating_add(limit);
        let Some(_running) = self.enter() else {
            self.must_not_move(end);
            return Ok(self.now());
        };
        self.run(end);
        match self.core.timeline.next_due() {
            None => Ok(self.now()),
            Some(next) => {
                self.core.timeline.move_to(end);
                Err(VirtualTimeLimit { limit, tasks: self.tasks(), next })
            }
        }
    }

    /// Moves the time without running anything, as if the thread were busy that long. What became due meanwhile runs
    /// late, at the next run. A task, or a subscriber that is to be slow, may call it.
    pub fn stall(&self, duration: Duration) {
        let mut state = self.core.timeline.state();
        state.now = state.now.saturating_add(duration);
    }

    /// The tasks that have not ended. An unsubscribed task ends at the next run, at the same instant.
    pub fn tasks(&self) -> usize {
        lock(&self.core.tasks).len()
    }

    /// The sleeps that somebody waits for, those for ever included.
    pub fn sleeps(&self) -> usize {
        self.core.timeline.state().sleeps.len()
    }

    pub(super) fn timeline(&self) -> &Arc<Timeline> {
        &self.core.timeline
    }

    fn spawn(&self, future: Pin<Box<F>>) -> TaskHandle {
        let timeline = self.core.timeline.clone();
        let id = timeline.state().id();
        let waker = Arc::new(TaskWaker { id, queued: AtomicBool::new(false), timeline });
        let handle = open_handle();
        let task = Task { future, handle: handle.clone(), waker: waker.clone() };
        lock(&self.core.tasks).insert(id, Some(task));
        waker.wake();
        handle
    }

    /// Becomes the one who runs the tasks; waits while another thread does. `None`: this thread does already.
    fn enter(&self) -> Option<Running<'_>> {
        let Core { runner: slot, idle, .. } = &*self.core;
        let me = thread::current().id();
        let mut runner = lock(slot);
        if *runner == Some(me) {
            return None;
        }
        while runner.is_some() {
            runner = idle.wait(runner).unwrap_or_else(PoisonError::into_inner);
        }
        *runner = Some(me);
        Some(Running { slot, idle })
    }

    fn must_not_move(&self, moment: Duration) {
        assert!(
            moment <= self.now(),
            "a task must not advance the scheduler that runs it; to be slow, it calls `stall`"
        );
    }

    fn run(&self, end: Duration) {
        let (mut instant, mut polls) = (Duration::ZERO, 0);
        loop {
            loop {
                let (id, now) = {
                    let mut state = self.core.timeline.state();
                    (state.ready.pop_front(), state.now)
                };
                let Some(id) = id else { break };
                if now != instant {
                    (instant, polls) = (now, 0);
                }
                polls += 1;
                assert!(
                    polls <= POLL_LIMIT,
                    "livelock: {POLL_LIMIT} polls at {now:?} of virtual time, and no end"
                );
                self.poll(id);
            }
            if !self.core.timeline.end_sleep(end) {
                return;
            }
        }
    }

    fn poll(&self, id: u64) {
        let task = lock(&self.core.tasks).get_mut(&id).and_then(Option::take);
        let Some(mut task) = task else { return };
        task.waker.queued.swap(false, Ordering::AcqRel);
        let waker = Waker::from(task.waker.clone());
        let over = catch_unwind(AssertUnwindSafe(|| {
            let mut context = TaskContext::from_waker(&waker);
            // To poll the handle is to be woken when it is unsubscribed.
            Pin::new(&mut task.handle).poll(&mut context).is_ready()
                || task.future.as_mut().poll(&mut context).is_ready()
        }));
        if matches!(over, Ok(false)) {
            lock(&self.core.tasks).insert(id, Some(task));
            return;
        }
        lock(&self.core.tasks).remove(&id);
        task.handle.clone().unsubscribe();
        drop(task);
        if let Err(panic) = over {
            resume_unwind(panic);
        }
    }
}

/// Held by the thread that runs the tasks.
struct Running<'a> {
    slot: &'a Mutex<Option<ThreadId>>,
    idle: &'a Condvar,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *lock(self.slot) = None;
        self.idle.notify_one();
    }
}

impl<F: Future<Output = ()> + ?Sized> SleepProvider for VirtualTime<F> {
    type SleepFuture = Sleep;

    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::until(&self.core.timeline, self.now().saturating_add(duration), Rank::Timer)
    }
}

impl<F: Future<Output = ()> + ?Sized> Clock for VirtualTime<F> {
    /// Virtual time since the start.
    fn now(&self) -> Duration {
        self.core.timeline.now()
    }

    /// 2026-01-01T00:00:00Z and the virtual time since the start.
    fn utc(&self) -> DateTime<Utc> {
        let start = DateTime::UNIX_EPOCH + TimeDelta::seconds(EPOCH);
        let since = TimeDelta::from_std(self.now()).ok();
        since.and_then(|since| start.checked_add_signed(since)).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// The two flavours of virtual time: futures that stay on their thread, and futures that may be sent.
pub trait Flavour: Future<Output = ()> + 'static {
    /// rxRust's scope: `Local` or `Shared`.
    type Scope: Hosts<char, MarbleError>;
    /// [`TestLocal`] or [`TestShared`].
    type Context<T>: Context<Inner = T, Scheduler = VirtualTime<Self>>;
    /// The scheduler of this thread.
    fn current() -> VirtualTime<Self>;
}

/// The scheduler of this thread, one for each flavour; what `TestLocal::interval(..)` and its like run on. Where
/// several tests share a thread they share it: prefer [`VirtualTime::new`] and [`VirtualTime::on`].
impl<F: Flavour + ?Sized> Default for VirtualTime<F> {
    fn default() -> Self {
        F::current()
    }
}

impl<F: Flavour + ?Sized> VirtualTime<F> {
    /// Puts a source on this scheduler.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{SharedVirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let scheduler = SharedVirtualScheduler::new();
    /// let ticks = record(scheduler.on(Shared::interval(Duration::from_secs(1))).map(|n| n * 10));
    /// scheduler.advance_by(Duration::from_secs(3));
    /// assert_eq!(ticks.items(), [0, 10, 20]);
    /// ```
    pub fn on<C: Context>(&self, source: C) -> F::Context<C::Inner> {
        F::Context::from_parts(source.into_inner(), self.clone())
    }
}

macro_rules! flavour {
    ($(#[$scheduler_doc:meta])* $scheduler:ident, $(#[$context_doc:meta])* $test:ident, $context:ident, $scope:ty $(, $send:ident)?) => {
        $(#[$scheduler_doc])*
        pub type $scheduler = VirtualTime<dyn Future<Output = ()> $(+ $send)?>;

        $(#[$context_doc])*
        pub type $test<T> = $context<T, $scheduler>;

        impl Flavour for dyn Future<Output = ()> $(+ $send)? {
            type Scope = $scope;
            type Context<T> = $test<T>;

            fn current() -> $scheduler {
                thread_local!(static CURRENT: $scheduler = VirtualTime::new());
                CURRENT.with(Clone::clone)
            }
        }

        schedules_boxed!($scheduler $(, $send)?);
    };
}

flavour!(
    /// Virtual time for `Local` pipelines; its tasks stay on one thread. See [`VirtualTime`] for what it does.
    VirtualScheduler,
    /// A `Local` pipeline on virtual time.
    TestLocal,
    LocalCtx,
    LocalScope
);
flavour!(
    /// Virtual time for `Shared` pipelines: several threads may schedule, wake and advance; the tasks run on the
    /// thread that advances, and another that advances waits for it. See [`VirtualTime`] for what it does.
    SharedVirtualScheduler,
    /// A `Shared` pipeline on virtual time.
    TestShared,
    SharedCtx,
    SharedScope,
    Send
);

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        panic::{AssertUnwindSafe, catch_unwind},
        rc::Rc,
        task::Poll,
    };

    use rxrust::scheduler::{Task, TaskState};

    use super::*;
    use crate::error::panic_message;
    use rxrust::scheduler::Scheduler;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    type Log = Rc<RefCell<Vec<(&'static str, Duration)>>>;

    fn sleeper(
        scheduler: &VirtualScheduler,
        log: &Log,
        name: &'static str,
        duration: Duration,
    ) -> TaskHandle {
        let (clock, log) = (scheduler.clone(), log.clone());
        scheduler.schedule(
            async move {
                clock.sleep(duration).await;
                log.borrow_mut().push((name, clock.now()));
            },
            None,
        )
    }

    fn panic_of(f: impl FnOnce()) -> String {
        let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
        panic_message(&*payload).to_owned()
    }

    #[test]
    fn sleeps_end_by_time_and_then_by_registration() {
        let (scheduler, log) = (VirtualScheduler::new(), Log::default());
        for (name, at) in [("c", 20), ("a", 10), ("b", 10), ("now", 0)] {
            sleeper(&scheduler, &log, name, ms(at));
        }
        assert!(log.borrow().is_empty());
        scheduler.run_ready();
        assert_eq!(*log.borrow(), [("now", ms(0))]);
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (3, 3));
        scheduler.advance_by(ms(15));
        assert_eq!(log.borrow()[1..], [("a", ms(10)), ("b", ms(10))]);
        assert_eq!(scheduler.now(), ms(15));
        assert_eq!(scheduler.advance_until_idle(ms(1000)), Ok(ms(20)));
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (0, 0));
        scheduler.advance_to(ms(3));
        assert_eq!(scheduler.now(), ms(20), "time never goes back");
    }

    #[test]
    fn a_delayed_task_starts_late() {
        let (scheduler, at) = (VirtualScheduler::new(), Rc::new(Cell::new(None)));
        let (clock, log) = (scheduler.clone(), at.clone());
        scheduler.schedule(async move { log.set(Some(clock.now())) }, Some(ms(7)));
        scheduler.advance_by(ms(100));
        assert_eq!(at.get(), Some(ms(7)));
    }

    #[test]
    fn tasks_of_rxrust_yield_and_sleep() {
        let (scheduler, steps) = (VirtualScheduler::new(), Rc::new(Cell::new(0)));
        let task = Task::new(steps.clone(), |steps| {
            steps.set(steps.get() + 1);
            match steps.get() {
                1 => TaskState::Yield,
                2 => TaskState::Sleeping(ms(10)),
                _ => TaskState::Finished,
            }
        });
        let handle = scheduler.schedule(task, None);
        scheduler.run_ready();
        assert_eq!((steps.get(), handle.is_closed()), (2, false));
        scheduler.advance_by(ms(10));
        assert_eq!((steps.get(), handle.is_closed()), (3, true));
    }

    #[test]
    fn an_unsubscribed_task_ends_at_the_next_run() {
        let (scheduler, log) = (VirtualScheduler::new(), Log::default());
        let never_polled = sleeper(&scheduler, &log, "a", ms(10));
        never_polled.unsubscribe();
        let sleeping = sleeper(&scheduler, &log, "b", ms(10));
        scheduler.run_ready();
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (1, 1));
        sleeping.unsubscribe();
        scheduler.run_ready();
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (0, 0));
        scheduler.advance_by(ms(100));
        assert!(log.borrow().is_empty());
    }

    #[test]
    fn a_task_can_unsubscribe_itself_and_schedule_others() {
        let (scheduler, log) = (VirtualScheduler::new(), Log::default());
        let own: Rc<RefCell<Option<TaskHandle>>> = Rc::default();
        let (handle, inner, names) = (own.clone(), scheduler.clone(), log.clone());
        let task = async move {
            sleeper(&inner, &names, "inner", ms(5));
            if let Some(handle) = handle.borrow_mut().take() {
                handle.unsubscribe();
            }
            std::future::pending::<()>().await;
        };
        *own.borrow_mut() = Some(scheduler.schedule(task, None));
        scheduler.run_ready();
        assert_eq!(scheduler.tasks(), 1);
        scheduler.advance_by(ms(5));
        assert_eq!(*log.borrow(), [("inner", ms(5))]);
    }

    #[test]
    fn a_task_can_await_another() {
        let (scheduler, log) = (VirtualScheduler::new(), Log::default());
        let first = sleeper(&scheduler, &log, "first", ms(5));
        let (clock, names) = (scheduler.clone(), log.clone());
        let second = async move {
            first.await;
            names.borrow_mut().push(("second", clock.now()));
        };
        scheduler.schedule(second, None);
        scheduler.advance_by(ms(5));
        assert_eq!(*log.borrow(), [("first", ms(5)), ("second", ms(5))]);
    }

    #[test]
    fn dropped_sleeps_leave_nothing() {
        let scheduler = VirtualScheduler::new();
        let clock = scheduler.clone();
        let task = async move {
            let mut sleep = Box::pin(clock.sleep(ms(50)));
            std::future::poll_fn(|context| {
                assert!(sleep.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            drop(sleep);
            std::future::pending::<()>().await;
        };
        scheduler.schedule(task, None);
        scheduler.run_ready();
        assert_eq!((scheduler.tasks(), scheduler.sleeps()), (1, 0));
        assert_eq!(scheduler.advance_until_idle(ms(100)), Ok(ms(0)));
    }

    #[test]
    fn for_ever_never_ends() {
        let (scheduler, log) = (VirtualScheduler::new(), Log::default());
        scheduler.advance_by(ms(1));
        sleeper(&scheduler, &log, "never", Duration::MAX);
        assert_eq!(scheduler.advance_until_idle(Duration::MAX), Ok(ms(1)));
        assert_eq!(scheduler.sleeps(), 1);
        scheduler.advance_by(Duration::MAX);
        scheduler.stall(Duration::MAX);
        scheduler.run_ready();
        assert!(log.borrow().is_empty());
        assert_eq!(scheduler.utc(), DateTime::<Utc>::MAX_UTC);
    }

    #[test]
    fn a_periodic_task_meets_the_limit() {
        let scheduler = VirtualScheduler::new();
        scheduler.schedule(Task::new((), |()| TaskState::Sleeping(ms(10))), None);
        let limit = VirtualTimeLimit { limit: ms(95), tasks: 1, next: ms(100) };
        assert_eq!(scheduler.advance_until_idle(ms(95)), Err(limit));
        assert_eq!(scheduler.now(), ms(95));
    }

    #[test]
    fn a_livelock_is_reported() {
        for state in [|| TaskState::Yield, || TaskState::Sleeping(Duration::ZERO)] {
            let scheduler = VirtualScheduler::new();
            scheduler.advance_by(ms(3));
            scheduler.schedule(Task::new(state, |state| state()), None);
            let message = panic_of(|| scheduler.advance_by(ms(1)));
            assert_eq!(message, "livelock: 1000000 polls at 3ms of virtual time, and no end");
        }
    }

    #[test]
    fn a_panic_comes_out_and_harms_no_other() {
        let (scheduler, log) = (VirtualScheduler::new(), Log::default());
        let bad = scheduler.schedule(async { panic!("bad task") }, Some(ms(5)));
        sleeper(&scheduler, &log, "good", ms(5));
        assert_eq!(panic_of(|| scheduler.advance_by(ms(10))), "bad task");
        assert!(bad.is_closed());
        assert_eq!((scheduler.tasks(), scheduler.now()), (1, ms(5)));
        scheduler.advance_by(ms(5));
        assert_eq!(*log.borrow(), [("good", ms(5))]);
    }

    #[test]
    fn a_task_may_stall_but_not_advance() {
        let (scheduler, log) = (VirtualScheduler::new(), Log::default());
        let clock = scheduler.clone();
        scheduler.schedule(
            async move {
                clock.run_ready();
                clock.advance_by(Duration::ZERO);
                clock.stall(ms(30));
            },
            Some(ms(1)),
        );
        sleeper(&scheduler, &log, "late", ms(2));
        scheduler.advance_by(ms(5));
        assert_eq!(*log.borrow(), [("late", ms(31))]);
        let clock = scheduler.clone();
        scheduler.schedule(async move { clock.advance_by(ms(1)) }, None);
        assert!(panic_of(|| scheduler.run_ready()).starts_with("a task must not advance"));
        assert_eq!(scheduler.now(), ms(31));
    }

    #[test]
    fn a_task_woken_while_polled_is_polled_again() {
        let (scheduler, polls) = (VirtualScheduler::new(), Rc::new(Cell::new(0)));
        let count = polls.clone();
        let task = std::future::poll_fn(move |context| {
            count.set(count.get() + 1);
            context.waker().wake_by_ref();
            context.waker().wake_by_ref();
            if count.get() < 3 { Poll::Pending } else { Poll::Ready(()) }
        });
        scheduler.schedule(task, None);
        scheduler.run_ready();
        assert_eq!((polls.get(), scheduler.tasks()), (3, 0));
    }

    #[test]
    fn the_default_is_the_threads_own() {
        let on_other_thread = |wait: bool| {
            thread::spawn(move || {
                SharedVirtualScheduler::default().stall(ms(5));
                assert!(wait || SharedVirtualScheduler::default().now() == ms(5));
            })
        };
        on_other_thread(false).join().unwrap();
        let now = SharedVirtualScheduler::default().now();
        on_other_thread(true).join().unwrap();
        assert_eq!(SharedVirtualScheduler::default().now(), now);
        let own = VirtualScheduler::new();
        own.stall(ms(1));
        assert_ne!(VirtualScheduler::default().now(), own.now());
        assert_eq!(own.utc().to_rfc3339(), "2026-01-01T00:00:00.001+00:00");
    }

    #[test]
    fn threads_schedule_wake_and_advance() {
        let scheduler = SharedVirtualScheduler::new();
        let (woken, wake) = (Arc::new(AtomicBool::new(false)), Arc::new(futures::task::AtomicWaker::new()));
        let (flag, waker) = (woken.clone(), wake.clone());
        let waits = scheduler.schedule(
            std::future::poll_fn(move |context| {
                waker.register(context.waker());
                if flag.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
            }),
            None,
        );
        let done = Arc::new(Mutex::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..200 {
                        let (clock, done) = (scheduler.clone(), done.clone());
                        let task = async move {
                            clock.sleep(ms(n % 7)).await;
                            *lock(&done) += 1;
                        };
                        scheduler.schedule(task, Some(ms(n % 3)));
                        scheduler.advance_by(ms(1));
                    }
                });
            }
            scope.spawn(|| {
                woken.store(true, Ordering::Release);
                wake.wake();
            });
        });
        assert!(scheduler.advance_until_idle(ms(100)).is_ok());
        assert_eq!((*lock(&done), scheduler.tasks(), scheduler.sleeps()), (800, 0, 0));
        assert!(waits.is_closed());
    }
}
