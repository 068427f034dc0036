use std::{
    future::Future,
    iter,
    marker::PhantomData,
    pin::Pin,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use rxrust::{
    context::{Context, RcDerefMut},
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::{Scheduler, SleepProvider},
    subscription::Subscription,
};

use crate::{
    error::{StreamError, catch, drop_caught, fail, unhandled},
    operator::batch::{Batch, BatchObserver},
    time::{Cancel, Clock, Sleeper, deadline},
};

/// See [`subscribe_on`](super::TimeOps::subscribe_on) and [`delay_subscription`](super::TimeOps::delay_subscription).
pub struct SubscribeOn<S, Sch, T, E> {
    source: S,
    scheduler: Sch,
    delay: Duration,
    /// The operator's name, in errors.
    name: &'static str,
    types: PhantomData<fn() -> (T, E)>,
}

clone_by_fields!(SubscribeOn<S, Sch, T, E>: source, scheduler, delay, name, types where S, Sch);

impl<S, Sch, T, E> SubscribeOn<S, Sch, T, E> {
    pub(super) fn new(source: S, scheduler: Sch, delay: Duration, name: &'static str) -> Self {
        Self { source, scheduler, delay, name, types: PhantomData }
    }
}

impl<S, Sch, T, E> ObservableType for SubscribeOn<S, Sch, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

/// What the source is given, in context `C`.
type Down<C> = <C as Context>::With<Wanted<<C as Context>::Inner>>;
/// What the task and the subscription share, in context `C`.
type SlotOf<S, C, U> = <C as Context>::RcMut<Slot<S, Down<C>, U>>;

impl<S, Sch, T, E, C, U> CoreObservable<C> for SubscribeOn<S, Sch, T, E>
where
    C: Context,
    C::Inner: Observer<T, E>,
    E: 'static,
    S: CoreObservable<Down<C>, Unsub = U>,
    U: Subscription,
    Sch: Clock + SleepProvider + Scheduler<Later<Sch, SlotOf<S, C, U>, S, Down<C>, U>>,
{
    type Unsub = LaterSubscription<SlotOf<S, C, U>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let Self { source, scheduler, delay, name, .. } = self;
        let cancel = Cancel::default();
        let wanted = cancel.clone();
        let live = Some((source, context.transform(|down| Wanted { down, cancel: wanted })));
        let slot = C::RcMut::from(Slot { live, taken: false, failed: false, subscription: None });
        let fails = |slot: &SlotOf<S, C, U>, failure| {
            let live = slot.rc_deref_mut().live.take();
            if let Some((source, context)) = live {
                slot.rc_deref_mut().failed = true;
                drop_caught(source);
                fail(context.into_inner(), failure);
            }
        };
        let task = Later {
            slot: slot.clone(),
            due: deadline(scheduler.now(), delay),
            scheduler: scheduler.clone(),
            sleeper: Sleeper::default(),
            cancel: cancel.clone(),
            name,
            start: |slot| {
                let live = slot.rc_deref_mut().live.take();
                if let Some((source, context)) = live {
                    let subscription = source.subscribe(context);
                    slot.rc_deref_mut().subscription = Some(subscription);
                }
            },
            fails,
            types: PhantomData,
        };
        match catch(name, || drop(scheduler.schedule(task, None))) {
            Ok(()) => slot.rc_deref_mut().taken = true,
            Err(panic) => {
                fails(&slot, panic.into());
                cancel.cancel();
            }
        }
        LaterSubscription { slot, cancel }
    }
}

/// A source that is to be subscribed to, and the subscription when it has been.
pub struct Slot<S, C, U> {
    live: Option<(S, C)>,
    /// The scheduler has taken the task.
    taken: bool,
    /// There will be no subscription.
    failed: bool,
    subscription: Option<U>,
}

/// The observer below: a source that emits while it is being subscribed to has no other way to learn of an unsubscription.
pub struct Wanted<O> {
    down: O,
    cancel: Cancel,
}

