//! What the console's server answers: its files, and JSON under `/api`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use gosight_lifecycle::Shutdown;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::access::{Door, Wish};
use super::books::Books;
use super::dead_letters::{Asked, DeadLetters, Order, begun};
use super::flow::Flow;
use super::live::{self, Wanted};
use super::{ConsoleParts, assets};
use crate::failure::Failure;
use crate::story;
use crate::tail::TopicChoice;
use crate::tail::filter::{Filter, plain_type};

/// A patch and a filter are small.
const MAX_BODY: usize = 256 * 1024;
/// Pages that watch records at the same time.
const MOST_STREAMS: usize = 32;
/// Answers that take longer are given up; what they were about is too much for a page.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the handlers share.
#[derive(Clone)]
pub(super) struct State(Arc<Shared>);

struct Shared {
    parts: ConsoleParts,
    door: Door,
    flow: Flow,
    books: Books,
    dead_letters: DeadLetters,
    streams: Arc<Semaphore>,
    shutdown: Shutdown,
    policy: HeaderValue,
}

impl State {
    pub(super) fn new(
        parts: ConsoleParts,
        door: Door,
        flow: Flow,
        dead_letters: DeadLetters,
        shutdown: Shutdown,
    ) -> Self {
        let policy = assets::content_security_policy(parts.edge.as_deref());
        Self(Arc::new(Shared {
            // An edge's address that is no header value can't be reached either.
            policy: HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'")),
            books: Books::new(Arc::clone(&parts.log), parts.topics.clone(), parts.enricher.clone()),
            parts,
            door,
            flow,
            dead_letters,
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            shutdown,
        }))
    }
}

type Shown = axum::extract::State<State>;

/// All routes.
pub(super) fn router(state: State) -> Router {
    let looking = Router::new()
        .route("/info", get(info))
        .route("/flow", get(flow))
        .route("/books", get(books))
        .route("/live", get(live))
        .route("/where", get(where_is))
        .route("/dlq/groups", get(groups))
        .route("/dlq/list", get(list))
        .route("/dlq/show", get(show))
        .route("/dlq/job", get(job))
        .route("/dlq/ledger", get(ledger))
        // It writes nothing; it is a POST because a patch is too long for an address.
        .route("/dlq/test", post(test))
        .route_layer(middleware::from_fn_with_state(state.clone(), may_look));
    let changing = Router::new()
        .route("/dlq/redrive", post(redrive))
        .route("/dlq/discard", post(discard))
        .route_layer(middleware::from_fn_with_state(state.clone(), may_change));
    Router::new()
        .nest("/api", looking.merge(changing))
        .fallback(file)
        .method_not_allowed_fallback(async |method: Method| {
            said(
                StatusCode::METHOD_NOT_ALLOWED,
                &format!("{method} is not for this address"),
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(state.clone(), guarded))
        .with_state(state)
}

async fn may_look(state: Shown, request: Request, next: Next) -> Response {
    judged(&state, Wish::Look, request, next).await
}

async fn may_change(state: Shown, request: Request, next: Next) -> Response {
    judged(&state, Wish::Change, request, next).await
}

async fn judged(state: &State, wish: Wish, request: Request, next: Next) -> Response {
    match state.0.door.judge(wish, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(turned_away) => said(turned_away.status(), &turned_away.to_string()),
    }
}

/// Headers of every answer.
async fn guarded(state: Shown, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, state.0.0.policy.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn file(method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return said(
            StatusCode::METHOD_NOT_ALLOWED,
            &format!("{method} is not for this address"),
        );
    }
    assets::file(uri.path())
        .unwrap_or_else(|| said(StatusCode::NOT_FOUND, &format!("there is nothing at {}", uri.path())))
}

async fn info(state: Shown) -> Response {
    let parts = &state.0.0.parts;
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "engine": parts.engine,
        "edge": parts.edge,
        "key": parts.key,
    }))
    .into_response()
}

async fn flow(state: Shown) -> Response {
    answered(async { Ok::<_, Failure>(state.0.0.flow.now().await?) }).await
}

