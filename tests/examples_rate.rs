//! The examples `metrics`, `throttled_sensor` and `sensor_stream`, run as processes: the right figures on recordings, and
//! every reading accounted for.
#![cfg(feature = "files")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// The built example. `cargo test` builds it; `cargo test --test examples_rate` does not, so that it may be absent or old.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let binary = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let sources = [examples.join(format!("{name}.rs")), examples.join("common/readings.rs")];
    if modified(&binary) < sources.iter().filter_map(|source| modified(source)).max() {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--example", name, "--target-dir"]).arg(profile.parent().unwrap());
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    }
    binary
}

fn run(name: &str, args: &[&str]) -> Output {
    Command::new(example(name)).args(args).output().unwrap()
}

/// The object that a run prints last.
fn figures(name: &str, args: &[&str]) -> Value {
    let output = run(name, &[args, &["--json"]].concat());
    assert!(output.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(String::from_utf8(output.stdout).unwrap().lines().last().unwrap()).unwrap()
}

fn counts<const N: usize>(figures: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| figures[name].as_u64().unwrap_or_else(|| panic!("{name}: {figures}")))
}

/// The law: what went in came out, or is counted.
fn accounted<const N: usize>(figures: &Value, parts: [&str; N]) {
    let [readings] = counts(figures, ["readings"]);
    assert_eq!(readings, counts(figures, parts).iter().sum::<u64>(), "{figures}");
}

const STORED: [&str; 4] = ["failed", "throttled", "dropped", "stored"];
const DELIVERED: [&str; 5] = ["failed", "throttled", "dropped", "delivered", "in_flight"];

/// The path of the recording of the sensor, or `None` (and a message) where it is not at hand.
fn recording() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/sensors/machine_temperature.csv");
    if path.exists() {
        return Some(path.to_str().unwrap().to_owned());
    }
    eprintln!("skipped: {} is not at hand", path.display());
    None
}

/// What `promtool check metrics` finds in `text`; nothing (and a message) where there is no promtool.
fn lint(text: &[u8]) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!("not linted: there is no promtool");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn metrics_of_made_up_readings() {
    let of = figures("metrics", &[]);
    accounted(&of, STORED);
    let [readings, failed, dropped, stored] = counts(&of, ["readings", "failed", "dropped", "stored"]);
    assert_eq!((readings, stored), (100_000, 1_000));
    assert!(failed > 0 && dropped > 0, "{of}");
}

