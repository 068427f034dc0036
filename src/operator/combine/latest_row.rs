use super::Rows;
use crate::error::{OverflowError, StreamError, named};

/// The latest of each.
#[derive(Clone)]
pub struct LatestRow<F, T> {
    f: F,
    /// Until each has one.
    first: Vec<Option<T>>,
    missing: usize,
    latest: Vec<T>,
    live: usize,
    over: bool,
}

impl<F, T> LatestRow<F, T> {
    pub(crate) fn new(f: F) -> Self {
        Self { f, first: Vec::new(), missing: 0, latest: Vec::new(), live: 0, over: false }
    }
}

impl<F: FnMut(&[T]) -> R, T, R> Rows<T, R> for LatestRow<F, T> {
    fn open(&mut self, sources: usize) -> Result<(), StreamError> {
        self.first.resize_with(sources, || None);
        (self.missing, self.live, self.over) = (sources, sources, sources == 0);
        Ok(())
    }

    #[inline]
    fn item(&mut self, n: usize, item: T) -> Result<Option<R>, OverflowError> {
        match self.latest.get_mut(n) {
            Some(latest) => *latest = item,
            None => {
                let new = self.first[n].replace(item).is_none();
                self.missing -= usize::from(new);
                if self.missing > 0 {
                    return Ok(None);
                }
                self.latest = std::mem::take(&mut self.first).into_iter().flatten().collect();
            }
        }
        Ok(Some(named(|| "combine_latest_all", || (self.f)(&self.latest))))
    }

    fn done(&mut self, n: usize) {
        self.live -= 1;
        self.over |= self.live == 0 || matches!(self.first.get(n), Some(None));
    }

    #[inline]
    fn is_over(&self) -> bool {
        self.over
    }
}
