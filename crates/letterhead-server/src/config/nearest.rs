//! "Did you mean …?"

use letterhead_context::name::nearest;

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

#[cfg(test)]
mod tests {
    use super::{list, suggestion};

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["instructions", "headers", "params"];
        assert_eq!(suggestion("instrctions", "keys", known), "did you mean `instructions`?");
        assert_eq!(suggestion("temperature", "keys", known), "the keys are `instructions`, `headers`, `params`");
        assert_eq!(suggestion("x", "providers", []), "there are no providers");
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        assert!(list(names.iter().map(String::as_str)).ends_with("`19`, …"));
    }
}
