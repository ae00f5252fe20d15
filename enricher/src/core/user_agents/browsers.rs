//! Browsers and in-app browsers that woothee doesn't know, or takes for the engine that they are built on.

use super::products::leading_version;

/// A part of the header and the name that its sender is known by; the version follows the part. The first that stands in a header counts,
/// so an app stands before the browser that it is built on.
const BROWSERS: [(&str, &str); 126] = [
    // Apps that show pages themselves
    ("FBAV/", "Facebook"),
    ("[FBAN/", "Facebook"),
    ("Instagram ", "Instagram"),
    ("WindowsWechat", "WeChat"),
    ("MicroMessenger/", "WeChat"),
    ("BytedanceWebview/", "TikTok"),
    ("musical_ly_", "TikTok"),
    ("trill_", "TikTok"),
    ("Snapchat/", "Snapchat"),
    ("[Pinterest/", "Pinterest"),
    ("[LinkedInApp]/", "LinkedIn"),
    ("[LinkedInApp]", "LinkedIn"),
    ("Twitter for iPhone/", "Twitter"),
    ("TwitterAndroid", "Twitter"),
    ("Line/", "LINE"),
    ("KAKAOTALK ", "KAKAOTALK"),
    ("KAKAOSTORY/", "KAKAOSTORY"),
    ("NAVER(inapp; search; ", "NAVER"),
    ("DaumApps/", "Daum"),
    ("AliApp(AP/", "Alipay"),
    ("AlipayClient/", "Alipay"),
    ("Klarna/", "Klarna"),
    ("__weibo__", "weibo"),
    ("baiduboxapp/", "Baidu"),
    ("QQ/", "QQ Browser"),
    ("Tesla/", "Tesla"),
    ("Tesla QtCarBrowser", "Tesla"),
    // Built on Chromium or a web view
    ("YaBrowser/", "Yandex Browser"),
    ("YaSearchBrowser/", "Yandex Browser"),
    ("OPT/", "Opera Touch"),
    ("OPiOS/", "Opera Mini"),
    ("Opera Mini/", "Opera Mini"),
    ("OPX/", "Opera"),
    ("OPR/", "Opera"),
    ("Coast/", "Opera Coast"),
    ("Firefox/4.0 Opera ", "Opera"),
    ("MiuiBrowser/", "MIUI Browser"),
    ("MiuiBrowser", "MIUI Browser"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("HeyTapBrowser/", "HeyTap Browser"),
    ("VivoBrowser/", "Vivo Browser"),
    ("PicoBrowser/", "Pico Browser"),
    ("OculusBrowser/", "Oculus Browser"),
    ("Wolvic/", "Wolvic"),
    ("SLBrowser/", "Smart Lenovo Browser"),
    ("UCBrowser/", "UC Browser"),
    ("UBrowser/", "UC Browser"),
    ("UCWEB", "UC Browser"),
    ("MQQBrowser/", "QQ Browser"),
    ("QQBrowserLite/", "QQ Browser Lite"),
    ("QQBrowser/", "QQ Browser"),
    ("Silk/", "Silk"),
    ("Whale/", "Whale"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("Focus/", "Firefox Focus"),
    ("Klar/", "Klar"),
    ("Brave/", "Brave"),
    ("Quark/", "Quark"),
    ("bdbrowser_i18n/", "Baidu"),
    ("bdbrowser/", "Baidu"),
    ("BIDUBrowser/", "Baidu"),
    ("BDSpark/", "Baidu"),
    ("BaiduHD/", "Baidu"),
    ("baidubrowser ", "Baidu"),
    ("QihooBrowser/", "360"),
    ("QIHU 360SE", "360"),
    ("QIHU 360EE", "360"),
    ("Mb2345Browser/", "2345"),
    ("2345Explorer/", "2345"),
    ("2345chrome v", "2345"),
    ("115Browser/", "115"),
    ("LBBROWSER", "LBBROWSER"),
    ("SogouMobileBrowser/", "Sogou Mobile"),
    ("MetaSr ", "Sogou Explorer"),
    ("MZBrowser/", "MZ Browser"),
    ("Maxthon/", "Maxthon"),
    ("MxBrowser/", "Maxthon"),
    ("MXiOS/", "Maxthon"),
    ("Sleipnir/", "Sleipnir"),
    ("Puffin/", "Puffin"),
    ("Vivaldi/", "Vivaldi"),
    ("coc_coc_browser/", "Coc Coc"),
    ("Comodo_Dragon/", "Dragon"),
    ("Dragon/", "Dragon"),
    ("Avast/", "Avast Secure Browser"),
    ("AVG/", "AVG Secure Browser"),
    ("Iridium/", "Iridium"),
    ("Iron/", "Iron"),
    (" Iron ", "Iron"),
    ("Slimjet/", "Slimjet"),
    ("SlimBoat/", "SlimBoat"),
    ("Falkon/", "Falkon"),
    ("QupZilla/", "QupZilla"),
    ("Swing/", "Swing"),
    ("Helio/", "Helio"),
    ("RockMelt/", "RockMelt"),
    ("Electron/", "Electron"),
    ("Cobalt/", "Cobalt"),
    ("Chromium/", "Chromium"),
    // Built on Gecko, WebKit or an engine of their own
    ("LibreWolf/", "LibreWolf"),
    ("Waterfox/", "Waterfox"),
    ("PaleMoon/", "Pale Moon"),
    ("Basilisk/", "Basilisk"),
    ("SeaMonkey/", "SeaMonkey"),
    ("Fennec/", "Fennec"),
    ("Flock/", "Flock"),
    ("Camino/", "Camino"),
    ("K-Meleon/", "K-Meleon"),
    ("Iceweasel/", "Iceweasel"),
    ("IceCat/", "IceCat"),
    ("Iceape/", "Iceape"),
    ("Epiphany/", "Epiphany"),
    ("Konqueror/", "Konqueror"),
    ("konqueror/", "Konqueror"),
    ("rekonq/", "rekonq"),
    ("Midori/", "Midori"),
    ("Ladybird/", "Ladybird"),
    ("Flow/", "Flow"),
    ("NetSurf/", "NetSurf"),
    ("OmniWeb/", "OmniWeb"),
    ("NokiaBrowser/", "NokiaBrowser"),
    ("SailfishBrowser/", "Sailfish Browser"),
    ("wOSBrowser/", "WebOS Browser"),
    ("webOSBrowser/", "WebOS Browser"),
    ("Lynx/", "Lynx"),
];

/// A browser that woothee takes for another one: its name and version.
pub(super) fn browser(user_agent: &str) -> Option<(&'static str, &str)> {
    BROWSERS.iter().find_map(|(part, name)| {
        let at = user_agent.find(part)?;
        // Not the end of another word: `Line/` is not `Online/`.
        let is_a_word = !user_agent[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        let version = leading_version(&user_agent[at + part.len()..]);
        is_a_word.then_some((*name, version))
    })
}

/// The engine's own name and version where the system shows pages without a browser of another name.
pub(super) fn system_browser<'a>(user_agent: &'a str, browser: &str, os: &str) -> Option<(&'static str, &'a str)> {
    match (browser, os) {
        ("WebView", "Android") => Some(("WebView", after(user_agent, "Chrome/")?)),
        ("Safari", "Android") => Some(("Android Browser", after(user_agent, "Version/")?)),
        ("Safari", "BlackBerry") => Some(("BlackBerry", after(user_agent, "Version/")?)),
        _ => None,
    }
}

fn after<'a>(user_agent: &'a str, part: &str) -> Option<&'a str> {
    let (_, version) = user_agent.split_once(part)?;
    Some(leading_version(version))
}
