//! The books of a test's pipelines, looked at when the test is over.

use crate::{
    delivery::{Acknowledger, DeliveryCounts},
    pipeline::Pipeline,
};

/// What [`balanced`] looks at: [pipelines](Pipeline), [acknowledgers](Acknowledger), several of them.
pub trait Books {
    /// Where the events of each source are.
    fn counts(&self) -> Vec<DeliveryCounts>;
}

impl Books for Pipeline {
    fn counts(&self) -> Vec<DeliveryCounts> {
        self.ledger().deliveries
    }
}

impl Books for Acknowledger {
    fn counts(&self) -> Vec<DeliveryCounts> {
        vec![Acknowledger::counts(self)]
    }
}

impl<B: Books> Books for [B] {
    fn counts(&self) -> Vec<DeliveryCounts> {
        self.iter().flat_map(Books::counts).collect()
    }
}

impl<B: Books, const N: usize> Books for [B; N] {
    fn counts(&self) -> Vec<DeliveryCounts> {
        self.as_slice().counts()
    }
}

/// A guard that looks at the books when it is dropped: every event is accounted for, and none is in flight.
///
/// Make it before what it is to outlive, that is, at the beginning of a test: it is then dropped last. It says nothing
/// while a test panics.
///
/// ```
/// use rxevents::{delivery::MemoryPosition, prelude::*, testing::balanced};
///
/// let acks = Acknowledger::new("numbers", MemoryPosition::default())?;
/// let _books = balanced(&acks);
/// Local::from_iter_result(acks.deliver(0..10))
///     .on_error_route(observer(|error: StreamError| panic!("{error}")))
///     .subscribe(|number| _ = number.ack());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// ```should_panic
/// # use rxevents::{delivery::MemoryPosition, prelude::*, testing::balanced};
/// let acks = Acknowledger::new("numbers", MemoryPosition::default()).unwrap();
/// let number = acks.deliver(0..10).next();
/// let books = balanced(&acks);
/// drop(books); // `number` is still held
/// ```
pub fn balanced<B: Books + Clone>(books: &B) -> Balanced<B> {
    Balanced { books: books.clone(), holding: false }
}

/// See [`balanced`].
#[must_use = "it looks at the books when it is dropped"]
pub struct Balanced<B: Books> {
    books: B,
    holding: bool,
}

impl<B: Books> Balanced<B> {
    /// Events may still be in flight at the end.
    pub fn holding(mut self) -> Self {
        self.holding = true;
        self
    }
}

impl<B: Books> Drop for Balanced<B> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for counts in self.books.counts() {
            if let Err(imbalance) = counts.check() {
                panic!("{imbalance}");
            }
            assert!(self.holding || counts.in_flight == 0, "events are still in flight: {counts:?}");
        }
    }
}
