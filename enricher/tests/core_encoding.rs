//! Events are written by hand, and exactly as serde_json would write them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;

use gosight_schemas::{BatchFields, EnrichedEvent, Page, Properties, RawJson, WrittenBatchFields};
use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

type Unknown = BTreeMap<String, Box<RawValue>>;

/// The event's form in serde's words, beside which ours is held. Objects of additions are serde's in both.
#[derive(Debug, Serialize)]
struct Model {
    event_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_event_id: Option<String>,
    r#type: String,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_timestamp: Option<i64>,
    project_id: String,
    session_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<ModelPage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    server_timestamp: i64,
    browser: String,
    browser_version: String,
    os: String,
    os_version: String,
    device_type: String,
    country: String,
    city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    properties: Unknown,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    batch_properties: Unknown,
}

#[derive(Debug, Serialize)]
struct ModelPage {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referrer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    viewport_width: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    viewport_height: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    screen_width: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    screen_height: Option<i64>,
    #[serde(flatten)]
    other: Unknown,
}

/// Any characters, also those that need an escape and those that only seem to.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\x00-\\x20\"\\\\/\\x7f\\u{2028}é😀a-c]{0,20}",
        "[ -~]{0,40}"
    ]
}

fn unknown() -> impl Strategy<Value = Unknown> {
    let value = text().prop_map(|text| serde_json::value::to_raw_value(&[text]).unwrap());
    btree_map(text(), value, 0..3)
}

fn page() -> impl Strategy<Value = ModelPage> {
    let texts = [(); 4].map(|()| option::of(text()));
    let sizes = [(); 4].map(|()| option::of(any::<i64>()));
    (texts, sizes, unknown()).prop_map(|(texts, sizes, other)| {
        let [url, path, title, referrer] = texts;
        let [viewport_width, viewport_height, screen_width, screen_height] = sizes;
        ModelPage {
            url,
            path,
            title,
            referrer,
            viewport_width,
            viewport_height,
            screen_width,
            screen_height,
            other,
        }
    })
}

fn model() -> impl Strategy<Value = Model> {
    let id = any::<u128>().prop_map(Uuid::from_u128);
    let times = (any::<i64>(), option::of(any::<i64>()), any::<i64>());
    let texts = [(); 10].map(|()| text());
    let optional = [(); 5].map(|()| option::of(text()));
    let payload = option::of(text().prop_map(|text| serde_json::value::to_raw_value(&[text]).unwrap()));
    (
        id,
        times,
        texts,
        optional,
        option::of(page()),
        payload,
        unknown(),
        unknown(),
    )
        .prop_map(
            |(event_id, times, texts, optional, page, payload, properties, batch_properties)| {
                let (timestamp, original_timestamp, server_timestamp) = times;
                let [
                    r#type,
                    project_id,
                    session_id,
                    browser,
                    browser_version,
                    os,
                    os_version,
                    device_type,
                    country,
                    city,
                ] = texts;
                let [original_event_id, user_id, client_ip, timezone, language] = optional;
                Model {
                    event_id,
                    original_event_id,
                    r#type,
                    timestamp,
                    original_timestamp,
                    project_id,
                    session_id,
                    user_id,
                    page,
                    payload,
                    server_timestamp,
                    browser,
                    browser_version,
                    os,
                    os_version,
                    device_type,
                    country,
                    city,
                    client_ip,
                    timezone,
                    language,
                    properties,
                    batch_properties,
                }
            },
        )
}

fn raw(unknown: &Unknown) -> Properties<'_> {
    let mut raw = Properties::new();
    for (name, value) in unknown {
        raw.insert(name.as_str().into(), RawJson::borrowed(value.get()));
    }
    raw
}

fn batch(model: &Model) -> WrittenBatchFields {
    let fields = BatchFields {
        project_id: &model.project_id,
        session_id: &model.session_id,
        server_timestamp: model.server_timestamp,
        browser: model.browser.as_str().into(),
        browser_version: model.browser_version.as_str().into(),
        os: model.os.as_str().into(),
        os_version: model.os_version.as_str().into(),
        device_type: model.device_type.as_str().into(),
        country: model.country.as_str().into(),
        city: model.city.as_str().into(),
        client_ip: model.client_ip.as_deref().map(Into::into),
        timezone: model.timezone.as_deref().map(Into::into),
        geo: None,
        properties: raw(&model.batch_properties),
    };
    fields.write()
}

fn ours<'a>(model: &'a Model, batch: &'a WrittenBatchFields) -> EnrichedEvent<'a> {
    let some = |text: &Option<String>| text.clone().map(Into::into);
    EnrichedEvent {
        event_id: model.event_id,
        original_event_id: some(&model.original_event_id),
        event_type: model.r#type.as_str().into(),
        timestamp: model.timestamp,
        original_timestamp: model.original_timestamp,
        user_id: some(&model.user_id),
        page: model.page.as_ref().map(|page| Page {
            url: some(&page.url),
            path: some(&page.path),
            title: some(&page.title),
            referrer: some(&page.referrer),
            viewport_width: page.viewport_width,
            viewport_height: page.viewport_height,
            screen_width: page.screen_width,
            screen_height: page.screen_height,
            other: raw(&page.other),
        }),
        payload: model.payload.as_ref().map(|payload| RawJson::borrowed(payload.get())),
        language: some(&model.language),
        referrer: None,
        campaign: None,
        properties: raw(&model.properties),
        batch,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_event_is_written_as_serde_json_writes_it(model in model()) {
        // Behind something else, as in a buffer that is used again.
        let mut written = b"before".to_vec();
        ours(&model, &batch(&model)).write(&mut written);
        let expected = format!("before{}", serde_json::to_string(&model).unwrap());
        prop_assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}
