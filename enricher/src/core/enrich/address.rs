//! The client's address, after the project's privacy rules.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gosight_config::enricher::IpPrivacy;
use gosight_schemas::{BatchFields, RawBatch};

use super::keyed_hash::keyed_hash;
use crate::core::assets::Assets;
use crate::core::rules::Rules;

/// What may leave of the address.
pub(super) struct Address {
    public: Option<String>,
}

impl Address {
    pub(super) fn of(batch: &RawBatch, assets: &Assets) -> Self {
        Self {
            public: public_address(batch, &assets.rules),
        }
    }

    /// One that has been through the privacy rules.
    pub(super) fn known(public: Option<&str>) -> Self {
        Self {
            public: public.map(str::to_owned),
        }
    }

    pub(super) fn add<'a>(&'a self, fields: &mut BatchFields<'a>) {
        fields.client_ip = self.public.as_deref().map(Cow::Borrowed);
    }
}

/// The address as it may leave us, on raw and on errors. One that can't be parsed leaves only where no privacy is asked for.
pub(in crate::core) fn public_address(batch: &RawBatch, rules: &Rules) -> Option<String> {
    match rules.ip_privacy(batch.privacy) {
        IpPrivacy::None => batch.client_ip.clone(),
        IpPrivacy::Truncate => full(batch).map(|address| truncated(address).to_string()),
        IpPrivacy::Hash => full(batch).map(|address| hashed(address, batch, rules)),
        IpPrivacy::Remove => None,
    }
}

/// The staged address, in full; look-ups only.
pub(super) fn full(batch: &RawBatch) -> Option<IpAddr> {
    let address: IpAddr = batch.client_ip.as_deref()?.parse().ok()?;
    Some(address.to_canonical())
}

/// Half of the hash is more than enough to tell addresses apart. The project is part of it, so that nobody is followed from one to
/// another.
fn hashed(address: IpAddr, batch: &RawBatch, rules: &Rules) -> String {
    let key = rules.privacy.hash_key.reveal().as_bytes();
    let text = address.to_string();
    let hash = keyed_hash(key, &[batch.project_id.as_bytes(), b"\0", text.as_bytes()]);
    hash[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Without the last octet of an IPv4 address, or the last 80 bits of an IPv6 address.
fn truncated(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & !0xff).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 80 << 80).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::truncated;

    #[test]
    fn the_last_octet_or_80_bits_go() {
        for (full, expected) in [
            ("203.0.113.77", "203.0.113.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ] {
            assert_eq!(truncated(full.parse().unwrap()).to_string(), expected);
        }
    }
}
