//! Changed GeoIP files, taken over or refused while batches flow.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(dead_code, reason = "the other tests use the rest of the pipeline")]

#[path = "lanes/pipeline.rs"]
mod pipeline;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use gosight_config::EnricherSettings;
use gosight_eventlog::LogRecord;
use gosight_lifecycle::telemetry;
use gosight_schemas::{headers, topics};
use serde_json::{Value, json};
use tempfile::TempDir;

use pipeline::{Pipeline, click, settings, until};

const OLD_BUILD: u32 = 1_767_225_600;
const NEW_BUILD: u32 = 1_798_761_600;

fn fixture(name: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/geoip");
    std::fs::read(directory.join(name)).unwrap()
}

/// The fixture as a later build that knows its first network under another name.
fn newer(city: &[u8; 6]) -> Vec<u8> {
    let mut file = fixture("geolite2-city.mmdb");
    for (from, to) in [
        (&b"Vienna"[..], &city[..]),
        (&OLD_BUILD.to_be_bytes(), &NEW_BUILD.to_be_bytes()),
    ] {
        let places: Vec<usize> = file
            .windows(from.len())
            .enumerate()
            .filter(|(_, here)| *here == from)
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty());
        for at in places {
            file[at..at + from.len()].copy_from_slice(to);
        }
    }
    file
}

fn header(record: &LogRecord, name: &str) -> Option<String> {
    record
        .header(name)
        .map(|value| String::from_utf8(value.to_vec()).unwrap())
}

/// City and build of every event on raw.
async fn made(pipeline: &Pipeline) -> Vec<(String, String)> {
    let made = |record: &LogRecord| {
        let event: Value = serde_json::from_slice(&record.value).unwrap();
        assert_eq!(
            header(record, headers::ENRICHER_VERSION).as_deref(),
            Some(env!("CARGO_PKG_VERSION"))
        );
        (
            event["city"].as_str().unwrap().to_owned(),
            header(record, headers::GEOIP_BUILD).unwrap(),
        )
    };
    pipeline.read(topics::RAW).await.iter().map(made).collect()
}

fn with_file(path: &Path) -> EnricherSettings {
    let mut settings = settings();
    settings.geoip.database_path = path.to_owned();
    settings.geoip.check_interval = Duration::from_millis(10);
    settings
}

/// Stages batches until one comes out under that build.
async fn flows_until(pipeline: &Pipeline, build: u32) {
    until(&format!("events of build {build}"), || async {
        for session in ["a", "b", "c"] {
            pipeline.stage(session, &[click(1), click(2), json!(null)]).await;
        }
        let build = build.to_string();
        made(pipeline)
            .await
            .iter()
            .any(|(_, made)| *made == build)
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_file_is_taken_over_and_a_bad_one_refused_while_batches_flow() {
    let metrics = telemetry::init_metrics().unwrap();
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("city.mmdb");
    let good = fixture("geolite2-city.mmdb");
    std::fs::write(&path, &good).unwrap();
    let settings = with_file(&path);
    let pipeline = Pipeline::new().await;
    let running = pipeline.start(&settings);
    running.ready().await;
    flows_until(&pipeline, OLD_BUILD).await;

    let refused = || {
        let text = metrics.render();
        let line = text
            .lines()
            .find(|line| line.starts_with("enricher_geoip_refused_total{"));
        line.map_or(0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
    };
    let mut corrupt = newer(b"Berlin");
    corrupt[12..120].fill(0xFE);
    let truncated = newer(b"Berlin")[..1_000].to_vec();
    for (number, (what, bytes)) in [
        ("corrupt", corrupt),
        ("truncated", truncated),
        ("no file at all", b"<html>".to_vec()),
    ]
    .into_iter()
    .enumerate()
    {
        // In place: the same file, whose bytes change under whoever holds it.
        std::fs::write(&path, bytes).unwrap();
        until(&format!("the {what} file is refused"), || async {
            pipeline.stage("a", &[click(3)]).await;
            (refused() == number + 1).then_some(())
        })
        .await;
        running.complains_of("the last good file stays").await;
    }
    std::fs::remove_file(&path).unwrap();
    until("the missing file is told", || async { (refused() == 4).then_some(()) }).await;
    pipeline.consumed(&settings).await;
    let before: BTreeSet<_> = made(&pipeline).await.into_iter().collect();
    assert_eq!(before, BTreeSet::from([("Vienna".to_owned(), OLD_BUILD.to_string())]));

    // As package managers do it: beside, then over it.
    let beside = directory.path().join("city.mmdb.new");
    std::fs::write(&beside, newer(b"Berlin")).unwrap();
    std::fs::rename(&beside, &path).unwrap();
    flows_until(&pipeline, NEW_BUILD).await;
    running.ready().await;
    let text = metrics.render();
    for line in [
        format!("enricher_geoip_swaps_total{{file=\"{}\"}} 1", path.display()),
        format!(
            "enricher_geoip_build_timestamp_seconds{{file=\"{}\"}} {NEW_BUILD}",
            path.display()
        ),
    ] {
        assert!(text.contains(&line), "{line}: {text}");
    }
    assert!(text.contains("enricher_geoip_age_seconds"), "{text}");
    pipeline.consumed(&settings).await;
    running.stop().await;

    let pairs: BTreeSet<_> = made(&pipeline).await.into_iter().collect();
    let expected = [("Vienna", OLD_BUILD), ("Berlin", NEW_BUILD)];
    assert_eq!(
        pairs,
        expected
            .map(|(city, build)| (city.to_owned(), build.to_string()))
            .into()
    );
    for reject in pipeline.read(topics::ERRORS).await {
        let value: Value = serde_json::from_slice(&reject.value).unwrap();
        assert_eq!(
            header(&reject, headers::GEOIP_BUILD),
            Some(value["geoip_build"].to_string())
        );
        assert_eq!(
            header(&reject, headers::ENRICHER_VERSION),
            value["enricher_version"].as_str().map(str::to_owned)
        );
    }
}
