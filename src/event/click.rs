use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use memchr::memchr;
use serde::{Deserialize, Serialize};
use validator::{Validate, ValidationErrors};

use super::{
    Violations,
    rest::{Failure, Rest, form},
    utc,
};
use crate::dead_letter::Reason;

/// A user clicked on something.
///
/// Valid when it has a user and an element.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Click {
    /// Who clicked.
    pub user: Arc<str>,
    /// What was clicked on.
    pub element: Arc<str>,
    /// When. Read by [`utc`]: a time without a zone is taken as UTC.
    #[serde(with = "utc")]
    pub at: DateTime<Utc>,
}

impl Click {
    /// Reads one line of a web server's log in Apache's combined format:
    /// `client identity user [time] "request" status bytes "referer" "user agent"`.
    ///
    /// The client is the user, and the path of the request, without its query, is the element; both as written, so
    /// escapes such as `\"` stay. The other fields must be there. The log's user may hold spaces. Anything after the user
    /// agent is ignored.
    ///
    /// ```
    /// use rxevents::event::Click;
    ///
    /// let line = r#"u1 - - [17/May/2015:10:05:03 +0200] "GET /shop?q=tea HTTP/1.1" 200 512 "-" "curl/8""#;
    /// let click = Click::from_combined_log(line)?;
    /// assert_eq!((&*click.user, &*click.element), ("u1", "/shop"));
    /// assert_eq!(click.at.to_rfc3339(), "2015-05-17T08:05:03+00:00");
    /// # Ok::<(), rxevents::dead_letter::Reason>(())
    /// ```
    ///
    /// # Errors
    /// [`Reason::Decode`], with the column, when the line has another form; [`Reason::Validation`] when its time does
    /// not exist (there is no second 60 either).
    pub fn from_combined_log(line: &str) -> Result<Self, Reason> {
        Ok(parse(line)?)
    }
}

impl Validate for Click {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let mut violations = Violations::default();
        if self.user.trim_ascii().is_empty() {
            violations.add("user", "empty", "must not be empty");
        }
        if self.element.trim_ascii().is_empty() {
            violations.add("element", "empty", "must not be empty");
        }
        violations.into_result()
    }
}

fn parse(line: &str) -> Result<Click, Failure> {
    let mut rest = Rest::new(line);
    let user = rest.until(" ", "the client")?;
    rest.until(" ", "the identity")?;
    rest.until(" [", "the user and a time in brackets")?;
    let time_at = rest.at();
    let time = rest.until("] \"", "a time in brackets and a quoted request")?;
    let request_at = rest.at();
    let request = rest.quoted("the request's closing quote")?;
    rest.expect(" ", "a space")?;
    let status_at = rest.at();
    let status = rest.until(" ", "the status")?;
    if status.len() != 3 || !status.bytes().all(|b| b.is_ascii_digit()) {
        return Err(form(status_at, "a status of three digits"));
    }
    let size_at = rest.at();
    let size = rest.until(" \"", "the number of bytes and a quoted referer")?;
    if size != "-" && !size.bytes().all(|b| b.is_ascii_digit()) {
        return Err(form(size_at, "a number of bytes, or -"));
    }
    rest.quoted("the referer's closing quote")?;
    rest.expect(" \"", "a quoted user agent")?;
    rest.quoted("the user agent's closing quote")?;

    let element = element(request).ok_or_else(|| form(request_at, "a method and a path"))?;
    let at = parse_time(time).ok_or_else(|| form(time_at, "a time such as 17/May/2015:10:05:03 +0000"))?;
    Ok(Click { user: user.into(), element: element.into(), at: at.ok_or(Failure::Time)? })
}

/// The path of a request such as `GET /path?query HTTP/1.1`. The path of a broken request may hold spaces.
fn element(request: &str) -> Option<&str> {
    let (_, target) = request.split_once(' ')?;
    let target = match target.rsplit_once(' ') {
        Some((target, protocol)) if protocol.starts_with("HTTP/") => target,
        _ => target,
    };
    let path = memchr(b'?', target.as_bytes()).and_then(|query| target.get(..query)).unwrap_or(target);
    (!path.is_empty()).then_some(path)
}

