//! Sessions as visitors of a shop make them: a landing, some looking around, now and then a purchase.

use gosight_proto::{
    ClickEvent, CustomEvent, Event, EventBatch, EventType, Page, ScrollEvent, SessionMeta, TargetElement,
    WebVitalsEvent, event::Payload,
};
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use uuid::Uuid;

use super::batch::{Batch, Encoding};

/// Events of a session: most visitors look at a few pages.
const SESSION_EVENTS: std::ops::Range<u32> = 5..60;
const PATHS: [(&str, &str); 5] = [
    ("/", "Home"),
    ("/products", "Products"),
    ("/products/42", "A good product"),
    ("/cart", "Your cart"),
    ("/help", "Help"),
];

/// One visitor after the other.
pub(super) struct Visitor {
    random: StdRng,
    key: String,
    /// Share of events that are bad.
    bad: f64,
    session: String,
    /// Events until the visitor leaves.
    left: u32,
    page: usize,
}

/// What a visitor does.
#[derive(Debug, Clone, Copy)]
enum Action {
    Look,
    Click { x: i32, y: i32 },
    Scroll { percent: i32 },
    Vitals { lcp: f64 },
    Buy { items: u32 },
}

impl Visitor {
    pub(super) fn new(key: &str, bad: f64) -> Self {
        Self {
            random: StdRng::from_os_rng(),
            key: key.to_owned(),
            bad,
            session: String::new(),
            left: 0,
            page: 0,
        }
    }

    /// The next batch of the session: at most `most` events, fewer where the visitor leaves.
    pub(super) fn batch(&mut self, encoding: Encoding, most: u32, now_ms: i64) -> Batch {
        if self.left == 0 {
            self.session = format!("gen-{}", Uuid::now_v7());
            self.left = self.random.random_range(SESSION_EVENTS);
        }
        let events = most.min(self.left);
        self.left -= events;
        let body = match encoding {
            Encoding::Json => {
                let events: Vec<Value> = (0..events).map(|_| self.json_event(now_ms)).collect();
                let batch = json!({
                    "project_key": self.key, "session_id": self.session, "sent_at": now_ms, "events": events
                });
                batch.to_string().into()
            }
            Encoding::Protobuf => {
                let events = (0..events).map(|_| self.protobuf_event(now_ms)).collect();
                let batch = EventBatch {
                    project_key: self.key.clone(),
                    session: Some(SessionMeta {
                        session_id: self.session.clone(),
                        ..SessionMeta::default()
                    }),
                    events,
                    sent_at: now_ms,
                };
                batch.encode_to_vec().into()
            }
        };
        Batch {
            body,
            encoding,
            events: u64::from(events),
        }
    }

    fn act(&mut self) -> Action {
        match self.random.random_range(0..100) {
            0..30 => {
                self.page = self.random.random_range(0..PATHS.len());
                Action::Look
            }
            30..60 => Action::Click {
                x: self.random.random_range(0..1_200),
                y: self.random.random_range(0..800),
            },
            60..85 => Action::Scroll {
                percent: self.random.random_range(0..=100),
            },
            85..97 => Action::Vitals {
                lcp: self.random.random_range(500.0..4_000.0),
            },
            _ => Action::Buy {
                items: self.random.random_range(1..5),
            },
        }
    }

    /// A bad event has no timestamp that anyone could read.
    fn is_bad(&mut self) -> bool {
        self.random.random_bool(self.bad)
    }

    fn page(&self) -> (String, &'static str, &'static str) {
        let (path, title) = PATHS[self.page];
        (format!("https://shop.example{path}"), path, title)
    }

    fn json_event(&mut self, now_ms: i64) -> Value {
        let (name, payload) = match self.act() {
            Action::Look => ("page_view", Value::Null),
            Action::Click { x, y } => (
                "click",
                json!({ "x": x, "y": y, "target_tag": "button", "target_selector": "main > button.buy" }),
            ),
            Action::Scroll { percent } => (
                "scroll",
                json!({ "scroll_top": percent * 24, "depth_percent": percent }),
            ),
            Action::Vitals { lcp } => ("web_vitals", json!({ "lcp": lcp })),
            Action::Buy { items } => (
                "custom",
                json!({ "name": "purchase", "properties": { "items": items.to_string() } }),
            ),
        };
        let (url, path, title) = self.page();
        let mut event = json!({
            "event_id": Uuid::now_v7().to_string(), "type": name, "timestamp": now_ms,
            "page": { "url": url, "path": path, "title": title }
        });
        if !payload.is_null() {
            event["payload"] = payload;
        }
        if self.is_bad() {
            event["timestamp"] = json!("yesterday");
        }
        event
    }

    fn protobuf_event(&mut self, now_ms: i64) -> Event {
        let (kind, payload) = match self.act() {
            Action::Look => (EventType::PageView, None),
            Action::Click { x, y } => {
                let target = TargetElement {
                    tag: "button".to_owned(),
                    selector: "main > button.buy".to_owned(),
                    ..TargetElement::default()
                };
                let click = ClickEvent {
                    x,
                    y,
                    target: Some(target),
                };
                (EventType::Click, Some(Payload::Click(click)))
            }
            Action::Scroll { percent } => {
                let scroll = ScrollEvent {
                    scroll_top: percent * 24,
                    depth_percent: percent,
                    ..ScrollEvent::default()
                };
                (EventType::Scroll, Some(Payload::Scroll(scroll)))
            }
            Action::Vitals { lcp } => {
                let vitals = WebVitalsEvent {
                    lcp: Some(lcp),
                    ..WebVitalsEvent::default()
                };
                (EventType::WebVitals, Some(Payload::WebVitals(vitals)))
            }
            Action::Buy { items } => {
                let custom = CustomEvent {
                    name: "purchase".to_owned(),
                    properties: [("items".to_owned(), items.to_string())].into(),
                };
                (EventType::Custom, Some(Payload::Custom(custom)))
            }
        };
        let (url, path, title) = self.page();
        Event {
            event_id: Uuid::now_v7().to_string(),
            r#type: kind.into(),
            timestamp: if self.is_bad() { 0 } else { now_ms },
            page: Some(Page {
                url,
                path: path.to_owned(),
                title: title.to_owned(),
                ..Page::default()
            }),
            payload,
        }
    }
}
