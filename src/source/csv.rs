use std::{
    borrow::Cow,
    cell::Cell,
    error::Error,
    fmt,
    fs::File,
    io::{self, Read, Seek},
    marker::PhantomData,
    ops::Range,
    path::Path,
    str::FromStr,
    sync::Arc,
};

use memchr::{memchr, memchr_iter, memchr2};
use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor,
        value::{BorrowedStrDeserializer, Error as ValueError},
    },
    forward_to_deserialize_any,
};

use super::{DEFAULT_MAX_LINE_BYTES, Line, OpenError, Resumable, resumable::seek_line, text};
use crate::{
    dead_letter::{Origin, Payload, Reason, Rejected},
    delivery::Position,
};

/// The reader is asked for this many bytes at once.
const CHUNK: usize = 1 << 16;
/// Fields are addressed by 32 bits, in a text that may hold each of them twice.
const MAX_RECORD_BYTES: usize = 1 << 30;
const NOT_CLOSED: &str = "the quote is not closed within the longest record";
/// Errors quote at most this many characters of a value.
const QUOTED_CHARS: usize = 64;

/// The records of a CSV file or of any reader (RFC 4180, separated by commas). The first record names the columns.
///
/// - A record ends with `\n` or `\r\n`; the last one may end without. Empty lines are skipped, as is a UTF-8 byte order
///   mark at the start. Spaces belong to their field.
/// - A field that begins with `"` ends with `"`; inside, `""` is one quote, and commas and ends of line are text. In
///   other fields quotes are text.
/// - A record with another number of fields than the first, or that is not UTF-8, is an event failure with the whole
///   record. So is one longer than [`max_record_bytes`](Self::max_record_bytes); its item has the first
///   `max_record_bytes` bytes.
/// - Where quotes are wrong (text after a closing quote, no closing quote before the end of the file or within
///   `max_record_bytes`), the record's first line is an event failure and reading goes on with the next line: one
///   missing quote does not swallow the file.
/// - An I/O error yields one failure ([`Reason::Io`]) with what was read of the record, and ends the source.
///
/// Failures name the source, the line, the column and the value; their item is a [`Line`] with the record's bytes
/// (without its last end of line) and the number of its first line.
///
/// Memory: at most twice `max_record_bytes` and 64 KiB, besides the records that were handed out.
///
/// ```
/// let text = "sensor,value\na,1.5\nb\nc,x\n";
/// let records: Vec<_> = rxevents::source::csv(text.as_bytes(), "s.csv")?.collect();
/// assert_eq!(records[0].as_ref().unwrap().get("value"), Some("1.5"));
/// let rejected = records[1].as_ref().unwrap_err();
/// assert_eq!(rejected.reason.message(), "s.csv:3: 1 field, but there are 2 columns");
///
/// #[derive(serde::Deserialize)]
/// struct Reading {
///     sensor: String,
///     value: f64,
/// }
/// let readings: Vec<_> = rxevents::source::csv(text.as_bytes(), "s.csv")?.records::<Reading>().collect();
/// assert_eq!(readings[0].as_ref().unwrap().value, 1.5);
/// let rejected = readings[2].as_ref().err().unwrap();
/// assert_eq!(rejected.reason.message(), "s.csv:4: column 2 `value` is `x`: invalid float literal");
/// # Ok::<(), rxevents::source::OpenError>(())
/// ```
#[derive(Debug)]
pub struct CsvFile<R> {
    reader: R,
    header: Arc<CsvHeader>,
    max_record_bytes: usize,
    buffer: Vec<u8>,
    /// The part of the buffer that was read, but not used.
    filled: Range<usize>,
    /// The reader has nothing more.
    at_end: bool,
    ended: bool,
    /// How many bytes the reader has given.
    read: u64,
    /// The line at the start of `filled`.
    line: u64,
    fields: Fields,
}

/// The columns of a CSV source.
#[derive(Debug)]
pub struct CsvHeader {
    source: Arc<str>,
    names: Vec<String>,
}

/// One record: a text for each column.
#[derive(Debug, Clone)]
pub struct CsvRecord {
    header: Arc<CsvHeader>,
    /// The record as it was, then the fields with doubled quotes, undoubled.
    text: Box<str>,
    raw_length: usize,
    fields: Box<[(u32, u32)]>,
    line: u64,
}

