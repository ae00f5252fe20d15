//! `restrictions` and what a reload has to know: good rules load, wrong ones are refused with their line and what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;

use gosight_config::restrictions::RestrictionAction;
use gosight_config::{EdgeSettings, Loaded, Source};

fn load(text: &str) -> Result<Loaded<EdgeSettings>, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("my.yaml");
    std::fs::write(&path, text).unwrap();
    let prefix = format!("{}/", directory.path().display());
    EdgeSettings::load(&Source::file_or_shipped(Some(&path)), &BTreeMap::new())
        .map_err(|errors| errors.to_string().replace(&prefix, ""))
}

#[test]
fn a_rule_names_what_it_matches_and_what_becomes_of_it() {
    let text = "
restrictions:
  - { name: loop, match: { project: p, origin: HTTPS://Shop.example }, action: refuse, note: fix it }
  - name: half
    match: { events_per_minute: 5_000 }
    action: keep
    keep_one_in: 2
  - { name: vip, match: { key: gs_live_ab }, action: keep }
";
    let rules = load(&text.replace("5_000", "5000")).unwrap().settings.restrictions;
    assert_eq!(rules.len(), 3);
    assert_eq!(rules[0].matches.origin.as_deref(), Some("https://shop.example"));
    assert_eq!(
        (rules[0].action, rules[0].note.as_deref()),
        (RestrictionAction::Refuse, Some("fix it"))
    );
    assert_eq!(rules[1].matches.events_per_minute, Some(5_000));
    assert_eq!((rules[1].keep_one_in, rules[2].keep_one_in), (2, 1));
    assert_eq!(load("restrictions:\n").unwrap().settings.restrictions, []);
}

#[test]
fn a_wrong_rule_is_refused_where_it_stands() {
    let good = "{ name: good, match: { session: s }, action: drop }";
    for (rule, place, what) in [
        (
            "{ name: a b, match: { session: s }, action: drop }",
            "my.yaml:3",
            "name is no label",
        ),
        (
            "{ name: a, match: {}, action: drop }",
            "my.yaml:3",
            "match names nothing",
        ),
        (
            "{ name: a, match: { session: '' }, action: drop }",
            "my.yaml:3",
            "match.session is empty",
        ),
        (
            "{ name: a, match: { key: gs_ }, action: drop }",
            "my.yaml:3",
            "match.key",
        ),
        (
            "{ name: a, match: { origin: shop }, action: drop }",
            "my.yaml:3",
            "match.origin",
        ),
        (
            "{ name: a, match: { session: s }, action: stop }",
            "my.yaml:3",
            "refuse, drop, keep",
        ),
        (
            "{ name: a, match: { session: s }, action: keep, keep_one_in: 0 }",
            "my.yaml:3",
            "keep_one_in is 0",
        ),
        (
            "{ name: a, match: { session: s }, action: drop, keep_one_in: 2 }",
            "my.yaml:3",
            "goes with action: keep",
        ),
        (
            "{ name: a, match: { sesion: s }, action: drop }",
            "my.yaml:3",
            "did you mean `session`",
        ),
        (
            "{ name: good, match: { session: s }, action: drop }",
            "my.yaml:2",
            "two rules named good",
        ),
        ("{ match: { session: s }, action: drop }", "my.yaml:3", "name"),
    ] {
        let text = format!("restrictions:\n  - {good}\n  - {rule}\n");
        let error = load(&text).map(|_| ()).expect_err(rule);
        assert!(error.contains(place) && error.contains(what), "{rule}\n{error}");
    }
}

#[test]
fn keys_that_differ_are_named_also_where_one_file_leaves_them_out() {
    let before = load("redis: { password: hunter2 }\nlimits: { id_length: 256 }\n").unwrap();
    let after = load(
        "redis: { password: hunter3 }\nserver:\n  http_port: 1\nrestrictions: [{ name: a, match: { session: s }, action: drop }]\n",
    )
    .unwrap();
    assert_eq!(
        before.differing_keys(&after),
        ["redis.password", "restrictions", "server.http_port"]
    );
    assert!(before.differing_keys(&before).is_empty());
    assert!(!format!("{before:?}").contains("hunter2"));
}
