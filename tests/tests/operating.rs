//! What an operator does with running services: changes the log filter, reads logs that hold no secret, follows a batch by its trace.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gosight_eventlog::LogRecord;
use gosight_proto::ingest_service_client::IngestServiceClient;
use gosight_proto::{Event, EventBatch, SessionMeta};
use gosight_schemas::decode_raw_batch;
use gosight_tests::events::{batch, page_view};
use gosight_tests::stack::{Edge, Stack};
use gosight_tests::{topic, wait};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use reqwest::Client;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const DEADLINE: Duration = Duration::from_secs(30);

async fn set_level(admin: &str, level: &'static str) -> (u16, String) {
    let request = Client::new().put(format!("{admin}/loglevel")).body(level);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_filter_of_both_services_changes_while_they_run() {
    let stack = Stack::new().await;
    let edge = stack.edge().await;
    let (enricher, enricher_admin) = stack.enricher_with(&[("INSTANCE_ID", "only")]).await;
    for (process, admin) in [(&edge.process, &edge.admin), (&enricher, &enricher_admin)] {
        let level = reqwest::get(format!("{admin}/loglevel")).await.unwrap();
        assert_eq!(level.text().await.unwrap(), "info");
        // Each change is a line of level WARN: seen only under a filter that lets it through, and the last one comes last.
        for level in ["error", "warn", "off", "debug"] {
            assert_eq!(set_level(admin, level).await, (200, level.to_owned()));
        }
        let changed = |level: &str| format!("now=\"{level}\"");
        wait::until("the last change is logged", DEADLINE, || {
            std::future::ready(process.output().contains(&changed("debug")).then_some(()))
        })
        .await;
        let output = process.output();
        assert!(output.contains(&changed("warn")), "{output}");
        assert!(
            !output.contains(&changed("error")) && !output.contains(&changed("off")),
            "{output}"
        );
        let (status, answer) = set_level(admin, "loud").await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer["error"].as_str().unwrap().contains("write for example info"),
            "{answer}"
        );
        let level = reqwest::get(format!("{admin}/loglevel")).await.unwrap();
        assert_eq!(level.text().await.unwrap(), "debug");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_logs_are_one_object_a_line() {
    let stack = Stack::new().await;
    let mut edge = stack.process("gosight-edge", &[("LOG_FORMAT", "json"), ("LOG_LEVEL", "debug")]);
    edge.printed("{", DEADLINE).await;
    wait::until("it listens", DEADLINE, || {
        std::future::ready(edge.output().contains("\"listening\"").then_some(()))
    })
    .await;
    for line in edge.output().lines() {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["timestamp", "level", "target"] {
            assert!(object[key].is_string(), "{key} in {line}");
        }
        // What libraries log may have none.
        let is_ours = object["target"]
            .as_str()
            .is_some_and(|target| target.starts_with("gosight"));
        assert!(object["message"].is_string() || !is_ours, "message in {line}");
    }
}

/// Every way to send, good and bad, with a marker wherever a client may put text of its own.
async fn send_markers(edge: &Edge, key: &str) {
    let client = Client::new();
    let secret_event = {
        let mut event = page_view();
        event["payload"] = serde_json::json!({ "text": "marker-body" });
        event["page"]["url"] = "https://shop.example/marker-body".into();
        event
    };
    let good = batch(key, "marker-session", std::slice::from_ref(&secret_event)).to_string();
    let unknown = batch("gs_marker-key", "marker-session", &[secret_event]).to_string();
    let cut = format!("{}marker-body", &good[..good.len() - 20]);
    for path in ["/v1/events", "/v1/replay", "/v1/marker-path"] {
        for body in [&good, &unknown, &cut] {
            for (name, value) in [
                ("x-project-key", "gs_marker-key"),
                ("x-gosight-key", key),
                ("authorization", "Bearer gs_marker-key"),
                ("content-encoding", "gzip"),
                ("content-type", "application/x-protobuf"),
                ("x-session-id", "marker-session"),
                ("x-request-id", "plain"),
            ] {
                let request = client.post(format!("{}{path}", edge.http)).header(name, value);
                request.body(body.clone()).send().await.unwrap();
            }
        }
    }
    let mut grpc = IngestServiceClient::connect(format!("http://{}", edge.grpc))
        .await
        .unwrap();
    for key in [key, "gs_marker-key"] {
        let sent = EventBatch {
            project_key: key.to_owned(),
            session: Some(SessionMeta {
                session_id: "marker-session".to_owned(),
                ..SessionMeta::default()
            }),
            events: vec![Event {
                event_id: "marker-body".to_owned(),
                ..Event::default()
            }],
            sent_at: 0,
        };
        let mut request = Request::new(sent);
        request.metadata_mut().insert("x-gosight-key", key.parse().unwrap());
        // Good or refused: both are to be logged.
        let _ = grpc.send_batch(request).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_hold_no_key_and_no_body_at_any_level() {
    let stack = Stack::new().await;
    let edge = stack.edge_with(&[("LOG_LEVEL", "trace")]).await;
    edge.ready().await;
    send_markers(&edge, &stack.key).await;
    let output = wait::until("the last refusals are logged", DEADLINE, || {
        let output = edge.process.output();
        let all = ["invalid_key", "invalid_json", "not_found"]
            .iter()
            .all(|reason| output.contains(reason));
        std::future::ready(all.then_some(output))
    })
    .await;
    assert!(output.contains("TRACE"), "trace lines are there to be looked at");
    for secret in [stack.key.as_str(), "marker-key", "marker-body"] {
        let found: Vec<&str> = output.lines().filter(|line| line.contains(secret)).take(3).collect();
        assert!(found.is_empty(), "{secret} stands in the log: {found:#?}");
    }
}

/// A collector that keeps the spans which it receives.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<(String, Span)>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.spans.lock().unwrap();
        for of_service in request.into_inner().resource_spans {
            let service = format!("{:?}", of_service.resource);
            let scopes = of_service.scope_spans.into_iter();
            spans.extend(scopes.flat_map(|scope| scope.spans).map(|span| (service.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, address)
    }

    /// The span of a service in a trace.
    fn span(&self, service: &str, trace_id: &str) -> Option<Span> {
        let spans = self.spans.lock().unwrap();
        let found = spans
            .iter()
            .find(|(name, span)| name.contains(service) && hex(&span.trace_id) == trace_id);
        found.map(|(_, span)| span.clone())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn traceparent(staged: &[LogRecord], session: &str) -> Option<String> {
    let mut batches = staged.iter().map(|record| decode_raw_batch(&record.value).unwrap());
    batches.find(|batch| batch.session_id == session).unwrap().traceparent
}

// The share that is kept is told by the second half of a trace id: these are among the first tenth, and among the last.
const KEPT: &str = "4bf92f3577b34da60000000000000001";
const UNWANTED: &str = "4bf92f3577b34da60000000000000002";
const LEFT_OUT: &str = "4bf92f3577b34da6ffffffffffffffff";

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_followed_from_client_to_raw_by_its_trace() {
    let (collector, endpoint) = Collector::start().await;
    let stack = Stack::new().await;
    let traced = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("INSTANCE_ID", "only"),
    ];
    let mut edge = stack.edge_with(&traced).await;
    edge.ready().await;
    let (mut enricher, _) = stack.enricher_with(&traced).await;
    for (session, trace_id, flags) in [
        ("kept", KEPT, "01"),
        ("unwanted", UNWANTED, "00"),
        ("left out", LEFT_OUT, "01"),
    ] {
        let request = Client::new()
            .post(format!("{}/v1/events", edge.http))
            .header("traceparent", format!("00-{trace_id}-00f067aa0ba902b7-{flags}"))
            .json(&batch(&stack.key, session, &[page_view()]));
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let log = stack.log();
    topic::at_least(&*log, &stack.topic("raw"), 3, DEADLINE).await;
    // Ending sends what waits.
    for process in [&mut edge.process, &mut enricher] {
        process.signal("TERM");
        let status = process.ended(DEADLINE).await;
        assert!(status.success(), "{status}: {}", process.output());
    }

    let served = collector.span("gosight-edge", KEPT).expect("the edge's span");
    assert_eq!(hex(&served.parent_span_id), "00f067aa0ba902b7");
    let staged = topic::all(&*log, &stack.topic("staging")).await;
    let goes_on = format!("00-{KEPT}-{}-01", hex(&served.span_id));
    assert_eq!(traceparent(&staged, "kept"), Some(goes_on));
    let enriched = collector.span("gosight-enricher", KEPT).expect("the enricher's span");
    assert_eq!(enriched.parent_span_id, served.span_id);
    let notes = format!("{:?}", enriched.attributes);
    assert!(
        notes.contains("project_id") && notes.contains(&stack.project),
        "{notes}"
    );
    assert!(served.end_time_unix_nano >= served.start_time_unix_nano);

    for (session, trace_id) in [("unwanted", UNWANTED), ("left out", LEFT_OUT)] {
        let goes_on = traceparent(&staged, session).unwrap();
        assert!(goes_on.contains(trace_id) && goes_on.ends_with("-00"), "{goes_on}");
        assert!(collector.span("gosight", trace_id).is_none(), "{session} was sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_costs_no_batch_and_no_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let stack = Stack::new().await;
    let mut edge = stack.edge_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    edge.ready().await;
    let request = Client::new()
        .post(format!("{}/v1/events", edge.http))
        .header("traceparent", format!("00-{KEPT}-00f067aa0ba902b7-01"))
        .json(&batch(&stack.key, "s", &[page_view()]));
    assert_eq!(request.send().await.unwrap().status(), 200);
    let asked = std::time::Instant::now();
    edge.process.signal("TERM");
    let status = edge.process.ended(DEADLINE).await;
    assert!(status.success(), "{status}: {}", edge.process.output());
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
}
