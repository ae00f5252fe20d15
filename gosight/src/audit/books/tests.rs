use std::collections::BTreeMap;

use bytes::Bytes;
use gosight_enricher::core::Staged;
use gosight_eventlog::{Header, LogRecord, Position};
use gosight_schemas::headers;

use super::{Books, Judged, Output};
use crate::audit::leaders::Place;
use crate::audit::report::{BreakKind, Report};

const STAGING: &str = "staging";

fn staged(project: &str, events: usize) -> Staged {
    Staged {
        project_id: project.to_owned(),
        batch_id: "batch".to_owned(),
        counted: Some(u32::try_from(events).unwrap()),
        keys: vec![None; events],
    }
}

/// Batches of project p from offset 10 on, of so many events each; nothing repeats.
fn books(events: &[usize]) -> Books {
    let mut books = Books::new(STAGING, None, 10);
    let to = 10 + i64::try_from(events.len()).unwrap();
    books.open(
        0,
        Judged {
            first: 10,
            from: 10,
            to,
        },
    );
    for (offset, count) in (10..).zip(events) {
        books
            .staged(0, offset, &staged("p", *count), &vec![None; *count])
            .unwrap();
    }
    books.staging_ends(BTreeMap::from([(0, to)]));
    books
}

fn record(origin: &str, more: &[(&'static str, &str)]) -> LogRecord {
    let mut headers = vec![Header::new(headers::ORIGIN, origin.to_owned())];
    headers.extend(more.iter().map(|(name, value)| Header::new(name, (*value).to_owned())));
    LogRecord {
        position: Position {
            topic: "raw".into(),
            partition: 2,
            offset: 7,
        },
        timestamp_ms: 0,
        key: Some(Bytes::from_static(b"p:session")),
        value: Bytes::new(),
        headers,
    }
}

fn raw(books: &mut Books, offset: i64, index: u32) {
    let origin = format!("{STAGING}:0:{offset}:{index}");
    books.output(&record(&origin, &[]), Output::Raw).unwrap();
}

/// Kinds and origins of what is named.
fn named(report: &Report) -> Vec<(BreakKind, String)> {
    let breaks = report.breaks.iter();
    breaks
        .map(|named| (named.kind, named.origin.replace("staging:0:", "")))
        .collect()
}

#[test]
fn records_of_every_event_balance() {
    let mut books = books(&[2, 0, 130]);
    raw(&mut books, 10, 0);
    books.output(&record("staging:0:10:1", &[]), Output::Errors).unwrap();
    (0..130).for_each(|index| raw(&mut books, 12, index));
    assert_eq!(books.lost(), 0);
    let report = books.close();
    assert!(report.balanced, "{report:?}");
    let total = report.total;
    assert_eq!((total.staged, total.raw, total.errors, total.lost), (132, 131, 1, 0));
}

#[test]
fn a_missing_a_second_and_an_invented_record_are_named() {
    let mut books = books(&[2, 130]);
    raw(&mut books, 10, 1);
    (0..129).for_each(|index| raw(&mut books, 11, index));
    raw(&mut books, 10, 1);
    raw(&mut books, 11, 100);
    for origin in ["staging:0:10:2", "staging:0:12:0", "staging:1:10:0", "other:0:10:0"] {
        books.output(&record(origin, &[]), Output::Raw).unwrap();
    }
    let report = books.close();
    assert!(!report.balanced);
    let expected = [
        (BreakKind::Doubled, "10:1"),
        (BreakKind::Doubled, "11:100"),
        (BreakKind::Invented, "10:2"),
        (BreakKind::Invented, "12:0"),
        (BreakKind::Invented, "staging:1:10:0"),
        (BreakKind::Invented, "other:0:10:0"),
        (BreakKind::Lost, "10:0"),
        (BreakKind::Lost, "11:129"),
    ];
    assert_eq!(named(&report), expected.map(|(kind, origin)| (kind, origin.to_owned())));
    assert_eq!(report.breaks[0].record.as_deref(), Some("raw:2:7"));
    assert_eq!((report.total.raw, report.total.lost), (130, 2));
}

#[test]
fn a_duplicate_leads_to_a_record_or_is_lost_with_it() {
    let mut books = books(&[1]);
    books.open(
        0,
        Judged {
            first: 10,
            from: 11,
            to: 16,
        },
    );
    books.staging_ends(BTreeMap::from([(0, 16)]));
    let one = |books: &mut Books, offset, repeats: Option<i64>| {
        let leader = repeats.map(|offset| Place { offset, index: 0 });
        books.staged(0, offset, &staged("p", 1), &[leader]).unwrap();
    };
    one(&mut books, 10, None); // Before the range: may itself be a duplicate.
    one(&mut books, 11, Some(10));
    one(&mut books, 12, None);
    one(&mut books, 13, Some(12));
    one(&mut books, 14, None);
    one(&mut books, 15, Some(14));
    raw(&mut books, 12, 0);
    let report = books.close();
    assert_eq!(report.total.duplicates, 2, "11 and 13");
    let lost = [
        (BreakKind::Lost, "14:0".to_owned()),
        (BreakKind::Lost, "15:0".to_owned()),
    ];
    assert_eq!(named(&report), lost);
    assert!(report.breaks[1].detail.contains("staging:0:14:0"), "{report:?}");
}

#[test]
fn a_published_duplicate_is_named() {
    let mut books = books(&[1]);
    books.open(
        0,
        Judged {
            first: 10,
            from: 10,
            to: 12,
        },
    );
    books.staged(0, 10, &staged("p", 1), &[None]).unwrap();
    let leader = Some(Place { offset: 10, index: 0 });
    books.staged(0, 11, &staged("p", 1), &[leader]).unwrap();
    raw(&mut books, 10, 0);
    books.staging_ends(BTreeMap::from([(0, 12)]));
    raw(&mut books, 11, 0);
    let report = books.close();
    assert_eq!(named(&report), [(BreakKind::Republished, "11:0".to_owned())]);
}

#[test]
fn what_is_not_consumed_is_in_flight_and_replays_stand_apart() {
    let mut books = books(&[1]);
    raw(&mut books, 10, 0);
    books
        .output(&record("staging:0:10:0", &[(headers::REPLAY_ID, "r")]), Output::Raw)
        .unwrap();
    books
        .output(&record("staging:0:10:0", &[(headers::REDRIVE_OF, "e")]), Output::Raw)
        .unwrap();
    books.staged(0, 11, &staged("p", 3), &[None, None, None]).unwrap();
    books.staging_ends(BTreeMap::from([(0, 12)]));
    // Consumed after the positions were asked for.
    raw(&mut books, 11, 0);
    let report = books.close();
    assert!(report.balanced, "{report:?}");
    let total = report.total;
    assert_eq!((total.staged, total.raw, total.in_flight), (4, 1, 3));
    assert_eq!((total.replayed, total.redriven), (1, 1));
}

#[test]
fn other_projects_are_left_out_and_a_wrong_one_is_named() {
    let mut books = Books::new(STAGING, Some("p".to_owned()), 10);
    books.open(
        0,
        Judged {
            first: 0,
            from: 0,
            to: 3,
        },
    );
    books.staged(0, 0, &staged("p", 1), &[None]).unwrap();
    books.staged(0, 1, &staged("q", 1), &[None]).unwrap();
    let miscounted = Staged {
        counted: Some(2),
        ..staged("p", 1)
    };
    books.staged(0, 2, &miscounted, &[None]).unwrap();
    books.staging_ends(BTreeMap::from([(0, 3)]));
    let of_q = LogRecord {
        key: Some(Bytes::from_static(b"q:session")),
        ..record("staging:0:0:0", &[])
    };
    books.output(&of_q, Output::Raw).unwrap();
    raw(&mut books, 2, 0);
    let report = books.close();
    assert_eq!(report.total.staged, 2, "{report:?}");
    let expected = [
        (BreakKind::Miscounted, "2:0".to_owned()),
        (BreakKind::WrongProject, "0:0".to_owned()),
    ];
    assert_eq!(named(&report), expected);
}
