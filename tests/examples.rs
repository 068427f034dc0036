//! The examples, run as processes: the right figures on recordings, accounts that add up on made-up and on broken data,
//! and clear errors.
#![cfg(all(feature = "files", feature = "parallel"))]

#[path = "common/built.rs"]
mod built;
#[path = "common/recordings.rs"]
mod recordings;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Output, Stdio},
};

use built::example;
use recordings::{SHOP, recording};
use rxevents::dead_letter::{DeadLetter, FailureKind, read_letters};
use serde_json::{Value, json};

const NAMES: [&str; 14] = [
    "anomaly_scores",
    "click_counts",
    "crash_harness",
    "dead_letters",
    "handoff",
    "metrics",
    "parallel_logs",
    "sensor_fusion",
    "sensor_stream",
    "soak",
    "throttled_sensor",
    "validated_payments",
    "windowed_anomalies",
    "windowed_clicks",
];

/// The recording of a sensor.
const MACHINE: &str = "sensors/machine_temperature.csv";

/// What becomes of the readings of `metrics`, and of `throttled_sensor`.
const STORED: [&str; 4] = ["failed", "throttled", "dropped", "stored"];
const DELIVERED: [&str; 5] = ["failed", "throttled", "dropped", "delivered", "in_flight"];

fn run(name: &str, args: &[&str]) -> Output {
    // Where it writes what it is not told a place for.
    let folder = tempfile::tempdir().unwrap();
    Command::new(example(name)).args(args).env("TMPDIR", folder.path()).output().unwrap()
}

/// The last line of stdout.
fn last_line(name: &str, args: &[&str]) -> String {
    let output = run(name, &[args, &["--json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned()
}

fn figures(name: &str, args: &[&str]) -> Value {
    serde_json::from_str(&last_line(name, args)).unwrap()
}

/// A folder for a test's files.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, lines: &[&[u8]]) -> String {
        fs::write(self.0.path().join(name), lines.join(&b"\n"[..])).unwrap();
        self.path(name)
    }
}

fn letters(path: &str) -> Vec<DeadLetter> {
    read_letters(path).unwrap().map(Result::unwrap).collect()
}

fn count(figures: &Value, name: &str) -> u64 {
    figures[name].as_u64().unwrap_or_else(|| panic!("{name}: {figures}"))
}

fn counts<const N: usize>(figures: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| figures[name].as_u64().unwrap_or_else(|| panic!("{name}: {figures}")))
}

/// The law: what went in came out, or is counted.
fn accounted<const N: usize>(figures: &Value, parts: [&str; N]) {
    let [readings] = counts(figures, ["readings"]);
    assert_eq!(readings, counts(figures, parts).iter().sum::<u64>(), "{figures}");
}

#[track_caller]
fn close(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value / expected - 1.0).abs() < 1e-9, "{value}, expected {expected}");
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
fn windowed_anomalies_of_a_machine() {
    let Some(file) = recording(MACHINE) else { return };
    let mut seen = figures("windowed_anomalies", &[&file]);
    let mut take = |name: &str| seen.as_object_mut().unwrap().remove(name).unwrap();
    close(&take("mean_max"), 107.00352920833335);
    close(&take("mean_min"), 11.060712878083335);
    let expected = json!({
        "readings": 22_695, "partitions": 4_539, "flagged": 1, "first_flagged": "2013-12-16T17:20:00Z",
        "means": 22_684, "throttled": 1_891, "left_over": 0, "rejected": 0,
    });
    assert_eq!(seen, expected);
    let seen = figures("windowed_anomalies", &[&file, "--ratio", "1.1", "--partition=5", "--throttle", "0s"]);
    assert_eq!(count(&seen, "flagged"), 11);
    // Of time zero: all but those that go back in time, until the clock has caught up.
    assert!((22_600..22_695).contains(&count(&seen, "throttled")), "{seen}");
}