/// The records of a CSV source as values of type `T`; see [`CsvFile::records`].
#[derive(Debug)]
pub struct CsvRecords<R, T> {
    records: CsvFile<R>,
    item: PhantomData<fn() -> T>,
}

/// The records of `reader`, which is called `name` in dead letters. It need not be buffered.
///
/// A source without any record has no columns and yields nothing. Two columns may have the same name.
///
/// # Errors
/// The first record cannot be read.
pub fn csv<R: Read>(reader: R, name: impl Into<Arc<str>>) -> Result<CsvFile<R>, OpenError> {
    let name = name.into();
    let mut file = CsvFile {
        reader,
        header: Arc::new(CsvHeader { source: name.clone(), names: Vec::new() }),
        max_record_bytes: DEFAULT_MAX_LINE_BYTES,
        buffer: Vec::new(),
        filled: 0..0,
        at_end: false,
        ended: false,
        read: 0,
        line: 1,
        fields: Fields::default(),
    };
    match file.next_record(true) {
        Some(Ok(first)) => {
            let names = first.iter().map(|(_, name)| name.to_owned()).collect();
            file.header = Arc::new(CsvHeader { source: name, names });
            Ok(file)
        }
        None => Ok(file),
        Some(Err(rejected)) => Err(OpenError {
            name,
            source: match rejected.reason {
                Reason::Io(error) => io::Error::new(error.kind(), error),
                reason => io::Error::new(io::ErrorKind::InvalidData, reason),
            },
        }),
    }
}

impl CsvFile<File> {
    /// The records of the file at `path`.
    ///
    /// # Errors
    /// The file cannot be opened, or its first record cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let (file, name) = text::open(path.as_ref())?;
        csv(file, name)
    }
}

#[cfg(feature = "gzip")]
impl CsvFile<super::Gunzip<File>> {
    /// The records of the gzip file at `path`, read as by [`Gunzip`](super::Gunzip).
    ///
    /// # Errors
    /// The file cannot be opened, or its first record cannot be read.
    pub fn open_gz(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let (file, name) = text::open(path.as_ref())?;
        csv(super::Gunzip::new(file), name)
    }
}

impl<R> CsvFile<R> {
    /// Sets the longest record that is accepted, in bytes; the default is 1 MiB, the most 1 GiB.
    #[must_use]
    pub fn max_record_bytes(self, max_record_bytes: usize) -> Self {
        Self { max_record_bytes: max_record_bytes.min(MAX_RECORD_BYTES), ..self }
    }

    /// The columns.
    pub fn header(&self) -> &CsvHeader {
        &self.header
    }

    /// The records as values of type `T`, by [`CsvRecord::deserialize`].
    pub fn records<T: DeserializeOwned>(self) -> CsvRecords<R, T> {
        CsvRecords { records: self, item: PhantomData }
    }
}

impl CsvHeader {
    /// The names of the columns, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of the source, such as the path of the file.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }
}

impl CsvRecord {
    /// The text in the column `name` (the first of that name), or `None` when there is no such column.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.field(self.header.names.iter().position(|column| column == name)?)
    }

    /// The text in the column `index`; the first is 0.
    pub fn field(&self, index: usize) -> Option<&str> {
        let &(start, end) = self.fields.get(index)?;
        self.text.get(start as usize..end as usize)
    }

    /// The names of the columns with their texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = self.header.names.iter().map(String::as_str).chain(std::iter::repeat(""));
        names.zip((0..self.fields.len()).filter_map(|index| self.field(index)))
    }

    /// The number of the record's first line; the file's first is 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The columns.
    pub fn header(&self) -> &CsvHeader {
        &self.header
    }

    /// The record as a value of type `T`, usually a struct whose fields are named like the columns.
    ///
    /// Numbers and booleans (`true`, `false`) are parsed from their text, without spaces; `f64` takes `NaN` and `inf`
    /// too. An empty text is `None` for an `Option`. Columns that `T` does not ask for are ignored.
    ///
    /// # Errors
    /// A [`Reason::Decode`] that names the source, the line, the column and the value.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, Reason> {
        let column = Cell::new(None);
        let entries = Entries { record: self, next: 0, column: &column };
        T::deserialize(serde::de::value::MapAccessDeserializer::new(entries)).map_err(|error| {
            let place = Place { source: self.header.source.clone(), line: self.line };
            Reason::decode(match column.get() {
                Some(column) => CsvError::Value {
                    place,
                    column: column + 1,
                    name: self.header.names.get(column).cloned().unwrap_or_default(),
                    value: self.field(column).unwrap_or_default().chars().take(QUOTED_CHARS).collect(),
                    error,
                },
                None => CsvError::Record { place, error },
            })
        })
    }
}

