//! Where a visitor came from, by the host of the page's referrer.

use std::borrow::Cow;

use gosight_schemas::{EnrichedEvent, Referrer};

/// Bytes of a host name (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;

/// Sites whose visitors have a purpose, with their medium and name. A subdomain belongs to its site, and the longest name that fits counts;
/// `.*` stands for any country's ending.
const SITES: [(&str, &str, &str); 71] = [
    ("google.*", "search", "Google"),
    ("bing.com", "search", "Bing"),
    ("search.yahoo.com", "search", "Yahoo"),
    ("search.yahoo.co.jp", "search", "Yahoo"),
    ("duckduckgo.com", "search", "DuckDuckGo"),
    ("yandex.*", "search", "Yandex"),
    ("ya.ru", "search", "Yandex"),
    ("baidu.com", "search", "Baidu"),
    ("sogou.com", "search", "Sogou"),
    ("so.com", "search", "360 Search"),
    ("ecosia.org", "search", "Ecosia"),
    ("qwant.com", "search", "Qwant"),
    ("startpage.com", "search", "Startpage"),
    ("search.brave.com", "search", "Brave Search"),
    ("kagi.com", "search", "Kagi"),
    ("search.naver.com", "search", "Naver"),
    ("search.daum.net", "search", "Daum"),
    ("search.seznam.cz", "search", "Seznam"),
    ("search.aol.com", "search", "AOL"),
    ("ask.com", "search", "Ask"),
    ("mojeek.com", "search", "Mojeek"),
    ("swisscows.com", "search", "Swisscows"),
    ("com.google.android.googlequicksearchbox", "search", "Google"),
    ("facebook.com", "social", "Facebook"),
    ("fb.me", "social", "Facebook"),
    ("messenger.com", "social", "Messenger"),
    ("instagram.com", "social", "Instagram"),
    ("threads.net", "social", "Threads"),
    ("threads.com", "social", "Threads"),
    ("t.co", "social", "X"),
    ("x.com", "social", "X"),
    ("twitter.com", "social", "X"),
    ("linkedin.com", "social", "LinkedIn"),
    ("lnkd.in", "social", "LinkedIn"),
    ("com.linkedin.android", "social", "LinkedIn"),
    ("reddit.com", "social", "Reddit"),
    ("youtube.com", "social", "YouTube"),
    ("youtu.be", "social", "YouTube"),
    ("tiktok.com", "social", "TikTok"),
    ("pinterest.*", "social", "Pinterest"),
    ("snapchat.com", "social", "Snapchat"),
    ("tumblr.com", "social", "Tumblr"),
    ("quora.com", "social", "Quora"),
    ("vk.com", "social", "VK"),
    ("ok.ru", "social", "OK"),
    ("weibo.com", "social", "Weibo"),
    ("bsky.app", "social", "Bluesky"),
    ("mastodon.social", "social", "Mastodon"),
    ("discord.com", "social", "Discord"),
    ("whatsapp.com", "social", "WhatsApp"),
    ("t.me", "social", "Telegram"),
    ("org.telegram.messenger", "social", "Telegram"),
    ("news.ycombinator.com", "social", "Hacker News"),
    ("xing.com", "social", "XING"),
    ("mail.google.com", "email", "Gmail"),
    ("com.google.android.gm", "email", "Gmail"),
    ("outlook.live.com", "email", "Outlook"),
    ("outlook.office.com", "email", "Outlook"),
    ("mail.yahoo.com", "email", "Yahoo Mail"),
    ("mail.proton.me", "email", "Proton Mail"),
    ("mail.yandex.*", "email", "Yandex Mail"),
    ("e.mail.ru", "email", "Mail.ru"),
    ("mail.aol.com", "email", "AOL Mail"),
    ("chatgpt.com", "assistant", "ChatGPT"),
    ("chat.openai.com", "assistant", "ChatGPT"),
    ("perplexity.ai", "assistant", "Perplexity"),
    ("claude.ai", "assistant", "Claude"),
    ("gemini.google.com", "assistant", "Gemini"),
    ("copilot.microsoft.com", "assistant", "Copilot"),
    ("chat.mistral.ai", "assistant", "Le Chat"),
    ("chat.deepseek.com", "assistant", "DeepSeek"),
];

pub(super) fn add(event: &mut EnrichedEvent<'_>) {
    let Some(page) = &event.page else { return };
    let Some(host) = page.referrer.as_deref().and_then(host) else {
        return;
    };
    let own = page.url.as_deref().and_then(self::host);
    event.referrer = Some(referrer(&host, own.as_deref()));
}

fn referrer(host: &str, own: Option<&str>) -> Referrer {
    if own.is_some_and(|own| belong_together(host, own)) {
        return Referrer {
            medium: "internal",
            source: Cow::Owned(host.to_owned()),
        };
    }
    let known = SITES.iter().filter(|(site, ..)| is_of(host, site));
    match known.max_by_key(|(site, ..)| site.len()) {
        Some((_, medium, name)) => Referrer {
            medium,
            source: Cow::Borrowed(name),
        },
        None => Referrer {
            medium: "other",
            source: Cow::Owned(host.to_owned()),
        },
    }
}

