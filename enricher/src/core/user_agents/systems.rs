//! Operating systems that woothee doesn't know, or takes for the one that they pretend to be.

use super::products::leading_version;

/// A part of the header and the system's name; the version follows the part. The first that stands in a header counts.
const SYSTEMS: [(&str, &str); 38] = [
    ("Tizen/", "Tizen"),
    ("Tizen ", "Tizen"),
    ("OpenHarmony ", "HarmonyOS"),
    ("HarmonyOS", "HarmonyOS"),
    ("hpwOS/", "webOS"),
    ("webOS/", "webOS"),
    ("Web0S", "webOS"),
    ("webOS.TV", "webOS"),
    ("KAIOS/", "KaiOS"),
    ("Sailfish ", "Sailfish"),
    ("Sailfish;", "Sailfish"),
    ("Bada/", "Bada"),
    ("RIM Tablet OS ", "BlackBerry"),
    ("SymbianOS/", "Symbian"),
    ("Symbian/", "Symbian"),
    ("Symbian;", "Symbian"),
    ("Series 60", "Symbian"),
    ("Series40", "Series40"),
    ("Maemo ", "Maemo"),
    ("Maemo;", "Maemo"),
    ("MeeGo", "MeeGo"),
    ("Windows Mobile/", "Windows Mobile"),
    ("Windows Mobile;", "Windows Mobile"),
    ("Windows IoT ", "Windows IoT"),
    ("Windows Phone;", "Windows Phone"),
    ("Roku/DVP-", "Roku"),
    ("CrKey/", "Chromecast"),
    ("watchOS/", "watchOS"),
    ("Watch OS,", "watchOS"),
    ("Fuchsia", "Fuchsia"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("NetBSD", "NetBSD"),
    ("DragonFly", "DragonFly"),
    ("SunOS ", "Solaris"),
    ("Haiku", "Haiku"),
    ("AIX ", "AIX"),
    ("QNX ", "QNX"),
];

/// A system with its version.
pub(super) fn system(user_agent: &str) -> Option<(&'static str, &str)> {
    SYSTEMS.iter().find_map(|(part, name)| {
        let (_, after) = user_agent.split_once(part)?;
        Some((*name, leading_version(after)))
    })
}

/// Which Xbox it is.
pub(super) fn xbox(user_agent: &str) -> Option<&str> {
    let (_, after) = user_agent.split_once("; Xbox; Xbox ")?;
    after.split([';', ')']).next()
}

/// The version of Apple's system after a part such as `Mac OS X `, its numbers apart by `_` or `.`; woothee knows macOS 10 alone.
pub(super) fn apple_version(user_agent: &str, part: &str) -> Option<String> {
    let (_, after) = user_agent.split_once(part)?;
    let end = after
        .find(|c: char| !c.is_ascii_digit() && c != '_' && c != '.')
        .unwrap_or(after.len());
    let version = after[..end].replace('_', ".");
    Some(version).filter(|version| !version.is_empty())
}

/// A browser that exists on iOS alone, in the mode in which an iPad asks for the desktop's page.
pub(super) fn is_ipad_as_mac(user_agent: &str) -> bool {
    user_agent.contains("Macintosh")
        && ["FxiOS/", "CriOS/", "EdgiOS/", "OPiOS/"]
            .iter()
            .any(|part| user_agent.contains(part))
}
