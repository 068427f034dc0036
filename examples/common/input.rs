//! The input: a file, or lines that are made up, which are read as if they were one.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    iter,
    path::Path,
};

use rxevents::{
    event::SensorReading,
    source::{CsvFile, OpenError, SplitMix64, TextFile, csv, lines},
};

use super::{columns::with_columns, reading};

pub(crate) type Text = Box<dyn BufRead + Send>;

/// The lines of the file, or the made-up ones.
pub(crate) fn text<I>(path: Option<&Path>, made_up: I) -> Result<TextFile<Text>, OpenError>
where
    I: Iterator<Item = String> + Send + 'static,
{
    open(path, made_up).map(|(text, name)| lines(text, name))
}

/// The records of the CSV file, or the made-up ones, the first of which is the header.
pub(crate) fn table<I>(path: Option<&Path>, made_up: I) -> Result<CsvFile<Text>, OpenError>
where
    I: Iterator<Item = String> + Send + 'static,
{
    open(path, made_up).and_then(|(text, name)| csv(text, name))
}

/// The records of the CSV file, or the made-up readings as such, for [`reading::from_record`].
pub(crate) fn readings<I>(path: Option<&Path>, made_up: I) -> Result<CsvFile<Text>, OpenError>
where
    I: Iterator<Item = SensorReading> + Send + 'static,
{
    let header = iter::once(reading::COLUMNS.join(","));
    let rows = made_up.map(|SensorReading { at, value, .. }| format!("{},{value}", at.to_rfc3339()));
    with_columns(table(path, header.chain(rows))?, &reading::COLUMNS)
}

fn open<I>(path: Option<&Path>, made_up: I) -> Result<(Text, String), OpenError>
where
    I: Iterator<Item = String> + Send + 'static,
{
    let Some(path) = path else {
        return Ok((
            Box::new(BufReader::new(MadeUp { lines: made_up, line: Vec::new(), used: 0 })),
            "made up".into(),
        ));
    };
    let name = path.to_string_lossy().into_owned();
    match File::open(path) {
        Ok(file) => Ok((Box::new(BufReader::with_capacity(1 << 16, file)), name)),
        Err(source) => Err(OpenError { name: name.into(), source }),
    }
}

/// A whole number below `bound`.
pub(crate) fn below(random: &mut SplitMix64, bound: u64) -> u64 {
    random.next_u64() % bound.max(1)
}

/// Lines as bytes, one at a time.
struct MadeUp<I> {
    lines: I,
    line: Vec<u8>,
    used: usize,
}

impl<I: Iterator<Item = String>> Read for MadeUp<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used == self.line.len() {
            let Some(line) = self.lines.next() else { return Ok(0) };
            (self.line, self.used) = (line.into_bytes(), 0);
            self.line.push(b'\n');
        }
        let read = self.line.get(self.used..).unwrap_or_default().read(buffer)?;
        self.used += read;
        Ok(read)
    }
}
