//! The event types that downstream knows by name (wire contract §2), each with the rule of its payload. docs/events.md describes
//! them; a test below holds it against this table.

use super::validate::payload::{self, PayloadRule};

/// One type of the catalogue.
pub(super) struct EventType {
    /// Its name, lower case.
    pub(super) name: &'static str,
    /// What its payload must look like beyond being an object.
    pub(super) rule: Option<PayloadRule>,
}

/// How events of the type `custom` are called on the raw topic: downstream accepts no other spelling.
const CUSTOM_OUT: &str = "EVENT_TYPE_CUSTOM";
/// The protobuf names are the catalogue's in upper case, after this.
const PREFIX: &str = "EVENT_TYPE_";

impl EventType {
    /// Whether it tells of what a person typed.
    pub(super) fn is_input(&self) -> bool {
        self.name.starts_with("input_")
    }

    /// The `type` on the raw topic.
    pub(super) fn output_name(&self) -> &'static str {
        match self.name {
            "custom" | "custom_event" => CUSTOM_OUT,
            name => name,
        }
    }
}

/// The type of that name, in either spelling: `page_view` or `EVENT_TYPE_PAGE_VIEW`.
pub(super) fn find(spelled: &str) -> Option<&'static EventType> {
    let Some(upper) = spelled.strip_prefix(PREFIX) else {
        return find_lower(spelled);
    };
    if upper.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    find_lower(&upper.to_ascii_lowercase())
}

fn find_lower(name: &str) -> Option<&'static EventType> {
    let index = TYPES.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
    TYPES.get(index)
}

const fn plain(name: &'static str) -> EventType {
    EventType { name, rule: None }
}

const fn ruled(name: &'static str, rule: PayloadRule) -> EventType {
    EventType { name, rule: Some(rule) }
}

/// Sorted by name.
static TYPES: [EventType; 57] = [
    ruled("click", payload::pointer::check),
    plain("console_error"),
    plain("console_log"),
    ruled("context_menu", payload::pointer::check),
    plain("copy"),
    ruled("custom", payload::custom::check),
    ruled("custom_event", payload::custom::check),
    plain("cut"),
    ruled("dblclick", payload::pointer::check),
    plain("dom_mutation"),
    plain("dom_snapshot"),
    plain("fetch_request"),
    plain("form_abandon"),
    plain("form_error"),
    plain("form_start"),
    plain("form_submit"),
    plain("group"),
    plain("identify"),
    ruled("input_blur", payload::input::check),
    ruled("input_change", payload::input::check),
    ruled("input_focus", payload::input::check),
    ruled("js_error", payload::error::check_js_error),
    plain("long_task"),
    plain("media_complete"),
    plain("media_error"),
    plain("media_pause"),
    plain("media_play"),
    plain("media_seek"),
    plain("memory"),
    ruled("mouse_enter", payload::pointer::check),
    ruled("mouse_leave", payload::pointer::check),
    ruled("mouse_move", payload::pointer::check),
    plain("network_error"),
    plain("orientation_change"),
    plain("page_exit"),
    plain("page_hidden"),
    ruled("page_load", payload::page_load::check),
    plain("page_view"),
    plain("page_visible"),
    plain("paste"),
    plain("resource_error"),
    plain("resource_load"),
    ruled("scroll", payload::scroll::check),
    ruled("scroll_milestone", payload::scroll::check),
    plain("session_end"),
    plain("session_start"),
    plain("style_mutation"),
    plain("text_deselect"),
    plain("text_select"),
    ruled("unhandled_rejection", payload::error::check_rejection),
    plain("visibility_change"),
    ruled("web_vitals", payload::vitals::check),
    plain("websocket_close"),
    plain("websocket_error"),
    plain("websocket_open"),
    plain("window_resize"),
    plain("xhr_request"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use gosight_proto::EventType as ProtobufType;
    use gosight_schemas::RejectCode;

    use super::{TYPES, find};

    /// Wire contract §2, as it stands there.
    const CONTRACT: &str = "session_start session_end page_view page_exit page_visible page_hidden \
        click dblclick context_menu mouse_move mouse_enter mouse_leave scroll scroll_milestone input_focus input_blur \
        input_change form_start form_submit form_abandon form_error js_error unhandled_rejection resource_error \
        console_error console_log network_error page_load resource_load web_vitals long_task memory xhr_request \
        fetch_request websocket_open websocket_close websocket_error media_play media_pause media_seek media_complete \
        media_error copy cut paste text_select text_deselect window_resize orientation_change visibility_change \
        custom custom_event identify group dom_snapshot dom_mutation style_mutation";

    const DOCS: &str = include_str!("../../../docs/events.md");

    /// The names in code type that begin the rows of the tables under a heading.
    fn documented(heading: &str) -> Vec<&'static str> {
        let section = DOCS
            .split("\n## ")
            .find(|section| section.starts_with(heading))
            .unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.flat_map(|row| row.split(" |").next().unwrap().split('`'))
            .map(|name| name.trim_matches([' ', ',']))
            .filter(|name| !name.is_empty())
            .collect()
    }

    #[test]
    fn the_catalogue_is_the_contracts_and_sorted() {
        let names: Vec<&str> = TYPES.iter().map(|entry| entry.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        let contract: BTreeSet<&str> = CONTRACT.split_whitespace().collect();
        assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), contract);
    }

    #[test]
    fn both_spellings_lead_to_a_type_and_no_third_does() {
        for entry in &TYPES {
            let upper = format!("EVENT_TYPE_{}", entry.name.to_uppercase());
            assert_eq!(find(&upper).unwrap().name, entry.name);
            assert_eq!(find(entry.name).unwrap().name, entry.name);
        }
        for number in 1..=15 {
            let name = ProtobufType::try_from(number).unwrap().as_str_name();
            assert!(find(name).is_some(), "{name}");
        }
        for no_type in [
            "",
            "PAGE_VIEW",
            "Page_View",
            "EVENT_TYPE_page_view",
            "EVENT_TYPE_UNSPECIFIED",
            "EVENT_TYPE_",
        ] {
            assert!(find(no_type).is_none(), "{no_type}");
        }
    }

    #[test]
    fn the_documentation_names_every_type_and_no_other() {
        let names: BTreeSet<&str> = TYPES.iter().map(|entry| entry.name).collect();
        let documented = documented("Event types");
        assert_eq!(documented.len(), names.len(), "a type stands twice");
        assert_eq!(documented.into_iter().collect::<BTreeSet<_>>(), names);
    }

    #[test]
    fn the_documentation_names_every_code_in_its_order() {
        let codes: Vec<&str> = RejectCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(documented("Reject codes"), codes);
        for code in codes {
            let row = DOCS
                .lines()
                .find(|line| line.starts_with(&format!("| `{code}` |")))
                .unwrap();
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            assert!(
                cells.len() == 3 && cells.iter().all(|cell| cell.len() > 10 || cell.starts_with('`')),
                "{row}"
            );
        }
    }
}
