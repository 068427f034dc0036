use std::marker::PhantomData;

use rxrust::{context::Context, observer::Observer};

use crate::{
    gate::{Down, Step},
    operator::share::{Hosts, Subject},
};

/// What becomes of an item whose window opens, and of two whose windows overlap. `L` is what is kept of a left item.
pub trait Meet<O, T, U, L, E, Sch> {
    /// The operator's name, in errors.
    const NAME: &'static str;
    /// Whether there is nothing to come without right items.
    const NEEDS_RIGHT: bool;
    /// Called first.
    fn start(&mut self, scheduler: &Sch);
    /// A left item's window opens. `None`: nobody listens any more.
    fn open(&mut self, down: &mut Down<O>, item: T) -> Option<L>;
    /// The windows of two overlap. Whether somebody still listens.
    fn meet(&mut self, down: &mut Down<O>, left: &L, right: &U) -> bool;
    /// A left item's window closes, perhaps by an error of the stream.
    fn close(&mut self, left: L, error: Option<&E>);
}

/// A pair of both, see [`join`](super::CombineOps::join).
#[derive(Debug, Clone, Copy)]
pub struct Pairs;

impl<O, T, U, E, Sch> Meet<O, T, U, T, E, Sch> for Pairs
where
    O: Observer<(T, U), E>,
    T: Clone,
    U: Clone,
{
    const NAME: &'static str = "join";
    const NEEDS_RIGHT: bool = true;

    fn start(&mut self, _scheduler: &Sch) {}

    #[inline]
    fn open(&mut self, _down: &mut Down<O>, item: T) -> Option<T> {
        Some(item)
    }

    #[inline]
    fn meet(&mut self, down: &mut Down<O>, left: &T, right: &U) -> bool {
        let step: Step<()> = down.next((left.clone(), right.clone()));
        step == Step::Continue
    }

    fn close(&mut self, _left: T, _error: Option<&E>) {}
}

/// A stream `G` of right items for each left one, see [`group_join`](super::CombineOps::group_join).
pub struct Groups<G, Sch> {
    scheduler: Sch,
    types: PhantomData<fn() -> G>,
}

impl<G, Sch: Default> Default for Groups<G, Sch> {
    fn default() -> Self {
        Self { scheduler: Sch::default(), types: PhantomData }
    }
}

impl<G, Sch: Clone> Clone for Groups<G, Sch> {
    fn clone(&self) -> Self {
        Self { scheduler: self.scheduler.clone(), types: PhantomData }
    }
}

impl<O, T, U, E, G, Sc, Sch> Meet<O, T, U, Subject<U, E, Sc>, E, Sch> for Groups<G, Sch>
where
    O: Observer<(T, G), E>,
    Sc: Hosts<U, E>,
    Sch: Clone,
    G: Context<Inner = Subject<U, E, Sc>, Scheduler = Sch>,
    U: Clone + 'static,
    E: Clone + 'static,
{
    const NAME: &'static str = "group_join";
    const NEEDS_RIGHT: bool = false;

    fn start(&mut self, scheduler: &Sch) {
        self.scheduler = scheduler.clone();
    }

    fn open(&mut self, down: &mut Down<O>, item: T) -> Option<Subject<U, E, Sc>> {
        let group = Subject::new();
        let step: Step<()> = down.next((item, G::from_parts(group.clone(), self.scheduler.clone())));
        (step == Step::Continue).then_some(group)
    }

    fn meet(&mut self, _down: &mut Down<O>, left: &Subject<U, E, Sc>, right: &U) -> bool {
        left.clone().next(right.clone());
        true
    }

    fn close(&mut self, left: Subject<U, E, Sc>, error: Option<&E>) {
        match error {
            Some(error) => left.error(error.clone()),
            None => left.complete(),
        }
    }
}
