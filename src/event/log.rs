use std::{fmt, sync::Arc};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use validator::{Validate, ValidationErrors};

use super::{
    Violations,
    rest::{Failure, Rest, form},
    utc,
};
use crate::dead_letter::Reason;

/// How bad a [`LogRecord`] is: the levels of log4j, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogLevel {
    /// TRACE
    Trace,
    /// DEBUG
    Debug,
    /// INFO
    Info,
    /// WARN
    Warn,
    /// ERROR
    Error,
    /// FATAL
    Fatal,
}

/// One record of a program's log.
///
/// Valid when it has a component. The message may be empty.
///
/// ```
/// use rxevents::event::{LogLevel, LogRecord};
///
/// let line = "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 terminating";
/// let record = LogRecord::from_hdfs(line)?;
/// assert_eq!((record.level, &*record.component), (LogLevel::Info, "dfs.DataNode$PacketResponder"));
/// assert_eq!(&*record.message, "PacketResponder 1 terminating");
///
/// let reason = LogRecord::from_hadoop("\tat java.lang.Thread.run(Thread.java:745)").unwrap_err();
/// assert_eq!(reason.message(), "column 1: expected a date such as 2015-10-18");
/// # Ok::<(), rxevents::dead_letter::Reason>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogRecord {
    /// How bad it is; in JSON in capital letters.
    pub level: LogLevel,
    /// When, if known. Read by [`utc`]: a time without a zone is taken as UTC.
    #[serde(default, with = "utc::option", skip_serializing_if = "Option::is_none")]
    pub at: Option<DateTime<Utc>>,
    /// What part of the program wrote it.
    pub component: Arc<str>,
    /// What it says.
    pub message: Arc<str>,
}

impl LogRecord {
    /// Decodes and checks a record. Fields that it does not know are ignored.
    ///
    /// # Errors
    /// [`Reason::Decode`] when it is no JSON, or a field is missing, of the wrong type, no level or no time;
    /// [`Reason::Validation`] when it breaks a rule.
    pub fn from_json(json: &[u8]) -> Result<Self, Reason> {
        let record: Self = serde_json::from_slice(json)?;
        record.validate()?;
        Ok(record)
    }

    /// Reads one line of a log of HDFS: `081109 203615 148 INFO component: message`. The years are 2000 to 2099; the
    /// time is taken as UTC. The thread is not kept.
    ///
    /// # Errors
    /// [`Reason::Decode`], with the column, when the line has another form; [`Reason::Validation`] when its time does
    /// not exist.
    pub fn from_hdfs(line: &str) -> Result<Self, Reason> {
        Ok(hdfs(line)?)
    }

    /// Reads one line of a log of Hadoop, or of log4j in the form of
    /// `2015-10-18 18:01:47,978 INFO [thread] component: message`. The time is taken as UTC. The thread is not kept.
    ///
    /// The lines of a stack trace are no records.
    ///
    /// # Errors
    /// [`Reason::Decode`], with the column, when the line has another form; [`Reason::Validation`] when its time does
    /// not exist.
    pub fn from_hadoop(line: &str) -> Result<Self, Reason> {
        Ok(hadoop(line)?)
    }
}

impl LogLevel {
    /// Its name in capital letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Validate for LogRecord {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let mut violations = Violations::default();
        if self.component.trim_ascii().is_empty() {
            violations.add("component", "empty", "must not be empty");
        }
        violations.into_result()
    }
}

fn hdfs(line: &str) -> Result<LogRecord, Failure> {
    const DATE: &str = "a date such as 081109";
    const TIME: &str = "a time such as 203615";
    let mut rest = Rest::new(line);
    let [year, month, day] = numbers(&mut rest, [(2, ""), (2, ""), (2, " ")], DATE)?;
    let [hour, minute, second] = numbers(&mut rest, [(2, ""), (2, ""), (2, " ")], TIME)?;
    let thread_at = rest.at();
    let thread = rest.until(" ", "the number of the thread")?;
    if !thread.bytes().all(|b| b.is_ascii_digit()) {
        return Err(form(thread_at, "the number of the thread"));
    }
    let level = level(&mut rest)?;
    record(rest, level, [2000 + year, month, day, hour, minute, second, 0])
}

