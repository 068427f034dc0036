use std::vec::Drain;

use super::Rows;
use crate::{
    buffer::Buffer,
    error::{OverflowError, StreamError, named},
    held::Held,
};

/// The n-th of each.
#[derive(Clone)]
pub struct ZipRow<F, T> {
    f: F,
    buffer: Buffer,
    waiting: Vec<Held<T>>,
    done: Vec<bool>,
    /// How many sources have nothing waiting.
    missing: usize,
    row: Vec<T>,
    over: bool,
}

impl<F, T> ZipRow<F, T> {
    pub(crate) fn new(f: F, buffer: Buffer) -> Self {
        Self { f, buffer, waiting: Vec::new(), done: Vec::new(), missing: 0, row: Vec::new(), over: false }
    }
}

impl<F: FnMut(Drain<'_, T>) -> R, T, R> Rows<T, R> for ZipRow<F, T> {
    fn open(&mut self, sources: usize) -> Result<(), StreamError> {
        self.waiting = (0..sources).map(|_| Held::open(&self.buffer)).collect();
        self.done = vec![false; sources];
        (self.missing, self.over) = (sources, sources == 0);
        Ok(())
    }

    #[inline]
    fn item(&mut self, n: usize, item: T) -> Result<Option<R>, OverflowError> {
        let Self { f, buffer, waiting, done, missing, row, over } = self;
        let first = waiting[n].is_empty();
        buffer.push(&mut waiting[n], item, "zip_all").map_err(|(full, _)| full)?;
        *missing -= usize::from(first);
        if *missing > 0 {
            return Ok(None);
        }
        for (queue, done) in waiting.iter_mut().zip(done) {
            row.extend(queue.pop_front());
            if queue.is_empty() {
                *missing += 1;
                *over |= *done;
            }
        }
        Ok(Some(named(|| "zip_all", || f(row.drain(..)))))
    }

    fn done(&mut self, n: usize) {
        self.done[n] = true;
        self.over |= self.waiting[n].is_empty();
    }

    #[inline]
    fn is_over(&self) -> bool {
        self.over
    }
}
