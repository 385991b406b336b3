//! Where in the configuration a key has its place, by the schema: for one that stands somewhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value as Json;

use super::schema::SCHEMA;

/// How deep sections stand in each other at most.
const DEEPEST: usize = 12;

/// The sections of each key. A file may have thousands of keys that are wrong.
static HOMES: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(|| {
    let schema = serde_json::from_str(SCHEMA).unwrap_or_default();
    let mut homes = BTreeMap::new();
    visit(&schema, &schema, "", 0, &mut homes);
    homes
});

/// The sections that have a key of this name, as people write them: `tools.NAME`. The empty one is the whole file.
pub(super) fn of(key: &str) -> impl Iterator<Item = &'static str> {
    HOMES.get(key).into_iter().flatten().map(String::as_str)
}

fn visit(schema: &Json, node: &Json, place: &str, depth: usize, homes: &mut BTreeMap<String, BTreeSet<String>>) {
    if depth > DEEPEST {
        return;
    }
    let mut below = |node: &Json, place: &str| visit(schema, node, place, depth + 1, homes);
    if let Some(target) = node.get("$ref").and_then(Json::as_str).and_then(|target| target.strip_prefix('#')) {
        schema.pointer(target).into_iter().for_each(|target| below(target, place));
    }
    for list in ["oneOf", "anyOf", "allOf"] {
        node.get(list).and_then(Json::as_array).into_iter().flatten().for_each(|choice| below(choice, place));
    }
    if let Some(items) = node.get("items") {
        below(items, &format!("{place}[…]"));
    }
    let join = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    if let Some(named) = node.get("additionalProperties").filter(|named| named.is_object()) {
        below(named, &join("NAME"));
    }
    let Some(properties) = node.get("properties").and_then(Json::as_object) else { return };
    for (name, property) in properties {
        below(property, &join(name));
    }
    for name in properties.keys() {
        homes.entry(name.clone()).or_default().insert(place.to_owned());
    }
}
