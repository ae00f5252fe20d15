//! Staged batches that no edge has sent: for tests that need to say what stands on staging.

use std::collections::BTreeMap;

use gosight_eventlog::NewRecord;
use gosight_schemas::{BodyFormat, PrivacyRules, RawBatch, Transport, encode_raw_batch, topics};
use serde_json::Value;

use crate::events::{batch, now_ms};
use crate::site::Site;

/// An address that the GeoIP fixtures know: Vienna.
pub const KNOWN_ADDRESS: &str = "203.0.113.77";

/// A batch of a site's project, from an address that the GeoIP fixtures know.
pub fn record(site: &Site, session: &str, events: &[Value]) -> NewRecord {
    let staged = RawBatch {
        batch_id: uuid::Uuid::now_v7().to_string(),
        received_at: now_ms(),
        project_id: site.project.clone(),
        key_id: "key".to_owned(),
        session_id: session.to_owned(),
        user_id: None,
        transport: Transport::Http,
        body_format: BodyFormat::Json,
        body: batch("k", session, events).to_string().into(),
        event_count: i32::try_from(events.len()).expect("few events"),
        sent_at: None,
        client_ip: Some(KNOWN_ADDRESS.to_owned()),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0".to_owned()),
        client_hints: BTreeMap::new(),
        accept_language: None,
        origin: None,
        referer: None,
        privacy: PrivacyRules::default(),
        traceparent: None,
    };
    NewRecord {
        topic: site.staging.as_str().into(),
        key: topics::session_key(&site.project, session).into(),
        value: encode_raw_batch(&staged).expect("it has a form").into(),
        headers: Vec::new(),
    }
}
