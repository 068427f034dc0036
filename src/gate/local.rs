use std::{
    cell::{Cell, RefCell, RefMut},
    collections::VecDeque,
    mem,
    rc::{Rc, Weak},
};

use rxrust::subscription::{BoxedSubscription, Subscription};

use super::{Gate, Machine, Step, never, panic_of_machine};
use crate::{
    delivery::fate::{Begin, End, abandoning, going_on},
    error::{StreamError, caught, drop_caught, failure_waits},
};

/// The [`Gate`] of one thread: no locks, no atomics.
pub struct LocalGate<M, In>(Rc<Inner<M, In>>);

/// What is left in it when it goes is not done.
struct Inner<M, In> {
    _begin: Begin,
    machine: RefCell<Option<M>>,
    /// Something is in the inbox, or the gate has closed: look again after the step.
    attention: Cell<bool>,
    closed: Cell<bool>,
    panicked: Cell<bool>,
    inbox: RefCell<VecDeque<In>>,
    upstream: RefCell<Vec<BoxedSubscription>>,
    fail: fn(&mut M, StreamError),
    _end: End,
}

impl<M, In> Clone for LocalGate<M, In> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A [`LocalGate`] that does not keep its machine alive.
pub struct WeakLocalGate<M, In>(Weak<Inner<M, In>>);

impl<M, In> Clone for WeakLocalGate<M, In> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Closes the gate when the machine panics.
struct Running<'a, M, In>(&'a Inner<M, In>);

impl<M, In> Drop for Running<'_, M, In> {
    #[cold]
    fn drop(&mut self) {
        self.0.panicked.set(true);
        self.0.closed.set(true);
    }
}

impl<M, In> LocalGate<M, In> {
    pub(super) fn new(machine: M, fail: fn(&mut M, StreamError)) -> Self {
        Self(Rc::new(Inner {
            _begin: Begin,
            machine: RefCell::new(Some(machine)),
            attention: Cell::new(false),
            closed: Cell::new(false),
            panicked: Cell::new(false),
            inbox: RefCell::default(),
            upstream: RefCell::default(),
            fail,
            _end: End,
        }))
    }

    #[inline(always)]
    pub(super) fn send<Act>(&self, input: In, mut perform: impl FnMut(Act))
    where
        M: Machine<In, Act>,
    {
        let inner = &*self.0;
        let Ok(mut guard) = inner.machine.try_borrow_mut() else { return inner.post(input) };
        let Some(machine) = guard.as_mut().filter(|_| !inner.closed.get()) else { return too_late(input) };
        let running = Running(inner);
        let step = machine.on(input);
        mem::forget(running);
        if matches!(step, Step::Done) || inner.attention.get() {
            return inner.look_again(guard, step, perform);
        }
        drop(guard);
        if let Step::Act(act) = step {
            perform(act);
        }
    }

    #[inline(always)]
    pub(super) fn send_all(&self, mut inputs: impl Iterator<Item = In>)
    where
        M: Machine<In>,
    {
        let inner = &*self.0;
        loop {
            let Ok(mut guard) = inner.machine.try_borrow_mut() else {
                return inputs.for_each(|input| inner.post(input));
            };
            let Some(machine) = guard.as_mut().filter(|_| !inner.closed.get()) else { return };
            let running = Running(inner);
            let step = loop {
                let Some(input) = inputs.next() else { return mem::forget(running) };
                let step = machine.on(input);
                if matches!(step, Step::Done) || inner.attention.get() {
                    break step;
                }
            };
            mem::forget(running);
            inner.look_again(guard, step, never);
        }
    }
}

/// An input of a gate that has closed.
#[cold]
fn too_late<In>(input: In) {
    abandoning(|| drop(input));
}

impl<M, In> Inner<M, In> {
    #[cold]
    fn post(&self, input: In) {
        if self.closed.get() {
            return too_late(input);
        }
        self.inbox.borrow_mut().push_back(input);
        self.attention.set(true);
    }

    /// Runs the machine on what arrived during a step; releases it, if the gate has closed. Out of line, so that the
    /// usual step needs few registers.
    #[cold]
    #[inline(never)]
    fn look_again<Act>(&self, mut guard: RefMut<'_, Option<M>>, mut step: Step<Act>, perform: impl FnMut(Act))
    where
        M: Machine<In, Act>,
    {
        let Some(machine) = guard.as_mut() else { return };
        let mut acts = VecDeque::new();
        loop {
            match step {
                Step::Continue => {}
                Step::Done => self.closed.set(true),
                Step::Act(act) => acts.push_back(act),
            }
            if self.closed.get() {
                let ended = guard.take();
                drop(guard);
                abandoning(|| drop(acts));
                return self.release(ended);
            }
            let Some(next) = self.inbox.borrow_mut().pop_front() else { break };
            let running = Running(self);
            step = machine.on(next);
            mem::forget(running);
        }
        self.attention.set(false);
        drop(guard);
        acts.into_iter().for_each(perform);
    }

    #[cold]
    fn release(&self, machine: Option<M>) {
        let upstream = mem::take(&mut *self.upstream.borrow_mut());
        let inbox = mem::take(&mut *self.inbox.borrow_mut());
        upstream.into_iter().for_each(Subscription::unsubscribe);
        drop_caught((machine, inbox));
    }
}

impl<M, In> Gate<M, In> for LocalGate<M, In> {
    type Sub = BoxedSubscription;
    type Weak = WeakLocalGate<M, In>;

    #[inline]
    fn closed(&self) -> bool {
        self.0.closed.get()
    }

    fn close(&self) {
        let inner = &*self.0;
        if inner.closed.replace(true) {
            return;
        }
        inner.attention.set(true);
        // Busy means: we are below the machine's own `on`; who runs it releases it then.
        if let Ok(mut guard) = inner.machine.try_borrow_mut() {
            let machine = guard.take();
            drop(guard);
            inner.release(machine);
        }
    }

    fn attach(&self, upstream: BoxedSubscription) {
        if self.closed() {
            upstream.unsubscribe();
        } else if !upstream.is_closed() {
            let mut list = self.0.upstream.borrow_mut();
            // Amortised: subscriptions that have ended by themselves are swept as the list grows.
            if list.len() == list.capacity() {
                list.retain(|sub| !sub.is_closed());
            }
            list.push(upstream);
        }
    }

    fn settle(&self, only_source: bool) {
        let inner = &*self.0;
        let fails = inner.panicked.get() || (only_source && !inner.closed.get() && failure_waits());
        // Not while the panic is still on its way: whoever catches it settles.
        if !fails || std::thread::panicking() {
            return;
        }
        let Ok(mut guard) = inner.machine.try_borrow_mut() else { return };
        inner.panicked.set(false);
        inner.closed.set(true);
        let Some(mut machine) = guard.take() else { return };
        drop(guard);
        let failure = panic_of_machine();
        going_on(|| caught("error", || (inner.fail)(&mut machine, failure)));
        inner.release(Some(machine));
    }

    fn downgrade(&self) -> Self::Weak {
        WeakLocalGate(Rc::downgrade(&self.0))
    }

    fn upgrade(weak: &Self::Weak) -> Option<Self> {
        weak.0.upgrade().map(Self)
    }
}

impl<M, In> Subscription for WeakLocalGate<M, In> {
    fn unsubscribe(self) {
        if let Some(gate) = LocalGate::upgrade(&self) {
            gate.close();
        }
    }

    fn is_closed(&self) -> bool {
        LocalGate::upgrade(self).is_none_or(|gate| gate.closed())
    }
}
