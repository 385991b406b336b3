//! Runtime headers: LLM-bound headers that belong to one run alone, and win over every configured layer.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::name::{self, is_identity, matched_by_pattern, not_runtime};
use crate::problem::{Code, Problem};
use crate::schema::{Field, HeaderSchema};
use crate::value::is_plain;

/// Which inbound headers a caller may set on the LLM call, for its run: whole names, and prefixes such as `X-Trace-*`.
///
/// ```
/// use letterhead_context::RuntimeNames;
///
/// let names = RuntimeNames::new(["X-Request-ID", "X-Team-*"]).unwrap();
/// assert!(names.allows(&"x-team-color".parse().unwrap()));
/// assert!(RuntimeNames::new(["*"]).is_err());
/// assert!(RuntimeNames::new(["Authorization"]).is_err());
/// ```
#[derive(Clone, Debug, Default)]
pub struct RuntimeNames {
    whole: Vec<Whole>,
    prefixes: Vec<String>,
    /// Declared names, folded: patterns do not match them.
    declared: Vec<String>,
}

/// A name that was written whole, and where in the list.
#[derive(Clone, Debug)]
struct Whole {
    name: HeaderName,
    index: usize,
}

/// A fault in the list of runtime headers: which entry, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeNameFault {
    /// The position in the list.
    pub index: usize,
    /// What is wrong.
    pub message: String,
}

impl RuntimeNames {
    /// Reads the list. Every fault is reported.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<RuntimeNameFault>> {
        let mut read = Self::default();
        let mut faults = Vec::new();
        for (index, entry) in names.into_iter().enumerate() {
            if let Err(message) = read.add(index, entry) {
                faults.push(RuntimeNameFault { index, message });
            }
        }
        if faults.is_empty() { Ok(read) } else { Err(faults) }
    }

    fn add(&mut self, index: usize, entry: &str) -> Result<(), String> {
        if let Some(prefix) = entry.strip_suffix('*') {
            if prefix.is_empty() {
                return Err("`*` alone would let every header through: name a prefix, such as `X-Trace-*`".to_owned());
            }
            if HeaderName::from_bytes(prefix.as_bytes()).is_err() {
                return Err(format!("`{entry}` is not a prefix of header names"));
            }
            self.prefixes.push(prefix.to_ascii_lowercase());
            return Ok(());
        }
        let name = HeaderName::from_bytes(entry.as_bytes()).map_err(|_| format!("`{entry}` is not a header name"))?;
        if let Some(reason) = not_runtime(&name) {
            return Err(format!("`{entry}` cannot be a runtime header: {reason}"));
        }
        self.whole.push(Whole { name, index });
        Ok(())
    }

    /// Takes note of the declared headers: prefixes never match them, and a secret cannot be named.
    pub fn with_declared(mut self, schema: &HeaderSchema) -> Result<Self, Vec<RuntimeNameFault>> {
        let secret = |name: &HeaderName| schema.field(name.as_str()).is_some_and(Field::is_secret);
        let faults: Vec<_> = self
            .whole
            .iter()
            .filter(|whole| secret(&whole.name))
            .map(|Whole { name, index }| RuntimeNameFault {
                index: *index,
                message: format!("`{name}` is declared `writeOnly`: a secret goes out only where a template names it"),
            })
            .collect();
        self.declared = schema.fields().iter().map(|field| name::folded(field.name())).collect();
        if faults.is_empty() { Ok(self) } else { Err(faults) }
    }

    /// May this inbound header go out as a runtime header?
    pub fn allows(&self, name: &HeaderName) -> bool {
        self.names(name) || self.allows_by_prefix(name)
    }

    /// May it go out, if this is the field that it fills? The rules of [`with_declared`](Self::with_declared), again,
    /// so that nobody has to remember to call it.
    pub(crate) fn admits(&self, name: &HeaderName, field: Option<&Field>) -> bool {
        match field {
            Some(field) => self.names(name) && !field.is_secret(),
            None => self.allows(name),
        }
    }

    fn names(&self, name: &HeaderName) -> bool {
        self.whole.iter().any(|whole| whole.name == *name)
    }

    fn allows_by_prefix(&self, name: &HeaderName) -> bool {
        self.prefixes.iter().any(|prefix| name.as_str().starts_with(prefix.as_str()))
            && matched_by_pattern(name)
            && (self.declared.is_empty() || !self.declared.contains(&name::folded(name.as_str())))
    }

    /// The identity headers among the whole names: they go out with the verified value.
    pub fn identity(&self) -> impl Iterator<Item = &HeaderName> {
        self.whole.iter().map(|whole| &whole.name).filter(|name| is_identity(name))
    }

    /// Is nothing allowed?
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.prefixes.is_empty()
    }
}

