//! The example `storefront`, run as a process: the right figures on recordings, and every event accounted for.
#![cfg(feature = "files")]

#[path = "common/built.rs"]
mod built;
#[path = "common/recordings.rs"]
mod recordings;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use built::example;
use recordings::{SHOP, recording};
use rxevents::{
    dead_letter::{DeadLetter, FailureKind, read_letters},
    source::{Class, PaymentLines},
};
use serde_json::{Value, json};

fn run<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::new(example("storefront")).args(args).output().unwrap()
}

/// The object that a run printed last, its dead letters, and its whole output. The law holds in it.
fn figures(args: &[&str]) -> (Value, Vec<DeadLetter>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead.jsonl");
    let output = run([args, &["--json", "--dead-letters", path.to_str().unwrap()]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let figures: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    let letters: Vec<_> = read_letters(&path).unwrap().map(Result::unwrap).collect();

    let count =
        |account: &Value, name: &str| account[name].as_u64().unwrap_or_else(|| panic!("{name}: {account}"));
    let sources = &figures["sources"];
    for account in [&figures["overall"], &sources["sensors"], &sources["payments"], &sources["clicks"]] {
        let parts = ["out", "filtered", "dropped", "dead_lettered", "in_flight"];
        assert_eq!(
            count(account, "in"),
            parts.iter().map(|part| count(account, part)).sum::<u64>(),
            "{account}"
        );
        assert_eq!(count(account, "in_flight"), 0, "{account}");
    }
    for name in ["in", "out", "filtered", "dropped", "dead_lettered"] {
        let sum: u64 =
            ["sensors", "payments", "clicks"].iter().map(|source| count(&sources[*source], name)).sum();
        assert_eq!(count(&figures["overall"], name), sum, "{name}");
    }
    assert_eq!(count(&figures["overall"], "dead_lettered"), letters.len() as u64);
    (figures, letters, stdout)
}

#[test]
fn recordings_give_the_right_figures() {
    let Some(sensors) = recording("sensors/machine_temperature.csv") else { return };
    let Some(clicks) = recording("clicks/access.log") else { return };
    for (name, lines, valid, sum, reasons) in SHOP {
        let reasons: BTreeMap<_, _> = reasons.iter().copied().collect();
        let Some(payments) = recording(name) else { return };
        let (figures, letters, stdout) =
            figures(&["--sensors", &sensors, "--payments", &payments, "--clicks", &clicks]);
        let Value::Object(mut of_payments) = figures["sources"]["payments"].clone() else {
            panic!("{figures}")
        };
        assert!(stdout.contains(&format!("\"valid_sum\":{sum},")), "{stdout}");
        assert_eq!(of_payments.remove("valid_sum").unwrap().as_f64(), sum.parse().ok());
        let account = |taken: u64, out: u64, dropped: u64, dead_lettered: u64| {
            json!({
                "in": taken, "out": out, "filtered": 0, "dropped": dropped,
                "dead_lettered": dead_lettered, "in_flight": 0,
            })
        };
        let with = |mut account: Value, figures: Value| {
            account.as_object_mut().unwrap().extend(figures.as_object().unwrap().clone());
            account
        };
        assert_eq!(
            Value::from(of_payments),
            with(account(lines, valid, 0, lines - valid), json!({"valid": valid, "reasons": reasons}))
        );
        assert_eq!(
            figures["sources"]["sensors"],
            with(account(22_695, 1_891, 20_804, 0), json!({"throttled": 1_891, "flagged": 1}))
        );
        assert_eq!(
            figures["sources"]["clicks"],
            with(account(7_000, 7_000, 0, 0), json!({"users": 1_302, "elements": 1_144, "alerts": 11}))
        );

        // The letters are the lines of the file, byte for byte.
        let file = fs::read(&payments).unwrap();
        let file: Vec<_> = file.split(|&byte| byte == b'\n').collect();
        for letter in letters {
            let origin = letter.origin.unwrap();
            assert_eq!(&*origin.source, payments);
            let line = file[origin.line.unwrap() as usize - 1];
            assert_eq!(letter.payload, line.strip_suffix(b"\r").unwrap_or(line));
        }
    }
}

#[test]
fn made_up_events_are_accounted_for() {
    let (figures, letters, _) = figures(&["--events", "20000"]);
    assert_eq!(figures["overall"]["in"], 20_000);
    let payments = &figures["sources"]["payments"];
    let broken: Vec<_> = PaymentLines::new(2)
        .malformed(0.05)
        .invalid(0.05)
        .labelled()
        .zip(1..)
        .take(payments["in"].as_u64().unwrap() as usize)
        .filter(|((class, _), _)| *class != Class::Good)
        .map(|((class, line), number)| (class, line.into_bytes(), Some(number)))
        .collect();
    assert!(broken.len() > 600 && broken.len() < 740, "{}", broken.len());
    let stored: Vec<_> = letters
        .into_iter()
        .map(|letter| {
            let class = match letter.kind {
                FailureKind::Decode => Class::Malformed,
                FailureKind::Validation => Class::Invalid,
                kind => panic!("{kind}"),
            };
            (class, letter.payload, letter.origin.unwrap().line)
        })
        .collect();
    assert!(stored == broken);
    let reasons = payments["reasons"].as_object().unwrap();
    assert_eq!(reasons.keys().collect::<Vec<_>>(), ["amount", "currency", "decode", "id", "timestamp"]);
    assert_eq!(reasons.values().filter_map(Value::as_u64).sum::<u64>(), broken.len() as u64);
    let malformed = broken.iter().filter(|(class, ..)| *class == Class::Malformed).count();
    assert_eq!(reasons["decode"], malformed as u64);
}

#[test]
fn few_events() {
    for events in 0..7_u64 {
        let (figures, ..) = figures(&["--events", &events.to_string()]);
        assert_eq!(figures["overall"]["in"], events);
        assert_eq!(figures["sources"]["sensors"]["in"], events.div_ceil(3));
    }
}

/// A letter's source, line, stage, kind and payload.
type Seen<'a> = (&'a str, u64, &'a str, FailureKind, Vec<u8>);

#[test]
fn broken_lines_do_not_end_the_run() {
    const HEADER: &str =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    const CLICK: &str = r#"u1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 1 "-" "x""#;
    let long = vec![b'x'; 70_000];
    let head = long[..65_536].to_vec();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, lines: &[&[u8]]| {
        let path = folder.path().join(name);
        fs::write(&path, lines.join(&b"\n"[..])).unwrap();
        path.to_str().unwrap().to_owned()
    };

    let good = b"1,a,TEA,2,2010-12-01 08:26:00,1.005,17850.0,UK";
    let no_number = b"1,a,TEA,two,2010-12-01 08:26:00,1.50,17850.0,UK";
    let huge = b"1,a,TEA,9223372036854775807,2010-12-01 08:26:00,79228162514264337593543950335,1,UK";
    let no_utf_8 = b"1,a,T\xffA,2,2010-12-01 08:26:00,1.50,17850.0,UK";
    let cancelled = b"C1,a,TEA,-2,2010-12-01 08:26:00,1.50,17850.0,UK";
    let open_quote = b"1,a,\"TEA,2,2010-12-01 08:26:00,1.50,17850.0,UK";
    let payments = file(
        "payments.csv",
        &[
            HEADER.trim_end().as_bytes(),
            good,
            b"1,a",
            no_number,
            &long,
            huge,
            no_utf_8,
            good,
            cancelled,
            open_quote,
            good,
        ],
    );
    let sensors = file(
        "sensors.csv",
        &[
            b"value,timestamp",
            b"1,2013-12-02 21:15:00",
            b"x,2013-12-02 21:20:00",
            b"NaN,2013-12-02 21:25:00",
            b"1,yesterday",
        ],
    );
    let clicks =
        file("access.log", &[CLICK.as_bytes(), b"", b"GET /", b"\xff", &long, b" \r", CLICK.as_bytes(), b""]);
    let (figures, letters, stdout) =
        figures(&["--sensors", &sensors, "--payments", &payments, "--clicks", &clicks]);

    let mut seen: Vec<Seen<'_>> = letters
        .iter()
        .map(|letter| {
            let origin = letter.origin.as_ref().unwrap();
            let source = Path::new(&*origin.source).file_name().unwrap().to_str().unwrap();
            (source, origin.line.unwrap(), letter.stage.as_str(), letter.kind, letter.payload.clone())
        })
        .collect();
    seen.sort();
    use FailureKind::{Decode, TooLong, Validation};
    let expected: [Seen<'_>; 12] = [
        ("access.log", 3, "click", Decode, b"GET /".into()),
        ("access.log", 4, "click", Decode, b"\xff".into()),
        ("access.log", 5, "read", TooLong, head.clone()),
        ("payments.csv", 3, "csv", Decode, b"1,a".into()),
        ("payments.csv", 4, "payment", Decode, no_number.into()),
        ("payments.csv", 5, "csv", TooLong, head),
        ("payments.csv", 6, "payment", Decode, huge.into()),
        ("payments.csv", 7, "csv", Decode, no_utf_8.into()),
        ("payments.csv", 9, "payment", Validation, cancelled.into()),
        ("payments.csv", 10, "csv", Decode, open_quote.into()),
        ("sensors.csv", 3, "reading", Decode, b"x,2013-12-02 21:20:00".into()),
        ("sensors.csv", 4, "reading", Validation, b"NaN,2013-12-02 21:25:00".into()),
    ];
    let yesterday: Seen<'_> = ("sensors.csv", 5, "reading", Decode, b"1,yesterday".into());
    assert!(
        seen == [expected.as_slice(), &[yesterday]].concat(),
        "{:?}",
        letters.iter().map(|l| &l.message).collect::<Vec<_>>()
    );
    let message = &letters.iter().find(|letter| letter.payload == no_number).unwrap().message;
    assert!(message.contains("payments.csv:4: column 4 `Quantity` is `two`"), "{message}");

    let sources = &figures["sources"];
    assert_eq!((&sources["payments"]["in"], &sources["payments"]["valid"]), (&json!(10), &json!(3)));
    // Exactly, although it has more than two decimals.
    assert!(stdout.contains("\"valid_sum\":6.03,"), "{stdout}");
    assert_eq!(sources["payments"]["reasons"], json!({"amount": 1, "decode": 5, "too_long": 1}));
    assert_eq!((&sources["clicks"]["out"], &sources["clicks"]["filtered"]), (&json!(2), &json!(2)));
    assert_eq!((&sources["sensors"]["in"], &sources["sensors"]["out"]), (&json!(4), &json!(1)));
}

#[test]
fn wrong_arguments_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (bare, absent, out) = (path("bare.csv"), path("absent.csv"), path("dead.jsonl"));
    fs::write(&bare, "timestamp,values\n").unwrap();
    let refused: [(&[&str], &str); 13] = [
        (&["--sensor", "x"], "unknown argument `--sensor`"),
        (&["x"], "unknown argument `x`"),
        (&["--json=yes"], "unknown argument `--json=yes`"),
        (&["--events"], "--events needs a value"),
        (&["--events", "--json"], "--events needs a value"),
        (&["--sensors="], "--sensors needs a value"),
        (&["--events", "1e6"], "--events `1e6` is not a whole number"),
        (&["--events=-1"], "--events `-1` is not a whole number"),
        (&["--events", "1", "--events", "2"], "--events is given twice"),
        (&["--events", "1", "--clicks", &absent], "--events makes events up, which does not go with files"),
        (&["--clicks", &absent], &format!("{absent}: ")),
        (&["--sensors", &bare], &format!("{bare}:1: no column `value`; there are `timestamp`, `values`")),
        (&["--payments", &bare, "--dead-letters", &bare], "would replace a file that is read"),
    ];
    for (args, message) in refused {
        // So that a fault would not write elsewhere.
        let letters: &[&str] = if args.contains(&"--dead-letters") { &[] } else { &["--dead-letters", &out] };
        let output = run([letters, args].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(message), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(fs::read_to_string(&bare).unwrap(), "timestamp,values\n");
    assert!(!Path::new(&out).exists());

    let nowhere = path("nowhere/dead.jsonl");
    let output = run(["--events", "0", "--dead-letters", &nowhere]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&nowhere));
}

#[test]
fn dead_letters_are_those_of_the_last_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead.jsonl");
    let letters = |events: &str| {
        assert!(run(["--events", events, "--dead-letters", path.to_str().unwrap()]).status.success());
        read_letters(&path).unwrap().count()
    };
    assert_eq!((letters("3000"), letters("0")), (letters("3000"), 0));
}

#[cfg(unix)]
#[test]
fn a_source_that_cannot_be_read_fails_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead.jsonl");
    // A folder can be opened, but not read.
    let output = run([Path::new("--clicks"), folder.path(), Path::new("--dead-letters"), &path]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("clicks: not read to the end"), "{stderr}");
    assert_eq!(read_letters(&path).unwrap().count(), 1);
}

