//! `gosight send`: batches into an edge as SDKs send them, each tried until it is acknowledged or will never be.

mod arguments;
mod batch;
mod file;
mod generate;
mod grpc;
mod http;
mod pace;
mod summary;
mod target;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gosight_lifecycle::Shutdown;
use indicatif::ProgressBar;
use jiff::Timestamp;
use tokio::task::JoinSet;
use uuid::Uuid;

use self::arguments::TransportChoice;
use self::batch::{Batch, Encoding, NoAck, Retry};
use self::generate::Visitor;
use self::grpc::GrpcDoor;
use self::http::HttpDoor;
use self::pace::Pace;
use self::summary::Tally;
use self::target::Target;
use crate::failure::Failure;
use crate::{input, progress};

pub(crate) use self::arguments::SendArguments;

/// A file for `send` is read whole.
const LARGEST_FILE: u64 = 256 << 20;
/// Between the first two tries of a batch; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The way into an edge.
#[async_trait]
trait Door: Send {
    /// Sends a batch once.
    ///
    /// # Errors
    /// It is not known to be acknowledged.
    async fn send(&mut self, batch: &Batch) -> Result<(), NoAck>;
}

/// What the senders share.
struct Sending {
    arguments: SendArguments,
    tally: Mutex<Tally>,
    progress: ProgressBar,
    stop: Shutdown,
}

/// `gosight send`
pub(crate) async fn run(arguments: SendArguments) -> Result<(), Failure> {
    let target = target(&arguments).map_err(Failure::usage)?;
    let format = arguments.format;
    let stop = Shutdown::on_signals().map_err(|error| Failure::software(format!("signals: {error}")))?;
    let progress = match arguments.count {
        Some(count) => progress::bar(count, "events"),
        None => progress::count("events"),
    };
    let sending = Arc::new(Sending {
        tally: Mutex::new(Tally::new()?),
        progress,
        stop,
        arguments,
    });
    let started = Instant::now();
    if sending.arguments.generate {
        generate(&sending, &target).await?;
    } else {
        send_file(&sending, target).await?;
    }
    sending.progress.finish_and_clear();
    sending
        .tally
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .report(format, started.elapsed())
}

fn target(arguments: &SendArguments) -> Result<Target, String> {
    let (default, protocol) = match arguments.transport {
        TransportChoice::Http => ("http://127.0.0.1:8080", "http/1.1"),
        TransportChoice::Grpc => ("http://127.0.0.1:50051", "h2"),
    };
    Target::parse(arguments.to.as_deref().unwrap_or(default), protocol)
}

fn door(transport: TransportChoice, target: Target) -> Result<Box<dyn Door>, Failure> {
    Ok(match transport {
        TransportChoice::Http => Box::new(HttpDoor::new(target)),
        TransportChoice::Grpc => Box::new(GrpcDoor::new(target).map_err(Failure::usage)?),
    })
}

/// One batch after the other, in the order of the file.
async fn send_file(sending: &Sending, target: Target) -> Result<(), Failure> {
    let arguments = &sending.arguments;
    let Some(file) = &arguments.file else {
        return Err(Failure::usage("name a file, or --generate"));
    };
    let body = input::read(file, LARGEST_FILE).await?;
    let session = arguments
        .session
        .clone()
        .unwrap_or_else(|| format!("send-{}", Uuid::now_v7()));
    let batches = file::batches(&body, &arguments.key, &session, arguments.batch as usize)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let is_json = batches.iter().any(|batch| batch.encoding == Encoding::Json);
    if arguments.transport == TransportChoice::Grpc && is_json {
        return Err(Failure::usage(
            "JSON goes over HTTP; send a protobuf gosight.EventBatch over gRPC, or --generate",
        ));
    }
    let mut door = door(arguments.transport, target)?;
    for batch in &batches {
        if sending.stop.has_begun() {
            break;
        }
        sending.deliver(&mut *door, batch).await;
    }
    Ok(())
}

/// Several visitors at once, together at the rate.
async fn generate(sending: &Arc<Sending>, target: &Target) -> Result<(), Failure> {
    let arguments = &sending.arguments;
    let pace = Arc::new(Pace::new(arguments.rate, arguments.count, arguments.lasting));
    let mut senders = JoinSet::new();
    for _ in 0..arguments.in_flight {
        let door = door(arguments.transport, target.clone())?;
        senders.spawn(visit(Arc::clone(sending), Arc::clone(&pace), door));
    }
    while let Some(ended) = senders.join_next().await {
        ended.map_err(|error| Failure::software(format!("a sender crashed: {error}")))?;
    }
    Ok(())
}

async fn visit(sending: Arc<Sending>, pace: Arc<Pace>, mut door: Box<dyn Door>) {
    let arguments = &sending.arguments;
    let encoding = match arguments.transport {
        TransportChoice::Http => Encoding::Json,
        TransportChoice::Grpc => Encoding::Protobuf,
    };
    let mut visitor = Visitor::new(&arguments.key, arguments.bad);
    while let Some(turn) = pace.take(arguments.batch) {
        tokio::select! {
            () = tokio::time::sleep_until(turn.due) => {}
            () = sending.stop.begun() => return,
        }
        let mut left = turn.events;
        while left > 0 {
            let batch = visitor.batch(encoding, left, Timestamp::now().as_millisecond());
            left -= u32::try_from(batch.events).unwrap_or(left).min(left);
            sending.deliver(&mut *door, &batch).await;
        }
    }
}

impl Sending {
    /// Tries until there is an ack, or none can come; counts either.
    async fn deliver(&self, door: &mut dyn Door, batch: &Batch) {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        let result = loop {
            let sent = tokio::time::timeout(self.arguments.timeout, door.send(batch)).await;
            let no_ack = match sent.unwrap_or_else(|_| Err(NoAck::late(self.arguments.timeout))) {
                Ok(()) => break Ok(()),
                Err(no_ack) => no_ack,
            };
            let wait = match no_ack.retry {
                Retry::Never => break Err(no_ack),
                Retry::Later => pause,
                Retry::After(hint) => hint.max(pause),
            };
            if tries >= self.arguments.attempts {
                break Err(no_ack);
            }
            // Whoever stops us wants the summary now.
            tokio::select! {
                () = tokio::time::sleep(wait.mul_f64(rand::random_range(1.0..1.5))) => {}
                () = self.stop.begun() => break Err(no_ack),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            tries += 1;
        };
        self.progress.inc(batch.events);
        self.tally
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count(batch.events, tries, started.elapsed(), result);
    }
}

impl NoAck {
    fn no_connection(message: String) -> Self {
        Self {
            reason: "no_connection".to_owned(),
            message,
            retry: Retry::Later,
        }
    }

    fn late(timeout: Duration) -> Self {
        Self {
            reason: "no_answer".to_owned(),
            message: format!("no answer within {timeout:?}"),
            retry: Retry::Later,
        }
    }

    /// An ack counts every event of its batch.
    fn unless_whole(accepted: u64, events: u64) -> Result<(), Self> {
        if accepted == events {
            return Ok(());
        }
        Err(Self {
            reason: "short_ack".to_owned(),
            message: format!("the edge acknowledged {accepted} of {events} events"),
            retry: Retry::Never,
        })
    }
}
