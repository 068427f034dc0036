use std::{
    borrow::Cow,
    collections::BTreeMap,
    ops::{Deref, DerefMut},
};

use validator::{Validate, ValidationErrors};

use super::Receipt;
use crate::dead_letter::{DeadLetter, Origin, Payload, Reason, Rejected, attempt};

/// An event of a source that can be told when it is done: the value, and the [`Receipt`].
///
/// It is used like the value (`Deref`), and what is made of it carries the receipt on: [`map`](Self::map),
/// [`derive`](Self::derive), [`gather`](Self::gather) for a window, [`pair`](Self::pair) for two that were joined.
///
/// ```
/// use rxevents::{delivery::{Acknowledger, MemoryPosition}, prelude::*};
///
/// let position = MemoryPosition::default();
/// let acks = Acknowledger::new("readings", position.clone())?;
/// let mut kept = vec![];
/// for reading in acks.deliver(vec![20.1, -999.0, 20.3].into_iter()) {
///     let reading = reading?;
///     if *reading > -100.0 {
///         kept.push(reading); // not done yet
///     } // else: dropped, so done
/// }
/// assert_eq!(acks.commit()?, None); // the first is still held
/// kept.remove(0).ack();
/// assert_eq!(acks.commit()?.map(|at| at.lines), Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Delivery<T> {
    value: T,
    receipt: Receipt,
}

impl<T> Delivery<T> {
    /// A value with the receipt of what it was made from.
    pub fn new(value: T, receipt: Receipt) -> Self {
        Self { value, receipt }
    }

    /// A value of no source.
    pub fn untracked(value: T) -> Self {
        Self::new(value, Receipt::untracked())
    }

    /// The value and the receipt, each for itself.
    pub fn into_parts(self) -> (T, Receipt) {
        (self.value, self.receipt)
    }

    /// The receipt.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// `f` of the value, with the receipt.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Delivery<U> {
        Delivery { value: f(self.value), receipt: self.receipt }
    }

    /// Another value made from this one: the event is done when both are.
    pub fn derive<U>(&self, value: U) -> Delivery<U> {
        Delivery { value, receipt: self.receipt.clone() }
    }

    /// `f` of the value; where it fails, or panics, the delivery as it was, rejected by `stage`.
    ///
    /// # Errors
    /// What `f` says of the value.
    pub fn try_map<U>(
        self,
        stage: &'static str,
        f: impl FnOnce(&T) -> Result<U, Reason>,
    ) -> Result<Delivery<U>, Rejected<Self>> {
        match attempt(stage, || f(&self.value)) {
            Ok(value) => {
                let Self { value: before, receipt } = self;
                // Before there is something to return, which would leak if this panicked.
                drop(before);
                Ok(Delivery { value, receipt })
            }
            Err(reason) => Err(Rejected::new(self, stage, reason)),
        }
    }

    /// Several as one: a window, a batch. It is done when the whole is.
    pub fn gather(deliveries: impl IntoIterator<Item = Self>) -> Delivery<Vec<T>> {
        let mut receipt = Receipt::untracked();
        let values = deliveries.into_iter().map(|delivery| {
            receipt = std::mem::take(&mut receipt).and(delivery.receipt);
            delivery.value
        });
        let values = values.collect();
        Delivery { value: values, receipt }
    }

    /// Two as one: a pair of a `zip` or a join.
    pub fn pair<U>(self, other: Delivery<U>) -> Delivery<(T, U)> {
        Delivery { value: (self.value, other.value), receipt: self.receipt.and(other.receipt) }
    }

    /// Done: it has arrived. To drop it says "done" as well, but counts as filtered, and says so only while its stream
    /// goes on; see [`Receipt`].
    pub fn ack(self) -> T {
        self.receipt.ack();
        self.value
    }

    /// Not done: its source will deliver it again when it resumes.
    pub fn abandon(self) -> T {
        self.receipt.abandon();
        self.value
    }
}

impl<T, I> Delivery<Result<T, Rejected<I>>> {
    /// What a source yields, as what `dead_letter` takes.
    ///
    /// # Errors
    /// The value is one.
    pub fn transpose(self) -> Result<Delivery<T>, Rejected<Delivery<I>>> {
        let receipt = self.receipt;
        match self.value {
            Ok(value) => Ok(Delivery { value, receipt }),
            Err(rejected) => Err(rejected.map_item(|item| Delivery { value: item, receipt })),
        }
    }
}

impl<T> Deref for Delivery<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Delivery<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> AsRef<T> for Delivery<T> {
    fn as_ref(&self) -> &T {
        &self.value
    }
}

impl<T: Validate> Validate for Delivery<T> {
    fn validate(&self) -> Result<(), ValidationErrors> {
        self.value.validate()
    }
}

impl<T: Payload> Payload for Delivery<T> {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.value.payload()
    }

    fn origin(&self) -> Option<Origin> {
        self.value.origin().or_else(|| self.receipt.origin())
    }

    fn headers(&self) -> BTreeMap<String, String> {
        self.value.headers()
    }

    fn acknowledges(&self) -> bool {
        self.receipt.events() > 0
    }

    fn letter(&self) -> Option<&DeadLetter> {
        self.value.letter()
    }
}
