//! The payload of a `gosight.Event` as JSON: the message's own field names, 64-bit integers exact, maps sorted. A click also has
//! its target flat and a mouse_move its last position, as downstream reads them (wire contract §3).

use std::collections::{BTreeMap, HashMap};

use gosight_proto::event::Payload;
use gosight_proto::{
    ClickEvent, CustomEvent, InputEvent, JsErrorEvent, MouseMoveEvent, PageLoadEvent, ScrollEvent, TargetElement,
    WebVitalsEvent,
};
use gosight_schemas::{RawJson, RejectCode};
use serde::Serialize;
use serde_json::to_string;

use crate::core::problems::Problems;

/// `None` where it has no JSON form; a problem says why.
pub(super) fn to_json(payload: Payload, problems: &mut Problems) -> Option<RawJson<'static>> {
    let written = match payload {
        Payload::Click(click) => to_string(&Click::from(click)),
        Payload::Scroll(scroll) => to_string(&Scroll::from(scroll)),
        Payload::Input(input) => to_string(&Input::from(input)),
        Payload::MouseMove(moves) => to_string(&MouseMove::from(moves)),
        Payload::JsError(error) => to_string(&JsError::from(error)),
        Payload::WebVitals(vitals) => to_string(&web_vitals(vitals, problems)),
        Payload::PageLoad(load) => to_string(&PageLoad::from(load)),
        Payload::Custom(custom) => to_string(&Custom::from(custom)),
    };
    match written {
        Ok(json) => Some(RawJson::owned(json)),
        Err(error) => {
            let message = format!("the payload could not be written as JSON: {error}");
            problems.add(RejectCode::InternalError, "/payload", message);
            None
        }
    }
}

#[derive(Serialize)]
struct Target {
    #[serde(skip_serializing_if = "String::is_empty")]
    tag: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    selector: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    href: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
}

impl From<TargetElement> for Target {
    fn from(target: TargetElement) -> Self {
        Self {
            tag: target.tag,
            selector: target.selector,
            classes: target.classes,
            id: target.id,
            text: target.text,
            href: target.href,
            attributes: sorted(target.attributes),
        }
    }
}

#[derive(Serialize)]
struct Click {
    x: i32,
    y: i32,
    #[serde(flatten)]
    target: Option<ClickTarget>,
}

#[derive(Serialize)]
struct ClickTarget {
    #[serde(skip_serializing_if = "String::is_empty")]
    target_selector: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    target_tag: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    target_role: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    target_href: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    target_classes: Vec<String>,
    target: Target,
}

impl From<ClickEvent> for Click {
    fn from(click: ClickEvent) -> Self {
        Self {
            x: click.x,
            y: click.y,
            target: click.target.map(|target| ClickTarget {
                target_selector: target.selector.clone(),
                target_tag: target.tag.clone(),
                target_role: target.attributes.get("role").cloned().unwrap_or_default(),
                target_href: target.href.clone(),
                target_classes: target.classes.clone(),
                target: target.into(),
            }),
        }
    }
}

#[derive(Serialize)]
struct Scroll {
    scroll_top: i32,
    scroll_height: i32,
    viewport_height: i32,
    depth_percent: i32,
}

impl From<ScrollEvent> for Scroll {
    fn from(scroll: ScrollEvent) -> Self {
        Self {
            scroll_top: scroll.scroll_top,
            scroll_height: scroll.scroll_height,
            viewport_height: scroll.viewport_height,
            depth_percent: scroll.depth_percent,
        }
    }
}

#[derive(Serialize)]
struct Input {
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(skip_serializing_if = "String::is_empty")]
    input_type: String,
    is_masked: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
}

impl From<InputEvent> for Input {
    fn from(input: InputEvent) -> Self {
        Self {
            target: input.target.map(Target::from),
            input_type: input.input_type,
            is_masked: input.is_masked,
            value: input.value,
        }
    }
}

#[derive(Serialize)]
struct MouseMove {
    positions: Vec<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mouse_x: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mouse_y: Option<i32>,
}

#[derive(Serialize)]
struct Position {
    x: i32,
    y: i32,
    t: i64,
}

impl From<MouseMoveEvent> for MouseMove {
    fn from(moves: MouseMoveEvent) -> Self {
        let last = moves.positions.last();
        Self {
            mouse_x: last.map(|position| position.x),
            mouse_y: last.map(|position| position.y),
            positions: moves
                .positions
                .iter()
                .map(|position| Position {
                    x: position.x,
                    y: position.y,
                    t: position.t,
                })
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct JsError {
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    stack: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    source: String,
    /// Lines and columns count from 1; 0 is absent.
    #[serde(skip_serializing_if = "is_zero")]
    line: i32,
    #[serde(skip_serializing_if = "is_zero")]
    column: i32,
    #[serde(skip_serializing_if = "String::is_empty")]
    error_type: String,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl From<JsErrorEvent> for JsError {
    fn from(error: JsErrorEvent) -> Self {
        Self {
            message: error.message,
            stack: error.stack,
            source: error.source,
            line: error.line,
            column: error.column,
            error_type: error.error_type,
        }
    }
}

/// The vitals that were measured. JSON has no form for NaN and infinity, so they are told here.
fn web_vitals(vitals: WebVitalsEvent, problems: &mut Problems) -> BTreeMap<&'static str, f64> {
    let named = [
        ("lcp", vitals.lcp),
        ("fid", vitals.fid),
        ("cls", vitals.cls),
        ("ttfb", vitals.ttfb),
        ("fcp", vitals.fcp),
        ("inp", vitals.inp),
    ];
    let mut measured = BTreeMap::new();
    for (name, value) in named {
        match value {
            Some(value) if value.is_finite() => {
                measured.insert(name, value);
            }
            Some(value) => problems.out_of_range(
                format!("/payload/{name}"),
                "a finite number, or left out",
                &value.to_string(),
            ),
            None => {}
        }
    }
    measured
}

#[derive(Serialize)]
struct PageLoad {
    dns_lookup: i64,
    tcp_connect: i64,
    request_start: i64,
    response_start: i64,
    response_end: i64,
    dom_interactive: i64,
    dom_complete: i64,
    load_complete: i64,
}

impl From<PageLoadEvent> for PageLoad {
    fn from(load: PageLoadEvent) -> Self {
        Self {
            dns_lookup: load.dns_lookup,
            tcp_connect: load.tcp_connect,
            request_start: load.request_start,
            response_start: load.response_start,
            response_end: load.response_end,
            dom_interactive: load.dom_interactive,
            dom_complete: load.dom_complete,
            load_complete: load.load_complete,
        }
    }
}

#[derive(Serialize)]
struct Custom {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<String, String>,
}

impl From<CustomEvent> for Custom {
    fn from(custom: CustomEvent) -> Self {
        Self {
            name: custom.name,
            properties: sorted(custom.properties),
        }
    }
}

fn sorted(map: HashMap<String, String>) -> BTreeMap<String, String> {
    map.into_iter().collect()
}
