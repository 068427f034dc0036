//! All that a pipeline needs: `use rxevents::prelude::*;`
//!
//! It brings no trait of rxRust whose method names collide with ours. To use one of rxRust's operators that this crate
//! does not pass on, call it by its path: `rxevents::rx::Observable::map_to(events, 1)`.

pub use rxrust::{
    context::{Context, Local, LocalCtx, Shared, SharedCtx},
    observer::Observer,
    scheduler::{LocalScheduler, SharedScheduler},
    subscription::{Subscription, SubscriptionGuard},
};

pub use crate::{
    Buffer, Depth, Drops, Overflow, PanicError, StreamError,
    dead_letter::{
        DeadLetter, DeadLetterPolicy, DeadLetterQueue, FailureKind, JsonlQueue, MemoryQueue, Payload, Reason,
        Rejected,
    },
    delivery::{Acknowledger, Delivery, DeliveryOps, PositionFile, Receipt},
    flow::{DeliveryStreamOps, FlowOps, StreamOps},
    operator::{
        aggregate::AggregateOps,
        batch::{BatchObserver, BatchOps},
        combine::{CombineOps, CompositeError, Within},
        create::{Callback, Closed, CreateOps, Emitter, LocalEmitter, MissedTicks, SharedEmitter},
        error::{CircuitBreaker, ErrorOps, Jitter, Retry, RetryBudget, Verdict, WhileOpen},
        event_window::EventWindowOps,
        filter::FilterOps,
        join::{EventJoin, JoinOps, Joined, Match},
        key::{KeyOps, Keyed, Keys},
        rate::{Edges, Excess, Quota, RateOps, TrailingOpensWindow},
        share::{
            AsyncSubject, BehaviorSubject, LocalSubject, Replay, ReplaySubject, ShareOps, SharedSubject,
            Subject,
        },
        subscribe::{LocalEvents, SharedEvents, SubscribeOps, observer},
        time::TimeOps,
        transform::{Notification, TransformOps},
        validate::{EventRetry, ValidateOps},
        window::{WhenFull, WindowOps},
    },
    pipeline::{Pipeline, PipelineOps},
    sink::{EventSink, JsonlSink, SinkOps},
};

#[cfg(feature = "metrics")]
pub use crate::operator::measure::MeasureOps;
#[cfg(feature = "parallel")]
pub use crate::operator::parallel::{Parallel, ParallelOps};
#[cfg(feature = "state")]
pub use crate::{
    operator::table::TableOps,
    state::{State, Table},
};
