use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rxrust::{
    context::Context,
    observable::{CoreObservable, Observable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription, SubscriptionGuard},
};

use super::Thin;
use crate::{
    delivery::fate::abandoning,
    error::{StreamError, caught, named},
    gate::{
        ActObserver, Down, Flow, GateOf, GateSubOf, Machine, Outer, Place, Port, Signal, Step, SubOf, attach,
        guarded, settled,
    },
    operator::apply::Emit,
};

/// Windows that a notifier ends: `throttle_by`, `audit_with`, `debounce_by`.
pub struct ByNotifier<S, F, K, I, N, X, E> {
    source: S,
    f: F,
    kernel: K,
    types: PhantomData<fn(I) -> (N, X, E)>,
}

impl<S, F, K, I, N, X, E> ByNotifier<S, F, K, I, N, X, E> {
    pub(super) fn new(source: S, f: F, kernel: K) -> Self {
        Self { source, f, kernel, types: PhantomData }
    }
}

impl<S: Clone, F: Clone, K: Clone, I, N, X, E> Clone for ByNotifier<S, F, K, I, N, X, E> {
    fn clone(&self) -> Self {
        Self::new(self.source.clone(), self.f.clone(), self.kernel.clone())
    }
}

impl<S, F, K, I, N, X, E> ObservableType for ByNotifier<S, F, K, I, N, X, E> {
    type Item<'a>
        = I
    where
        Self: 'a;
    type Err = E;
}

type MachineOf<C, F, K, I, N, X, E> = Thinning<<C as Context>::Inner, F, K, I, N, X, E, SubOf<C>>;
type Input<C, I, X, E> = By<I, X, E, SubOf<C>>;
type ByGate<C, F, K, I, N, X, E> = GateOf<C, MachineOf<C, F, K, I, N, X, E>, Input<C, I, X, E>>;
type ByObserver<C, F, K, I, N, X, E, P> = ActObserver<
    <C as Context>::Scope,
    MachineOf<C, F, K, I, N, X, E>,
    Input<C, I, X, E>,
    Start<N>,
    P,
    <C as Context>::Scheduler,
>;

impl<S, F, K, I, N, X, E, C, U, V> CoreObservable<C> for ByNotifier<S, F, K, I, N, X, E>
where
    C: Context,
    C::Scope: Flow,
    C::Inner: Observer<I, E>,
    E: 'static,
    K: Thin<I>,
    F: FnMut(&I) -> N,
    N: Observable,
    S: CoreObservable<C::With<ByObserver<C, F, K, I, N, X, E, Outer>>, Unsub = U>,
    U: Subscription + IntoBoxedSubscription<SubOf<C>>,
    N::Inner: CoreObservable<C::With<ByObserver<C, F, K, I, N, X, E, Notifier>>, Unsub = V>,
    V: Subscription + IntoBoxedSubscription<SubOf<C>>,
{
    type Unsub = GateSubOf<C, MachineOf<C, F, K, I, N, X, E>, Input<C, I, X, E>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let Self { source, f, kernel, .. } = self;
        let (down, scheduler) = context.into_parts();
        let gate = C::Scope::gate(Thinning {
            down: Down::new(down),
            f,
            kernel,
            latest: Arc::default(),
            current: None,
            subscribing: false,
            due: None,
            types: PhantomData,
        });
        // A loop: notifiers that emit as soon as they are subscribed to must not grow the stack.
        fn start<C, F, K, I, N, X, E, V>(
            gate: &ByGate<C, F, K, I, N, X, E>,
            scheduler: &C::Scheduler,
            first: Start<N>,
        ) where
            C: Context,
            C::Scope: Flow,
            C::Inner: Observer<I, E>,
            E: 'static,
            K: Thin<I>,
            F: FnMut(&I) -> N,
            N: Observable,
            N::Inner: CoreObservable<C::With<ByObserver<C, F, K, I, N, X, E, Notifier>>, Unsub = V>,
            V: Subscription + IntoBoxedSubscription<SubOf<C>>,
        {
            let mut next = Some(first);
            while let Some(Start { notifier, number, latest }) = next.take() {
                let port = Notifier { number, latest };
                let observer = ActObserver::new(gate, scheduler, start::<C, F, K, I, N, X, E, V>, port);
                let sub = notifier.into_inner().subscribe(C::With::from_parts(observer, scheduler.clone()));
                let input = By::Subscribed(number, guarded(sub));
                settled(gate, || C::Scope::send(gate, input, |start| next = Some(start)));
            }
        }
        let observer = ActObserver::new(&gate, &scheduler, start::<C, F, K, I, N, X, E, V>, Outer);
        attach(&gate, source.subscribe(C::With::from_parts(observer, scheduler)));
        crate::gate::Gate::downgrade(&gate)
    }
}

