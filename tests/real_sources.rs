//! The file sources and event models on recordings of real systems: every line is accounted for.
#![cfg(feature = "files")]

#[path = "common/recordings.rs"]
mod recordings;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use recordings::recording;
use rust_decimal::Decimal;
use rxevents::{
    dead_letter::Payload,
    event::{Click, GeoFix, LogLevel, LogRecord, MotionSample, Position, SensorReading, utc},
    source::{CsvFile, TextFile},
};
use serde::Deserialize;
use validator::Validate;

#[test]
fn machine_temperature() {
    #[derive(Deserialize)]
    struct Row {
        #[serde(with = "utc")]
        timestamp: DateTime<Utc>,
        value: f64,
    }
    let Some(path) = recording("sensors/machine_temperature.csv") else { return };
    let readings: Vec<_> = CsvFile::open(path)
        .unwrap()
        .records::<Row>()
        .map(Result::unwrap)
        .map(|row| SensorReading { sensor: "machine".into(), at: row.timestamp, value: row.value })
        .collect();
    assert_eq!(readings.len(), 22_695);
    assert!(readings.iter().all(|reading| reading.validate().is_ok()));
    assert_eq!(readings.first().unwrap().at.to_rfc3339(), "2013-12-02T21:15:00+00:00");
    assert_eq!(readings.last().unwrap().at.to_rfc3339(), "2014-02-19T15:25:00+00:00");
    assert_eq!(readings.windows(2).filter(|pair| pair[1].at < pair[0].at).count(), 1);
    assert_eq!(readings.iter().filter(|reading| reading.value > 100.0).count(), 1_586);
    let mut last: Option<DateTime<Utc>> = None;
    let passed = readings.iter().filter(|reading| {
        let passes = last.is_none_or(|last| reading.at - last >= TimeDelta::hours(1));
        if passes {
            last = Some(reading.at);
        }
        passes
    });
    assert_eq!(passed.count(), 1_891);
}

#[test]
fn retail() {
    #[derive(Deserialize)]
    struct Invoice {
        #[serde(rename = "Description")]
        description: Option<String>,
        #[serde(rename = "Quantity")]
        quantity: i64,
        #[serde(rename = "UnitPrice")]
        unit_price: Decimal,
        #[serde(rename = "CustomerID")]
        customer: Option<f64>,
    }
    for (name, lines, valid, pence) in [
        ("payments/retail_2010-12-01.csv", 3_108, 1_942, 4_637_649),
        ("payments/retail_2011-11-08.csv", 4_070, 2_310, 3_829_512),
    ] {
        let Some(path) = recording(name) else { return };
        let invoices: Vec<_> =
            CsvFile::open(path).unwrap().records::<Invoice>().map(|invoice| invoice.unwrap()).collect();
        assert_eq!(invoices.len(), lines, "{name}");
        let good = |invoice: &&Invoice| {
            invoice.customer.is_some()
                && invoice.description.is_some()
                && Decimal::from(invoice.quantity) * invoice.unit_price > Decimal::ZERO
        };
        let amounts: Vec<_> =
            invoices.iter().filter(good).map(|i| Decimal::from(i.quantity) * i.unit_price).collect();
        assert_eq!(amounts.len(), valid, "{name}");
        assert_eq!(amounts.iter().sum::<Decimal>(), Decimal::new(pence, 2), "{name}");
    }
}

