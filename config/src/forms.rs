//! The forms in which values are written: durations, sizes, addresses, lists. Each says in its error what a good one looks like.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Lanes that a process can sensibly hold: each has a producer and a consumer with threads of their own.
pub(crate) const MOST_LANES: u32 = 256;
/// More than any machine holds: a size beyond it is a slip, and would overflow in arithmetic behind us.
const LARGEST: ByteSize = ByteSize::tib(1);

/// `500ms`, `30s`, `1h 30m`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|_| D::Error::custom("is no duration; write a number with its unit, for example 500ms, 30s or 5m"))
}

/// `65536`, `512KiB`, `4MiB`.
pub(crate) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    let text = String::deserialize(deserializer)?;
    let size: ByteSize = text
        .parse()
        .map_err(|_| D::Error::custom("is no size; write a number with its unit, for example 512KiB or 4MiB"))?;
    if size > LARGEST {
        return Err(D::Error::custom(format!(
            "is more than {}; write a smaller size, for example 4MiB",
            shown(LARGEST)
        )));
    }
    Ok(size)
}

/// `0`, `0.25`, `1`.
pub(crate) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.trim()
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| D::Error::custom("is no share; write a number from 0 to 1, for example 0.1"))
}

/// `0.0.0.0`, `::1`.
pub(crate) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| D::Error::custom("is no IP address; write for example 0.0.0.0, 127.0.0.1 or ::"))
}

/// A list of networks: `10.0.0.0/8`, `2001:db8::/32`; an address alone is a network of one.
pub(crate) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let networks = Vec::<Network>::deserialize(deserializer)?;
    Ok(networks.into_iter().map(|network| network.0).collect())
}

/// One of [`networks`]: a type of its own, so that an error has the place of the item.
struct Network(IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map(Self)
            .map_err(|_| D::Error::custom("is no network; write for example 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7"))
    }
}

/// A list, or one text whose commas separate its items, as it comes from an environment variable.
pub(crate) fn list_or_commas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct ListOrCommas;
    impl<'de> Visitor<'de> for ListOrCommas {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts, or one text with commas")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(split(text).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element::<String>()? {
                list.extend(split(&item));
            }
            Ok(list)
        }
    }
    deserializer.deserialize_any(ListOrCommas)
}

/// [`list_or_commas`] of files.
pub(crate) fn paths_or_commas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    Ok(list_or_commas(deserializer)?.into_iter().map(PathBuf::from).collect())
}

/// A whole number from 1 to [`MOST_LANES`].
pub(crate) fn lanes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    // The reader itself would name the bounds of the type.
    u32::deserialize(deserializer)
        .map_err(|_| D::Error::custom(format!("can't be used; write a whole number from 1 to {MOST_LANES}")))
}

/// `kafka.example:9092`, `127.0.0.1:9092`, `[::1]:9092`.
pub(crate) fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let is_host = !host.is_empty() && !host.contains(['/', ' ']) && (is_bracketed || !host.contains(':'));
    is_host && matches!(port.parse::<u16>(), Ok(1..))
}

fn split(text: &str) -> impl Iterator<Item = String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(ToOwned::to_owned)
}

/// A size as a person writes it: `4MiB` where it is whole, else its bytes.
pub(crate) fn shown(size: ByteSize) -> String {
    let bytes = size.as_u64();
    for (unit, name) in [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes} bytes")
}
