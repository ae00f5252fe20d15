//! The data directory and its lock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;

use crate::failure::Failure;

/// A data directory that this process holds alone, until it is dropped or the process dies.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Creates the directory where it is missing and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self, Failure> {
        let failed = |what: &str, error: std::io::Error| {
            let path = path.display();
            Failure::usage(format!(
                "{what} {path}: {error}; make it writable, or choose another directory with --data"
            ))
        };
        fs::create_dir_all(path).map_err(|error| failed("cannot create the data directory", error))?;
        let lock = File::create(path.join("lock")).map_err(|error| failed("cannot write to", error))?;
        match lock.try_lock_exclusive() {
            Ok(true) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Ok(false) => Err(Failure::unavailable(format!(
                "another gosight dev uses {}; stop it, or choose another directory with --data",
                path.display()
            ))),
            Err(error) => Err(failed("cannot lock", error)),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
