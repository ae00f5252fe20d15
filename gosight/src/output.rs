//! How commands speak: lines and tables for people, JSON lines for machines, all on standard output.

use std::io::{self, ErrorKind, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::failure::Failure;

/// `--format` of every command that lists or reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people: fitted to the terminal
    #[default]
    Table,
    /// For machines: one JSON object a line, and nothing else on standard output
    Json,
}

/// One row of a list: its fields are the JSON object, its cells the table's row.
pub(crate) trait Row: Serialize {
    /// Over the cells, in their order.
    const HEADINGS: &'static [&'static str];

    /// What a person reads, in the order of the headings. Strangers' text may stand there as it is: the printer escapes it.
    fn cells(&self) -> Vec<String>;
}

/// Prints all rows; a table without rows is its headings alone.
pub(crate) fn rows<R: Row>(format: OutputFormat, rows: &[R]) -> Result<(), Failure> {
    match format {
        OutputFormat::Table => say(&table(R::HEADINGS, rows.iter().map(R::cells), terminal_width())),
        OutputFormat::Json => rows.iter().try_for_each(json_line),
    }
}

/// Prints one JSON object on a line of its own.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::software(format!("JSON: {error}")))?;
    say(&text)
}

/// Prints a line (or several). Strangers' text goes through [`printable`] first.
///
/// # Errors
/// Whoever read the output has seen enough (`gosight … | head`): that ends the command as a success.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    written(writeln!(output, "{text}").and_then(|()| output.flush()))
}

/// What a write to standard output means for the command.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::seen_enough()),
        Err(error) => Err(Failure::software(format!("standard output: {error}"))),
    }
}

/// Says something beside the result, on standard error, where it disturbs no machine.
#[allow(clippy::print_stderr, reason = "a command speaks to a person")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Text for a terminal: a stranger's must not move the cursor, change colours or reorder what stands beside it.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Marks that change the direction of text or have no width.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A table in plain text; cells wrap where it would be wider than `width` columns.
fn table(headings: &[&str], rows: impl Iterator<Item = Vec<String>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings);
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    for cells in rows {
        table.add_row(cells.iter().map(|cell| printable(cell)));
    }
    // Without borders the padding of the first and last column would stand there alone.
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table.trim_fmt()
}

/// Columns of the terminal; none where the output goes elsewhere, and nothing wraps.
fn terminal_width() -> Option<u16> {
    let terminal = console::Term::stdout();
    if !terminal.is_term() {
        return None;
    }
    terminal.size_checked().map(|(_, columns)| columns)
}

#[cfg(test)]
mod tests {
    use super::{printable, table};

    #[test]
    fn a_strangers_text_cannot_steer_the_terminal() {
        assert_eq!(
            printable("\u{1b}[2Jz\u{fc}rich\n\u{202e}"),
            "\\u{1b}[2Jz\u{fc}rich\\n\\u{202e}"
        );
        assert_eq!(
            printable("plain text, 'quoted' \"twice\""),
            "plain text, 'quoted' \"twice\""
        );
    }

    #[test]
    fn a_table_keeps_its_columns_and_fits_the_terminal() {
        let rows = || {
            [
                ["a".to_owned(), "\u{1b}[31mred".to_owned()],
                ["bb".to_owned(), String::new()],
            ]
            .map(Vec::from)
        };
        let shown = table(&["NAME", "VALUE"], rows().into_iter(), None);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "NAME  VALUE");
        assert_eq!(lines[1], "a     \\u{1b}[31mred");
        assert_eq!(lines[2], "bb");

        let long = [vec!["word ".repeat(20), "x".repeat(60)]];
        let shown = table(&["NAME", "VALUE"], long.into_iter(), Some(40));
        assert!(
            shown.lines().count() > 2 && shown.lines().all(|line| line.len() <= 40),
            "{shown}"
        );
    }
}