#[test]
fn metrics_of_a_recording_are_what_prometheus_reads() {
    let Some(path) = recording() else { return };
    let of = figures("metrics", &[&path, "--capacity", "500"]);
    accounted(&of, STORED);
    assert_eq!(
        counts(&of, ["readings", "failed", "throttled", "dropped", "stored"]),
        [22_695, 0, 20_804, 1_391, 500]
    );

    let output = run("metrics", &[&path, "--capacity", "500", "--print"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "rxevents_events_total{stage=\"decoded\"} 22695",
        "rxevents_failures_total{stage=\"decoded\"} 0",
        "rxevents_events_total{stage=\"hourly\"} 1891",
        "rxevents_events_total{stage=\"stored\"} 500",
        "rxevents_stage_seconds_count{stage=\"stored\"} 500",
        "rxevents_dropped_total{queue=\"inbox\",policy=\"drop_oldest\"} 1391",
        "rxevents_queue_depth{queue=\"inbox\"} 0",
    ] {
        assert!(text.lines().any(|text| text == line), "{line}\nis not in\n{text}");
    }
    lint(text.as_bytes());
}

#[test]
fn metrics_are_served() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut server = Command::new(example("metrics"))
        .args(["--listen", &address, "--for", "60"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let says = BufReader::new(server.stderr.take().unwrap());
    let ready = format!("metrics: on http://{address}/metrics");
    assert!(says.lines().any(|line| line.unwrap() == ready));
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("rxevents_events_total{stage=\"decoded\"} 100000"), "{answer}");
}

#[test]
fn a_throttled_sensor_of_each_policy() {
    for policy in ["drop-oldest", "drop-newest", "block", "error"] {
        let of = figures("throttled_sensor", &["--policy", policy]);
        accounted(&of, DELIVERED);
        let [readings, dropped, in_flight] = counts(&of, ["readings", "dropped", "in_flight"]);
        assert_eq!(in_flight, 0, "{of}");
        match policy {
            "block" => assert_eq!((readings, dropped), (100_000, 0)),
            "error" if dropped > 0 => {
                let error = "`on_backpressure_buffer`: buffer of 100 items is full";
                assert_eq!((dropped, of["error"].as_str()), (1, Some(error)));
            }
            _ => assert_eq!(readings, 100_000),
        }
    }
    let of = figures("throttled_sensor", &["--policy", "drop-newest", "--capacity", "1", "--slow", "2000"]);
    accounted(&of, DELIVERED);
    assert!(counts(&of, ["dropped"])[0] > 0, "a consumer so slow cannot keep up: {of}");
}

#[test]
fn a_throttled_recording() {
    let Some(path) = recording() else { return };
    let of = figures("throttled_sensor", &[&path, "--every", "3600", "--capacity", "2000", "--slow", "1"]);
    accounted(&of, DELIVERED);
    assert_eq!(
        counts(&of, ["readings", "throttled", "delivered", "dropped", "in_flight"]),
        [22_695, 20_804, 1_891, 0, 0]
    );
}

#[test]
fn a_sensor_stream_of_a_recording() {
    let Some(path) = recording() else { return };
    let of = figures("sensor_stream", &[&path, "--threshold", "100"]);
    assert_eq!(counts(&of, ["readings", "above", "failed", "actions"]), [22_695, 1_586, 0, 239]);
}

#[test]
fn a_read_that_fails_is_the_failure_of_one_event() {
    let of = figures("sensor_stream", &["--period", "100"]);
    let [readings, above, failed, actions] = counts(&of, ["readings", "above", "failed", "actions"]);
    assert_eq!((readings, failed), (490, 10));
    assert!(0 < actions && actions <= above && above < readings, "{of}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sensor.csv");
    fs::write(&path, "timestamp,value\n2024-01-01 00:00:00,1\n2024-01-01 00:05:00,NaN\n2024-01-01,51\n2024-01-01 00:15:00,50\n2024-01-01 00:20:00,51\n").unwrap();
    let path = path.to_str().unwrap();
    let output = run("sensor_stream", &[path, "--json"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let of: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(counts(&of, ["readings", "above", "failed", "actions"]), [3, 1, 2, 1], "{stderr}");
    for text in [format!("{path}:3: value"), format!("{path}:4: column 1 `timestamp` is `2024-01-01`")] {
        assert!(stderr.contains(&text), "{text}\nis not in\n{stderr}");
    }
    for (example, law) in [("metrics", &STORED[..]), ("throttled_sensor", &DELIVERED[..])] {
        let of = figures(example, &[path]);
        let sum: u64 = law.iter().map(|part| of[part].as_u64().unwrap()).sum();
        assert_eq!((of["readings"].as_u64(), of["failed"].as_u64(), sum), (Some(5), Some(2), 5), "{of}");
    }
}

#[test]
fn wrong_arguments_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sensor.csv");
    fs::write(&path, "timestamp,temperature\n").unwrap();
    let path = path.to_str().unwrap();
    for (name, args, text) in [
        ("metrics", &["--capacity", "many"][..], "--capacity `many`"),
        ("metrics", &["--listen", "here"], "--listen `here`"),
        ("throttled_sensor", &["--policy", "hope"], "--policy `hope`: there is no such policy"),
        ("throttled_sensor", &["--every"], "--every needs a value"),
        ("sensor_stream", &["--threshold", "hot"], "--threshold `hot`: invalid float literal"),
        ("sensor_stream", &["a", "b"], "unknown argument `b`"),
        ("sensor_stream", &[path], "there is no column `value`"),
    ] {
        let output = run(name, args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && stderr.contains(text), "{name} {args:?}: {stderr}");
    }
}
