//! The shop's own record: a line of an invoice, read from CSV, with its rules.

use rust_decimal::Decimal;
use rxevents::{event::Payment, prelude::*, source::CsvRecord};
use serde::Deserialize;
use validator::{Validate, ValidationError};

/// A line of an invoice. A cancellation has an amount below 0, a gift one of 0.
#[derive(Debug, Deserialize, Validate)]
#[serde(try_from = "Row")]
pub(crate) struct InvoiceLine {
    #[validate(required(message = "must be there"))]
    pub(crate) description: Option<Box<str>>,
    /// Quantity times unit price.
    #[validate(custom(function = "payable"))]
    pub(crate) amount: Decimal,
    #[validate(required(message = "must be there"))]
    pub(crate) customer: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    description: Option<Box<str>>,
    quantity: i64,
    unit_price: Decimal,
    #[serde(rename = "CustomerID")]
    customer: Option<Box<str>>,
}

/// The columns that it is made of; there may be more.
pub(crate) const COLUMNS: [&str; 4] = ["Description", "Quantity", "UnitPrice", "CustomerID"];

impl InvoiceLine {
    /// Decodes and checks a record.
    pub(crate) fn from_record(record: &CsvRecord) -> Result<Self, Reason> {
        let line: Self = record.deserialize()?;
        line.validate()?;
        Ok(line)
    }
}

impl TryFrom<Row> for InvoiceLine {
    type Error = String;

    fn try_from(row: Row) -> Result<Self, String> {
        let Row { description, quantity, unit_price, customer } = row;
        let amount = Decimal::from(quantity).checked_mul(unit_price);
        let amount = amount.ok_or_else(|| format!("{quantity} times {unit_price} is too much"))?;
        let given = |text: &str| !text.trim_ascii().is_empty();
        Ok(Self {
            description: description.filter(|text| given(text)),
            amount,
            customer: customer.filter(|text| given(text)),
        })
    }
}

fn payable(amount: &Decimal) -> Result<(), ValidationError> {
    if *amount <= Decimal::ZERO {
        Err(ValidationError::new("range").with_message("must be above 0".into()))
    } else if *amount > Payment::MAX_AMOUNT {
        Err(ValidationError::new("range")
            .with_message(format!("must be at most {}", Payment::MAX_AMOUNT).into()))
    } else {
        Ok(())
    }
}
