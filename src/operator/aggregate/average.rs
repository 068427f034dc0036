use crate::operator::apply::{Emit, Kernel};

/// See [`average`](super::AggregateOps::average).
#[derive(Clone, Default)]
pub struct Average(Mean);

/// See [`average_by`](super::AggregateOps::average_by).
#[derive(Clone)]
pub struct AverageBy<F> {
    mean: Mean,
    value: F,
}

impl<F> AverageBy<F> {
    pub(super) fn new(value: F) -> Self {
        Self { mean: Mean::default(), value }
    }
}

impl Kernel<f64, f64> for Average {
    const NAME: &'static str = "average";

    #[inline(always)]
    fn next(&mut self, item: f64) -> Emit<f64> {
        self.0.add(item)
    }

    fn finish(&mut self) -> Option<f64> {
        self.0.get()
    }
}

impl<F: FnMut(&I) -> f64, I> Kernel<I, f64> for AverageBy<F> {
    const NAME: &'static str = "average_by";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<f64> {
        self.mean.add((self.value)(&item))
    }

    fn finish(&mut self) -> Option<f64> {
        self.mean.get()
    }
}

#[derive(Clone, Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    #[inline(always)]
    fn add(&mut self, value: f64) -> Emit<f64> {
        self.sum += value;
        self.count += 1;
        Emit::Skip
    }

    fn get(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}
