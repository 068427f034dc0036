use super::Aggregate;

/// How many events.
pub fn count() -> Count {
    Count
}

/// See [`count`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Count;

impl<T> Aggregate<T> for Count {
    type Acc = u64;
    type Out = u64;

    fn create(&self) -> u64 {
        0
    }

    #[inline]
    fn add(&self, acc: &mut u64, _event: &T, _at: i64) {
        *acc += 1;
    }

    fn merge(&self, acc: &mut u64, other: &u64) {
        *acc += other;
    }

    fn result(&self, acc: &u64) -> u64 {
        *acc
    }
}

/// What can be added up.
pub trait Number: Copy {
    /// What sums of it are of: wide enough that no sum of events overflows.
    type Sum: Copy + Default;
    /// One more.
    fn add_to(self, sum: &mut Self::Sum);
    /// Both.
    fn join(sum: &mut Self::Sum, other: Self::Sum);
}

macro_rules! numbers {
    ($sum:ty: $($number:ty)*) => {$(
        impl Number for $number {
            type Sum = $sum;

            #[inline]
            fn add_to(self, sum: &mut $sum) {
                *sum += <$sum>::from(self);
            }

            fn join(sum: &mut $sum, other: $sum) {
                *sum += other;
            }
        }
    )*};
}
numbers!(i128: i8 i16 i32 i64 u8 u16 u32 u64);
numbers!(f64: f32 f64);

/// The sum of `f` of each event. That of integers is an `i128`, which no number of events overflows; that of floats an
/// `f64`, whose last digits depend on the order of the events.
pub fn sum<F>(f: F) -> Sum<F> {
    Sum(f)
}

/// See [`sum`].
#[derive(Debug, Clone, Copy)]
pub struct Sum<F>(F);

impl<T, F: Fn(&T) -> N, N: Number> Aggregate<T> for Sum<F> {
    type Acc = N::Sum;
    type Out = N::Sum;

    fn create(&self) -> N::Sum {
        N::Sum::default()
    }

    #[inline]
    fn add(&self, acc: &mut N::Sum, event: &T, _at: i64) {
        (self.0)(event).add_to(acc);
    }

    fn merge(&self, acc: &mut N::Sum, other: &N::Sum) {
        N::join(acc, *other);
    }

    fn result(&self, acc: &N::Sum) -> N::Sum {
        *acc
    }
}

/// What `add` makes of `seed` and each event; `merge` puts two together.
///
/// ```
/// use rxevents::operator::event_window::aggregate::{Aggregate, fold};
/// let longest = fold(0, |most: &mut usize, word: &&str| *most = word.len().max(*most), |most, other| *most = *other.max(most));
/// let mut acc = longest.create();
/// longest.add(&mut acc, &"four", 0);
/// assert_eq!(longest.result(&acc), 4);
/// ```
pub fn fold<A, T, F, G>(seed: A, add: F, merge: G) -> Fold<A, F, G>
where
    F: Fn(&mut A, &T),
    G: Fn(&mut A, &A),
{
    Fold { seed, add, merge }
}

/// See [`fold`].
#[derive(Debug, Clone, Copy)]
pub struct Fold<A, F, G> {
    seed: A,
    add: F,
    merge: G,
}

impl<T, A: Clone, F: Fn(&mut A, &T), G: Fn(&mut A, &A)> Aggregate<T> for Fold<A, F, G> {
    type Acc = A;
    type Out = A;

    fn create(&self) -> A {
        self.seed.clone()
    }

    #[inline]
    fn add(&self, acc: &mut A, event: &T, _at: i64) {
        (self.add)(acc, event);
    }

    fn merge(&self, acc: &mut A, other: &A) {
        (self.merge)(acc, other);
    }

    fn result(&self, acc: &A) -> A {
        acc.clone()
    }
}
