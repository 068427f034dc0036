use std::{
    collections::VecDeque,
    convert::Infallible,
    mem,
    sync::{self, PoisonError, atomic::Ordering},
    time::Duration,
};

use rxrust::subscription::{BoxedSubscriptionSend, Subscription};

use super::{Gate, Machine, Step, never, panic_of_machine};
use crate::{
    delivery::fate::{Begin, End, abandoning, going_on},
    error::{StreamError, caught, drop_caught, failure_waits},
    sync::{
        Arc, AtomicBool, AtomicCell, AtomicUsize, Condvar, Mutex, MutexGuard, Weak, thread_token, yield_now,
    },
};

/// How many inputs of other threads wait in the inbox before their senders wait too (their back-pressure). What the
/// thread that runs the machine feeds back is never held up by it.
const INBOX: usize = 1024;
/// How often a waiting sender looks whether the machine has got another runner.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Who waits for whom: `(waiting thread, thread that runs the machine)`. Only senders to a full inbox are in it.
static WAITING: sync::Mutex<Vec<(usize, usize)>> = sync::Mutex::new(Vec::new());

/// An entry of [`WAITING`].
pub(crate) struct Waiting(usize);

impl Waiting {
    /// `None` where the other thread waits for this one, perhaps through others: to wait would be for ever, so the
    /// inbox grows instead.
    pub(crate) fn for_thread(runner: usize) -> Option<Self> {
        let me = thread_token();
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = runner;
        for _ in 0..=waiting.len() {
            match waiting.iter().find(|(waiter, _)| *waiter == at) {
                Some((_, next)) if *next == me => return None,
                Some((_, next)) => at = *next,
                None => break,
            }
        }
        waiting.push((me, runner));
        Some(Self(me))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = waiting.iter().rposition(|(waiter, _)| *waiter == self.0) {
            waiting.swap_remove(at);
        }
    }
}

/// The [`Gate`] of many threads.
///
/// The machine travels through `slot`: who swaps it out runs it and swaps it back in. Who finds the slot empty puts
/// the input into the inbox and leaves a note in the slot; who swaps the machine back in finds the note and looks
/// into the inbox.
pub struct SharedGate<M, In>(Arc<Inner<M, In>>);

/// What is left in it when it goes is not done.
struct Inner<M, In> {
    _begin: Begin,
    slot: AtomicCell<Option<Box<Slot<M>>>>,
    runner: AtomicUsize,
    closed: AtomicBool,
    /// Whether the inbox holds something: set and cleared with the inbox locked.
    waiting: AtomicBool,
    inbox: Mutex<VecDeque<In>>,
    room: Condvar,
    upstream: Mutex<Vec<BoxedSubscriptionSend>>,
    /// The thread under which the machine has panicked: it settles that.
    panicked: AtomicUsize,
    fail: fn(&mut M, StreamError),
    _end: End,
}

enum Slot<M> {
    Machine(M),
    Note,
}

impl<M, In> Clone for SharedGate<M, In> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A [`SharedGate`] that does not keep its machine alive.
pub struct WeakSharedGate<M, In>(Weak<Inner<M, In>>);

impl<M, In> Clone for WeakSharedGate<M, In> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<M, In> Gate<M, In> for SharedGate<M, In> {
    type Sub = BoxedSubscriptionSend;
    type Weak = WeakSharedGate<M, In>;

    #[inline]
    fn closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    fn close(&self) {
        let inner = &*self.0;
        if inner.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        inner.release_upstream();
        // If the machine is out, its runner sees `closed` when it is done; a note makes sure that it looks again.
        if let Some(boxed) = inner.leave_note(None) {
            inner.give_up(boxed);
        }
    }

    fn attach(&self, upstream: BoxedSubscriptionSend) {
        let inner = &*self.0;
        if upstream.is_closed() {
            return;
        }
        {
            let mut list = lock(&inner.upstream);
            if !self.closed() {
                // Amortised: subscriptions that have ended by themselves are swept as the list grows.
                if list.len() == list.capacity() {
                    list.retain(|sub| !sub.is_closed());
                }
                list.push(upstream);
                return;
            }
        }
        upstream.unsubscribe();
    }

    fn settle(&self, only_source: bool) {
        let inner = &*self.0;
        // Not while the panic is still on its way: whoever catches it settles.
        if std::thread::panicking() {
            return;
        }
        let mut boxed = if inner.panicked.load(Ordering::Relaxed) == thread_token() {
            // Another thread may have it in its hands, to see that the gate has closed and to put it back.
            loop {
                match inner.slot.take() {
                    Some(boxed) if matches!(*boxed, Slot::Machine(_)) => break boxed,
                    _ if inner.panicked.load(Ordering::Acquire) != 0 => yield_now(),
                    _ => return,
                }
            }
        } else if only_source && failure_waits() {
            let found = match inner.slot.take() {
                Some(note) if matches!(*note, Slot::Note) => inner.leave_note(Some(note)),
                found => found,
            };
            // If somebody runs it just now, the failure goes to the hook.
            let Some(boxed) = found else { return };
            if inner.closed.swap(true, Ordering::AcqRel) {
                return inner.give_up(boxed);
            }
            boxed
        } else {
            return;
        };
        inner.panicked.store(0, Ordering::Release);
        if let Slot::Machine(machine) = &mut *boxed {
            let failure = panic_of_machine();
            going_on(|| caught("error", || (inner.fail)(machine, failure)));
        }
        inner.release(boxed);
    }

