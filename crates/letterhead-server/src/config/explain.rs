//! Schema faults in plain words.
//!
//! The validator's own messages carry values, which may be secrets, so none of them is used.

use jsonschema::{ValidationError, error::TypeKind, error::ValidationErrorKind as Kind};
use serde_json::Value as Json;

use super::{document::Document, homes, nearest, pointer::Pointer, report::Diagnostic, tree::Node};

/// The diagnostics for one error of the validator: several if it is about several keys.
pub(super) fn explain(error: &ValidationError<'_>, schema: &Json, document: &Document) -> Vec<Diagnostic> {
    let pointer = Pointer::from(error.instance_path().as_str());
    let fault = Fault { document, pointer, rule: rule(error, schema), schema };
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => unexpected.iter().map(|key| fault.unknown_key(key)).collect(),
        Kind::Required { property } => vec![fault.missing_key(property.as_str().unwrap_or_default())],
        Kind::PropertyNames { error: inner } => {
            let name = inner.instance().as_str().unwrap_or_default().to_owned();
            let expected = expected(rule(inner, schema)).unwrap_or("another name");
            let at = document.locate_key(fault.pointer.key(&name));
            vec![Diagnostic::error(at, format!("`{name}` is not {expected}"))]
        }
        kind => vec![fault.value(kind)],
    }
}

/// The schema object that holds the keyword which was not met.
fn rule<'s>(error: &ValidationError<'_>, schema: &'s Json) -> &'s Json {
    let keyword = Pointer::from(error.schema_path().as_str());
    schema.pointer(keyword.parent().as_str()).unwrap_or(&Json::Null)
}

fn expected(rule: &Json) -> Option<&str> {
    rule.get("x-expected").and_then(Json::as_str)
}

struct Fault<'f> {
    document: &'f Document,
    pointer: Pointer,
    rule: &'f Json,
    schema: &'f Json,
}

/// Fields of a model's request that people look for among an agent's own keys.
const MODEL_FIELDS: [&str; 9] = [
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "seed",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "reasoning_effort",
];

/// What others call a key, and what it is called here.
const OTHER_WORDS: [(&str, &str); 10] = [
    ("prompt", "instructions"),
    ("system", "instructions"),
    ("system_prompt", "instructions"),
    ("arguments", "parameters"),
    ("input_schema", "parameters"),
    ("inputSchema", "parameters"),
    ("port", "listen"),
    ("host", "listen"),
    ("subagents", "delegates"),
    ("name", "agent"),
];

/// How many sections a key may belong to that is no word of its own anywhere.
const FEW: usize = 3;

