//! The `headers` of one place of the configuration: names, with templates that are checked when they are read.

use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::name::{is_credential, looks_secret, reserved_outbound};
use crate::request::Which;
use crate::runtime::header_value;
use crate::template::{Read, RenderError, Rendered, Scope, Sink, Template, Use, View};

/// The `headers` of one place of the configuration: names with checked templates.
#[derive(Clone, Debug, Default)]
pub struct HeaderTemplates(Vec<HeaderTemplate>);

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct HeaderTemplate {
    pub(super) name: HeaderName,
    /// The name as it was written.
    pub(super) label: Arc<str>,
    /// Where the value comes from, as a trail says it.
    pub(super) from: Arc<str>,
    pub(super) template: Template,
    /// What stands before the template's text.
    pub(super) prefix: &'static str,
    /// The value, if it is the same for every call.
    pub(super) fixed: Option<HeaderValue>,
    /// Is it a credential, or made of a secret? Then a value that is missing stops the call.
    pub(super) secret: bool,
    /// May nobody see the value? So it is for secrets, and for text that the environment may be a part of.
    pub(super) hidden: bool,
}

impl HeaderTemplate {
    pub(super) fn new(name: HeaderName, label: &str, from: Arc<str>, prefix: &'static str, template: Template) -> Self {
        let secret = is_credential(&name) || template.reads().iter().any(Read::is_secret);
        let text = template.as_literal().filter(|text| !text.trim().is_empty());
        let fixed = text.and_then(|text| header_value(&format!("{prefix}{text}")));
        let fixed = fixed.map(|mut value| {
            // An environment value may have been written into it: `Debug` shows none.
            value.set_sensitive(true);
            value
        });
        let hidden = secret || looks_secret(name.as_str());
        Self { name, label: Arc::from(label), from, template, prefix, fixed, secret, hidden }
    }

    /// The value, marked sensitive; none where the header is left out.
    pub(super) fn value(&self, view: &View) -> Result<Option<HeaderValue>, NoValue> {
        if let Some(fixed) = &self.fixed {
            return Ok(Some(fixed.clone()));
        }
        let text = match self.template.render(view) {
            // `api_key: ""` is no key.
            Ok(Rendered::Text(text)) if self.secret && text.trim().is_empty() => return Err(NoValue::Missing),
            Ok(Rendered::Text(text)) => text,
            Ok(Rendered::Missing) if self.secret => return Err(NoValue::Missing),
            Ok(Rendered::Missing) => return Ok(None),
            Err(error) => return Err(NoValue::Failed(error)),
        };
        let text = if self.prefix.is_empty() { text } else { format!("{}{text}", self.prefix) };
        let mut value = header_value(&text).ok_or(NoValue::Control)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// Why a header, and with it the call, cannot be sent.
pub(super) enum NoValue {
    /// It is a credential, or made of a secret, and something it names is missing.
    Missing,
    /// It would hold a control character.
    Control,
    /// Its template failed.
    Failed(RenderError),
}

/// A fault of one configured header: which, and what is wrong. Line and column count from 1, within the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderTemplateFault {
    /// The header's name as it was written.
    pub name: String,
    /// Where in the value, if the value's template is at fault.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for HeaderTemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "header `{}`: {}", self.name.escape_debug(), self.message)
    }
}

/// A configured text: the value of a header, a URL, a parameter. `Debug` does not show it: it may be a key.
#[derive(Clone, Copy)]
pub enum TextSource<'a> {
    /// A template.
    Template(&'a str),
    /// Text that goes out as it stands.
    Literal(&'a str),
}

impl fmt::Debug for TextSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Template(_) => "Template(…)",
            Self::Literal(_) => "Literal(…)",
        })
    }
}