#[test]
fn sensor_fusion_of_a_walk() {
    let motion = |name: &str| recording(&format!("motion/{name}.csv"));
    let (Some(accelerometer), Some(gyroscope), Some(location)) =
        (motion("accelerometer"), motion("gyroscope"), motion("location"))
    else {
        return;
    };
    for (left, lefts, right, rights, tolerance, pairs) in [
        (&accelerometer, 10_577, &gyroscope, 10_575, "1ms", 0),
        (&accelerometer, 10_577, &gyroscope, 10_575, "5ms", 10_575),
        (&accelerometer, 10_577, &gyroscope, 10_575, "0.2s", 10_575),
        (&location, 35, &accelerometer, 10_577, "1ms", 5),
        (&location, 35, &accelerometer, 10_577, "3ms", 18),
        (&location, 35, &accelerometer, 10_577, "5ms", 34),
        (&location, 35, &accelerometer, 10_577, "200ms", 35),
    ] {
        let expected = json!({
            "left": lefts, "right": rights, "pairs": pairs, "rows": pairs,
            "left_unmatched": lefts - pairs, "right_unmatched": rights - pairs, "rejected": 0,
        });
        assert_eq!(figures("sensor_fusion", &[left, right, "--tolerance", tolerance]), expected);
    }
}

/// The right values were computed by another program, from the detectors' definitions.
#[test]
fn anomaly_scores_of_a_machine() {
    let Some(readings) = recording(MACHINE) else { return };
    let Some(windows) = recording("sensors/machine_temperature_anomaly_windows.json") else { return };
    let seen = figures("anomaly_scores", &[&readings, &windows]);
    assert_eq!((count(&seen, "readings"), count(&seen, "rejected")), (22_695, 0));
    for (detector, flagged, hits, hit) in
        [("ratio", 81, 35, 3), ("zscore", 1_008, 118, 4), ("ewma", 40, 17, 2), ("mad", 836, 612, 3)]
    {
        let of = &seen[detector];
        assert_eq!(
            counts(of, ["flagged", "hits", "windows_hit", "windows"]),
            [flagged, hits, hit, 4],
            "{detector}"
        );
        close(&of["precision"], hits as f64 / flagged as f64);
        close(&of["recall"], hit as f64 / 4.0);
    }
}

/// The times of a recording, in whole nanoseconds.
fn moments(path: &str) -> Vec<i64> {
    let text = fs::read_to_string(path).unwrap();
    let time = |line: &str| line.split(',').next().unwrap().trim_matches('"').parse::<f64>().unwrap();
    text.lines().skip(1).map(|line| (time(line) * 1e9).round() as i64).collect()
}

/// Beside a join of all times at once.
#[test]
fn sensor_fusion_by_other_rules() {
    let motion = |name: &str| recording(&format!("motion/{name}.csv"));
    let (Some(accelerometer), Some(location)) = (motion("accelerometer"), motion("location")) else { return };
    for (left, right, tolerance) in [(&location, &accelerometer, 200), (&accelerometer, &location, 3)] {
        let (lefts, rights) = (moments(left), moments(right));
        for rule in ["all", "nearest", "latest_before", "earliest_after"] {
            let (mut pairs, mut taken, mut alone) = (0, vec![false; rights.len()], 0);
            for at in &lefts {
                let within = |other: &i64| {
                    let later = other - at;
                    later.abs() <= tolerance * 1_000_000
                        && (rule != "latest_before" || later <= 0)
                        && (rule != "earliest_after" || later >= 0)
                };
                let mut found: Vec<usize> = (0..rights.len()).filter(|&i| within(&rights[i])).collect();
                if rule != "all" {
                    found =
                        found.into_iter().min_by_key(|&i| ((rights[i] - at).abs(), i)).into_iter().collect();
                }
                alone += usize::from(found.is_empty());
                pairs += found.len();
                found.into_iter().for_each(|i| taken[i] = true);
            }
            let unmatched = taken.iter().filter(|taken| !**taken).count();
            for (kind, more) in
                [("inner", 0), ("left", alone), ("right", unmatched), ("outer", alone + unmatched)]
            {
                let expected = json!({
                    "left": lefts.len(), "right": rights.len(), "pairs": pairs, "rows": pairs + more,
                    "left_unmatched": alone, "right_unmatched": unmatched, "rejected": 0,
                });
                let tolerance = format!("{tolerance}ms");
                let args = [left, right, "--tolerance", &tolerance, "--match", rule, "--kind", kind];
                assert_eq!(figures("sensor_fusion", &args), expected, "{rule} {kind}");
            }
        }
    }
}