/// `17/May/2015:10:05:03 +0000`: `None` when it has another form, `Some(None)` when there is no such time.
fn parse_time(text: &str) -> Option<Option<DateTime<Utc>>> {
    let [
        d1,
        d2,
        b'/',
        m1,
        m2,
        m3,
        b'/',
        y1,
        y2,
        y3,
        y4,
        b':',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        b' ',
        sign,
        o1,
        o2,
        o3,
        o4,
    ] = *text.as_bytes().first_chunk::<26>().filter(|_| text.len() == 26)?
    else {
        return None;
    };
    let pair = |a: u8, b: u8| {
        (a.is_ascii_digit() && b.is_ascii_digit()).then(|| u32::from(a - b'0') * 10 + u32::from(b - b'0'))
    };
    let month = match [m1, m2, m3] {
        [b'J', b'a', b'n'] => 1,
        [b'F', b'e', b'b'] => 2,
        [b'M', b'a', b'r'] => 3,
        [b'A', b'p', b'r'] => 4,
        [b'M', b'a', b'y'] => 5,
        [b'J', b'u', b'n'] => 6,
        [b'J', b'u', b'l'] => 7,
        [b'A', b'u', b'g'] => 8,
        [b'S', b'e', b'p'] => 9,
        [b'O', b'c', b't'] => 10,
        [b'N', b'o', b'v'] => 11,
        [b'D', b'e', b'c'] => 12,
        _ => return None,
    };
    let year = pair(y1, y2)? * 100 + pair(y3, y4)?;
    let (day, hour, minute, second) = (pair(d1, d2)?, pair(h1, h2)?, pair(n1, n2)?, pair(s1, s2)?);
    let (offset_hours, offset_minutes) = (pair(o1, o2)?, pair(o3, o4)?);
    let offset = i64::from(offset_hours * 60 + offset_minutes);
    let offset = match sign {
        b'+' => offset,
        b'-' => -offset,
        _ => return None,
    };
    let local = NaiveDate::from_ymd_opt(year as i32, month, day)
        .and_then(|date| date.and_hms_opt(hour, minute, second))
        .filter(|_| offset_hours < 24 && offset_minutes < 60);
    Some(local.map(|local| (local - TimeDelta::minutes(offset)).and_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::{FailureKind, Payload};
    use proptest::prelude::*;

    const LINE: &str = r#"u1 - - [17/May/2015:10:05:03 +0000] "GET /a?b HTTP/1.1" 200 5 "-" "x""#;

    fn element_of(request: &str) -> String {
        Click::from_combined_log(&LINE.replace("GET /a?b HTTP/1.1", request)).unwrap().element.to_string()
    }

    #[test]
    fn elements() {
        assert_eq!(element_of("GET /a?b?c HTTP/1.1"), "/a");
        assert_eq!(element_of(r#"GET /a\"b\\ HTTP/1.1"#), r#"/a\"b\\"#);
        assert_eq!(element_of("GET /ä HTTP/2.0"), "/ä");
        assert_eq!(element_of("GET /a"), "/a");
        assert_eq!(element_of("GET /a b HTTP/1.0"), "/a b");
        assert_eq!(element_of("OPTIONS * HTTP/1.0"), "*");
        assert_eq!(element_of("GET http://h/a?b HTTP/1.0"), "http://h/a");
    }

    #[test]
    fn times() {
        let at = |time: &str| {
            Click::from_combined_log(&LINE.replace("17/May/2015:10:05:03 +0000", time))
                .map(|c| c.at.to_rfc3339())
        };
        assert_eq!(at("29/Feb/2016:00:00:00 +0530").unwrap(), "2016-02-28T18:30:00+00:00");
        assert_eq!(at("31/Dec/1999:23:59:59 -0100").unwrap(), "2000-01-01T00:59:59+00:00");
        for time in [
            "29/Feb/2015:00:00:00 +0000",
            "01/Jan/2015:24:00:00 +0000",
            "01/Jan/2015:00:00:60 +0000",
            "01/Jan/2015:00:00:00 +2400",
        ] {
            let reason = at(time).unwrap_err();
            assert_eq!(reason.violations()[0].path, "at", "{time}");
        }
        for time in [
            "1/Jan/2015:00:00:00 +0000",
            "01/jan/2015:00:00:00 +0000",
            "01/Jan/2015:00:00:00 Z0000",
            "01/Jan/2015:00:00:00",
            "0é/Jan/2015:00:00:0 +0000",
        ] {
            let reason = at(time).unwrap_err();
            assert_eq!(
                reason.message(),
                "column 9: expected a time such as 17/May/2015:10:05:03 +0000",
                "{time}"
            );
        }
    }

    #[test]
    fn json() {
        let click = Click::from_combined_log(LINE).unwrap();
        let json = String::from_utf8(click.payload().into_owned()).unwrap();
        assert_eq!(serde_json::from_str::<Click>(&json).unwrap(), click);
        assert!(serde_json::from_str::<Click>(&json.replace('{', r#"{"note":[1],"#)).is_ok());
        let error = serde_json::from_str::<Click>(&json.replace("05-17", "02-30")).unwrap_err().to_string();
        assert!(error.starts_with("`2015-02-30T10:05:03Z` is no time"), "{error}");
    }

    #[test]
    fn every_start_of_a_line_is_refused() {
        for end in 0..LINE.len() {
            let reason = Click::from_combined_log(&LINE[..end]).unwrap_err();
            assert_eq!(reason.kind(), FailureKind::Decode, "{end}");
        }
        assert!(Click::from_combined_log(LINE).is_ok());
        assert!(Click::from_combined_log(&format!("{LINE} 0.3 extra")).is_ok());
        assert!(Click::from_combined_log(&LINE.replace("- - [", "- John Doe [")).is_ok());
    }

    proptest! {
        /// What stands in a line at a place of its own comes back, or is refused; nothing panics.
        #[test]
        fn any_part(part in "\\PC{0,20}", at in 0..LINE.len()) {
            let line = format!("{}{part}{}", &LINE[..at], &LINE[at..]);
            if let Ok(click) = Click::from_combined_log(&line) {
                prop_assert!(click.validate().is_ok() && line.contains(&*click.user) && line.contains(&*click.element));
            }
        }
    }

    #[test]
    fn wrong_fields_are_named() {
        for (from, to, message) in [
            (" 200 ", " 2x0 ", "column 57: expected a status of three digits"),
            (" 5 ", " five ", "column 61: expected a number of bytes, or -"),
            ("GET /a?b HTTP/1.1", "-", "column 38: expected a method and a path"),
            ("GET /a?b HTTP/1.1", "GET ?b HTTP/1.1", "column 38: expected a method and a path"),
            ("u1 ", " ", "column 1: expected the client"),
        ] {
            assert_eq!(Click::from_combined_log(&LINE.replace(from, to)).unwrap_err().message(), message);
        }
        let click = Click { user: "".into(), element: " ".into(), at: DateTime::UNIX_EPOCH };
        let reason = Reason::from(click.validate().unwrap_err());
        assert_eq!(reason.message(), "element: must not be empty; user: must not be empty");
    }
}
