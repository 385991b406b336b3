//! Texts that are templates, not yet compiled.

use std::fmt;

use zeroize::Zeroizing;

use super::pointer::Pointer;

/// The source of a template: instructions, a header's value, a provider's key.
///
/// Any of them may hold a credential that somebody wrote down or put into the environment. So the text is wiped from memory when
/// it is dropped, and [`Debug`](fmt::Debug) shows only its length.
#[derive(Clone, PartialEq, Eq)]
pub struct TemplateSource {
    text: Zeroizing<String>,
    literal: bool,
    pointer: Pointer,
}

impl TemplateSource {
    pub(super) fn new(text: &str, literal: bool, pointer: Pointer) -> Self {
        Self { text: Zeroizing::new(text.to_owned()), literal, pointer }
    }

    /// The text, with variables replaced.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the text is to be taken as it is, braces and all, because the environment has a part in it.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.literal
    }

    /// Where it stands, for [`Document::locate_part`](super::Document::locate_part).
    #[must_use]
    pub fn pointer(&self) -> &Pointer {
        &self.pointer
    }
}

impl fmt::Debug for TemplateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemplateSource")
            .field("at", &self.pointer.as_str())
            .field("literal", &self.literal)
            .field("bytes", &self.text.len())
            .finish()
    }
}

/// A template that gives this very text, braces and all. It is always one with an expression, which reads nothing: by that a
/// request knows text from the environment, and so a secret, in its body.
pub(super) fn escape(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("{}{{{{ '' }}}}", text.replace('{', "{{ '{' }}"))
}

#[cfg(test)]
mod tests {
    use letterhead_context::{Caller, HeaderSchema, Headers, Rendered, RequestContext, Scope, Sink, Template, View};

    use super::escape;

    #[test]
    fn an_escaped_text_renders_as_it_was() {
        let schema = HeaderSchema::empty();
        let context = RequestContext::builder(Caller::anonymous(), Headers::none()).build("a");
        for text in
            ["{{ headers.x }}", "{", "a {% if %}", "{#", "{{'{{'}}", "plain", "", "line\n", "{\"a\": {\"b\": 1}}"]
        {
            let template = Template::compile(&escape(text), Sink::Header, Scope::of(&schema)).unwrap();
            let rendered = template.render(&View::new(Sink::Header, &context)).unwrap();
            assert_eq!(rendered, Rendered::Text(text.to_owned()));
        }
    }
}
