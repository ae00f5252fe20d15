//! Rejects in groups of one cause: code, project, enricher version.

use std::collections::BTreeMap;

use gosight_eventlog::LogRecord;
use gosight_schemas::{Origin, RejectCode, headers};
use serde::Serialize;
use uuid::Uuid;

use super::letter::Letter;

/// What a record's headers tell of its reject, so that most rejects need not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glance {
    pub(crate) reject_id: Uuid,
    pub(crate) attempt: u32,
    code: RejectCode,
    project_id: String,
    enricher_version: String,
    /// Unix ms.
    at: i64,
}

impl Glance {
    /// `None` where a header is missing or strange: then the reject must be read.
    pub(crate) fn of(record: &LogRecord) -> Option<Self> {
        let text = |name| std::str::from_utf8(record.header(name)?).ok();
        let origin: Origin = text(headers::ORIGIN)?.parse().ok()?;
        let code = text(headers::CODE)?;
        Some(Self {
            reject_id: origin.reject_id(),
            attempt: text(headers::ATTEMPT)?.parse().ok()?,
            code: RejectCode::ALL.into_iter().find(|known| known.as_str() == code)?,
            project_id: text(headers::PROJECT_ID)?.to_owned(),
            enricher_version: text(headers::ENRICHER_VERSION)?.to_owned(),
            at: record.timestamp_ms,
        })
    }

    /// The same of a reject that was read.
    pub(crate) fn of_letter(letter: &Letter) -> Self {
        let reject = &letter.reject;
        Self {
            reject_id: reject.reject_id,
            attempt: reject.attempt,
            code: reject.code,
            project_id: reject.project_id.clone(),
            enricher_version: reject.enricher_version.clone(),
            at: reject.rejected_at,
        }
    }
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    pub(crate) code: RejectCode,
    pub(crate) project_id: String,
    pub(crate) enricher_version: String,
    pub(crate) count: u64,
    /// When the first was rejected, Unix ms.
    pub(crate) first_ms: i64,
    /// When the last was rejected, Unix ms.
    pub(crate) last_ms: i64,
    /// One of them, for `gosight dlq show`.
    pub(crate) sample_id: Uuid,
    pub(crate) sample: String,
}

/// Counts rejects by their group.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<(RejectCode, String, String), Group>,
}

impl Groups {
    /// Counts one. `message` gives the reject's message, and is asked for the first of a group only.
    pub(crate) fn add(&mut self, glance: Glance, message: impl FnOnce() -> String) {
        let Glance {
            reject_id,
            code,
            project_id,
            enricher_version,
            at,
            ..
        } = glance;
        let key = (code, project_id, enricher_version);
        let group = self
            .groups
            .entry(key)
            .or_insert_with_key(|(code, project_id, version)| Group {
                code: *code,
                project_id: project_id.clone(),
                enricher_version: version.clone(),
                count: 0,
                first_ms: at,
                last_ms: at,
                sample_id: reject_id,
                sample: message(),
            });
        group.count += 1;
        group.first_ms = group.first_ms.min(at);
        group.last_ms = group.last_ms.max(at);
    }

    /// The largest first.
    pub(crate) fn into_list(self) -> Vec<Group> {
        let mut groups: Vec<Group> = self.groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        groups
    }
}

#[cfg(test)]
mod tests {
    use gosight_schemas::RejectCode;
    use serde_json::json;

    use super::{Glance, Groups};
    use crate::dlq::letter::tests::letter;

    #[test]
    fn a_group_is_one_code_project_and_version_and_the_largest_comes_first() {
        let glance = Glance::of_letter(&letter(&json!({})));
        let mut groups = Groups::default();
        let other = Glance {
            code: RejectCode::WrongType,
            ..glance.clone()
        };
        groups.add(other, || "other".to_owned());
        for (at, text) in [(20, "first"), (10, "second"), (30, "third")] {
            groups.add(Glance { at, ..glance.clone() }, || text.to_owned());
        }
        let list = groups.into_list();
        let seen: Vec<_> = list
            .iter()
            .map(|group| (group.code, group.count, group.sample.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (RejectCode::MissingField, 3, "first"),
                (RejectCode::WrongType, 1, "other")
            ]
        );
        assert_eq!((list[0].first_ms, list[0].last_ms), (10, 30));
    }
}
