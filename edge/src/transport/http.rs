//! HTTP: JSON and protobuf bodies on `/v1/events` and `/v1/replay`, and the answers of the wire contract §2.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use gosight_lifecycle::admin::ready_response;
use gosight_schemas::{BodyFormat, Transport};
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Uri};

use super::answer::ReceiptIn;
use super::content::format_of;
use super::sender::{Connection, sender};
use super::{Context, answer, last_request};
use crate::accounts::Account;
use crate::body::{self, BodyLimits, PlainBody};
use crate::ingest::Ingest;
use crate::outcome::{Accepted, Reason, Refusal};

/// `POST /v1/events`
pub(super) async fn events(State(context): State<Arc<Context>>, request: Request) -> Response {
    let receipt_in = ReceiptIn::asked(request.uri().query());
    match take_batch(&context, request).await {
        Ok(accepted) => answer::batch_accepted(&accepted, receipt_in),
        Err(refusal) => answer::refused(&refusal),
    }
}

/// `POST /v1/replay`
pub(super) async fn replay(State(context): State<Arc<Context>>, request: Request) -> Response {
    let receipt_in = ReceiptIn::asked(request.uri().query());
    match take_chunk(&context, request).await {
        Ok(accepted) => answer::chunk_accepted(&accepted, receipt_in),
        Err(refusal) => answer::chunk_refused(&refusal),
    }
}

/// `GET /health`: the process answers.
pub(super) async fn health() -> &'static str {
    "OK"
}

/// `GET /ready`
pub(super) async fn ready(State(context): State<Arc<Context>>) -> Response {
    ready_response(&context.readiness)
}

/// Any other path.
pub(super) async fn not_found(State(context): State<Arc<Context>>, uri: Uri, request: Request) -> Response {
    let message = format!(
        "There is nothing at {:?}; batches go to POST /v1/events",
        shown(uri.path())
    );
    turned_away(&context.ingest, request, Refusal::new(Reason::NotFound, message))
}

/// Another method on a path that exists.
pub(super) async fn method_not_allowed(
    State(context): State<Arc<Context>>,
    method: Method,
    request: Request,
) -> Response {
    let message = format!("{} is not for this path", shown(method.as_str()));
    turned_away(
        &context.ingest,
        request,
        Refusal::new(Reason::MethodNotAllowed, message),
    )
}

/// Refuses a request that is none of ours, without reading it.
pub(super) fn turned_away(ingest: &Ingest, request: Request, refusal: Refusal) -> Response {
    note_unread(request.extensions());
    let refusal = ingest.accounts.open(Transport::Http).refuse(refusal);
    answer::refused(&refusal)
}

/// Text of the client in an answer to the client: enough to recognise it.
fn shown(text: &str) -> &str {
    text.get(..64).unwrap_or(text)
}

async fn take_batch(context: &Context, request: Request) -> Result<Accepted, Refusal> {
    let ingest = &*context.ingest;
    let account = ingest.accounts.open(Transport::Http);
    let (parts, body) = request.into_parts();
    let (account, body, format) = read(context, account, &parts, body, context.batch_limits).await?;
    let sender = sender(ingest, &parts.headers, &parts.extensions, Transport::Http);
    ingest.stage_batch(&sender, account, body, format).await?.await
}

async fn take_chunk(context: &Context, request: Request) -> Result<Accepted, Refusal> {
    let ingest = &*context.ingest;
    let account = ingest.accounts.open(Transport::Http);
    let (parts, body) = request.into_parts();
    let (account, body, format) = read(context, account, &parts, body, context.replay_limits).await?;
    let sender = sender(ingest, &parts.headers, &parts.extensions, Transport::Http);
    let (staging, _chunk_index) = ingest.stage_chunk(&sender, account, body, format).await?;
    staging.await
}

async fn read(
    context: &Context,
    account: Account,
    parts: &Parts,
    body: Body,
    limits: BodyLimits,
) -> Result<(Account, PlainBody, BodyFormat), Refusal> {
    let read = tokio::select! {
        // In this order: most bodies are there already, and then nobody waits for the stop.
        biased;
        read = try_read(&context.ingest, &parts.headers, body, limits) => read,
        () = last_request::is_over(&context.shutdown) => Err(Refusal::shutting_down()),
    };
    match read {
        Ok((body, format)) => Ok((account, body, format)),
        Err(refusal) => {
            note_unread(&parts.extensions);
            Err(account.refuse(refusal))
        }
    }
}

async fn try_read(
    ingest: &Ingest,
    headers: &HeaderMap,
    body: Body,
    limits: BodyLimits,
) -> Result<(PlainBody, BodyFormat), Refusal> {
    let format = format_of(headers)?;
    let body = body::read(headers, body, limits, &ingest.budget).await?;
    Ok((body, format))
}

/// The client may still be sending: its connection must not be cut before it has read the answer.
fn note_unread(extensions: &Extensions) {
    if let Some(connection) = extensions.get::<Connection>() {
        connection.unread.note();
    }
}
