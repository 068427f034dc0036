use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{Stream, io::AsyncBufRead};

use super::{Line, text::Splitter};
use crate::dead_letter::Rejected;

/// How many buffers without the end of a line are read before other tasks run.
const BUDGET: u32 = 64;

/// The lines of an asynchronous reader, such as a socket, as a [`Stream`]: what [`TextFile`](super::TextFile) is for
/// other readers, with the same lines, numbers, bounds and failures.
///
/// Nothing is read before it is asked for, beyond what the reader's own buffer takes. An I/O error yields one failure
/// with what was read of the line, and ends the stream.
///
/// Memory: the reader's buffer, and at most twice `max_line_bytes` for a line that crosses it.
///
/// ```
/// use rxevents::{prelude::*, source::line_stream, testing::{VirtualScheduler, record}};
///
/// let socket = "first\r\nsecond".as_bytes(); // any `futures::io::AsyncBufRead`
/// let scheduler = VirtualScheduler::new();
/// let rejects = MemoryQueue::new(10);
/// let lines = scheduler.on(Local::from_stream(line_stream(socket, "socket"))).dead_letter(rejects);
/// let seen = record(lines.map(|line| line.number()));
/// scheduler.run_ready();
/// assert_eq!(seen.items(), [1, 2]);
/// ```
#[derive(Debug)]
pub struct LineStream<R> {
    reader: Pin<Box<R>>,
    splitter: Splitter,
}

/// The lines of `reader`, which is called `name` in dead letters.
///
/// A reader without a buffer gets one by `futures::io::BufReader`; tokio's readers become such ones by
/// `tokio_util::compat`.
pub fn line_stream<R: AsyncBufRead>(reader: R, name: impl Into<Arc<str>>) -> LineStream<R> {
    LineStream { reader: Box::pin(reader), splitter: Splitter::new(name.into()) }
}

impl<R> LineStream<R> {
    /// Sets the longest line that is accepted, in bytes, without the end of line.
    #[must_use]
    pub fn max_line_bytes(mut self, max_line_bytes: usize) -> Self {
        self.splitter.max_line_bytes = max_line_bytes;
        self
    }
}

impl<R: AsyncBufRead> Stream for LineStream<R> {
    type Item = Result<Line, Rejected<Line>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { reader, splitter } = &mut *self;
        for _ in 0..BUDGET {
            if splitter.ended {
                return Poll::Ready(None);
            }
            let buffer = match ready!(reader.as_mut().poll_fill_buf(context)) {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Poll::Ready(Some(Err(splitter.fail(error)))),
            };
            let (used, line) = splitter.split(buffer);
            reader.as_mut().consume(used);
            if line.is_some() {
                return Poll::Ready(line);
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::lines;
    use futures::{FutureExt, StreamExt, io::AsyncRead};
    use proptest::prelude::*;
    use std::{collections::VecDeque, io::BufReader};

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// Gives one part at a time, and before each is not ready once; at the end fails, if asked to.
    struct Parts {
        parts: VecDeque<Vec<u8>>,
        ready: bool,
        failure: Option<io::Error>,
    }

    impl Parts {
        fn new(text: &[u8], size: usize) -> Self {
            Self { parts: text.chunks(size).map(<[u8]>::to_vec).collect(), ready: false, failure: None }
        }
    }

    impl AsyncRead for Parts {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            unreachable!("only its buffer is read")
        }
    }

    impl AsyncBufRead for Parts {
        fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
            let this = self.get_mut();
            this.ready = !this.ready;
            if this.ready {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match (this.parts.front(), this.failure.take()) {
                (Some(part), failure) => {
                    this.failure = failure;
                    Poll::Ready(Ok(part))
                }
                (None, Some(failure)) => Poll::Ready(Err(failure)),
                (None, None) => Poll::Ready(Ok(&[])),
            }
        }

        fn consume(mut self: Pin<&mut Self>, used: usize) {
            if let Some(part) = self.parts.front_mut() {
                part.drain(..used);
                if part.is_empty() {
                    self.parts.pop_front();
                }
            }
        }
    }

    fn shown(line: Result<Line, Rejected<Line>>) -> (Line, Option<String>) {
        match line {
            Ok(line) => (line, None),
            Err(rejected) => (rejected.item, Some(rejected.reason.message())),
        }
    }

    proptest! {
        #[test]
        fn the_lines_are_those_of_the_iterator(text in "[a\r\n\u{feff}]{0,40}", size in 1usize..9, max in 0usize..9) {
            let read: Vec<_> = block_on(
                line_stream(Parts::new(text.as_bytes(), size), "t").max_line_bytes(max).map(shown).collect(),
            );
            let reader = BufReader::with_capacity(size, text.as_bytes());
            let expected: Vec<_> = lines(reader, "t").max_line_bytes(max).map(shown).collect();
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn io_error_is_one_failure_and_the_end() {
        let mut parts = Parts::new(b"a\nb", 2);
        parts.failure = Some(io::Error::other("reset"));
        let read: Vec<_> = block_on(line_stream(parts, "t").map(shown).collect());
        assert_eq!(
            read,
            [(Line::new(*b"a", 1, "t"), None), (Line::new(*b"b", 2, "t"), Some("reset".to_owned()))]
        );
    }

    #[test]
    fn nothing_is_read_ahead() {
        let mut stream = line_stream(Parts::new(b"a\nb\nc\n", 2), "t");
        assert_eq!(stream.reader.parts.len(), 3);
        block_on(stream.next()).unwrap().unwrap();
        assert_eq!(stream.reader.parts.len(), 2);
    }

    #[test]
    fn a_line_without_end_lets_other_tasks_run() {
        /// Always ready.
        struct Endless;
        impl AsyncRead for Endless {
            fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
                unreachable!("only its buffer is read")
            }
        }
        impl AsyncBufRead for Endless {
            fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
                Poll::Ready(Ok(b"abc"))
            }
            fn consume(self: Pin<&mut Self>, _: usize) {}
        }
        let mut stream = line_stream(Endless, "t").max_line_bytes(10);
        for _ in 0..100 {
            assert!(stream.next().now_or_never().is_none());
        }
    }
}
