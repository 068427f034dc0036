use std::{
    fmt,
    io::{self, BufRead, BufReader, Read},
};

use flate2::read::MultiGzDecoder;

/// The decompressed bytes of a gzip file or of any reader of one: for `lines`, `jsonl` and `csv`.
///
/// Several gzip files one after the other are read as one, as gzip does. Where the data are truncated, fail their
/// checksum, or are no gzip, reading fails: the sources report that as one failure with the line, after all lines
/// before, and end.
///
/// Memory: about 140 KiB.
///
/// ```no_run
/// use rxevents::source::{Gunzip, TextFile, lines};
///
/// let file = TextFile::open_gz("access.log.gz")?;
/// let stdin = lines(Gunzip::new(std::io::stdin()), "stdin");
/// # Ok::<(), rxevents::source::OpenError>(())
/// ```
pub struct Gunzip<R>(BufReader<MultiGzDecoder<R>>);

impl<R: Read> Gunzip<R> {
    /// The decompressed bytes of `reader`, which need not be buffered.
    pub fn new(reader: R) -> Self {
        Self(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader)))
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> BufRead for Gunzip<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, used: usize) {
        self.0.consume(used);
    }
}

impl<R> fmt::Debug for Gunzip<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gunzip").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dead_letter::{FailureKind, Reason, Rejected},
        source::{JsonlFile, Line, OpenError, TextFile, jsonl, lines},
    };
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Vec<Result<Line, Rejected<Line>>> {
        lines(Gunzip::new(bytes), "a.gz").collect()
    }

    /// Does not compress well, so that a part of the file is a part of the text.
    fn text() -> Vec<u8> {
        let mut random = crate::source::SplitMix64::new(1);
        (0..5_000).flat_map(|_| format!("{:x}\n", random.next_u64()).into_bytes()).collect()
    }

    #[test]
    fn the_lines_are_those_of_the_text() {
        let text = text();
        let expected: Vec<_> = lines(&text[..], "a.gz").map(Result::unwrap).collect();
        let lines: Vec<_> = read(&gzip(&text)).into_iter().map(Result::unwrap).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn files_in_a_row_are_one() {
        let bytes = [gzip(b"a\nb"), gzip(b""), gzip(b"c\nd")].concat();
        let lines: Vec<_> = read(&bytes).into_iter().map(Result::unwrap).collect();
        let texts: Vec<_> = lines.iter().map(|line| line.text().unwrap()).collect();
        assert_eq!(texts, ["a", "bc", "d"]);
    }

    #[test]
    fn wherever_it_is_cut_is_one_failure_after_whole_lines() {
        let text = text();
        let (bytes, all) = (gzip(&text), lines(&text[..], "a.gz").map(Result::unwrap).collect::<Vec<_>>());
        let ends = (1..20).chain((20..bytes.len()).step_by(997)).chain(bytes.len() - 9..bytes.len());
        for end in ends {
            let mut read = read(&bytes[..end]);
            let rejected = read.pop().unwrap().unwrap_err();
            assert_eq!(rejected.reason.kind(), FailureKind::Io, "{end}");
            assert_eq!(rejected.item.number(), read.len() as u64 + 1, "{end}");
            let whole: Vec<_> = read.into_iter().map(Result::unwrap).collect();
            assert_eq!(whole, all[..whole.len()], "{end}");
            let rest = all.get(whole.len()).map_or(&b""[..], Line::bytes);
            assert!(rest.starts_with(rejected.item.bytes()), "{end}");
        }
    }

    #[test]
    fn what_is_no_gzip_is_one_failure() {
        assert_eq!(read(b"").pop().unwrap().unwrap_err().reason.kind(), FailureKind::Io);
        for bytes in [&b"plain text\n"[..], &[gzip(b"a\n"), b"more".to_vec()].concat()] {
            let rejected = read(bytes).pop().unwrap().unwrap_err();
            assert!(matches!(rejected.reason, Reason::Io(_)), "{rejected}");
        }
        let mut broken = gzip(b"a\n");
        let crc = broken.len() - 6;
        broken[crc] ^= 1;
        let mut read = read(&broken);
        assert_eq!(read.pop().unwrap().unwrap_err().item.number(), 2);
        assert_eq!(read.pop().unwrap().unwrap().bytes(), b"a");
    }

    #[test]
    fn files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gz");
        std::fs::write(&path, gzip(b"1\nx\n3")).unwrap();
        let shown = |values: Vec<Result<u8, Rejected<Line>>>| -> Vec<_> {
            values.into_iter().map(|value| value.map_err(|rejected| rejected.item.number())).collect()
        };
        let expected = [Ok(1), Err(2), Ok(3)];
        assert_eq!(shown(JsonlFile::open_gz(&path).unwrap().collect()), expected);
        let file = std::fs::File::open(&path).unwrap();
        assert_eq!(shown(jsonl(Gunzip::new(file), "a").collect()), expected);
        assert_eq!(TextFile::open_gz(&path).unwrap().count(), 3);
        let error: OpenError = TextFile::open_gz("/absent/a.gz").unwrap_err();
        assert!(error.to_string().starts_with("/absent/a.gz: "), "{error}");
    }

    #[cfg(feature = "files")]
    #[test]
    fn csv_files() {
        use crate::source::CsvFile;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv.gz");
        let bytes = gzip(b"n\n1\n2\n");
        std::fs::write(&path, &bytes).unwrap();
        let records: Vec<_> = CsvFile::open_gz(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(records[1].get("n"), Some("2"));
        // Cut before its checksum.
        std::fs::write(&path, &bytes[..bytes.len() - 8]).unwrap();
        let mut records: Vec<_> = CsvFile::open_gz(&path).unwrap().collect();
        let rejected = records.pop().unwrap().unwrap_err();
        assert_eq!((records.len(), rejected.item.number(), rejected.reason.kind()), (2, 4, FailureKind::Io));
        std::fs::write(&path, b"n\n1\n").unwrap();
        let error = CsvFile::open_gz(&path).unwrap_err().to_string();
        assert!(error.contains("a.csv.gz: "), "{error}");
    }
}
