use crate::{
    buffer::Buffer,
    error::StreamError,
    held::Held,
    operator::apply::{Emit, Kernel},
};

/// See [`to_vec`](super::AggregateOps::to_vec).
pub struct ToVec<I> {
    buffer: Buffer,
    /// Opened with the first item: it belongs to a subscription.
    items: Option<Held<I>>,
}

impl<I> ToVec<I> {
    pub(super) fn new(buffer: Buffer) -> Self {
        Self { buffer, items: None }
    }
}

/// Of an operator that has not been subscribed: it holds nothing yet.
impl<I> Clone for ToVec<I> {
    fn clone(&self) -> Self {
        Self::new(self.buffer.clone())
    }
}

impl<I> Kernel<I, Vec<I>> for ToVec<I> {
    const NAME: &'static str = "to_vec";

    #[inline]
    fn next(&mut self, item: I) -> Emit<Vec<I>> {
        let items = self.items.get_or_insert_with(|| Held::open(&self.buffer));
        match self.buffer.push(items, item, "to_vec") {
            Ok(_) => Emit::Skip,
            Err((full, _)) => Emit::Fail(full.into()),
        }
    }

    fn finish(&mut self) -> Option<Vec<I>> {
        Some(self.items.take().map_or_else(Vec::new, |mut items| items.close().into()))
    }

    /// What is left then goes with a stream that has failed.
    fn end(&mut self) -> Result<(), StreamError> {
        if let Some(mut items) = self.items.take() {
            self.buffer.drop_all(&mut items);
        }
        Ok(())
    }
}
