//! The `device` of a JSON batch.

use super::batch_properties::MAX_TEXT;
use crate::core::event::{Device, device_kind};
use crate::core::json::{self, Kind, Raw};

/// Reads what is there. False where something was not understood: an unknown field, a wrong type.
pub(super) fn read<'a>(value: Raw<'a>, device: &mut Device<'a>) -> bool {
    match json::kind(value) {
        Kind::Null => return true,
        Kind::Object => {}
        _ => return false,
    }
    let Some(fields) = json::fields(value) else {
        return false;
    };
    let mut understood = true;
    for field in fields {
        understood &= read_field(&field.name, field.value, device);
    }
    understood
}

fn read_field<'a>(name: &str, value: Raw<'a>, device: &mut Device<'a>) -> bool {
    if json::kind(value) == Kind::Null {
        return true;
    }
    let text = || json::text(value).filter(|text| text.len() <= MAX_TEXT);
    if name == "device_type" {
        let word = text();
        device.device_type = word.as_deref().and_then(device_kind);
        return device.device_type.is_some() || word.is_some_and(|word| word.is_empty());
    }
    let (slot, read) = match name {
        "browser" => (&mut device.browser, text()),
        "browser_version" => (&mut device.browser_version, text()),
        "os" => (&mut device.os, text()),
        "os_version" => (&mut device.os_version, text()),
        _ => return read_size(name, value, device),
    };
    let understood = read.is_some();
    *slot = read.filter(|text| !text.is_empty());
    understood
}

fn read_size(name: &str, value: Raw<'_>, device: &mut Device<'_>) -> bool {
    let slot = match name {
        "screen_width" => &mut device.screen_width,
        "screen_height" => &mut device.screen_height,
        "viewport_width" => &mut device.viewport_width,
        "viewport_height" => &mut device.viewport_height,
        _ => return false,
    };
    let read = json::whole(value);
    // 0 is what protobuf sends for an unknown size.
    *slot = read.filter(|size| *size > 0);
    read.is_some()
}
