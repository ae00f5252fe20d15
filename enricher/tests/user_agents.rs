//! How many real User-Agent headers are read right, field by field, beside plain woothee. fixtures/user_agents/make.py says where
//! headers and expectations come from; `--nocapture` shows the shares and, with `SHOW_WRONG=1`, every miss.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(clippy::print_stdout, reason = "the shares are for people")]

use std::collections::BTreeMap;
use std::env;

use gosight_enricher::core::UserAgents;
use serde::Deserialize;
use woothee::parser::Parser;

const TABLE: &str = include_str!("fixtures/user_agents/table.jsonl");

/// Per mille of the headers that must be read right in each field. It was that much when it was last raised; it never falls.
const FLOORS: [(&str, usize); 5] = [
    ("browser", 787),
    ("browser_version", 786),
    ("os", 887),
    ("os_version", 841),
    ("device_type", 901),
];

/// A header with what it must be read as; `None` where the source doesn't tell.
#[derive(Deserialize)]
struct Row {
    user_agent: String,
    browser: Option<String>,
    browser_version: Option<String>,
    os: Option<String>,
    os_version: Option<String>,
    device_type: Option<String>,
}

/// In the order of [`FLOORS`].
type Facts = [String; 5];

impl Row {
    fn expected(&self) -> [Option<&str>; 5] {
        [
            self.browser.as_deref(),
            self.browser_version.as_deref(),
            self.os.as_deref(),
            self.os_version.as_deref(),
            self.device_type.as_deref(),
        ]
    }
}

fn ours(agents: &UserAgents, header: &str) -> Facts {
    let agent = agents.parse(Some(header), &BTreeMap::new());
    [
        &agent.browser,
        &agent.browser_version,
        &agent.os,
        &agent.os_version,
        &agent.device_type,
    ]
    .map(|fact| fact.to_string())
}

/// woothee's reading with its words translated, so that what is compared is what it understands.
fn woothees(header: &str) -> Facts {
    let Some(read) = Parser::new().parse(header) else {
        return Facts::default();
    };
    let known = |text: &str| if text == "UNKNOWN" { "" } else { text }.to_owned();
    let browser = match read.name {
        "SamsungBrowser" => "Samsung Internet",
        "Webview" => "WebView",
        name => name,
    };
    let (os, os_version) = match read.os {
        "Mac OSX" => ("macOS", &*read.os_version),
        "iPhone" | "iPad" | "iPod" => ("iOS", &*read.os_version),
        "Windows Phone OS" => ("Windows Phone", &*read.os_version),
        "BlackBerry 10" => ("BlackBerry", &*read.os_version),
        os => match os.strip_prefix("Windows ") {
            Some(version) => ("Windows", version),
            None => (os, &*read.os_version),
        },
    };
    let device_type = match read.category {
        "pc" => "desktop",
        "smartphone" | "mobilephone" => "mobile",
        "crawler" => "bot",
        _ => "",
    };
    [
        known(browser),
        known(read.version),
        known(os),
        known(os_version),
        device_type.to_owned(),
    ]
}

#[test]
fn real_headers_are_read_at_least_as_well_as_before_and_as_by_woothee() {
    let rows: Vec<Row> = TABLE.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() >= 300, "{} headers", rows.len());
    let agents = UserAgents::new(10_000);
    let read: Vec<(&Row, Facts, Facts)> = rows
        .iter()
        .map(|row| (row, ours(&agents, &row.user_agent), woothees(&row.user_agent)))
        .collect();
    let shows_misses = env::var_os("SHOW_WRONG").is_some();

    println!("{:16} {:>7} {:>9} {:>9}", "field", "headers", "ours", "woothee");
    let mut too_few = Vec::new();
    for (index, (field, floor)) in FLOORS.into_iter().enumerate() {
        let (mut told, mut right, mut woothee_right) = (0_usize, 0_usize, 0_usize);
        for (row, ours, woothees) in &read {
            let Some(expected) = row.expected()[index] else {
                continue;
            };
            told += 1;
            right += usize::from(ours[index] == expected);
            woothee_right += usize::from(woothees[index] == expected);
            if shows_misses && ours[index] != expected {
                println!("{field} {expected:?}, not {:?}: {}", ours[index], row.user_agent);
            }
        }
        let share = |count: usize| format!("{:.1} %", count as f64 * 100.0 / told as f64);
        println!("{field:16} {told:>7} {:>9} {:>9}", share(right), share(woothee_right));
        if right * 1000 < floor * told || right < woothee_right {
            too_few.push(format!(
                "{field}: {right} of {told}; woothee {woothee_right}; the floor is {floor} per mille"
            ));
        }
    }
    assert!(too_few.is_empty(), "{too_few:#?}");
}
