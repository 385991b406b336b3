//! `env:` — environment variables that templates of outgoing headers may read as `env.NAME`.

use std::fmt;

use zeroize::Zeroizing;

use super::{interpolate::Environment, pointer::Pointer, section::Section};

/// Variables of the server itself, which no destination may get.
const OWN: &str = "LETTERHEAD_";

/// An environment variable that templates may read.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    name: String,
    value: Zeroizing<String>,
    pointer: Pointer,
}

impl Variable {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value when the configuration was read. It may be a secret.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Where it is listed.
    #[must_use]
    pub fn pointer(&self) -> &Pointer {
        &self.pointer
    }
}

impl fmt::Debug for Variable {
    /// The name alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(super) fn read(section: &Section<'_>, env: Environment<'_>) -> Vec<Variable> {
    let variable = |(name, item): (&str, Section<'_>)| {
        if name.starts_with(OWN) {
            item.error(format!("`{name}` belongs to the server and is not for templates"), None);
            return None;
        }
        let Some(value) = env(name) else {
            let help = "set it, or remove it from the list".to_owned();
            item.error(format!("the environment variable `{name}` is not set"), help);
            return None;
        };
        Some(Variable { name: name.to_owned(), value: Zeroizing::new(value), pointer: item.pointer().clone() })
    };
    section.texts().into_iter().filter_map(variable).collect()
}
