use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::{Rc, Weak},
};

use rxrust::subscription::{BoxedSubscription, Subscription};

use super::{Gate, Machine, Step, step};

/// The [`Gate`] of one thread: no locks, no atomics.
pub struct LocalGate<M, In>(Rc<Inner<M, In>>);

struct Inner<M, In> {
    machine: RefCell<Option<M>>,
    inbox: RefCell<VecDeque<In>>,
    waiting: Cell<bool>,
    closed: Cell<bool>,
    upstream: RefCell<Vec<BoxedSubscription>>,
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

impl<M, In> Gate<M, In> for LocalGate<M, In> {
    type Sub = BoxedSubscription;
    type Weak = WeakLocalGate<M, In>;

    fn new(machine: M) -> Self {
        Self(Rc::new(Inner {
            machine: RefCell::new(Some(machine)),
            inbox: RefCell::default(),
            waiting: Cell::new(false),
            closed: Cell::new(false),
            upstream: RefCell::default(),
        }))
    }

    #[inline]
    fn closed(&self) -> bool {
        self.0.closed.get()
    }

    fn close(&self) {
        let inner = &*self.0;
        if inner.closed.replace(true) {
            return;
        }
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

    fn downgrade(&self) -> Self::Weak {
        WeakLocalGate(Rc::downgrade(&self.0))
    }

    fn upgrade(weak: &Self::Weak) -> Option<Self> {
        weak.0.upgrade().map(Self)
    }
}

impl<M, In> LocalGate<M, In> {
    #[inline]
    pub(super) fn send<Act>(&self, input: In, mut perform: impl FnMut(Act))
    where
        M: Machine<In, Act>,
    {
        let inner = &*self.0;
        let Ok(mut guard) = inner.machine.try_borrow_mut() else {
            if !inner.closed.get() {
                inner.inbox.borrow_mut().push_back(input);
                inner.waiting.set(true);
            }
            return;
        };
        let Some(machine) = guard.as_mut() else { return };
        let mut act = None;
        match step(machine, input) {
            Step::Continue => {}
            Step::Done => inner.closed.set(true),
            Step::Act(a) => act = Some(a),
        }
        if !inner.waiting.get() && !inner.closed.get() {
            drop(guard);
            if let Some(act) = act {
                perform(act);
            }
            return;
        }
        let mut acts: VecDeque<Act> = act.into_iter().collect();
        while !inner.closed.get() {
            let Some(next) = inner.inbox.borrow_mut().pop_front() else { break };
            match step(machine, next) {
                Step::Continue => {}
                Step::Done => inner.closed.set(true),
                Step::Act(act) => acts.push_back(act),
            }
        }
        inner.waiting.set(false);
        if inner.closed.get() {
            let machine = guard.take();
            drop(guard);
            inner.release(machine);
            return;
        }
        drop(guard);
        acts.into_iter().for_each(perform);
    }
}

impl<M, In> Inner<M, In> {
    #[cold]
    fn release(&self, machine: Option<M>) {
        let upstream = std::mem::take(&mut *self.upstream.borrow_mut());
        let inbox = std::mem::take(&mut *self.inbox.borrow_mut());
        upstream.into_iter().for_each(Subscription::unsubscribe);
        drop((machine, inbox));
    }
}

impl<M, In> Subscription for LocalGate<M, In> {
    fn unsubscribe(self) {
        self.close();
    }

    fn is_closed(&self) -> bool {
        self.closed()
    }
}