/// The inputs; notifiers are numbered.
pub enum By<I, X, E, Sub: Subscription> {
    /// From the source.
    Source(Signal<I, E>),
    /// From a notifier.
    Notifier(u64, Signal<X, E>),
    /// A notifier has been subscribed.
    Subscribed(u64, Option<SubscriptionGuard<Sub>>),
}

impl<I, X, E, Sub: Subscription> Port<I, E, By<I, X, E, Sub>> for Outer {
    #[inline]
    fn input(&self, signal: Signal<I, E>) -> By<I, X, E, Sub> {
        By::Source(signal)
    }
}

/// Subscribe to this.
pub struct Start<N> {
    notifier: N,
    number: u64,
    latest: Arc<AtomicU64>,
}

/// A notifier; over as soon as it has ended its window, or there is a later one.
pub struct Notifier {
    number: u64,
    latest: Arc<AtomicU64>,
}

impl Place for Notifier {}

impl<I, X, E, Sub: Subscription> Port<X, E, By<I, X, E, Sub>> for Notifier {
    #[inline]
    fn input(&self, signal: Signal<X, E>) -> By<I, X, E, Sub> {
        By::Notifier(self.number, signal)
    }

    #[inline]
    fn is_over(&self) -> bool {
        self.latest.load(Ordering::Relaxed) != self.number
    }
}

/// The state of an operator whose windows are ended by notifiers.
pub struct Thinning<O, F, K, I, N, X, E, Sub: Subscription> {
    down: Down<O>,
    f: F,
    kernel: K,
    /// The number of the notifier that counts.
    latest: Arc<AtomicU64>,
    current: Option<SubscriptionGuard<Sub>>,
    subscribing: bool,
    due: Option<N>,
    types: PhantomData<fn(I) -> (X, E)>,
}

impl<O, F, K, I, N, X, E, Sub> Thinning<O, F, K, I, N, X, E, Sub>
where
    O: Observer<I, E>,
    F: FnMut(&I) -> N,
    K: Thin<I>,
    E: 'static,
    Sub: Subscription,
{
    /// The notifier that counted is over.
    fn close(&mut self) {
        self.latest.fetch_add(1, Ordering::Relaxed);
        self.current = None;
    }

    fn emit(&mut self, emit: Emit<I>, opened: Option<N>) -> Step<Start<N>> {
        if opened.is_some() {
            self.close();
            self.due = opened;
        }
        match self.down.emit(emit) {
            Step::Continue => self.start_if_due(),
            done => done,
        }
    }

    fn start_if_due(&mut self) -> Step<Start<N>> {
        if self.subscribing {
            return Step::Continue;
        }
        match self.due.take() {
            Some(notifier) => {
                self.subscribing = true;
                let number = self.latest.load(Ordering::Relaxed);
                Step::Act(Start { notifier, number, latest: self.latest.clone() })
            }
            None => Step::Continue,
        }
    }
}

impl<O, F, K, I, N, X, E, Sub> Machine<By<I, X, E, Sub>, Start<N>> for Thinning<O, F, K, I, N, X, E, Sub>
where
    O: Observer<I, E>,
    F: FnMut(&I) -> N,
    K: Thin<I>,
    E: 'static,
    Sub: Subscription,
{
    #[inline(always)]
    fn on(&mut self, input: By<I, X, E, Sub>) -> Step<Start<N>> {
        let mut opened = None;
        match input {
            By::Source(Signal::Next(item)) => {
                let Self { kernel, f, .. } = self;
                let emit = named(|| K::BY, || kernel.next(item, |item| opened = Some(f(item))));
                self.emit(emit, opened)
            }
            By::Source(Signal::Complete) => {
                let emit = named(|| K::BY, || self.kernel.complete());
                self.emit(emit, None)
            }
            By::Notifier(number, _) if number != self.latest.load(Ordering::Relaxed) => Step::Continue,
            By::Notifier(_, Signal::Next(_) | Signal::Complete) => {
                self.close();
                let Self { kernel, f, .. } = self;
                let emit = named(|| K::BY, || kernel.over(|item| opened = Some(f(item))));
                self.emit(emit, opened)
            }
            By::Source(Signal::Error(error)) | By::Notifier(_, Signal::Error(error)) => {
                // A panic in a closure that is told of it must not be in the error's place.
                abandoning(|| caught(K::BY, || self.kernel.abandon()));
                self.down.error(error)
            }
            By::Subscribed(number, sub) => {
                self.subscribing = false;
                if number == self.latest.load(Ordering::Relaxed) {
                    self.current = sub;
                }
                self.start_if_due()
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Start<N>> = self.down.fail(failure);
    }
}
