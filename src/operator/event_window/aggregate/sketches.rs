use std::{fmt, hash::Hash};

use cardinality_estimator::CardinalityEstimator;
use sketches_ddsketch::{Config, DDSketch};

use super::Aggregate;

/// Quantiles of `f` of each event, each within `accuracy` (relative: 0.01 is one percent) of the true one, by a DDSketch
/// (Masson, Rim, Lee 2019) with at most 2,048 buckets. An accuracy that is not between 0 and 1 is taken as 0.01. NaN and
/// infinities are left out.
///
/// ```
/// use rxevents::operator::event_window::aggregate::{Aggregate, quantiles};
/// let latency = quantiles(0.01, |ms: &f64| *ms);
/// let mut acc = latency.create();
/// (1..=1000).for_each(|ms| latency.add(&mut acc, &f64::from(ms), 0));
/// let median = latency.result(&acc).quantile(0.5).unwrap();
/// assert!((median - 500.0).abs() <= 5.5);
/// ```
pub fn quantiles<F>(accuracy: f64, f: F) -> Quantiles<F> {
    let accuracy = if accuracy > 0.0 && accuracy < 1.0 { accuracy } else { 0.01 };
    Quantiles { accuracy, f }
}

/// See [`quantiles`].
#[derive(Debug, Clone, Copy)]
pub struct Quantiles<F> {
    accuracy: f64,
    f: F,
}

/// The sketch of a window's values, which is asked for quantiles.
#[derive(Clone)]
pub struct QuantileSketch(DDSketch);

impl fmt::Debug for QuantileSketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuantileSketch").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl QuantileSketch {
    /// The quantile `q`, of 0 to 1; `None` where there is no value, or `q` is no such number.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.0.quantile(q).ok().flatten()
    }

    /// How many values.
    pub fn count(&self) -> usize {
        self.0.count()
    }
}

impl<T, F: Fn(&T) -> f64> Aggregate<T> for Quantiles<F> {
    type Acc = QuantileSketch;
    type Out = QuantileSketch;

    fn create(&self) -> QuantileSketch {
        QuantileSketch(DDSketch::new(Config::new(self.accuracy, 2_048, 1.0e-9)))
    }

    fn add(&self, acc: &mut QuantileSketch, event: &T, _at: i64) {
        let value = (self.f)(event);
        if value.is_finite() {
            acc.0.add(value);
        }
    }

    /// Both have the same accuracy, so that it cannot fail.
    fn merge(&self, acc: &mut QuantileSketch, other: &QuantileSketch) {
        let _ = acc.0.merge(&other.0);
    }

    fn result(&self, acc: &QuantileSketch) -> QuantileSketch {
        acc.clone()
    }
}

/// About how many different `f` of an event there are, by a HyperLogLog of 4,096 registers: within some 1.6 % of the true
/// number; exact for few. At most 3 KiB.
///
/// ```
/// use rxevents::operator::event_window::aggregate::{Aggregate, distinct};
/// let users = distinct(|user: &u32| *user);
/// let mut acc = users.create();
/// [7, 8, 7].iter().for_each(|user| users.add(&mut acc, user, 0));
/// assert_eq!(users.result(&acc), 2);
/// ```
pub fn distinct<F>(f: F) -> Distinct<F> {
    Distinct(f)
}

/// See [`distinct`].
#[derive(Debug, Clone, Copy)]
pub struct Distinct<F>(F);

impl<T, F: Fn(&T) -> N, N: Hash> Aggregate<T> for Distinct<F> {
    type Acc = CardinalityEstimator<N>;
    type Out = u64;

    fn create(&self) -> CardinalityEstimator<N> {
        CardinalityEstimator::new()
    }

    fn add(&self, acc: &mut CardinalityEstimator<N>, event: &T, _at: i64) {
        acc.insert(&(self.0)(event));
    }

    fn merge(&self, acc: &mut CardinalityEstimator<N>, other: &CardinalityEstimator<N>) {
        acc.merge(other);
    }

    fn result(&self, acc: &CardinalityEstimator<N>) -> u64 {
        acc.estimate() as u64
    }
}
