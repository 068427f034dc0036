use std::{
    fmt::{self, Display},
    sync::Arc,
};

use serde::Serialize;

use super::Pipeline;
use crate::delivery::{DeliveryCounts, Imbalance};

/// Where the events of a pipeline are, at one moment.
///
/// The law of the house is checked for the sources whose events are [deliveries](crate::delivery): there every event is
/// followed to its end, and each count is made where that is. The stages show how many events go in and out of each part.
#[derive(Debug, Clone, Serialize)]
pub struct Ledger {
    /// The pipeline.
    pub pipeline: Arc<str>,
    /// Its sources and stages, in the order in which they were built.
    pub stages: Vec<StageCounts>,
    /// The sources whose events are deliveries, by the acknowledgers that the pipeline [knows](Pipeline::acknowledges).
    pub deliveries: Vec<DeliveryCounts>,
}

/// The counts of one stage, since it was built, of all its subscriptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageCounts {
    /// The stage.
    pub stage: &'static str,
    /// Whether it is a source.
    pub is_source: bool,
    /// Events that have come in; for a source, that it has yielded.
    #[serde(rename = "in")]
    pub taken: u64,
    /// Items that have gone out.
    pub out: u64,
    /// Those that the stage's dead-letter queues have stored.
    pub dead_lettered: u64,
    /// Events that have come in and have neither gone out nor to the dead letters: left out by a filter or a policy, waiting
    /// in the stage, or part of another (a window).
    pub absorbed: u64,
    /// Items that have gone out beyond those that have come in: a stage can make several of one.
    pub made: u64,
    /// How many subscriptions to it have not ended.
    pub open: usize,
    /// The time from entry to exit, of those that leave within the call in which they come; one in 64 is timed.
    pub time: StageTime,
}

/// How long events are in a stage, in nanoseconds, to two digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StageTime {
    /// How many were timed.
    pub samples: u64,
    /// Half of them took no longer.
    pub p50_ns: u64,
    /// 99 of 100 took no longer.
    pub p99_ns: u64,
    /// 999 of 1,000 took no longer.
    pub p999_ns: u64,
    /// None took longer.
    pub max_ns: u64,
}

impl Pipeline {
    /// Where the events are.
    pub fn ledger(&self) -> Ledger {
        let stages = self.nodes().into_iter().map(|node| {
            let (out, dead_lettered) = (node.out(), node.dead_letters());
            let taken = if node.is_source { out } else { node.taken() };
            let left = out + dead_lettered;
            StageCounts {
                stage: node.name,
                is_source: node.is_source,
                taken,
                out,
                dead_lettered,
                absorbed: taken.saturating_sub(left),
                made: left.saturating_sub(taken),
                open: node.open(),
                time: node.time(),
            }
        });
        let stages = stages.collect();
        let deliveries = self.acknowledgers().iter().map(|acks| acks.counts()).collect();
        Ledger { pipeline: self.name().clone(), stages, deliveries }
    }
}

impl Ledger {
    /// The law of the house: every event is accounted for.
    ///
    /// # Errors
    /// The books of a source do not balance; or an event is on its way just now, on another thread.
    pub fn check(&self) -> Result<(), Imbalance> {
        self.deliveries.iter().try_for_each(DeliveryCounts::check)
    }

    /// The counts of the stage of that name, the first of several.
    pub fn stage(&self, name: &str) -> Option<&StageCounts> {
        self.stages.iter().find(|stage| stage.stage == name)
    }

    /// How many deliveries somebody holds.
    pub fn in_flight(&self) -> u64 {
        self.deliveries.iter().map(|counts| counts.in_flight).sum()
    }
}

/// A line for each source and stage.
impl Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.pipeline)?;
        for DeliveryCounts {
            source,
            taken,
            delivered,
            filtered,
            dropped,
            dead_lettered,
            abandoned,
            in_flight,
            committed,
        } in &self.deliveries
        {
            writeln!(
                f,
                "  {source}: in {taken} = out {delivered} + filtered {filtered} + dropped {dropped} + dead-lettered \
                 {dead_lettered} + abandoned {abandoned} + in flight {in_flight}; committed {committed}"
            )?;
        }
        for StageCounts { stage, taken, out, dead_lettered, absorbed, made, open, time, .. } in &self.stages {
            write!(
                f,
                "  {stage}: in {taken}, out {out}, dead-lettered {dead_lettered}, absorbed {absorbed}, made {made}"
            )?;
            if time.samples > 0 {
                write!(f, ", p50 {} ns, p99 {} ns", time.p50_ns, time.p99_ns)?;
            }
            writeln!(f, "{}", if *open > 0 { ", open" } else { "" })?;
        }
        Ok(())
    }
}
