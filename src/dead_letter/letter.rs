use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FailureKind, Origin, PastAttempt, Payload, Reason, Rejected, Violation, history::remember};

/// The version of the [`DeadLetter`] format that this build writes, and the newest that it reads.
pub const LETTER_VERSION: u32 = 1;

/// The namespace of the ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x6b0c_64d1_9f3e_5b0a_8a57_3f0e_9d2c_41e7);

/// A failed event as it is stored: complete in itself, so that it can be understood, repaired and sent again.
///
/// As JSON it is one object. The payload is in the field `payload` when it is UTF-8, else in `payload_base64`: the
/// bytes come back exactly either way. Times are RFC 3339. Reading fails with a clear error when the version is newer
/// than [`LETTER_VERSION`]; fields that version 1 does not know are ignored.
///
/// ```
/// use rxevents::dead_letter::{DeadLetter, Reason, Rejected};
///
/// let rejected = Rejected::new(vec![0xff, 0x00], "decode", Reason::decode("not UTF-8"));
/// let letter = DeadLetter::from_rejected(&rejected, "2024-05-01T12:00:00Z".parse()?);
/// let json = serde_json::to_string(&letter)?;
/// assert!(json.contains(r#""payload_base64":"/wA=""#));
/// assert_eq!(serde_json::from_str::<DeadLetter>(&json)?, letter);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The version of the format.
    #[serde(deserialize_with = "known_version")]
    pub version: u32,
    /// A UUID (version 5) of the stage, the payload and where the event came from: when the same event fails again in
    /// the same stage, its letter has the same id. For an event of unknown origin, [`failed_at`](Self::failed_at)
    /// takes the origin's place. It stays the same however often the letter is sent again and fails again, in whatever
    /// stage: it is the id of the lineage.
    pub id: Uuid,
    /// The stage in which the event failed.
    pub stage: String,
    /// The kind of failure.
    pub kind: FailureKind,
    /// The failure in words, at most [`MAX_MESSAGE_BYTES`](super::MAX_MESSAGE_BYTES) long. It may quote the payload.
    pub message: String,
    /// The rules that the event breaks, without the values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// How often it was tried, the first attempt included, and those after it was sent again.
    pub attempts: u32,
    /// When it failed for the first time.
    pub first_failed_at: DateTime<Utc>,
    /// When it failed for the last time.
    pub failed_at: DateTime<Utc>,
    /// Where it came from, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The user's own headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How often it was sent again.
    #[serde(default)]
    pub redrives: u32,
    /// Its last attempts, the oldest first, if there was more than one: at most [`MAX_HISTORY`](super::MAX_HISTORY).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastAttempt>,
    /// How long it has waited between attempts, in milliseconds; not the time between redrives.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delayed_ms: u64,
    /// How long the payload was, in bytes, if only its beginning was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated_from: Option<u64>,
    /// The original bytes.
    #[serde(flatten, with = "payload_field")]
    pub payload: Vec<u8>,
}

impl DeadLetter {
    /// The letter of an item that failed at `now`.
    ///
    /// An item that was sent again ([`Payload::letter`]) keeps its letter, which is not put into another one: id,
    /// payload, origin, headers, first failure and number of redrives stay, the attempts and delays are added up, the
    /// history goes on, and stage, cause and time are those of the new failure. When it was refused
    /// ([`RedriveLimit`](super::Reason::RedriveLimit), [`AttemptLimit`](super::Reason::AttemptLimit),
    /// [`Truncated`](super::Reason::Truncated)) all stays.
    pub fn from_rejected<T: Payload>(rejected: &Rejected<T>, now: DateTime<Utc>) -> Self {
        if let Some(earlier) = rejected.item.letter() {
            return earlier.clone().failed_again(rejected, now);
        }
        let payload = rejected.item.payload().into_owned();
        let origin = rejected.item.origin();
        let log = rejected.history.as_deref();
        Self {
            version: LETTER_VERSION,
            id: id(&rejected.stage, &payload, origin.as_ref(), now),
            stage: rejected.stage.to_string(),
            kind: rejected.reason.kind(),
            message: rejected.reason.message(),
            violations: rejected.reason.violations(),
            attempts: rejected.attempts,
            first_failed_at: log.map_or(now, |log| log.first_failed_at),
            failed_at: now,
            origin,
            headers: rejected.item.headers(),
            redrives: 0,
            history: log.map_or_else(Vec::new, |log| log.last().collect()),
            delayed_ms: log.map_or(0, |log| millis(log.delayed)),
            truncated_from: None,
            payload,
        }
    }

