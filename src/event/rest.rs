use memchr::memchr2;

use crate::dead_letter::Reason;

/// Why a line is no record of a log.
pub(super) enum Failure {
    /// It has another form.
    Form(FormError),
    /// Its time does not exist.
    Time,
}

/// The line has another form than the log's.
#[derive(Debug, thiserror::Error)]
#[error("column {column}: expected {expected}")]
pub(super) struct FormError {
    column: usize,
    expected: &'static str,
}

pub(super) fn form(at: usize, expected: &'static str) -> Failure {
    Failure::Form(FormError { column: at + 1, expected })
}

impl From<Failure> for Reason {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Form(error) => Self::decode(error),
            Failure::Time => Self::violation("at", "time", "must be a time that exists"),
        }
    }
}

/// What is still to be read of a line.
pub(super) struct Rest<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or_default()
    }

    /// Takes the text before the next `end` (which must not be empty), and `end`.
    pub(super) fn until(&mut self, end: &'static str, expected: &'static str) -> Result<&'a str, Failure> {
        match self.rest().split_once(end) {
            Some((text, _)) if !text.is_empty() => {
                self.at += text.len() + end.len();
                Ok(text)
            }
            _ => Err(form(self.at, expected)),
        }
    }

    /// Takes exactly `text`.
    pub(super) fn expect(&mut self, text: &'static str, expected: &'static str) -> Result<(), Failure> {
        if !self.rest().starts_with(text) {
            return Err(form(self.at, expected));
        }
        self.at += text.len();
        Ok(())
    }

    /// Takes `bytes` bytes, which [`rest`](Self::rest) must have.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Takes the text before the next quote, and the quote. A character after a backslash is text.
    pub(super) fn quoted(&mut self, expected: &'static str) -> Result<&'a str, Failure> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let mut from = 0;
        while let Some(found) = bytes.get(from..).and_then(|bytes| memchr2(b'"', b'\\', bytes)) {
            let found = from + found;
            if bytes.get(found) == Some(&b'"') {
                self.at += found + 1;
                return Ok(rest.get(..found).unwrap_or_default());
            }
            from = found + 2;
        }
        Err(form(self.line.len(), expected))
    }
}
