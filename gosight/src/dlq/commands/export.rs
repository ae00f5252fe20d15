//! `gosight dlq export`

use std::fs::File;
use std::io::{self, BufWriter, Write};

use serde_json::Value;

use super::super::arguments::ExportArguments;
use super::super::letter::Letter;
use super::super::redact::redact;
use super::super::source::Scope;
use super::open;
use crate::failure::Failure;
use crate::{output, progress};

pub(super) async fn run(arguments: ExportArguments) -> Result<(), Failure> {
    let filter = arguments.filter.filter()?;
    let source = open(&arguments.log).await?;
    let scope = if arguments.all { Scope::All } else { Scope::Waiting };
    let mut letters = source.letters(&filter, scope).await?;
    let mut file = match &arguments.output {
        None => None,
        Some(path) => Some(
            File::create_new(path)
                .map(BufWriter::new)
                .map_err(|error| Failure::usage(format!("{} can't be written: {error}", path.display())))?,
        ),
    };
    let bar = progress::count("rejects");
    let mut count: u64 = 0;
    while let Some(seen) = letters.next().await? {
        for letter in seen.into_iter().filter_map(|seen| seen.letter) {
            let line = line(&letter, arguments.reveal)?;
            match &mut file {
                Some(file) => write_line(file, &line)?,
                None => output::say(&line)?,
            }
            count += 1;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    if let Some(file) = &mut file {
        file.flush().map_err(|error| unwritten(&error))?;
    }
    output::note(&format!("{count} rejects"));
    Ok(())
}

fn line(letter: &Letter, reveal: bool) -> Result<String, Failure> {
    let failed = |error: serde_json::Error| Failure::software(format!("JSON: {error}"));
    // By text, not by tree: an original keeps its own bytes.
    let text = serde_json::to_string(&letter.reject).map_err(failed)?;
    if reveal {
        return Ok(text);
    }
    let mut value: Value = serde_json::from_str(&text).map_err(failed)?;
    redact(&mut value);
    Ok(value.to_string())
}

fn write_line(file: &mut impl Write, line: &str) -> Result<(), Failure> {
    writeln!(file, "{line}").map_err(|error| unwritten(&error))
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::software(format!("the file could not be written: {error}"))
}
