//! The campaign that led to the page: `utm_` parameters and click ids of its URL.

use gosight_schemas::{Campaign, EnrichedEvent};

/// Bytes of one value; a longer one is no campaign's. It stands in the URL all the same.
const MAX_VALUE: usize = 512;

/// Parameters that advertisers add to the addresses of their customers.
const CLICK_IDS: [&str; 18] = [
    "dclid",     // Google Campaign Manager
    "epik",      // Pinterest
    "fbclid",    // Meta
    "gbraid",    // Google Ads, from apps
    "gclid",     // Google Ads
    "igshid",    // Instagram
    "irclickid", // Impact
    "li_fat_id", // LinkedIn
    "mc_cid",    // Mailchimp
    "msclkid",   // Microsoft
    "obclid",    // Outbrain
    "qclid",     // Quora
    "rdt_cid",   // Reddit
    "sccid",     // Snapchat
    "ttclid",    // TikTok
    "twclid",    // X
    "wbraid",    // Google Ads, from the web to apps
    "yclid",     // Yandex
];

pub(super) fn add(event: &mut EnrichedEvent<'_>) {
    let url = event.page.as_ref().and_then(|page| page.url.as_deref());
    event.campaign = url.and_then(campaign);
}

fn campaign(url: &str) -> Option<Campaign> {
    let query = url.get(memchr::memchr(b'?', url.as_bytes())? + 1..)?;
    let query = memchr::memchr(b'#', query.as_bytes()).map_or(query, |end| &query[..end]);
    // Most pages have parameters of their own, and no campaign.
    let mut found: Option<Campaign> = None;
    for (name, value) in query.split('&').filter_map(|parameter| parameter.split_once('=')) {
        let Some(parameter) = parameter(name) else { continue };
        let Some(value) = decoded(value) else { continue };
        let campaign = found.get_or_insert_default();
        let slot = match parameter {
            Parameter::Source => &mut campaign.source,
            Parameter::Medium => &mut campaign.medium,
            Parameter::Name => &mut campaign.name,
            Parameter::Term => &mut campaign.term,
            Parameter::Content => &mut campaign.content,
            Parameter::Id => &mut campaign.id,
            Parameter::ClickId(known) => {
                campaign.click_ids.entry(known).or_insert(value);
                continue;
            }
        };
        // Of two under one name the first counts, as for URLSearchParams.get().
        slot.get_or_insert(value);
    }
    found
}

/// A parameter that tells of a campaign.
#[derive(Clone, Copy)]
enum Parameter {
    Source,
    Medium,
    Name,
    Term,
    Content,
    Id,
    ClickId(&'static str),
}

fn parameter(name: &str) -> Option<Parameter> {
    if let Some(name) = name.strip_prefix("utm_") {
        return Some(match name {
            "source" => Parameter::Source,
            "medium" => Parameter::Medium,
            "campaign" => Parameter::Name,
            "term" => Parameter::Term,
            "content" => Parameter::Content,
            "id" => Parameter::Id,
            _ => return None,
        });
    }
    let known = CLICK_IDS.into_iter().find(|known| name.eq_ignore_ascii_case(known));
    known.map(Parameter::ClickId)
}

/// The text of an encoded value (WHATWG URL §5.1); `None` of an empty or a long one.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len().min(MAX_VALUE));
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        if bytes.len() == MAX_VALUE {
            return None;
        }
        let escaped = after.first_chunk().filter(|_| *first == b'%').and_then(escaped);
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn escaped(digits: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{CLICK_IDS, MAX_VALUE, campaign};

    fn found(url: &str) -> Value {
        campaign(url).map_or(Value::Null, |campaign| serde_json::to_value(campaign).unwrap())
    }

    #[test]
    fn parameters_are_decoded_and_named() {
        for (url, expected) in [
            (
                "https://a.b/p?utm_source=news&utm_medium=e-mail&utm_campaign=Sommer+%C3%BC%26&utm_term=t&utm_content=c&utm_id=7",
                json!({ "source": "news", "medium": "e-mail", "name": "Sommer ü&", "term": "t", "content": "c", "id": "7" }),
            ),
            (
                "/p?a=1&gclid=Cj0&FBCLID=Iw%41R",
                json!({ "click_ids": { "fbclid": "IwAR", "gclid": "Cj0" } }),
            ),
            ("?utm_source=one&utm_source=two", json!({ "source": "one" })),
            ("?utm_source=&utm_source=%20&utm_source=x", json!({ "source": "x" })),
            (
                "?utm_source=100%&utm_term=%zz%4",
                json!({ "source": "100%", "term": "%zz%4" }),
            ),
            ("?utm_source=%ff", json!({ "source": "\u{fffd}" })),
            ("?utm_source=x#utm_medium=y", json!({ "source": "x" })),
            ("https://a.b/utm_source=x", Value::Null),
            ("https://a.b/#?utm_source", Value::Null),
            ("?UTM_SOURCE=x&utm_source", Value::Null),
            ("", Value::Null),
        ] {
            assert_eq!(found(url), expected, "{url}");
        }
    }

    #[test]
    fn a_value_at_the_limit_is_kept_and_a_longer_one_left_in_the_url() {
        let of = |length: usize| found(&format!("?utm_source={}", "%41".repeat(length)))["source"].clone();
        assert_eq!(of(MAX_VALUE), "A".repeat(MAX_VALUE));
        assert_eq!(of(MAX_VALUE + 1), Value::Null);
    }

    #[test]
    fn every_click_id_is_found() {
        for name in CLICK_IDS {
            assert_eq!(found(&format!("?{name}=v"))["click_ids"], json!({ name: "v" }));
        }
    }
}
