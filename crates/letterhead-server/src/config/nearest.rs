//! "Did you mean …?"

use strsim::damerau_levenshtein;

/// The known name that `wanted` is most likely a slip of, if one is near: up to a third of its letters may differ.
pub fn nearest<'k>(wanted: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let folded = fold(wanted);
    let limit = (wanted.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (damerau_levenshtein(&folded, &fold(name)), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Help for a name that is not known: the nearest one, else all there are.
pub(super) fn suggestion<'k>(wanted: &str, what: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(wanted, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => format!("there are no {what}"),
        None => format!("the {what} are {}", list(known)),
    }
}

/// Names as a sentence has them, at most twenty.
pub(super) fn list<'k>(names: impl IntoIterator<Item = &'k str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.get(..20) {
        Some(first) if names.len() > 20 => format!("{}, …", first.join(", ")),
        _ => names.join(", "),
    }
}

/// Case and the two separators are the commonest slips, and count for nothing.
fn fold(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::{list, nearest, suggestion};

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["instructions", "headers", "params"];
        assert_eq!(nearest("instrctions", known), Some("instructions"));
        assert_eq!(nearest("Header", known), Some("headers"));
        assert_eq!(nearest("temperature", known), None);
        assert_eq!(nearest("user-id", ["org_id", "user_id"]), Some("user_id"));
        assert_eq!(suggestion("x", "keys", known), "the keys are `instructions`, `headers`, `params`");
        assert_eq!(suggestion("x", "providers", []), "there are no providers");
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        assert!(list(names.iter().map(String::as_str)).ends_with("`19`, …"));
    }
}
