use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context as TaskContext, Poll, Wake, Waker},
    thread::{self, ThreadId},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::stream::{FuturesUnordered, StreamExt};
use rxrust::{
    context::{Context, LocalCtx, SharedCtx},
    scheduler::{LocalScheduler, SleepProvider, TaskHandle},
    subscription::Subscription,
};

use super::{Clock, open_handle};
use crate::{
    error::{catch, caught, drop_caught, unhandled},
    sync::lock,
};

/// How often one [`run_ready`](EventLoop::run_ready) looks for more that is ready: more often than a task of `observe_on`
/// looks for an item before it sleeps.
const ROUNDS: usize = 256;

/// A scheduler that somebody else's loop runs, such as that of a user interface: the implementation of
/// [`LocalEventLoop`] and [`SharedEventLoop`]. Clones are the same scheduler.
///
/// It has no thread, and never waits. The user interface calls [`run_ready`](Self::run_ready) once a frame, or when it is
/// told to: [`on_wake`](Self::on_wake) sets what is called, by whatever thread, when there is something to run, and
/// [`until_next`](Self::until_next) says when the next timer is due. Nothing runs in between.
///
/// It holds a task for each subscription that waits, not for each item: those wait in the bounded buffer of
/// [`observe_on`](crate::operator::time::TimeOps::observe_on). A task that is still alive keeps the scheduler in memory:
/// [`close`](Self::close) it when the window is closed.
///
/// ```
/// use rxevents::{prelude::*, time::LocalEventLoop};
/// use std::{cell::RefCell, convert::Infallible, rc::Rc, time::Duration};
///
/// let ui = LocalEventLoop::new();
/// let mut typed = Local::subject::<char, Infallible>();
/// let shown = Rc::new(RefCell::new(vec![]));
/// let label = shown.clone();
/// ui.on(typed.clone()).debounce(Duration::ZERO).subscribe(move |c| label.borrow_mut().push(c));
/// // One frame:
/// typed.next('a');
/// typed.next('b');
/// ui.run_ready();
/// assert_eq!(*shown.borrow(), ['b']);
/// ```
pub struct EventLoop<F: ?Sized> {
    core: Arc<Core<F>>,
}

impl<F: ?Sized> Clone for EventLoop<F> {
    fn clone(&self) -> Self {
        Self { core: self.core.clone() }
    }
}

struct Core<F: ?Sized> {
    alarm: Arc<Alarm>,
    /// Locked while they run.
    tasks: Mutex<FuturesUnordered<Task<F>>>,
    incoming: Mutex<Incoming<F>>,
}

struct Incoming<F: ?Sized> {
    tasks: Vec<Task<F>>,
    closed: bool,
}

struct Task<F: ?Sized> {
    /// Until it is dropped.
    future: Option<Pin<Box<F>>>,
    handle: TaskHandle,
    alarm: Arc<Alarm>,
}

impl<F: ?Sized> Task<F> {
    fn new(future: Pin<Box<F>>, handle: TaskHandle, alarm: &Arc<Alarm>) -> Self {
        alarm.tasks.fetch_add(1, Ordering::Relaxed);
        Self { future: Some(future), handle, alarm: alarm.clone() }
    }
}

impl<F: Future<Output = ()> + ?Sized> Future for Task<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        // To poll the handle is to be woken when it is unsubscribed.
        if self.alarm.closed.load(Ordering::SeqCst) || Pin::new(&mut self.handle).poll(context).is_ready() {
            return Poll::Ready(());
        }
        match &mut self.future {
            Some(future) => future.as_mut().poll(context),
            None => Poll::Ready(()),
        }
    }
}

impl<F: ?Sized> Drop for Task<F> {
    fn drop(&mut self) {
        self.alarm.tasks.fetch_sub(1, Ordering::Relaxed);
        self.handle.clone().unsubscribe();
        // By itself, so that a panic in it does not keep the others from being dropped.
        caught("drop", || drop(self.future.take()));
    }
}

type Hook = Arc<dyn Fn() + Send + Sync>;
type Now = Box<dyn Fn() -> Duration + Send + Sync>;

