//! The standard services beside ours: health as `/ready` says it, and reflection of the published contract.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use gosight_config::EdgeSettings;
use gosight_eventlog::AppendError;
use prost::Message;
use prost_types::FileDescriptorProto;
use support::{DEADLINE, Edge};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

const SERVICE: &str = "gosight.IngestService";

async fn channel(url: &str) -> Channel {
    Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap()
}

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

/// Waits until a service has the status.
async fn becomes(client: &mut HealthClient<Channel>, service: &str, status: ServingStatus) {
    let reached = async {
        while client.check(about(service)).await.unwrap().into_inner().status() != status {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, reached)
        .await
        .unwrap_or_else(|_| panic!("{service:?} does not become {status:?}"));
}

#[tokio::test]
async fn health_follows_readiness_on_both_ports() {
    let edge = Edge::start().await;
    let mut clients = [
        HealthClient::new(channel(&edge.http).await),
        HealthClient::new(channel(&edge.grpc).await),
    ];
    for client in &mut clients {
        for service in ["", SERVICE] {
            becomes(client, service, ServingStatus::Serving).await;
        }
        let unknown = client.check(about("gosight.Nothing")).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
    }
    edge.log.fail_with(AppendError::Closed);
    for client in &mut clients {
        for service in ["", SERVICE] {
            becomes(client, service, ServingStatus::NotServing).await;
        }
    }
}

#[tokio::test]
async fn a_watcher_hears_of_each_change_and_of_the_end() {
    let edge = Edge::start().await;
    let mut client = HealthClient::new(channel(&edge.grpc).await);
    becomes(&mut client, "", ServingStatus::Serving).await;
    let mut changes = client.watch(about(SERVICE)).await.unwrap().into_inner();
    let mut unknown = client.watch(about("gosight.Nothing")).await.unwrap().into_inner();
    let first = unknown.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    let first = changes.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    edge.log.fail_with(AppendError::Closed);
    let change = tokio::time::timeout(DEADLINE, changes.message()).await.unwrap();
    assert_eq!(change.unwrap().unwrap().status(), ServingStatus::NotServing);
    let began = Instant::now();
    edge.shutdown.begin();
    let end = tokio::time::timeout(DEADLINE, changes.message()).await.unwrap();
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
    edge.stop().await;
    assert!(began.elapsed() < Duration::from_secs(4), "watchers hold up the stop");
}

#[tokio::test]
async fn while_the_balancer_is_waited_for_readiness_says_no_and_requests_are_served() {
    let mut settings = EdgeSettings::default();
    settings.server.drain_delay = Duration::from_secs(600);
    let edge = Edge::start_as_configured(settings).await;
    let mut client = HealthClient::new(channel(&edge.grpc).await);
    becomes(&mut client, "", ServingStatus::Serving).await;
    edge.shutdown.begin();
    becomes(&mut client, "", ServingStatus::NotServing).await;
    let ready = reqwest::get(format!("{}/ready", edge.http)).await.unwrap();
    assert_eq!(ready.status(), 503);
    let report = ready.text().await.unwrap();
    assert!(report.contains("the process is stopping"), "{report}");
    // A connection of its own, kept alive as before.
    let taken = edge.post("/v1/events", support::json_batch(support::KEY, "s")).await;
    assert_eq!((taken.status, taken.header("connection")), (200, None), "{taken:?}");
    edge.served.abort();
}

/// The file that a symbol stands in, as reflection answers it.
fn file(descriptors: &[Vec<u8>]) -> FileDescriptorProto {
    FileDescriptorProto::decode(descriptors[0].as_slice()).unwrap()
}

#[tokio::test]
async fn reflection_v1_tells_the_services_and_the_contract_on_both_ports() {
    use v1::server_reflection_client::ServerReflectionClient;
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let edge = Edge::start().await;
    for url in [&edge.http, &edge.grpc] {
        let ask = |question| v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        let questions = [
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol(SERVICE.to_owned())),
            ask(MessageRequest::FileByFilename("gosight/events.proto".to_owned())),
        ];
        let mut client = ServerReflectionClient::new(channel(url).await);
        let mut answers = client
            .server_reflection_info(tokio_stream::iter(questions))
            .await
            .unwrap()
            .into_inner();
        let mut next = async || answers.message().await.unwrap().unwrap().message_response.unwrap();
        let MessageResponse::ListServicesResponse(list) = next().await else {
            panic!("no list of services");
        };
        let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
        assert!(
            names.contains(&SERVICE) && names.contains(&"grpc.health.v1.Health"),
            "{names:?}"
        );
        let MessageResponse::FileDescriptorResponse(ingest) = next().await else {
            panic!("no file");
        };
        let ingest = file(&ingest.file_descriptor_proto);
        let methods: Vec<_> = ingest.service[0].method.iter().map(|method| method.name()).collect();
        assert_eq!(methods, ["SendEvents", "SendReplay", "SendBatch"]);
        let MessageResponse::FileDescriptorResponse(events) = next().await else {
            panic!("no file");
        };
        assert!(!file(&events.file_descriptor_proto).message_type.is_empty());
    }
}

#[tokio::test]
async fn reflection_v1alpha_answers_too_and_does_not_hold_up_the_stop() {
    use v1alpha::server_reflection_client::ServerReflectionClient;
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let edge = Edge::start().await;
    let question = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(SERVICE.to_owned())),
    };
    // It asks once and stays.
    let questions = tokio_stream::StreamExt::chain(tokio_stream::iter([question]), tokio_stream::pending());
    let mut client = ServerReflectionClient::new(channel(&edge.grpc).await);
    let mut answers = client.server_reflection_info(questions).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    assert!(
        matches!(answer, MessageResponse::FileDescriptorResponse(_)),
        "{answer:?}"
    );
    let began = Instant::now();
    edge.stop().await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}
