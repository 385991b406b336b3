//! `headers:` and `params:` of providers and agents — what goes out on an LLM call.

use serde_json::{Map, Value as Json};

use super::{header_rules, pointer::Pointer, section::Section, template::TemplateSource};

/// Fields of an LLM call's body.
pub type Params = Map<String, Json>;

/// Fields of the call's body that Letterhead sets itself.
const OWN_FIELDS: &[&str] = &["messages", "model", "n", "stream", "stream_options", "system", "tool_choice", "tools"];

/// A header of an LLM call. Its value is a template.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutgoingHeader {
    /// The name as it was written, which is how it goes out.
    pub name: String,
    /// The value.
    pub value: TemplateSource,
}

impl OutgoingHeader {
    /// Whether it takes the place of the provider's own credential.
    #[must_use]
    pub fn is_credential(&self) -> bool {
        header_rules::is_credential(&self.name)
    }

    /// Where it stands.
    #[must_use]
    pub fn pointer(&self) -> &Pointer {
        self.value.pointer()
    }
}

/// Whether a text has what a header must not have: line breaks and other controls.
pub(super) fn has_controls(text: &str) -> bool {
    text.chars().any(char::is_control)
}

pub(super) fn read_headers(section: &Section<'_>) -> Vec<OutgoingHeader> {
    read_headers_at(section, |entry| entry)
}

/// The same where a value may stand deeper: `at` goes from what stands under a name to the value.
pub(super) fn read_headers_at<'r>(
    section: &Section<'r>,
    at: impl Fn(Section<'r>) -> Section<'r>,
) -> Vec<OutgoingHeader> {
    let mut headers: Vec<OutgoingHeader> = Vec::new();
    for (name, entry) in section.entries() {
        let place = section.pointer().dotted();
        if !header_rules::is_name(name) {
            entry.error_at_key(format!("`{name}` cannot be the name of a header"), None);
            continue;
        }
        if let Some(reason) = header_rules::reserved(name) {
            entry.error_at_key(format!("the header `{name}` cannot be configured in {place}"), reason.to_owned());
            continue;
        }
        if let Some(same) = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)) {
            entry.error_at_key(
                format!("`{name}` and `{}` are the same header", same.name),
                "keep one of them".to_owned(),
            );
            continue;
        }
        let credential = headers.iter().find(|header| header.is_credential());
        if let Some(other) = credential.filter(|_| header_rules::is_credential(name)) {
            let message = format!("`{name}` and `{}` are both credentials: a call carries one", other.name);
            entry.error_at_key(message, "keep one of them".to_owned());
            continue;
        }
        let entry = at(entry);
        let Some(value) = entry.template() else { continue };
        if has_controls(value.text()) {
            let help = "after `|` or `>` a line break stays at the end: write `>-`, or use quotes".to_owned();
            entry.error(format!("the value of `{name}` has a line break or another control character"), help);
            continue;
        }
        headers.push(OutgoingHeader { name: name.to_owned(), value });
    }
    headers
}

pub(super) fn read_params(section: &Section<'_>) -> Params {
    for (name, entry) in section.entries() {
        if OWN_FIELDS.contains(&name) {
            entry.error_at_key(format!("`{name}` is set by the server and cannot be a parameter"), None);
        }
        let template = entry.scalar().is_some_and(|scalar| scalar.text.contains("{{") && !scalar.is_from_environment());
        if template {
            entry.warn("parameters are not templates: this text goes out as it stands", None);
        }
    }
    let Some(Json::Object(mut params)) = section.json() else { return Params::new() };
    params.retain(|name, _| !OWN_FIELDS.contains(&name.as_str()));
    params
}
