use std::marker::PhantomData;

use crate::operator::apply::{Emit, Kernel};

/// A partition, judged by [`flag_outliers`](super::WindowOps::flag_outliers).
#[derive(Debug, Clone, PartialEq)]
pub struct Judged<P> {
    /// The partition.
    pub partition: P,
    /// The mean of its values; NaN where there are none.
    pub mean: f64,
    /// Whether a value is above `ratio` times the mean.
    pub flagged: bool,
}

/// See [`flag_outliers`](super::WindowOps::flag_outliers).
#[derive(Debug, Clone)]
pub struct FlagOutliers {
    pub(super) ratio: f64,
}

/// See [`flag_outliers_by`](super::WindowOps::flag_outliers_by).
pub struct FlagOutliersBy<F, I> {
    ratio: f64,
    value: F,
    item: PhantomData<fn(&I)>,
}

clone_by_fields!(FlagOutliersBy<F, I>: ratio, value, item where F);

impl<F, I> FlagOutliersBy<F, I> {
    pub(super) fn new(ratio: f64, value: F) -> Self {
        Self { ratio, value, item: PhantomData }
    }
}

impl<P: AsRef<[f64]>> Kernel<P, Judged<P>> for FlagOutliers {
    const NAME: &'static str = "flag_outliers";

    #[inline]
    fn next(&mut self, partition: P) -> Emit<Judged<P>> {
        Emit::Item(judge(partition, self.ratio, |value: &f64| *value))
    }
}

impl<P: AsRef<[I]>, F: FnMut(&I) -> f64, I> Kernel<P, Judged<P>> for FlagOutliersBy<F, I> {
    const NAME: &'static str = "flag_outliers_by";

    #[inline]
    fn next(&mut self, partition: P) -> Emit<Judged<P>> {
        Emit::Item(judge(partition, self.ratio, &mut self.value))
    }
}

#[inline]
fn judge<P: AsRef<[I]>, I>(partition: P, ratio: f64, mut value: impl FnMut(&I) -> f64) -> Judged<P> {
    let items = partition.as_ref();
    let (mut sum, mut largest) = (0.0, f64::NEG_INFINITY);
    for item in items {
        let value = value(item);
        sum += value;
        largest = f64::max(largest, value);
    }
    let mean = sum / items.len() as f64;
    Judged { partition, mean, flagged: largest > ratio * mean }
}
