//! The fields of enriched events that are alike for a whole batch: written once, copied into each event.

use std::borrow::Cow;

use crate::Properties;
use crate::additions::Geo;
use crate::json::{ObjectWriter, field};

/// What all events of one batch share.
#[derive(Debug, Clone, Default)]
pub struct BatchFields<'a> {
    /// The project that the key belongs to.
    pub project_id: &'a str,
    /// The client's session; empty where it named none.
    pub session_id: &'a str,
    /// When the edge had read the batch, Unix ms.
    pub server_timestamp: i64,
    /// Name, for example `Chrome`; empty where unknown, as the next six.
    pub browser: Cow<'a, str>,
    /// For example `120.0.0.0`.
    pub browser_version: Cow<'a, str>,
    /// For example `macOS`.
    pub os: Cow<'a, str>,
    /// For example `10.15.7`.
    pub os_version: Cow<'a, str>,
    /// desktop, mobile, tablet or bot.
    pub device_type: Cow<'a, str>,
    /// ISO 3166-1 alpha-2.
    pub country: Cow<'a, str>,
    /// English name.
    pub city: Cow<'a, str>,
    /// The client's address, after the project's privacy rules.
    pub client_ip: Option<Cow<'a, str>>,
    /// IANA time zone that the client named, for example `Europe/Berlin`.
    pub timezone: Option<Cow<'a, str>>,
    /// More of the place and the network of the client's address.
    pub geo: Option<Geo<'a>>,
    /// Fields of the batch that the contract does not know, as they came.
    pub properties: Properties<'a>,
}

/// The fields as they stand in each event, in three places.
#[derive(Debug, Clone, Default)]
pub struct WrittenBatchFields {
    bytes: Vec<u8>,
    /// Where the part before the event's own page and payload ends.
    origin_end: usize,
    /// Where the part behind them ends; the rest stands at the event's end.
    client_end: usize,
    /// Where the place in that rest ends.
    geo_end: usize,
}

impl BatchFields<'_> {
    /// Writes them.
    pub fn write(&self) -> WrittenBatchFields {
        let Self {
            project_id,
            session_id,
            server_timestamp,
            browser,
            browser_version,
            os,
            os_version,
            device_type,
            country,
            city,
            client_ip,
            timezone,
            geo,
            properties,
        } = self;
        let mut bytes = Vec::with_capacity(512);
        // Parts of objects, each field with its comma; the event has the braces.
        let mut part = ObjectWriter::new(&mut bytes);
        part.text(field!("project_id"), project_id);
        part.text(field!("session_id"), session_id);
        let origin_end = part.len();
        part.integer(field!("server_timestamp"), *server_timestamp);
        part.text(field!("browser"), browser);
        part.text(field!("browser_version"), browser_version);
        part.text(field!("os"), os);
        part.text(field!("os_version"), os_version);
        part.text(field!("device_type"), device_type);
        part.text(field!("country"), country);
        part.text(field!("city"), city);
        part.text_if_any(field!("client_ip"), client_ip.as_deref());
        part.text_if_any(field!("timezone"), timezone.as_deref());
        let client_end = part.len();
        part.value_if_any(field!("geo"), geo.as_ref());
        let geo_end = part.len();
        if !properties.is_empty() {
            part.object(field!("batch_properties"), |object| object.properties(properties));
        }
        WrittenBatchFields {
            bytes,
            origin_end,
            client_end,
            geo_end,
        }
    }
}

impl WrittenBatchFields {
    /// Whose event it is: `project_id` and `session_id`.
    pub(crate) fn origin(&self) -> &[u8] {
        self.bytes.get(..self.origin_end).unwrap_or_default()
    }

    /// The client: `server_timestamp` to `timezone`.
    pub(crate) fn client(&self) -> &[u8] {
        self.bytes.get(self.origin_end..self.client_end).unwrap_or_default()
    }

    /// `geo`.
    pub(crate) fn geo(&self) -> &[u8] {
        self.bytes.get(self.client_end..self.geo_end).unwrap_or_default()
    }

    /// `batch_properties`.
    pub(crate) fn properties(&self) -> &[u8] {
        self.bytes.get(self.geo_end..).unwrap_or_default()
    }
}
