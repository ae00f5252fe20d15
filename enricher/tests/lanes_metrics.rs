//! What `/metrics` counts. Alone in its process, whose counters are everyone's.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(dead_code, reason = "the other tests use the rest of the pipeline")]

#[path = "lanes/pipeline.rs"]
mod pipeline;

use gosight_lifecycle::telemetry;
use serde_json::{Value, json};

use pipeline::{Pipeline, click, settings, until};

#[tokio::test(flavor = "multi_thread")]
async fn each_outcome_is_counted_once_it_is_committed() {
    let metrics = telemetry::init_metrics().unwrap();
    let pipeline = Pipeline::new().await;
    let settings = settings();
    let (first, second) = (click(1), click(2));
    pipeline.stage("s", &[first.clone(), second.clone(), Value::Null]).await;
    pipeline.stage("s", &[first, second, click(3)]).await;
    let mut typed = click(4);
    typed["type"] = json!("input_change");
    typed["payload"] = json!({"input_type": "password", "value": "secret", "number": 4});
    pipeline.stage("s", &[typed]).await;
    let running = pipeline.start(&settings);
    pipeline.consumed(&settings).await;
    let expected = [
        "enricher_events_total{type=\"click\"} 3",
        "enricher_rejects_total{code=\"not_an_object\"} 1",
        "enricher_duplicates_total 2",
        "enricher_batches_total 3",
        "enricher_events_total{type=\"input_change\"} 1",
        "enricher_masked_inputs_total 1",
        "enricher_timestamps_changed_total{how=\"corrected\"} 0",
        "enricher_transactions_total{outcome=\"committed\"} 1",
        "enricher_received_to_raw_seconds_count 2",
    ];
    until("everything is counted", || async {
        let text = metrics.render();
        expected
            .iter()
            .all(|line| text.lines().any(|have| have == *line))
            .then_some(())
    })
    .await;
    running.stop().await;
}
