use std::{any::type_name, time::Duration};

use chrono::TimeDelta;
use rust_decimal::Decimal;

use crate::{
    error::StreamError,
    operator::apply::{Emit, Kernel},
};

/// See [`sum`](super::AggregateOps::sum).
#[derive(Clone)]
pub struct Sum<I>(I);

impl<I: Summand> Sum<I> {
    pub(super) fn new() -> Self {
        Self(I::ZERO)
    }
}

impl<I: Summand> Kernel<I, I> for Sum<I> {
    const NAME: &'static str = "sum";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        let sum = std::mem::replace(&mut self.0, I::ZERO);
        match sum.plus(item) {
            Some(sum) => {
                self.0 = sum;
                Emit::Skip
            }
            None => Emit::Fail(StreamError::OutOfRange { operator: "sum", of: type_name::<I>() }),
        }
    }

    fn finish(&mut self) -> Option<I> {
        Some(std::mem::replace(&mut self.0, I::ZERO))
    }
}

/// What can be [added up](super::AggregateOps::sum): numbers, and lengths of time.
pub trait Summand: Sized {
    /// The sum of nothing.
    const ZERO: Self;
    /// The sum of both, where that can be represented.
    fn plus(self, other: Self) -> Option<Self>;
}

macro_rules! summands {
    ($zero:expr, |$a:ident, $b:ident| $plus:expr; $($type:ty)*) => {$(
        impl Summand for $type {
            const ZERO: Self = $zero;

            #[inline]
            fn plus(self, other: Self) -> Option<Self> {
                let ($a, $b) = (self, other);
                $plus
            }
        }
    )*};
}
summands!(0, |a, b| a.checked_add(b); u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);
summands!(0.0, |a, b| Some(a + b); f32 f64);
summands!(Self::ZERO, |a, b| a.checked_add(b); Duration Decimal);
summands!(Self::zero(), |a, b| a.checked_add(&b); TimeDelta);
