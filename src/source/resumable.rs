//! Sources that can go on where they were.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use crate::delivery::Position;

/// A source that knows where it is, and can go on there when it is opened again.
pub trait Resumable: Iterator {
    /// Where it is: all items so far are behind.
    fn reached(&self) -> Position;

    /// Goes to `at`, as the first thing that is done with it.
    ///
    /// # Errors
    /// It cannot be read there, or there is no such place in it: it is another file by now, say.
    fn resume(&mut self, at: Position) -> io::Result<()>;
}

impl<S: Resumable + ?Sized> Resumable for Box<S> {
    fn reached(&self) -> Position {
        (**self).reached()
    }

    fn resume(&mut self, at: Position) -> io::Result<()> {
        (**self).resume(at)
    }
}

/// A source that is the same each time it is made, such as a generator or a query with an order: it goes on by leaving
/// out what it yielded before.
///
/// ```
/// use rxevents::{delivery::{Acknowledger, MemoryPosition}, source::Replayed};
///
/// let position = MemoryPosition::default();
/// let run = |most: usize| -> Result<Vec<i32>, Box<dyn std::error::Error>> {
///     let acks = Acknowledger::new("numbers", position.clone())?;
///     let numbers = acks.resume(Replayed::new(1..=5))?;
///     Ok(numbers.take(most).map(|number| number.map(|number| number.ack())).collect::<Result<_, _>>()?)
/// };
/// assert_eq!(run(3)?, [1, 2, 3]);
/// assert_eq!(run(9)?, [4, 5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Replayed<I> {
    items: I,
    yielded: u64,
}

impl<I: Iterator> Replayed<I> {
    /// The items, counted.
    pub fn new(items: impl IntoIterator<IntoIter = I>) -> Self {
        Self { items: items.into_iter(), yielded: 0 }
    }
}

impl<I: Iterator> Iterator for Replayed<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let item = self.items.next()?;
        self.yielded += 1;
        Some(item)
    }
}

impl<I: Iterator> Resumable for Replayed<I> {
    fn reached(&self) -> Position {
        Position { bytes: 0, lines: self.yielded }
    }

    fn resume(&mut self, at: Position) -> io::Result<()> {
        while self.yielded < at.lines {
            if self.next().is_none() {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("there are {} items only", self.yielded),
                ));
            }
        }
        Ok(())
    }
}

/// Goes to the byte `at` of a text, which must be the start of a line, or the end.
pub(super) fn seek_line(reader: &mut (impl Read + Seek), at: u64) -> io::Result<()> {
    let Some(before) = at.checked_sub(1) else { return reader.rewind() };
    let length = reader.seek(SeekFrom::End(0))?;
    let wrong = |what: String| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    if at > length {
        return wrong(format!("there are {length} bytes only"));
    }
    reader.seek(SeekFrom::Start(before))?;
    let mut last = [0];
    reader.read_exact(&mut last)?;
    if last != *b"\n" && at < length {
        return wrong("no line begins there".into());
    }
    Ok(())
}

impl<R: BufRead + Seek> Resumable for super::TextFile<R> {
    fn reached(&self) -> Position {
        Position { bytes: self.position(), lines: self.line_count() }
    }

    fn resume(&mut self, at: Position) -> io::Result<()> {
        seek_line(self.reader_mut(), at.bytes)?;
        self.go_on(at.bytes, at.lines);
        Ok(())
    }
}

impl<R: BufRead + Seek, T: serde::de::DeserializeOwned> Resumable for super::JsonlFile<R, T> {
    fn reached(&self) -> Position {
        Resumable::reached(self.lines())
    }

    fn resume(&mut self, at: Position) -> io::Result<()> {
        self.lines_mut().resume(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{jsonl, lines};
    use std::io::Cursor;

    fn rest(text: &str, at: Position) -> io::Result<Vec<String>> {
        let mut lines = lines(Cursor::new(text), "t");
        lines.resume(at)?;
        Ok(lines.map(|line| line.unwrap()).map(|l| format!("{} {}", l.number(), l.text().unwrap())).collect())
    }

    #[test]
    fn a_text_goes_on_at_each_of_its_lines() {
        let text = "\u{feff}one\r\n\ntwo\nlast";
        let all = rest(text, Position::default()).unwrap();
        assert_eq!(all, ["1 one", "2 ", "3 two", "4 last"]);
        let mut source = lines(Cursor::new(text), "t");
        for read in 1..=4 {
            source.next().unwrap().unwrap();
            let at = Resumable::reached(&source);
            assert_eq!(at.lines, read);
            assert_eq!(rest(text, at).unwrap(), all[read as usize..], "after {read}");
        }
    }

    #[test]
    fn a_file_that_has_grown_yields_what_is_new() {
        let mut source = lines(Cursor::new("one\ntwo\n"), "t");
        assert_eq!(source.by_ref().count(), 2);
        let at = Resumable::reached(&source);
        assert_eq!(rest("one\ntwo\nthree\n", at).unwrap(), ["3 three"]);
    }

    #[test]
    fn another_file_is_an_error() {
        let at = Position { bytes: 4, lines: 1 };
        assert_eq!(rest("on", at).unwrap_err().to_string(), "there are 2 bytes only");
        assert_eq!(rest("others\nand\n", at).unwrap_err().to_string(), "no line begins there");
    }

    #[test]
    fn jsonl_goes_on_after_bad_lines_and_blanks() {
        let text = "1\nx\n\n2\n";
        let open = || jsonl::<_, u8>(Cursor::new(text), "t");
        let mut source = open();
        assert!(source.next().unwrap().is_ok());
        assert!(source.next().unwrap().is_err());
        let at = source.reached();
        let mut again = open();
        again.resume(at).unwrap();
        assert_eq!(again.map(Result::unwrap).collect::<Vec<_>>(), [2]);
    }
}
