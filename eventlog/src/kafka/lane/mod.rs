//! A lane: a thread that owns a group member and its transactional producer, and the handle that speaks with it. The work of its
//! transactions runs on that thread, too: what it makes is still in the processor's cache when librdkafka copies it.

mod filling;
mod group;
mod positions;
mod reports;
mod standing;
pub(super) mod transactions;
mod worker;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use self::worker::Worker;
use super::fault::Question;
use super::limits::TopicLimits;
use crate::{Ended, Lane, LaneError, LaneOptions, LogError, PollLimit, Polled, Work};

/// How long a lane may take to open: the transaction that a predecessor left open has to end first.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a lane may take to leave its group.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The handle of a lane.
pub(super) struct KafkaLane {
    commands: mpsc::Sender<Command>,
    /// The number of the last poll whose result has arrived here.
    received: u64,
}

/// What the handle asks for. `received` tells the worker whether its last poll's result has arrived: a caller may stop waiting for
/// a poll, and what that poll has taken must neither be lost nor committed.
struct Command {
    received: u64,
    request: Request,
}

enum Request {
    Poll(PollLimit, oneshot::Sender<Result<NumberedPoll, LaneError>>),
    Transact(Work, oneshot::Sender<Result<Ended, LaneError>>),
    Rewind(oneshot::Sender<Result<(), LaneError>>),
    Stay(oneshot::Sender<Result<(), LaneError>>),
    Close(oneshot::Sender<()>),
}

struct NumberedPoll {
    number: u64,
    polled: Polled,
}

impl KafkaLane {
    /// Joins the group in a new thread; fences an older lane of the same transactional id.
    pub(super) async fn open(
        consumer: ClientConfig,
        producer: ClientConfig,
        options: LaneOptions,
        limits: Arc<TopicLimits>,
        question: Question,
    ) -> Result<Self, LogError> {
        let question = Question {
            timeout: OPEN_TIMEOUT,
            ..question
        };
        let (commands, inbox) = mpsc::channel(1);
        let (opened, opening) = oneshot::channel();
        let in_thread = question.clone();
        thread::Builder::new()
            .name(format!("lane-{}", options.transactional_id))
            .spawn(
                move || match Worker::open(&consumer, &producer, options, limits, &in_thread) {
                    Ok(worker) => {
                        // When the opener has stopped waiting, the channel is closed and the worker leaves at once.
                        let _ = opened.send(Ok(()));
                        serve(worker, inbox);
                    }
                    Err(error) => {
                        let _ = opened.send(Err(error));
                    }
                },
            )
            .map_err(|error| question.refused(error))?;
        // The worker's own deadlines are shorter.
        match timeout(OPEN_TIMEOUT * 2, opening).await {
            Ok(Ok(result)) => result.map(|()| Self { commands, received: 0 }),
            Ok(Err(_)) => Err(question.refused("the lane's thread ended")),
            Err(_) => Err(question.timed_out()),
        }
    }

    async fn ask<T>(&self, request: Request, answer: oneshot::Receiver<T>) -> Result<T, LaneError> {
        let gone = || LaneError::Broken {
            reason: "the lane's thread has ended".to_owned(),
        };
        let command = Command {
            received: self.received,
            request,
        };
        self.commands.send(command).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

#[async_trait]
impl Lane for KafkaLane {
    async fn poll(&mut self, limit: PollLimit) -> Result<Polled, LaneError> {
        let (reply, answer) = oneshot::channel();
        let NumberedPoll { number, polled } = self.ask(Request::Poll(limit, reply), answer).await??;
        self.received = number;
        Ok(polled)
    }

    async fn transact(&mut self, work: Work) -> Result<Ended, LaneError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Transact(work, reply), answer).await?
    }

    async fn stay(&mut self) -> Result<(), LaneError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Stay(reply), answer).await?
    }

    async fn rewind(&mut self) -> Result<(), LaneError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Rewind(reply), answer).await?
    }

    async fn close(self: Box<Self>) -> Result<(), LaneError> {
        let (reply, answer) = oneshot::channel();
        match timeout(CLOSE_TIMEOUT, self.ask(Request::Close(reply), answer)).await {
            Ok(result) => result,
            Err(_) => Err(LaneError::Broken {
                reason: format!("leaving the group took longer than {CLOSE_TIMEOUT:?}"),
            }),
        }
    }
}

/// Serves the handle until it closes or goes away.
fn serve(mut worker: Worker, mut inbox: mpsc::Receiver<Command>) {
    let mut number: u64 = 0;
    while let Some(Command { received, request }) = inbox.blocking_recv() {
        if received != number {
            worker.take_back();
            number = received;
        }
        // A reply that nobody waits for is found out by the next command's `received`.
        match request {
            Request::Poll(limit, reply) => {
                let result = worker.poll(limit);
                if result.is_ok() {
                    number += 1;
                }
                let _ = reply.send(result.map(|polled| NumberedPoll { number, polled }));
            }
            Request::Transact(work, reply) => {
                let _ = reply.send(worker.transact(work));
            }
            Request::Rewind(reply) => {
                let _ = reply.send(worker.rewind());
            }
            Request::Stay(reply) => {
                let _ = reply.send(worker.stay());
            }
            Request::Close(reply) => {
                worker.leave();
                let _ = reply.send(());
                return;
            }
        }
    }
    worker.leave();
}