/// The host of an absolute address, lower case, without `www.`; of an Android app its package.
fn host(url: &str) -> Option<Cow<'_, str>> {
    let (scheme, rest) = url.split_once("://")?;
    if !["http", "https", "android-app"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    let host = host.trim_end_matches('.');
    if host.is_empty() || host.len() > MAX_HOST {
        return None;
    }
    let host = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(host.to_ascii_lowercase()),
        false => Cow::Borrowed(host),
    };
    Some(match host {
        Cow::Borrowed(host) => Cow::Borrowed(host.strip_prefix("www.").unwrap_or(host)),
        Cow::Owned(host) => Cow::Owned(host.strip_prefix("www.").map_or(host.clone(), str::to_owned)),
    })
}

/// Whether one is the other, or a subdomain of it.
fn belong_together(one: &str, other: &str) -> bool {
    is_within(one, other) || is_within(other, one)
}

fn is_within(host: &str, site: &str) -> bool {
    let Some(before) = host.strip_suffix(site) else {
        return false;
    };
    before.is_empty() || before.ends_with('.')
}

fn is_of(host: &str, site: &str) -> bool {
    let Some(name) = site.strip_suffix(".*") else {
        return is_within(host, site);
    };
    let Some(at) = host.rfind(name) else { return false };
    let ending = host[at + name.len()..].strip_prefix('.');
    // `de`, `com`, `co.uk`, `com.tr`.
    let is_ending = ending.is_some_and(|ending| match ending.split_once('.') {
        None => !ending.is_empty(),
        Some((second, country)) => matches!(second, "co" | "com") && country.len() == 2,
    });
    is_ending && is_within(&host[..at + name.len()], name)
}

#[cfg(test)]
mod tests {
    use super::{SITES, host, referrer};

    #[test]
    fn a_host_has_a_medium_and_a_name() {
        for (from, own, expected) in [
            ("https://www.google.com/", "https://shop.example/", ("search", "Google")),
            (
                "https://google.co.uk/search?q=x",
                "https://shop.example/",
                ("search", "Google"),
            ),
            (
                "https://images.google.de",
                "https://shop.example/",
                ("search", "Google"),
            ),
            (
                "https://mail.google.com/mail/u/0",
                "https://shop.example/",
                ("email", "Gmail"),
            ),
            (
                "https://gemini.google.com/app",
                "https://shop.example/",
                ("assistant", "Gemini"),
            ),
            (
                "android-app://com.google.android.gm/",
                "https://shop.example/",
                ("email", "Gmail"),
            ),
            (
                "https://l.facebook.com/l.php?u=x",
                "https://shop.example/",
                ("social", "Facebook"),
            ),
            ("https://T.CO/abc", "https://shop.example/", ("social", "X")),
            ("https://yandex.com.tr/", "https://shop.example/", ("search", "Yandex")),
            (
                "https://www.Shop.example/a",
                "https://shop.example/",
                ("internal", "shop.example"),
            ),
            (
                "https://blog.shop.example/",
                "https://shop.example/",
                ("internal", "blog.shop.example"),
            ),
            (
                "http://shop.example:8080/",
                "https://pay.shop.example/",
                ("internal", "shop.example"),
            ),
            (
                "https://otherfacebook.com/",
                "https://shop.example/",
                ("other", "otherfacebook.com"),
            ),
            (
                "https://google.evil.example/",
                "https://shop.example/",
                ("other", "google.evil.example"),
            ),
            ("https://notgoogle.com/", "", ("other", "notgoogle.com")),
            ("https://google.com@evil.example/", "", ("other", "evil.example")),
            ("https://evil.example\\@google.com/", "", ("other", "evil.example")),
            ("https://[2001:db8::1]:8080/", "", ("other", "[2001:db8::1]")),
        ] {
            let found = referrer(&host(from).unwrap(), host(own).as_deref());
            assert_eq!((found.medium, &*found.source), expected, "{from}");
        }
    }

    #[test]
    fn what_is_no_address_has_no_host() {
        for text in [
            "",
            "/path",
            "google.com",
            "about:blank",
            "file:///x",
            "https://",
            "https:///x",
            "javascript://x/",
        ] {
            assert_eq!(host(text), None, "{text}");
        }
        assert_eq!(host(&format!("https://{}/", "x".repeat(254))), None);
    }

    #[test]
    fn no_site_stands_twice_and_each_is_found_by_its_own_name() {
        for (index, (site, medium, name)) in SITES.into_iter().enumerate() {
            assert!(SITES[..index].iter().all(|(before, ..)| *before != site), "{site}");
            let found = referrer(&site.replace('*', "de"), None);
            assert_eq!((found.medium, &*found.source), (medium, name), "{site}");
        }
    }
}