    fn failed_again<T>(mut self, rejected: &Rejected<T>, now: DateTime<Utc>) -> Self {
        if rejected.reason.kind().is_refusal() {
            return self;
        }
        if self.history.is_empty() && self.attempts > 0 {
            let before = Reason::other(std::mem::take(&mut self.message));
            let before = PastAttempt { kind: self.kind, ..PastAttempt::new(self.failed_at, &before) };
            remember(&mut self.history, before);
        }
        match rejected.history.as_deref() {
            Some(log) => {
                log.last().for_each(|attempt| remember(&mut self.history, attempt));
                self.delayed_ms = self.delayed_ms.saturating_add(millis(log.delayed));
            }
            None if rejected.attempts > 0 => {
                remember(&mut self.history, PastAttempt::new(now, &rejected.reason));
            }
            None => {}
        }
        Self {
            version: LETTER_VERSION,
            stage: rejected.stage.to_string(),
            kind: rejected.reason.kind(),
            message: rejected.reason.message(),
            violations: rejected.reason.violations(),
            attempts: self.attempts.saturating_add(rejected.attempts),
            failed_at: now,
            ..self
        }
    }

    /// Keeps the first bytes of the payload, to a whole character if it is text.
    pub(super) fn truncate(&mut self, bytes: usize) {
        let end = match std::str::from_utf8(&self.payload) {
            Ok(text) => (0..=bytes).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0),
            Err(_) => bytes,
        };
        if self.truncated_from.is_none() {
            self.truncated_from = Some(self.payload.len() as u64);
        }
        self.payload.truncate(end);
        self.payload.shrink_to_fit();
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A letter that is sent again is the event it carries.
impl Payload for DeadLetter {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.payload.as_slice().into()
    }

    fn origin(&self) -> Option<Origin> {
        self.origin.clone()
    }

    fn headers(&self) -> BTreeMap<String, String> {
        self.headers.clone()
    }

    fn letter(&self) -> Option<&DeadLetter> {
        Some(self)
    }
}

fn id(stage: &str, payload: &[u8], origin: Option<&Origin>, now: DateTime<Utc>) -> Uuid {
    let mut name = Vec::with_capacity(payload.len() + stage.len() + 128);
    let place = match origin {
        Some(Origin { source, line, partition, offset }) => {
            format!("{}:{source}{line:?}{partition:?}{offset:?}", source.len())
        }
        None => format!("{}.{:09}", now.timestamp(), now.timestamp_subsec_nanos()),
    };
    for part in [place.as_bytes(), stage.as_bytes(), payload] {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

fn known_version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        version @ 1..=LETTER_VERSION => Ok(version),
        version => Err(serde::de::Error::custom(format_args!(
            "dead letter of version {version}, this build reads versions 1 to {LETTER_VERSION}"
        ))),
    }
}