#[test]
fn records_keep_their_bytes() {
    for name in ["payments/retail_2010-12-01.csv", "payments/retail_2011-11-08.csv"] {
        let Some(path) = recording(name) else { return };
        let text = std::fs::read(&path).unwrap();
        let mut rest = &text[text.iter().position(|&byte| byte == b'\n').unwrap() + 1..];
        for record in CsvFile::open(path).unwrap() {
            rest = rest.strip_prefix(record.unwrap().payload().as_ref()).unwrap();
            rest = rest.strip_prefix(b"\r").unwrap_or(rest);
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn clicks() {
    let Some(path) = recording("clicks/access.log") else { return };
    let clicks: Vec<_> = TextFile::open(path)
        .unwrap()
        .map(|line| Click::from_combined_log(line.unwrap().text().unwrap()).unwrap())
        .collect();
    assert_eq!(clicks.len(), 7_000);
    assert_eq!(clicks.iter().map(|click| &click.user).collect::<HashSet<_>>().len(), 1_302);
    let mut elements = HashMap::new();
    for click in &clicks {
        *elements.entry(&*click.element).or_insert(0) += 1;
    }
    assert_eq!(elements.len(), 1_144);
    assert_eq!((elements["/favicon.ico"], elements["/"], elements["/style2.css"]), (543, 439, 378));
    assert_eq!(elements.values().filter(|&&count| count > 100).count(), 11);
    assert_eq!(clicks.windows(2).filter(|pair| pair[1].at < pair[0].at).count(), 3_423);
}

#[test]
fn motion() {
    let start = DateTime::UNIX_EPOCH;
    for (name, rows, first) in
        [("motion/accelerometer.csv", 10_577, 3_446_083), ("motion/gyroscope.csv", 10_575, 19_586_083)]
    {
        let Some(path) = recording(name) else { return };
        let samples: Vec<_> = CsvFile::open(path)
            .unwrap()
            .map(|record| MotionSample::from_csv(&record.unwrap(), start).unwrap())
            .collect();
        assert_eq!(samples.len(), rows, "{name}");
        assert!(samples.is_sorted_by_key(|sample| sample.at), "{name}");
        assert_eq!(samples[0].at.timestamp_nanos_opt(), Some(first), "{name}");
        for sample in &samples {
            assert_eq!(&MotionSample::from_json(&sample.payload()).unwrap(), sample);
        }
    }
}

#[test]
fn location() {
    let Some(path) = recording("motion/location.csv") else { return };
    let fixes: Vec<_> = CsvFile::open(path)
        .unwrap()
        .map(|record| GeoFix::from_csv(&record.unwrap(), DateTime::UNIX_EPOCH).unwrap())
        .collect();
    assert_eq!(fixes.len(), 35);
    assert!(fixes.is_sorted_by_key(|fix| fix.at));
    assert_eq!(fixes[1].position, Position::Relative { east: -2.65, north: 0.535 });
    assert_eq!(fixes[1].speed, None);
    assert!(fixes.iter().all(|fix| fix.speed.is_none_or(|speed| speed >= 0.0)));
    for fix in &fixes {
        assert_eq!(&GeoFix::from_json(&fix.payload()).unwrap(), fix);
    }
}

#[test]
fn logs() {
    use LogLevel::{Error, Fatal, Info, Warn};
    for (name, read, levels) in [
        (
            "logs/HDFS.log",
            LogRecord::from_hdfs as fn(&str) -> _,
            [(Info, 1_920), (Warn, 80), (Error, 0), (Fatal, 0)],
        ),
        ("logs/Hadoop.log", LogRecord::from_hadoop, [(Info, 1_040), (Warn, 808), (Error, 150), (Fatal, 2)]),
    ] {
        let Some(path) = recording(name) else { return };
        let lines: Vec<_> = TextFile::open(path).unwrap().map(Result::unwrap).collect();
        let records: Vec<_> = lines.iter().map(|line| read(line.text().unwrap()).unwrap()).collect();
        assert_eq!(records.len(), 2_000, "{name}");
        for (level, count) in levels {
            let found = records.iter().filter(|record| record.level == level).count();
            assert_eq!(found, count, "{name}: {level}");
        }
        for (line, record) in lines.iter().zip(&records) {
            assert!(line.text().unwrap().ends_with(&format!("{}: {}", record.component, record.message)));
            assert_eq!(&LogRecord::from_json(&record.payload()).unwrap(), record);
        }
    }
}
