//! The operators of ReactiveX, RxJS and RxJava, and what each is called here.

/// A category of <https://reactivex.io/documentation/operators.html>: its operators, and ours.
pub(crate) const REACTIVEX: &[(&str, &[(&str, &str)])] = &[
    (
        "Creating",
        &[
            ("Create", "create"),
            ("Defer", "defer"),
            ("Empty/Never/Throw", "empty never throw_err"),
            ("From", "from_iter from_stream from_stream_result from_future from_callback"),
            ("Interval", "interval interval_with poll_every poll_every_with"),
            ("Just", "of"),
            ("Range", "range"),
            ("Repeat", "repeat repeat_when"),
            ("Start", "start"),
            ("Timer", "timer"),
        ],
    ),
    (
        "Transforming",
        &[
            (
                "Buffer",
                "buffer_count buffer_count_skip buffer_time buffer_with buffer_toggle buffer_when chunks sliding",
            ),
            ("FlatMap", "flat_map flat_map_with concat_map switch_map exhaust_map"),
            ("GroupBy", "group_by group_by_with"),
            ("Map", "map"),
            ("Scan", "scan scan_by_key"),
            ("Window", "window_count window_time window_with window_toggle window_when"),
        ],
    ),
    (
        "Filtering",
        &[
            ("Debounce", "debounce debounce_with debounce_by"),
            ("Distinct", "distinct distinct_by distinct_until_changed distinct_until_key_changed"),
            ("ElementAt", "element_at element_at_or"),
            ("Filter", "filter filter_map"),
            ("First", "first first_or single"),
            ("IgnoreElements", "ignore_elements"),
            ("Last", "last last_or"),
            (
                "Sample",
                "sample sample_with throttle_first throttle_latest throttle_with throttle_by audit audit_with",
            ),
            ("Skip", "skip"),
            ("SkipLast", "skip_last"),
            ("Take", "take"),
            ("TakeLast", "take_last"),
        ],
    ),
    (
        "Combining",
        &[
            ("And/Then/When", "and_then_when"),
            ("CombineLatest", "combine_latest combine_latest_all with_latest_from"),
            ("Join", "join group_join join_within"),
            ("Merge", "merge merge_all merge_delay_error"),
            ("StartWith", "start_with"),
            ("Switch", "switch_on_next"),
            ("Zip", "zip zip_all zip_with_buffer"),
        ],
    ),
    (
        "Handling errors",
        &[
            ("Catch", "catch_error on_error_return on_error_resume_next on_error_route"),
            ("Retry", "retry_with retry_when"),
        ],
    ),
    (
        "Utility",
        &[
            ("Delay", "delay delay_each delay_subscription"),
            ("Do", "tap on_complete finalize"),
            ("Materialize/Dematerialize", "materialize dematerialize"),
            ("ObserveOn", "observe_on observe_on_with"),
            ("Serialize", "merge"),
            ("Subscribe", "subscribe subscribe_with subscribe_guarded"),
            ("SubscribeOn", "subscribe_on"),
            ("TimeInterval", "time_interval"),
            ("Timeout", "timeout timeout_first timeout_with"),
            ("Timestamp", "timestamp"),
            ("Using", "using"),
        ],
    ),
    (
        "Conditional and boolean",
        &[
            ("All", "all any"),
            ("Amb", "amb"),
            ("Contains", "contains is_empty"),
            ("DefaultIfEmpty", "default_if_empty switch_if_empty"),
            ("SequenceEqual", "sequence_equal"),
            ("SkipUntil", "skip_until"),
            ("SkipWhile", "skip_while"),
            ("TakeUntil", "take_until"),
            ("TakeWhile", "take_while take_while_inclusive"),
        ],
    ),
    (
        "Mathematical and aggregate",
        &[
            ("Average", "average average_by moving_average"),
            ("Concat", "concat_with concat_all"),
            ("Count", "count count_by_key"),
            ("Max", "max max_by max_by_key"),
            ("Min", "min min_by min_by_key"),
            ("Reduce", "reduce fold"),
            ("Sum", "sum"),
        ],
    ),
    (
        "Backpressure",
        &[(
            "backpressure operators",
            "on_backpressure_buffer on_backpressure_buffer_with buffer_count sample throttle_first",
        )],
    ),
    (
        "Connectable",
        &[
            ("Connect", "connect"),
            ("Publish", "publish"),
            ("RefCount", "ref_count share"),
            ("Replay", "replay share_replay"),
        ],
    ),
    ("Converting", &[("To", "to_vec into_stream boxed")]),
];

/// Names of RxJS and RxJava that differ from ours, or need several of ours.
pub(crate) const OTHER_NAMES: &[(&str, &str)] = &[
    ("audit, auditTime", "`audit`, `audit_with`"),
    ("concatMapTo, mapTo", "`map(move \\|_\\| value)`"),
    ("every", "`all`"),
    ("find", "`filter(f).first()`"),
    ("findIndex", "`index()`, then `filter`, `first`, `map`"),
    ("mergeMap", "`flat_map`"),
    ("throwIfEmpty", "`single`, or `switch_if_empty` with `throw_err`"),
    ("toArray, toList", "`to_vec`"),
];
