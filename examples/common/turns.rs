//! Two inputs, read in turn.

/// Reads on the input that is behind. `None` is the end of one.
pub(crate) struct Turns<L, R, F> {
    pub(crate) left: Option<L>,
    pub(crate) right: Option<R>,
    /// Whether the left one is behind.
    pub(crate) left_behind: F,
}

pub(crate) enum Turn<L, R> {
    Left(Option<L>),
    Right(Option<R>),
}

impl<L: Iterator, R: Iterator, F: FnMut() -> bool> Iterator for Turns<L, R, F> {
    type Item = Turn<L::Item, R::Item>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(left) = &mut self.left
            && (self.right.is_none() || (self.left_behind)())
        {
            let item = left.next();
            self.left.take_if(|_| item.is_none());
            return Some(Turn::Left(item));
        }
        let item = self.right.as_mut()?.next();
        self.right.take_if(|_| item.is_none());
        Some(Turn::Right(item))
    }
}