/// What may be used by other threads: the wake-up, and the timers.
struct Alarm {
    now: Now,
    /// Something is ready that no run has looked at.
    woken: AtomicBool,
    /// A run will look at it.
    running: AtomicBool,
    /// The tasks are not to be run any more.
    closed: AtomicBool,
    /// How many have not ended. Counted here, as a task may ask while they are locked.
    tasks: AtomicUsize,
    hook: RwLock<Option<Hook>>,
    timers: Mutex<Timers>,
    /// The thread that runs the tasks.
    thread: Mutex<ThreadId>,
}

#[derive(Default)]
struct Timers {
    ids: u64,
    /// By the moment, and then in order of registration.
    due: BTreeMap<(Duration, u64), Waker>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Sequentially consistent, as in `run_ready`: the one or the other sees that nobody will look.
        if !self.woken.swap(true, Ordering::SeqCst) && !self.running.load(Ordering::SeqCst) {
            self.call();
        }
    }
}

impl Alarm {
    fn call(&self) {
        let hook = self.hook.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = hook
            && let Err(panic) = catch("on_wake", || hook())
        {
            unhandled(&panic.into());
        }
    }

    /// Wakes whom the time has come for.
    fn ring(&self) {
        let now = (self.now)();
        loop {
            let mut timers = lock(&self.timers);
            let Some(first) = timers.due.first_entry().filter(|first| first.key().0 <= now) else { return };
            let waker = first.remove();
            drop(timers);
            waker.wake();
        }
    }
}

impl<F: Future<Output = ()> + ?Sized> EventLoop<F> {
    /// A scheduler with the time of the system, that is run by this thread.
    pub fn new() -> Self {
        Self::with_clock(|| LocalScheduler.now())
    }

    /// A scheduler with a time of your own, which must not go back: of the frames, or of a test.
    pub fn with_clock(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let alarm = Alarm {
            now: Box::new(now),
            woken: AtomicBool::new(false),
            running: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            tasks: AtomicUsize::new(0),
            hook: RwLock::default(),
            timers: Mutex::default(),
            thread: Mutex::new(thread::current().id()),
        };
        let incoming = Mutex::new(Incoming { tasks: Vec::new(), closed: false });
        #[allow(clippy::arc_with_non_send_sync, reason = "in `Shared` it is both")]
        let core = Arc::new(Core { alarm: Arc::new(alarm), tasks: Mutex::default(), incoming });
        Self { core }
    }

    /// Sets what is called when there is something to run: once, until [`run_ready`](Self::run_ready) has looked at it. It is
    /// called on the thread that woke the loop, at any time, so it should only send a message or ask for a redraw.
    pub fn on_wake(&self, hook: impl Fn() + Send + Sync + 'static) {
        let alarm = &self.core.alarm;
        *alarm.hook.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
        if alarm.woken.load(Ordering::SeqCst) {
            alarm.call();
        }
    }

    /// Runs the tasks that are ready or due, on this thread, and returns. `true`: there is more, and
    /// [`on_wake`](Self::on_wake) has been called for it; a task that always has something to do does not stop the frame.
    /// From within a task, and while another thread runs them, it does nothing.
    pub fn run_ready(&self) -> bool {
        let Core { alarm, tasks, incoming } = &*self.core;
        let Ok(mut tasks) = tasks.try_lock() else { return false };
        *lock(&alarm.thread) = thread::current().id();
        alarm.running.store(true, Ordering::SeqCst);
        let waker = Waker::from(alarm.clone());
        for _ in 0..ROUNDS {
            alarm.woken.store(false, Ordering::SeqCst);
            alarm.ring();
            tasks.extend(std::mem::take(&mut lock(incoming).tasks));
            loop {
                match catch("task", || tasks.poll_next_unpin(&mut TaskContext::from_waker(&waker))) {
                    Ok(Poll::Ready(Some(()))) => {}
                    Ok(_) => break,
                    Err(panic) => unhandled(&panic.into()),
                }
            }
            if !alarm.woken.load(Ordering::SeqCst) {
                break;
            }
        }
        drop(tasks);
        // Meanwhile, by a task or another thread.
        if alarm.closed.load(Ordering::SeqCst) {
            self.drop_tasks();
        }
        alarm.running.store(false, Ordering::SeqCst);
        let more = alarm.woken.load(Ordering::SeqCst);
        if more {
            alarm.call();
        }
        more
    }

