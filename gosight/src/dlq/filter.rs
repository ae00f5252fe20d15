//! Which rejects a command is about. Written to the ledger with a job, so that a resumed one asks for the same.

use gosight_eventlog::LogRecord;
use gosight_schemas::{RejectCode, headers};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::letter::Letter;
use crate::ranges::Times;
use crate::tail::filter::plain_type;

/// Everything that is named must hold; of several values of one field, one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) code: Vec<RejectCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    /// A name of the catalogue, or what the client wrote.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) event_type: Option<String>,
    /// Rejected at or after, Unix ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<i64>,
    /// Rejected before, Unix ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) id: Vec<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enricher_version: Option<String>,
}

impl Filter {
    /// The part of the topic in which such rejects stand.
    pub(crate) fn times(&self) -> Times {
        Times {
            from_ms: self.from,
            to_ms: self.to,
        }
    }

    /// Whether the record may hold such a reject, as far as its headers tell: most are left out without being read.
    pub(crate) fn may_match(&self, record: &LogRecord) -> bool {
        let header_is = |name: &str, wanted: &str| record.header(name).is_none_or(|value| value == wanted.as_bytes());
        let time_fits = self.from.is_none_or(|from| record.timestamp_ms >= from)
            && self.to.is_none_or(|to| record.timestamp_ms < to);
        let project_fits = self
            .project
            .as_deref()
            .is_none_or(|project| header_is(headers::PROJECT_ID, project));
        let code_fits = self.code.is_empty() || self.code.iter().any(|code| header_is(headers::CODE, code.as_str()));
        let version_fits = self
            .enricher_version
            .as_deref()
            .is_none_or(|version| header_is(headers::ENRICHER_VERSION, version));
        time_fits && project_fits && code_fits && version_fits
    }

    /// Whether headers alone decide.
    pub(crate) fn is_by_headers(&self) -> bool {
        self.session.is_none() && self.event_type.is_none()
    }

    /// Whether a reject of that id was asked for, as far as the id decides.
    pub(crate) fn names(&self, reject_id: Uuid) -> bool {
        self.id.is_empty() || self.id.contains(&reject_id)
    }

    /// Whether it is such a reject.
    pub(crate) fn matches(&self, letter: &Letter) -> bool {
        let reject = &letter.reject;
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        (self.code.is_empty() || self.code.contains(&reject.code))
            && self.names(reject.reject_id)
            && is(&self.project, &reject.project_id)
            && is(&self.session, &reject.session_id)
            && is(&self.enricher_version, &reject.enricher_version)
            && self.event_type.as_deref().is_none_or(|wanted| {
                letter
                    .event_type()
                    .is_some_and(|found| plain_type(wanted) == plain_type(&found))
            })
    }
}

#[cfg(test)]
mod tests {
    use gosight_schemas::RejectCode;
    use serde_json::json;
    use uuid::Uuid;

    use super::Filter;
    use crate::dlq::letter::tests::letter;

    #[test]
    fn each_field_decides() {
        let found = letter(&json!({ "type": "EVENT_TYPE_CLICK" }));
        let filter = Filter::default();
        assert!(filter.matches(&found));
        let mut cases: Vec<(Filter, bool)> = Vec::new();
        for (code, matches) in [(RejectCode::MissingField, true), (RejectCode::WrongType, false)] {
            let filter = Filter {
                code: vec![code],
                ..Filter::default()
            };
            cases.push((filter, matches));
        }
        for (wanted, matches) in [("click", true), ("scroll", false)] {
            let filter = Filter {
                event_type: Some(wanted.to_owned()),
                ..Filter::default()
            };
            cases.push((filter, matches));
        }
        for (project, matches) in [(found.reject.project_id.clone(), true), ("other".to_owned(), false)] {
            let filter = Filter {
                project: Some(project),
                ..Filter::default()
            };
            cases.push((filter, matches));
        }
        for (session, matches) in [("sess-1", true), ("sess-2", false)] {
            let filter = Filter {
                session: Some(session.to_owned()),
                ..Filter::default()
            };
            cases.push((filter, matches));
        }
        for (id, matches) in [(found.reject.reject_id, true), (Uuid::nil(), false)] {
            let filter = Filter {
                id: vec![id],
                ..Filter::default()
            };
            cases.push((filter, matches));
        }
        for (version, matches) in [("0.1.0", true), ("0.2.0", false)] {
            let filter = Filter {
                enricher_version: Some(version.to_owned()),
                ..Filter::default()
            };
            cases.push((filter, matches));
        }
        for (filter, matches) in cases {
            assert_eq!(filter.matches(&found), matches, "{filter:?}");
        }
    }
}
