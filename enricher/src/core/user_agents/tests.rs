use std::collections::BTreeMap;

use super::{Agent, UserAgents, is_library};

/// User-Agent, then what must come out of it: browser, version, system, version, device.
type Row = (&'static str, [&'static str; 5]);

/// The same with client hints.
type HintedRow<'a> = (&'a str, &'a [(&'a str, &'a str)], [&'a str; 5]);

#[rustfmt::skip]
const HEADERS: &[Row] = &[
    // Desktop browsers
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        ["Chrome", "131.0.0.0", "Windows", "10", "desktop"]),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        ["Chrome", "131.0.0.0", "macOS", "10.15.7", "desktop"]),
    ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        ["Chrome", "131.0.0.0", "Linux", "", "desktop"]),
    ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        ["Chrome", "131.0.0.0", "ChromeOS", "14541.0.0", "desktop"]),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.2903.86",
        ["Edge", "131.0.2903.86", "Windows", "10", "desktop"]),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
        ["Firefox", "133.0", "Windows", "10", "desktop"]),
    ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
        ["Firefox", "133.0", "Linux", "", "desktop"]),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:133.0) Gecko/20100101 Firefox/133.0",
        ["Firefox", "133.0", "macOS", "10.15", "desktop"]),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1.1 Safari/605.1.15",
        ["Safari", "18.1.1", "macOS", "10.15.7", "desktop"]),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0",
        ["Opera", "115.0.0.0", "Windows", "10", "desktop"]),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Vivaldi/7.0.3495.23",
        ["Vivaldi", "7.0.3495.23", "Windows", "10", "desktop"]),
    ("Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
        ["Internet Explorer", "11.0", "Windows", "7", "desktop"]),
    ("Mozilla/5.0 (Windows NT 6.3; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Safari/537.36",
        ["Chrome", "109.0.0.0", "Windows", "8.1", "desktop"]),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 YaBrowser/24.12.0.0 Safari/537.36",
        ["Yandex Browser", "24.12.0.0", "Windows", "10", "desktop"]),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15",
        ["Safari", "17.0", "macOS", "14.0", "desktop"]),
    // Telephones
    ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
        ["Chrome", "131.0.0.0", "Android", "10", "mobile"]),
    ("Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0",
        ["Firefox", "133.0", "Android", "14", "mobile"]),
    ("Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36",
        ["Samsung Internet", "26.0", "Android", "14", "mobile"]),
    ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36 EdgA/131.0.2903.87",
        ["Edge", "131.0.2903.87", "Android", "10", "mobile"]),
    ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36 OPR/86.0.0.0",
        ["Opera", "86.0.0.0", "Android", "10", "mobile"]),
    ("Mozilla/5.0 (Linux; U; Android 13; en-us; 2201117TG) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/112.0.5615.136 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.8.0-gn",
        ["MIUI Browser", "14.8.0", "Android", "13", "mobile"]),
    ("Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
        ["Chrome", "120.0.0.0", "Android", "10", "mobile"]),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1.1 Mobile/15E148 Safari/604.1",
        ["Safari", "18.1.1", "iOS", "18.1.1", "mobile"]),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1",
        ["Chrome", "131.0.6778.73", "iOS", "17.7", "mobile"]),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 14_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/133.0 Mobile/15E148 Safari/605.1.15",
        ["Firefox", "133.0", "iOS", "14.7", "mobile"]),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 EdgiOS/131.0.2903.92 Mobile/15E148 Safari/605.1.15",
        ["Edge", "131.0.2903.92", "iOS", "17.7", "mobile"]),
    // Tablets
    ("Mozilla/5.0 (iPad; CPU OS 17_7_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.7 Mobile/15E148 Safari/604.1",
        ["Safari", "17.7", "iOS", "17.7.2", "tablet"]),
    ("Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        ["Chrome", "131.0.0.0", "Android", "13", "tablet"]),
    ("Mozilla/5.0 (Android 13; Tablet; rv:133.0) Gecko/133.0 Firefox/133.0",
        ["Firefox", "133.0", "Android", "13", "tablet"]),
    ("Mozilla/5.0 (Linux; Android 9; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/112.4.1 like Chrome/112.0.5615.213 Safari/537.36",
        ["Silk", "112.4.1", "Android", "9", "tablet"]),
    // In-app browsers
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21F90 [FBAN/FBIOS;FBAV/468.0.0.41.71;FBBV/603000000]",
        ["Facebook", "468.0.0.41.71", "iOS", "17.5.1", "mobile"]),
    ("Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP2A.240805.005; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.6778.39 Mobile Safari/537.36 Instagram 356.0.0.41.101 Android (34/14; 420dpi)",
        ["Instagram", "356.0.0.41.101", "Android", "14", "mobile"]),
    ("Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP2A.240805.005; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.6778.39 Mobile Safari/537.36",
        ["WebView", "131.0.6778.39", "Android", "14", "mobile"]),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/345.0.703 Mobile/15E148 Safari/604.1",
        ["Google Search App", "345.0.703", "iOS", "17.7", "mobile"]),
    // Bots
    ("Mozilla/5.0 (compatible; Uptime/1.0; https://uptime.example)", ["Uptime", "1.0", "", "", "bot"]),
    ("LinkAce/1 (https://links.example)", ["LinkAce", "1", "", "", "bot"]),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        ["Googlebot", "2.1", "", "", "bot"]),
    ("Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.85 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        ["Googlebot", "2.1", "", "", "bot"]),
    ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
        ["bingbot", "2.0", "", "", "bot"]),
    ("Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
        ["SemrushBot", "7", "", "", "bot"]),
    ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        ["GPTBot", "1.2", "", "", "bot"]),
    ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.6778.85 Safari/537.36",
        ["HeadlessChrome", "131.0.6778.85", "Linux", "", "bot"]),
    ("curl/8.5.0", ["curl", "8.5.0", "", "", "bot"]),
    ("python-requests/2.32.3", ["python-requests", "2.32.3", "", "", "bot"]),
    ("Wget/1.21.4", ["Wget", "1.21.4", "", "", "bot"]),
    ("Mozilla/5.0 (compatible; +https://example.com/our-crawler.html)", ["", "", "", "", "bot"]),
    // Televisions and consoles have no device type downstream
    ("Mozilla/5.0 (SMART-TV; LINUX; Tizen 8.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/8.0 TV Safari/537.36",
        ["Safari", "8.0", "Tizen", "8.0", ""]),
    ("Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.269 Safari/537.36 WebAppManager",
        ["Chrome", "120.0.6099.269", "webOS", "", ""]),
    ("Mozilla/5.0 (Linux; Android 12; BRAVIA 4K UR2) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36",
        ["Chrome", "122.0.0.0", "Android", "12", ""]),
    ("Mozilla/5.0 (PlayStation 4 11.00) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        ["PlayStation 4", "", "PlayStation 4", "11.00", ""]),
    // Client libraries
    ("okhttp/4.12.0", [""; 5]),
    ("grpc-java-okhttp/1.68.1", [""; 5]),
    ("shop-backend/3.1 grpc-go/1.68.0", [""; 5]),
    ("grpc-web-javascript/0.1", [""; 5]),
    ("tonic/0.14.2", [""; 5]),
    ("Go-http-client/2.0", [""; 5]),
    ("Dart/3.5 (dart:io)", [""; 5]),
    ("Java/21.0.2", [""; 5]),
    ("Shop/42 CFNetwork/1568.200.51 Darwin/24.1.0", [""; 5]),
    ("Dalvik/2.1.0 (Linux; U; Android 13; SM-G991B Build/TP1A.220624.014)", ["", "", "Android", "13", ""]),
    // Nonsense
    ("", [""; 5]),
    ("-", [""; 5]),
    ("something that nobody knows", [""; 5]),
];

