use crate::{
    delivery::fate::abandon,
    error::StreamError,
    operator::apply::{Emit, Kernel},
};

const NAME: &str = "single";

/// See [`single`](super::FilterOps::single).
#[derive(Clone)]
pub struct Single<I> {
    only: Option<I>,
    /// The source has completed without an item.
    missing: bool,
}

impl<I> Single<I> {
    pub(super) fn new() -> Self {
        Self { only: None, missing: false }
    }
}

impl<I> Kernel<I, I> for Single<I> {
    const NAME: &'static str = NAME;

    #[inline]
    fn next(&mut self, item: I) -> Emit<I> {
        if self.only.is_some() {
            abandon(item);
            return Emit::Fail(StreamError::SeveralItems(NAME));
        }
        self.only = Some(item);
        Emit::Skip
    }

    fn finish(&mut self) -> Option<I> {
        self.missing = self.only.is_none();
        self.only.take()
    }

    fn end(&mut self) -> Result<(), StreamError> {
        if self.missing { Err(StreamError::NoItem(NAME)) } else { Ok(()) }
    }
}
