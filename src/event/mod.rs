//! Ready-made events: sensor readings, motion samples, position fixes, payments, clicks and records of logs.
//!
//! Each is decoded and checked in one go, from the text as it comes; what fails says why as a
//! [`Reason`](crate::dead_letter::Reason): *decode* when the text has the wrong shape, *validation* when a field of
//! well-formed text breaks a rule. They are [`Validate`](validator::Validate), so that values made by other means are
//! checked by the same rules.
//!
//! All treat the same alike: unknown fields are ignored; a date that does not exist is refused; numbers that are not finite
//! break a rule (JSON has none); negative zero is a number like any other where zero is allowed.
//!
//! Their names are `Arc<str>`: an event is cheap to clone, and so is a key that is taken from it.

mod click;
#[cfg(feature = "files")]
mod elapsed;
mod fix;
mod log;
mod motion;
mod payment;
mod rest;
mod sensor;
pub mod utc;

pub use click::Click;
pub use fix::{GeoFix, Position};
pub use iso_currency::Currency;
pub use log::{LogLevel, LogRecord};
pub use motion::MotionSample;
pub use payment::Payment;
pub use sensor::SensorReading;

use std::borrow::Cow;

use validator::{ValidationError, ValidationErrors};

use crate::dead_letter::Payload;

macro_rules! payload_as_json {
    ($($event:ty),*) => {$(
        /// As JSON.
        impl Payload for $event {
            fn payload(&self) -> Cow<'_, [u8]> {
                serde_json::to_vec(self).unwrap_or_default().into()
            }
        }
    )*};
}
payload_as_json!(Click, GeoFix, LogRecord, MotionSample, Payment, SensorReading);

/// The rules that an event breaks; empty, and free of cost, for most.
#[derive(Default)]
struct Violations(Option<ValidationErrors>);

impl Violations {
    #[cold]
    fn add(&mut self, field: &'static str, code: &'static str, message: impl Into<Cow<'static, str>>) {
        let error = ValidationError::new(code).with_message(message.into());
        self.0.get_or_insert_default().add(field, error);
    }

    fn finite(&mut self, field: &'static str, value: f64) {
        if !value.is_finite() {
            self.add(field, "finite", "must be finite");
        }
    }

    fn into_result(self) -> Result<(), ValidationErrors> {
        self.0.map_or(Ok(()), Err)
    }
}
