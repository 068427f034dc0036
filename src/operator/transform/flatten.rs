use super::FlatMap;

/// What the operators that flatten a stream of streams make of an item: the item itself.
pub type Itself<In> = fn(In) -> In;

/// A [`FlatMap`] of inner sources that are there already.
pub type Flatten<S, In, T, E> = FlatMap<S, Itself<In>, In, In, T, E>;