#[test]
fn validated_payments_of_a_shop() {
    let folder = Folder::new();
    let out = folder.path("dead.jsonl");
    for (name, lines, valid, sum, reasons) in SHOP {
        let reasons: BTreeMap<_, _> = reasons.iter().copied().collect();
        let Some(file) = recording(name) else { return };
        let line = last_line("validated_payments", &[&file, "--dead-letters", &out]);
        assert!(line.contains(&format!("\"valid_sum\":{sum},")), "{line}");
        let mut seen: Value = serde_json::from_str(&line).unwrap();
        seen.as_object_mut().unwrap().remove("valid_sum");
        let expected = json!({"lines": lines, "valid": valid, "rejected": lines - valid, "reasons": reasons});
        assert_eq!(seen, expected);

        // The letters are the lines of the file, byte for byte; those of the run before are gone.
        let text = fs::read(&file).unwrap();
        let text: Vec<_> = text.split(|&byte| byte == b'\n').collect();
        let letters = letters(&out);
        assert_eq!(letters.len() as u64, lines - valid);
        for letter in letters {
            let line = text[letter.origin.unwrap().line.unwrap() as usize - 1];
            assert_eq!(letter.payload, line.strip_suffix(b"\r").unwrap_or(line));
        }
    }
}

#[test]
fn click_counts_of_a_site() {
    let Some(file) = recording("clicks/access.log") else { return };
    let top = json!([
        ["/favicon.ico", 543],
        ["/", 439],
        ["/style2.css", 378],
        ["/reset.css", 372],
        ["/images/jordan-80.png", 367]
    ]);
    let expected = json!({
        "events": 7_000, "users": 1_302, "elements": 1_144, "alerts": 11, "top": top, "rejected": 0,
    });
    assert_eq!(figures("click_counts", &[&file]), expected);
    // 367 is not more than 367.
    assert_eq!(figures("click_counts", &[&file, "--alert", "367"])["alerts"], 4);
}

#[test]
fn windowed_clicks_of_a_site() {
    let Some(file) = recording("clicks/access.log") else { return };
    // Each hour has its requests in one minute.
    let largest = json!({"start": "2015-05-19T19:05:00Z", "count": 136});
    let expected =
        json!({"events": 7_000, "counted": 7_000, "late": 0, "windows": 59, "largest_window": largest});
    assert_eq!(figures("windowed_clicks", &[&file, "--window", "1m", "--disorder", "1m"]), expected);
    let seconds = figures("windowed_clicks", &[&file, "--window", "1s", "--disorder", "0s"]);
    assert_eq!(counts(&seconds, ["events", "counted", "late"]), [7_000, 385, 6_615]);
    // They are taken when windows are kept long enough.
    let kept = figures("windowed_clicks", &[&file, "--window", "1s", "--disorder", "0s", "--lateness", "1m"]);
    assert_eq!(kept, figures("windowed_clicks", &[&file, "--window", "1s", "--disorder", "1m"]));
}

#[test]
fn parallel_logs_of_two_systems() {
    for (name, info, warn, error, fatal) in
        [("logs/HDFS.log", 1_920, 80, 0, 0), ("logs/Hadoop.log", 1_040, 808, 298, 2)]
    {
        let Some(file) = recording(name) else { return };
        let levels = json!({"INFO": info, "WARN": warn, "ERROR": error, "FATAL": fatal});
        for (chunk, chunks) in [("1", 2_000), ("100", 20), ("1999", 2)] {
            let expected = json!({"lines": 2_000, "levels": levels, "chunks": chunks, "rejected": 0});
            assert_eq!(figures("parallel_logs", &[&file, "--chunk", chunk]), expected, "{name}");
        }
    }
}

#[test]
fn metrics_of_made_up_readings() {
    let of = figures("metrics", &[]);
    assert_eq!(figures("metrics", &[]), of, "the same each time");
    accounted(&of, STORED);
    let [readings, failed, dropped, stored] = counts(&of, ["readings", "failed", "dropped", "stored"]);
    assert_eq!((readings, stored), (100_000, 1_000));
    assert!(failed > 0 && dropped > 0, "{of}");
}

#[test]
fn metrics_of_a_recording_are_what_prometheus_reads() {
    let Some(path) = recording(MACHINE) else { return };
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
        "rxevents_events_total{stage=\"read\"} 22695",
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
    let Some(path) = recording(MACHINE) else { return };
    let of = figures("throttled_sensor", &[&path, "--every", "3600", "--capacity", "2000", "--slow", "1"]);
    accounted(&of, DELIVERED);
    assert_eq!(
        counts(&of, ["readings", "throttled", "delivered", "dropped", "in_flight"]),
        [22_695, 20_804, 1_891, 0, 0]
    );
}

#[test]
fn a_sensor_stream_of_a_recording() {
    let Some(path) = recording(MACHINE) else { return };
    let of = figures("sensor_stream", &[&path, "--threshold", "100"]);
    assert_eq!(counts(&of, ["readings", "above", "failed", "actions"]), [22_695, 1_586, 0, 239]);
}

