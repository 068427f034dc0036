use super::Aggregate;

/// The mean of `f` of each event, by Welford's method: no sum that grows. NaN and infinities make it NaN.
pub fn mean<F>(f: F) -> Statistic<F, Option<f64>> {
    Statistic { f, result: |moments| (moments.count > 0).then_some(moments.mean) }
}

/// Mean and variance of `f` of each event, by Welford's method, and Chan's for two together.
pub fn variance<F>(f: F) -> Statistic<F, Moments> {
    Statistic { f, result: |moments| *moments }
}

/// How many values, their mean, and how they are spread.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Moments {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The sum of the squares of the distances to the mean.
    pub m2: f64,
}

impl Moments {
    /// Variance of the whole: over the count.
    pub fn population(&self) -> Option<f64> {
        (self.count > 0).then(|| self.m2 / self.count as f64)
    }

    /// Variance estimated of a sample: over the count less one.
    pub fn sample(&self) -> Option<f64> {
        (self.count > 1).then(|| self.m2 / (self.count - 1) as f64)
    }

    #[inline]
    fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.m2 += before * (value - self.mean);
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let count = self.count + other.count;
        let (apart, share) = (other.mean - self.mean, other.count as f64 / count as f64);
        self.m2 += other.m2 + apart * apart * self.count as f64 * share;
        self.mean += apart * share;
        self.count = count;
    }
}

/// See [`mean`] and [`variance`].
#[derive(Debug, Clone, Copy)]
pub struct Statistic<F, R> {
    f: F,
    result: fn(&Moments) -> R,
}

impl<T, F: Fn(&T) -> f64, R> Aggregate<T> for Statistic<F, R> {
    type Acc = Moments;
    type Out = R;

    fn create(&self) -> Moments {
        Moments::default()
    }

    #[inline]
    fn add(&self, acc: &mut Moments, event: &T, _at: i64) {
        acc.add((self.f)(event));
    }

    fn merge(&self, acc: &mut Moments, other: &Moments) {
        acc.merge(other);
    }

    fn result(&self, acc: &Moments) -> R {
        (self.result)(acc)
    }
}
