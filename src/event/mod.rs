//! Ready-made events: sensor readings, payments and clicks.
//!
//! Each is decoded and checked in one go, from the text as it comes; what fails says why as a
//! [`Reason`](crate::dead_letter::Reason): *decode* when the text has the wrong shape, *validation* when a field of
//! well-formed text breaks a rule. They are [`Validate`](validator::Validate), so that values made by other means are
//! checked by the same rules.
//!
//! Their names are `Arc<str>`: an event is cheap to clone, and so is a key that is taken from it.

mod click;
mod payment;
mod sensor;
pub mod utc;

pub use click::Click;
pub use iso_currency::Currency;
pub use payment::Payment;
pub use sensor::SensorReading;

use std::borrow::Cow;

use validator::{ValidationError, ValidationErrors};

/// The rules that an event breaks; empty, and free of cost, for most.
#[derive(Default)]
struct Violations(Option<ValidationErrors>);

impl Violations {
    #[cold]
    fn add(&mut self, field: &'static str, code: &'static str, message: impl Into<Cow<'static, str>>) {
        let error = ValidationError::new(code).with_message(message.into());
        self.0.get_or_insert_default().add(field, error);
    }

    fn into_result(self) -> Result<(), ValidationErrors> {
        self.0.map_or(Ok(()), Err)
    }
}
