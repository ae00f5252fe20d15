//! Today's privacy settings of projects: a replay must not let out an address that today's project wants kept.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use gosight_config::edge::PostgresSettings;
use gosight_eventlog::LogRecord;
use gosight_schemas::{PrivacyRules, RawBatch, decode_raw_batch, encode_raw_batch};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};

use crate::failure::Failure;

/// How long the database may take.
const TIMEOUT: Duration = Duration::from_secs(10);

const IN_POSTGRES: &str = "SELECT id::text FROM projects WHERE settings #> '{privacy,anonymizeIp}' = 'true'::jsonb";
const IN_SQLITE: &str = "SELECT id FROM projects WHERE json_extract(settings, '$.privacy.anonymizeIp') = 1";

/// Projects that want no full address today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Private {
    /// Whoever it is.
    All,
    /// These, by id.
    Projects(BTreeSet<String>),
}

impl Private {
    /// As the dashboard's database has it.
    pub(crate) async fn in_postgres(settings: &PostgresSettings) -> Result<Self, Failure> {
        let read = async {
            let options = PgConnectOptions::from_str(settings.dsn.reveal())?.application_name("gosight-replay");
            let mut connection = PgConnection::connect_with(&options).await?;
            let rows = sqlx::query(IN_POSTGRES).fetch_all(&mut connection).await?;
            rows.iter()
                .map(|row| row.try_get(0))
                .collect::<Result<BTreeSet<String>, sqlx::Error>>()
        };
        Self::read("PostgreSQL", read).await
    }

    /// As the keys beside an embedded log have it; none where there are no keys.
    pub(crate) async fn in_sqlite(file: &Path) -> Result<Self, Failure> {
        if !file.exists() {
            return Ok(Self::Projects(BTreeSet::new()));
        }
        let read = async {
            let options = SqliteConnectOptions::new().filename(file).read_only(true);
            let mut connection = SqliteConnection::connect_with(&options).await?;
            let rows = sqlx::query(IN_SQLITE).fetch_all(&mut connection).await?;
            rows.iter()
                .map(|row| row.try_get(0))
                .collect::<Result<BTreeSet<String>, sqlx::Error>>()
        };
        Self::read(&file.display().to_string(), read).await
    }

    async fn read(
        what: &str,
        read: impl Future<Output = Result<BTreeSet<String>, sqlx::Error>>,
    ) -> Result<Self, Failure> {
        let failed = |reason: String| {
            Failure::unavailable(format!(
                "today's privacy settings of projects can't be read from {what}: {reason}; name the edge's configuration with --config, or \
                 treat every project as private with --anonymize"
            ))
        };
        match tokio::time::timeout(TIMEOUT, read).await {
            Ok(Ok(projects)) => Ok(Self::Projects(projects)),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer within {TIMEOUT:?}"))),
        }
    }

    /// The staged record under the stricter of both settings.
    pub(crate) fn applied_to<'a>(&self, record: &'a LogRecord) -> Cow<'a, LogRecord> {
        if matches!(self, Self::Projects(projects) if projects.is_empty()) {
            return Cow::Borrowed(record);
        }
        // What can't be read becomes a reject either way, without an address.
        let Ok(batch) = decode_raw_batch(&record.value) else {
            return Cow::Borrowed(record);
        };
        let is_private = match self {
            Self::All => true,
            Self::Projects(projects) => projects.contains(&batch.project_id),
        };
        if !is_private || batch.privacy.anonymize_ip {
            return Cow::Borrowed(record);
        }
        let private = RawBatch {
            privacy: PrivacyRules { anonymize_ip: true },
            ..batch
        };
        match encode_raw_batch(&private) {
            Ok(value) => Cow::Owned(LogRecord {
                value: value.into(),
                ..record.clone()
            }),
            Err(_) => Cow::Borrowed(record),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::{BTreeMap, BTreeSet};

    use gosight_eventlog::{LogRecord, Position};
    use gosight_schemas::{BodyFormat, PrivacyRules, RawBatch, Transport, decode_raw_batch, encode_raw_batch};

    use super::Private;

    fn staged(anonymize_ip: bool) -> LogRecord {
        let batch = RawBatch {
            batch_id: "b".to_owned(),
            received_at: 1,
            project_id: "p".to_owned(),
            key_id: "k".to_owned(),
            session_id: "s".to_owned(),
            user_id: None,
            transport: Transport::Http,
            body_format: BodyFormat::Json,
            body: "{}".into(),
            event_count: 0,
            sent_at: None,
            client_ip: Some("203.0.113.77".to_owned()),
            user_agent: None,
            client_hints: BTreeMap::new(),
            accept_language: None,
            origin: None,
            referer: None,
            privacy: PrivacyRules { anonymize_ip },
            traceparent: None,
        };
        LogRecord {
            position: Position {
                topic: "staging".into(),
                partition: 0,
                offset: 7,
            },
            timestamp_ms: 1,
            key: None,
            value: encode_raw_batch(&batch).unwrap().into(),
            headers: Vec::new(),
        }
    }

    #[test]
    fn the_stricter_of_both_settings_counts() {
        let only = |project: &str| Private::Projects(BTreeSet::from([project.to_owned()]));
        for (private, staged_as, expected) in [
            (only("p"), false, true),
            (only("q"), false, false),
            (only("q"), true, true),
            (Private::All, false, true),
            (Private::Projects(BTreeSet::new()), true, true),
        ] {
            let record = staged(staged_as);
            let applied = private.applied_to(&record);
            let batch = decode_raw_batch(&applied.value).unwrap();
            assert_eq!(batch.privacy.anonymize_ip, expected, "{private:?}");
            assert_eq!(
                matches!(applied, Cow::Borrowed(_)),
                staged_as == expected,
                "{private:?}"
            );
            assert_eq!(
                (batch.client_ip.as_deref(), applied.position.offset),
                (Some("203.0.113.77"), 7)
            );
        }
    }
}