impl From<CsvRecord> for Line {
    fn from(record: CsvRecord) -> Self {
        Line::new(record.payload(), record.line, record.header.source.clone())
    }
}

/// The record's original bytes, without its last end of line.
impl Payload for CsvRecord {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.text.as_bytes().get(..self.raw_length).unwrap_or_default().into()
    }

    fn origin(&self) -> Option<Origin> {
        Some(Origin::line(self.header.source.clone(), self.line))
    }
}

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
enum CsvError {
    #[error("{place}: {fields} field{}, but there are {columns} columns", if *fields == 1 { "" } else { "s" })]
    Fields { place: Place, fields: usize, columns: usize },
    #[error("{place}: column {column} is not UTF-8: \"{value}\"")]
    Utf8 { place: Place, column: usize, value: String },
    #[error("{place}: column {column}: {what}")]
    Quotes { place: Place, column: usize, what: &'static str },
    #[error("{place}: column {column} `{name}` is `{value}`: {error}")]
    Value { place: Place, column: usize, name: String, value: String, error: ValueError },
    #[error("{place}: {error}")]
    Record { place: Place, error: ValueError },
}

#[derive(Debug)]
struct Place {
    source: Arc<str>,
    line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.line)
    }
}

/// The fields of one record, as ranges in it.
#[derive(Debug, Default)]
struct Fields {
    ranges: Vec<(u32, u32)>,
    /// Those with doubled quotes.
    doubled: Vec<usize>,
    /// The number of ends of line in fields.
    newlines: u64,
}

enum Scan {
    /// A whole record: its length without and with the end of line.
    Record(usize, usize),
    /// The text ends before the record does.
    Incomplete,
    /// Wrong quotes in the last of the fields.
    Bad(&'static str),
}

impl Fields {
    /// Finds the fields of the first record in `text`, at the end of which there is nothing more if `at_end`.
    fn scan(&mut self, text: &[u8], at_end: bool) -> Scan {
        self.ranges.clear();
        self.doubled.clear();
        self.newlines = 0;
        let mut start = 0;
        loop {
            let rest = text.get(start..).unwrap_or_default();
            let end = if rest.first() == Some(&b'"') {
                let mut from = 1;
                let mut doubled = false;
                let close = loop {
                    let Some(quote) = rest.get(from..).and_then(|rest| memchr(b'"', rest)) else {
                        self.push(start + 1, text.len(), false);
                        return if at_end { Scan::Bad("the quote is not closed") } else { Scan::Incomplete };
                    };
                    match rest.get(from + quote + 1) {
                        Some(b'"') => from += quote + 2,
                        None if !at_end => return Scan::Incomplete,
                        _ => break from + quote,
                    }
                    doubled = true;
                };
                let inside = rest.get(1..close).unwrap_or_default();
                self.newlines += memchr_iter(b'\n', inside).count() as u64;
                self.push(start + 1, start + close, doubled);
                match (rest.get(close + 1), rest.get(close + 2)) {
                    (Some(b',' | b'\n'), _) | (None, _) => start + close + 1,
                    (Some(b'\r'), Some(b'\n')) => return Scan::Record(start + close + 1, start + close + 3),
                    (Some(b'\r'), None) if !at_end => return Scan::Incomplete,
                    _ => return Scan::Bad("text after the closing quote"),
                }
            } else {
                let length = match memchr2(b',', b'\n', rest) {
                    Some(length) => length,
                    None if at_end => rest.len(),
                    None => return Scan::Incomplete,
                };
                let ends_with_cr =
                    rest.get(length) == Some(&b'\n') && length > 0 && rest.get(length - 1) == Some(&b'\r');
                let end = start + length - usize::from(ends_with_cr);
                self.push(start, end, false);
                if ends_with_cr {
                    return Scan::Record(end, end + 2);
                }
                end
            };
            match text.get(end) {
                Some(b',') => start = end + 1,
                Some(_) => return Scan::Record(end, end + 1),
                None => return Scan::Record(end, end),
            }
        }
    }

