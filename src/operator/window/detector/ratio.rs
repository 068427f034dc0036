use super::{Detector, ring::Ring};

/// A value as a multiple of the mean of the `count` before it, for values that are above 0 by nature.
///
/// Memory: `count` values. Time: constant.
#[derive(Debug, Clone)]
pub struct Ratio {
    ring: Ring,
    sum: f64,
    /// How many values until the sum is made anew, so that no error of rounding stays in it.
    fresh_in: usize,
    threshold: f64,
}

impl Ratio {
    /// Above `threshold` times the mean of the `count` values before (at least 1).
    pub fn new(count: usize, threshold: f64) -> Self {
        Self { ring: Ring::new(count, 1), sum: 0.0, fresh_in: 0, threshold }
    }
}

impl Detector for Ratio {
    fn score(&mut self, value: f64) -> Option<f64> {
        let count = self.ring.values.len() as f64;
        let score = self.ring.is_full().then(|| value / (self.sum / count));
        let oldest = self.ring.push(value);
        if self.fresh_in == 0 {
            self.fresh_in = self.ring.values.len();
            self.sum = self.ring.values.iter().sum();
        } else {
            self.sum += value - oldest.unwrap_or(0.0);
        }
        self.fresh_in -= 1;
        score
    }

    fn threshold(&self) -> f64 {
        self.threshold
    }
}