    fn downgrade(&self) -> Self::Weak {
        WeakSharedGate(Arc::downgrade(&self.0))
    }

    fn upgrade(weak: &Self::Weak) -> Option<Self> {
        weak.0.upgrade().map(Self)
    }
}

/// The machine while it runs: back into its slot when it panics, with the gate closed.
struct Running<'a, M, In> {
    inner: &'a Inner<M, In>,
    boxed: Option<Box<Slot<M>>>,
}

impl<'a, M, In> Running<'a, M, In> {
    #[inline]
    fn new(inner: &'a Inner<M, In>, boxed: Box<Slot<M>>) -> Self {
        inner.runner.store(thread_token(), Ordering::Relaxed);
        Self { inner, boxed: Some(boxed) }
    }

    /// One step; `None` once the gate has closed.
    #[inline]
    fn on<Act>(&mut self, input: In) -> Option<Act>
    where
        M: Machine<In, Act>,
    {
        let Some(Slot::Machine(machine)) = self.boxed.as_deref_mut() else { return None };
        match machine.on(input) {
            Step::Continue => None,
            Step::Done => {
                self.inner.closed.store(true, Ordering::Release);
                None
            }
            Step::Act(act) => Some(act),
        }
    }

    /// The step is over.
    #[inline]
    fn over(mut self) -> Option<Box<Slot<M>>> {
        let boxed = self.boxed.take()?;
        self.inner.put_back(boxed)
    }
}

impl<M, In> Drop for Running<'_, M, In> {
    #[inline]
    fn drop(&mut self) {
        if let Some(boxed) = self.boxed.take() {
            self.inner.panicked.store(thread_token(), Ordering::Release);
            self.inner.closed.store(true, Ordering::Release);
            self.inner.slot.store(Some(boxed));
        }
    }
}

