//! Where in the configuration a key has its place, by the schema: for one that stands somewhere else.

use serde_json::Value as Json;

/// How deep sections stand in each other at most.
const DEEPEST: usize = 12;

/// The sections that have a key of this name, as people write them: `tools.NAME`. The empty one is the whole file.
pub(super) fn of(key: &str, schema: &Json) -> Vec<String> {
    let mut homes = Vec::new();
    visit(key, schema, schema, "", 0, &mut homes);
    homes.sort_unstable();
    homes.dedup();
    homes
}

fn visit(key: &str, schema: &Json, node: &Json, place: &str, depth: usize, homes: &mut Vec<String>) {
    if depth > DEEPEST {
        return;
    }
    let mut below = |node: &Json, place: &str| visit(key, schema, node, place, depth + 1, homes);
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
    if properties.contains_key(key) {
        homes.push(place.to_owned());
    }
}
