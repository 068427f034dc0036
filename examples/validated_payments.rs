//! Validation: invoice lines are decoded and checked; those that break a rule are kept for audit, byte for byte.
//!
//! ```text
//! cargo run --release --example validated_payments -- [invoices.csv] [--dead-letters OUT.jsonl] [--json]
//! ```
//! The file has the columns `Description`, `Quantity`, `UnitPrice` and `CustomerID`; there may be more. Without one,
//! 20,000 lines are made up. A line is valid when it has a customer, a description, and an amount (quantity times unit
//! price, exactly) above 0.
//!
//! Rejected lines are dead letters in OUT.jsonl, one JSON object each, with their bytes, their line and all rules that
//! they break. A file that is there is replaced; without the option it is in the folder for temporary files.
//!
//! `{"lines": records, "valid": …, "valid_sum": …, "rejected": …, "reasons": {"amount": …, "amount+customer": …}}`, and
//! `lines = valid + rejected`. Reasons are the fields of the broken rules, sorted; what is no invoice line at all is
//! under `decode`, or `too_long`.

mod common;
#[path = "storefront/invoice.rs"]
mod invoice;

use std::{cell::Cell, collections::BTreeMap, error::Error, process::ExitCode, rc::Rc};

use common::{Args, Failure, Rejects, Usage, columns::with_columns, input, tally::Counter};
use invoice::InvoiceLine;
use rust_decimal::Decimal;
use rxevents::{prelude::*, source::SplitMix64};
use serde::Serialize;
use serde_json::value::RawValue;

const USAGE: Usage = Usage {
    text: "\
usage: validated_payments [invoices.csv] [--dead-letters OUT.jsonl] [--json]

  invoices.csv              in the columns Description, Quantity, UnitPrice and CustomerID; without one, lines are
                            made up
  --dead-letters OUT.jsonl  where rejected lines are kept; a file that is there is replaced
  --json                    print the figures on one line",
    flags: &[],
    options: &["dead-letters"],
    files: 1,
};

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

#[derive(Serialize)]
struct Figures {
    lines: u64,
    valid: u64,
    /// A number, to its last digit.
    valid_sum: Box<RawValue>,
    rejected: u64,
    reasons: BTreeMap<String, u64>,
}

fn job(args: &Args) -> Result<Figures, Box<dyn Error>> {
    let records = with_columns(input::table(args.file(0), made_up())?, &invoice::COLUMNS)?;
    let rejects = Rejects::replace(args, "validated-payments.jsonl")?;
    let failure = Failure::default();
    let (lines, valid, sum) = (Counter::default(), Counter::default(), Rc::new(Cell::new(Decimal::ZERO)));

    let (taken, arrived, total) = (lines.clone(), valid.clone(), sum.clone());
    Local::from_iter(records)
        .tap(move |_| taken.add(1))
        .dead_letter(rejects.clone())
        .try_map_stage("invoice", InvoiceLine::from_record)
        .dead_letter(rejects.clone())
        .tap(move |line| {
            arrived.add(1);
            total.set(total.get() + line.amount);
        })
        .stream_error()
        // Letters that cannot be stored would end up here, and so would a sum of more than 28 digits.
        .on_error_route(failure.observer())
        .subscribe(|_| {});
    failure.check()?;

    let mut sum = sum.get().normalize();
    sum.rescale(sum.scale().max(2));
    Ok(Figures {
        lines: lines.get(),
        valid: valid.get(),
        valid_sum: RawValue::from_string(sum.to_string())?,
        rejected: rejects.check()?,
        reasons: rejects.reasons(),
    })
}

/// Invoice lines: some of them cancelled, without a customer, free of charge, or no invoice lines.
fn made_up() -> impl Iterator<Item = String> {
    let mut random = SplitMix64::new(1);
    let lines = (0..20_000).map(move |_| {
        let quantity = input::below(&mut random, 12) + 1;
        let cents = input::below(&mut random, 2_000) + 1;
        let (units, cents, customer) = (cents / 100, cents % 100, 12_000 + input::below(&mut random, 5_000));
        match input::below(&mut random, 100) {
            0..3 => format!("LANTERN,-{quantity},{units}.{cents:02},{customer}"),
            3..6 => format!("LANTERN,{quantity},{units}.{cents:02},"),
            6 => format!(",{quantity},0,"),
            7 => format!("LANTERN,a dozen,{units}.{cents:02},{customer}"),
            8 => format!("LANTERN,{quantity}"),
            _ => format!("LANTERN,{quantity},{units}.{cents:02},{customer}"),
        }
    });
    std::iter::once(invoice::COLUMNS.join(",")).chain(lines)
}
