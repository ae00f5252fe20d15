//! `gosight keys`: the keys of projects, on PostgreSQL or in the SQLite file of `gosight dev`.

mod arguments;
mod choose;
mod new_key;
mod postgres;
mod sqlite;
mod store;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use self::arguments::{CreateArguments, ListArguments, RevokeArguments, RotateArguments};
use self::new_key::NewKey;
use self::store::StandingKey;
use crate::failure::Failure;
use crate::moment;
use crate::output::{self, OutputFormat};

pub(crate) use self::arguments::KeysCommand;

/// Edges check a key again after so long (`keys.fresh_for`).
const STOPS_WITHIN: &str = "Edges stop accepting it within 30 s (`keys.fresh_for`).";

/// A new key as it is shown, once.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    key: &'a str,
    id: Uuid,
    prefix: &'a str,
    project_id: Uuid,
    name: &'a str,
    permissions: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Of a rotation: the key that it replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<Replaced<'a>>,
}

#[derive(Debug, Serialize)]
struct Replaced<'a> {
    id: Uuid,
    prefix: &'a str,
    expires_at: String,
}

/// `gosight keys`
pub(crate) async fn run(command: KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::Create(arguments) => create(arguments).await,
        KeysCommand::List(arguments) => list(arguments).await,
        KeysCommand::Revoke(arguments) => revoke(arguments).await,
        KeysCommand::Rotate(arguments) => rotate(arguments).await,
    }
}

async fn create(arguments: CreateArguments) -> Result<(), Failure> {
    let expires_at_ms = arguments
        .expires_in
        .map(|duration| after(now_ms(), duration, "--expires-in"))
        .transpose()?;
    let (secret, mut key) = NewKey::make(arguments.project, arguments.name, arguments.permissions)?;
    key.expires_at_ms = expires_at_ms;
    let store = store::open(&arguments.store).await?;
    if !store.has_project(arguments.project).await? {
        let project = arguments.project;
        if !arguments.create_project {
            return Err(Failure::usage(format!(
                "project {project} does not exist; check the id, or make the project too with --create-project"
            )));
        }
        store.create_project(project, &key.name).await?;
        output::note(&format!("Project {project} is new."));
    }
    store.insert(&key).await?;
    show(arguments.format, &secret, &key, None)
}

async fn list(arguments: ListArguments) -> Result<(), Failure> {
    let store = store::open(&arguments.store).await?;
    output::rows(arguments.format, &store.keys(arguments.project).await?)
}

async fn revoke(arguments: RevokeArguments) -> Result<(), Failure> {
    let store = store::open(&arguments.store).await?;
    let key = choose::one(store.keys(arguments.project).await?, &arguments.key)?;
    store.deactivate(key.id).await?;
    match arguments.format {
        OutputFormat::Table => output::say(&format!(
            "{} ({}) of project {} is revoked. {STOPS_WITHIN}",
            output::printable(&key.prefix),
            key.id,
            key.project_id
        )),
        OutputFormat::Json => output::json_line(&StandingKey { active: false, ..key }),
    }
}

async fn rotate(arguments: RotateArguments) -> Result<(), Failure> {
    let now_ms = now_ms();
    let ends_ms = after(now_ms, arguments.grace, "--grace")?;
    let store = store::open(&arguments.store).await?;
    let old = choose::one(store.keys(arguments.project).await?, &arguments.key)?;
    if !old.works_at(now_ms) {
        return Err(Failure::usage(format!(
            "{} does not work any more, so there is nothing to rotate; make a new key with `gosight keys create`",
            output::printable(&old.prefix)
        )));
    }
    // A key that ends sooner by itself is not given more time.
    let ends_ms = old.expires_at_ms.map_or(ends_ms, |before| before.min(ends_ms));
    let (secret, new) = NewKey::make(old.project_id, old.name.clone(), old.permissions.clone())?;
    store.replace(old.id, ends_ms, &new).await?;
    show(arguments.format, &secret, &new, Some((&old, ends_ms)))
}

fn show(
    format: OutputFormat,
    secret: &str,
    key: &NewKey,
    replaces: Option<(&StandingKey, i64)>,
) -> Result<(), Failure> {
    if format == OutputFormat::Json {
        return output::json_line(&Shown {
            key: secret,
            id: key.id,
            prefix: &key.prefix,
            project_id: key.project_id,
            name: &key.name,
            permissions: &key.permissions,
            expires_at: key.expires_at_ms.map(moment::shown),
            replaces: replaces.map(|(old, ends_ms)| Replaced {
                id: old.id,
                prefix: &old.prefix,
                expires_at: moment::shown(ends_ms),
            }),
        });
    }
    output::say(secret)?;
    let expires = key.expires_at_ms.map_or_else(|| "never".to_owned(), moment::shown);
    output::note(&format!(
        "This is the only time that the key is shown. Prefix {}, project {}, permits {}, expires {expires}.",
        key.prefix,
        key.project_id,
        output::printable(&key.permissions.join(", ")),
    ));
    if let Some((old, ends_ms)) = replaces {
        output::note(&format!(
            "{} goes on until {}; `gosight keys revoke {}` stops it sooner.",
            output::printable(&old.prefix),
            moment::shown(ends_ms),
            old.id
        ));
    }
    Ok(())
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// That long after `now_ms`, Unix ms.
fn after(now_ms: i64, duration: Duration, argument: &str) -> Result<i64, Failure> {
    i64::try_from(duration.as_millis())
        .ok()
        .and_then(|duration| now_ms.checked_add(duration))
        .filter(|ms| Timestamp::from_millisecond(*ms).is_ok())
        .ok_or_else(|| Failure::usage(format!("{argument} {duration:?} ends after the year 9999; give less")))
}
