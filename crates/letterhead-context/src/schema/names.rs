//! Names of headers in a declaration: which may be declared, and one spelling for each wherever it is named.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::compile::{fault, join};
use super::fault::SchemaFault;
use crate::name::{folded, nearest, not_declarable};

/// One property of the declaration.
pub(super) struct Declared<'a> {
    /// As it was written, for pointers.
    pub(super) written: &'a str,
    /// In lower case: its name from here on.
    pub(super) name: String,
    pub(super) schema: &'a Value,
}

/// The declared names. Two that are one header, or one that cannot be declared, are faults.
pub(super) fn declared<'a>(root: &'a Map<String, Value>, faults: &mut Vec<SchemaFault>) -> Vec<Declared<'a>> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    let properties = root.get("properties").and_then(Value::as_object);
    let mut declared = Vec::new();
    for (written, schema) in properties.into_iter().flatten() {
        let pointer = || join("/properties", written);
        if let Some(first) = seen.insert(folded(written), written) {
            let message =
                format!("`{written}` and `{first}` are the same header: case, `-` and `_` make no difference");
            faults.push(fault(pointer(), message));
        }
        if http::HeaderName::from_bytes(written.as_bytes()).is_err() {
            faults.push(fault(pointer(), format!("`{}` is not a header name", written.escape_debug())));
        }
        if let Some(instead) = not_declarable(written) {
            faults.push(fault(pointer(), format!("`{written}` cannot be declared: {instead}")));
        }
        declared.push(Declared { written, name: written.to_ascii_lowercase(), schema });
    }
    declared
}

/// Finds declared names, whatever their spelling.
pub(super) struct Spelling<'a>(HashMap<String, &'a str>);

impl<'a> Spelling<'a> {
    pub(super) fn new(declared: &'a [Declared<'_>]) -> Self {
        Self(declared.iter().map(|field| (folded(&field.name), field.name.as_str())).collect())
    }

    /// The declared name that is meant, or a fault.
    pub(super) fn of(&self, name: &str, pointer: &str) -> Result<&'a str, SchemaFault> {
        self.0.get(&folded(name)).copied().ok_or_else(|| {
            let hint = nearest(name, self.0.values().copied());
            let hint = hint.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            fault(pointer, format!("`{name}` is named here but not declared under `properties`{hint}"))
        })
    }

    /// Writes the declared name for every header that keywords about several headers name.
    pub(super) fn rewrite(&self, schema: &mut Value, pointer: &str, faults: &mut Vec<SchemaFault>) {
        let Value::Object(keywords) = schema else { return };
        for (keyword, value) in keywords {
            let here = join(pointer, keyword);
            match (keyword.as_str(), value) {
                ("required", Value::Array(names)) => self.rewrite_list(names, &here, faults),
                ("dependentRequired", Value::Object(dependents)) => {
                    for (name, names) in dependents.iter_mut() {
                        if let Value::Array(names) = names {
                            self.rewrite_list(names, &join(&here, name), faults);
                        }
                    }
                    self.rewrite_keys(dependents, &here, faults);
                }
                ("dependentSchemas", Value::Object(dependents)) => {
                    for (name, inner) in dependents.iter_mut() {
                        self.rewrite(inner, &join(&here, name), faults);
                    }
                    self.rewrite_keys(dependents, &here, faults);
                }
                ("properties", Value::Object(properties)) => self.rewrite_keys(properties, &here, faults),
                ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => {
                    for (at, inner) in schemas.iter_mut().enumerate() {
                        self.rewrite(inner, &join(&here, &at.to_string()), faults);
                    }
                }
                ("not" | "if" | "then" | "else", inner) => self.rewrite(inner, &here, faults),
                _ => {}
            }
        }
    }

    fn rewrite_list(&self, names: &mut [Value], pointer: &str, faults: &mut Vec<SchemaFault>) {
        for (at, name) in names.iter_mut().enumerate() {
            let Value::String(text) = name else { continue };
            match self.of(text, &join(pointer, &at.to_string())) {
                Ok(declared) => declared.clone_into(text),
                Err(unknown) => faults.push(unknown),
            }
        }
    }

    fn rewrite_keys(&self, named: &mut Map<String, Value>, pointer: &str, faults: &mut Vec<SchemaFault>) {
        *named = std::mem::take(named)
            .into_iter()
            .filter_map(|(name, value)| match self.of(&name, &join(pointer, &name)) {
                Ok(declared) => Some((declared.to_owned(), value)),
                Err(unknown) => {
                    faults.push(unknown);
                    None
                }
            })
            .collect();
    }
}
