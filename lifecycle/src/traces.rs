//! OpenTelemetry traces: a span for each batch, continued across processes by its W3C traceparent, sent to a collector over OTLP.
//! Without a collector a span is nothing, and costs nothing.

use std::sync::OnceLock;
use std::time::Duration;

use gosight_config::telemetry::TracingSettings;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

use crate::telemetry::TelemetryError;

/// One export may take so long. Spans wait in a bounded queue (2048); what does not fit is dropped, and the SDK says so in the log.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The tracer of this process; none where no collector is configured.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// The traces of this process.
#[derive(Debug, Default)]
pub struct Traces {
    provider: Option<SdkTracerProvider>,
}

/// Sends this process's spans to the configured collector, which need not answer yet. `service` is its name there. Must be called
/// in a tokio runtime.
///
/// # Errors
/// The endpoint can't be used, or a tracer is installed already.
pub fn init_traces(settings: &TracingSettings, service: &'static str) -> Result<Traces, TelemetryError> {
    if settings.otlp_endpoint.is_empty() {
        return Ok(Traces::default());
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&settings.otlp_endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| TelemetryError::Collector {
            endpoint: settings.otlp_endpoint.clone(),
            reason: error.to_string(),
        })?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::TraceIdRatioBased(settings.sampling_ratio))
        .with_resource(Resource::builder_empty().with_service_name(service).build())
        .build();
    TRACER
        .set(provider.tracer("gosight"))
        .map_err(|_| TelemetryError::Install("a tracer is installed already".to_owned()))?;
    Ok(Traces {
        provider: Some(provider),
    })
}

impl Traces {
    /// Sends what waits, at most for `timeout`.
    pub async fn close(self, timeout: Duration) {
        let Some(provider) = self.provider else { return };
        // It blocks until the collector has answered.
        let closed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(timeout)).await;
        if let Ok(Err(error)) = closed {
            tracing::warn!(%error, "the last spans could not be sent to the collector");
        }
    }
}

/// What happens to one batch in this process. It ends when it is dropped.
#[derive(Debug)]
pub struct Span(Option<Box<opentelemetry_sdk::trace::Span>>);

impl Span {
    /// No span.
    pub const fn none() -> Self {
        Self(None)
    }

    /// What a request of a client asks for.
    pub fn serving(name: &'static str, traceparent: Option<&str>) -> Self {
        Self::start(name, SpanKind::Server, traceparent)
    }

    /// What a record of the log asks for.
    pub fn consuming(name: &'static str, traceparent: Option<&str>) -> Self {
        Self::start(name, SpanKind::Consumer, traceparent)
    }

    fn start(name: &'static str, kind: SpanKind, traceparent: Option<&str>) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let parent = traceparent.and_then(parse);
        // Who does not want its trace kept is heard; who wants it kept is subject to our share like everyone.
        if parent.as_ref().is_some_and(|parent| !parent.is_sampled()) {
            return Self(None);
        }
        let context = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let span = tracer
            .span_builder(name)
            .with_kind(kind)
            .start_with_context(tracer, &context);
        Self(Some(Box::new(span)))
    }

    /// Its traceparent, by which the next process continues it; `None` where there are no traces.
    pub fn traceparent(&self) -> Option<String> {
        let context = self.0.as_ref()?.span_context();
        let flags = context.trace_flags().to_u8();
        Some(format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id()))
    }

    /// Whether it will be sent to the collector: only then is it worth to work out what to say of it.
    pub fn is_kept(&self) -> bool {
        self.0.as_ref().is_some_and(|span| span.is_recording())
    }

    /// Says something of it.
    pub fn note(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// It failed, for this reason.
    pub fn fail(&mut self, reason: &'static str) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(reason));
        }
    }
}

/// `00-{trace id}-{span id}-{flags}`, as W3C Trace Context writes it; what is none of these has no parent.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let more = parts.next().is_some();
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    // Later versions may say more after the flags.
    let is_known = is_hex(version, 2) && version != "ff" && (version != "00" || !more);
    if !is_known || !is_hex(trace_id, 32) || !is_hex(span_id, 16) || !is_hex(flags, 2) {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace_id).ok()?,
        SpanId::from_hex(span_id).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::{Span, parse};

    #[test]
    fn a_traceparent_reads_as_the_standard_says() {
        let context = parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
        assert!(context.is_sampled() && context.is_remote());
        assert!(
            parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more").is_some_and(|cc| !cc.is_sampled())
        );
        for wrong in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn without_a_collector_a_span_is_nothing() {
        let span = Span::serving("a", Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        assert!(span.traceparent().is_none());
    }
}
