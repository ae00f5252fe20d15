//! Files that are read whole.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;

use crate::failure::Failure;

/// Reads a file, or standard input for `-`; more than `limit` bytes are refused.
pub(crate) async fn read(file: &Path, limit: u64) -> Result<Bytes, Failure> {
    let path = file.to_owned();
    let most = limit.saturating_add(1);
    let body = tokio::task::spawn_blocking(move || read_now(&path, most))
        .await
        .map_err(|error| Failure::software(format!("reading {}: {error}", file.display())))?
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    if body.len() as u64 > limit {
        return Err(Failure::usage(format!(
            "{} has more than {limit} bytes; give less at once",
            file.display()
        )));
    }
    Ok(body.into())
}

fn read_now(file: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if file.as_os_str() == "-" {
        io::stdin().lock().take(most).read_to_end(&mut body)?;
    } else {
        File::open(file)?.take(most).read_to_end(&mut body)?;
    }
    Ok(body)
}
