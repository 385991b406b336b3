//! What the server that runs makes of a header, asked of its own rules.

use http::HeaderName;
use letterhead_context::name::{is_credential, is_identity};
use letterhead_context::{Field, HeaderSchema, Ingress, RuntimeNames};

/// Which headers the server admits.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    schema: HeaderSchema,
    runtime: RuntimeNames,
}

/// What becomes of an inbound header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Declared: checked, and remembered.
    Context,
    /// Declared `writeOnly`.
    Secret,
    /// Passed to the LLM call of this request.
    Runtime,
    /// It says who asks, and for what.
    Identity,
    /// A credential for this server: never passed on.
    Credential,
    /// It describes the request itself.
    Http,
    /// Nothing declares it.
    Undeclared,
}

impl Rules {
    /// The rules of an assembled configuration.
    pub(super) fn of(ingress: &Ingress) -> Self {
        Self { schema: ingress.schema().clone(), runtime: ingress.runtime_names().clone() }
    }

    /// What becomes of a header.
    pub(super) fn fate(&self, name: &str) -> Fate {
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else { return Fate::Undeclared };
        match self.schema.field(name) {
            Some(field) if field.is_secret() => Fate::Secret,
            Some(_) => Fate::Context,
            None if is_identity(&header) => Fate::Identity,
            None if is_credential(&header) => Fate::Credential,
            None if self.runtime.allows(&header) => Fate::Runtime,
            None if header.as_str().starts_with("content-") => Fate::Http,
            None => Fate::Undeclared,
        }
    }

    /// The name under which a header is declared; as it is, if it is not.
    pub(super) fn declared_name(&self, name: &str) -> String {
        self.schema.field(name).map_or(name, Field::name).to_owned()
    }

    /// May a value not be shown?
    pub(super) fn hides(&self, name: &str) -> bool {
        matches!(self.fate(name), Fate::Secret | Fate::Credential)
    }
}
