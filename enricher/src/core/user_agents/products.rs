//! What a User-Agent header names itself: client libraries, tools, bots, apps and televisions that woothee doesn't know.

/// HTTP and gRPC stacks that apps and servers send with: lower-case beginnings of a product's name.
const LIBRARIES: [&str; 22] = [
    "grpc-",
    "grpc/",
    "okhttp",
    "go-http-client",
    "tonic",
    "dart",
    "java/",
    "java-http-client",
    "apache-httpclient",
    "ktor",
    "hyper/",
    "reqwest",
    "node/",
    "node-fetch",
    "undici",
    "axios",
    "got/",
    "alamofire",
    "cfnetwork",
    "cronet",
    "connect-",
    "gosight-",
];

/// Programs that act without a person: lower-case beginnings of the first product's name.
const TOOLS: [&str; 20] = [
    "curl/",
    "wget/",
    "python-requests/",
    "python-urllib/",
    "python-httpx/",
    "python/",
    "aiohttp/",
    "scrapy/",
    "libwww-perl/",
    "php/",
    "guzzlehttp/",
    "ruby",
    "faraday",
    "httpie/",
    "postmanruntime/",
    "insomnia/",
    "k6/",
    "whatsapp/",
    "facebookexternalhit/",
    "phantomjs/",
];

/// Parts of a browser-like header that only programs send, lower case.
const DRIVEN: [&str; 8] = [
    "headlesschrome",
    "chrome-lighthouse",
    "phantomjs",
    "google-inspectiontool",
    "googleother",
    "mediapartners-google",
    "facebookexternalhit",
    "bingpreview",
];

/// Browsers and in-app browsers that woothee takes for another one or for a web view, with the name that they are known by. The
/// version follows the token.
const BROWSERS: [(&str, &str); 26] = [
    ("FBAV/", "Facebook"),
    ("Instagram ", "Instagram"),
    ("MicroMessenger/", "WeChat"),
    ("musical_ly_", "TikTok"),
    ("trill_", "TikTok"),
    ("BytedanceWebview/", "TikTok"),
    ("Snapchat/", "Snapchat"),
    ("[Pinterest/", "Pinterest"),
    ("[LinkedInApp]/", "LinkedIn"),
    ("Line/", "LINE"),
    ("OPT/", "Opera"),
    ("OPiOS/", "Opera"),
    ("OPX/", "Opera"),
    ("MiuiBrowser/", "MIUI Browser"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("HeyTapBrowser/", "HeyTap Browser"),
    ("VivoBrowser/", "Vivo Browser"),
    ("UCBrowser/", "UC Browser"),
    ("QQBrowser/", "QQ Browser"),
    ("Silk/", "Silk"),
    ("Whale/", "Whale"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("Focus/", "Firefox Focus"),
    ("Brave/", "Brave"),
    ("YaBrowser/", "Yandex Browser"),
];

/// Parts of a television's header.
const TELEVISIONS: [&str; 14] = [
    "SMART-TV",
    "SmartTV",
    "Smart TV",
    "HbbTV",
    "Web0S",
    "webOS.TV",
    "AppleTV",
    "Apple TV",
    "Android TV",
    "GoogleTV",
    "BRAVIA",
    "CrKey",
    "; AFT",
    "Roku/",
];

/// Whether the header is that of a client library: it says nothing of the device.
pub fn is_library(user_agent: &str) -> bool {
    !is_browser_like(user_agent)
        && products(user_agent).any(|product| LIBRARIES.iter().any(|library| begins_with(product, library)))
}

/// A program's name and version, where the header is one of a program that acts without a person.
pub(super) fn bot(user_agent: &str) -> Option<(&str, &str)> {
    if let Some(first) = products(user_agent).next()
        && TOOLS.iter().any(|tool| begins_with(first, tool))
    {
        return Some(name_and_version(first));
    }
    let named = products(user_agent).find(|product| is_bots_name(name_and_version(product).0));
    if let Some(product) = named {
        return Some(name_and_version(product));
    }
    // `bot` in an address that the header gives for questions, and nowhere else: a program without a name.
    user_agent
        .split_ascii_whitespace()
        .any(|word| word.contains("://") && word.split(|c: char| !c.is_ascii_alphanumeric()).any(ends_like_a_bot))
        .then_some(("", ""))
}

/// A browser that woothee takes for another one: its name and version.
pub(super) fn browser(user_agent: &str) -> Option<(&'static str, &str)> {
    BROWSERS.iter().find_map(|(token, name)| {
        let at = user_agent.find(token)?;
        // Not the end of another word: `Line/` is not `Online/`.
        let is_a_word = !user_agent[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        let version = leading_version(&user_agent[at + token.len()..]);
        is_a_word.then_some((*name, version))
    })
}

/// Whether the header is a television's.
pub(super) fn is_television(user_agent: &str) -> bool {
    TELEVISIONS.iter().any(|part| user_agent.contains(part))
}

/// The digits and dots that a text begins with.
pub(super) fn leading_version(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text[..end].trim_end_matches('.')
}

fn is_browser_like(user_agent: &str) -> bool {
    user_agent.starts_with("Mozilla/") || user_agent.starts_with("Opera/")
}

/// The words of a header that can be a product: `name/version` or `name`.
fn products(user_agent: &str) -> impl Iterator<Item = &str> {
    user_agent
        .split(|c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | ';' | ','))
        .filter(|word| !word.is_empty() && !word.contains("://"))
}

fn name_and_version(product: &str) -> (&str, &str) {
    match product.split_once('/') {
        Some((name, version)) => (name, leading_version(version)),
        None => (product, ""),
    }
}

fn is_bots_name(name: &str) -> bool {
    DRIVEN.iter().any(|driven| name.eq_ignore_ascii_case(driven)) || name.split(['-', '_', '.']).any(ends_like_a_bot)
}

fn ends_like_a_bot(word: &str) -> bool {
    // Cubot makes telephones.
    !word.eq_ignore_ascii_case("cubot")
        && ["bot", "bots", "crawler", "spider"]
            .iter()
            .any(|ending| ends_with(word, ending))
}

fn begins_with(text: &str, beginning: &str) -> bool {
    text.get(..beginning.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

fn ends_with(text: &str, ending: &str) -> bool {
    text.len()
        .checked_sub(ending.len())
        .and_then(|at| text.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(ending))
}
