use super::Detector;
use crate::operator::apply::{Emit, Kernel};

/// An item, judged by [`flag_anomalies`](super::WindowOps::flag_anomalies).
#[derive(Debug, Clone, PartialEq)]
pub struct Scored<I> {
    /// The item.
    pub item: I,
    /// How unusual it is; `None` while too few came before it.
    pub score: Option<f64>,
    /// Whether it is an anomaly.
    pub flagged: bool,
}

/// See [`flag_anomalies`](super::WindowOps::flag_anomalies).
#[derive(Debug, Clone)]
pub struct FlagAnomalies<D, F> {
    detector: D,
    value: F,
}

impl<D, F> FlagAnomalies<D, F> {
    pub(super) fn new(detector: D, value: F) -> Self {
        Self { detector, value }
    }
}

impl<D: Detector, F: FnMut(&I) -> f64, I> Kernel<I, Scored<I>> for FlagAnomalies<D, F> {
    const NAME: &'static str = "flag_anomalies";

    #[inline]
    fn next(&mut self, item: I) -> Emit<Scored<I>> {
        let value = (self.value)(&item);
        // What is no number is unusual by itself, and no measure for others.
        let score = if value.is_finite() { self.detector.score(value) } else { Some(f64::INFINITY) };
        let flagged = score.is_some_and(|score| score > self.detector.threshold());
        Emit::Item(Scored { item, score, flagged })
    }
}
