//! Programs that users send with; `make clients` installs them.

use std::path::{Path, PathBuf};

/// The Chromium of `CHROMIUM`, else the one on the PATH.
///
/// # Panics
/// There is none.
pub fn chromium() -> PathBuf {
    on_path("chromium", std::env::var_os("CHROMIUM").map(PathBuf::from))
}

/// The Python of `GRPC_PYTHON`, else the one that `make clients` installs; it has gRPC.
///
/// # Panics
/// There is none.
pub fn grpc_python() -> PathBuf {
    let installed = repository().join("target/clients/python/bin/python");
    on_path(
        "a Python with gRPC",
        Some(std::env::var_os("GRPC_PYTHON").map_or(installed, PathBuf::from)),
    )
}

/// The curl on the PATH.
///
/// # Panics
/// There is none.
pub fn curl() -> PathBuf {
    on_path("curl", None)
}

/// The top of the repository.
///
/// # Panics
/// Never: this crate stands in it.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a member of the workspace")
}

/// Finds a program by its path, or by `name` in the folders of PATH.
fn on_path(name: &str, path: Option<PathBuf>) -> PathBuf {
    let program = path.unwrap_or_else(|| name.into());
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // Joining an absolute path gives that path.
    std::env::split_paths(&folders)
        .map(|folder| folder.join(&program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{name} is missing ({}): run `make clients`", program.display()))
}
