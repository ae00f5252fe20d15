//! The embedded engine.

use std::path::Path;
use std::sync::Arc;

use crate::{EventLog, LogError};

/// stub
#[derive(Debug, Clone, Default)]
pub struct EmbeddedOptions {}

/// stub
pub struct EmbeddedLog;

impl EmbeddedLog {
    /// stub
    pub async fn open(_directory: &Path, _options: EmbeddedOptions) -> Result<Arc<dyn EventLog>, LogError> {
        Err(LogError::Settings {
            reason: "stub".to_owned(),
        })
    }
}
