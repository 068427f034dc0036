//! An input that is read several times, as if it were one long one.

use std::{
    io,
    path::{Path, PathBuf},
};

use rxevents::{
    dead_letter::Rejected,
    delivery::Position,
    source::{Line, OpenError, Replayed, Resumable, TextFile},
};

/// Lines of which each knows where it was.
pub(crate) type Lines = Box<dyn Resumable<Item = Result<Line, Rejected<Line>>> + Send>;

/// The lines of the file, or the made-up ones, `times` times.
pub(crate) fn text<I>(path: Option<&Path>, made_up: I, times: u64) -> Result<Lines, OpenError>
where
    I: Iterator<Item = String> + Clone + Send + 'static,
{
    let Some(path) = path else {
        let all = (0..times).flat_map(move |_| made_up.clone()).enumerate();
        let line = |(at, text): (usize, String)| Ok(Line::new(text.into_bytes(), at as u64 + 1, "made up"));
        return Ok(Box::new(Replayed::new(all.map(line))));
    };
    Ok(Box::new(Repeated {
        source: TextFile::open(path)?,
        path: path.into(),
        before: Position::default(),
        left: times,
    }))
}

/// A file, several times.
struct Repeated<R> {
    source: TextFile<R>,
    path: PathBuf,
    /// The passes before this one.
    before: Position,
    /// How many there are still, this one included.
    left: u64,
}

fn plus(a: Position, b: Position) -> Position {
    Position { bytes: a.bytes + b.bytes, lines: a.lines + b.lines }
}

impl Iterator for Repeated<io::BufReader<std::fs::File>> {
    type Item = Result<Line, Rejected<Line>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(line) = self.source.next() {
                return Some(line);
            }
            self.before = self.reached();
            self.left = self.left.checked_sub(1).filter(|left| *left > 0)?;
            match TextFile::open(&self.path) {
                Ok(again) => self.source = again,
                Err(error) => {
                    let line = Line::new(*b"", 0, error.name);
                    self.left = 1;
                    return Some(Err(Rejected::new(line, "open", error.source)));
                }
            }
        }
    }
}

impl Resumable for Repeated<io::BufReader<std::fs::File>> {
    fn reached(&self) -> Position {
        plus(self.before, self.source.reached())
    }

    fn resume(&mut self, at: Position) -> io::Result<()> {
        let mut end = TextFile::open(&self.path).map_err(io::Error::other)?;
        end.by_ref().for_each(drop);
        let end = end.reached();
        // The end of a pass is not yet the start of the next one.
        let passes = at.bytes.saturating_sub(1).checked_div(end.bytes).unwrap_or(0);
        self.before = Position { bytes: end.bytes * passes, lines: end.lines * passes };
        self.left = self.left.saturating_sub(passes);
        let here = Position {
            bytes: at.bytes - self.before.bytes,
            lines: at.lines.saturating_sub(self.before.lines),
        };
        self.source.resume(here)
    }
}