impl<O: Observer<T, E>, T, E> Observer<T, E> for Wanted<O> {
    #[inline]
    fn next(&mut self, item: T) {
        if !self.cancel.cancelled() {
            self.down.next(item);
        }
    }

    fn error(self, error: E) {
        if !self.cancel.cancelled() {
            self.down.error(error);
        }
    }

    fn complete(self) {
        if !self.cancel.cancelled() {
            self.down.complete();
        }
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.cancel.cancelled() || self.down.is_closed()
    }
}

impl<O: BatchObserver<T, E>, T, E> BatchObserver<T, E> for Wanted<O> {
    fn take_batch<B: Batch<T>>(&mut self, items: &mut B) {
        let Self { down, cancel } = self;
        down.take_batch(&mut iter::from_fn(|| if cancel.cancelled() { None } else { items.pull() }));
    }
}

/// The task that subscribes to a source.
pub struct Later<Sch, R, S, C, U>
where
    Sch: SleepProvider,
    R: RcDerefMut<Target = Slot<S, C, U>>,
{
    slot: R,
    due: Duration,
    scheduler: Sch,
    sleeper: Sleeper<Sch>,
    cancel: Cancel,
    name: &'static str,
    start: fn(&R),
    fails: fn(&R, StreamError),
    types: PhantomData<fn() -> (S, C, U)>,
}

// The sleep is boxed; nothing else is ever pinned.
impl<Sch: SleepProvider, R: RcDerefMut<Target = Slot<S, C, U>>, S, C, U> Unpin for Later<Sch, R, S, C, U> {}

impl<Sch, R, S, C, U> Drop for Later<Sch, R, S, C, U>
where
    Sch: SleepProvider,
    R: RcDerefMut<Target = Slot<S, C, U>>,
{
    fn drop(&mut self) {
        // The scheduler has dropped the task, with its runtime.
        if self.slot.rc_deref_mut().taken && !self.cancel.cancelled() {
            (self.fails)(&self.slot, StreamError::SchedulerGone(self.name));
        }
    }
}

impl<Sch, R, S, C, U> Future for Later<Sch, R, S, C, U>
where
    Sch: SleepProvider + Clock,
    R: RcDerefMut<Target = Slot<S, C, U>>,
    U: Subscription,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.cancel.register(context);
        if this.cancel.cancelled() {
            return Poll::Ready(());
        }
        match this.sleeper.until(this.due, &this.scheduler, context) {
            Ok(None) => return Poll::Pending,
            Ok(Some(_)) => {
                if let Err(panic) = catch(this.name, || (this.start)(&this.slot)) {
                    this.slot.rc_deref_mut().failed = true;
                    unhandled(&panic.into());
                }
            }
            Err(panic) => (this.fails)(&this.slot, panic.into()),
        }
        if this.cancel.cancelled() {
            end(&this.slot);
        }
        Poll::Ready(())
    }
}

/// Ends what there is, with the slot free.
fn end<R, S, C, U>(slot: &R)
where
    R: RcDerefMut<Target = Slot<S, C, U>>,
    U: Subscription,
{
    let mut guard = slot.rc_deref_mut();
    let (live, subscription) = (guard.live.take(), guard.subscription.take());
    drop(guard);
    drop_caught(live);
    if let Some(subscription) = subscription {
        subscription.unsubscribe();
    }
}

/// The subscription to a source that is subscribed to later.
pub struct LaterSubscription<R> {
    slot: R,
    cancel: Cancel,
}

impl<R, S, C, U> Subscription for LaterSubscription<R>
where
    R: RcDerefMut<Target = Slot<S, C, U>>,
    U: Subscription,
{
    fn unsubscribe(self) {
        self.cancel.cancel();
        end(&self.slot);
    }

    fn is_closed(&self) -> bool {
        let slot = self.slot.rc_deref_mut();
        slot.failed
            || slot.subscription.as_ref().is_some_and(Subscription::is_closed)
            || self.cancel.cancelled()
    }
}
