use crate::operator::apply::{Emit, Kernel};

/// A question about all items, which one of them may decide: see [`all`](super::AggregateOps::all),
/// [`any`](super::AggregateOps::any), [`contains`](super::AggregateOps::contains) and
/// [`is_empty`](super::AggregateOps::is_empty).
#[derive(Clone)]
pub struct Decide<Q>(pub(super) Q);

impl<Q: Question<I>, I> Kernel<I, bool> for Decide<Q> {
    const NAME: &'static str = Q::NAME;

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<bool> {
        if self.0.is_decided_by(&item) { Emit::Last(Q::THEN) } else { Emit::Skip }
    }

    fn finish(&mut self) -> Option<bool> {
        Some(!Q::THEN)
    }
}

/// A question that one item may decide.
pub trait Question<I> {
    /// The operator.
    const NAME: &'static str;
    /// The answer when an item decides; without one, it is the other.
    const THEN: bool;
    /// Whether this one does.
    fn is_decided_by(&mut self, item: &I) -> bool;
}

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident<$param:ident> of $operator:literal is $then:literal when
        [$($bound:tt)*] |$self:ident, $item:ident| $decided:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name<$param>(pub(super) $param);

        impl<$param, I> Question<I> for $name<$param>
        where
            $($bound)*
        {
            const NAME: &'static str = $operator;
            const THEN: bool = $then;

            #[inline(always)]
            fn is_decided_by(&mut $self, $item: &I) -> bool {
                $decided
            }
        }
    )*};
}

questions! {
    /// Whether it is true of all.
    All<F> of "all" is false when [F: FnMut(&I) -> bool] |self, item| !(self.0)(item);
    /// Whether it is true of one.
    Any<F> of "any" is true when [F: FnMut(&I) -> bool] |self, item| (self.0)(item);
    /// Whether one equals it.
    Contains<T> of "contains" is true when [I: PartialEq<T>] |self, item| *item == self.0;
}

/// Whether there is none.
#[derive(Clone)]
pub struct IsEmpty;

impl<I> Question<I> for IsEmpty {
    const NAME: &'static str = "is_empty";
    const THEN: bool = false;

    #[inline(always)]
    fn is_decided_by(&mut self, _item: &I) -> bool {
        true
    }
}