impl<M, In> SharedGate<M, In> {
    pub(super) fn new(machine: M, fail: fn(&mut M, StreamError)) -> Self {
        Self(Arc::new(Inner {
            _begin: Begin,
            slot: AtomicCell::new(Some(Box::new(Slot::Machine(machine)))),
            runner: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            inbox: Mutex::default(),
            room: Condvar::new(),
            upstream: Mutex::default(),
            panicked: AtomicUsize::new(0),
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
        match inner.slot.take() {
            Some(boxed) if matches!(*boxed, Slot::Machine(_)) => {
                if inner.closed.load(Ordering::Acquire) {
                    abandoning(|| drop(input));
                    return inner.give_up(boxed);
                }
                let mut running = Running::new(inner, boxed);
                // What this thread left in the inbox earlier goes first.
                if inner.waiting.load(Ordering::Acquire) {
                    inner.post(&mut lock(&inner.inbox), input);
                    return inner.run_inbox(running, None, perform);
                }
                let act = running.on(input);
                match running.over() {
                    Some(noted) => inner.run_inbox(Running::new(inner, noted), act, perform),
                    None => {
                        if let Some(act) = act {
                            perform(act);
                        }
                    }
                }
            }
            found => inner.send_later(found, input, perform),
        }
    }

    #[inline(always)]
    pub(super) fn send_all(&self, mut inputs: impl Iterator<Item = In>)
    where
        M: Machine<In>,
    {
        let inner = &*self.0;
        while !inner.closed.load(Ordering::Acquire)
            && let Some(first) = inputs.next()
        {
            match inner.slot.take() {
                Some(boxed) if matches!(*boxed, Slot::Machine(_)) => inner.run_all(boxed, first, &mut inputs),
                found => inner.send_later(found, first, never),
            }
        }
    }
}

impl<M, In> Inner<M, In> {
    /// Runs the machine on these inputs, or on those before the gate is wanted for others.
    #[inline(always)]
    fn run_all(&self, boxed: Box<Slot<M>>, first: In, inputs: &mut impl Iterator<Item = In>)
    where
        M: Machine<In>,
    {
        let (mut running, mut input) = (Running::new(self, boxed), Some(first));
        while !self.closed.load(Ordering::Acquire)
            && let Some(next) = input.take()
        {
            // What is in the inbox goes first.
            if self.waiting.load(Ordering::Acquire) {
                self.post(&mut lock(&self.inbox), next);
                return self.run_inbox(running, None, never);
            }
            let _: Option<Infallible> = running.on(next);
            input = inputs.next();
        }
        // The gate has closed meanwhile.
        if let Some(late) = input {
            abandoning(|| drop(late));
        }
        if let Some(noted) = running.over() {
            self.run_inbox(Running::new(self, noted), None, never);
        }
    }

    /// Puts the machine back (or drops it, when closed). Gives it out again where a note asks for another look.
    #[inline]
    fn put_back(&self, boxed: Box<Slot<M>>) -> Option<Box<Slot<M>>> {
        if self.closed.load(Ordering::Acquire) {
            self.give_up(boxed);
            return None;
        }
        match self.slot.swap(Some(boxed)) {
            None => None,
            Some(note) => self.after_note(note),
        }
    }

    /// What becomes of the machine of a closed gate: if it has panicked it waits for whoever caught that.
    #[cold]
    fn give_up(&self, boxed: Box<Slot<M>>) {
        if self.panicked.load(Ordering::Acquire) != 0 {
            self.slot.store(Some(boxed));
        } else {
            self.release(boxed);
        }
    }

    #[cold]
    fn after_note(&self, note: Box<Slot<M>>) -> Option<Box<Slot<M>>> {
        match self.slot.take() {
            Some(boxed) if matches!(*boxed, Slot::Machine(_)) => Some(boxed),
            // Somebody else runs it by now, and must learn of the inbox.
            _ => self.leave_note(Some(note)),
        }
    }

    /// Leaves a note for who runs the machine; the machine itself, if it has just come back.
    fn leave_note(&self, note: Option<Box<Slot<M>>>) -> Option<Box<Slot<M>>> {
        let note = note.unwrap_or_else(|| Box::new(Slot::Note));
        self.slot.swap(Some(note)).filter(|boxed| matches!(**boxed, Slot::Machine(_)))
    }

    #[cold]
    fn send_later<Act>(&self, found: Option<Box<Slot<M>>>, input: In, perform: impl FnMut(Act))
    where
        M: Machine<In, Act>,
    {
        if self.closed.load(Ordering::Acquire) {
            abandoning(|| drop(input));
            // The note that was found goes back: who runs the machine may not know yet that the gate has closed.
            if let Some(boxed) = self.leave_note(found) {
                self.give_up(boxed);
            }
            return;
        }
        {
            let mut inbox = lock(&self.inbox);
            if inbox.len() >= INBOX && self.runner.load(Ordering::Relaxed) != thread_token() {
                // A note must be there while we wait, or nobody would make room.
                drop(inbox);
                if let Some(boxed) = self.leave_note(None) {
                    // The runner has just left: nothing to wait for, we are it.
                    self.post(&mut lock(&self.inbox), input);
                    return self.run_inbox(Running::new(self, boxed), None, perform);
                }
                inbox = lock(&self.inbox);
                while inbox.len() >= INBOX && !self.closed.load(Ordering::Acquire) {
                    let Some(_waiting) = Waiting::for_thread(self.runner.load(Ordering::Relaxed)) else {
                        break;
                    };
                    inbox = match self.room.wait_timeout(inbox, LOOK_AGAIN) {
                        Ok((inbox, _)) => inbox,
                        Err(poisoned) => poisoned.into_inner().0,
                    };
                }
            }
            self.post(&mut inbox, input);
        }
        if let Some(boxed) = self.leave_note(found) {
            self.run_inbox(Running::new(self, boxed), None, perform);
        }
    }

    fn post(&self, inbox: &mut VecDeque<In>, input: In) {
        inbox.push_back(input);
        self.waiting.store(true, Ordering::Release);
    }

    /// Runs the machine on all that waits in the inbox, until no note is left; then acts, with the gate free.
    #[cold]
    fn run_inbox<'a, Act>(
        &'a self,
        mut running: Running<'a, M, In>,
        act: Option<Act>,
        perform: impl FnMut(Act),
    ) where
        M: Machine<In, Act>,
    {
        let mut acts: VecDeque<Act> = act.into_iter().collect();
        loop {
            while !self.closed.load(Ordering::Acquire) {
                let batch = {
                    let mut inbox = lock(&self.inbox);
                    self.waiting.store(false, Ordering::Release);
                    mem::take(&mut *inbox)
                };
                self.room.notify_all();
                if batch.is_empty() {
                    break;
                }
                let mut batch = batch.into_iter();
                for input in batch.by_ref() {
                    acts.extend(running.on(input));
                    if self.closed.load(Ordering::Acquire) {
                        break;
                    }
                }
                abandoning(|| drop(batch));
            }
            match running.over() {
                Some(again) => running = Running::new(self, again),
                None => break,
            }
        }
        if !self.closed.load(Ordering::Acquire) {
            acts.into_iter().for_each(perform);
        } else {
            abandoning(|| drop(acts));
        }
    }

    #[cold]
    fn release(&self, machine: Box<Slot<M>>) {
        self.release_upstream();
        let inbox = mem::take(&mut *lock(&self.inbox));
        self.room.notify_all();
        drop_caught((machine, inbox));
    }

    fn release_upstream(&self) {
        let upstream = mem::take(&mut *lock(&self.upstream));
        upstream.into_iter().for_each(Subscription::unsubscribe);
    }
}

impl<M, In> Subscription for WeakSharedGate<M, In> {
    fn unsubscribe(self) {
        if let Some(gate) = SharedGate::upgrade(&self) {
            gate.close();
        }
    }

    fn is_closed(&self) -> bool {
        SharedGate::upgrade(self).is_none_or(|gate| gate.closed())
    }
}
