//! One event of a JSON body.

use std::borrow::Cow;
use std::collections::BTreeSet;

use gosight_schemas::{Page, RawJson, RejectCode};

use crate::core::catalogue;
use crate::core::event::{Event, TypeName};
use crate::core::json::{self, Element, Kind, Part, Raw};
use crate::core::numbers;
use crate::core::problems::Problems;

/// Reads an event. `null` means absent everywhere.
pub(super) fn read<'a>(event: &mut Element<'a>, problems: &mut Problems) -> Option<Event<'a>> {
    let mut read = Event::default();
    let mut known = Known::default();
    for part in object(event, problems)? {
        if let Some(unknown) = known.take(part) {
            read.properties.insert(unknown.name, unknown.value.into());
        }
    }
    // In this order problems are told.
    read.event_type = event_type(&mut known, &mut read, problems);
    read.timestamp = timestamp(known.timestamp, problems);
    read.id = id(known.event_id, "/event_id", problems);
    read.user_id = id(known.user_id, "/user_id", problems);
    page(known.page, &mut read.page, problems);
    for field in known.top_page {
        top_level_page_field(field, &mut read, problems);
    }
    if let Some(Part { value, fields, .. }) = known.payload {
        read.payload = payload(value, problems);
        read.payload_fields = fields;
    }
    Some(read)
}

/// The fields of an event that is an object which strict readers accept and which names each field once.
fn object<'a>(event: &mut Element<'a>, problems: &mut Problems) -> Option<Vec<Part<'a>>> {
    let Element {
        value: event,
        seen,
        parts,
    } = event;
    let event = *event;
    let text = event.get();
    if json::kind(event) != Kind::Object {
        let message = format!("an event must be a JSON object, but this is {}", json::shown(event));
        problems.add(RejectCode::NotAnObject, "", message);
        return None;
    }
    if seen.escapes
        && let Some(offset) = json::lone_surrogate(text)
    {
        let escape = text.get(offset..offset + 6).unwrap_or_default();
        let message = format!(
            "the escape {escape} is half of a surrogate pair: cut texts between characters, not inside of them, before \
             they are sent"
        );
        problems.add(RejectCode::InvalidJson, json::pointer_to(text, offset), message);
        return None;
    }
    if seen.depth && json::too_deep(text) {
        let message = format!(
            "the event is nested deeper than {} levels; send it flatter",
            json::MAX_DEPTH
        );
        problems.add(RejectCode::OutOfRange, "", message);
        return None;
    }
    if seen.wide_number
        && let Some(number) = numbers::beyond_double(text)
    {
        problems.out_of_range(
            json::pointer_to(text, number.start),
            "a number that a double can hold",
            &json::beginning(&text[number]),
        );
    }
    let taken_apart = parts.take();
    let apart = || Some(json::fields(event)?.into_iter().map(Part::from).collect());
    let Some(parts) = taken_apart.or_else(apart) else {
        problems.add(
            RejectCode::InvalidJson,
            "",
            "the event's fields could not be told apart",
        );
        return None;
    };
    if let Some(name) = named_twice(&parts) {
        let message = format!("{} stands twice in the event; send it once", json::quoted(name));
        problems.add(RejectCode::InvalidJson, format!("/{}", json::escaped(name)), message);
        return None;
    }
    Some(parts)
}

/// Of two values under one name each reader might take another.
fn named_twice<'p>(parts: &'p [Part<'_>]) -> Option<&'p str> {
    // An event of usual size: comparing is faster than building a set.
    const FEW: usize = 16;
    if parts.len() <= FEW {
        let repeated = parts.iter().enumerate().find(|(index, part)| {
            let before = &parts[..*index];
            before.iter().any(|other| other.name == part.name)
        });
        return repeated.map(|(_, part)| &*part.name);
    }
    let mut names = BTreeSet::new();
    parts.iter().map(|part| &*part.name).find(|name| !names.insert(*name))
}

/// The fields that the contract knows, still encoded.
#[derive(Default)]
struct Known<'a> {
    event_type: Option<Part<'a>>,
    /// `event_type`, an alias.
    alias: Option<Part<'a>>,
    timestamp: Option<Raw<'a>>,
    event_id: Option<Raw<'a>>,
    user_id: Option<Raw<'a>>,
    page: Option<Part<'a>>,
    top_page: Vec<Part<'a>>,
    payload: Option<Part<'a>>,
}