    fn push(&mut self, start: usize, end: usize, doubled: bool) {
        if doubled {
            self.doubled.push(self.ranges.len());
        }
        // A record's length fits 32 bits; see MAX_RECORD_BYTES.
        self.ranges.push((start as u32, end as u32));
    }

    /// The column that holds the byte `at`; the first is 1.
    fn column_at(&self, at: usize) -> usize {
        1 + self.ranges.iter().take_while(|range| (range.1 as usize) < at).count()
    }
}

impl<R: Read> CsvFile<R> {
    fn next_record(&mut self, first: bool) -> Option<Result<CsvRecord, Rejected<Line>>> {
        while !self.ended {
            let text = self.buffer.get(self.filled.clone()).unwrap_or_default();
            if self.line == 1 && first && text.starts_with(b"\xef\xbb\xbf") {
                self.filled.start += 3;
                continue;
            }
            let blank = match text {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                _ => 0,
            };
            if blank > 0 {
                self.consume(blank, 1);
                continue;
            }
            if text.is_empty() && self.at_end {
                self.ended = true;
                return None;
            }
            let scan = self.fields.scan(text, self.at_end);
            let line_is_whole = || self.at_end || memchr(b'\n', text).is_some();
            // One byte more than the longest record may be its `\r`.
            let is_too_long = text.len() > self.max_record_bytes + 1;
            return Some(match scan {
                Scan::Record(length, _) if length > self.max_record_bytes && self.fields.newlines > 0 => {
                    self.reject_first_line(NOT_CLOSED)
                }
                Scan::Record(length, used) => {
                    let record = self.record(length, first);
                    self.consume(used, 1 + self.fields.newlines);
                    record
                }
                Scan::Bad(what) if line_is_whole() => self.reject_first_line(what),
                Scan::Incomplete if is_too_long && line_is_whole() => self.reject_first_line(NOT_CLOSED),
                _ if is_too_long => self.skip_line(),
                _ => match self.fill() {
                    Ok(()) => continue,
                    Err(error) => self.reject_rest(error),
                },
            });
        }
        None
    }

    /// The record at the start of what is read, whose fields were found.
    fn record(&self, length: usize, first: bool) -> Result<CsvRecord, Rejected<Line>> {
        let text = self.buffer.get(self.filled.clone()).unwrap_or_default();
        let raw = text.get(..length).unwrap_or(text);
        let Fields { ranges, doubled, .. } = &self.fields;
        if length > self.max_record_bytes {
            let head = raw.get(..self.max_record_bytes).unwrap_or(raw);
            return Err(self.reject(head, self.too_long(length as u64)));
        }
        let columns = self.header.names.len();
        if ranges.len() != columns && !first {
            let error = CsvError::Fields { place: self.place(), fields: ranges.len(), columns };
            return Err(self.reject(raw, Reason::decode(error)));
        }
        let valid = match std::str::from_utf8(raw) {
            Ok(valid) => valid,
            Err(error) => {
                let column = self.fields.column_at(error.valid_up_to());
                let range = ranges.get(column - 1).copied().unwrap_or_default();
                let value = raw.get(range.0 as usize..range.1 as usize).unwrap_or_default();
                let value = value.get(..QUOTED_CHARS).unwrap_or(value).escape_ascii().to_string();
                return Err(
                    self.reject(raw, Reason::decode(CsvError::Utf8 { place: self.place(), column, value }))
                );
            }
        };
        let mut fields: Box<[_]> = ranges.as_slice().into();
        let text = if doubled.is_empty() {
            valid.into()
        } else {
            let mut text = String::with_capacity(2 * length);
            text.push_str(valid);
            for &index in doubled {
                if let Some(range) = fields.get_mut(index) {
                    let start = text.len() as u32;
                    text.push_str(
                        &valid
                            .get(range.0 as usize..range.1 as usize)
                            .unwrap_or_default()
                            .replace("\"\"", "\""),
                    );
                    *range = (start, text.len() as u32);
                }
            }
            text.into()
        };
        Ok(CsvRecord { header: self.header.clone(), text, raw_length: length, fields, line: self.line })
    }

