use super::{Detector, in_spreads};

/// How many deviations a value is from the mean, both exponentially weighted: a value counts `alpha` when it comes, and
/// `1 - alpha` times as much with each that follows (the EWMA control chart, with the variance weighted in the same way).
///
/// A value more than 10¹⁵⁰ or so away changes neither. It judges once the weights of `1 / alpha` values are in. Memory and time: constant.
#[derive(Debug, Clone)]
pub struct Ewma {
    alpha: f64,
    mean: f64,
    variance: f64,
    /// How many values there are to come before it judges.
    missing: u64,
    begun: bool,
    threshold: f64,
}

impl Ewma {
    /// More than `threshold` deviations from the mean. `alpha` is taken to be between 0.000001 and 1.
    pub fn new(alpha: f64, threshold: f64) -> Self {
        let alpha = if alpha.is_nan() { 1.0 } else { alpha.clamp(1e-6, 1.0) };
        Self {
            alpha,
            mean: 0.0,
            variance: 0.0,
            missing: (1.0 / alpha).ceil() as u64,
            begun: false,
            threshold,
        }
    }
}

impl Detector for Ewma {
    fn score(&mut self, value: f64) -> Option<f64> {
        if !self.begun {
            (self.begun, self.mean) = (true, value);
            self.missing -= 1;
            return None;
        }
        let distance = value - self.mean;
        let score = (self.missing == 0).then(|| in_spreads(distance, self.variance.sqrt()));
        self.missing = self.missing.saturating_sub(1);
        let mean = self.mean + self.alpha * distance;
        let variance = (1.0 - self.alpha) * (self.variance + self.alpha * distance * distance);
        // A value so far away that its square is no number would never be forgotten.
        if mean.is_finite() && variance.is_finite() {
            (self.mean, self.variance) = (mean, variance);
        }
        score
    }

    fn threshold(&self) -> f64 {
        self.threshold
    }
}