impl<'a> Known<'a> {
    /// Takes a field, or gives an unknown one back.
    fn take(&mut self, part: Part<'a>) -> Option<Part<'a>> {
        if json::kind(part.value) == Kind::Null && is_known(&part.name) {
            return None;
        }
        match &*part.name {
            "type" => self.event_type = Some(part),
            "event_type" => self.alias = Some(part),
            "timestamp" => self.timestamp = Some(part.value),
            "event_id" => self.event_id = Some(part.value),
            "user_id" => self.user_id = Some(part.value),
            "page" => self.page = Some(part),
            "payload" => self.payload = Some(part),
            name if page_field(name).is_some() => self.top_page.push(part),
            _ => return Some(part),
        }
        None
    }
}

fn is_known(name: &str) -> bool {
    let known = [
        "type",
        "event_type",
        "timestamp",
        "event_id",
        "user_id",
        "page",
        "payload",
    ];
    known.contains(&name) || page_field(name).is_some()
}

fn event_type<'a>(known: &mut Known<'a>, event: &mut Event<'a>, problems: &mut Problems) -> TypeName<'a> {
    let (field, pointer) = match (known.event_type.take(), known.alias.take()) {
        (Some(field), alias) => {
            if let Some(alias) = alias.filter(|alias| alias.value.get() != field.value.get()) {
                event.properties.insert(alias.name, alias.value.into());
            }
            (field, "/type")
        }
        (None, Some(alias)) => (alias, "/event_type"),
        (None, None) => {
            problems.missing("/type", "send for example \"page_view\"");
            return TypeName::Missing;
        }
    };
    match json::text(field.value) {
        None => {
            problems.wrong_type(pointer, "a string, for example \"page_view\"", field.value);
            TypeName::Missing
        }
        Some(name) if name.is_empty() => {
            problems.missing(pointer, "send for example \"page_view\"");
            TypeName::Missing
        }
        Some(name) => catalogue::find(&name).map_or(TypeName::Unknown(name), TypeName::Known),
    }
}

fn timestamp(value: Option<Raw<'_>>, problems: &mut Problems) -> i64 {
    let Some(value) = value else {
        problems.missing("/timestamp", "send Unix milliseconds, as Date.now() gives them");
        return 0;
    };
    // Browsers' clocks have a fraction of a millisecond; it is cut off.
    json::whole(value).unwrap_or_else(|| {
        problems.wrong_type(
            "/timestamp",
            "a number (Unix milliseconds, as Date.now() gives them)",
            value,
        );
        0
    })
}

/// An id: a string, or a number, which stands for its own text.
fn id<'a>(value: Option<Raw<'a>>, pointer: &str, problems: &mut Problems) -> Option<Cow<'a, str>> {
    let value = value?;
    let text = match json::kind(value) {
        Kind::Number => Some(Cow::Borrowed(value.get())),
        _ => json::text(value),
    };
    if text.is_none() {
        problems.wrong_type(pointer, "a string", value);
    }
    text.filter(|text| !text.is_empty())
}

fn page<'a>(part: Option<Part<'a>>, page: &mut Page<'a>, problems: &mut Problems) {
    let Some(Part { value, fields, .. }) = part else { return };
    let fields = match json::kind(value) {
        Kind::Object => fields.or_else(|| json::fields(value)).unwrap_or_default(),
        _ => {
            problems.wrong_type("/page", "an object, for example {\"url\":…}", value);
            return;
        }
    };
    for field in fields {
        match page_field(&field.name) {
            None => {
                page.other.insert(field.name, field.value.into());
            }
            Some(_) if json::kind(field.value) == Kind::Null => {}
            Some(name) => read_page_field(name, "/page", field.value, page, problems),
        }
    }
}

/// A field of the page at the event's top level: the same as in `page`, which goes first.
fn top_level_page_field<'a>(field: Part<'a>, event: &mut Event<'a>, problems: &mut Problems) {
    let Some(name) = page_field(&field.name) else { return };
    if is_set(name, &event.page) {
        event.properties.insert(field.name, field.value.into());
        return;
    }
    event.page_at_top.push(name);
    read_page_field(name, "", field.value, &mut event.page, problems);
}

fn page_field(name: &str) -> Option<&'static str> {
    Some(match name {
        "url" => "url",
        "path" => "path",
        "title" => "title",
        "referrer" => "referrer",
        "viewport_width" => "viewport_width",
        "viewport_height" => "viewport_height",
        "screen_width" => "screen_width",
        "screen_height" => "screen_height",
        _ => return None,
    })
}

enum Slot<'s, 'a> {
    Text(&'s mut Option<Cow<'a, str>>),
    Size(&'s mut Option<i64>),
}

fn slot<'s, 'a>(name: &str, page: &'s mut Page<'a>) -> Option<Slot<'s, 'a>> {
    Some(match name {
        "url" => Slot::Text(&mut page.url),
        "path" => Slot::Text(&mut page.path),
        "title" => Slot::Text(&mut page.title),
        "referrer" => Slot::Text(&mut page.referrer),
        "viewport_width" => Slot::Size(&mut page.viewport_width),
        "viewport_height" => Slot::Size(&mut page.viewport_height),
        "screen_width" => Slot::Size(&mut page.screen_width),
        "screen_height" => Slot::Size(&mut page.screen_height),
        _ => return None,
    })
}

fn is_set(name: &str, page: &Page<'_>) -> bool {
    match name {
        "url" => page.url.is_some(),
        "path" => page.path.is_some(),
        "title" => page.title.is_some(),
        "referrer" => page.referrer.is_some(),
        "viewport_width" => page.viewport_width.is_some(),
        "viewport_height" => page.viewport_height.is_some(),
        "screen_width" => page.screen_width.is_some(),
        "screen_height" => page.screen_height.is_some(),
        _ => false,
    }
}

fn read_page_field<'a>(name: &str, parent: &str, value: Raw<'a>, page: &mut Page<'a>, problems: &mut Problems) {
    match slot(name, page) {
        Some(Slot::Text(slot)) => match json::text(value) {
            Some(text) => *slot = Some(text).filter(|text| !text.is_empty()),
            None => problems.wrong_type(format!("{parent}/{name}"), "a string", value),
        },
        Some(Slot::Size(slot)) => {
            *slot = json::whole(value);
            if slot.is_none() {
                problems.wrong_type(format!("{parent}/{name}"), "a number of pixels", value);
            }
        }
        None => {}
    }
}

fn payload<'a>(value: Raw<'a>, problems: &mut Problems) -> Option<RawJson<'a>> {
    if json::kind(value) == Kind::Object {
        return Some(value.into());
    }
    problems.wrong_type("/payload", "an object", value);
    None
}