#[test]
fn a_read_that_fails_is_the_failure_of_one_event() {
    let of = figures("sensor_stream", &["--period", "100"]);
    let [readings, above, failed, actions] = counts(&of, ["readings", "above", "failed", "actions"]);
    assert_eq!((readings, failed), (490, 10));
    assert!(0 < actions && actions <= above && above < readings, "{of}");

    let folder = Folder::new();
    let rows: [&[u8]; 6] = [
        b"timestamp,value",
        b"2024-01-01 00:00:00,1",
        b"2024-01-01 00:05:00,NaN",
        b"2024-01-01,51",
        b"2024-01-01 00:15:00,50",
        b"2024-01-01 00:20:00,51",
    ];
    let path = folder.write("sensor.csv", &rows);
    let output = run("sensor_stream", &[&path, "--json"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let of: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(counts(&of, ["readings", "above", "failed", "actions"]), [3, 1, 2, 1], "{stderr}");
    for text in [
        format!("rejected: {path}:3: value"),
        format!("rejected: {path}:4: column 1 `timestamp` is `2024-01-01`"),
    ] {
        assert!(stderr.contains(&text), "{text}\nis not in\n{stderr}");
    }
    for (example, law) in [("metrics", &STORED[..]), ("throttled_sensor", &DELIVERED[..])] {
        let of = figures(example, &[&path]);
        let sum: u64 = law.iter().map(|part| of[part].as_u64().unwrap()).sum();
        assert_eq!((of["readings"].as_u64(), of["failed"].as_u64(), sum), (Some(5), Some(2), 5), "{of}");
    }
}

/// A payment with what else is in its line.
fn payment(more: &str) -> String {
    format!(
        r#"{{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","amount":12.30,"currency":"EUR","timestamp":"2024-05-01T12:00:00Z"{more}}}"#
    )
}

#[test]
fn dead_letters_are_sent_again_until_they_are_refused() {
    let folder = Folder::new();
    let fails = |n: u64| payment(&format!(",\"fail\":{n}"));
    let (good, negative) = (payment(""), payment("").replace("12.30", "-1"));
    let [once, twice, thrice, often] = [1, 2, 3, 100].map(fails);
    let lines = [&*good, &once, "", &twice, &thrice, "{\"id\":", &often, &negative, " "].map(str::as_bytes);
    let file = folder.write("payments.jsonl", &[&lines[..], &[b"\xff"]].concat());
    let (out, again) = (folder.path("dead.jsonl"), folder.path("dead.jsonl.again"));

    let args = [&*file, "--max-retries", "2", "--dead-letters", &out];
    // In turn: 1 + 2 + 3 + 3 + 3 + 3 + 3 + 0, as what cannot be read is not handled.
    let all = figures("dead_letters", &args);
    assert_eq!(all, json!({"lines": 8, "ok": 3, "dead": 5, "attempts": count(&all, "attempts")}));
    let attempts: u64 = letters(&out).iter().map(|letter| u64::from(letter.attempts)).sum();
    assert_eq!(count(&all, "attempts"), 1 + 2 + 3 + attempts);

    let seen = figures("dead_letters", &[&args[..], &["--retry", "transient"]].concat());
    // In turn: 1 + 2 + 3 + 3 + 1 + 3 + 1 + 1.
    assert_eq!(seen, json!({"lines": 8, "ok": 3, "dead": 5, "attempts": 15}));
    let first = letters(&out);
    let tried: Vec<_> =
        first.iter().map(|letter| (letter.origin.as_ref().unwrap().line, letter.attempts)).collect();
    let mut sorted = tried.clone();
    sorted.sort();
    assert_eq!(sorted, [(Some(5), 3), (Some(6), 1), (Some(7), 3), (Some(8), 1), (Some(10), 1)]);
    assert!(first.iter().any(|letter| letter.payload == b"\xff"));

    // `thrice` succeeds in its fourth attempt.
    let seen = figures("dead_letters", &["--redrive", &out, "--max-retries", "2", "--retry", "transient"]);
    let expected = json!({"redriven": 5, "ok": 1, "dead": 4, "refused": 0, "unreadable": 0, "attempts": 7});
    assert_eq!(seen, expected);
    assert_eq!(letters(&out), first);
    let second = letters(&again);
    let of_often = second.iter().find(|letter| letter.payload == often.as_bytes()).unwrap();
    assert_eq!((of_often.attempts, of_often.redrives, of_often.kind), (6, 1, FailureKind::Other));

    // What is refused, and what is no letter, is kept too.
    fs::write(&out, [&fs::read(&again).unwrap()[..], b"no letter\n"].concat()).unwrap();
    let kept = folder.path("kept.jsonl");
    let seen = figures("dead_letters", &["--redrive", &out, "--max-redrives", "1", "--dead-letters", &kept]);
    let expected = json!({"redriven": 0, "ok": 0, "dead": 0, "refused": 4, "unreadable": 1, "attempts": 0});
    assert_eq!(seen, expected);
    let third = letters(&kept);
    assert_eq!(third[..4], second);
    assert_eq!(third[4].payload, b"no letter");
    // Appended, not replaced.
    figures("dead_letters", &["--redrive", &out, "--max-redrives", "1", "--dead-letters", &kept]);
    assert_eq!(letters(&kept).len(), 10);
}

#[test]
fn a_redrive_is_tried_dry_paced_and_resumed() {
    let folder = Folder::new();
    let fails = |n: u64| payment(&format!(",\"fail\":{n}"));
    let [once, often] = [1, 100].map(fails);
    let file = folder.write("payments.jsonl", &[once.as_bytes(), b"{", often.as_bytes()]);
    let (out, again, position) =
        (folder.path("dead.jsonl"), folder.path("dead.jsonl.again"), folder.path("position"));
    figures("dead_letters", &[&file, "--max-retries", "0", "--dead-letters", &out]);
    assert_eq!(letters(&out).len(), 3);

    // Dry: nothing is sent, and no file changes or comes.
    let redrive = ["--redrive", &*out, "--max-retries", "0", "--cursor", &position];
    let seen = figures("dead_letters", &[&redrive[..], &["--dry-run"]].concat());
    let expected = json!({
        "redriven": 3, "ok": 0, "dead": 0, "refused": 0, "unreadable": 0, "attempts": 0,
        "by_kind": {"decode": 1, "other": 2}, "by_stage": {"payment": 3},
    });
    assert_eq!(seen, expected);
    assert!(!fs::exists(&again).unwrap() && !fs::exists(&position).unwrap());

    let expected = |redriven: u64, ok: u64| json!({"redriven": redriven, "ok": ok, "dead": redriven - ok, "refused": 0, "unreadable": 0, "attempts": redriven});
    assert_eq!(figures("dead_letters", &[&redrive[..], &["--rate", "1000"]].concat()), expected(3, 1));
    // All is done: nothing is sent twice.
    assert_eq!(figures("dead_letters", &redrive), expected(0, 0));
    assert_eq!(letters(&again).len(), 2);
    // What is appended later is.
    fs::write(&out, [fs::read(&out).unwrap(), fs::read(&again).unwrap()].concat()).unwrap();
    assert_eq!(figures("dead_letters", &redrive), expected(2, 0));
    assert_eq!(letters(&again)[2..].iter().map(|letter| letter.redrives).collect::<Vec<_>>(), [2, 2]);

    let wrong = run("dead_letters", &["--redrive", &out, "--rate", "fast"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn made_up_data_are_accounted_for_and_the_same_each_time() {
    let folder = Folder::new();
    let out = folder.path("dead.jsonl");
    let twice = |name: &str, args: &[&str]| {
        let first = figures(name, args);
        assert_eq!(figures(name, args), first, "{name}");
        first
    };
    let seen = twice("windowed_anomalies", &["--partition", "7"]);
    assert_eq!(count(&seen, "readings"), 7 * count(&seen, "partitions") + count(&seen, "left_over"));
    assert_eq!(count(&seen, "means"), count(&seen, "readings") - 11);
    assert!(count(&seen, "flagged") > 50 && count(&seen, "left_over") > 0, "{seen}");
    let seen = twice("sensor_fusion", &[]);
    assert_eq!(count(&seen, "left"), count(&seen, "pairs") + count(&seen, "left_unmatched"));
    assert_eq!(count(&seen, "right"), count(&seen, "pairs") + count(&seen, "right_unmatched"));
    assert!(count(&seen, "pairs") > 9_000 && count(&seen, "left_unmatched") > 0, "{seen}");
    let seen = twice("validated_payments", &["--dead-letters", &out]);
    assert_eq!(count(&seen, "lines"), count(&seen, "valid") + count(&seen, "rejected"));
    assert_eq!(count(&seen, "rejected"), letters(&out).len() as u64);
    let reasons = seen["reasons"].as_object().unwrap();
    assert_eq!(
        reasons.keys().collect::<Vec<_>>(),
        ["amount", "amount+customer+description", "customer", "decode"]
    );
    assert_eq!(reasons.values().filter_map(Value::as_u64).sum::<u64>(), count(&seen, "rejected"));
    let seen = twice("anomaly_scores", &[]);
    for detector in ["ratio", "zscore", "ewma", "mad"] {
        assert_eq!(counts(&seen[detector], ["windows_hit", "windows"]), [3, 3], "{seen}");
    }
    let seen = twice("click_counts", &[]);
    assert_eq!(count(&seen, "events") + count(&seen, "rejected"), 100_000);
    assert!(count(&seen, "rejected") > 900, "{seen}");
    let seen = twice("windowed_clicks", &[]);
    assert_eq!(count(&seen, "counted") + count(&seen, "late"), count(&seen, "events"));
    assert!(count(&seen, "late") > 0 && count(&seen, "windows") > 0, "{seen}");
    let seen = twice("parallel_logs", &[]);
    let levels = seen["levels"].as_object().unwrap();
    assert_eq!(levels.values().filter_map(Value::as_u64).sum::<u64>(), count(&seen, "lines"));
    let seen = twice("dead_letters", &["--dead-letters", &out]);
    assert_eq!(count(&seen, "lines"), count(&seen, "ok") + count(&seen, "dead"));
    assert!(count(&seen, "attempts") > count(&seen, "lines"), "{seen}");
    assert_eq!(count(&seen, "dead"), letters(&out).len() as u64);
}

#[test]
fn what_is_broken_is_counted_and_does_not_end_the_run() {
    let folder = Folder::new();
    let long = vec![b'x'; 1_100_000];
    let readings = folder.write(
        "readings.csv",
        &[
            b"value,timestamp",
            b"1,2013-12-02 21:15:00",
            b"x,2013-12-02 21:20:00",
            &long,
            b"NaN,2013-12-02 21:25:00",
            b"\xff,\xff",
            b"2,2013-12-02T22:25:00Z",
            b"1",
            b"3,2013-12-0",
        ],
    );
    let seen = figures("windowed_anomalies", &[&readings, "--slide", "2", "--partition", "3"]);
    let expected = json!({
        "readings": 2, "partitions": 0, "flagged": 0, "first_flagged": null, "means": 1, "mean_max": 1.5,
        "mean_min": 1.5, "throttled": 2, "left_over": 2, "rejected": 6,
    });
    assert_eq!(seen, expected);

    let motion = folder.write(
        "motion.csv",
        &[b"Time (s),X (m/s^2),Y (m/s^2),Z (m/s^2)", b"0.1,1,2,3", b"0.2,1,2", b"x,1,2,3", b"0.3,1,2,3"],
    );
    let fixes = folder.write(
        "fixes.csv",
        &[b"Time (s),East (m),North (m)", b"0.1004,0,0", b"0.2,0,0", b"0.3,0,inf", b"0.4,"],
    );
    let seen = figures("sensor_fusion", &[&motion, &fixes]);
    let expected = json!({
        "left": 2, "right": 2, "pairs": 1, "left_unmatched": 1, "right_unmatched": 1, "rows": 1, "rejected": 4,
    });
    assert_eq!(seen, expected);

    let invoices = folder.write(
        "invoices.csv",
        &[
            b"Description,Quantity,UnitPrice,CustomerID",
            b"TEA,2,1.005,17850.0",
            b"TEA,two,1.005,17850.0",
            b"T\xffA,2,1,1",
            b"TEA,2",
            &long,
            b",-1,1,",
            b"TEA,9223372036854775807,79228162514264337593543950335,1",
        ],
    );
    let out = folder.path("dead.jsonl");
    let line = last_line("validated_payments", &[&invoices, "--dead-letters", &out]);
    assert!(line.contains("\"valid_sum\":2.01,"), "{line}");
    let seen: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(seen["reasons"], json!({"amount+customer+description": 1, "decode": 4, "too_long": 1}));
    assert_eq!((count(&seen, "lines"), count(&seen, "valid"), count(&seen, "rejected")), (7, 1, 6));

    let log =
        folder.write("a.log", &[b"INFO INFORMED WARN_ INFO", b"\xff ERROR", &long, b"", b"[FATAL],error"]);
    let levels = json!({"INFO": 2, "WARN": 0, "ERROR": 0, "FATAL": 1});
    let expected = json!({"lines": 5, "levels": levels, "chunks": 2, "rejected": 2});
    assert_eq!(figures("parallel_logs", &[&log, "--chunk", "2"]), expected);

    const CLICK: &[u8] = br#"u1 - - [17/May/2015:10:05:03 +0000] "GET /a?b HTTP/1.1" 200 1 "-" "x""#;
    let clicks = folder.write("access.log", &[CLICK, b"", b"GET /", b"\xff", &long, CLICK, &CLICK[..40]]);
    let seen = figures("click_counts", &[&clicks, "--alert", "1"]);
    let expected =
        json!({"events": 2, "users": 1, "elements": 1, "alerts": 1, "top": [["/a", 2]], "rejected": 4});
    assert_eq!(seen, expected);

    // Each is told with its place.
    let stderr = run("click_counts", &[&clicks]).stderr;
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(stderr.contains(&format!("rejected: {clicks}:3: column")), "{stderr}");
}

#[test]
fn empty_files_are_no_failure() {
    let folder = Folder::new();
    let (nothing, header) = (folder.write("nothing", &[]), folder.write("a.csv", &[b"timestamp,value"]));
    let out = folder.path("dead.jsonl");
    assert_eq!(figures("windowed_anomalies", &[&header])["mean_max"], Value::Null);
    for name in ["metrics", "sensor_stream", "throttled_sensor"] {
        assert_eq!(count(&figures(name, &[&header]), "readings"), 0, "{name}");
    }
    assert_eq!(count(&figures("click_counts", &[&nothing]), "events"), 0);
    assert_eq!(figures("windowed_clicks", &[&nothing])["largest_window"], Value::Null);
    assert_eq!(count(&figures("parallel_logs", &[&nothing]), "chunks"), 0);
    assert_eq!(count(&figures("dead_letters", &[&nothing, "--dead-letters", &out]), "lines"), 0);
    assert_eq!(count(&figures("dead_letters", &["--redrive", &out]), "redriven"), 0);
}

#[test]
fn wrong_arguments_are_named() {
    let folder = Folder::new();
    let (absent, bare) = (folder.path("absent"), folder.write("bare.csv", &[b"timestamp,values"]));
    let refused: [(&str, &[&str], &str); 40] = [
        ("windowed_anomalies", &[&absent], &absent),
        (
            "windowed_anomalies",
            &[&bare],
            &format!("{bare}:1: no column `value`; there are `timestamp`, `values`"),
        ),
        ("windowed_anomalies", &["--ratio", "x"], "--ratio `x`: invalid float literal"),
        ("windowed_anomalies", &["--ratio", "NaN"], "--ratio `NaN`: must be finite and above 0"),
        ("windowed_anomalies", &["--ratio", "-1"], "--ratio `-1`: must be finite and above 0"),
        ("windowed_anomalies", &["--ratio"], "--ratio"),
        ("windowed_anomalies", &["--ratio", "1", "--ratio", "2"], "--ratio is given twice"),
        ("windowed_anomalies", &["--partition", "0"], "--partition `0`: "),
        ("windowed_anomalies", &["--slide=-1"], "--slide `-1`: "),
        ("windowed_anomalies", &["--throttle", "1 parsec"], "--throttle `1 parsec`: unknown time unit"),
        ("windowed_anomalies", &["--ratios", "1"], "--ratios"),
        ("windowed_anomalies", &[&bare, &absent], &absent),
        ("windowed_anomalies", &["--json=yes"], "--json"),
        ("sensor_fusion", &[&bare], "two files are needed"),
        ("sensor_fusion", &[&bare, &bare], "no column `Time (s)`"),
        ("sensor_fusion", &["--tolerance", "5"], "--tolerance `5`: "),
        ("validated_payments", &[&bare], "no column `Description`"),
        ("validated_payments", &[&absent], &absent),
        ("click_counts", &["--alert", "many"], "--alert `many`: invalid digit"),
        ("click_counts", &[&absent], &absent),
        ("windowed_clicks", &["--window", "1 parsec"], "--window `1 parsec`: unknown time unit"),
        ("windowed_clicks", &[&absent], &absent),
        ("metrics", &["--capacity", "many"], "--capacity `many`: invalid digit"),
        ("metrics", &["--listen", "here"], "--listen `here`: "),
        ("metrics", &["--listen", "127.0.0.1:0"], "--listen: metrics on 127.0.0.1:0: "),
        ("metrics", &["--print=yes"], "--print"),
        ("metrics", &[&bare], "no column `value`"),
        ("throttled_sensor", &["--policy", "hope"], "--policy `hope`: there is no such policy"),
        ("throttled_sensor", &["--every"], "--every"),
        ("throttled_sensor", &[&absent], &absent),
        ("sensor_stream", &["--threshold", "hot"], "--threshold `hot`: invalid float literal"),
        ("sensor_stream", &["--threshold", "NaN"], "--threshold `NaN`: must be a number"),
        ("sensor_stream", &["a", "b"], "\"b\""),
        ("sensor_stream", &[&bare], &format!("{bare}:1: no column `value`")),
        ("parallel_logs", &["--chunk", "0"], "--chunk `0`: "),
        ("parallel_logs", &[&absent], &absent),
        ("dead_letters", &[&absent], &absent),
        ("dead_letters", &["--max-retries", "-2"], "--max-retries `-2`: invalid digit"),
        ("dead_letters", &["--redrive", &absent], &absent),
        ("dead_letters", &["--redrive", &bare, &absent], &absent),
    ];
    for (name, args, message) in refused {
        let output = run(name, args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name} {args:?}: {stderr}");
        assert!(stderr.contains(message), "{name} {args:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
    for name in NAMES {
        let output = run(name, &["--help"]);
        assert!(output.status.success() && output.stdout.starts_with(b"usage: "), "{name}");
    }
}

#[test]
fn dead_letters_never_replace_what_is_read() {
    let folder = Folder::new();
    let columns = b"Description,Quantity,UnitPrice,CustomerID";
    let file = folder.write("a.csv", &[columns, b"TEA,0,1,1"]);
    let before = fs::read(&file).unwrap();
    for name in ["validated_payments", "dead_letters"] {
        let output = run(name, &[&file, "--dead-letters", &file]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("would replace a file that is read"),
            "{name}"
        );
    }
    assert_eq!(fs::read(&file).unwrap(), before);
    let nowhere = folder.path("nowhere/dead.jsonl");
    let output = run("validated_payments", &[&file, "--dead-letters", &nowhere]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&nowhere));
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_to_its_end_fails_the_job() {
    // A folder can be opened, but not read.
    let folder = Folder::new();
    for name in ["click_counts", "parallel_logs", "dead_letters"] {
        let output = run(name, &[&folder.path(""), "--json"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {stderr}");
        assert!(stderr.contains("not read to the end"), "{name}: {stderr}");
        assert!(output.stdout.is_empty(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn nothing_is_lost_when_a_job_is_killed() {
    let figures = figures("crash_harness", &["--kills", "8", "--events", "30000", "--seed", "5"]);
    let count = |name: &str| figures[name].as_u64().unwrap();
    assert_eq!((count("kills"), count("lost"), count("seed")), (8, 0, 5));
    assert_eq!(count("input"), 30_000 * count("rounds"));
    assert_eq!(count("input"), count("output") + count("dead_lettered") + count("left_out"));
    assert_eq!(count("starts"), count("kills") + count("rounds"));
    assert!(count("duplicates") <= count("redelivered"));
}

/// All that was sent was received, whatever the way and the rate.
#[test]
fn handoff_loses_nothing_on_any_way() {
    for rate in ["max", "20000"] {
        let figures = figures("handoff", &["--rate", rate, "--seconds", "0.05"]);
        let others = figures["others"].as_object().unwrap();
        assert_eq!(others.keys().collect::<Vec<_>>(), ["crossbeam", "flume", "kanal", "rtrb", "tokio"]);
        for way in others.values().chain([&figures]) {
            let [sent, received] = counts(way, ["sent", "received"]);
            assert!(sent > 0 && sent == received, "{figures}");
            if rate != "max" {
                assert_eq!(sent, 1000, "{figures}");
            }
            for figure in ["throughput", "p50_ns", "p99_ns", "p999_ns"] {
                assert!(count(way, figure) > 0, "{figure}: {figures}");
            }
        }
    }
}

#[test]
fn soak_loses_nothing_and_its_memory_is_flat() {
    let figures = figures("soak", &["--seconds", "1"]);
    let [events, written, dead, given_up, in_flight] =
        counts(&figures, ["events", "written", "dead_lettered", "given_up", "in_flight"]);
    assert!(events > 1_000 && dead > 0, "{figures}");
    assert_eq!((written + dead + given_up, in_flight), (events, 0), "{figures}");
    assert_eq!(figures["ledger_balanced"], true, "{figures}");
}
