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
const DRIVEN: [&str; 20] = [
    "headlesschrome",
    "chrome-lighthouse",
    "phantomjs",
    "google-inspectiontool",
    "googleother",
    "mediapartners-google",
    "facebookexternalhit",
    "bingpreview",
    "slimerjs",
    "ia_archiver",
    "facebookcatalog",
    "google-agent",
    "googleagent-mariner",
    "googleimageproxy",
    "playstore-google",
    "chatgpt-user",
    "perplexity-user",
    "claude-user",
    "slack-imgproxy",
    "checkly",
];

/// How names of programs end that act without a person, lower case.
const ENDINGS: [&str; 18] = [
    "bot",
    "bots",
    "crawler",
    "spider",
    "fetcher",
    "scanner",
    "scraper",
    "checker",
    "monitor",
    "validator",
    "inspector",
    "resolver",
    "archiver",
    "indexer",
    "externalagent",
    "externalads",
    "healthchecks",
    "webhooks",
];

/// Parts of a television's header.
const TELEVISIONS: [&str; 22] = [
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
    "NetCast",
    "NETTV",
    "VIERA",
    "MiTV",
    "MIBOX",
    "AQUOS-TV",
    "OUYA Console",
    "NintendoBrowser",
];

/// Models of tablets whose browsers call themselves mobile: parts of their headers.
const TABLETS: [&str; 17] = [
    "iPad",
    "Tablet",
    "Nexus 7",
    "Nexus 9",
    "Nexus 10",
    "Lenovo TB-",
    "; TB3",
    "-W09",
    "-W19",
    "SM-T",
    "SM-X",
    "; KF",
    "Silk/",
    "Kobo ",
    "Kindle",
    "PlayBook",
    "TouchPad",
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
    // Browsers give no address for questions.
    let (before, _) = user_agent.split_once("http")?;
    let has_address =
        user_agent[before.len()..].starts_with("http://") || user_agent[before.len()..].starts_with("https://");
    has_address.then(|| strangers_name(user_agent))
}

/// How a program calls itself: `Name/1.0 (+https://…)` or `Mozilla/5.0 (compatible; Name/1.0; +https://…)`.
fn strangers_name(user_agent: &str) -> (&str, &str) {
    let mut names = products(user_agent).filter(|product| product.starts_with(|c: char| c.is_ascii_alphabetic()));
    let own = match user_agent.split_once("compatible;") {
        Some((_, after)) => after
            .split([';', ')', ' '])
            .find(|word| !word.is_empty() && !word.contains("://")),
        None => names.next().filter(|_| !is_browser_like(user_agent)),
    };
    own.filter(|name| !name.starts_with('+'))
        .map(name_and_version)
        .unwrap_or_default()
}

/// Whether the header is a television's.
pub(super) fn is_television(user_agent: &str) -> bool {
    TELEVISIONS.iter().any(|part| user_agent.contains(part))
}

/// Whether the header names a tablet.
pub(super) fn is_tablet(user_agent: &str) -> bool {
    TABLETS.iter().any(|part| user_agent.contains(part))
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
    !word.eq_ignore_ascii_case("cubot") && ENDINGS.iter().any(|ending| ends_with(word, ending))
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