    /// How long nothing needs to be run: until the next timer is due, no time if something is ready; `None` where only
    /// [`on_wake`](Self::on_wake) will say.
    pub fn until_next(&self) -> Option<Duration> {
        let alarm = &self.core.alarm;
        if alarm.woken.load(Ordering::SeqCst) {
            return Some(Duration::ZERO);
        }
        let next = lock(&alarm.timers).due.first_key_value().map(|((at, _), _)| *at);
        next.filter(|at| *at != Duration::MAX).map(|at| at.saturating_sub((alarm.now)()))
    }

    /// The tasks that have not ended.
    pub fn tasks(&self) -> usize {
        self.core.alarm.tasks.load(Ordering::Relaxed)
    }

    /// Drops all tasks, and takes no more (called by one of them, as soon as that returns): what waited in them fails with
    /// [`StreamError::SchedulerGone`](crate::StreamError::SchedulerGone), what comes later with a
    /// [`PanicError`](crate::PanicError) that says so. To schedule a task by hand panics then, as on every scheduler whose
    /// runtime has ended.
    pub fn close(&self) {
        let incoming = {
            let mut incoming = lock(&self.core.incoming);
            incoming.closed = true;
            self.core.alarm.closed.store(true, Ordering::SeqCst);
            std::mem::take(&mut incoming.tasks)
        };
        drop_caught(incoming);
        self.drop_tasks();
    }

    /// While they run, `run_ready` does it when it is through.
    fn drop_tasks(&self) {
        let tasks = self.core.tasks.try_lock().map(|mut tasks| std::mem::take(&mut *tasks));
        drop_caught(tasks.ok());
    }

    fn spawn(&self, future: Pin<Box<F>>) -> TaskHandle {
        let handle = open_handle();
        let task = Task::new(future, handle.clone(), &self.core.alarm);
        let mut incoming = lock(&self.core.incoming);
        if incoming.closed {
            drop(incoming);
            drop_caught(task);
            panic!("the event loop is closed");
        }
        incoming.tasks.push(task);
        drop(incoming);
        self.core.alarm.wake_by_ref();
        handle
    }
}

impl<F: ?Sized> Clock for EventLoop<F> {
    fn now(&self) -> Duration {
        (self.core.alarm.now)()
    }

    fn utc(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn wait(&self, wait: impl FnOnce()) -> bool {
        let runs_here = *lock(&self.core.alarm.thread) == thread::current().id();
        if !runs_here {
            wait();
        }
        !runs_here
    }
}

impl<F: ?Sized> SleepProvider for EventLoop<F> {
    type SleepFuture = Sleep;

    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep { alarm: self.core.alarm.clone(), at: self.now().saturating_add(duration), id: None }
    }
}

/// Waits for a moment of an [`EventLoop`].
pub struct Sleep {
    alarm: Arc<Alarm>,
    at: Duration,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        if (self.alarm.now)() >= self.at {
            return Poll::Ready(());
        }
        let alarm = self.alarm.clone();
        let mut timers = lock(&alarm.timers);
        let id = *self.id.get_or_insert_with(|| {
            timers.ids += 1;
            timers.ids
        });
        let old = timers.due.insert((self.at, id), context.waker().clone());
        // A foreign waker may do anything when it is dropped.
        drop(timers);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let waker = lock(&self.alarm.timers).due.remove(&(self.at, id));
            drop(waker);
        }
    }
}

macro_rules! event_loop {
    ($(#[$doc:meta])* $name:ident, $context:ident $(, $send:ident)?) => {
        $(#[$doc])*
        pub type $name = EventLoop<dyn Future<Output = ()> $(+ $send)?>;

        impl $name {
            /// Puts a source on this scheduler: all operators below it that wait do it here.
            pub fn on<C: Context>(&self, source: C) -> $context<C::Inner, Self> {
                $context::from_parts(source.into_inner(), self.clone())
            }
        }

        /// The scheduler of this thread.
        impl Default for $name {
            fn default() -> Self {
                thread_local!(static CURRENT: $name = EventLoop::new());
                CURRENT.with(Clone::clone)
            }
        }

        schedules_boxed!($name $(, $send)?);
    };
}
event_loop!(
    /// An [`EventLoop`] for `Local` pipelines, which stay on its thread: what updates the user interface.
    LocalEventLoop,
    LocalCtx
);
event_loop!(
    /// An [`EventLoop`] to which other threads may hand tasks in: the scheduler for
    /// [`observe_on`](crate::operator::time::TimeOps::observe_on) in a `Shared` pipeline that ends in the user interface.
    SharedEventLoop,
    SharedCtx,
    Send
);
