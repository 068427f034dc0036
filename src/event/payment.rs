use std::{borrow::Cow, sync::LazyLock};

use chrono::{DateTime, NaiveDate, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;
use validator::{Validate, ValidationErrors};

use super::Violations;
use crate::dead_letter::Reason;

/// A payment, as JSON `{"id": …, "amount": …, "currency": …, "timestamp": …}`.
///
/// | field | rule (code) |
/// |---|---|
/// | `id` | a UUID, hyphenated (`uuid`), not nil (`nil`) |
/// | `amount` | a JSON number, taken exactly as written: more than 28 digits, or a fraction too small, are refused, not rounded (`inexact`). Above 0 (`range`; zero and negative zero are not) and at most [`Payment::MAX_AMOUNT`] (`range`). No more decimals than the currency has, zeros at the end not counted (`too_many_decimals`). `1.5e2` is 150 |
/// | `currency` | an ISO 4217 code in capital letters (`unknown_currency`) of a currency that one can pay in, so not `XXX`, `XTS` or gold (`not_payable`), and not after its last day, such as 2022-12-31 for `HRK` (`withdrawn_currency`) |
/// | `timestamp` | RFC 3339, so with a zone, and a date that exists (`rfc3339`). Second 60 is a leap second |
///
/// A [`Payment`] may be read and written by serde, too, from JSON only (the amount stays an exact number). That checks
/// what the types demand; the other rules are [`validate`](Validate::validate)'s.
///
/// ```
/// use rxevents::{dead_letter::FailureKind, event::{Currency, Payment}};
///
/// let json = br#"{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","amount":12.30,"currency":"EUR","timestamp":"2024-05-01T12:00:00Z"}"#;
/// let payment = Payment::from_json(json)?;
/// assert_eq!(payment.amount.to_string(), "12.30");
/// assert_eq!(payment.currency, Currency::EUR);
///
/// let json = br#"{"id":"7","amount":1.5,"currency":"JPY","timestamp":"2024-05-01T12:00:00Z"}"#;
/// let reason = Payment::from_json(json).unwrap_err();
/// assert_eq!(reason.kind(), FailureKind::Validation);
/// assert_eq!(reason.message(), "amount: at most 0 decimals in JPY; id: must be a hyphenated UUID");
/// # Ok::<(), rxevents::dead_letter::Reason>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The payment's id.
    pub id: Uuid,
    /// The amount, in units of the currency.
    #[serde(with = "exact")]
    pub amount: Decimal,
    /// The currency.
    #[serde(with = "code")]
    pub currency: Currency,
    /// When it was made.
    #[serde(rename = "timestamp")]
    pub at: DateTime<Utc>,
}

/// The fields as they are written, borrowed from the text.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    amount: &'a RawValue,
    #[serde(borrow)]
    currency: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
}

impl Payment {
    /// The largest amount, in any currency: 999,999,999.99, as for a SEPA credit transfer.
    pub const MAX_AMOUNT: Decimal = Decimal::from_parts(1_215_752_191, 23, 0, false, 2);

    /// Decodes and checks a payment, without copying the text.
    ///
    /// Fields that it does not know are ignored.
    ///
    /// # Errors
    /// [`Reason::Decode`] when it is no JSON object, or when a field is missing, given twice or of the wrong JSON type;
    /// [`Reason::Validation`], with all broken rules, when fields are of the right type, but wrong.
    pub fn from_json(json: &[u8]) -> Result<Self, Reason> {
        // serde would take an array for the fields in order.
        if json.trim_ascii_start().first() == Some(&b'[') {
            return Err(Reason::decode("invalid type: array, expected an object"));
        }
        let raw: Raw<'_> = serde_json::from_slice(json)?;
        if !is_number(raw.amount) {
            return Err(Reason::decode("invalid type: `amount` is not a number"));
        }
        let mut violations = Violations::default();
        let id = parse_id(&raw.id);
        match id {
            None => violations.add("id", "uuid", "must be a hyphenated UUID"),
            Some(id) => check_id(id, &mut violations),
        }
        let at = DateTime::parse_from_rfc3339(&raw.timestamp).ok().map(|at| at.to_utc());
        if at.is_none() {
            violations.add("timestamp", "rfc3339", "must be an RFC 3339 time that exists");
        }
        let currency = parse_currency(&raw.currency);
        match currency {
            None => {
                violations.add("currency", "unknown_currency", "must be an ISO 4217 code in capital letters")
            }
            Some(currency) => check_currency(currency, at, &mut violations),
        }
        let amount = parse_amount(raw.amount.get());
        match amount {
            None => violations.add("amount", "inexact", "must have at most 28 digits"),
            Some(amount) => check_amount(amount, currency, &mut violations),
        }
        violations.into_result()?;
        match (id, amount, currency, at) {
            (Some(id), Some(amount), Some(currency), Some(at)) => Ok(Self { id, amount, currency, at }),
            // Not reached: what is absent has added a violation.
            _ => Err(Reason::decode("incomplete payment")),
        }
    }
}

