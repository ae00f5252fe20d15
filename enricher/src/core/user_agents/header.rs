//! The User-Agent header: woothee's reading of it in the words that downstream knows.

use std::borrow::Cow;

use woothee::parser::{Parser, WootheeResult};

use super::{browsers, products, systems};

/// woothee's word for what it doesn't know.
const UNKNOWN: &str = "UNKNOWN";

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Draft<'a> {
    pub(super) browser: Cow<'a, str>,
    pub(super) browser_version: Cow<'a, str>,
    pub(super) os: Cow<'a, str>,
    pub(super) os_version: Cow<'a, str>,
    pub(super) device: Device,
}

/// What kind of device it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Device {
    /// Nothing tells.
    #[default]
    Unknown,
    /// A television or a console: downstream has no word for it.
    Appliance,
    Desktop,
    Mobile,
    Tablet,
    Bot,
}

impl Device {
    /// Downstream's word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown | Self::Appliance => "",
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Bot => "bot",
        }
    }
}

impl<'a> Draft<'a> {
    /// What the header alone tells.
    pub(super) fn of_header(user_agent: &'a str) -> Self {
        let Some(read) = Parser::new().parse(user_agent).filter(|_| !user_agent.is_empty()) else {
            return Self::of_stranger(user_agent);
        };
        let (os, os_version) = system(&read, user_agent);
        let device = device(read.category, &os, user_agent);
        let mut draft = Self {
            browser: browser_name(known(read.name)).into(),
            browser_version: known(read.version).into(),
            os,
            os_version,
            device,
        };
        let found = browsers::browser(user_agent);
        if let Some((browser, version)) =
            found.or_else(|| browsers::system_browser(user_agent, &draft.browser, &draft.os))
        {
            draft.browser = browser.into();
            draft.browser_version = version.into();
        }
        draft.mark_bot(user_agent, read.category == "crawler");
        draft
    }

    /// A header that woothee makes nothing of.
    fn of_stranger(user_agent: &'a str) -> Self {
        let mut draft = Self::default();
        if let Some((browser, version)) = browsers::browser(user_agent) {
            draft.browser = browser.into();
            draft.browser_version = version.into();
        }
        if let Some((os, version)) = systems::system(user_agent) {
            draft.os = os.into();
            draft.os_version = version.into();
        }
        draft.device = device("", &draft.os, user_agent);
        draft.mark_bot(user_agent, false);
        draft
    }

    fn mark_bot(&mut self, user_agent: &'a str, known_crawler: bool) {
        let found = products::bot(user_agent);
        if !known_crawler && found.is_none() {
            return;
        }
        self.device = Device::Bot;
        if let (true, Some((name, version))) = (self.browser_version.is_empty(), found)
            && self.browser.eq_ignore_ascii_case(name)
        {
            self.browser_version = version.into();
        }
        // woothee's name of a crawler is the common one; for all others it names the browser that they pretend to be.
        if !known_crawler || self.browser.is_empty() {
            let (name, version) = found.unwrap_or_default();
            self.browser = name.into();
            self.browser_version = version.into();
        }
    }
}

fn known(text: &str) -> &str {
    if text == UNKNOWN { "" } else { text }
}

fn browser_name(woothee: &str) -> &str {
    match woothee {
        "SamsungBrowser" => "Samsung Internet",
        "Webview" => "WebView",
        // These are libraries and stations, no browsers.
        "HTTP Library" | "misc crawler" | "RSSReader" => "",
        name => name,
    }
}

/// The operating system's name and version.
fn system<'a>(read: &WootheeResult<'a>, user_agent: &'a str) -> (Cow<'a, str>, Cow<'a, str>) {
    let version = match read.os_version.as_ref() {
        UNKNOWN => Cow::Borrowed(""),
        _ => read.os_version.clone(),
    };
    if let Some((os, version)) = systems::system(user_agent) {
        return (os.into(), version.into());
    }
    if let Some(version) = systems::xbox(user_agent) {
        return ("Xbox".into(), version.into());
    }
    if systems::is_ipad_as_mac(user_agent) {
        return ("iOS".into(), "".into());
    }
    if let Some(version) = systems::apple_version(user_agent, "iPhone OS ") {
        return ("iOS".into(), version.into());
    }
    match known(read.os) {
        "Mac OSX" if version.is_empty() => {
            let newer = systems::apple_version(user_agent, "Mac OS X ");
            ("macOS".into(), newer.unwrap_or_default().into())
        }
        "Mac OSX" => ("macOS".into(), version),
        "Mac OS Classic" => ("macOS".into(), version),
        "iPhone" | "iPad" | "iPod" | "iOS" => {
            let newer = systems::apple_version(user_agent, "CPU OS ").filter(|_| version.is_empty());
            ("iOS".into(), newer.map_or(version, Cow::Owned))
        }
        "Windows Phone OS" => ("Windows Phone".into(), version),
        "Windows UNKNOWN Ver" => ("Windows".into(), "".into()),
        // The processor stands before the version.
        "ChromeOS" => {
            let last = version.rsplit(' ').next().unwrap_or_default().to_owned();
            ("ChromeOS".into(), last.into())
        }
        "BlackBerry 10" => ("BlackBerry".into(), version),
        "" if user_agent.contains("Windows NT") => ("Windows".into(), "".into()),
        name => match name.strip_prefix("Windows ") {
            Some(windows) => ("Windows".into(), windows.to_owned().into()),
            None => (name.to_owned().into(), version),
        },
    }
}

fn device(category: &str, os: &str, user_agent: &str) -> Device {
    let is_mobile = || user_agent.contains("Mobile") || user_agent.contains("(Phone;");
    if products::is_television(user_agent) || category == "appliance" {
        return Device::Appliance;
    }
    match os {
        "iOS" if user_agent.contains("iPad") || systems::is_ipad_as_mac(user_agent) => Device::Tablet,
        // The system's own HTTP client, which does not tell a telephone from a tablet.
        "Android" if user_agent.starts_with("Dalvik/") => Device::Unknown,
        "Android" | "HarmonyOS" | "webOS" | "BlackBerry" | "Firefox OS" if products::is_tablet(user_agent) => {
            Device::Tablet
        }
        "Android" if !user_agent.contains("Mobi") => Device::Tablet,
        "iOS" | "Android" | "Firefox OS" | "Windows Phone" | "BlackBerry" | "Bada" | "Symbian" | "Series40"
        | "Windows Mobile" | "KaiOS" | "MeeGo" => Device::Mobile,
        "HarmonyOS" | "Tizen" | "Sailfish" | "Maemo" | "webOS" if is_mobile() => Device::Mobile,
        // Kindles and others that ask for the desktop's page.
        "Linux" | "macOS" if user_agent.contains("Silk/") || user_agent.contains("Kobo ") => Device::Tablet,
        "Windows" | "macOS" | "Linux" | "ChromeOS" | "BSD" => Device::Desktop,
        "FreeBSD" | "OpenBSD" | "NetBSD" | "DragonFly" | "Solaris" | "Haiku" => Device::Desktop,
        _ => match category {
            "pc" => Device::Desktop,
            "smartphone" | "mobilephone" => Device::Mobile,
            _ => Device::Unknown,
        },
    }
}
