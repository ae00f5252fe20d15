//! Where the outputs of a transaction belong.

use std::sync::Arc;

use super::ASK_TIMEOUT;
use super::queue::Placed;
use super::shared::Shared;
use super::topics::Topic;
use crate::{LogError, NewRecord};

/// Why an output has no place.
#[derive(Debug)]
pub(super) enum Unplaced {
    /// Its topic could not be looked up.
    Topic(LogError),
    /// It is over its topic's limit.
    TooLarge { topic: String, size: usize, limit: usize },
}

/// Finds the outputs' places, or what is wrong with one.
pub(super) async fn place(shared: &Shared, outputs: Vec<NewRecord>) -> Result<Vec<Placed>, Unplaced> {
    let mut placed = Vec::with_capacity(outputs.len());
    let mut last: Option<Arc<Topic>> = None;
    for output in outputs {
        let topic = match last.take() {
            Some(topic) if topic.name == output.topic => topic,
            _ => shared
                .topic(&output.topic, ASK_TIMEOUT)
                .await
                .map_err(Unplaced::Topic)?,
        };
        last = Some(Arc::clone(&topic));
        let limit = topic.limit();
        placed.push(
            Placed::new(output, Arc::clone(&topic)).map_err(|size| Unplaced::TooLarge {
                topic: topic.name.to_string(),
                size,
                limit,
            })?,
        );
    }
    Ok(placed)
}
