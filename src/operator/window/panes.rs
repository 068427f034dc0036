//! What buffers and windows have in common: several of them are open, items are put in, and some are closed.

use std::{collections::VecDeque, convert::Infallible, marker::PhantomData};

use rxrust::{
    context::{Context, Scope},
    observer::Observer,
};

use super::{Collect, Env};
use crate::{
    error::StreamError,
    gate::{Down, Step},
};

/// Which of the open ones get an item.
pub trait Deal<I> {
    /// Puts the item into them.
    fn deal<P>(open: &mut VecDeque<(u64, P)>, item: I, put: impl FnMut(&mut P, I));
}

/// There is at most one.
#[derive(Debug, Clone, Copy)]
pub struct Only;

impl<I> Deal<I> for Only {
    #[inline(always)]
    fn deal<P>(open: &mut VecDeque<(u64, P)>, item: I, mut put: impl FnMut(&mut P, I)) {
        if let Some((_, pane)) = open.back_mut() {
            put(pane, item);
        }
    }
}

/// All of them, a clone for each but the last.
#[derive(Debug, Clone, Copy)]
pub struct Each;

impl<I: Clone> Deal<I> for Each {
    #[inline]
    fn deal<P>(open: &mut VecDeque<(u64, P)>, item: I, mut put: impl FnMut(&mut P, I)) {
        let earlier = open.len().saturating_sub(1);
        for (_, pane) in open.iter_mut().take(earlier) {
            put(pane, item.clone());
        }
        if let Some((_, pane)) = open.back_mut() {
            put(pane, item);
        }
    }
}

/// What decides when buffers and windows begin and end sees of them.
pub trait Rack<I> {
    /// Whether they are windows.
    const WINDOWS: bool;
    /// Opens one, unless nobody listens any more; its number.
    fn open(&mut self) -> Option<u64>;
    /// Closes the one that has been open the longest.
    fn close_oldest(&mut self);
    /// Closes this one.
    fn close(&mut self, number: u64);
    /// Whether this one is open.
    fn is_open(&self, number: u64) -> bool;
    /// Whether none is open.
    fn is_empty(&self) -> bool;
    /// Puts an item in.
    fn put<D: Deal<I>>(&mut self, item: I);
}

/// [`Panes`] above the observer of a context.
pub(super) type PanesOf<C, G, I, T, E> =
    Panes<<C as Context>::Inner, G, I, T, E, <C as Context>::Scope, <C as Context>::Scheduler>;

/// Those that are open, and the observer below.
pub struct Panes<O, G, I, T, E, Sc, S>
where
    Sc: Scope,
    G: Collect<I, T, E, Sc, S>,
{
    down: Down<O>,
    collect: G,
    env: Env<Sc, S>,
    open: VecDeque<(u64, G::Pane)>,
    opened: u64,
    failure: Option<StreamError>,
    types: PhantomData<fn(I) -> (T, E)>,
}

impl<O, G, I, T, E, Sc, S> Panes<O, G, I, T, E, Sc, S>
where
    O: Observer<T, E>,
    Sc: Scope,
    G: Collect<I, T, E, Sc, S>,
    E: 'static,
{
    pub(crate) fn new(down: O, collect: G, env: Env<Sc, S>) -> Self {
        let (open, opened, failure) = Default::default();
        Self { down: Down::new(down), collect, env, open, opened, failure, types: PhantomData }
    }

    /// Whether the operator's subscriber is there; if not, its observer is no longer held.
    fn listens(&mut self) -> bool {
        let listens = self.env.keeper.listens();
        if !listens {
            self.down.release();
        }
        listens
    }

    fn emit(&mut self, out: T) {
        if self.listens() {
            let step: Step<Infallible> = self.down.next(out);
            if step == Step::Done {
                self.down.release();
                self.env.keeper.leave();
            }
        }
    }

    /// A source that emits while it is being subscribed cannot be unsubscribed yet: whether its subscriber has gone shows
    /// here only.
    #[cold]
    fn look_down(&mut self) {
        if self.down.is_closed() {
            self.down.release();
            self.env.keeper.leave();
        }
    }

    fn end_of(&mut self, pane: G::Pane) {
        if let Some(out) = self.collect.close(pane) {
            self.emit(out);
        }
    }

    /// After a step: the failure, if one of them was too full.
    pub(crate) fn settle<A>(&mut self) -> Step<A> {
        match self.failure.take() {
            Some(failure) => self.fail(failure),
            None => Step::Continue,
        }
    }

    /// The source has completed.
    pub(crate) fn complete<A>(&mut self) -> Step<A> {
        while let Some((_, pane)) = self.open.pop_front() {
            self.end_of(pane);
        }
        if self.listens() { self.down.complete() } else { Step::Done }
    }

    /// The source has failed.
    pub(crate) fn error<A>(&mut self, error: E) -> Step<A> {
        while let Some((_, pane)) = self.open.pop_front() {
            self.collect.error(pane, &error);
        }
        if self.listens() { self.down.error(error) } else { Step::Done }
    }

    /// The operator fails.
    pub(crate) fn fail<A>(&mut self, failure: StreamError) -> Step<A> {
        while let Some((_, pane)) = self.open.pop_front() {
            self.collect.fail(pane, &failure);
        }
        if self.listens() { self.down.fail(failure) } else { Step::Done }
    }

    /// Whether nobody would miss what is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.iter().all(|(_, pane)| self.collect.is_idle(pane))
    }
}

impl<O, G, I, T, E, Sc, S> Rack<I> for Panes<O, G, I, T, E, Sc, S>
where
    O: Observer<T, E>,
    Sc: Scope,
    G: Collect<I, T, E, Sc, S>,
    E: 'static,
{
    const WINDOWS: bool = G::WINDOWS;

    fn open(&mut self) -> Option<u64> {
        if !self.listens() {
            return None;
        }
        let number = self.opened;
        self.opened += 1;
        let (pane, out) = self.collect.open(&self.env);
        self.open.push_back((number, pane));
        if let Some(out) = out {
            self.emit(out);
        }
        Some(number)
    }

    fn close_oldest(&mut self) {
        if let Some((_, pane)) = self.open.pop_front() {
            self.end_of(pane);
        }
    }

    fn close(&mut self, number: u64) {
        if let Ok(at) = self.open.binary_search_by_key(&number, |(number, _)| *number)
            && let Some((_, pane)) = self.open.remove(at)
        {
            self.end_of(pane);
        }
    }

    fn is_open(&self, number: u64) -> bool {
        self.open.binary_search_by_key(&number, |(number, _)| *number).is_ok()
    }

    fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    #[inline(always)]
    fn put<D: Deal<I>>(&mut self, item: I) {
        let Self { collect, env, open, failure, .. } = self;
        let mut unheard = false;
        D::deal(open, item, |pane, item| match collect.put(pane, item, env) {
            Ok(heard) => unheard |= !heard,
            Err(full) => {
                failure.get_or_insert(full);
            }
        });
        if unheard {
            self.look_down();
        }
    }
}