impl Fault<'_> {
    fn unknown_key(&self, key: &str) -> Diagnostic {
        let place = self.pointer.key(key);
        let known = self.rule.get("properties").and_then(Json::as_object);
        let known: Vec<&str> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let help = match letterhead_context::name::nearest(key, known.iter().copied()) {
            None if known.contains(&"params") && MODEL_FIELDS.contains(&key) => {
                format!("it is a field of the model's request: write it below `params`, as `params: {{ {key}: … }}`")
            }
            None => {
                let other = other_word(key, &known).or_else(|| self.home(key));
                other.unwrap_or_else(|| nearest::suggestion(key, "keys here", known))
            }
            Some(near) => format!("did you mean `{near}`?"),
        };
        let message = format!("unknown key `{key}` in {}", self.name());
        self.document.error_at_key(&place, message).with_help(help)
    }

    /// Where a key belongs that stands in the wrong place.
    fn home(&self, key: &str) -> Option<String> {
        let shown = |home: &str| match home {
            "" => "at the top of the file".to_owned(),
            home => format!("in `{home}`"),
        };
        // What is defined by name has its name already, and nothing else has one.
        if key == "name" {
            let segments: Vec<String> = self.pointer.segments().collect();
            let [section, own] = segments.as_slice() else { return None };
            let named = Pointer::root().key("properties").key(section).key("additionalProperties");
            self.schema.pointer(named.as_str()).filter(|named| named.is_object())?;
            return Some(format!("its name is the key that it stands under: `{own}`"));
        }
        let homes: Vec<String> = homes::of(key).map(shown).collect();
        let (last, others) = homes.split_last().filter(|(_, others)| others.len() < FEW)?;
        let others = others.join(", ");
        Some(if others.is_empty() { format!("it belongs {last}") } else { format!("it belongs {others} or {last}") })
    }

    fn missing_key(&self, key: &str) -> Diagnostic {
        let fault = self.document.error_at_key(&self.pointer, format!("`{key}` is missing in {}", self.name()));
        let property = self.rule.pointer(Pointer::root().key("properties").key(key).as_str());
        let example = property.and_then(|property| property.pointer("/examples/0"));
        match (property.and_then(|property| property.get("description")).and_then(Json::as_str), example) {
            (Some(description), Some(example)) => {
                fault.with_help(format!("{description}\nfor example `{key}: {example}`"))
            }
            _ => fault,
        }
    }

    /// A fault of the value itself.
    fn value(&self, kind: &Kind) -> Diagnostic {
        let name = self.name();
        let must_be = |what: &str| format!("{name} must be {what}");
        let (message, help) = match kind {
            Kind::Type { kind } => {
                let found = self.found();
                if found == "null" {
                    let help = Some("write a value after the colon, or remove the key".to_owned());
                    return self.diagnostic(format!("{name} has no value"), help);
                }
                let wanted = expected(self.rule).map_or_else(|| types(kind), ToOwned::to_owned);
                (format!("{name} must be {wanted}{}", other(found, &wanted)), self.type_help(kind, found))
            }
            Kind::Pattern { .. } => (must_be(expected(self.rule).unwrap_or("written in another way")), None),
            Kind::Enum { options } => self.one_of(options),
            Kind::Minimum { limit } => (must_be(&format!("at least {limit}")), None),
            Kind::Maximum { limit } => (must_be(&format!("at most {limit}")), None),
            Kind::MinLength { .. } | Kind::MinItems { .. } => (format!("{name} must not be empty"), None),
            Kind::MinProperties { .. } => (format!("{name} must not be empty"), self.example()),
            Kind::UniqueItems => (format!("{name} has an entry twice"), Some("remove one of them".to_owned())),
            _ => (format!("{name} does not fit the configuration schema"), Some("see `letterhead schema`".to_owned())),
        };
        self.diagnostic(message, help)
    }

    fn diagnostic(&self, message: String, help: Option<String>) -> Diagnostic {
        let fault = self.document.error(&self.pointer, message);
        match help {
            Some(help) => fault.with_help(help),
            None => fault,
        }
    }

    fn one_of(&self, options: &Json) -> (String, Option<String>) {
        let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let text = self.document.root.at(&self.pointer).and_then(Node::scalar).map_or("", |scalar| &scalar.text);
        let help = letterhead_context::name::nearest(text, options.iter().copied())
            .map(|option| format!("did you mean `{option}`?"));
        (format!("{} must be one of {}", self.name(), nearest::list(options)), help)
    }

    fn type_help(&self, kind: &TypeKind, found: &str) -> Option<String> {
        let wants = |wanted: &str| types(kind).contains(wanted);
        match found {
            "number" | "boolean" if wants("text") && expected(self.rule).is_none() => {
                Some("put it in quotes".to_owned())
            }
            "text" if wants("number") => {
                let text =
                    self.document.root.at(&self.pointer).and_then(Node::scalar).map_or("", |scalar| &scalar.text);
                text.parse::<f64>().is_ok().then(|| "remove the quotes".to_owned())
            }
            _ if wants("list") => Some("write a list: `[first, second]`".to_owned()),
            _ if wants("map") => self.example(),
            _ => None,
        }
    }

    fn example(&self) -> Option<String> {
        let example = self.rule.pointer("/examples/0")?;
        let key = self.pointer.segments().last().unwrap_or_default();
        // An item of a list has a number, which nobody writes.
        let is_item = key.parse::<usize>().is_ok();
        Some(if is_item { format!("for example `{example}`") } else { format!("for example `{key}: {example}`") })
    }

    fn found(&self) -> &'static str {
        match self.document.root.at(&self.pointer).map(Node::to_json) {
            Some(Json::Null) | None => "null",
            Some(Json::Bool(_)) => "boolean",
            Some(Json::Number(_)) => "number",
            Some(Json::String(_)) => "text",
            Some(Json::Array(_)) => "list",
            Some(Json::Object(_)) => "map",
        }
    }

    fn name(&self) -> String {
        if self.pointer.is_root() { "the configuration".to_owned() } else { format!("`{}`", self.pointer.dotted()) }
    }
}

/// What somebody means who knows other software.
fn other_word(key: &str, known: &[&str]) -> Option<String> {
    let is_known = |word: &&&str| known.contains(word);
    if let Some(word) = OTHER_WORDS.iter().filter(|(other, _)| *other == key).map(|(_, word)| word).find(is_known) {
        return Some(format!("here it is called `{word}`"));
    }
    if known.contains(&"approve") && known.contains(&"shared") && key == "command" {
        return Some("an MCP server is asked by HTTP, at its `url`: it cannot be started as a program yet".to_owned());
    }
    let has_part = |word: &&&str| word.split('_').any(|part| part == key);
    match known.iter().filter(has_part).copied().collect::<Vec<_>>().as_slice() {
        [] => None,
        [only] => Some(format!("did you mean `{only}`?")),
        several => Some(format!("did you mean one of {}?", nearest::list(several.iter().copied()))),
    }
}

fn types(kind: &TypeKind) -> String {
    let word = |name: &str| match name {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "a map",
        _ => "null",
    };
    match kind {
        TypeKind::Single(wanted) => word(&wanted.to_string()).to_owned(),
        TypeKind::Multiple(wanted) => {
            wanted.iter().map(|wanted| word(&wanted.to_string())).collect::<Vec<_>>().join(" or ")
        }
    }
}

/// What a value is instead, unless that is no news: 1.5 is a number too.
fn other(found: &str, wanted: &str) -> String {
    if wanted.contains("number") && found == "number" { String::new() } else { format!(", not a {found}") }
}