impl Validate for Payment {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let mut violations = Violations::default();
        check_id(self.id, &mut violations);
        check_currency(self.currency, Some(self.at), &mut violations);
        check_amount(self.amount, Some(self.currency), &mut violations);
        violations.into_result()
    }
}

fn parse_id(text: &str) -> Option<Uuid> {
    // Uuid takes other forms, too, of other lengths.
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

fn check_id(id: Uuid, violations: &mut Violations) {
    if id.is_nil() {
        violations.add("id", "nil", "must not be the nil UUID");
    }
}

fn is_number(json: &RawValue) -> bool {
    json.get().starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// The exact value of a JSON number.
fn parse_amount(number: &str) -> Option<Decimal> {
    let exact = |number| Decimal::from_str_exact(number).ok();
    match number.split_once(['e', 'E']) {
        None => exact(number),
        // The mantissa must be exact by itself; applying the exponent either is or fails.
        Some((mantissa, _)) => exact(mantissa).and_then(|_| Decimal::from_scientific(number).ok()),
    }
}

fn check_amount(amount: Decimal, currency: Option<Currency>, violations: &mut Violations) {
    if amount <= Decimal::ZERO {
        violations.add("amount", "range", "must be above 0");
    } else if amount > Payment::MAX_AMOUNT {
        violations.add("amount", "range", format!("must be at most {}", Payment::MAX_AMOUNT));
    }
    if let Some(currency) = currency
        && let Some(decimals) = currency.exponent()
        && amount.scale() > u32::from(decimals)
        && amount.normalize().scale() > u32::from(decimals)
    {
        let message = format!("at most {decimals} decimals in {}", currency.code());
        violations.add("amount", "too_many_decimals", message);
    }
}

fn parse_currency(code: &str) -> Option<Currency> {
    /// All currencies by [`position`].
    static CURRENCIES: LazyLock<Box<[Option<Currency>]>> = LazyLock::new(|| {
        let mut currencies = vec![None; 26 * 26 * 26];
        for currency in (0..1000).filter_map(Currency::from_numeric) {
            if let Some(place) = position(currency.code()).and_then(|position| currencies.get_mut(position)) {
                *place = Some(currency);
            }
        }
        currencies.into()
    });
    fn position(code: &str) -> Option<usize> {
        let digit = |letter: u8| letter.is_ascii_uppercase().then(|| usize::from(letter - b'A'));
        match *code.as_bytes() {
            [a, b, c] => Some((digit(a)? * 26 + digit(b)?) * 26 + digit(c)?),
            _ => None,
        }
    }
    CURRENCIES.get(position(code)?).copied().flatten()
}

fn check_currency(currency: Currency, at: Option<DateTime<Utc>>, violations: &mut Violations) {
    if currency.exponent().is_none() {
        violations.add("currency", "not_payable", "must be a currency that one can pay in");
    }
    if let Some(last) = last_day(currency)
        && at.is_some_and(|at| at.date_naive() > last)
    {
        violations.add("currency", "withdrawn_currency", format!("was withdrawn, its last day was {last}"));
    }
}

/// The last day of a currency that was withdrawn. The codes that ISO 4217 withdrew before 2021 are unknown here.
fn last_day(currency: Currency) -> Option<NaiveDate> {
    let (year, month, day) = match currency {
        Currency::BGN => (2025, 12, 31),
        Currency::CUC => (2021, 6, 30),
        Currency::HRK => (2022, 12, 31),
        Currency::SLL => (2024, 3, 31),
        Currency::ZWL => (2024, 8, 31),
        _ => return None,
    };
    NaiveDate::from_ymd_opt(year, month, day)
}

/// A decimal as a JSON number, exactly.
mod exact {
    use super::{RawValue, is_number, parse_amount};
    use rust_decimal::Decimal;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    pub(super) fn serialize<S: Serializer>(amount: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(amount.to_string()).map_err(ser::Error::custom)?.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        is_number(&json)
            .then(|| parse_amount(json.get()))
            .flatten()
            .ok_or_else(|| de::Error::custom("`amount` is not a number of at most 28 digits"))
    }
}

/// A currency by its code.
mod code {
    use super::parse_currency;
    use iso_currency::Currency;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use std::borrow::Cow;

    pub(super) fn serialize<S: Serializer>(currency: &Currency, serializer: S) -> Result<S::Ok, S::Error> {
        currency.code().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Currency, D::Error> {
        let code = Cow::<str>::deserialize(deserializer)?;
        parse_currency(&code).ok_or_else(|| D::Error::custom(format_args!("`{code}` is no ISO 4217 code")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::{FailureKind, Payload};
    use proptest::prelude::*;

    const ID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    const TIME: &str = "2024-05-01T12:00:00Z";

    fn json(id: &str, amount: &str, currency: &str, timestamp: &str) -> String {
        format!(r#"{{"id":"{id}","amount":{amount},"currency":"{currency}","timestamp":"{timestamp}"}}"#)
    }

    /// The broken rules, as `field code`, or the kind of another failure.
    fn failure(json: &str) -> String {
        let reason = match Payment::from_json(json.as_bytes()) {
            Ok(payment) => {
                payment.validate().unwrap();
                return "none".into();
            }
            Err(reason) => reason,
        };
        if reason.kind() != FailureKind::Validation {
            return reason.kind().to_string();
        }
        let violations: Vec<_> =
            reason.violations().iter().map(|v| format!("{} {}", v.path, v.code)).collect();
        violations.join(", ")
    }

    #[test]
    fn amounts() {
        for (amount, currency, expected) in [
            ("0.01", "EUR", "none"),
            ("12.3000", "EUR", "none"),
            ("1.5e2", "EUR", "none"),
            ("1500E-2", "JPY", "none"),
            ("999999999.99", "EUR", "none"),
            ("1000000000", "EUR", "amount range"),
            ("0", "EUR", "amount range"),
            ("-0.00", "EUR", "amount range"),
            ("-5", "EUR", "amount range"),
            ("12.345", "EUR", "amount too_many_decimals"),
            ("1.5", "JPY", "amount too_many_decimals"),
            ("15.00", "JPY", "none"),
            ("1.234", "BHD", "none"),
            ("1.2345", "BHD", "amount too_many_decimals"),
            ("1e-29", "EUR", "amount inexact"),
            ("1e29", "EUR", "amount inexact"),
            ("1e999999999999", "EUR", "amount inexact"),
            ("0.00000000000000000000000000001", "EUR", "amount inexact"),
            ("123456789012345678901234567890", "EUR", "amount inexact"),
            ("1.00000000000000000000000000001e5", "EUR", "amount inexact"),
            ("-1.234", "EUR", "amount range, amount too_many_decimals"),
        ] {
            assert_eq!(failure(&json(ID, amount, currency, TIME)), expected, "{amount} {currency}");
        }
    }

    #[test]
    fn amounts_are_exact() {
        for (amount, exact) in
            [("0.1", "0.1"), ("1.5e2", "150"), ("123456789.01", "123456789.01"), ("3E0", "3")]
        {
            let payment = Payment::from_json(json(ID, amount, "EUR", TIME).as_bytes()).unwrap();
            assert_eq!(payment.amount.normalize().to_string(), exact);
        }
        assert_eq!(Payment::MAX_AMOUNT.to_string(), "999999999.99");
    }

    #[test]
    fn currencies() {
        for (currency, timestamp, expected) in [
            ("usd", TIME, "currency unknown_currency"),
            ("eu", TIME, "currency unknown_currency"),
            ("", TIME, "currency unknown_currency"),
            ("ZZZ", TIME, "currency unknown_currency"),
            ("XXX", TIME, "currency not_payable"),
            ("XTS", TIME, "currency not_payable"),
            ("XAU", TIME, "currency not_payable"),
            ("HRK", "2022-12-31T23:59:59Z", "none"),
            ("HRK", "2023-01-01T00:00:00Z", "currency withdrawn_currency"),
            ("BGN", "2025-12-31T12:00:00Z", "none"),
            ("BGN", "2026-01-01T12:00:00Z", "currency withdrawn_currency"),
            ("CUC", TIME, "currency withdrawn_currency"),
            ("SLL", TIME, "currency withdrawn_currency"),
            ("ZWL", TIME, "none"),
        ] {
            assert_eq!(failure(&json(ID, "1", currency, timestamp)), expected, "{currency} {timestamp}");
        }
        for currency in (0..1000).filter_map(Currency::from_numeric) {
            assert_eq!(parse_currency(currency.code()), Some(currency));
        }
    }

    #[test]
    fn ids_and_times() {
        for (id, timestamp, expected) in [
            ("67E55044-10B1-426F-9247-BB680E5FE0C8", TIME, "none"),
            ("67e5504410b1426f9247bb680e5fe0c8", TIME, "id uuid"),
            ("{67e55044-10b1-426f-9247-bb680e5fe0c8}", TIME, "id uuid"),
            ("not-a-uuid-1", TIME, "id uuid"),
            ("00000000-0000-0000-0000-000000000000", TIME, "id nil"),
            (ID, "2024-05-01T12:00:00.123456789+02:00", "none"),
            (ID, "2016-12-31T23:59:60Z", "none"),
            (ID, "2024-05-01T12:00:00", "timestamp rfc3339"),
            (ID, "2023-02-29T12:00:00Z", "timestamp rfc3339"),
            (ID, "2024-13-45T99:00:00Z", "timestamp rfc3339"),
            (ID, "1714564800", "timestamp rfc3339"),
            (ID, "", "timestamp rfc3339"),
        ] {
            assert_eq!(failure(&json(id, "1", "EUR", timestamp)), expected, "{id} {timestamp}");
        }
        let all = json("x", "-1.5", "x", "x");
        assert_eq!(failure(&all), "amount range, currency unknown_currency, id uuid, timestamp rfc3339");
    }

    #[test]
    fn wrong_shapes() {
        let good = json(ID, "1", "EUR", TIME);
        for bad in [
            "",
            "null",
            "[]",
            &format!(r#"["{ID}",1,"EUR","{TIME}"]"#),
            &good[..good.len() * 2 / 3],
            &format!("{good}x"),
            &good.replace("\"amount\":1,", ""),
            &good.replace(":1,", ":\"1\","),
            &good.replace(":1,", ":null,"),
            &good.replace(":1,", ":1_000,"),
            &good.replace(":1,", ":01,"),
            &good.replace(":1,", ":+1,"),
            &good.replace(":1,", ":NaN,"),
            &good.replace(":1,", ":Infinity,"),
            &good.replace("\"EUR\"", "978"),
            &good.replace("{", "{\"amount\":2,"),
        ] {
            assert_eq!(failure(bad), "decode", "{bad}");
        }
        assert_eq!(failure(&good), "none");
        assert_eq!(failure(&good.replace("{", "{\"note\":[1],")), "none");
        assert_eq!(failure(&good.replace("EUR", r"\u0045UR")), "none");
        let reason = Payment::from_json(good.replace("\"amount\":1,", "").as_bytes()).unwrap_err();
        assert!(reason.message().starts_with("missing field `amount`"), "{reason}");
        let mut bytes = good.into_bytes();
        bytes[10] = 0xff;
        assert_eq!(Payment::from_json(&bytes).unwrap_err().kind(), FailureKind::Decode);
    }

    proptest! {
        #[test]
        fn exponents_are_exact(mantissa in 0i64..1_000_000, scale in 0u32..5, exponent in -12i32..18) {
            let number = format!("{}e{exponent:+}", Decimal::new(mantissa, scale));
            let shift = exponent - scale as i32;
            let expected = match u32::try_from(shift) {
                Ok(zeros) => Decimal::from_i128_with_scale(i128::from(mantissa) * 10i128.pow(zeros), 0),
                Err(_) => Decimal::new(mantissa, shift.unsigned_abs()),
            };
            prop_assert_eq!(parse_amount(&number), Some(expected));
        }

        /// Each text is a payment or a failure, never a panic.
        #[test]
        fn any_field(
            id: String,
            amount in "[-+0-9.eE]{1,40}",
            currency in "\\PC{0,4}",
            timestamp in "[0-9TtZz:. +-]{0,30}",
        ) {
            let id = serde_json::to_string(&id).unwrap();
            let json = json("ID", &amount, &currency, &timestamp).replace("\"ID\"", &id);
            prop_assert_ne!(failure(&json), "none");
        }

        #[test]
        fn json_round_trip(id in 1u128.., cents in 1i64..99_999_999_999, seconds in 0i64..1 << 33) {
            let payment = Payment {
                id: Uuid::from_u128(id),
                amount: Decimal::new(cents, 2),
                currency: Currency::EUR,
                at: DateTime::from_timestamp(seconds, 0).unwrap(),
            };
            let json = payment.payload();
            prop_assert_eq!(&Payment::from_json(&json).unwrap(), &payment);
            prop_assert_eq!(&serde_json::from_slice::<Payment>(&json).unwrap(), &payment);
            prop_assert_eq!(&serde_json::from_reader::<_, Payment>(&*json).unwrap(), &payment);
        }
    }
}