impl HeaderTemplates {
    /// Checks names and compiles values. Every fault is reported.
    ///
    /// ```
    /// use letterhead_context::{HeaderSchema, HeaderTemplates, Scope, TextSource};
    ///
    /// let schema = HeaderSchema::empty();
    /// let set = [("X-Environment", TextSource::Template("staging"))];
    /// assert!(HeaderTemplates::compile(set, Scope::of(&schema)).is_ok());
    ///
    /// let set = [("Content-Type", TextSource::Template("text/plain"))];
    /// assert!(HeaderTemplates::compile(set, Scope::of(&schema)).is_err());
    /// ```
    ///
    /// # Errors
    /// Lists every fault: names that are none, reserved, or set twice; a second credential; templates that do not
    /// compile; values that no header can hold.
    pub fn compile<'a>(
        entries: impl IntoIterator<Item = (&'a str, TextSource<'a>)>,
        scope: Scope<'_>,
    ) -> Result<Self, Vec<HeaderTemplateFault>> {
        let mut compiled: Vec<HeaderTemplate> = Vec::new();
        let mut faults = Vec::new();
        for (written, source) in entries {
            match Self::compile_one(written, source, scope, &compiled) {
                Ok(entry) => compiled.push(entry),
                Err(more) => faults.extend(more),
            }
        }
        if faults.is_empty() { Ok(Self(compiled)) } else { Err(faults) }
    }

    fn compile_one(
        written: &str,
        source: TextSource<'_>,
        scope: Scope<'_>,
        earlier: &[HeaderTemplate],
    ) -> Result<HeaderTemplate, Vec<HeaderTemplateFault>> {
        let fault = |position, message: String| HeaderTemplateFault { name: written.to_owned(), position, message };
        let name = HeaderName::from_bytes(written.as_bytes())
            .map_err(|_| vec![fault(None, "this is not a header name".to_owned())])?;
        if let Some(reason) = reserved_outbound(&name) {
            return Err(vec![fault(None, format!("it is reserved: {reason}"))]);
        }
        if let Some(same) = earlier.iter().find(|entry| entry.name == name) {
            return Err(vec![fault(None, format!("it is set twice (`{}`)", same.label))]);
        }
        if let Some(other) = earlier.iter().find(|entry| is_credential(&entry.name) && is_credential(&name)) {
            let message = format!("`{}` sets a credential already, and a call has one", other.label);
            return Err(vec![fault(None, message)]);
        }
        let template = match source {
            TextSource::Literal(text) => Template::literal(text, Sink::Header),
            TextSource::Template(text) => Template::compile(text, Sink::Header, scope).map_err(|faults| {
                faults.into_iter().map(|f| fault(Some((f.line, f.column)), f.message)).collect::<Vec<_>>()
            })?,
        };
        if template.as_literal().is_some_and(|text| header_value(text).is_none()) {
            return Err(vec![fault(None, "its value holds a line break or another control character".to_owned())]);
        }
        let mut entry = HeaderTemplate::new(name, written, origin(&template), "", template);
        entry.hidden |= matches!(source, TextSource::Literal(_));
        Ok(entry)
    }

    pub(super) fn entries(&self) -> &[HeaderTemplate] {
        &self.0
    }

    /// Their templates, by name: all of them, or those without which no call is made.
    pub(crate) fn chosen(&self, which: Which) -> impl Iterator<Item = (&str, &Template)> {
        let entries = self.0.iter().filter(move |entry| which == Which::All || entry.secret);
        entries.map(|entry| (&*entry.label, &entry.template))
    }

    /// What the templates read, with the header that reads it.
    pub fn reads(&self) -> impl Iterator<Item = (&str, &Read)> {
        self.0.iter().flat_map(|entry| entry.template.reads().iter().map(move |read| (&*entry.label, read)))
    }

    /// Each header that is set: its name as it was written, what its template reads, and whether nobody may see its value.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &[Read], bool)> {
        self.0.iter().map(|entry| (&entry.label, entry.template.reads(), entry.hidden))
    }

    /// The paths that the templates read, with the header that reads it.
    pub fn uses(&self) -> impl Iterator<Item = (&str, &Use)> {
        self.0.iter().flat_map(|entry| entry.template.uses().iter().map(move |used| (&*entry.label, used)))
    }

    /// The names that are set, as they were written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|entry| &*entry.label)
    }

    /// Is nothing set?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where a template's value comes from, as a trail says it.
pub(super) fn origin(template: &Template) -> Arc<str> {
    match template.reads() {
        [] => Arc::from("literal"),
        [one] => one.label(),
        several => several.iter().map(Read::label).collect::<Vec<_>>().join(", ").into(),
    }
}
