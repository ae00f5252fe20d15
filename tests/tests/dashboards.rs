//! Alerts and dashboard ask for metrics that exist, and alerts lead to sections of the runbook that exist.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;

use serde_json::Value;

const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/dashboard.json");
const METRICS: &str = include_str!("../../docs/metrics.md");
const RUNBOOK: &str = include_str!("../../docs/operating.md");

/// The names of our metrics in a query, without what Prometheus appends to histograms.
fn names(query: &str) -> BTreeSet<&str> {
    query
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| {
            ["edge_", "enricher_", "component_"]
                .iter()
                .any(|ours| word.starts_with(ours))
        })
        .map(|word| word.strip_suffix("_bucket").unwrap_or(word))
        .collect()
}

fn documented() -> BTreeSet<&'static str> {
    let rows = METRICS.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split_once('`').unwrap().0).collect()
}

#[test]
fn alerts_ask_for_metrics_that_exist() {
    let queries = ALERTS
        .split("expr:")
        .skip(1)
        .map(|rest| rest.split("labels:").next().unwrap());
    let asked: BTreeSet<&str> = queries.flat_map(names).collect();
    assert!(asked.len() > 10, "{asked:?}");
    let unknown: Vec<_> = asked.difference(&documented()).copied().collect();
    assert!(
        unknown.is_empty(),
        "alerts.yml asks for {unknown:?}, which docs/metrics.md does not have"
    );
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let queries: Vec<&str> = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    let asked: BTreeSet<&str> = queries.into_iter().flat_map(names).collect();
    assert!(asked.len() > 20, "{asked:?}");
    let unknown: Vec<_> = asked.difference(&documented()).copied().collect();
    assert!(
        unknown.is_empty(),
        "dashboard.json asks for {unknown:?}, which docs/metrics.md does not have"
    );
}

#[test]
fn each_alert_leads_to_a_section_of_the_runbook() {
    let anchor = |title: &str| {
        title
            .to_lowercase()
            .replace(' ', "-")
            .replace(|c: char| !c.is_alphanumeric() && c != '-', "")
    };
    let sections: BTreeSet<String> = RUNBOOK
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(anchor)
        .collect();
    let links: Vec<&str> = ALERTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("runbook: \"docs/operating.md#"))
        .map(|rest| rest.trim_end_matches('"'))
        .collect();
    assert_eq!(links.len(), ALERTS.matches("- alert:").count());
    for link in links {
        assert!(sections.contains(link), "docs/operating.md has no section {link}");
    }
}
