//! What becomes of a delivery that is dropped: done, unless it is dropped where something has come to an end.

use std::cell::Cell;

/// What has become of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Dropped in the usual course of things.
    Filtered,
    /// Dropped by a policy of a name.
    Dropped,
    /// In a dead-letter queue, durably.
    DeadLettered,
    /// Arrived.
    Delivered,
    /// Not done: what held it has ended.
    Abandoned,
}

thread_local! {
    /// How many [`Abandoned`] are being dropped, one in the other.
    static ABANDONING: Cell<u32> = const { Cell::new(0) };
    /// An operator ends an earlier source for a later one: what that held is dropped by policy.
    static CANCELLED: Cell<bool> = const { Cell::new(false) };
    /// What a drop means otherwise.
    static FATE: Cell<Fate> = const { Cell::new(Fate::Filtered) };
}

/// Whether what is dropped here and now is not done: it is dropped by a panic, or with an operator whose stream has ended.
/// For events of your own whose drop tells their source that they are done.
pub fn is_abandoning() -> bool {
    (ABANDONING.get() > 0 && !CANCELLED.get()) || std::thread::panicking()
}

/// What a drop means here and now.
pub(super) fn of_a_drop() -> Fate {
    match () {
        () if is_abandoning() => Fate::Abandoned,
        () if CANCELLED.get() => Fate::Dropped,
        () => FATE.get(),
    }
}

/// Runs `f`; what is dropped in it has that fate.
pub(crate) fn with_fate<R>(fate: Fate, f: impl FnOnce() -> R) -> R {
    struct Outer(Fate);
    impl Drop for Outer {
        fn drop(&mut self) {
            FATE.set(self.0);
        }
    }
    let _outer = Outer(FATE.replace(fate));
    f()
}

/// Drops an item that is not done, where it is what a stream fails at.
#[cold]
pub(crate) fn abandon<T>(item: T) {
    abandoning(|| drop(item));
}

/// Runs `f`; what is dropped in it is not done.
pub(crate) fn abandoning<R>(f: impl FnOnce() -> R) -> R {
    Begin::count();
    let _end = End;
    f()
}

/// Runs `f`, which ends a source that has given way to a later one (`switch_map`): what it held is dropped by that policy,
/// also by operators that have ended with it. Otherwise it would come again, and give way again, for ever.
pub(crate) fn cancelled<R>(f: impl FnOnce() -> R) -> R {
    let _outer = Was(CANCELLED.replace(true));
    f()
}

/// Sets [`CANCELLED`] to what it was.
struct Was(bool);

impl Drop for Was {
    fn drop(&mut self) {
        CANCELLED.set(self.0);
    }
}

/// Runs what goes on below something that is being dropped: another source there may begin, and its items are done as
/// usual.
pub(crate) fn going_on<R>(f: impl FnOnce() -> R) -> R {
    struct Outer(u32);
    impl Drop for Outer {
        fn drop(&mut self) {
            ABANDONING.set(self.0);
        }
    }
    let _outer = (Outer(ABANDONING.replace(0)), Was(CANCELLED.replace(false)));
    f()
}

/// What an operator keeps: whatever of it is left when the operator is dropped is not done, however the stream has ended.
///
/// It has no drop of its own, so that the value can be taken out of it; its fields are dropped in their order.
#[derive(Clone)]
pub(crate) struct Abandoned<T> {
    _begin: Begin,
    pub(crate) value: T,
    _end: End,
}

impl<T> Abandoned<T> {
    #[inline(always)]
    pub(crate) fn new(value: T) -> Self {
        Self { _begin: Begin, value, _end: End }
    }
}

/// What a buffer's policy has not kept.
pub(crate) struct DroppedByPolicy<T> {
    _begin: BeginDropped,
    value: T,
    _end: EndDropped,
}

impl<T> DroppedByPolicy<T> {
    #[inline(always)]
    pub(crate) fn new(value: T) -> Self {
        Self { _begin: BeginDropped, value, _end: EndDropped }
    }

    pub(crate) fn into_inner(self) -> T {
        self.value
    }
}

struct BeginDropped;

impl Drop for BeginDropped {
    fn drop(&mut self) {
        FATE.set(Fate::Dropped);
    }
}

struct EndDropped;

impl Drop for EndDropped {
    fn drop(&mut self) {
        FATE.set(Fate::Filtered);
    }
}

/// The first field of what is [`Abandoned`] as a whole, where one type more would make those of long chains too deep.
#[derive(Clone)]
pub(crate) struct Begin;

impl Begin {
    fn count() {
        ABANDONING.set(ABANDONING.get() + 1);
    }
}

impl Drop for Begin {
    #[cold]
    fn drop(&mut self) {
        Self::count();
    }
}

/// Its last field.
#[derive(Clone)]
pub(crate) struct End;

impl Drop for End {
    #[cold]
    fn drop(&mut self) {
        ABANDONING.set(ABANDONING.get() - 1);
    }
}