fn hadoop(line: &str) -> Result<LogRecord, Failure> {
    const DATE: &str = "a date such as 2015-10-18";
    const TIME: &str = "a time such as 18:01:47,978";
    let mut rest = Rest::new(line);
    let [year, month, day] = numbers(&mut rest, [(4, "-"), (2, "-"), (2, " ")], DATE)?;
    let [hour, minute, second, millis] = numbers(&mut rest, [(2, ":"), (2, ":"), (2, ","), (3, " ")], TIME)?;
    let level = level(&mut rest)?;
    rest.expect("[", "the thread in brackets")?;
    rest.until("] ", "the thread in brackets")?;
    record(rest, level, [year, month, day, hour, minute, second, millis])
}

/// What follows the level and the thread.
fn record(rest: Rest<'_>, level: LogLevel, time: [u32; 7]) -> Result<LogRecord, Failure> {
    const COMPONENT: &str = "the component and a colon";
    let component_at = rest.at();
    let word = rest.rest().split(' ').next().unwrap_or_default();
    let component = word
        .strip_suffix(':')
        .filter(|word| !word.is_empty())
        .ok_or_else(|| form(component_at, COMPONENT))?;
    let message = rest.rest().get(word.len()..).unwrap_or_default();
    let message = message.strip_prefix(' ').unwrap_or(message);
    let [year, month, day, hour, minute, second, millis] = time;
    let at = NaiveDate::from_ymd_opt(year as i32, month, day)
        .and_then(|date| date.and_hms_opt(hour, minute, second))
        .ok_or(Failure::Time)?
        .and_utc()
        + TimeDelta::milliseconds(millis.into());
    Ok(LogRecord { level, at: Some(at), component: component.into(), message: message.into() })
}

fn level(rest: &mut Rest<'_>) -> Result<LogLevel, Failure> {
    const LEVEL: &str = "a level such as INFO";
    let at = rest.at();
    Ok(match rest.until(" ", LEVEL)? {
        "TRACE" => LogLevel::Trace,
        "DEBUG" => LogLevel::Debug,
        "INFO" => LogLevel::Info,
        "WARN" => LogLevel::Warn,
        "ERROR" => LogLevel::Error,
        "FATAL" => LogLevel::Fatal,
        _ => return Err(form(at, LEVEL)),
    })
}

