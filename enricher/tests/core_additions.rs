//! What configuration adds to events: referrer, campaign, language, more of the place, the network; and fields that nobody knows.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod core_support;

use std::path::Path;

use core_support::{RECEIVED_AT, assets, batch, event, json_batch, with_payload};
use gosight_config::EnricherSettings;
use gosight_config::enricher::Addition;
use gosight_enricher::core::{Assets, Geo, GeoReader};
use gosight_proto::{Event, EventBatch, EventType, SessionMeta};
use gosight_schemas::{BodyFormat, RawBatch};
use prost::Message;
use serde_json::{Value, json};

fn adding(additions: &[Addition], files: &[&str]) -> Assets {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/geoip");
    let readers = files.iter().map(|name| GeoReader::open(&directory.join(name)).unwrap());
    let mut settings = EnricherSettings::default();
    settings.enrichment.add = additions.to_vec();
    Assets::new(&settings, Geo::new(readers.collect()))
}

fn page_view(fields: &Value) -> RawBatch {
    let mut sent = json!({ "type": "page_view", "timestamp": RECEIVED_AT });
    sent.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    json_batch(&[sent.to_string()])
}

#[test]
fn a_page_tells_where_its_visitor_came_from() {
    let page = json!({ "page": {
        "url": "https://shop.example/?utm_source=news&utm_campaign=spring+sale&gclid=Cj0",
        "referrer": "https://www.google.com/"
    } });
    let found = event(&page_view(&page), &assets());
    assert_eq!(found["referrer"], json!({ "medium": "search", "source": "Google" }));
    let campaign = json!({ "source": "news", "name": "spring sale", "click_ids": { "gclid": "Cj0" } });
    assert_eq!(found["campaign"], campaign);
    assert_eq!(found["page"], page["page"], "which stays as it came");

    let none = event(&page_view(&page), &adding(&[], &[]));
    let plain = event(
        &page_view(&json!({ "page": { "url": "https://shop.example/?q=1" } })),
        &assets(),
    );
    for name in ["referrer", "campaign"] {
        assert_eq!((none.get(name), plain.get(name)), (None, None), "{name}");
    }
}

#[test]
fn the_events_language_goes_before_the_batchs_and_that_before_the_browsers() {
    let of = |own: Value, batch_language: Option<&str>, accepted: Option<&str>, assets: &Assets| {
        let mut batch = page_view(&json!({ "language": own }));
        if let Some(language) = batch_language {
            let body = String::from_utf8(batch.body.to_vec()).unwrap();
            batch.body = body.replacen('{', &format!(r#"{{"language":"{language}","#), 1).into();
        }
        batch.accept_language = accepted.map(str::to_owned);
        event(&batch, assets).get("language").cloned().unwrap_or_default()
    };
    let header = Some("en;q=0.8,fr-CA");
    assert_eq!(of(json!("it"), Some("de-AT"), header, &assets()), "it");
    assert_eq!(of(json!(null), Some("de-AT"), header, &assets()), "de-AT");
    assert_eq!(of(json!({ "no": "tag" }), None, header, &assets()), "fr-CA");
    assert_eq!(of(json!("not a tag"), None, None, &assets()), Value::Null);
    let without = adding(&[], &[]);
    assert_eq!(of(json!("it"), Some("de-AT"), header, &without), "de-AT");
    assert_eq!(of(json!("it"), None, header, &without), Value::Null);
}

#[test]
fn more_of_the_place_is_added_as_far_as_it_is_asked_for_in_both_layouts() {
    use Addition::{Continent, Coordinates, Region, TimeZone};
    let all = [Region, Continent, Coordinates, TimeZone];
    let sent = json_batch(&[with_payload("page_view", &json!({}))]);
    let whole = json!({
        "region": "Vienna Region", "continent": "EU", "latitude": 48.2, "longitude": 16.4, "time_zone": "Europe/Vienna"
    });
    let nested = ["geolite2-city.mmdb"];
    let found = event(&sent, &adding(&all, &nested));
    assert_eq!((&found["geo"], &found["city"]), (&whole, &json!("Vienna")));
    for (addition, fields) in [
        (Region, &["region"][..]),
        (Continent, &["continent"]),
        (Coordinates, &["latitude", "longitude"]),
        (TimeZone, &["time_zone"]),
    ] {
        let found = event(&sent, &adding(&[addition], &nested));
        let expected: Value = fields
            .iter()
            .map(|name| ((*name).to_owned(), whole[*name].clone()))
            .collect();
        assert_eq!(found["geo"], expected);
    }
    // The flat files name no continent.
    let mut flat = whole.clone();
    flat.as_object_mut().unwrap().remove("continent");
    assert_eq!(event(&sent, &adding(&all, &["dbip-city.mmdb"]))["geo"], flat);
    assert_eq!(event(&sent, &adding(&[], &nested)).get("geo"), None);
    let mut nowhere = sent;
    nowhere.client_ip = Some("127.0.0.1".to_owned());
    assert_eq!(event(&nowhere, &adding(&all, &nested)).get("geo"), None);
}

#[test]
fn the_network_is_added_where_a_file_knows_it_in_whatever_order_the_files_stand() {
    let sent = json_batch(&[with_payload("page_view", &json!({}))]);
    for files in [
        ["geolite2-asn.mmdb", "geolite2-city.mmdb"],
        ["dbip-city.mmdb", "geolite2-asn.mmdb"],
    ] {
        let found = event(&sent, &adding(&[], &files));
        assert_eq!(
            found["geo"],
            json!({ "asn": 64496, "organization": "Example AT" }),
            "{files:?}"
        );
        assert_eq!(
            (&found["country"], &found["city"]),
            (&json!("AT"), &json!("Vienna")),
            "{files:?}"
        );
    }
}

#[test]
fn coordinates_may_have_fractions_and_leave_as_they_came() {
    for payload in [
        r#"{"x":120.5,"y":-0.25,"mouse_x":1e2,"positions":[{"x":1.125,"y":2,"t":0}]}"#,
        r#"{"x":1,"y":9007199254740993}"#,
    ] {
        let sent = format!(r#"{{"type":"click","timestamp":{RECEIVED_AT},"payload":{payload}}}"#);
        let batch = json_batch(&[sent]);
        event(&batch, &assets());
        let processed = core_support::run(&batch, &assets());
        let text = String::from_utf8(core_support::bytes(&processed.outcomes[0]).to_vec()).unwrap();
        assert!(text.contains(payload), "{text}");
    }
}

#[test]
fn protobuf_fields_of_a_newer_version_are_kept_as_their_bytes() {
    // Field 90, the number 1.
    const UNKNOWN: [u8; 3] = [0xd0, 0x05, 0x01];
    let known = Event {
        r#type: EventType::PageView.into(),
        timestamp: RECEIVED_AT,
        ..Event::default()
    };
    let mut newer = known.encode_to_vec();
    newer.extend(UNKNOWN);
    let mut body = EventBatch {
        session: Some(SessionMeta::default()),
        ..EventBatch::default()
    }
    .encode_to_vec();
    body.extend([3 << 3 | 2, u8::try_from(newer.len()).unwrap()]);
    body.extend(newer);
    let found = event(&batch(BodyFormat::Protobuf, body.clone(), 1), &assets());
    assert_eq!(found["properties"], json!({ "protobuf_fields": { "": "0AUB" } }));
    assert_eq!(found.get("batch_properties"), None);
    body.extend(UNKNOWN);
    let found = event(&batch(BodyFormat::Protobuf, body, 1), &assets());
    assert_eq!(found["batch_properties"], json!({ "protobuf_fields": { "": "0AUB" } }));
}
