//! User-agent client hints (<https://wicg.github.io/ua-client-hints/>): structured headers (RFC 9651) that Chromium browsers send.

use std::borrow::Cow;

use super::header::{Device, Draft};

const BRANDS: &str = "sec-ch-ua";
const FULL_VERSIONS: &str = "sec-ch-ua-full-version-list";
const MOBILE: &str = "sec-ch-ua-mobile";
const PLATFORM: &str = "sec-ch-ua-platform";
const PLATFORM_VERSION: &str = "sec-ch-ua-platform-version";
const FORM_FACTORS: &str = "sec-ch-ua-form-factors";

/// The hints that are read.
pub(super) const NAMES: [&str; 6] = [BRANDS, FULL_VERSIONS, MOBILE, PLATFORM, PLATFORM_VERSION, FORM_FACTORS];

/// What the hints say; absent where they don't.
#[derive(Debug, Default)]
pub(super) struct Hints<'a> {
    brand: Option<Brand<'a>>,
    is_mobile: Option<bool>,
    platform: Option<&'a str>,
    platform_version: Option<&'a str>,
    form: Device,
}

/// A browser as it names itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Brand<'a> {
    name: &'a str,
    version: &'a str,
}

impl<'a> Hints<'a> {
    /// Reads them by their names.
    pub(super) fn read(hints: &[(&str, &'a str)]) -> Self {
        let value = |name| {
            hints
                .iter()
                .find(|(hint, _)| *hint == name)
                .map(|(_, value)| value.trim())
        };
        let brands = value(BRANDS).and_then(specific_brand);
        Self {
            // The full list holds the same brands with longer versions, but not every browser sends it.
            brand: value(FULL_VERSIONS).and_then(specific_brand).or(brands),
            is_mobile: value(MOBILE).and_then(|text| match text {
                "?1" => Some(true),
                "?0" => Some(false),
                _ => None,
            }),
            platform: value(PLATFORM).and_then(text).and_then(system_name),
            platform_version: value(PLATFORM_VERSION)
                .and_then(text)
                .filter(|version| !version.is_empty()),
            form: value(FORM_FACTORS).map_or(Device::Unknown, form),
        }
    }

    /// Corrects what the header told: it is frozen where the hints speak.
    pub(super) fn correct(&self, draft: &mut Draft<'a>) {
        if draft.device != Device::Bot {
            self.correct_browser(draft);
        }
        self.correct_system(draft);
        self.correct_device(draft);
    }

    fn correct_browser(&self, draft: &mut Draft<'a>) {
        let Some(Brand { name, version }) = self.brand else {
            return;
        };
        if name == "HeadlessChrome" {
            draft.device = Device::Bot;
        }
        let in_app = name == "WebView" && !draft.browser.is_empty() && draft.browser != "Chrome";
        // The engine alone tells less than the header, and a web view less than the app around it.
        if (name == "Chromium" && !draft.browser.is_empty()) || in_app {
            return;
        }
        let is_longer = |longer: &str| longer.strip_prefix(version).is_some_and(|rest| rest.starts_with('.'));
        if draft.browser != name || !is_longer(&draft.browser_version) {
            draft.browser_version = version.into();
        }
        draft.browser = name.into();
    }

    fn correct_system(&self, draft: &mut Draft<'a>) {
        let Some(platform) = self.platform else {
            return;
        };
        if draft.os != platform {
            draft.os = platform.into();
            draft.os_version = Cow::Borrowed("");
            if draft.device != Device::Bot {
                draft.device = match platform {
                    "Android" => Device::Tablet,
                    "iOS" => Device::Mobile,
                    _ => Device::Desktop,
                };
            }
        }
        match (platform, self.platform_version) {
            // A kernel's version is no version of the system.
            (_, None) | ("Linux", _) => {}
            ("Windows", Some(version)) => draft.os_version = windows_version(version).into(),
            (_, Some(version)) => draft.os_version = without_zeros(version).into(),
        }
    }

    fn correct_device(&self, draft: &mut Draft<'a>) {
        if matches!(draft.device, Device::Bot | Device::Appliance) {
            return;
        }
        draft.device = match (self.form, self.is_mobile) {
            (Device::Unknown, None) => return,
            (Device::Unknown, Some(true)) => Device::Mobile,
            (Device::Unknown, Some(false)) if draft.os == "Android" => Device::Tablet,
            (Device::Unknown, Some(false)) if draft.os == "iOS" => return,
            (Device::Unknown, Some(false)) => Device::Desktop,
            (form, _) => form,
        };
    }
}

/// The one brand that is neither filler (GREASE: `Not?A_Brand`, always another spelling) nor the engine, if there is one.
fn specific_brand(list: &str) -> Option<Brand<'_>> {
    let mut engine = None;
    for brand in brands(list) {
        if is_filler(brand.name) {
            continue;
        }
        let brand = Brand {
            name: browser_name(brand.name),
            ..brand
        };
        if brand.name != "Chromium" {
            return Some(brand);
        }
        engine = Some(brand);
    }
    engine
}

/// The members of a list such as `"Google Chrome";v="120", "Not_A Brand";v="8"`, up to the first that is none. Names may hold
/// commas and semicolons.
fn brands(list: &str) -> impl Iterator<Item = Brand<'_>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once('"')?;
        let (name, after) = after.split_once('"')?;
        let after = after.trim_start().strip_prefix(";v=\"")?;
        let (version, after) = after.split_once('"')?;
        rest = after;
        Some(Brand { name, version })
    })
}

fn is_filler(brand: &str) -> bool {
    let letters = brand.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).eq("notabrand".chars())
}

fn browser_name(brand: &str) -> &str {
    match brand {
        "Google Chrome" => "Chrome",
        "Microsoft Edge" => "Edge",
        "Opera GX" | "OperaMobile" | "Opera Mobile" => "Opera",
        "Yandex" | "YaBrowser" => "Yandex Browser",
        "Android WebView" | "Microsoft Edge WebView2" => "WebView",
        name => name,
    }
}

fn system_name(platform: &str) -> Option<&str> {
    match platform {
        "" | "Unknown" => None,
        "Chrome OS" | "Chromium OS" => Some("ChromeOS"),
        "Mac OS X" => Some("macOS"),
        name => Some(name),
    }
}

/// Windows 11 calls itself 13 and more here, Windows 10 1 to 10, the older ones 0.1 to 0.3.
/// <https://learn.microsoft.com/microsoft-edge/web-platform/how-to-detect-win11>
fn windows_version(version: &str) -> &'static str {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(13..), _) => "11",
        (Some(1..), _) => "10",
        (Some(0), Some(3)) => "8.1",
        (Some(0), Some(2)) => "8",
        (Some(0), Some(1)) => "7",
        _ => "",
    }
}

fn without_zeros(version: &str) -> &str {
    version.trim_end_matches(".0")
}

fn form(list: &str) -> Device {
    // A foldable telephone may be both; it is a telephone.
    let says = |form: &str| list.split(',').any(|item| text(item.trim()) == Some(form));
    if says("Mobile") {
        Device::Mobile
    } else if says("Tablet") {
        Device::Tablet
    } else if says("Desktop") {
        Device::Desktop
    } else {
        Device::Unknown
    }
}

/// A quoted string's text.
fn text(quoted: &str) -> Option<&str> {
    quoted.strip_prefix('"')?.strip_suffix('"')
}