/// The runtime headers of one run. Values are never shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RuntimeHeaders {
    set: HeaderMap,
    removed: Vec<HeaderName>,
}

/// Why a header cannot be set for a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeHeaderError {
    /// The name is not a token.
    #[error("`{0}` is not a header name")]
    Name(String),
    /// The value holds a line break, another control character, or is not UTF-8.
    #[error("the value of the runtime header `{0}` holds a control character")]
    Value(String),
    /// The name is reserved.
    #[error("the runtime header `{name}` is reserved: {reason}")]
    Reserved {
        /// The name.
        name: String,
        /// Why.
        reason: &'static str,
    },
}

/// A run that is given such a header is a bad request.
impl From<RuntimeHeaderError> for Problem {
    fn from(error: RuntimeHeaderError) -> Self {
        Self::new(Code::InvalidHeaderValue, error.to_string())
    }
}

impl RuntimeHeaders {
    /// No runtime headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a header for this run. A credential replaces the provider's own: the program is trusted.
    ///
    /// ```
    /// use letterhead_context::RuntimeHeaders;
    ///
    /// let mut headers = RuntimeHeaders::new();
    /// headers.set("X-Request-ID", "req-123").unwrap();
    /// assert!(headers.set("Content-Length", "3").is_err());
    /// assert!(headers.set("X-Team", "a\r\nb").is_err());
    /// ```
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), RuntimeHeaderError> {
        let parsed = parse_name(name)?;
        let mut value = header_value(value).ok_or_else(|| RuntimeHeaderError::Value(name.to_owned()))?;
        value.set_sensitive(true);
        self.put(parsed, value);
        Ok(())
    }

    fn put(&mut self, name: HeaderName, value: HeaderValue) {
        self.removed.retain(|removed| *removed != name);
        if name::is_credential(&name) {
            // The last one is meant: a call never carries two.
            name::CREDENTIALS.iter().for_each(|other| drop(self.set.remove(*other)));
        }
        self.set.insert(name, value);
    }

    /// Removes a header that a configured layer would set, for this run.
    pub fn remove(&mut self, name: &str) -> Result<(), RuntimeHeaderError> {
        self.take_out(parse_name(name)?);
        Ok(())
    }

    fn take_out(&mut self, name: HeaderName) {
        self.set.remove(&name);
        if !self.removed.contains(&name) {
            self.removed.push(name);
        }
    }

    /// Adds what others set and remove, which wins.
    pub(crate) fn merge(&mut self, later: &Self) {
        later.removed.iter().for_each(|name| self.take_out(name.clone()));
        later.set.iter().for_each(|(name, value)| self.put(name.clone(), value.clone()));
    }

    /// Is it set or removed here?
    pub(crate) fn mentions(&self, name: &HeaderName) -> bool {
        self.set.contains_key(name) || self.removed.contains(name)
    }

    /// As if nothing had been said of it.
    pub(crate) fn forget(&mut self, name: &HeaderName) {
        self.set.remove(name);
        self.removed.retain(|removed| removed != name);
    }

    pub(crate) fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        self.set.insert(name, value);
    }

    pub(crate) fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.set.get(name)
    }

    /// How many are set.
    pub(crate) fn len(&self) -> usize {
        self.set.len()
    }

    /// What is set.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.set.iter()
    }

    /// What is removed from the configured layers.
    pub fn removed(&self) -> &[HeaderName] {
        &self.removed
    }
}

impl fmt::Debug for RuntimeHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.set.keys()).finish()
    }
}

fn parse_name(name: &str) -> Result<HeaderName, RuntimeHeaderError> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| RuntimeHeaderError::Name(name.escape_debug().to_string()))?;
    match name::reserved_outbound(&parsed) {
        Some(reason) => Err(RuntimeHeaderError::Reserved { name: name.to_owned(), reason }),
        None => Ok(parsed),
    }
}

/// Text as a header's value: UTF-8 as it is, no control characters.
pub(crate) fn header_value(text: &str) -> Option<HeaderValue> {
    if is_plain(text.as_bytes()) { HeaderValue::from_bytes(text.as_bytes()).ok() } else { None }
}
