//! Custom events: a name, and properties that are an object of so many names and texts of such length.

use super::Payload;
use crate::core::json::{self, Kind};
use crate::core::problems::Problems;
use crate::core::validate::Bounds;

/// Where they stand.
const PROPERTIES: &str = "/payload/properties";

pub(in crate::core) fn check(payload: &Payload<'_>, bounds: Bounds<'_>, problems: &mut Problems) {
    let name = payload.required_text("name", "a custom event needs a name in its payload", problems);
    let length = name.map_or(0, |name| name.len());
    if length > bounds.rules.max_id {
        problems.too_long("/payload/name", length, bounds.rules.max_id);
    }
    payload.kinds(&["properties"], Kind::Object, problems);
    let properties = payload.get("properties").and_then(json::fields);
    let properties = properties.unwrap_or_default();
    let (count, limit) = (properties.len(), bounds.rules.max_properties);
    if count > limit {
        problems.out_of_range(PROPERTIES, &format!("at most {limit} properties"), &count.to_string());
        return;
    }
    for property in &properties {
        let at = || format!("{PROPERTIES}/{}", json::escaped(&property.name));
        if property.name.len() > bounds.rules.max_id {
            problems.too_long(at(), property.name.len(), bounds.rules.max_id);
        }
        let length = json::text(property.value).map_or(0, |text| text.len());
        if length > bounds.rules.max_text {
            problems.too_long(at(), length, bounds.rules.max_text);
        }
    }
}
