//! What other sections need to know of `headers:` before it is compiled: the declared names, and which of them are secrets.

use letterhead_context::name::folded;

use super::section::Section;

/// Parts of names that secrets have.
const SECRET_WORDS: &[&str] = &["token", "secret", "password", "key"];

/// The declared context headers.
#[derive(Default)]
pub(super) struct Declared {
    /// Their names, as they were written.
    pub(super) names: Vec<String>,
    /// The secrets among them, folded.
    pub(super) secrets: Vec<String>,
}

/// Reads the names. Warns of those called like a secret that are not marked as one.
pub(super) fn read(section: &Section<'_>) -> Declared {
    let mut declared = Declared::default();
    for (name, field) in section.child("properties").entries() {
        let schema = field.json().unwrap_or_default();
        declared.names.push(name.to_owned());
        if schema.get("writeOnly").and_then(serde_json::Value::as_bool) == Some(true) {
            declared.secrets.push(folded(name));
        } else if schema.get("$ref").is_none() && schema.get("writeOnly").is_none() && is_called_like_a_secret(name) {
            let help =
                "add `writeOnly: true`, so that no model, log or error shows it; or `writeOnly: false` if it is none"
                    .to_owned();
            field.warn_at_key(format!("`{name}` is called like a secret, but is not marked as one"), help);
        }
    }
    declared
}

fn is_called_like_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}