/// Takes numbers of so many digits, each with the character that ends it.
fn numbers<const N: usize>(
    rest: &mut Rest<'_>,
    numbers: [(usize, &'static str); N],
    expected: &'static str,
) -> Result<[u32; N], Failure> {
    let start = rest.at();
    let mut values = [0; N];
    for (value, (digits, end)) in values.iter_mut().zip(numbers) {
        let text = rest.rest().get(..digits).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        *value = text.and_then(|text| text.parse().ok()).ok_or_else(|| form(start, expected))?;
        rest.skip(digits);
        rest.expect(end, expected).map_err(|_| form(start, expected))?;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::{FailureKind, Payload};
    use proptest::prelude::*;

    const HDFS: &str = "081109 203615 148 INFO dfs.DataNode: block blk_1: done";
    const HADOOP: &str = "2015-10-18 18:01:47,978 WARN [IPC Server handler 3 on 62270] org.apache.X: a: b ";

    #[test]
    fn lines() {
        let record = LogRecord::from_hdfs(HDFS).unwrap();
        assert_eq!(record.at.unwrap().to_rfc3339(), "2008-11-09T20:36:15+00:00");
        assert_eq!((&*record.component, &*record.message), ("dfs.DataNode", "block blk_1: done"));
        let record = LogRecord::from_hadoop(HADOOP).unwrap();
        assert_eq!(record.at.unwrap().to_rfc3339(), "2015-10-18T18:01:47.978+00:00");
        assert_eq!((record.level, &*record.component), (LogLevel::Warn, "org.apache.X"));
        assert_eq!(&*record.message, "a: b ");
        for line in ["081109 203615 1 INFO a:", "081109 203615 1 INFO a: "] {
            assert_eq!(&*LogRecord::from_hdfs(line).unwrap().message, "");
        }
        assert!(LogLevel::Warn < LogLevel::Error);
    }

    #[test]
    fn what_is_no_record_is_a_failure_with_its_column() {
        let date = "column 1: expected a date such as 2015-10-18";
        let time = "column 12: expected a time such as 18:01:47,978";
        for (line, message) in [
            ("", date),
            ("java.io.IOException: Broken pipe", date),
            ("\tat java.lang.Thread.run(Thread.java:745)", date),
            ("2015-10-18T18:01:47,978 INFO [main] a: b", date),
            ("2015-1-18 18:01:47,978 INFO [main] a: b", date),
            ("2015-10-18 18:01:47,+78 INFO [main] a: b", time),
            ("2015-10-18 18:01:47,97\u{e9} INFO [main] a: b", time),
            ("2015-10-18 18:01:47,978 Info [main] a: b", "column 25: expected a level such as INFO"),
            ("2015-10-18 18:01:47,978 INFO main a: b", "column 30: expected the thread in brackets"),
            ("2015-10-18 18:01:47,978 INFO [main a: b", "column 31: expected the thread in brackets"),
            ("2015-10-18 18:01:47,978 INFO [main] a b", "column 37: expected the component and a colon"),
            ("2015-10-18 18:01:47,978 INFO [main] : b", "column 37: expected the component and a colon"),
        ] {
            let reason = LogRecord::from_hadoop(line).unwrap_err();
            assert_eq!((reason.kind(), reason.message().as_str()), (FailureKind::Decode, message), "{line}");
        }
        let message = "column 15: expected the number of the thread";
        assert_eq!(LogRecord::from_hdfs(&HDFS.replace(" 148 ", " main ")).unwrap_err().message(), message);
        for end in 0..HDFS.find(": ").unwrap() {
            let reason = LogRecord::from_hdfs(&HDFS[..end]).unwrap_err();
            assert_eq!(reason.kind(), FailureKind::Decode, "{end}");
        }
    }

    #[test]
    fn times_that_do_not_exist() {
        for (from, to) in
            [("081109", "081131"), ("081109", "080230"), ("203615", "243615"), ("203615", "203660")]
        {
            let reason = LogRecord::from_hdfs(&HDFS.replace(from, to)).unwrap_err();
            assert_eq!(reason.message(), "at: must be a time that exists", "{to}");
            assert_eq!(reason.kind(), FailureKind::Validation);
        }
        let reason = LogRecord::from_hadoop(&HADOOP.replace("10-18", "02-29")).unwrap_err();
        assert_eq!(reason.message(), "at: must be a time that exists");
    }

    #[test]
    fn json() {
        let good = r#"{"level":"ERROR","component":"a","message":""}"#;
        let record = LogRecord::from_json(good.as_bytes()).unwrap();
        assert_eq!((record.level, record.at), (LogLevel::Error, None));
        assert_eq!(record.payload().as_ref(), good.as_bytes());
        assert!(LogRecord::from_json(good.replace('{', r#"{"note":[1],"at":null,"#).as_bytes()).is_ok());
        for (from, to, message) in [
            ("ERROR", "error", "unknown variant `error`"),
            ("{", r#"{"at":"2015-02-29T00:00:00Z","#, "`2015-02-29T00:00:00Z` is no time"),
            (r#","message":"""#, "", "missing field `message`"),
            (":\"a\"", ":\" \"", "component: must not be empty"),
        ] {
            let reason = LogRecord::from_json(good.replace(from, to).as_bytes()).unwrap_err();
            assert!(reason.message().starts_with(message), "{reason}");
        }
        for record in [LogRecord::from_hdfs(HDFS).unwrap(), LogRecord::from_hadoop(HADOOP).unwrap()] {
            assert_eq!(LogRecord::from_json(&record.payload()).unwrap(), record);
        }
    }

    proptest! {
        /// What stands in a line at a place of its own comes back, or is refused; nothing panics.
        #[test]
        fn any_part(part in "\\PC{0,20}", at in 0..HDFS.len()) {
            for (line, read) in [(HDFS, LogRecord::from_hdfs as fn(&str) -> _), (HADOOP, LogRecord::from_hadoop)] {
                let line = format!("{}{part}{}", &line[..at], &line[at..]);
                if let Ok(record) = read(&line) {
                    prop_assert!(record.validate().is_ok());
                    prop_assert!(line.contains(&*record.component) && line.ends_with(&*record.message));
                }
            }
        }
    }
}
