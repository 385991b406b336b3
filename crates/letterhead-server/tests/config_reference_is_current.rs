//! `docs/reference/configuration.md` has every key of the configuration: its tables are written from the JSON Schema that
//! files are really checked with. `LETTERHEAD_UPDATE_DOCS=1 cargo test` writes them anew.

#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it expects by panicking")]

use std::fmt::Write;
use std::path::Path;

use letterhead_server::config::SCHEMA;
use serde_json::Value;

const BEGIN: &str = "<!-- from here on written by config_reference_is_current.rs, from the JSON Schema -->";

#[test]
fn every_key_is_documented_as_it_is() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/configuration.md");
    let text = std::fs::read_to_string(&file).expect("the reference is there");
    let (by_hand, _) = text.split_once(BEGIN).expect("the mark is in the reference");
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let current = format!("{by_hand}{BEGIN}\n{}", Reference { schema: &schema }.render());
    if std::env::var_os("LETTERHEAD_UPDATE_DOCS").is_some() {
        std::fs::write(&file, current).expect("the reference can be written");
        return;
    }
    assert!(
        text == current,
        "docs/reference/configuration.md is not what the schema says; write it anew with\n\
         LETTERHEAD_UPDATE_DOCS=1 cargo test -p letterhead-server --test config_reference_is_current"
    );
}

#[test]
fn every_table_says_what_a_key_is_for() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let rendered = Reference { schema: &schema }.render();
    let listen = "| `listen` | Address and port to listen on. Without a verifier of callers it must be loopback. | an address and \
                  a port, such as `127.0.0.1:8080` or `[::1]:8080` | `127.0.0.1:8080` |";
    assert!(rendered.contains(listen), "{rendered}");
    for row in rendered.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() == 4 && !cells[1].is_empty() && !cells[2].is_empty(), "{row}");
    }
}

struct Reference<'a> {
    schema: &'a Value,
}

impl<'a> Reference<'a> {
    fn render(&self) -> String {
        let mut out = String::new();
        self.section("The whole file", self.schema, &mut out);
        out
    }

    /// A table of an object's keys, then the tables of the objects in it.
    fn section(&self, title: &str, object: &'a Value, out: &mut String) {
        let _ = write!(out, "\n## {title}\n\n{}\n\n", self.description(object));
        out.push_str("| key | what it is | what it takes | default |\n|---|---|---|---|\n");
        let required: Vec<&str> =
            object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut inner = Vec::new();
        for (key, property) in object["properties"].as_object().into_iter().flatten() {
            let default = match self.field(property, "default") {
                Some(default) => format!("`{}`", plain(default)),
                None if required.contains(&key.as_str()) => "required".to_owned(),
                None => String::new(),
            };
            let path = if title.starts_with('`') { format!("{}.{key}", title.trim_matches('`')) } else { key.clone() };
            let form = match self.object_below(&path, property) {
                Some((path, below)) => {
                    let link = path.replace(['.', '<', '>'], "").to_lowercase();
                    let form = format!("see [`{path}`](#{link})");
                    inner.push((path, below));
                    form
                }
                None => self.form(property),
            };
            let what = self.field(property, "description").map(plain).unwrap_or_default();
            let cells = [format!("`{key}`"), what, form, default].map(|cell| cell.replace('|', "\\|"));
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
        for (path, below) in inner {
            self.section(&format!("`{path}`"), below, out);
        }
    }

    /// The object with keys of its own that a property holds, once or under names of the reader's choice.
    fn object_below(&self, path: &str, property: &'a Value) -> Option<(String, &'a Value)> {
        let resolved = self.resolve(property);
        if resolved.get("properties").is_some() {
            return Some((path.to_owned(), resolved));
        }
        let named = self.resolve(resolved.get("additionalProperties")?);
        named.get("properties")?;
        Some((format!("{path}.<name>"), named))
    }

    /// What a value looks like, in words.
    fn form(&self, property: &'a Value) -> String {
        let resolved = self.resolve(property);
        // The rules for all values, above the tables, say how these are written.
        match property.get("$ref").and_then(Value::as_str) {
            Some("#/$defs/duration") => return "a duration".to_owned(),
            Some("#/$defs/positiveDuration") => return "a duration above zero".to_owned(),
            Some("#/$defs/size") => return "a size".to_owned(),
            _ => {}
        }
        if let Some(expected) = self.field(property, "x-expected") {
            return plain(expected);
        }
        if let Some(choices) = resolved.get("enum").and_then(Value::as_array) {
            let choices: Vec<String> = choices.iter().map(|choice| format!("`{}`", plain(choice))).collect();
            return choices.join(", ");
        }
        let bounds = match (&resolved["minimum"], &resolved["maximum"]) {
            (Value::Number(least), Value::Number(most)) => format!(" from {least} to {most}"),
            _ => String::new(),
        };
        match resolved["type"].as_str() {
            Some("array") => format!("a list; each {}", self.form(&resolved["items"])),
            Some("object") => "a map".to_owned(),
            Some("integer") => format!("a number{bounds}"),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("string") => "a text".to_owned(),
            other => panic!("no words for the type {other:?}"),
        }
    }

    fn description(&self, object: &'a Value) -> String {
        self.field(object, "description").map(plain).unwrap_or_default()
    }

    /// A member of a schema, or of what it refers to.
    fn field(&self, property: &'a Value, name: &str) -> Option<&'a Value> {
        property.get(name).or_else(|| self.resolve(property).get(name))
    }

    fn resolve(&self, property: &'a Value) -> &'a Value {
        let Some(reference) = property.get("$ref").and_then(Value::as_str) else { return property };
        self.schema.pointer(reference.trim_start_matches('#')).expect("the reference leads somewhere")
    }
}

/// A text as it is; anything else as compact JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
