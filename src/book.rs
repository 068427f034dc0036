//! The Rust code of the README and of the book's pages: compiled, and run unless it says `no_run`, by `cargo test`.

macro_rules! pages {
    ($($name:ident $path:literal)*) => {
        $(
            #[doc = include_str!($path)]
            mod $name {}
        )*
    };
}

pages! {
    readme "../README.md"
    introduction "../docs/src/introduction.md"
    first_pipeline "../docs/src/tutorial/first-pipeline.md"
    sensors "../docs/src/tutorial/sensors.md"
    payments "../docs/src/tutorial/payments.md"
    virtual_time "../docs/src/tutorial/testing.md"
    async_sources "../docs/src/technique/async-sources.md"
    windows "../docs/src/technique/windows.md"
    parallel "../docs/src/technique/parallel.md"
    keyed_state "../docs/src/technique/keyed-state.md"
    tables "../docs/src/technique/tables.md"
    retried "../docs/src/technique/dead-letters.md"
    delivery "../docs/src/technique/delivery.md"
    pipelines "../docs/src/technique/pipelines.md"
    back_pressure "../docs/src/technique/back-pressure.md"
    validation "../docs/src/technique/validation.md"
    event_time "../docs/src/technique/event-time.md"
    joins "../docs/src/technique/joins.md"
    measured "../docs/src/technique/metrics.md"
    own_operator "../docs/src/how-to/own-operator.md"
    failures_and_panics "../docs/src/how-to/failures-and-panics.md"
    dead_letters "../docs/src/how-to/dead-letters.md"
    bounds "../docs/src/how-to/bounds.md"
    metrics "../docs/src/how-to/metrics.md"
    threads "../docs/src/how-to/threads.md"
    sources "../docs/src/how-to/sources.md"
    streams "../docs/src/how-to/streams.md"
    retry "../docs/src/how-to/retry.md"
    wasm "../docs/src/how-to/wasm.md"
    which_operator "../docs/src/reference/which-operator.md"
    operators "../docs/src/reference/operators.md"
    reactivex "../docs/src/reference/reactivex.md"
    two_error_channels "../docs/src/explanation/two-error-channels.md"
    gates "../docs/src/explanation/gates.md"
    rxrust "../docs/src/explanation/rxrust.md"
    time "../docs/src/explanation/time.md"
    accounting "../docs/src/explanation/accounting.md"
    design "../docs/src/explanation/design.md"
    performance "../docs/src/performance.md"
}
