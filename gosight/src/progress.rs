//! Progress of long work, on standard error and only where it is a terminal.

#![allow(dead_code, reason = "the first long command is on its way")]

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over a known amount: `unit` is plural, such as "events". Clear it with `finish_and_clear` before the result is printed.
pub(crate) fn bar(total: u64, unit: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    styled(
        bar,
        &format!("{{bar:30}} {{human_pos}}/{{human_len}} {unit}  {{per_sec}}  {{eta}} left  {{msg}}"),
    )
}

/// A count with no known end, such as a search.
pub(crate) fn count(unit: &'static str) -> ProgressBar {
    styled(
        ProgressBar::no_length(),
        &format!("{{spinner}} {{human_pos}} {unit}  {{per_sec}}  {{elapsed}}  {{msg}}"),
    )
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressStyle;

    #[test]
    fn the_templates_are_read() {
        for template in [
            "{bar:30} {human_pos}/{human_len} events  {per_sec}  {eta} left  {msg}",
            "{spinner} {human_pos} events  {per_sec}  {elapsed}  {msg}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
