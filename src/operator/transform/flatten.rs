use super::{FlatMap, Wait};

/// What the operators that flatten a stream of streams make of an item: the item itself.
pub type Itself<In> = fn(In) -> In;

/// A [`FlatMap`] of inner sources that are there already.
pub type Flatten<S, In, T, E, W = Wait> = FlatMap<S, Itself<In>, In, In, T, E, W>;
