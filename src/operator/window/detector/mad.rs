use super::{Detector, in_spreads, ring::Ring};

/// Of a normal distribution, the standard deviation is so many median deviations.
const NORMAL: f64 = 1.4826;

/// How far a value is from the median of the `count` values before it, in their median absolute deviations (times 1.4826,
/// so that it is as a [`ZScore`](super::ZScore) where the values are normal). Up to half of the values may be anomalies without
/// moving it: it is to be preferred where anomalies last.
///
/// Memory: `count` values, twice. Time: the values are kept sorted, so `count / 2` steps of a copy, and as many of a search.
#[derive(Debug, Clone)]
pub struct MedianDeviation {
    ring: Ring,
    sorted: Vec<f64>,
    threshold: f64,
}

impl MedianDeviation {
    /// More than `threshold` deviations from the median of the `count` values before (at least 1).
    pub fn new(count: usize, threshold: f64) -> Self {
        Self { ring: Ring::new(count, 1), sorted: Vec::new(), threshold }
    }

    /// Median, and median distance from it.
    fn median_and_deviation(&self) -> (f64, f64) {
        let sorted = &self.sorted;
        let half = sorted.len() / 2;
        let median = middle(sorted.len(), |at| sorted[at]);
        // The distances grow to both sides: the smallest ones, in order, by a merge.
        let (mut below, mut above) = (half, half);
        let mut next = || {
            let left = below.checked_sub(1).map(|at| median - sorted[at]);
            let right = sorted.get(above).map(|value| value - median);
            match (left, right) {
                (Some(left), Some(right)) if left <= right => {
                    below -= 1;
                    left
                }
                (Some(left), None) => {
                    below -= 1;
                    left
                }
                (_, right) => {
                    above += 1;
                    right.unwrap_or(0.0)
                }
            }
        };
        let (mut last, mut before) = (0.0, 0.0);
        for _ in 0..=half {
            (before, last) = (last, next());
        }
        (median, if sorted.len().is_multiple_of(2) { (before + last) / 2.0 } else { last })
    }

    fn place(&self, value: f64) -> usize {
        self.sorted.partition_point(|other| other.total_cmp(&value).is_lt())
    }
}

/// The value in the middle, or the mean of the two.
fn middle(len: usize, at: impl Fn(usize) -> f64) -> f64 {
    let half = len / 2;
    if len % 2 == 1 { at(half) } else { at(half - 1) + (at(half) - at(half - 1)) / 2.0 }
}

impl Detector for MedianDeviation {
    fn score(&mut self, value: f64) -> Option<f64> {
        let score = self.ring.is_full().then(|| {
            let (median, deviation) = self.median_and_deviation();
            in_spreads(value - median, NORMAL * deviation)
        });
        if let Some(oldest) = self.ring.push(value) {
            self.sorted.remove(self.place(oldest));
        }
        self.sorted.insert(self.place(value), value);
        score
    }

    fn threshold(&self) -> f64 {
        self.threshold
    }
}
