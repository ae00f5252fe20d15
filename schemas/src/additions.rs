//! Facts that are added to an event by configuration, each in an object of its own beside downstream's fields (wire contract §3), whose
//! readers take fields by name. Absent where nothing is known.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

/// Where the visitor came from, by the page's referrer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Referrer {
    /// search, social, email, assistant, internal or other.
    pub medium: &'static str,
    /// The site's name, for example `Google`; of one without a known name its host.
    pub source: Cow<'static, str>,
}

/// The campaign that led to the page, by the parameters of its URL, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Campaign {
    /// `utm_source`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `utm_medium`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<String>,
    /// `utm_campaign`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `utm_term`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<String>,
    /// `utm_content`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// `utm_id`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Ids of clicks on advertisements, by the parameter's name, for example `gclid`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub click_ids: BTreeMap<&'static str, String>,
}

/// More of the place and the network of the client's address.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Geo<'a> {
    /// English name of the state or province.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<&'a str>,
    /// AF, AN, AS, EU, NA, OC or SA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continent: Option<&'a str>,
    /// Degrees, of the city.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees, of the city.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// IANA time zone of the place; `timezone` beside it is the client's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<&'a str>,
    /// Number of the autonomous system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// Who runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<&'a str>,
}
