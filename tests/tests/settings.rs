//! What can be known before anything is bound is refused before anything is bound: with file, line, key, value and what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use gosight_tests::process::binary;

/// Settings with which a service would start, if it came so far; the port is one that nobody may take.
const PORT: &str = "server: { host: 192.0.2.1, admin_port: 1 }\n";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/geoip").join(name)
}

/// The exit code of a service with this file, and what it says; the name of the file's directory is taken out.
fn said(service: &str, arguments: &[&str], text: &str) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("my.yaml");
    std::fs::write(&file, format!("{PORT}{text}")).unwrap();
    let output = Command::new(binary(service))
        .args(arguments)
        .arg("--config")
        .arg(&file)
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let prefix = format!("{}/", directory.path().display());
    (output.status.code(), said.replace(&prefix, ""))
}

/// Both ways: by the check alone, and by a start, which must end before it finds that the port can't be had.
fn refused(service: &str, text: &str, place: &str, what: &str) {
    for arguments in [&["--check"][..], &[]] {
        let (code, said) = said(service, arguments, text);
        assert_eq!(code, Some(64), "{arguments:?}: {said}");
        let start = format!("{service}: my.yaml:{place}");
        assert!(said.starts_with(&start), "{start:?} does not begin\n{said}");
        assert!(said.contains(what), "{what:?} is not in\n{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_wrong_log_level_is_refused_by_both_services() {
    for service in ["gosight-edge", "gosight-enricher"] {
        refused(
            service,
            "log:\n  level: infoo\n",
            "3:10: log.level = `infoo`",
            "\"infoo\" is no level; write for example info",
        );
        refused(
            service,
            "log:\n  level: gosight_edge=loud\n",
            "3:10: log.level = `gosight_edge=loud`",
            "is no filter",
        );
        refused(service, "log:\n  level: ''\n", "3:10: log.level = ``", "is empty");
    }
}

#[test]
fn a_geoip_file_that_can_not_serve_is_refused() {
    let good = fixture("geolite2-city.mmdb").display().to_string();
    let no_cities = fixture("geolite2-country.mmdb").display().to_string();
    let no_database = fixture("../../Cargo.toml").display().to_string();
    for (path, what) in [
        ("/none/city.mmdb", "No such file"),
        ("/", "Is a directory"),
        (&no_cities, "name one of cities"),
        (&no_database, "is damaged or no MaxMind DB"),
    ] {
        refused(
            "gosight-enricher",
            &format!("geoip:\n  check_interval: 1s\n  database_path: {path}\n"),
            "4:18: geoip.database_path = `/",
            what,
        );
        refused(
            "gosight-enricher",
            &format!("geoip:\n  databases:\n    - {good}\n    - {path}\n"),
            "5:7: geoip.databases[1] = `/",
            "leave the key empty for no look-ups",
        );
    }
}

#[test]
fn without_a_geoip_file_and_with_a_good_one_nothing_is_refused() {
    let good = fixture("geolite2-city.mmdb").display().to_string();
    for text in [
        String::new(),
        "geoip:\n  database_path: ''\n".to_owned(),
        format!("geoip:\n  database_path: {good}\n"),
        format!("geoip:\n  databases: [{good}]\nlog:\n  level: gosight_enricher=debug,info\n"),
    ] {
        let (code, said) = said("gosight-enricher", &["--check"], &text);
        assert_eq!(code, Some(0), "{said}");
    }
}
