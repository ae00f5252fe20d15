//! Restrictions through the public doors: the same over HTTP, gRPC and gRPC streams.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use gosight_config::EdgeSettings;
use gosight_config::edge::PerKeyRate;
use gosight_config::restrictions::{RestrictionAction, RestrictionMatch, RestrictionSettings};
use gosight_proto::ReplayChunk;
use gosight_schemas::topics;
use serde_json::json;
use support::{Edge, KEY, PROJECT, answer, batch, json_batch};
use tokio_stream::StreamExt;

fn rule(name: &str, matches: RestrictionMatch, action: RestrictionAction) -> RestrictionSettings {
    RestrictionSettings {
        name: name.to_owned(),
        matches,
        action,
        keep_one_in: 1,
        note: None,
    }
}

fn of_session(session: &str) -> RestrictionMatch {
    RestrictionMatch {
        session: Some(session.to_owned()),
        ..RestrictionMatch::default()
    }
}

fn settings(restrictions: Vec<RestrictionSettings>) -> EdgeSettings {
    EdgeSettings {
        restrictions,
        ..EdgeSettings::default()
    }
}

#[tokio::test]
async fn what_is_refused_is_told_the_note_and_not_to_try_again() {
    let mut stopped = rule("loop", of_session("loops"), RestrictionAction::Refuse);
    stopped.note = Some("mend the loop".to_owned());
    let edge = Edge::start_with(settings(vec![stopped])).await;

    let refused = edge.post("/v1/events", json_batch(KEY, "loops")).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert_eq!(refused.header("x-gosight-reason"), Some("restricted"));
    assert_eq!(refused.header("retry-after"), None);
    assert!(refused.text.contains("mend the loop"), "{}", refused.text);
    assert_eq!(refused.json()["rejected_count"], 1);

    let mut client = edge.client().await;
    let status = client.send_batch(batch(KEY, "loops", 2)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
    assert_eq!(status.metadata().get("x-gosight-reason").unwrap(), "restricted");

    let sent = tokio_stream::iter([batch(KEY, "loops", 2), batch(KEY, "fine", 1)]);
    let acks = client.send_events(sent).await.unwrap().into_inner();
    let acks: Vec<_> = acks.map(Result::unwrap).collect().await;
    assert!(!acks[0].success && acks[1].success, "the stream goes on: {acks:?}");
    assert_eq!(edge.log.staged().len(), 1);
    edge.stop().await;
}

#[tokio::test]
async fn what_is_dropped_is_answered_as_success_and_says_that_it_is_nowhere() {
    let dropped = rule("noise", of_session("noise"), RestrictionAction::Drop);
    let edge = Edge::start_with(settings(vec![dropped])).await;

    let answered = edge.post("/v1/events", json_batch(KEY, "noise")).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert_eq!(
        answered.json(),
        json!({"success": true, "accepted_count": 0, "rejected_count": 0})
    );
    assert_eq!(answered.header("x-gosight-reason"), Some("dropped"));
    assert_eq!(answered.header("x-gosight-receipt"), None);

    let chunk = json!({"project_key": KEY, "session_id": "noise", "chunk_index": 1, "timestamp_start": 1,
        "timestamp_end": 2, "events": [{"type": 2}], "has_full_snapshot": true});
    let answered = edge.post("/v1/replay", chunk.to_string()).await;
    assert_eq!(
        (answered.status, answered.header("x-gosight-reason")),
        (200, Some("dropped"))
    );

    let mut client = edge.client().await;
    let response = client.send_batch(batch(KEY, "noise", 3)).await.unwrap();
    assert_eq!(response.metadata().get("x-gosight-reason").unwrap(), "dropped");
    assert!(response.metadata().get("x-gosight-receipt").is_none());
    let ack = response.into_inner();
    assert_eq!((ack.success, ack.accepted_count, ack.rejected_count), (true, 0, 0));

    let sent = tokio_stream::iter([batch(KEY, "fine", 1), batch(KEY, "noise", 2), batch(KEY, "fine", 1)]);
    let mut acks = client.send_events(sent).await.unwrap().into_inner();
    let mut counts = Vec::new();
    while let Some(ack) = acks.message().await.unwrap() {
        counts.push((ack.success, ack.accepted_count));
    }
    assert_eq!(counts, [(true, 1), (true, 0), (true, 1)]);
    let trailers = acks.trailers().await.unwrap().unwrap();
    assert_eq!(trailers.get("x-gosight-reason").unwrap(), "dropped");
    assert!(
        trailers.get("x-gosight-receipt").is_some(),
        "of the batch that is staged"
    );

    let chunks = tokio_stream::iter([ReplayChunk {
        project_key: Some(KEY.to_owned()),
        session_id: Some("noise".to_owned()),
        data: b"[]".to_vec().into(),
        ..ReplayChunk::default()
    }]);
    let response = client.send_replay(chunks).await.unwrap();
    assert_eq!(response.metadata().get("x-gosight-reason").unwrap(), "dropped");

    assert_eq!(edge.log.staged().len(), 2);
    assert!(edge.log.records(topics::REPLAY).is_empty());
    edge.stop().await;
}

#[tokio::test]
async fn an_origin_a_key_or_a_project_is_stopped_at_once_and_let_go_again_and_the_operator_sees_it() {
    let edge = Edge::start().await;
    let send = async || {
        let request = edge.request("/v1/events").header("origin", "https://Shop.example");
        answer(request.body(json_batch(KEY, "s"))).await.status
    };
    assert_eq!(send().await, 200);
    let matches = [
        RestrictionMatch {
            origin: Some("https://shop.example".to_owned()),
            ..RestrictionMatch::default()
        },
        RestrictionMatch {
            key: Some("gs_test_key_of".to_owned()),
            ..RestrictionMatch::default()
        },
        RestrictionMatch {
            project: Some(PROJECT.to_owned()),
            ..RestrictionMatch::default()
        },
    ];
    for matches in matches {
        let stop = rule("stop", matches, RestrictionAction::Refuse);
        edge.live.replace(&settings(vec![stop.clone()]));
        assert_eq!(send().await, 403, "{stop:?}");
        let shown = async {
            loop {
                let report = edge.readiness.report();
                let detail = report.components.iter().find(|one| one.name == "restrictions").unwrap();
                if report.ready && detail.detail.as_deref() == Some("stop (refuse): 1 hits") {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(support::DEADLINE, shown)
            .await
            .expect("readiness shows it");
        edge.live.replace(&settings(vec![]));
        assert_eq!(send().await, 200, "{stop:?}");
    }
    edge.stop().await;
}

#[tokio::test]
async fn a_session_that_sends_too_much_is_stopped_and_others_are_not() {
    let heavy = RestrictionMatch {
        events_per_minute: Some(10),
        ..RestrictionMatch::default()
    };
    let edge = Edge::start_with(settings(vec![rule("heavy", heavy, RestrictionAction::Refuse)])).await;
    let mut client = edge.client().await;
    for _ in 0..2 {
        client.send_batch(batch(KEY, "much", 5)).await.unwrap();
    }
    let status = client.send_batch(batch(KEY, "much", 1)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
    client.send_batch(batch(KEY, "little", 5)).await.unwrap();
    edge.stop().await;
}

#[tokio::test]
async fn a_refusal_by_rate_says_what_is_left_of_which_bucket_over_http_and_grpc() {
    let mut settings = EdgeSettings::default();
    settings.rate_limit.requests_per_second = 1;
    settings.rate_limit.burst = 2;
    settings.limits.events_per_batch = 100;
    settings.rate_limit.events_per_second = 10;
    settings.rate_limit.events_burst = 100;
    let edge = Edge::start_with(settings).await;
    let mut client = edge.client().await;
    client.send_batch(batch(KEY, "s", 60)).await.unwrap();
    let status = client.send_batch(batch(KEY, "s", 90)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let policy = status.metadata().get("ratelimit-policy").unwrap();
    assert_eq!(policy, r#""requests";q=2;w=2, "events";q=100;qu="events";w=10"#);

    let mut last = None;
    for _ in 0..3 {
        last = Some(edge.post("/v1/events", json_batch(KEY, "s")).await);
    }
    let refused = last.unwrap();
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(
        refused
            .header("ratelimit")
            .unwrap()
            .starts_with(r#""requests";r=0;t=2, "events";r="#),
        "{refused:?}"
    );
    edge.stop().await;
}

#[tokio::test]
async fn the_rate_of_a_key_counts_where_the_configuration_says_so() {
    let edge = Edge::start().await;
    for _ in 0..5 {
        assert_eq!(edge.post("/v1/events", json_batch(KEY, "s")).await.status, 200);
    }
    let mut enforcing = EdgeSettings::default();
    enforcing.rate_limit.per_key = PerKeyRate::Enforce;
    edge.live.replace(&enforcing);
    for _ in 0..3 {
        assert_eq!(edge.post("/v1/events", json_batch(KEY, "s")).await.status, 200);
    }
    let refused = edge.post("/v1/events", json_batch(KEY, "s")).await;
    assert_eq!(
        (refused.status, refused.header("x-gosight-reason")),
        (429, Some("rate_limited"))
    );
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""key";q=3;w=60"#));
    edge.live.replace(&EdgeSettings::default());
    assert_eq!(edge.post("/v1/events", json_batch(KEY, "s")).await.status, 200);
    edge.stop().await;
}
