//! What Prometheus reads of a pipeline, and how it is served.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use rxevents::{
    metrics::prometheus::{BUCKETS, InstallError, Metrics},
    prelude::*,
    testing::{VirtualScheduler, record},
};

fn get(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// One test, as a process has one recorder.
#[test]
fn a_pipeline_is_rendered_and_served() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = Metrics::serve(address).unwrap_err();
    assert!(matches!(error, InstallError::Listen { .. }));
    assert!(error.to_string().starts_with(&format!("metrics on {address}: ")), "{error}");
    drop(taken);
    let nowhere = Metrics::serve(([127, 0, 0, 1], 0).into()).unwrap_err().to_string();
    assert!(
        nowhere.starts_with("metrics on 127.0.0.1:0: ") && nowhere.ends_with("the port must be named"),
        "{nowhere}"
    );
    let metrics = Metrics::serve(address).unwrap();

    let scheduler = VirtualScheduler::new();
    let slow = scheduler.clone();
    let buffer = Buffer::new(2).on_overflow(Overflow::DropNewest).named("inbox");
    let _seen = record(
        scheduler
            .cold("(abc)")
            .on_backpressure_buffer_with(buffer, |_| {})
            .map(|c| if c == 'a' { Ok(c) } else { Err(c) })
            .measured_results("letters")
            .tap(move |_| slow.stall(Duration::from_millis(3))),
    );
    scheduler.advance_by(Duration::from_millis(10));

    let text = metrics.render();
    for line in [
        "# HELP rxevents_events_total Events that came to the stage.",
        "# TYPE rxevents_events_total counter",
        "rxevents_events_total{stage=\"letters\"} 2",
        "rxevents_failures_total{stage=\"letters\"} 1",
        "rxevents_stream_errors_total{stage=\"letters\"} 0",
        "# TYPE rxevents_stage_seconds histogram",
        "rxevents_stage_seconds_bucket{stage=\"letters\",le=\"0.0025\"} 0",
        "rxevents_stage_seconds_bucket{stage=\"letters\",le=\"0.005\"} 2",
        "rxevents_stage_seconds_bucket{stage=\"letters\",le=\"+Inf\"} 2",
        "rxevents_stage_seconds_sum{stage=\"letters\"} 0.006",
        "# TYPE rxevents_queue_depth gauge",
        "rxevents_queue_depth{queue=\"inbox\"} 0",
        "rxevents_queue_capacity{queue=\"inbox\"} 2",
        "rxevents_dropped_total{queue=\"inbox\",policy=\"drop_newest\"} 1",
    ] {
        assert!(text.lines().any(|text| text == line), "{line}\nis not in\n{text}");
    }
    assert_eq!(text.matches("rxevents_stage_seconds_bucket").count(), BUCKETS.len() + 1);

    let answer = get(address);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("rxevents_events_total{stage=\"letters\"} 2"), "{answer}");

    // There is one recorder.
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&Metrics::install().unwrap().render()), sorted(&text));
    let again = Metrics::serve(address).unwrap_err().to_string();
    assert_eq!(again, format!("metrics on {address}: they are installed already"));
}