    fn place(&self) -> Place {
        Place { source: self.header.source.clone(), line: self.line }
    }

    fn too_long(&self, length: u64) -> Reason {
        Reason::TooLong { limit: self.max_record_bytes as u64, length }
    }

    fn reject(&self, bytes: &[u8], reason: Reason) -> Rejected<Line> {
        Rejected::new(Line::new(bytes, self.line, self.header.source.clone()), "csv", reason)
    }

    fn reject_first_line(&mut self, what: &'static str) -> Result<CsvRecord, Rejected<Line>> {
        let text = self.buffer.get(self.filled.clone()).unwrap_or_default();
        let length = memchr(b'\n', text).unwrap_or(text.len());
        let line = text.get(..length).unwrap_or(text);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let rejected = match line.get(..self.max_record_bytes) {
            Some(head) if head.len() < line.len() => self.reject(head, self.too_long(line.len() as u64)),
            _ => {
                let error = CsvError::Quotes { place: self.place(), column: self.fields.ranges.len(), what };
                self.reject(line, Reason::decode(error))
            }
        };
        self.consume((length + 1).min(text.len()), 1);
        Err(rejected)
    }

    /// Rejects a line that is too long, none of whose end was read yet, and skips it.
    fn skip_line(&mut self) -> Result<CsvRecord, Rejected<Line>> {
        let text = self.buffer.get(self.filled.clone()).unwrap_or_default();
        let mut rejected = self.reject(text.get(..self.max_record_bytes).unwrap_or(text), self.too_long(0));
        let (mut length, mut last) = (0, None);
        loop {
            let text = self.buffer.get(self.filled.clone()).unwrap_or_default();
            let end = memchr(b'\n', text);
            let part = end.and_then(|end| text.get(..end)).unwrap_or(text);
            length += part.len() as u64;
            last = part.last().copied().or(last);
            let used = part.len();
            if end.is_some() || self.at_end {
                rejected.reason = self.too_long(length - u64::from(end.is_some() && last == Some(b'\r')));
                self.consume(used + usize::from(end.is_some()), 1);
                return Err(rejected);
            }
            self.consume(used, 0);
            if let Err(error) = self.fill() {
                self.ended = true;
                rejected.reason = error.into();
                return Err(rejected);
            }
        }
    }

    fn reject_rest(&mut self, error: io::Error) -> Result<CsvRecord, Rejected<Line>> {
        self.ended = true;
        let text = self.buffer.get(self.filled.clone()).unwrap_or_default();
        Err(self.reject(text, error.into()))
    }

    fn consume(&mut self, bytes: usize, lines: u64) {
        self.filled.start += bytes;
        self.line += lines;
    }

    /// Reads on. The buffer doubles when one record fills it, so that scanning it again and again stays linear.
    fn fill(&mut self) -> io::Result<()> {
        let unused = self.filled.len();
        self.buffer.copy_within(self.filled.clone(), 0);
        self.filled = 0..unused;
        let wanted = unused + unused.max(CHUNK).min(self.max_record_bytes.max(CHUNK));
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        loop {
            match self.reader.read(self.buffer.get_mut(unused..).unwrap_or_default()) {
                Ok(0) => self.at_end = true,
                Ok(read) => {
                    self.filled.end += read;
                    self.read += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }
}

/// The columns are those of the start of the file.
impl<R: Read + Seek> Resumable for CsvFile<R> {
    fn reached(&self) -> Position {
        Position { bytes: self.read - self.filled.len() as u64, lines: self.line - 1 }
    }

    fn resume(&mut self, at: Position) -> io::Result<()> {
        seek_line(&mut self.reader, at.bytes)?;
        (self.read, self.line, self.filled) = (at.bytes, at.lines + 1, 0..0);
        (self.at_end, self.ended) = (false, false);
        Ok(())
    }
}

impl<R: Read + Seek, T: DeserializeOwned> Resumable for CsvRecords<R, T> {
    fn reached(&self) -> Position {
        self.records.reached()
    }

    fn resume(&mut self, at: Position) -> io::Result<()> {
        self.records.resume(at)
    }
}

impl<R: Read> Iterator for CsvFile<R> {
    type Item = Result<CsvRecord, Rejected<Line>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record(false)
    }
}

impl<R: Read, T: DeserializeOwned> Iterator for CsvRecords<R, T> {
    type Item = Result<T, Rejected<Line>>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.records.next()?.and_then(|record| {
            record.deserialize().map_err(|reason| Rejected::new(record.into(), "csv", reason))
        }))
    }
}

/// A record as serde sees it: a map of names and texts. It notes the column that it is at.
struct Entries<'a> {
    record: &'a CsvRecord,
    next: usize,
    column: &'a Cell<Option<usize>>,
}

