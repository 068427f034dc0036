//! What tells an unusual value from the usual ones.

mod ewma;
mod mad;
mod ratio;
mod ring;
mod zscore;

pub use ewma::Ewma;
pub use mad::MedianDeviation;
pub use ratio::Ratio;
pub use zscore::ZScore;

/// How unusual each value of a stream is, judged by those before it. See
/// [`flag_anomalies`](super::WindowOps::flag_anomalies).
pub trait Detector {
    /// The score of a finite value, which is then one of those before the next; `None` while there are too few. The
    /// larger, the more unusual.
    fn score(&mut self, value: f64) -> Option<f64>;
    /// A score above this is an anomaly.
    fn threshold(&self) -> f64;
}

/// How many times `spread` a value is away; where all values before were the same, another one is infinitely far.
fn in_spreads(distance: f64, spread: f64) -> f64 {
    if distance == 0.0 { 0.0 } else { distance.abs() / spread }
}
