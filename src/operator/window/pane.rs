//! One window: a stream of its own.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    subscription::Subscription,
};

use super::{Keeper, Live};
use crate::{
    buffer::Buffer,
    delivery::fate::{Fate, with_fate},
    error::{StreamError, catch, drop_caught, drop_done, unhandled},
    gate::{Flow, Gate, Machine, Signal, Step, StopSubscription, never},
    held::Held,
    operator::share::{Hosts, IntoListener, Listener},
    time::Cancel,
};

/// A stream of some of the items of another one, for one subscriber; see
/// [`window_count`](super::WindowOps::window_count).
///
/// What comes before it is subscribed waits in a [`Buffer`]. Dropped without a subscription, it keeps nothing any more.
pub struct Window<T: 'static, E: 'static, Sc: Hosts<T, E>> {
    /// Taken by the subscription.
    gate: Option<PaneGate<T, E, Sc>>,
}

type Input<T, E, Sc> = PaneIn<T, E, <Sc as Hosts<T, E>>::Listener>;
type PaneGate<T, E, Sc> = <Sc as Flow>::Gate<Pane<T, E, Sc>, Input<T, E, Sc>>;

impl<T, E, Sc: Hosts<T, E>> Drop for Window<T, E, Sc> {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            Sc::send(&gate, PaneIn::Abandon, never);
        }
    }
}

impl<T, E, Sc: Hosts<T, E>> ObservableType for Window<T, E, Sc> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<T, E, Sc, C> CoreObservable<C> for Window<T, E, Sc>
where
    Sc: Hosts<T, E>,
    C: Context<Scope = Sc>,
    C::Inner: IntoListener<Sc::Listener>,
{
    type Unsub = WindowSubscription<T, E, Sc>;

    fn subscribe(mut self, context: C) -> Self::Unsub {
        let cancel = Cancel::default();
        let subscription = self.gate.take().map(|gate| {
            let listener = context.into_inner().into_listener();
            Sc::send(&gate, PaneIn::Subscribe(listener, cancel.clone()), never);
            StopSubscription::new(gate.downgrade(), cancel)
        });
        WindowSubscription(subscription)
    }
}

/// The subscription to a [`Window`].
pub struct WindowSubscription<T: 'static, E: 'static, Sc: Hosts<T, E>>(
    Option<StopSubscription<<PaneGate<T, E, Sc> as Gate<Pane<T, E, Sc>, Input<T, E, Sc>>>::Weak>>,
);

impl<T, E, Sc: Hosts<T, E>> Subscription for WindowSubscription<T, E, Sc> {
    fn unsubscribe(self) {
        if let Some(subscription) = self.0 {
            subscription.unsubscribe();
        }
    }

    fn is_closed(&self) -> bool {
        self.0.as_ref().is_none_or(Subscription::is_closed)
    }
}

impl<T, E, Sc: Hosts<T, E>> Clone for WindowFeed<T, E, Sc> {
    fn clone(&self) -> Self {
        Self { gate: self.gate.clone(), fed: self.fed.clone() }
    }
}

/// The end of a window where its items come from.
pub struct WindowFeed<T: 'static, E: 'static, Sc: Hosts<T, E>> {
    gate: PaneGate<T, E, Sc>,
    fed: Fed,
}

impl<T, E, Sc: Hosts<T, E>> WindowFeed<T, E, Sc> {
    /// A window, and its feed.
    pub(crate) fn open(buffer: &Buffer, keeper: &Keeper<Sc>) -> (Self, Window<T, E, Sc>) {
        let fed = Fed::default();
        let gate = Sc::gate(Pane {
            fed: fed.clone(),
            taken: 0,
            listener: None,
            waiting: Held::open(buffer),
            buffer: buffer.clone(),
            end: None,
            live: Some(Live::new(keeper)),
        });
        (Self { gate: gate.clone(), fed }, Window { gate: Some(gate) })
    }

    /// `false` where nobody listens any more.
    #[inline]
    pub(crate) fn next(&self, item: T) -> bool {
        if self.gate.closed() || !self.fed.add(Sc::THREADS) {
            with_fate(Fate::Dropped, || drop(item));
            return false;
        }
        Sc::send(&self.gate, PaneIn::Signal(Signal::Next(item)), never);
        true
    }

    pub(crate) fn closed(&self) -> bool {
        self.gate.closed()
    }

    pub(crate) fn complete(self) {
        Sc::send(&self.gate, PaneIn::Signal(Signal::Complete), never);
    }

    pub(crate) fn error(self, error: E) {
        Sc::send(&self.gate, PaneIn::Signal(Signal::Error(error)), never);
    }

    pub(crate) fn fail(self, failure: StreamError) {
        Sc::send(&self.gate, PaneIn::Fail(failure), never);
    }
}

