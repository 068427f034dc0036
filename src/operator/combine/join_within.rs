use std::{convert::Infallible, marker::PhantomData};

use rxrust::observer::Observer;

use super::{Nanos, Unmatched, Within, two_sources, unmatched::Sides};
use crate::{
    buffer::Buffer,
    error::{StreamError, named},
    gate::{Down, Either, Machine, Signal, Step},
    held::Held,
    operator::rate::OnDropped,
    shares::Share,
};

const NAME: &str = "join_within";

two_sources! {
    /// See [`join_within`](super::CombineOps::join_within).
    JoinWithin<FL, FR, D, T, U> { within: Within<D>, left_time: FL, right_time: FR }
    left T, right U, item (T, U),
    machine Joining<C::Inner, FL, FR, D, T, U, E> = |down| Joining {
        down: Down::new(down),
        left: Side { time: left_time, waiting: Held::open(&within.buffer), done: false },
        right: Side { time: right_time, waiting: Held::open(&within.buffer), done: false },
        tolerance: within.tolerance,
        buffer: within.buffer,
        to_the_end: within.to_the_end,
        alone: Alone { share: within.unmatched.share(), on_unmatched: within.on_unmatched },
        types: PhantomData,
    },
    order left then right
}

/// The state of a join. At most one of the sides has items that wait: those that the other has not come up to.
pub struct Joining<O, FL, FR, D, T, U, E> {
    down: Down<O>,
    left: Side<FL, T>,
    right: Side<FR, U>,
    tolerance: u64,
    buffer: Buffer,
    to_the_end: bool,
    alone: Alone<D>,
    types: PhantomData<fn() -> E>,
}

/// One side of a join.
struct Side<F, T> {
    time: F,
    waiting: Held<(i64, T)>,
    done: bool,
}

impl<F, T> Side<F, T> {
    /// Nothing to pair with will come from here any more.
    #[inline]
    fn over(&self) -> bool {
        self.done && self.waiting.is_empty()
    }
}

/// What becomes of an item.
enum Fate<T, U> {
    Pair(T, U),
    Wait(i64, T),
    Alone(T),
}

/// Takes `item` to the items that wait on the other side; those that are too old for it go to `alone`.
#[inline]
fn meet<T, U>(
    at: Option<i64>,
    item: T,
    others: &mut Held<(i64, U)>,
    tolerance: u64,
    mut alone: impl FnMut(U),
) -> Fate<T, U> {
    let Some(at) = at else { return Fate::Alone(item) };
    while let Some((other_at, _)) = others.front() {
        let (paired, older) = (at.abs_diff(*other_at) <= tolerance, at < *other_at);
        if older && !paired {
            return Fate::Alone(item);
        }
        match others.pop_front() {
            Some((_, other)) if paired => return Fate::Pair(item, other),
            Some((_, other)) => alone(other),
            None => break,
        }
    }
    Fate::Wait(at, item)
}

/// Where items without a partner go.
struct Alone<D> {
    share: Share<Sides>,
    on_unmatched: D,
}

impl<D> Alone<D> {
    /// Counts an item, and hands it on.
    #[inline]
    fn take<T, U>(&mut self, item: Unmatched<T, U>)
    where
        D: OnDropped<Unmatched<T, U>>,
    {
        self.share.own().add(&item);
        named(|| NAME, || self.on_unmatched.dropped(item));
    }
}

impl<O, FL, FR, D, T, U, E> Joining<O, FL, FR, D, T, U, E>
where
    O: Observer<(T, U), E>,
    D: OnDropped<Unmatched<T, U>>,
    E: 'static,
{
    /// Completes when nothing can be paired any more; what waits is then unmatched.
    #[inline]
    fn end_if_over(&mut self) -> Step<Infallible> {
        let Self { left, right, alone, .. } = self;
        if !left.over() && !right.over() {
            return Step::Continue;
        }
        while let Some((_, item)) = left.waiting.pop_front() {
            alone.take(Unmatched::Left(item));
        }
        while let Some((_, item)) = right.waiting.pop_front() {
            alone.take(Unmatched::Right(item));
        }
        if self.to_the_end && !(left.done && right.done) { Step::Continue } else { self.down.complete() }
    }
}

/// One item of the side `$side`; the sides differ in type, so this is written as a macro.
macro_rules! take {
    ($self:ident, $item:ident, $side:ident as $this:ident, $other:ident as $that:ident, |$a:ident, $b:ident| $pair:expr) => {{
        let Self { down, $side, $other, tolerance, buffer, alone, .. } = $self;
        let at = named(|| NAME, || ($side.time)(&$item)).nanos();
        let fate =
            meet(at, $item, &mut $other.waiting, *tolerance, |other| alone.take(Unmatched::$that(other)));
        match fate {
            Fate::Pair($a, $b) => match down.next($pair) {
                Step::Continue => $self.end_if_over(),
                done => done,
            },
            Fate::Alone(item) => {
                alone.take(Unmatched::$this(item));
                Step::Continue
            }
            Fate::Wait(_, item) if $other.done => {
                alone.take(Unmatched::$this(item));
                $self.end_if_over()
            }
            Fate::Wait(at, item) => down.hold(buffer, &mut $side.waiting, (at, item), NAME),
        }
    }};
}

impl<O, FL, FR, D, T, U, M, N, E> Machine<Either<T, U, E>> for Joining<O, FL, FR, D, T, U, E>
where
    O: Observer<(T, U), E>,
    FL: FnMut(&T) -> M,
    FR: FnMut(&U) -> N,
    M: Nanos,
    N: Nanos,
    D: OnDropped<Unmatched<T, U>>,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: Either<T, U, E>) -> Step<Infallible> {
        match input {
            Either::Left(Signal::Next(item)) => {
                take!(self, item, left as Left, right as Right, |a, b| (a, b))
            }
            Either::Right(Signal::Next(item)) => {
                take!(self, item, right as Right, left as Left, |b, a| (a, b))
            }
            Either::Left(Signal::Complete) => {
                self.left.done = true;
                self.end_if_over()
            }
            Either::Right(Signal::Complete) => {
                self.right.done = true;
                self.end_if_over()
            }
            Either::Left(Signal::Error(error)) | Either::Right(Signal::Error(error)) => {
                self.down.error(error)
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