/// The lines of a file of the state.
fn state_lines(folder: &Path, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder.join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_job_with_a_state_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("new/state");
    let job = |events: &str| {
        let output = run(["--events", events, "--state", state.to_str().unwrap(), "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
        figures["overall"].clone()
    };
    let first = job("30000");
    assert_eq!(first["in"], 30_000);
    assert_eq!(job("30000")["in"], 0);
    // The sources have more now.
    let second = job("60000");
    assert_eq!(second["in"], 30_000);
    let sum = |name: &str| first[name].as_u64().unwrap() + second[name].as_u64().unwrap();
    assert_eq!(state_lines(&state, "output.jsonl").len() as u64, sum("out"));
    assert_eq!(state_lines(&state, "left-out.jsonl").len() as u64, sum("dropped") + sum("filtered"));
    assert_eq!(state_lines(&state, "storefront-dead-letters.jsonl").len() as u64, sum("dead_lettered"));
    let positions: Value = serde_json::from_slice(&fs::read(state.join("positions.json")).unwrap()).unwrap();
    for source in ["sensors", "payments", "clicks"] {
        assert_eq!(positions[source]["lines"], 20_000);
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_job_in_good_order() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().to_str().unwrap();
        let job = Command::new(example("storefront"))
            .args(["--events", "1000000000", "--state", state, "--json"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // It has begun when something is in the output.
        while fs::metadata(folder.path().join("output.jsonl")).map_or(0, |file| file.len()) == 0 {
            std::thread::yield_now();
        }
        assert!(Command::new("kill").args([signal, &job.id().to_string()]).status().unwrap().success());
        let output = job.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
        let overall = &figures["overall"];
        let count = |name: &str| overall[name].as_u64().unwrap();
        assert_eq!(count("in_flight"), 0);
        assert_eq!(count("in"), count("out") + count("filtered") + count("dropped") + count("dead_lettered"));
        assert_eq!(state_lines(folder.path(), "output.jsonl").len() as u64, count("out"));
        // All that was taken is committed.
        let positions: Value =
            serde_json::from_slice(&fs::read(folder.path().join("positions.json")).unwrap()).unwrap();
        let committed: u64 =
            positions.as_object().unwrap().values().filter_map(|at| at["lines"].as_u64()).sum();
        assert_eq!(committed, count("in"));
    }
}

#[test]
fn a_state_of_another_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (log, state) = (folder.path().join("access.log"), folder.path().join("state"));
    let line = "u1 - - [17/May/2015:10:05:03 +0000] \"GET /a HTTP/1.1\" 200 1 \"-\" \"x\"\n";
    fs::write(&log, line.repeat(3)).unwrap();
    let job = || run([Path::new("--clicks"), &log, Path::new("--state"), &state]);
    assert!(job().status.success());
    fs::write(&log, line).unwrap();
    let output = job();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let (all, one) = (3 * line.len(), line.len());
    let message = format!("`clicks` cannot resume at line 3, byte {all}: there are {one} bytes only");
    assert!(stderr.contains(&message), "{stderr}");
}
