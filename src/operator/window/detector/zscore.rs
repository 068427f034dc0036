use super::{Detector, in_spreads, ring::Ring};

/// How many standard deviations (of a sample) a value is from the mean, both of the `count` values before it.
///
/// Mean and deviation are updated with each value (Welford), and made anew from the values after each `count` of them, so
/// that errors of rounding do not add up. Memory: `count` values. Time: constant, in the mean.
#[derive(Debug, Clone)]
pub struct ZScore {
    ring: Ring,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
    fresh_in: usize,
    threshold: f64,
}

impl ZScore {
    /// More than `threshold` deviations from the mean of the `count` values before (at least 2).
    pub fn new(count: usize, threshold: f64) -> Self {
        Self { ring: Ring::new(count, 2), mean: 0.0, squares: 0.0, fresh_in: 0, threshold }
    }

    fn add(&mut self, value: f64) {
        let oldest = self.ring.push(value);
        let (count, mean, squares) = (self.ring.values.len() as f64, self.mean, self.squares);
        match oldest {
            Some(oldest) => {
                self.mean += (value - oldest) / count;
                self.squares += (value - oldest) * (value - self.mean + oldest - mean);
            }
            None => {
                self.mean += (value - mean) / count;
                self.squares += (value - mean) * (value - self.mean);
            }
        }
        // Where a value has left beside which the others are small, what is left of it is an error beside them.
        if self.fresh_in == 0 || self.squares < squares * 1e-6 || self.squares.is_nan() {
            self.fresh_in = self.ring.values.len();
            self.mean = self.ring.values.iter().sum::<f64>() / count;
            self.squares = self.ring.values.iter().map(|value| (value - self.mean).powi(2)).sum();
        }
        self.fresh_in -= 1;
    }
}

impl Detector for ZScore {
    fn score(&mut self, value: f64) -> Option<f64> {
        let score = self.ring.is_full().then(|| {
            let variance = self.squares.max(0.0) / (self.ring.values.len() - 1) as f64;
            in_spreads(value - self.mean, variance.sqrt())
        });
        self.add(value);
        score
    }

    fn threshold(&self) -> f64 {
        self.threshold
    }
}
