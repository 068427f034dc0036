//! What ends a stream when an operator itself fails, and where a failure goes that nobody can route.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    mem::{self, ManuallyDrop},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
};

use rxrust::observer::Observer;

use crate::{
    dead_letter::{DeadLetterError, Poisoned, Reason},
    delivery::{DeliveryError, fate::abandoning},
};

/// The error of a stream whose operators may fail by themselves: a closure panicked, a bounded queue was full, a
/// dead-letter queue could not store a letter.
///
/// A stream with this error type routes such failures like any other error (`on_error_route`, `catch_error`,
/// `retry_with`). [`ErrorOps::stream_error`](crate::operator::error::ErrorOps::stream_error) turns any stream into
/// one, wherever it stands in the chain. In a stream with another error type they cannot be represented: the
/// subscription ends and the failure goes to the [`on_unhandled`] hook.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// A user's closure panicked.
    #[error(transparent)]
    Panic(#[from] PanicError),
    /// A bounded buffer with [`Overflow::Error`](crate::buffer::Overflow::Error) was full.
    #[error(transparent)]
    Overflow(#[from] OverflowError),
    /// A bounded buffer with [`Overflow::Block`](crate::buffer::Overflow::Block) was full, and the thread that pushed must
    /// not wait for room: it runs tasks, or the consumer needs it. An asynchronous source of this crate awaits instead.
    #[error("{0}, and this thread must not wait for room: it runs tasks")]
    WouldBlock(OverflowError),
    /// `group_by` has as many open groups as it may, and an item of another key has come.
    #[error("`group_by`: more than {limit} groups are open")]
    GroupLimitExceeded {
        /// How many groups may be open.
        limit: usize,
    },
    /// The scheduler has dropped an operator's task while items waited (its runtime has ended).
    #[error("`{0}`: the scheduler has ended while items waited")]
    SchedulerGone(&'static str),
    /// No item came in time.
    #[error("`timeout`: no item within {within:?}")]
    Timeout {
        /// How long was waited.
        within: std::time::Duration,
    },
    /// More items came than the quota of a `rate_limit` allows.
    #[error("`rate_limit`: more than {count} items in {period:?}")]
    RateLimited {
        /// How many may pass in a period.
        count: u32,
        /// The period.
        period: std::time::Duration,
    },
    /// An event was too far behind the newest, and the policy is that this is an error
    /// ([`Regression::Error`](crate::event_time::Regression::Error)).
    #[error("`{operator}`: an event at {at} ns, {behind} ns older than the newest: time has gone back")]
    TimeRegression {
        /// The operator that met it.
        operator: &'static str,
        /// The event's time, in nanoseconds.
        at: i64,
        /// How much older than the newest it is, in nanoseconds.
        behind: u64,
    },
    /// An operator that needs an item of its source got none.
    #[error("`{0}`: the source has completed without an item")]
    NoItem(&'static str),
    /// An operator that takes one item of its source got a second one.
    #[error("`{0}`: the source has more than one item")]
    SeveralItems(&'static str),
    /// A result is no value of its type.
    #[error("`{operator}`: the result is out of the range of {of}")]
    OutOfRange {
        /// The operator that computes it.
        operator: &'static str,
        /// The type.
        of: &'static str,
    },
    /// An event failed, and the policy is that the stream ends with it ([`Verdict::Fail`](crate::operator::error::Verdict)).
    /// The event itself went on before, as rejected.
    #[error("`{stage}`: {reason}")]
    EventFailed {
        /// The stage in which it failed.
        stage: &'static str,
        /// Why.
        reason: Reason,
    },
    /// More events failed than a dead-letter queue is to take: the letter that was not stored is in the error.
    #[error(transparent)]
    Poisoned(Arc<Poisoned>),
    /// A dead-letter queue refused a letter; the letter is in the error.
    #[error(transparent)]
    DeadLetter(Arc<DeadLetterError>),
    /// A source of deliveries cannot go on, or not commit how far it is.
    #[error(transparent)]
    Delivery(Arc<DeliveryError>),
    /// The source's own error.
    #[error(transparent)]
    Source(Arc<dyn std::error::Error + Send + Sync>),
}

impl StreamError {
    /// Wraps a source's own error.
    pub fn source(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Source(Arc::new(error))
    }

    /// The same failure as an `E`, where `E` is `StreamError`; otherwise itself back.
    pub(crate) fn into_error<E: 'static>(self) -> Result<E, Self> {
        let mut slot = Some(self);
        match (&mut slot as &mut dyn Any).downcast_mut::<Option<E>>() {
            Some(error) => error.take().ok_or_else(|| unreachable_error("into_error")),
            None => Err(slot.take().unwrap_or_else(|| unreachable_error("into_error"))),
        }
    }
}

/// For a value that cannot be missing: says so instead of panicking.
fn unreachable_error(operator: &'static str) -> StreamError {
    PanicError { operator, message: "internal: value taken twice".into() }.into()
}

/// A user's closure panicked; the panic was caught at the operator that called it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("panic in `{operator}`: {message}")]
pub struct PanicError {
    /// The operator whose closure it was.
    pub operator: &'static str,
    /// What the panic said.
    pub message: Arc<str>,
}

/// A bounded buffer was full and its policy was to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{operator}`: buffer of {capacity} items is full")]
pub struct OverflowError {
    /// The operator whose buffer it was.
    pub operator: &'static str,
    /// How many items it holds.
    pub capacity: usize,
}

/// Runs a user's closure under the name of its operator. Costs nothing unless it panics, where the name is a constant: as
/// a value it would be written for each call, in case.
#[inline(always)]
pub(crate) fn named<R>(operator: impl Fn() -> &'static str, f: impl FnOnce() -> R) -> R {
    struct Name<N: Fn() -> &'static str>(N);
    impl<N: Fn() -> &'static str> Drop for Name<N> {
        #[cold]
        fn drop(&mut self) {
            OPERATOR.set(Some((self.0)()));
        }
    }
    let name = Name(operator);
    let value = f();
    mem::forget(name);
    value
}

thread_local! {
    /// The operator whose closure is panicking.
    static OPERATOR: Cell<Option<&'static str>> = const { Cell::new(None) };
    /// The failure that observers which are being dropped may take: see [`fail`].
    static FAILURE: RefCell<Option<StreamError>> = const { RefCell::new(None) };
    /// It has been sent as an error: only a gate that is closed to errors may take it.
    static SENT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`; a panic becomes a value. `operator` names it unless an operator further in was [`named`].
#[inline(always)]
pub(crate) fn catch<R>(operator: &'static str, f: impl FnOnce() -> R) -> Result<R, PanicError> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Ok(value),
        Err(payload) => Err(panic_error(operator, payload)),
    }
}

/// Runs `f`; a panic in it is nobody's but the hook's.
pub(crate) fn caught(operator: &'static str, f: impl FnOnce()) {
    if let Err(panic) = catch(operator, f) {
        unhandled(&panic.into());
    }
}

/// Runs a source that pushes its items into `down` before it returns, and ends `down` after it.
#[inline(always)]
pub(crate) fn push<T, E: 'static, O: Observer<T, E>>(
    operator: &'static str,
    down: O,
    items: impl FnOnce(&mut O),
) {
    push_result(operator, down, |down| {
        items(down);
        Ok(())
    });
}

/// [`push`] of a source that may fail.
#[inline(always)]
pub(crate) fn push_result<T, E: 'static, O: Observer<T, E>>(
    operator: &'static str,
    down: O,
    items: impl FnOnce(&mut O) -> Result<(), E>,
) {
    let mut kept = None;
    let run = catch(operator, || push_and_keep(down, &mut kept, items));
    match (kept, run) {
        (Some(down), Ok(Ok(()))) => complete(down),
        (Some(down), Ok(Err(failure))) => error(down, failure),
        (Some(down), Err(panic)) => fail(down, panic),
        // It is kept in any case.
        (None, _) => {}
    }
}

/// Has the observer as a value of its own, so that what operators keep from item to item can be in registers.
#[inline(never)]
fn push_and_keep<O, E>(
    down: O,
    kept: &mut Option<O>,
    items: impl FnOnce(&mut O) -> Result<(), E>,
) -> Result<(), E> {
    /// Gives the observer back, after a panic, too. Without a drop of its own, which would need it in memory.
    struct Keep<'a, O>(ManuallyDrop<Option<O>>, &'a mut Option<O>);
    impl<O> Drop for Keep<'_, O> {
        #[inline(always)]
        fn drop(&mut self) {
            mem::forget(mem::replace(self.1, self.0.take()));
        }
    }
    let mut keep = Keep(ManuallyDrop::new(Some(down)), kept);
    match &mut *keep.0 {
        Some(down) => items(down),
        None => Ok(()),
    }
}

/// A caught panic as a value.
#[cold]
pub(crate) fn panic_error(operator: &'static str, payload: Box<dyn Any + Send>) -> PanicError {
    let message = panic_message(&*payload).into();
    // A payload may panic when it is dropped.
    if catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err() {
        eprintln!("rxevents: a panic's payload panicked when it was dropped");
    }
    PanicError { operator: OPERATOR.take().unwrap_or(operator), message }
}

/// What a panic's payload says.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text")
}

/// Ends `down` with a failure of an operator.
///
/// Where its error type is [`StreamError`], as that error. Otherwise `down` is dropped, and the failure is there to be
/// [taken](take_failure) by what is dropped with it: the observer of a `stream_error` further down, a gate. What
/// nobody takes goes to the [`on_unhandled`] hook.
#[cold]
pub(crate) fn fail<T, E: 'static, O: Observer<T, E>>(down: O, failure: impl Into<StreamError>) {
    let failure = failure.into();
    match failure.clone().into_error::<E>() {
        Ok(next) => {
            // A gate below that has panicked is closed to errors; it takes the failure when it is dropped.
            let (outer, sent) = (FAILURE.replace(Some(failure)), SENT.replace(true));
            error(down, next);
            FAILURE.replace(outer);
            SENT.set(sent);
        }
        Err(failure) => drop_with(down, failure),
    }
}

/// Completes `down`; a panic in that is nobody's but the hook's.
pub(crate) fn complete<T, E, O: Observer<T, E>>(down: O) {
    caught("complete", || down.complete());
}

/// Passes an error to `down`; a panic in that is nobody's but the hook's.
pub(crate) fn error<T, E, O: Observer<T, E>>(down: O, error: E) {
    caught("error", || down.error(error));
}

/// Drops users' closures or items, whose own drop may panic, where a stream has ended: deliveries among them are not
/// done.
pub(crate) fn drop_caught<O>(gone: O) {
    abandoning(|| caught("drop", || drop(gone)));
}

/// Drops what a container has of which one may panic: then the others are dropped still. Hash tables would leak them.
pub(crate) fn drop_each<T>(items: impl Iterator<Item = T>) {
    if std::mem::needs_drop::<T>() {
        drop(items.collect::<Vec<_>>());
    }
}

/// Drops an item that is done.
pub(crate) fn drop_done<T>(item: T) {
    caught("drop", || drop(item));
}

/// Drops what a failure ended, which may take the failure.
#[cold]
pub(crate) fn drop_with<O>(ended: O, failure: StreamError) {
    abandoning(|| settle_with(failure, || drop(ended)));
}

/// Runs what may [take](take_failure) a failure.
#[cold]
pub(crate) fn settle_with(failure: StreamError, settle: impl FnOnce()) {
    let (outer, sent) = (FAILURE.replace(Some(failure)), SENT.replace(false));
    let dropped = catch("drop", settle);
    SENT.set(sent);
    if let Some(failure) = FAILURE.replace(outer) {
        unhandled(&failure);
    }
    if let Err(panic) = dropped {
        unhandled(&panic.into());
    }
}

/// Gives a task, and the observer in it, to a scheduler. One without a runtime panics and drops both; what is dropped
/// with the observer may [take](take_failure) that as a failure.
pub(crate) fn schedule(operator: &'static str, give: impl FnOnce()) -> bool {
    let message = "the scheduler takes no task (is there a runtime?)".into();
    let (outer, sent) = (FAILURE.replace(Some(PanicError { operator, message }.into())), SENT.replace(false));
    let given = catch(operator, give);
    SENT.set(sent);
    let untaken = FAILURE.replace(outer);
    match given {
        Ok(()) => true,
        Err(panic) => {
            if untaken.is_some() {
                unhandled(&panic.into());
            }
            false
        }
    }
}

/// Whether there is a failure that nobody was told.
pub(crate) fn failure_waits() -> bool {
    !SENT.get() && FAILURE.with_borrow(Option::is_some)
}

/// The failure that is ending what is being dropped, if there is one and nobody has taken it.
pub(crate) fn take_failure() -> Option<StreamError> {
    FAILURE.take()
}

type Hook = Arc<dyn Fn(&StreamError) + Send + Sync>;
static HOOK: RwLock<Option<Hook>> = RwLock::new(None);

/// Sets the process-wide hook for failures that no stream could carry (ReactiveX: the undeliverable-error handler).
///
/// It is called on the thread where the failure happened, once per failure. Without a hook the failure is written to
/// stderr. A panic of the hook is caught and written to stderr.
///
/// ```
/// use rxevents::prelude::*;
/// use std::sync::{Arc, Mutex};
///
/// let seen = Arc::new(Mutex::new(Vec::new()));
/// let log = seen.clone();
/// rxevents::on_unhandled(move |failure| log.lock().unwrap().push(failure.to_string()));
/// // The error type is Infallible: the panic cannot be an error of this stream.
/// Local::from_iter(0..3).map(|v| 6 / (v - 1)).subscribe(|_| {});
/// assert_eq!(*seen.lock().unwrap(), ["panic in `map`: attempt to divide by zero"]);
/// ```
pub fn on_unhandled(hook: impl Fn(&StreamError) + Send + Sync + 'static) {
    *HOOK.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
}

#[cold]
pub(crate) fn unhandled(failure: &StreamError) {
    let hook = HOOK.read().unwrap_or_else(PoisonError::into_inner).clone();
    match hook {
        Some(hook) => {
            if catch_unwind(AssertUnwindSafe(|| hook(failure))).is_err() {
                eprintln!("rxevents: the hook for unhandled failures panicked on: {failure}");
            }
        }
        None => eprintln!("rxevents: unhandled: {failure}"),
    }
}
