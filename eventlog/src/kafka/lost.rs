//! Clients that have lost every broker. A broker that has just started may answer for its metadata that the cluster has no broker at
//! all. librdkafka takes that for the truth and forgets all it knows, the configured addresses included; it begins anew from those,
//! but where the same happens meanwhile, never (confluentinc/librdkafka#5301): every record would then time out until a restart. Such a
//! client reaches no broker while a new one does.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::Consumer;
use rdkafka::producer::Producer;

use super::admin::{Admin, Clients};
use super::blocking;
use super::fault::{code_of, is_silence};
use super::producer::{AppendProducer, Appender};
use crate::LogError;

/// Asks the brokers by each client that lives as long as the process, and puts a new one in the place of each that has lost them.
/// Records that wait in a producer that has are in doubt. Takes up to `timeout`, but a moment where nothing is wrong; says nothing of
/// whether the brokers answer.
pub(super) async fn replace_lost_clients(
    appender: &Arc<Appender>,
    admin: &Arc<Admin>,
    topic: &str,
    timeout: Duration,
) -> Result<(), LogError> {
    let (appender, admin, topic) = (Arc::clone(appender), Arc::clone(admin), topic.to_owned());
    let replaced = blocking(move || {
        let Some(producer) = appender.producer() else {
            return Ok(());
        };
        let clients = admin.clients();
        if reach(&producer, &clients, &topic, timeout / 4) {
            return Ok(());
        }
        let fresh = admin.new_clients()?;
        // The others have more time then: they may be slower by a moment than the new one.
        if !reaches(fresh.questions.client(), &topic, timeout / 4) || reach(&producer, &clients, &topic, timeout / 2) {
            return Ok(());
        }
        tracing::warn!("a client has lost every broker, though they answer; going on with new clients");
        admin.take(Arc::new(fresh));
        // The error is that librdkafka refuses the settings that it has taken before; the next look tries again.
        let _ = appender.replace(&producer);
        Ok(())
    });
    replaced.await?
}

fn reach(producer: &AppendProducer, clients: &Clients, topic: &str, timeout: Duration) -> bool {
    reaches(producer.client(), topic, timeout)
        && reaches(clients.questions.client(), topic, timeout)
        && reaches(clients.admin.inner(), topic, timeout)
}

fn reaches<C: ClientContext>(client: &Client<C>, topic: &str, timeout: Duration) -> bool {
    let answer = client.fetch_metadata(Some(topic), timeout);
    !answer.err().as_ref().and_then(code_of).is_some_and(is_silence)
}
