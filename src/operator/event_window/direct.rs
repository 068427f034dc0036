//! A machine that needs no gate, as it has one input: its source calls it directly.

use std::convert::Infallible;

use rxrust::{observer::Observer, subscription::Subscription};

use super::core::NAME;
use crate::{
    delivery::fate::abandoning,
    error::{catch, drop_caught},
    gate::{Flow, Machine, Signal, Step, StopSubscription},
    operator::{
        batch::BatchObserver,
        timed::{SourceObserver, Timed},
    },
    time::Cancel,
};

/// A machine that may stand behind its source without a gate.
pub trait Direct<I, E>: Machine<Timed<I, E>> {
    /// Whether nobody listens below it.
    fn is_over(&self) -> bool;
}

/// The observer of the source: the machine itself, or what hands its input to the machine's gate.
pub enum WindowsObserver<Sc: Flow, M, I, E> {
    /// The machine, until the output has ended.
    Direct(Option<Box<M>>),
    /// Its gate, where there is a timer, too.
    Gated(SourceObserver<Sc, M, I, E>),
}

impl<Sc: Flow, M: Direct<I, E>, I, E> Observer<I, E> for WindowsObserver<Sc, M, I, E> {
    #[inline(always)]
    fn next(&mut self, item: I) {
        match self {
            Self::Direct(place) => {
                let Some(machine) = place else { return abandoning(|| drop(item)) };
                let step: Step<Infallible> = machine.on(Timed::Source(Signal::Next(item)));
                if step != Step::Continue {
                    drop_caught(place.take());
                }
            }
            Self::Gated(gate) => gate.next(item),
        }
    }

    fn error(self, error: E) {
        match self {
            Self::Direct(Some(mut machine)) => _ = machine.on(Timed::Source(Signal::Error(error))),
            Self::Direct(None) => {}
            Self::Gated(gate) => gate.error(error),
        }
    }

    fn complete(self) {
        match self {
            // Caught here and not by the source, which has given its observer away.
            Self::Direct(Some(mut machine)) => {
                if let Err(panic) = catch(NAME, || _ = machine.on(Timed::Source(Signal::Complete))) {
                    machine.fail(panic.into());
                }
            }
            Self::Direct(None) => {}
            Self::Gated(gate) => gate.complete(),
        }
    }

    #[inline]
    fn is_closed(&self) -> bool {
        match self {
            Self::Direct(machine) => machine.as_ref().is_none_or(|machine| machine.is_over()),
            Self::Gated(gate) => gate.is_closed(),
        }
    }
}

impl<Sc: Flow, M: Direct<I, E>, I, E> BatchObserver<I, E> for WindowsObserver<Sc, M, I, E> {}

/// The subscription to windows: that to the source, or to the gate.
pub enum WindowsSubscription<U, G> {
    /// The source, and what tells the machine between two items of one step.
    Direct(U, Cancel),
    /// The gate.
    Gated(StopSubscription<G>),
}

impl<U: Subscription, G: Subscription> Subscription for WindowsSubscription<U, G> {
    fn unsubscribe(self) {
        match self {
            Self::Direct(source, cancel) => {
                cancel.cancel();
                source.unsubscribe();
            }
            Self::Gated(gate) => gate.unsubscribe(),
        }
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::Direct(source, _) => source.is_closed(),
            Self::Gated(gate) => gate.is_closed(),
        }
    }
}
