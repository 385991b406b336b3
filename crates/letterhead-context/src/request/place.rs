//! Where in a request something is, and what is wrong with the template there.

use std::fmt;

use crate::egress::HeaderTemplateFault;
use crate::template::TemplateFault;

/// A place of a request that is made from templates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestPlace {
    /// The URL.
    Url,
    /// A header, by its name as it was written.
    Header(String),
    /// A parameter of the query, by name.
    Query(String),
    /// A value in a JSON body, by its JSON pointer (RFC 6901).
    Body(String),
    /// A field of a form, by name.
    Form(String),
    /// How the request's token is got, by the key of the definition; empty for it as a whole.
    TokenExchange(&'static str),
}

impl fmt::Display for RequestPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("the URL"),
            Self::Header(name) => write!(f, "the header `{}`", name.escape_debug()),
            Self::Query(name) => write!(f, "the query parameter `{}`", name.escape_debug()),
            Self::Body(pointer) if pointer.is_empty() => f.write_str("the body"),
            Self::Body(pointer) => write!(f, "the body's `{}`", pointer.escape_debug()),
            Self::Form(name) => write!(f, "the form's `{}`", name.escape_debug()),
            Self::TokenExchange("") => f.write_str("the token exchange"),
            Self::TokenExchange(key) => write!(f, "the token exchange's `{key}`"),
        }
    }
}

/// A fault of a request's templates. Line and column count from 1, within the text at that place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestFault {
    /// Where in the request.
    pub place: RequestPlace,
    /// Where in the text, if the template is at fault.
    pub position: Option<(usize, usize)>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl RequestFault {
    pub(super) fn new(place: &RequestPlace, message: impl Into<String>) -> Self {
        Self { place: place.clone(), position: None, message: message.into() }
    }

    pub(super) fn template(place: &RequestPlace, fault: TemplateFault) -> Self {
        Self { place: place.clone(), position: Some((fault.line, fault.column)), message: fault.message }
    }
}

impl From<HeaderTemplateFault> for RequestFault {
    fn from(fault: HeaderTemplateFault) -> Self {
        Self { place: RequestPlace::Header(fault.name), position: fault.position, message: fault.message }
    }
}

impl fmt::Display for RequestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}
