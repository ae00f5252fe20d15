//! The body `{project_key, session_id, user_id?, events, sent_at?, device?, timezone?, language?, …}`.

use std::borrow::Cow;

use gosight_schemas::RawJson;
use serde_json::value::{RawValue, to_raw_value};

use super::batch_properties::{BatchProperties, MAX_TEXT};
use super::{Body, json_device};
use crate::core::event::{BatchFacts, Device, Encoded};
use crate::core::json::{self, Around, Kind, Raw};

/// Of a device of more bytes, only what we understand of it stands in rejects.
const MAX_DEVICE: usize = 4096;

pub(super) fn read(body: &[u8]) -> Result<Body<'_>, String> {
    let text = std::str::from_utf8(body).map_err(|error| format!("the JSON body is no UTF-8: {error}"))?;
    let Around { fields, elements } = json::fields_around(text, "events").map_err(|_| unsound(text))?;
    let events = elements.ok_or("the JSON body has no field events")?;
    let mut facts = BatchFacts::default();
    let mut unknown = BatchProperties::default();
    for field in fields {
        match &*field.name {
            // The edge has read these, and they stand in the staged record.
            "project_key" | "session_id" | "user_id" | "sent_at" => {}
            "device" => {
                let understood = json_device::read(field.value, &mut facts.device);
                let is_object = json::kind(field.value) == Kind::Object;
                facts.device_json = is_object.then(|| kept_device(field.value, &facts.device)).flatten();
                if !understood {
                    unknown.keep(field.name, json::readable(field.value));
                }
            }
            "timezone" => read_text(&mut facts.timezone, field, &mut unknown),
            "language" => read_text(&mut facts.language, field, &mut unknown),
            _ => unknown.keep(field.name, json::readable(field.value)),
        }
    }
    facts.properties = unknown.into_properties();
    Ok(Body {
        events: events.into_iter().map(Encoded::Json).collect(),
        facts,
    })
}

/// A device as rejects carry it: as it came where it is small and every reader takes it, else what of it was understood, which is what
/// enriching needs.
fn kept_device<'a>(came: Raw<'a>, device: &Device<'a>) -> Option<RawJson<'a>> {
    if came.get().len() <= MAX_DEVICE && json::readable(came).get() == came.get() {
        return Some(came.into());
    }
    let understood = to_raw_value(device).ok()?;
    Some(RawJson::owned(understood.get().to_owned()))
}

fn read_text<'a>(slot: &mut Option<Cow<'a, str>>, field: json::Field<'a>, unknown: &mut BatchProperties<'a>) {
    match text_of(field.value) {
        Some(text) => *slot = Some(text).filter(|text| !text.is_empty()),
        None if json::kind(field.value) == Kind::Null => {}
        None => unknown.keep(field.name, json::readable(field.value)),
    }
}

/// Why a body could not be read, in words.
fn unsound(body: &str) -> String {
    let reason = match serde_json::from_str::<&RawValue>(body) {
        Err(error) => error.to_string(),
        Ok(_) => "it must be an object whose events are an array".to_owned(),
    };
    format!("the JSON body could not be read: {reason}")
}

fn text_of(value: Raw<'_>) -> Option<Cow<'_, str>> {
    json::text(value).filter(|text| text.len() <= MAX_TEXT)
}
