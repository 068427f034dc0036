use std::{
    fmt::{self, Display},
    future::Future,
    time::{Duration, Instant},
};

use rxrust::scheduler::SleepProvider;

use super::{Ledger, Pipeline, When};
use crate::{
    delivery::{DeliveryCounts, PositionError},
    time::Clock,
};

/// How long it waits before it looks again, where nobody tells it.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A pipeline has been shut down, and everything has gone through it.
#[derive(Debug)]
pub struct Drained {
    /// How long it took.
    pub took: Duration,
    /// Where all events are.
    pub ledger: Ledger,
}

/// A pipeline has been shut down, and something is left.
#[derive(Debug)]
pub struct Left {
    /// How long it took.
    pub took: Duration,
    /// Where the events are: what was abandoned will be delivered again.
    pub ledger: Ledger,
    /// The stages and sources that had not ended at the deadline.
    pub open: Vec<&'static str>,
    /// Positions that could not be committed.
    pub not_committed: Vec<PositionError>,
}

impl Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { took, ledger, open, not_committed } = self;
        write!(f, "`{}` was shut down after {took:?}", ledger.pipeline)?;
        if !open.is_empty() {
            write!(f, ", before these had ended: {}", open.join(", "))?;
        }
        for counts in &ledger.deliveries {
            let left = counts.abandoned + counts.in_flight;
            if left > 0 {
                write!(
                    f,
                    "; `{}` will deliver again {left} events, and what came after the first of them",
                    counts.source
                )?;
            }
        }
        not_committed.iter().try_for_each(|error| write!(f, "; {error}"))
    }
}

impl std::error::Error for Left {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.not_committed.first().map(|error| error as _)
    }
}

impl Pipeline {
    /// Shuts the pipeline down, from a thread that may wait: stops its sources ([`stoppable`](super::PipelineOps::stoppable)
    /// ones complete, so that what windows and sinks hold is sent on and flushed), waits until everything has gone through,
    /// ends what is left at the deadline, and commits. One deadline for all of it.
    ///
    /// What was left is not acknowledged: it will be delivered again. To have part-filled windows delivered again instead
    /// of sent, see [`abandon_windows`](Self::abandon_windows): what that abandons is in the ledger, and no error.
    ///
    /// Pipelines in `Local` are shut down by their own thread; where their tasks need that thread, by
    /// [`shutdown_on`](Self::shutdown_on).
    ///
    /// # Errors
    /// Something was left, or could not be committed.
    pub fn shutdown(&self, deadline: Duration) -> Result<Drained, Box<Left>> {
        let begun = Instant::now();
        let mut course = Course::begin(self, deadline);
        while let Some(at_most) = course.goes_on(begun.elapsed()) {
            self.wait(at_most);
        }
        course.end(|| begun.elapsed())
    }

    /// [`shutdown`](Self::shutdown) as a task: time is the scheduler's, and other tasks run meanwhile.
    pub fn shutdown_on<S>(
        &self,
        scheduler: &S,
        deadline: Duration,
    ) -> impl Future<Output = Result<Drained, Box<Left>>> + use<S>
    where
        S: SleepProvider + Clock,
    {
        let (pipeline, scheduler) = (self.clone(), scheduler.clone());
        async move {
            let begun = scheduler.now();
            let elapsed = || scheduler.now().saturating_sub(begun);
            let mut course = Course::begin(&pipeline, deadline);
            while let Some(at_most) = course.goes_on(elapsed()) {
                scheduler.sleep(at_most).await;
            }
            course.end(elapsed)
        }
    }

    fn abandoned(&self) -> u64 {
        self.acknowledgers().iter().map(|acks| acks.counts().abandoned).sum()
    }

    /// What changes while anything moves.
    fn counts(&self) -> (Vec<[u64; 3]>, Vec<DeliveryCounts>) {
        let nodes = self.nodes().into_iter().map(|node| [node.taken(), node.out(), node.dead_letters()]);
        (nodes.collect(), self.acknowledgers().iter().map(|acks| acks.counts()).collect())
    }
}

/// A shutdown on its way.
struct Course {
    pipeline: Pipeline,
    deadline: Duration,
    /// Until windows are abandoned, if they are to be: how long nothing must move, the counts, and since when they are so.
    abandons: Option<(Duration, (Vec<[u64; 3]>, Vec<DeliveryCounts>), Duration)>,
    /// How many had been abandoned before.
    before: Option<u64>,
}

impl Course {
    fn begin(pipeline: &Pipeline, deadline: Duration) -> Self {
        pipeline.stop();
        let abandons = pipeline.abandons_after().map(|quiet| (quiet, pipeline.counts(), Duration::ZERO));
        Self { pipeline: pipeline.clone(), deadline, abandons, before: None }
    }

    /// Looks at it; how long to wait before the next look, unless it is over.
    fn goes_on(&mut self, elapsed: Duration) -> Option<Duration> {
        if self.pipeline.is_drained() || elapsed >= self.deadline {
            return None;
        }
        if let Some((quiet, before, since)) = &mut self.abandons {
            let now = self.pipeline.counts();
            if now != *before {
                (*before, *since) = (now, elapsed);
            } else if elapsed.saturating_sub(*since) >= *quiet {
                self.abandon();
                if self.pipeline.is_drained() {
                    return None;
                }
            }
        }
        Some(LOOK_AGAIN.min(self.deadline.saturating_sub(elapsed)))
    }

    fn abandon(&mut self) {
        if self.abandons.take().is_some() {
            self.before = Some(self.pipeline.abandoned());
        }
        self.pipeline.end_kept(When::Quiet);
    }

    /// Ends what is left, commits, and says what became of it.
    fn end(mut self, took: impl Fn() -> Duration) -> Result<Drained, Box<Left>> {
        let drained = self.pipeline.is_drained();
        self.abandon();
        let Self { pipeline, before, .. } = self;
        let open = pipeline.nodes().iter().filter(|node| node.open() > 0).map(|node| node.name).collect();
        pipeline.end_kept(When::Over);
        let commits = pipeline.acknowledgers().into_iter().map(|acks| acks.commit());
        let not_committed: Vec<_> = commits.filter_map(Result::err).collect();
        let (took, ledger) = (took(), pipeline.ledger());
        let abandoned = before.unwrap_or_else(|| pipeline.abandoned()) > 0;
        if drained && not_committed.is_empty() && !abandoned {
            Ok(Drained { took, ledger })
        } else {
            Err(Box::new(Left { took, ledger, open, not_committed }))
        }
    }
}