fn facts(agent: &Agent) -> [&str; 5] {
    [
        &agent.browser,
        &agent.browser_version,
        &agent.os,
        &agent.os_version,
        &agent.device_type,
    ]
}

fn hints(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

const CHROME_ON_WINDOWS: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
const CHROME_ON_ANDROID: &str =
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36";

#[test]
fn headers_read_as_downstream_wants_them() {
    let agents = UserAgents::new(100);
    let none = BTreeMap::new();
    let mut wrong = Vec::new();
    for (header, expected) in HEADERS {
        let agent = agents.parse(Some(header), &none);
        if facts(&agent) != *expected {
            wrong.push(format!("{header}\n  gave {:?}\n  not  {expected:?}", facts(&agent)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[rustfmt::skip]
fn client_hints_win_where_they_speak() {
    let brands = r#""Google Chrome";v="131", "Chromium";v="131", "Not_A Brand";v="24""#;
    let full = r#""Not_A Brand";v="24.0.0.0", "Chromium";v="131.0.6778.86", "Google Chrome";v="131.0.6778.86""#;
    let rows: &[HintedRow<'_>] = &[
        // The header's own version is longer than the brand's.
        (CHROME_ON_WINDOWS, &[("sec-ch-ua", brands), ("sec-ch-ua-mobile", "?0"), ("sec-ch-ua-platform", "\"Windows\"")],
            ["Chrome", "131.0.0.0", "Windows", "10", "desktop"]),
        (CHROME_ON_WINDOWS, &[("sec-ch-ua-full-version-list", full), ("sec-ch-ua-platform", "\"Windows\""), ("sec-ch-ua-platform-version", "\"15.0.0\"")],
            ["Chrome", "131.0.6778.86", "Windows", "11", "desktop"]),
        (CHROME_ON_WINDOWS, &[("sec-ch-ua-platform", "\"Windows\""), ("sec-ch-ua-platform-version", "\"10.0.0\"")],
            ["Chrome", "131.0.0.0", "Windows", "10", "desktop"]),
        (CHROME_ON_WINDOWS, &[("sec-ch-ua-platform", "\"Windows\""), ("sec-ch-ua-platform-version", "\"0.3.0\"")],
            ["Chrome", "131.0.0.0", "Windows", "8.1", "desktop"]),
        // Filler in every spelling, before, between and after, with commas and semicolons inside.
        (CHROME_ON_WINDOWS, &[("sec-ch-ua", r#"" Not A;Brand";v="99", "Chromium";v="131", "Brave";v="131""#)],
            ["Brave", "131", "Windows", "10", "desktop"]),
        (CHROME_ON_WINDOWS, &[("sec-ch-ua", r#""(Not(A:Brand";v="8", "Chromium";v="131", "Opera GX";v="115""#)],
            ["Opera", "115", "Windows", "10", "desktop"]),
        (CHROME_ON_WINDOWS, &[("sec-ch-ua", r#""Microsoft Edge";v="131", "Not?A_Brand";v="24""#)],
            ["Edge", "131", "Windows", "10", "desktop"]),
        // The engine alone says less than the header.
        (CHROME_ON_WINDOWS, &[("sec-ch-ua", r#""Chromium";v="131", "Not?A_Brand";v="24""#)],
            ["Chrome", "131.0.0.0", "Windows", "10", "desktop"]),
        (CHROME_ON_WINDOWS, &[("sec-ch-ua", r#""HeadlessChrome";v="131", "Chromium";v="131""#)],
            ["HeadlessChrome", "131", "Windows", "10", "bot"]),
        (CHROME_ON_ANDROID, &[("sec-ch-ua-mobile", "?1"), ("sec-ch-ua-platform", "\"Android\""), ("sec-ch-ua-platform-version", "\"15.0.0\"")],
            ["Chrome", "131.0.0.0", "Android", "15", "mobile"]),
        (CHROME_ON_ANDROID, &[("sec-ch-ua-mobile", "?0"), ("sec-ch-ua-platform", "\"Android\"")],
            ["Chrome", "131.0.0.0", "Android", "10", "tablet"]),
        (CHROME_ON_ANDROID, &[("sec-ch-ua-mobile", "?0"), ("sec-ch-ua-form-factors", r#""Tablet", "XR""#)],
            ["Chrome", "131.0.0.0", "Android", "10", "tablet"]),
        // A tablet that asks for the desktop's page.
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            &[("sec-ch-ua-mobile", "?0"), ("sec-ch-ua-platform", "\"Android\""), ("sec-ch-ua-platform-version", "\"14.0.0\"")],
            ["Chrome", "131.0.0.0", "Android", "14", "tablet"]),
        ("", &[("sec-ch-ua", brands), ("sec-ch-ua-mobile", "?0"), ("sec-ch-ua-platform", "\"Chrome OS\"")],
            ["Chrome", "131", "ChromeOS", "", "desktop"]),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            &[("sec-ch-ua-platform", "\"macOS\""), ("sec-ch-ua-platform-version", "\"15.1.1\"")],
            ["Chrome", "131.0.0.0", "macOS", "15.1.1", "desktop"]),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            &[("sec-ch-ua-platform", "\"Linux\""), ("sec-ch-ua-platform-version", "\"6.5.0\"")],
            ["Chrome", "131.0.0.0", "Linux", "", "desktop"]),
        // An app around a web view has a name of its own.
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.0.0 Mobile Safari/537.36 Instagram 356.0.0.41.101 Android",
            &[("sec-ch-ua", r#""Android WebView";v="131", "Chromium";v="131""#)],
            ["Instagram", "356.0.0.41.101", "Android", "14", "mobile"]),
        // Bots stay bots, libraries say nothing, nonsense changes nothing.
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", &[("sec-ch-ua", brands), ("sec-ch-ua-mobile", "?1")],
            ["Googlebot", "2.1", "", "", "bot"]),
        ("okhttp/4.12.0", &[("sec-ch-ua-platform", "\"Android\"")], [""; 5]),
        (CHROME_ON_WINDOWS, &[("sec-ch-ua", r#""Unclosed;v="1"#), ("sec-ch-ua-mobile", "yes"), ("sec-ch-ua-platform", "Windows"), ("sec-ch-ua-platform-version", "\"")],
            ["Chrome", "131.0.0.0", "Windows", "10", "desktop"]),
    ];
    let agents = UserAgents::new(100);
    for (header, pairs, expected) in rows {
        let agent = agents.parse(Some(header), &hints(pairs));
        assert_eq!(facts(&agent), *expected, "{header}\n{pairs:?}");
    }
}

#[test]
fn a_client_is_remembered_with_its_hints_and_no_more_than_allowed_are() {
    let agents = UserAgents::new(10);
    let eleven = hints(&[
        ("sec-ch-ua-platform", "\"Windows\""),
        ("sec-ch-ua-platform-version", "\"15.0.0\""),
        ("sec-ch-ua-arch", "\"x86\""),
    ]);
    for _ in 0..2 {
        assert_eq!(
            &*agents.parse(Some(CHROME_ON_WINDOWS), &BTreeMap::new()).os_version,
            "10"
        );
        assert_eq!(&*agents.parse(Some(CHROME_ON_WINDOWS), &eleven).os_version, "11");
    }
    agents.parsed.run_pending_tasks();
    assert_eq!(agents.parsed.entry_count(), 2);
    for number in 0..1000 {
        agents.parse(Some(&format!("{CHROME_ON_WINDOWS} {number}")), &BTreeMap::new());
    }
    agents.parsed.run_pending_tasks();
    assert!(agents.parsed.entry_count() <= 10);
}

#[test]
fn whatever_its_length_a_header_costs_little_and_keeps_its_beginning() {
    let agents = UserAgents::new(10);
    let long = format!("{CHROME_ON_WINDOWS} {}", "ü".repeat(1_000_000));
    let many = hints(&[("sec-ch-ua", &"\"A\";v=\"1\", ".repeat(100_000))]);
    let agent = agents.parse(Some(&long), &many);
    assert_eq!(facts(&agent), ["Chrome", "131.0.0.0", "Windows", "10", "desktop"]);
    let key_lengths: Vec<usize> = agents.parsed.iter().map(|(key, _)| key.len()).collect();
    assert!(key_lengths.iter().all(|length| *length <= 1024), "{key_lengths:?}");

    let version = "1".repeat(900);
    let agent = agents.parse(Some(&format!("curl/{version}")), &BTreeMap::new());
    assert_eq!(agent.browser_version.len(), 64);
}

#[test]
fn a_browser_is_no_library_whatever_else_it_names() {
    assert!(is_library("GRPC-Swift/1.2"));
    assert!(!is_library(CHROME_ON_WINDOWS));
    assert!(!is_library(&format!("{CHROME_ON_WINDOWS} okhttp/4")));
    assert!(!is_library(""));
}
