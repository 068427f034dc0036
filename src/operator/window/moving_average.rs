use std::mem;

use super::chunks::pushed;
use crate::operator::apply::{Emit, Kernel};

/// See [`moving_average`](super::WindowOps::moving_average).
#[derive(Clone)]
pub struct MovingAverage(Mean);

/// See [`moving_average_by`](super::WindowOps::moving_average_by).
#[derive(Clone)]
pub struct MovingAverageBy<F> {
    mean: Mean,
    value: F,
}

impl MovingAverage {
    pub(super) fn new(count: usize) -> Self {
        Self(Mean::new(count))
    }
}

impl<F> MovingAverageBy<F> {
    pub(super) fn new(count: usize, value: F) -> Self {
        Self { mean: Mean::new(count), value }
    }
}

impl Kernel<f64, f64> for MovingAverage {
    const NAME: &'static str = "moving_average";

    #[inline(always)]
    fn next(&mut self, item: f64) -> Emit<f64> {
        self.0.next(item)
    }
}

impl<F: FnMut(&I) -> f64, I> Kernel<I, f64> for MovingAverageBy<F> {
    const NAME: &'static str = "moving_average_by";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<f64> {
        self.mean.next((self.value)(&item))
    }
}

/// The values are summed in blocks of `count`. A window is the end of one block and the start of the next: its sum is
/// one sum from each, and nothing is ever subtracted. So no error outlives the window that it was made in.
#[derive(Clone)]
struct Mean {
    count: usize,
    /// The latest `count` values: those of this block, then what is left of the block before.
    values: Vec<f64>,
    /// Of the block before: the sum of each value and all after it.
    tails: Vec<f64>,
    /// The place of the next value.
    at: usize,
    /// The sum of this block.
    head: f64,
}

impl Mean {
    fn new(count: usize) -> Self {
        let count = count.max(1);
        let room = || Vec::with_capacity(count.min(super::RESERVE));
        Self { count, values: room(), tails: room(), at: 0, head: 0.0 }
    }

    #[inline(always)]
    fn next(&mut self, value: f64) -> Emit<f64> {
        self.head += value;
        match self.values.get_mut(self.at) {
            Some(oldest) => *oldest = value,
            None => self.values = pushed(mem::take(&mut self.values), value),
        }
        self.at += 1;
        if self.values.len() < self.count {
            return Emit::Skip;
        }
        // In the first block there are no tails, and none is left after the last value of a block.
        let sum = self.head + self.tails.get(self.at).copied().unwrap_or(0.0);
        if self.at == self.count {
            self.tails = tails(mem::take(&mut self.tails), &self.values);
            (self.at, self.head) = (0, 0.0);
        }
        Emit::Item(if sum.is_finite() { sum / self.count as f64 } else { scaled(&self.values, self.count) })
    }
}

// What is rare is given values, not `self`, which need not be in memory for it.

/// Of a block: the sum of each value and all after it.
#[inline(never)]
fn tails(mut tails: Vec<f64>, values: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    tails.resize(values.len(), 0.0);
    for (tail, value) in tails.iter_mut().zip(values).rev() {
        sum += *value;
        *tail = sum;
    }
    tails
}

/// Where the sum is too large for an `f64`, the mean is not.
#[cold]
fn scaled(values: &[f64], count: usize) -> f64 {
    values.iter().map(|value| value / count as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(count: usize, values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let mut mean = Mean::new(count);
        let mean = |value| match mean.next(value) {
            Emit::Item(mean) => Some(mean),
            _ => None,
        };
        values.into_iter().filter_map(mean).collect()
    }

    #[test]
    fn what_has_left_the_window_leaves_no_trace() {
        let values = [1.0, 1e300, 1e100, 1.0, 0.25, 0.5, 0.75, 1e16, 1.0, -1e16, 3.0];
        for count in 1..=values.len() {
            for (mean, window) in means(count, values).into_iter().zip(values.windows(count)) {
                // That of a plain sum of the window.
                let exact = window.iter().sum::<f64>() / count as f64;
                let error = f64::EPSILON * window.iter().map(|value| value.abs()).sum::<f64>();
                assert!((mean - exact).abs() <= error, "{count}: {mean} {exact}");
            }
        }
    }

    #[test]
    fn errors_do_not_add_up() {
        let mut mean = Mean::new(7);
        let (mut window, mut worst) = ([0.0_f64; 7], 0.0_f64);
        for n in 0..1_000_000_u64 {
            let value = 0.1 + (n * 7919 % 1000) as f64 * if n % 1000 == 0 { 1e12 } else { 1.0 };
            window[n as usize % 7] = value;
            if let Emit::Item(mean) = mean.next(value) {
                let exact = window.iter().sum::<f64>() / 7.0;
                worst = worst.max((mean - exact).abs() / exact);
            }
        }
        assert!(worst < 2e-15, "{worst}");
    }

    #[test]
    fn a_value_that_is_not_finite_spoils_its_windows_only() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for at in 0..9 {
                let values = (0..12).map(|n| if n == at { bad } else { f64::from(n) });
                for (n, mean) in means(3, values).into_iter().enumerate() {
                    let spoilt = (n as i32..n as i32 + 3).contains(&at);
                    let expected = if spoilt { bad } else { n as f64 + 1.0 };
                    let same = mean == expected || mean.is_nan() && expected.is_nan();
                    assert!(same, "{bad} {at} {n} {mean}");
                }
            }
        }
        let both = means(2, [f64::INFINITY, f64::NEG_INFINITY, 1.0, 3.0]);
        assert!(both[0].is_nan() && both[1] == f64::NEG_INFINITY && both[2] == 2.0, "{both:?}");
    }

    #[test]
    fn a_sum_that_is_too_large_has_a_mean() {
        let means = means(2, [f64::MAX, f64::MAX, f64::MAX, 1.0, 3.0]);
        assert_eq!(means, [f64::MAX, f64::MAX, f64::MAX / 2.0, 2.0]);
    }
}
