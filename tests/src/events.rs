//! Batches as SDKs send them.

use serde_json::{Value, json};

/// Now, Unix ms.
pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292,000,000")
}

/// The quick-start's event.
pub fn page_view() -> Value {
    json!({
        "type": "page_view",
        "timestamp": now_ms(),
        "page": { "url": "https://shop.example/", "path": "/", "title": "Home" }
    })
}

/// A batch around events.
pub fn batch(key: &str, session: &str, events: &[Value]) -> Value {
    json!({ "project_key": key, "session_id": session, "events": events })
}

/// A replay chunk around rrweb events.
pub fn chunk(key: &str, session: &str, events: &[Value]) -> Value {
    json!({
        "project_key": key, "session_id": session, "chunk_index": 0, "timestamp_start": 1, "timestamp_end": 2,
        "has_full_snapshot": true, "events": events
    })
}

/// About 350 bytes, as in the field, with a number that tells its place in the session.
pub fn numbered_click(number: u64) -> Value {
    json!({
        "event_id": uuid::Uuid::now_v7().to_string(),
        "type": "click",
        "timestamp": now_ms(),
        "page": { "url": "https://shop.example/products/42?ref=mail", "path": "/products/42", "title": "A good product" },
        "payload": {
            "x": 120, "y": 430, "number": number,
            "target_selector": "main > div.product > button.buy", "target_tag": "button", "target_classes": ["buy", "primary"]
        }
    })
}
