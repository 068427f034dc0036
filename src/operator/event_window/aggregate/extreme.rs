use std::cmp::Ordering;

use super::Aggregate;

/// What has a least and a greatest: integers and dates by their order, floats by [`f64::total_cmp`], in which NaN is above
/// all numbers (one with a sign below all). Leave NaN out before, where it means "unknown".
pub trait Total: Clone {
    /// The order of both.
    fn order(&self, other: &Self) -> Ordering;
}

macro_rules! total {
    ($($of:ty)*) => {$(
        impl Total for $of {
            #[inline]
            fn order(&self, other: &Self) -> Ordering {
                self.cmp(other)
            }
        }
    )*};
}
total!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize bool char String);
total!(std::sync::Arc<str> std::time::Duration rust_decimal::Decimal chrono::NaiveDateTime chrono::DateTime<chrono::Utc>);

macro_rules! floats {
    ($($of:ty)*) => {$(
        impl Total for $of {
            #[inline]
            fn order(&self, other: &Self) -> Ordering {
                self.total_cmp(other)
            }
        }
    )*};
}
floats!(f32 f64);

/// The least `f` of an event; `None` only of no events, which no window has.
pub fn min<F>(f: F) -> Extreme<F, false> {
    Extreme(f)
}

/// The greatest `f` of an event.
pub fn max<F>(f: F) -> Extreme<F, true> {
    Extreme(f)
}

/// See [`min`] and [`max`].
#[derive(Debug, Clone, Copy)]
pub struct Extreme<F, const GREATEST: bool>(F);

impl<F, const GREATEST: bool> Extreme<F, GREATEST> {
    fn better<N: Total>(value: &N, than: &Option<N>) -> bool {
        let better = if GREATEST { Ordering::Greater } else { Ordering::Less };
        than.as_ref().is_none_or(|than| value.order(than) == better)
    }
}

impl<T, F: Fn(&T) -> N, N: Total, const GREATEST: bool> Aggregate<T> for Extreme<F, GREATEST> {
    type Acc = Option<N>;
    type Out = Option<N>;

    fn create(&self) -> Option<N> {
        None
    }

    #[inline]
    fn add(&self, acc: &mut Option<N>, event: &T, _at: i64) {
        let value = (self.0)(event);
        if Self::better(&value, acc) {
            *acc = Some(value);
        }
    }

    fn merge(&self, acc: &mut Option<N>, other: &Option<N>) {
        if other.as_ref().is_some_and(|other| Self::better(other, acc)) {
            acc.clone_from(other);
        }
    }

    fn result(&self, acc: &Option<N>) -> Option<N> {
        acc.clone()
    }
}

/// `f` of the earliest event, by its time; of several, of the one that came first.
pub fn first<F>(f: F) -> Edge<F, false> {
    Edge(f)
}

/// `f` of the latest event, by its time; of several, of the one that came last.
pub fn last<F>(f: F) -> Edge<F, true> {
    Edge(f)
}

/// See [`first`] and [`last`].
#[derive(Debug, Clone, Copy)]
pub struct Edge<F, const LAST: bool>(F);

impl<F, const LAST: bool> Edge<F, LAST> {
    #[inline]
    fn better<N>(at: i64, than: &Option<(i64, N)>) -> bool {
        than.as_ref().is_none_or(|(than, _)| if LAST { at >= *than } else { at < *than })
    }
}

impl<T, F: Fn(&T) -> N, N: Clone, const LAST: bool> Aggregate<T> for Edge<F, LAST> {
    type Acc = Option<(i64, N)>;
    type Out = Option<N>;

    fn create(&self) -> Self::Acc {
        None
    }

    #[inline]
    fn add(&self, acc: &mut Self::Acc, event: &T, at: i64) {
        if Self::better(at, acc) {
            *acc = Some((at, (self.0)(event)));
        }
    }

    fn merge(&self, acc: &mut Self::Acc, other: &Self::Acc) {
        if other.as_ref().is_some_and(|(at, _)| Self::better(*at, acc)) {
            acc.clone_from(other);
        }
    }

    fn result(&self, acc: &Self::Acc) -> Option<N> {
        acc.as_ref().map(|(_, value)| value.clone())
    }
}