async fn books(state: Shown) -> Response {
    answered(state.0.0.books.now()).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LiveQuery {
    topic: Option<String>,
    project: Option<String>,
    session: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    code: Option<String>,
}

async fn live(state: Shown, query: Result<Query<LiveQuery>, QueryRejection>) -> Response {
    let Query(query) = match query {
        Ok(query) => query,
        Err(rejection) => return said(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    let (parts, topics) = (&state.0.0.parts, &state.0.0.parts.topics);
    let (choice, topic) = match query.topic.as_deref() {
        None | Some("raw") => (TopicChoice::Raw, &topics.events),
        Some("errors") => (TopicChoice::Errors, &topics.errors),
        Some("staging") => (TopicChoice::Staging, &topics.staging),
        Some(other) => {
            let message = format!("topic is {other:?}; write raw, errors or staging");
            return said(StatusCode::BAD_REQUEST, &message);
        }
    };
    let Ok(permit) = Arc::clone(&state.0.0.streams).try_acquire_owned() else {
        let message = format!("{MOST_STREAMS} pages watch already; close one");
        return said(StatusCode::SERVICE_UNAVAILABLE, &message);
    };
    let wanted = Wanted {
        topic: topic.clone(),
        choice,
        filter: Filter {
            project: query.project,
            session: query.session,
            event_type: query.event_type.as_deref().map(plain_type),
            code: query.code,
        },
        personal: parts.personal,
    };
    let shutdown = state.0.0.shutdown.clone();
    match live::lines(Arc::clone(&parts.log), wanted, permit).await {
        Ok(lines) => {
            let until_the_end = futures::StreamExt::take_until(lines, async move { shutdown.begun().await });
            (
                [(CONTENT_TYPE, "application/x-ndjson")],
                Body::from_stream(until_the_end),
            )
                .into_response()
        }
        Err(error) => failed(&error.into()),
    }
}

#[derive(Deserialize)]
struct WhereQuery {
    id: String,
}

async fn where_is(state: Shown, query: Result<Query<WhereQuery>, QueryRejection>) -> Response {
    let parts = &state.0.0.parts;
    with(
        query
            .map(|Query(query)| query)
            .map_err(|rejection| rejection.body_text()),
        async |query| {
            let story = story::of(&*parts.log, &parts.topics, &parts.enricher, &query.id).await?;
            Ok(json!({ "found": story.found, "lines": story.lines() }))
        },
    )
    .await
}

async fn groups(state: Shown, query: Result<Query<Asked>, QueryRejection>) -> Response {
    with_query(query, async |asked| state.0.0.dead_letters.groups(&asked).await).await
}

async fn list(state: Shown, query: Result<Query<Asked>, QueryRejection>) -> Response {
    with_query(query, async |asked| state.0.0.dead_letters.list(&asked).await).await
}

async fn show(state: Shown, query: Result<Query<Asked>, QueryRejection>) -> Response {
    with_query(query, async |asked| state.0.0.dead_letters.show(&asked).await).await
}

async fn job(state: Shown, query: Result<Query<WhereQuery>, QueryRejection>) -> Response {
    match query {
        Ok(Query(query)) => match state.0.0.dead_letters.job(&query.id) {
            Some(standing) => Json(standing).into_response(),
            None => said(StatusCode::NOT_FOUND, &format!("this console has no job {}", query.id)),
        },
        Err(rejection) => said(StatusCode::BAD_REQUEST, &rejection.body_text()),
    }
}

async fn ledger(state: Shown) -> Response {
    answered(async {
        let entries = state.0.0.dead_letters.ledger().await?;
        Ok::<_, Failure>(json!({ "entries": entries }))
    })
    .await
}

async fn test(state: Shown, order: Result<Json<Order>, JsonRejection>) -> Response {
    with_order(order, async |order| state.0.0.dead_letters.test(&order).await).await
}

async fn redrive(state: Shown, order: Result<Json<Order>, JsonRejection>) -> Response {
    with_order(order, async |order| {
        state.0.0.dead_letters.redrive(&order).await.map(begun)
    })
    .await
}

async fn discard(state: Shown, order: Result<Json<Order>, JsonRejection>) -> Response {
    with_order(order, async |order| {
        state.0.0.dead_letters.discard(&order).await.map(begun)
    })
    .await
}

async fn with_query<T: Serialize>(
    query: Result<Query<Asked>, QueryRejection>,
    answer: impl AsyncFnOnce(Asked) -> Result<T, Failure>,
) -> Response {
    with(
        query
            .map(|Query(asked)| asked)
            .map_err(|rejection| rejection.body_text()),
        answer,
    )
    .await
}

async fn with_order<T: Serialize>(
    order: Result<Json<Order>, JsonRejection>,
    answer: impl AsyncFnOnce(Order) -> Result<T, Failure>,
) -> Response {
    with(
        order
            .map(|Json(order)| order)
            .map_err(|rejection| rejection.body_text()),
        answer,
    )
    .await
}

async fn with<Q, T: Serialize>(
    question: Result<Q, String>,
    answer: impl AsyncFnOnce(Q) -> Result<T, Failure>,
) -> Response {
    match question {
        Ok(question) => answered(answer(question)).await,
        Err(why) => said(StatusCode::BAD_REQUEST, &why),
    }
}

async fn answered<T: Serialize>(answer: impl Future<Output = Result<T, Failure>>) -> Response {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Json(answer).into_response(),
        Ok(Err(failure)) => failed(&failure),
        Err(_) => said(
            StatusCode::GATEWAY_TIMEOUT,
            &format!("not answered within {PATIENCE:?}; ask for less, or use the command"),
        ),
    }
}

fn failed(failure: &Failure) -> Response {
    let status = match failure.code() {
        gosight_lifecycle::exit::BAD_CONFIGURATION => StatusCode::BAD_REQUEST,
        gosight_lifecycle::exit::UNAVAILABLE => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    said(status, failure.message())
}

fn said(status: StatusCode, message: &str) -> Response {
    let body: Value = json!({ "error": message });
    (status, Json(body)).into_response()
}
