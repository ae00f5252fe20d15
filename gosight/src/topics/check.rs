//! `gosight topics check`

use super::arguments::CheckArguments;
use super::{contract, differences};
use crate::connection;
use crate::failure::Failure;
use crate::output::{self, OutputFormat};

pub(super) async fn run(arguments: CheckArguments) -> Result<(), Failure> {
    let enricher = connection::enricher_settings(arguments.enricher_config.as_deref())?;
    let opened = connection::open_existing(&arguments.log, "gosight-topics").await?;
    let specs = contract(&opened.edge, &enricher);
    let mut found = Vec::new();
    for spec in &specs {
        let stands = opened.log.describe(&spec.name).await?;
        found.extend(differences::of(spec, stands.as_ref()));
    }
    let (raw, errors) = (&opened.topics.events, &opened.topics.errors);
    output::note(&format!(
        "Readers of {raw} and {errors} must set isolation.level=read_committed: they are written in transactions."
    ));
    if found.is_empty() {
        return match arguments.format {
            OutputFormat::Table => output::say(&format!("All {} topics are as the services need them.", specs.len())),
            OutputFormat::Json => Ok(()),
        };
    }
    output::rows(arguments.format, &found)?;
    Err(Failure::finding(format!(
        "differences from the contract: {}; `gosight topics create` makes what is missing, Kafka's own tools change what stands",
        found.len()
    )))
}
