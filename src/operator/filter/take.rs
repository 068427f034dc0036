use crate::{
    delivery::fate::abandoning,
    operator::apply::{Emit, Kernel},
};

/// See [`take`](super::FilterOps::take).
#[derive(Clone)]
pub struct Take {
    pub(super) left: usize,
}

impl<I> Kernel<I, I> for Take {
    const NAME: &'static str = "take";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        match self.left {
            0 => {
                // Nobody has asked for it.
                abandoning(|| drop(item));
                Emit::End
            }
            1 => Emit::Last(item),
            left => {
                self.left = left - 1;
                Emit::Item(item)
            }
        }
    }
}