/// How many items a window was fed. Those that it has not taken when it ends were left at its gate: they came while it was
/// busy, by another thread or by its own subscriber.
#[derive(Debug, Clone, Default)]
struct Fed(Arc<AtomicU64>);

impl Fed {
    const OVER: u64 = 1 << 63;

    /// One more, unless the window is over. Only the operator feeds it.
    #[inline]
    fn add(&self, threads: bool) -> bool {
        if threads {
            return self.0.fetch_add(1, Ordering::Relaxed) < Self::OVER;
        }
        let fed = self.0.load(Ordering::Relaxed);
        self.0.store(fed + 1, Ordering::Relaxed);
        fed < Self::OVER
    }

    /// All of them; the window is over.
    fn end(&self) -> u64 {
        self.0.swap(Self::OVER, Ordering::Relaxed)
    }
}

/// The inputs of a window.
pub enum PaneIn<T, E, L> {
    /// From the operator.
    Signal(Signal<T, E>),
    /// The operator has failed.
    Fail(StreamError),
    /// Its subscriber, and what stops it.
    Subscribe(L, Cancel),
    /// There will be no subscriber.
    Abandon,
}

/// The state of a window.
pub struct Pane<T: 'static, E: 'static, Sc: Hosts<T, E>> {
    fed: Fed,
    /// How many of them have arrived.
    taken: u64,
    listener: Option<Sc::Listener>,
    waiting: Held<T>,
    buffer: Buffer,
    /// What the subscriber to come is told after what waits.
    end: Option<End<E>>,
    /// Until it has ended.
    live: Option<Live<Sc>>,
}

enum End<E> {
    Signal(Result<(), E>),
    Failure(StreamError),
}

impl<T, E, Sc: Hosts<T, E>> Drop for Pane<T, E, Sc> {
    fn drop(&mut self) {
        let left = self.fed.end().saturating_sub(self.taken);
        self.buffer.dropped(self.waiting.meter(), left);
    }
}

impl<T, E, Sc: Hosts<T, E>> Pane<T, E, Sc> {
    #[inline]
    fn next(&mut self, item: T) -> Step<Infallible> {
        match &mut self.listener {
            Some(listener) => match catch("window", || listener.next(item)) {
                Ok(true) => Step::Continue,
                Ok(false) => Step::Done,
                Err(panic) => self.tell(End::Failure(panic.into())),
            },
            None if self.end.is_none() => self.wait(item),
            None => {
                // The window has failed, and has not been subscribed.
                drop_caught(item);
                Step::Continue
            }
        }
    }

    fn wait(&mut self, item: T) -> Step<Infallible> {
        match self.buffer.push(&mut self.waiting, item, "window") {
            Ok(lost) => drop_done(lost),
            Err((full, item)) => {
                drop_caught(item);
                if let Some(live) = self.live.take() {
                    live.overflow();
                }
                self.end = Some(End::Failure(full.into()));
            }
        }
        Step::Continue
    }

    fn end(&mut self, end: End<E>) -> Step<Infallible> {
        self.live = None;
        if self.listener.is_some() {
            return self.tell(end);
        }
        self.end.get_or_insert(end);
        Step::Continue
    }

    fn tell(&mut self, end: End<E>) -> Step<Infallible> {
        if let Some(listener) = self.listener.take() {
            let told = catch("window", || match end {
                End::Signal(end) => listener.end(end),
                End::Failure(failure) => listener.fail(failure),
            });
            if let Err(panic) = told {
                unhandled(&panic.into());
            }
        }
        Step::Done
    }

    fn welcome(&mut self, listener: Sc::Listener, cancel: &Cancel) -> Step<Infallible> {
        self.listener = Some(listener);
        while !cancel.cancelled()
            && let Some(item) = self.waiting.pop_front()
        {
            if self.next(item) == Step::Done {
                return self.abandon();
            }
        }
        match self.end.take() {
            _ if cancel.cancelled() => self.abandon(),
            Some(end) => self.tell(end),
            None => Step::Continue,
        }
    }

    fn abandon(&mut self) -> Step<Infallible> {
        self.buffer.drop_all(&mut self.waiting);
        Step::Done
    }
}

impl<T, E, Sc: Hosts<T, E>> Machine<Input<T, E, Sc>> for Pane<T, E, Sc> {
    #[inline(always)]
    fn on(&mut self, input: Input<T, E, Sc>) -> Step<Infallible> {
        match input {
            PaneIn::Signal(Signal::Next(item)) => {
                self.taken += 1;
                self.next(item)
            }
            PaneIn::Signal(Signal::Complete) => self.end(End::Signal(Ok(()))),
            PaneIn::Signal(Signal::Error(error)) => self.end(End::Signal(Err(error))),
            PaneIn::Fail(failure) => self.end(End::Failure(failure)),
            PaneIn::Subscribe(listener, cancel) => self.welcome(listener, &cancel),
            PaneIn::Abandon => self.abandon(),
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.tell(End::Failure(failure));
    }
}
