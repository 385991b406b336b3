//! `runtime_headers:` — inbound headers that a caller may set on the LLM calls of its own run.

use super::{header_rules, pointer::Pointer, section::Section};

/// A row of `runtime_headers`: a name, or the beginning of names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeHeader {
    /// The name, or its beginning, as it was written and without the `*`.
    pub name: String,
    /// Whether any name that begins so is meant. Such a row never matches identity, credential, forwarding, reserved, trace and
    /// declared headers, nor what browsers and SDKs send of themselves.
    pub is_prefix: bool,
    /// Where it stands.
    pub pointer: Pointer,
}

impl RuntimeHeader {
    /// The row as it was written: with its `*`, if it has one.
    #[must_use]
    pub fn entry(&self) -> String {
        format!("{}{}", self.name, if self.is_prefix { "*" } else { "" })
    }
}

/// Reads the rows. `secrets` are the declared secrets, folded.
pub(super) fn read(section: &Section<'_>, secrets: &[String]) -> Vec<RuntimeHeader> {
    let mut rows: Vec<RuntimeHeader> = Vec::new();
    for (text, item) in section.texts() {
        let (name, is_prefix) = text.strip_suffix('*').map_or((text, false), |name| (name, true));
        let Some((message, help)) = fault(name, is_prefix, secrets) else {
            let same = |row: &RuntimeHeader| row.is_prefix == is_prefix && row.name.eq_ignore_ascii_case(name);
            if let Some(row) = rows.iter().find(|row| same(row)) {
                item.warn(format!("`{text}` and `{}` are the same header", row.name), None);
            } else {
                rows.push(RuntimeHeader { name: name.to_owned(), is_prefix, pointer: item.pointer().clone() });
            }
            if is_prefix && header_rules::is_never_by_pattern(name) {
                let help = "such headers are never passed on by a pattern; write out the names you mean".to_owned();
                item.warn(format!("`{text}` matches nothing"), help);
            }
            continue;
        };
        item.error(message, help.to_owned());
    }
    rows
}

/// Why a row cannot be, and what to do.
fn fault(name: &str, is_prefix: bool, secrets: &[String]) -> Option<(String, &'static str)> {
    if name.is_empty() {
        return Some((
            "`*` alone would let callers set any header".to_owned(),
            "write the beginning of the names: `X-Trace-*`",
        ));
    }
    if name.contains('*') {
        return Some(("`*` can only stand at the end".to_owned(), "write the beginning of the names: `X-Trace-*`"));
    }
    if is_prefix {
        return None;
    }
    if let Some(reason) = header_rules::not_runtime(name) {
        return Some((format!("`{name}` cannot be a runtime header"), reason));
    }
    if secrets.contains(&letterhead_context::name::folded(name)) {
        let help = "a secret goes out only where a template names it: `headers: { NAME: \"{{ headers.name }}\" }`";
        return Some((format!("`{name}` is declared as a secret and cannot be a runtime header"), help));
    }
    None
}