impl<'a> MapAccess<'a> for Entries<'a> {
    type Error = ValueError;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, ValueError> {
        self.column.set(None);
        match self.record.header.names.get(self.next) {
            Some(name) => seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, ValueError> {
        self.column.set(Some(self.next));
        let text = self.record.field(self.next).unwrap_or_default();
        self.next += 1;
        seed.deserialize(Field(text))
    }
}

/// One field as serde sees it: a text that may hold a number.
struct Field<'a>(&'a str);

impl Field<'_> {
    fn parse<T: FromStr<Err: Error>>(&self) -> Result<T, ValueError> {
        self.0.parse().map_err(ValueError::custom)
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            visitor.$visit(self.parse()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Field<'de> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_borrowed_str(self.0)
    }

    parsed!(
        deserialize_bool visit_bool,
        deserialize_i8 visit_i8,
        deserialize_i16 visit_i16,
        deserialize_i32 visit_i32,
        deserialize_i64 visit_i64,
        deserialize_i128 visit_i128,
        deserialize_u8 visit_u8,
        deserialize_u16 visit_u16,
        deserialize_u32 visit_u32,
        deserialize_u64 visit_u64,
        deserialize_u128 visit_u128,
        deserialize_f32 visit_f32,
        deserialize_f64 visit_f64
    );

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if self.0.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::FailureKind;
    use proptest::prelude::*;
    use serde::Deserialize;

    /// Gives out one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    #[test]
    fn goes_on_at_each_of_its_records() {
        let text = "\u{feff}a,b\r\n1,\"x\ny\"\n\nbad\n3,z";
        let open = || csv(io::Cursor::new(text), "t").unwrap();
        let all = shown(open());
        let mut source = open();
        for read in 0..=all.len() {
            let at = source.reached();
            let mut again = open();
            again.resume(at).unwrap();
            assert_eq!(shown(again), all[read..], "{at:?}");
            source.next();
        }
        let beyond = Position { bytes: 100, lines: 9 };
        assert_eq!(open().resume(beyond).unwrap_err().to_string(), "there are 24 bytes only");
    }

    fn shown(records: impl Iterator<Item = Result<CsvRecord, Rejected<Line>>>) -> Vec<String> {
        records
            .map(|record| match record {
                Ok(record) => {
                    let fields: Vec<_> = record.iter().map(|(_, field)| field).collect();
                    format!("{} {}", record.line(), fields.join("|"))
                }
                Err(rejected) => {
                    assert_eq!(rejected.item.source().as_ref(), "t");
                    let line = String::from_utf8_lossy(rejected.item.bytes()).into_owned();
                    format!("{} {line}: {}", rejected.item.number(), rejected.reason)
                }
            })
            .collect()
    }

    /// All records, the same however the reader gives them out.
    fn read(text: &[u8]) -> Vec<String> {
        let records = shown(csv(text, "t").unwrap());
        assert_eq!(records, shown(csv(Slow(text), "t").unwrap()));
        records
    }

    #[test]
    fn quotes_and_lines() {
        let text = b"\xef\xbb\xbfa,b\r\n1,\"x,\r\ny\"\r\n\r\n\n\"say \"\"hi\"\"\",5\" pipe\n,\n\"\",\"z\"";
        assert_eq!(read(text), ["2 1|x,\r\ny", "6 say \"hi\"|5\" pipe", "7 |", "8 |z"]);
        let records: Vec<_> = csv(&text[..], "t").unwrap().map(Result::unwrap).collect();
        assert_eq!(records[1].get("a"), Some("say \"hi\""));
        assert_eq!(records[1].get("c"), None);
        assert_eq!(records[1].payload().as_ref(), b"\"say \"\"hi\"\"\",5\" pipe");
        assert_eq!(records[0].payload().as_ref(), b"1,\"x,\r\ny\"");
    }

    #[test]
    fn bad_records_are_failures_of_their_own() {
        assert_eq!(
            read(b"a,b\n1\n1,2,3\n1,\xff\n\"1\"x,2\n1,\"2\n\"3\",4\n5,\"6"),
            [
                "2 1: t:2: 1 field, but there are 2 columns",
                "3 1,2,3: t:3: 3 fields, but there are 2 columns",
                "4 1,\u{fffd}: t:4: column 2 is not UTF-8: \"\\xff\"",
                "5 \"1\"x,2: t:5: column 1: text after the closing quote",
                "6 1,\"2: t:6: column 2: text after the closing quote",
                "7 3|4",
                "8 5,\"6: t:8: column 2: the quote is not closed",
            ]
        );
    }

    #[test]
    fn open_quote_costs_one_line_only() {
        assert_eq!(read(b"a\n\"x\n1\n2\n"), ["2 \"x: t:2: column 1: the quote is not closed", "3 1", "4 2"]);
    }

    #[test]
    fn too_long_records() {
        let limited = |text: &[u8]| shown(csv(text, "t").unwrap().max_record_bytes(8));
        let long = "y".repeat(3 * CHUNK);
        let text = format!("a\n12345678\n123456789\r\n{long}\n\"x\n{}\n", "1\n".repeat(CHUNK));
        let records = limited(text.as_bytes());
        assert_eq!(records[0], "2 12345678");
        assert_eq!(records[1], "3 12345678: 9 bytes long, at most 8 are allowed");
        assert_eq!(records[2], format!("4 yyyyyyyy: {} bytes long, at most 8 are allowed", 3 * CHUNK));
        assert_eq!(records[3], "5 \"x: t:5: column 1: the quote is not closed within the longest record");
        assert_eq!(records.len(), 4 + CHUNK);
        assert_eq!(records[4], "6 1");
    }

    #[test]
    fn long_records_within_the_limit_are_whole() {
        let long = "y,\n".repeat(CHUNK);
        let text = format!("a\n\"{long}\"\nx\n");
        let records: Vec<_> = csv(text.as_bytes(), "t").unwrap().map(Result::unwrap).collect();
        assert_eq!(records[0].field(0), Some(long.as_str()));
        assert_eq!((records[1].line(), records[1].field(0)), (3 + CHUNK as u64, Some("x")));
    }

    #[test]
    fn source_without_records() {
        for text in [&b""[..], b"\n", b"\xef\xbb\xbf", b"a,b", b"a,b\r\n"] {
            assert_eq!(read(text), [""; 0]);
        }
    }

    #[test]
    fn broken_header_is_an_error() {
        let error = csv(&b"a,\"b"[..], "t").unwrap_err().to_string();
        assert_eq!(error, "t: t:1: column 2: the quote is not closed");
        assert!(CsvFile::open("/absent/a.csv").unwrap_err().to_string().starts_with("/absent/a.csv: "));
    }

    #[test]
    fn io_error_is_reported_and_ends_the_source() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("unplugged"))
            }
        }
        assert_eq!(shown(csv((&b"a\n1\n2"[..]).chain(Broken), "t").unwrap()), ["2 1", "3 2: unplugged"]);
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        id: u32,
        name: String,
        price: Option<f64>,
        ok: bool,
        kind: Kind,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Kind {
        Big,
        Small,
    }

    #[test]
    fn typed_records() {
        let text = "id,name,unused,price,ok,kind\n1,ä,,1.5,true,Big\n2,,x,,false,Small\n\
                    -1,a,,,true,Big\n3,a,,x,true,Big\n4,a,,,yes,Big\n5,a,,,true,Tiny\n";
        let rows: Vec<_> = csv(text.as_bytes(), "t").unwrap().records::<Row>().collect();
        let row = |id, name: &str, price, ok, kind| Row { id, name: name.into(), price, ok, kind };
        assert_eq!(rows[0].as_ref().unwrap(), &row(1, "ä", Some(1.5), true, Kind::Big));
        assert_eq!(rows[1].as_ref().unwrap(), &row(2, "", None, false, Kind::Small));
        let messages: Vec<_> =
            rows[2..].iter().map(|row| row.as_ref().unwrap_err().reason.message()).collect();
        assert_eq!(
            messages,
            [
                "t:4: column 1 `id` is `-1`: invalid digit found in string",
                "t:5: column 4 `price` is `x`: invalid float literal",
                "t:6: column 5 `ok` is `yes`: provided string was not `true` or `false`",
                "t:7: column 6 `kind` is `Tiny`: unknown variant `Tiny`, expected `Big` or `Small`",
            ]
        );
        let rejected = rows[2].as_ref().unwrap_err();
        assert_eq!(
            (rejected.item.bytes(), rejected.reason.kind()),
            (&b"-1,a,,,true,Big"[..], FailureKind::Decode)
        );
    }

    #[test]
    fn absent_column_is_named() {
        let rows: Vec<_> = csv(&b"id\n1\n"[..], "t").unwrap().records::<Row>().collect();
        assert_eq!(rows[0].as_ref().unwrap_err().reason.message(), "t:2: missing field `name`");
    }

    proptest! {
        /// What is accepted is what csv-core reads.
        #[test]
        fn agrees_with_csv_core(body in "([a\\n\",é]|\r\n|\"\"|\",\"){0,30}") {
            let text = format!("x,y\n{body}");
            let ours: Vec<_> = csv(text.as_bytes(), "t").unwrap().collect();
            for record in ours.iter().flatten() {
                let mut reader = csv_core::Reader::new();
                let (mut out, mut ends) = ([0; 200], [0; 50]);
                let payload = record.payload();
                let (_, used, written, _) = reader.read_record(&payload, &mut out, &mut ends);
                let (_, more, _, count) = reader.read_record(&[], &mut out[written..], &mut ends[0..]);
                prop_assert_eq!((used, more, count >= 1), (payload.len(), 0, true));
                let joined: String = record.iter().map(|(_, field)| field).collect();
                prop_assert_eq!(joined.as_bytes(), &out[..written]);
            }
            prop_assert_eq!(shown(ours.into_iter()), shown(csv(Slow(text.as_bytes()), "t").unwrap()));
        }

        /// The limit holds in the same way however the reader gives out its bytes.
        #[test]
        fn limit_is_exact(body in "([a\n\",]|\r\n|\"\"){0,30}", max in 1usize..6) {
            let text = format!("x,y\n{body}");
            let limited = |reader: &mut dyn Read| -> Vec<_> {
                let records = csv(reader, "t").unwrap().max_record_bytes(max);
                let kept = |record: Result<CsvRecord, Rejected<Line>>| match record {
                    Ok(record) => (record.line(), record.payload().into_owned(), true),
                    Err(rejected) => (rejected.item.number(), rejected.item.bytes().to_vec(), false),
                };
                records.map(kept).collect()
            };
            let records = limited(&mut text.as_bytes());
            prop_assert!(records.iter().all(|record| record.1.len() <= max));
            prop_assert_eq!(&records, &limited(&mut Slow(text.as_bytes())));
        }

        /// Nothing is lost, and nothing panics: all bytes but ends of line are in a record or a failure.
        #[test]
        fn any_bytes(body: Vec<u8>) {
            let text = [b"x,y\n", &body[..]].concat();
            let kept: Vec<u8> = csv(&text[..], "t").unwrap().flat_map(|record| match record {
                Ok(record) => record.payload().into_owned(),
                Err(rejected) => rejected.item.bytes().to_vec(),
            }).collect();
            let letters = |bytes: &[u8]| bytes.iter().copied().filter(|b| !b"\r\n".contains(b)).collect::<Vec<_>>();
            prop_assert_eq!(letters(&kept), letters(&body));
        }

        /// Written records come back, whatever is in them.
        #[test]
        fn written_records_come_back(rows: Vec<(String, String)>) {
            let mut text = String::from("x,y\n");
            for (x, y) in &rows {
                text += &format!("\"{}\",\"{}\"\n", x.replace('"', "\"\""), y.replace('"', "\"\""));
            }
            let read: Vec<_> = csv(text.as_bytes(), "t").unwrap().map(Result::unwrap).collect();
            let field = |record: &CsvRecord, index| record.field(index).unwrap().to_owned();
            let read: Vec<_> = read.iter().map(|record| (field(record, 0), field(record, 1))).collect();
            prop_assert_eq!(read, rows);
        }
    }
}
