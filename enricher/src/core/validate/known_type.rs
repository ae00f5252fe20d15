//! The type is one of the catalogue, or the configuration lets others pass.

use gosight_config::enricher::UnknownTypes;
use gosight_schemas::RejectCode;

use super::Bounds;
use crate::core::event::{Event, TypeName};
use crate::core::json;
use crate::core::problems::Problems;

pub(super) fn check(event: &Event<'_>, bounds: Bounds<'_>, problems: &mut Problems) {
    let TypeName::Unknown(name) = &event.event_type else {
        return;
    };
    if name.len() > bounds.rules.max_id {
        problems.too_long("/type", name.len(), bounds.rules.max_id);
    } else if bounds.rules.unknown_types == UnknownTypes::Reject {
        let message = format!(
            "the type {} is not in the catalogue; send one of its names, or \"custom\" with a name of your own in the payload",
            json::quoted(name)
        );
        problems.add(RejectCode::UnknownType, "/type", message);
    }
}
