//! Which part of an answer is a variable's value: JSONPath (RFC 9535), whose leading `$.` may be left out.

use serde_json::Value;
use serde_json_path::JsonPath;

/// How much the things that a path finds may take together, in bytes of memory.
const MOST_FOUND: usize = 8 * 1024 * 1024;

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    Nothing,
    TooMuch,
}

/// A path, compiled.
#[derive(Debug)]
pub(crate) struct Select {
    path: JsonPath,
    /// Can it name one place only?
    is_singular: bool,
}

impl Select {
    /// Reads a path.
    ///
    /// # Errors
    ///
    /// What is wrong, with the place in the text counted from 1.
    pub(crate) fn compile(text: &str) -> Result<Self, (usize, String)> {
        let (full, added) = full(text.trim());
        let path = JsonPath::parse(&full).map_err(|error| {
            let at = error.position().saturating_sub(added).max(1);
            let hint = "it is JSONPath, such as `user.name` or `items[*].id`; a name with other characters is quoted, as in \
                        `['first-name']`";
            (at, format!("the path does not parse: {hint}"))
        })?;
        Ok(Self { is_singular: is_singular(&full), path })
    }

    /// What the path finds.
    ///
    /// # Errors
    ///
    /// If it can name one place only, and there is nothing; or if it finds things within things, again and again, which
    /// together are far larger than the answer.
    pub(crate) fn find(&self, answer: &Value) -> Result<Value, NotFound> {
        let found = self.path.query(answer);
        if self.is_singular {
            return found.first().cloned().ok_or(NotFound::Nothing);
        }
        let mut room = MOST_FOUND;
        if found.iter().any(|value| !fits(value, &mut room)) {
            return Err(NotFound::TooMuch);
        }
        Ok(found.iter().map(|value| (*value).clone()).collect())
    }
}

/// Is there room for a value, in bytes of memory? Takes the room that it needs.
pub(super) fn fits(value: &Value, room: &mut usize) -> bool {
    let own = size_of::<Value>() + value.as_str().map_or(0, str::len);
    let Some(left) = room.checked_sub(own) else { return false };
    *room = left;
    match value {
        Value::Array(items) => items.iter().all(|item| fits(item, room)),
        Value::Object(members) => members.iter().all(|(name, member)| {
            let left = room.checked_sub(size_of::<String>() + name.len());
            left.is_some_and(|left| {
                *room = left;
                fits(member, room)
            })
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// The path with its beginning, and how many characters were added.
fn full(text: &str) -> (String, usize) {
    match text.chars().next() {
        None => ("$".to_owned(), 1),
        Some('$') => (text.to_owned(), 0),
        Some('.' | '[') => (format!("${text}"), 1),
        Some(_) => (format!("$.{text}"), 2),
    }
}

/// Is it made of names and single indices alone (RFC 9535, 2.3.5.1)? The path is one that parses.
fn is_singular(path: &str) -> bool {
    let mut rest = path.trim_start_matches('$').trim_start();
    while !rest.is_empty() {
        let after = match rest.strip_prefix('[') {
            Some(inner) => after_one_selector(inner.trim_start()),
            None => rest.strip_prefix('.').filter(|name| !name.starts_with(['.', '*'])).map(|name| {
                let end = name.find(['.', '[', ' ', '\t', '\n', '\r']).unwrap_or(name.len());
                name.get(end..).unwrap_or_default()
            }),
        };
        let Some(after) = after else { return false };
        rest = after.trim_start();
    }
    true
}

/// What follows a bracket that holds one name or one index. None for anything else in it.
fn after_one_selector(inner: &str) -> Option<&str> {
    let quote = inner.chars().next()?;
    let rest = if matches!(quote, '\'' | '"') {
        let mut escaped = false;
        let end = inner.char_indices().skip(1).find_map(|(at, c)| {
            let closes = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            closes.then_some(at + 1)
        })?;
        inner.get(end..)?
    } else {
        inner.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-')
    };
    rest.trim_start().strip_prefix(']')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn select(path: &str, answer: &Value) -> Option<Value> {
        Select::compile(path).unwrap().find(answer).ok()
    }

    #[test]
    fn findings_within_findings_have_an_end() {
        let mut answer = json!("x".repeat(500_000));
        for _ in 0..100 {
            answer = json!([answer]);
        }
        assert_eq!(Select::compile("$..*").unwrap().find(&answer), Err(NotFound::TooMuch));
        assert!(Select::compile("$[*]").unwrap().find(&answer).is_ok());

        // The same around a name instead of a text.
        let mut answer = json!({ ("x".repeat(500_000)): 1 });
        for _ in 0..100 {
            answer = json!([answer]);
        }
        assert_eq!(Select::compile("$..*").unwrap().find(&answer), Err(NotFound::TooMuch));
    }

    #[test]
    fn a_path_to_one_place_gives_the_value_and_any_other_a_list() {
        let answer = json!({
            "user": { "name": "Ada", "first-name": "A", "a.b]": 1 }, "items": [{ "id": 1 }, { "id": 2 }], "none": null,
        });
        for (path, expected) in [
            ("user.name", Some(json!("Ada"))),
            ("$.user.name", Some(json!("Ada"))),
            ("$", Some(answer.clone())),
            ("", Some(answer.clone())),
            ("user['first-name']", Some(json!("A"))),
            ("['user'] [ \"a.b]\" ]", Some(json!(1))),
            ("items[-1].id", Some(json!(2))),
            ("none", Some(json!(null))),
            ("user.email", None),
            ("items[7]", None),
            ("none.deeper", None),
            ("items[*].id", Some(json!([1, 2]))),
            ("items[0:1]", Some(json!([{ "id": 1 }]))),
            ("items[0,1].id", Some(json!([1, 2]))),
            ("..id", Some(json!([1, 2]))),
            ("items[?@.id > 1]", Some(json!([{ "id": 2 }]))),
            ("items[?@.id > 7]", Some(json!([]))),
            ("user.*", Some(json!(["Ada", "A", 1]))),
            ("nothing[*]", Some(json!([]))),
        ] {
            assert_eq!(select(path, &answer), expected, "{path}");
        }
    }

    #[test]
    fn a_path_that_does_not_parse_says_where() {
        for (path, at) in [("user.", 5), ("$.user[", 7), ("first-name", 6), ("a b", 2)] {
            let (place, message) = Select::compile(path).unwrap_err();
            assert!(message.contains("JSONPath"), "{message}");
            assert!(place.abs_diff(at) <= 1, "{path}: {place}");
        }
    }
}
