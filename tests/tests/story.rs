//! `gosight where` on both engines: one event's whole story, by its id, its receipt or the position of what it became.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use gosight_tests::events::{batch, now_ms, numbered_click, page_view};
use gosight_tests::site::{Answer, Site};
use serde_json::{Value, json};
use uuid::Uuid;

async fn ask(site: &Site, asked: &str, more: &[&str]) -> Answer {
    let config = site.enricher_config();
    let mut arguments = vec!["where", asked];
    arguments.extend_from_slice(more);
    arguments.extend(config.iter().map(String::as_str));
    site.gosight(&arguments).await
}

async fn story_of(site: &Site, asked: &str) -> Value {
    let answer = ask(site, asked, &["--format", "json"]).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    answer.json()
}

async fn one_event_s_story(site: Site) {
    let click = numbered_click(0);
    let mut named = page_view();
    named["event_id"] = json!("order-4711");
    let bad_id = Uuid::new_v4().to_string();
    let bad = json!({ "event_id": bad_id, "type": "no_such_type", "timestamp": now_ms() });
    let body = batch(&site.key, "session", &[click.clone(), named, bad]);
    let receipt = site.send(&body).await;
    site.send(&body).await;
    site.consumed().await;
    let staged = receipt.split(';').next().unwrap();

    let story = story_of(&site, click["event_id"].as_str().unwrap()).await;
    let batches = story["batches"].as_array().unwrap();
    assert_eq!(batches.len(), 2, "it came twice: {story}");
    let (first, second) = (&batches[0], &batches[1]);
    assert_eq!(
        (&first["staged"], &first["received"]["session_id"]),
        (&json!(staged), &json!("session"))
    );
    assert!(!first["received"]["key_id"].as_str().unwrap().is_empty());
    let published = &first["events"][0]["outcome"];
    assert_eq!(published["is"], "published", "{story}");
    let received_at = first["received"]["at"].as_i64().unwrap();
    assert!(received_at <= first["staged_at"].as_i64().unwrap() && received_at <= published["at"].as_i64().unwrap());
    let outcome = &second["events"][0]["outcome"];
    assert_eq!(outcome, &json!({ "is": "duplicate", "of": format!("{staged}:0") }));

    for (asked, indexes) in [
        (receipt.as_str(), vec![0, 1, 2]),
        (published["record"].as_str().unwrap(), vec![0]),
    ] {
        let story = story_of(&site, asked).await;
        let batches = story["batches"].as_array().unwrap();
        assert_eq!(
            (batches.len(), &batches[0]["staged"]),
            (1, &json!(staged)),
            "{asked}: {story}"
        );
        let events = batches[0]["events"].as_array().unwrap();
        let told: Vec<u64> = events.iter().map(|event| event["index"].as_u64().unwrap()).collect();
        assert_eq!(told, indexes, "{asked}: {story}");
        assert_eq!(&events[0]["outcome"], published, "{asked}");
        if let Some(rejected) = events.get(2) {
            let outcome = &rejected["outcome"];
            assert_eq!(
                (&outcome["is"], &outcome["code"]),
                (&json!("rejected"), &json!("unknown_type"))
            );
        }
    }
    let story = story_of(&site, "order-4711").await;
    assert_eq!(story["batches"][0]["events"][0]["original_id"], "order-4711", "{story}");
    assert_eq!(
        story["batches"][0]["events"][0]["outcome"]["is"], "published",
        "{story}"
    );
    let story = story_of(&site, &bad_id).await;
    assert_eq!(story["batches"][0]["events"][0]["outcome"]["is"], "rejected", "{story}");

    let told = ask(&site, &receipt, &[]).await;
    for text in ["received ", "published ", "unknown_type at \"/type\"", "searched "] {
        assert!(told.stdout.contains(text), "{text} in {told:?}");
    }
    let nobody = Uuid::now_v7().to_string();
    let answer = ask(&site, &nobody, &[]).await;
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(
        answer.stdout.contains("searched ") && answer.stderr.contains(&nobody),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_events_story_is_told_on_the_embedded_log() {
    one_event_s_story(Site::embedded(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_events_story_is_told_on_kafka() {
    one_event_s_story(Site::kafka("").await).await;
}
