//! A story as lines for a person.

use gosight_schemas::Transport;

use super::tell::{BatchStory, Outcome, Story};
use crate::{moment, output};

impl Story {
    /// For a person.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for batch in &self.batches {
            batch.add_lines(&mut lines);
            lines.push(String::new());
        }
        lines.extend(self.notes.iter().cloned());
        lines.extend(self.searched.iter().map(|line| format!("searched {line}")));
        lines.iter().map(|line| output::printable(line)).collect()
    }
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Http => "HTTP",
        Transport::Grpc => "gRPC",
        Transport::GrpcWeb => "gRPC-Web",
    }
}

impl BatchStory {
    fn add_lines(&self, lines: &mut Vec<String>) {
        match &self.received {
            Some(received) => {
                lines.push(format!(
                    "batch {} of project {}, session {}",
                    received.batch_id, received.project_id, received.session_id
                ));
                lines.push(format!(
                    "  received   {}  over {} with key {}",
                    moment::shown(received.at),
                    transport(received.transport),
                    received.key_id
                ));
            }
            None => lines.push("a staged record that can't be read".to_owned()),
        }
        let since_receipt = self.received.as_ref().map(|received| self.staged_at - received.at);
        lines.push(format!(
            "  staged     {}  {}{}",
            moment::shown(self.staged_at),
            self.staged,
            since_receipt.map(|ms| format!("  (+{ms} ms)")).unwrap_or_default()
        ));
        for event in &self.events {
            let names: Vec<&str> = [&event.event_type, &event.event_id, &event.original_id]
                .into_iter()
                .filter_map(|name| name.as_deref())
                .collect();
            lines.push(format!("  event {:<4} {}", event.index, names.join("  ")));
            lines.push(format!("    {}", self.outcome_line(&event.outcome)));
            for later in &event.later {
                let at = moment::shown(later.at);
                lines.push(format!("    {} {}  {at}  {}", later.by, later.id, later.record));
            }
        }
    }

    fn outcome_line(&self, outcome: &Outcome) -> String {
        let after = |at: i64| format!("{}  (+{} ms)", moment::shown(at), at - self.staged_at);
        match outcome {
            Outcome::Published { record, at } => format!("published  {record}  {}", after(*at)),
            Outcome::Rejected {
                record,
                at,
                code,
                field,
                message,
                ..
            } => format!("rejected   {record}  {}  {code} at {field:?}: {message}", after(*at)),
            Outcome::Duplicate { of } => format!("duplicate  of {of}"),
            Outcome::InFlight { consumed_to } => {
                format!("in flight  the enricher has consumed this partition up to offset {consumed_to}")
            }
            Outcome::Unknown => {
                "unknown    no record has its origin in what was searched: see `gosight audit`".to_owned()
            }
        }
    }
}
