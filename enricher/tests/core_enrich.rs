//! What is added to events, and what their batch says for them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod core_support;

use core_support::{RECEIVED_AT, assets, event, json_batch, run, value, with_payload};
use gosight_config::EnricherSettings;
use gosight_config::enricher::IpPrivacy;
use gosight_config::kafka::Secret;
use gosight_enricher::core::Assets;
use gosight_schemas::RawBatch;
use serde_json::{Value, json};

/// A batch of one page view with more fields of the batch.
fn page_view_with(batch_fields: &str) -> RawBatch {
    let mut batch = json_batch(&[with_payload("page_view", &json!({}))]);
    let body = String::from_utf8(batch.body.to_vec()).unwrap();
    batch.body = body.replacen('{', &format!("{{{batch_fields},"), 1).into();
    batch
}

#[test]
fn names_and_types_are_downstreams() {
    let mut batch = page_view_with(r#""device":{"device_type":"desktop"}"#);
    batch.user_id = Some("user-1".to_owned());
    let event = event(&batch, &assets());
    let texts = [
        "event_id",
        "type",
        "project_id",
        "session_id",
        "user_id",
        "browser",
        "browser_version",
    ];
    let more = ["os", "os_version", "device_type", "country", "city", "client_ip"];
    for name in texts.into_iter().chain(more) {
        assert!(event[name].is_string(), "{name}: {event}");
    }
    assert_eq!(event["server_timestamp"], RECEIVED_AT);
    assert_eq!(event["timestamp"], RECEIVED_AT);
    assert!(event["payload"].is_object());
}

#[test]
fn the_device_counts_where_the_header_is_a_librarys_or_absent() {
    let device = r#""device":{"browser":"Brave","browser_version":"1.73","os":"iOS","os_version":"18.1","device_type":"Smartphone"}"#;
    for header in [
        None,
        Some("grpc-swift-nio/1.24"),
        Some("okhttp/4.12.0"),
        Some("Go-http-client/2.0"),
    ] {
        let mut batch = page_view_with(device);
        batch.user_agent = header.map(str::to_owned);
        let event = event(&batch, &assets());
        let found = ["browser", "browser_version", "os", "os_version", "device_type"].map(|name| event[name].clone());
        assert_eq!(
            found,
            ["Brave", "1.73", "iOS", "18.1", "mobile"].map(Value::from),
            "{header:?}"
        );
        assert_eq!(event.get("batch_properties"), None, "all of it was understood");
    }
}

#[test]
fn the_devices_sizes_fill_the_pages_gaps() {
    let device = r#""device":{"screen_width":1920,"screen_height":1080,"viewport_width":1280,"viewport_height":0}"#;
    let mut batch = page_view_with(device);
    let expected = json!({ "screen_width": 1920, "screen_height": 1080, "viewport_width": 1280 });
    assert_eq!(event(&batch, &assets())["page"], expected);
    let body = String::from_utf8(batch.body.to_vec()).unwrap();
    batch.body = body.replacen("\"type\"", r#""viewport_width":7,"type""#, 1).into();
    assert_eq!(event(&batch, &assets())["page"]["viewport_width"], 7);
}

#[test]
fn nothing_that_a_batch_says_is_lost_or_rejects_its_events() {
    for (field, expected) in [
        (r#""sdk":{"v":1}"#, json!({ "sdk": { "v": 1 } })),
        (r#""device":"phone""#, json!({ "device": "phone" })),
        (r#""device":{"os":1}"#, json!({ "device": { "os": 1 } })),
        (
            r#""device":{"device_type":"fridge"}"#,
            json!({ "device": { "device_type": "fridge" } }),
        ),
        (r#""device":{"x":1}"#, json!({ "device": { "x": 1 } })),
        (r#""timezone":3"#, json!({ "timezone": 3 })),
        (r#""sdk":{"v":1e999}"#, json!({ "sdk": r#"{"v":1e999}"# })),
        (r#""note":"\ud800""#, json!({ "note": r#""\ud800""# })),
        (r#""device":{"os":"\ud800"}"#, json!({ "device": r#"{"os":"\ud800"}"# })),
        (r#""device":null,"timezone":null,"language":"""#, Value::Null),
    ] {
        let event = event(&page_view_with(field), &assets());
        assert_eq!(event["batch_properties"], expected, "{field}");
    }
    let deep = format!(r#""deep":{}{}"#, "[".repeat(10_000), "]".repeat(10_000));
    let large = format!(r#""a":1,"large":"{}""#, "x".repeat(100_000));
    let left_out = event(&page_view_with(&deep), &assets());
    assert_eq!(left_out["batch_properties"]["left_out"]["fields"], 1);
    let event = event(&page_view_with(&large), &assets());
    assert_eq!(
        event["batch_properties"],
        json!({ "a": 1, "left_out": { "fields": 1, "bytes": 100_007 } })
    );
}

#[test]
fn fields_that_the_contract_does_not_know_are_kept_as_they_came() {
    let sent = format!(
        r#"{{"type":"page_view","event_type":"x","timestamp":{RECEIVED_AT},"session_id":"other","big":9007199254740993,
            "page":{{"url":"https://a.b/","hash":"%23"}},"url":"https://c.d/","path":"/p"}}"#
    );
    let event = event(&json_batch(&[sent]), &assets());
    assert_eq!(
        event["page"],
        json!({ "url": "https://a.b/", "path": "/p", "hash": "%23" })
    );
    let expected = json!({
        "event_type": "x", "session_id": "other", "big": 9_007_199_254_740_993_u64, "url": "https://c.d/"
    });
    assert_eq!(event["properties"], expected);
    assert_eq!(event["session_id"], "sess-1", "the batch's, which orders it");
}

#[test]
fn an_address_leaves_as_the_project_wants_it_on_raw_and_on_errors() {
    let mut remove = EnricherSettings::default();
    remove.privacy.anonymized_ip = IpPrivacy::Remove;
    let remove = Assets::new(&remove, None);
    for (staged, truncated) in [
        (Some("203.0.113.77"), Some("203.0.113.0")),
        (Some("2001:db8:1:2:3:4:5:6"), Some("2001:db8:1::")),
        (Some("::ffff:203.0.113.77"), Some("203.0.113.0")),
        (Some("unix:"), None),
        (None, None),
    ] {
        let mut batch = json_batch(&[&with_payload("page_view", &json!({})), "{}"]);
        batch.client_ip = staged.map(str::to_owned);
        let addresses = |batch: &RawBatch, assets: &Assets| {
            let outcomes = run(batch, assets).outcomes;
            let raw = value(&outcomes[0])["client_ip"].as_str().map(str::to_owned);
            let errors = value(&outcomes[1])["context"]["client_ip"].as_str().map(str::to_owned);
            assert_eq!(raw, errors);
            raw
        };
        assert_eq!(addresses(&batch, &assets()).as_deref(), staged);
        batch.privacy.anonymize_ip = true;
        assert_eq!(addresses(&batch, &assets()).as_deref(), truncated);
        assert_eq!(addresses(&batch, &remove), None);
    }
}

#[test]
fn the_installations_default_and_the_projects_wish_give_the_more_private_of_both() {
    use IpPrivacy::{Hash, None, Remove, Truncate};
    let full = "203.0.113.77";
    for (default, least, without, with) in [
        (None, Truncate, Some(full), Some("203.0.113.0")),
        (None, Remove, Some(full), Option::None),
        (Truncate, Truncate, Some("203.0.113.0"), Some("203.0.113.0")),
        (Truncate, Remove, Some("203.0.113.0"), Option::None),
        (Hash, Truncate, Some("#"), Some("#")),
        (Truncate, Hash, Some("203.0.113.0"), Some("#")),
        (Remove, Truncate, Option::None, Option::None),
    ] {
        let mut settings = EnricherSettings::default();
        settings.privacy.ip = default;
        settings.privacy.anonymized_ip = least;
        settings.privacy.hash_key = Secret::new("0123456789abcdef");
        let assets = Assets::new(&settings, Option::None);
        for (anonymize_ip, expected) in [(false, without), (true, with)] {
            let mut batch = json_batch(&[&with_payload("page_view", &json!({})), "{}"]);
            batch.privacy.anonymize_ip = anonymize_ip;
            let outcomes = run(&batch, &assets).outcomes;
            for address in [
                &value(&outcomes[0])["client_ip"],
                &value(&outcomes[1])["context"]["client_ip"],
            ] {
                let address = address.as_str();
                match expected {
                    Some("#") => assert!(is_hash(address.unwrap()), "{address:?}"),
                    expected => assert_eq!(address, expected, "{default:?} {least:?}"),
                }
            }
        }
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[test]
fn a_hashed_address_tells_clients_apart_within_a_project_and_with_one_key_only() {
    let hash = |key: &str, project: &str, address: &str| {
        let mut settings = EnricherSettings::default();
        settings.privacy.ip = IpPrivacy::Hash;
        settings.privacy.hash_key = Secret::new(key);
        let mut batch = json_batch(&[&with_payload("page_view", &json!({}))]);
        batch.project_id = project.to_owned();
        batch.client_ip = Some(address.to_owned());
        event(&batch, &Assets::new(&settings, None))["client_ip"]
            .as_str()
            .map(str::to_owned)
    };
    let key = "0123456789abcdef";
    let one = hash(key, "p", "203.0.113.77");
    assert_eq!(one, hash(key, "p", "::ffff:203.0.113.77"), "the same address");
    assert_ne!(one, hash(key, "p", "203.0.113.78"));
    assert_ne!(one, hash(key, "q", "203.0.113.77"));
    assert_ne!(one, hash("fedcba9876543210", "p", "203.0.113.77"));
    assert_eq!(hash(key, "p", "unix:"), None);
}