/// The payload as one of two fields.
mod payload_field {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    struct Fields<S> {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<S>,
        #[serde(skip_serializing_if = "Option::is_none")]
        payload_base64: Option<String>,
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Fields { payload: Some(text), payload_base64: None },
            Err(_) => Fields { payload: None, payload_base64: Some(STANDARD.encode(bytes)) },
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        match Fields::<String>::deserialize(deserializer)? {
            Fields { payload: Some(text), payload_base64: None } => Ok(text.into_bytes()),
            Fields { payload: None, payload_base64: Some(base64) } => STANDARD
                .decode(base64)
                .map_err(|error| D::Error::custom(format_args!("payload_base64: {error}"))),
            Fields { payload: Some(_), payload_base64: Some(_) } => {
                Err(D::Error::custom("both payload and payload_base64 are given"))
            }
            Fields { payload: None, payload_base64: None } => {
                Err(D::Error::custom("neither payload nor payload_base64 is given"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dead_letter::Reason, source::Line};
    use proptest::prelude::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 5).unwrap()
    }

    fn letter(payload: &[u8]) -> DeadLetter {
        DeadLetter::from_rejected(&Rejected::new(payload.to_vec(), "decode", Reason::decode("no")), at(9))
    }

    proptest! {
        #[test]
        fn payload_comes_back_exactly(payload: Vec<u8>, line: u64, attempts: u32) {
            let line = Line::new(payload.clone(), line, "a.jsonl");
            let rejected = Rejected::new(line, "check", Reason::violation("a", "b", "c")).with_attempts(attempts);
            let mut letter = DeadLetter::from_rejected(&rejected, at(9));
            letter.headers.insert("trace".into(), "ä\n\"".into());
            let json = serde_json::to_vec(&letter).unwrap();
            prop_assert!(!json.contains(&b'\n'));
            let back: DeadLetter = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(&back.payload, &payload);
            prop_assert_eq!(back, letter);
        }
    }

    #[test]
    fn place_in_a_topic_comes_back() {
        let origin = Origin::offset("payments", 3, 42);
        let sent = DeadLetter { origin: Some(origin.clone()), ..letter(b"x") };
        let json = serde_json::to_value(&sent).unwrap();
        assert_eq!(json["origin"], serde_json::json!({"source": "payments", "partition": 3, "offset": 42}));
        assert_eq!(serde_json::from_value::<DeadLetter>(json).unwrap().origin, Some(origin));
    }

    #[test]
    fn text_is_readable_and_times_are_rfc_3339() {
        let json = serde_json::to_value(letter(b"{\"a\":1}")).unwrap();
        assert_eq!(json["payload"], "{\"a\":1}");
        assert_eq!(json["failed_at"], "1970-01-01T00:00:09.000000005Z");
        assert_eq!(json["kind"], "decode");
    }

    #[test]
    fn other_versions_are_refused() {
        for version in [0, 2] {
            let mut json = serde_json::to_value(letter(b"x")).unwrap();
            json["version"] = version.into();
            let error = serde_json::from_str::<DeadLetter>(&json.to_string()).unwrap_err().to_string();
            assert!(error.contains(&format!("dead letter of version {version}")), "{error}");
        }
    }

    #[test]
    fn one_payload_exactly() {
        let good = serde_json::to_value(letter(b"x")).unwrap();
        let mut both = good.clone();
        both["payload_base64"] = "eA==".into();
        let mut neither = good.clone();
        neither.as_object_mut().unwrap().remove("payload");
        let mut broken = neither.clone();
        broken["payload_base64"] = "?".into();
        for (json, message) in
            [(both, "both payload"), (neither, "neither payload"), (broken, "payload_base64: ")]
        {
            let error = serde_json::from_value::<DeadLetter>(json).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn id_depends_on_the_place_not_on_the_time() {
        let make = |line, stage: &'static str, seconds| {
            let line = Line::new(*b"x", line, "a.jsonl");
            DeadLetter::from_rejected(&Rejected::new(line, stage, Reason::decode("no")), at(seconds)).id
        };
        assert_eq!(make(1, "decode", 1), make(1, "decode", 2));
        assert_ne!(make(1, "decode", 1), make(2, "decode", 1));
        assert_ne!(make(1, "decode", 1), make(1, "check", 1));
        assert_eq!(letter(b"x").id, letter(b"x").id);
        assert_ne!(letter(b"x").id, letter(b"y").id);
    }

    #[test]
    fn a_letter_that_fails_again_is_not_put_into_another() {
        let line = Line::new(*b"\xff", 7, "a.jsonl");
        let rejected = Rejected::new(line, "check", Reason::violation("a", "b", "c")).with_attempts(3);
        let mut first = DeadLetter { redrives: 1, ..DeadLetter::from_rejected(&rejected, at(1)) };
        first.headers.insert("trace".into(), "x".into());
        let failure = Rejected::new(&first, "store", Reason::other("no room")).with_attempts(2);
        let again = DeadLetter::from_rejected(&failure, at(2));
        let expected = DeadLetter {
            stage: "store".into(),
            kind: FailureKind::Other,
            message: "no room".into(),
            violations: vec![],
            attempts: 5,
            failed_at: at(2),
            history: vec![
                PastAttempt { at: at(1), kind: FailureKind::Validation, message: "a: c".into() },
                PastAttempt { at: at(2), kind: FailureKind::Other, message: "no room".into() },
            ],
            ..first.clone()
        };
        assert_eq!(again, expected);
        let refused = Reason::RedriveLimit { redrives: 1, limit: 1 };
        assert_eq!(DeadLetter::from_rejected(&Rejected::new(&first, "redrive", refused), at(3)), first);
    }
}
