//! "Did you mean": the known name that is nearest to a mistyped one.

/// The candidate with the fewest edits from `name`, where they are few enough to be a slip.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most_edits = (name.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (edits(&name.to_lowercase(), candidate), candidate))
        .filter(|(edits, _)| *edits <= most_edits)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, remove or change (Levenshtein). A long name is no slip of a short one, so its length needs no limit of its own.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut previous: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.chars().enumerate() {
        let mut current = Vec::with_capacity(previous.len());
        current.push(row + 1);
        for (column, other) in to.iter().enumerate() {
            let change = previous[column] + usize::from(letter != *other);
            current.push(change.min(previous[column + 1] + 1).min(current[column] + 1));
        }
        previous = current;
    }
    previous[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_none() {
        let known = ["body", "decompressed", "http_port", "grpc_port"];
        for (name, expected) in [
            ("boddy", Some("body")),
            ("Body", Some("body")),
            ("bdoy", Some("body")),
            ("decompresed", Some("decompressed")),
            ("httpPort", Some("http_port")),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
