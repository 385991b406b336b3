//! Rules that need the inside of the module: the schema and the typed sections must know the same keys.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{
    Config, Document, Faults, Pointer, Report, SCHEMA, STARTER, Source, parse, read_text, read_text_with, schema,
};
use crate::config::section::Section;

fn nothing(_: &str) -> Option<String> {
    None
}

fn document(text: &str) -> Document {
    let source = Source::new("test.yaml", text);
    let (root, faults) = parse::parse(&source);
    assert_eq!(faults, []);
    Document { source: source.into(), root: root.unwrap() }
}

/// Every key of the schema, below maps with free keys too: those are called `x`.
const EVERY_KEY: &str = "
server: {listen: 'localhost:1', hosts: [a], cors: ['https://a'], public_url: 'https://a', max_body: 1, max_connections: 1, header_timeout: 1s, drain: 1s}
store: sqlite://letterhead.db
providers:
  x: {kind: openai, base_url: 'http://a', api_key: b, headers: {X-A: b}, params: {x: 1}, max_headers: 1, trace: false, max_header_bytes: 1,
      connect_timeout: 1s, first_byte_timeout: 1s, idle_timeout: 1s, retries: 0}
  y: {kind: openai, api_key: {env: X}}
model: 'x:m'
headers: {properties: {x: {type: string}}}
context:
  x: {when: turn, url: 'https://a', method: POST, headers: {X-A: b}, query: {a: b}, body: {a: b}, select: a, response_schema: {type: object},
      default: 1, requires: [a], optional: true, ttl: 1s, timeout: 1s, trace: false}
  y: {trigger: invocation, fetchConfig: {url: 'https://a', method: POST, headers: {X-A: b}, body: 1, transform: a, requiredToFetch: [a], timeout: 1},
      responseSchema: {type: object}, defaultValue: null, id: a, name: b}
  z: {url: 'https://a', form: {a: b}}
tools:
  x: {description: a, parameters: {type: object}, url: 'https://a', method: POST, headers: {X-A: b}, query: {a: b}, body: {a: b}, select: a,
      timeout: 1s, max_answer: 1, effects: false, trace: false}
  y: {url: 'https://a', form: {a: b}}
mcp_servers:
  x: {url: 'https://a', headers: {x: {value: b, per_call: true}}, tools: [a], optional: true, shared: true, timeout: 1s, trace: false}
history: {max_tokens: 1000}
external_agents:
  x: {url: 'https://a', description: a, headers: {x: {value: b, per_call: true}}, timeout: 1s, trace: false}
egress: {allow: [a]}
credentials:
  x: {env: X}
runtime_headers: [X-R]
agents:
  x: {description: a, instructions: b, model: demo, headers: {X-A: b}, params: {x: 1}, requires: [x], output: {type: object}, tools: [x], handoffs: [y], delegates: [{agent: y, history: true}]}
  y: {description: a}
entry: x
sessions: {ttl: 1d, headers_ttl: 1s, secrets_ttl: 1s, turn_wait: 1s, disconnect_grace: 1s}
limits:
  max_turns: 1
  depth: 1
  runs: 1
  header_value: 1
  headers_total: 1
  requests_per_minute: {user: 1, tenant: 1}
  concurrent_turns: {user: 1, tenant: 1}
env: [X]
allow_models: ['x:*']
allow_params: [x]
model_aliases: {z: x}
auth:
  jwt: {issuer: a, audience: b, jwks_url: 'https://a', user_claim: sub, tenant_claim: org}
  api_keys: true
  trust_identity_headers: never
  anonymous: deny
";

#[test]
fn the_schema_is_a_valid_schema_that_explains_every_key() {
    let schema: Json = serde_json::from_str(SCHEMA).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    for (place, property) in properties(&schema, &schema, &Pointer::root()) {
        let examples = property.get("examples").and_then(Json::as_array).map_or(0, Vec::len);
        assert!(examples > 0, "{place} has no example");
        assert!(property.get("description").is_some(), "{place} has no description");
    }
}

#[test]
fn examples_and_defaults_of_the_schema_meet_it() {
    let schema: Json = serde_json::from_str(SCHEMA).unwrap();
    for (place, property) in properties(&schema, &schema, &Pointer::root()) {
        let rule = serde_json::json!({ "$defs": schema["$defs"], "allOf": [property] });
        let validator = jsonschema::validator_for(&rule).unwrap();
        let examples = property.get("examples").and_then(Json::as_array).into_iter().flatten();
        for value in examples.chain(property.get("default")) {
            assert!(validator.is_valid(value), "{place}: {value}");
        }
    }
}

#[test]
fn the_schema_and_the_typed_sections_know_the_same_keys() {
    let mut document = document(EVERY_KEY);
    assert_eq!(schema::check(&mut document, &[]), []);
    let faults = Faults::after(&document, Vec::new());
    Config::read(&Section::root(&faults), &|_| Some("value".to_owned()));
    // What is said of one agent, provider, variable or tool is said of all.
    let free = ["agents", "providers", "context", "tools"]
        .map(|section| (["y", "z"].map(|name| format!("/{section}/{name}/")), format!("/{section}/x/")));
    let same = |place: &Pointer| {
        free.iter().fold(place.as_str().to_owned(), |place, (others, one)| {
            others.iter().fold(place, |place, other| place.replace(other, one))
        })
    };
    let read: BTreeSet<String> = faults.read_places().iter().map(same).collect();
    assert_eq!(faults.into_found(), []);

    let schema: Json = serde_json::from_str(SCHEMA).unwrap();
    let known: BTreeSet<String> = properties(&schema, &schema, &Pointer::root())
        .into_iter()
        .map(|(place, _)| place.as_str().to_owned())
        .collect();
    // What stands below a map with free contents is no key of ours.
    let read: BTreeSet<String> = read.into_iter().filter(|place| place != "/headers/properties").collect();
    let read: BTreeSet<String> =
        read.into_iter().filter(|place| !place.ends_with("providers/x") && !place.ends_with("providers/y")).collect();
    assert_eq!(read, known);
}

/// The keys that a schema has, with their places; the free keys of a map are called `x`, the items of a list `0`. A `$ref` is
/// followed.
fn properties(schema: &Json, whole: &Json, place: &Pointer) -> Vec<(Pointer, Json)> {
    let mut schema = schema.clone();
    if let Some(target) =
        schema.get("$ref").and_then(Json::as_str).map(|target| target.trim_start_matches('#').to_owned())
    {
        let mut merged = whole.pointer(&target).unwrap().clone();
        merged.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
        merged.as_object_mut().unwrap().remove("$ref");
        schema = merged;
    }
    let mut found = Vec::new();
    for (name, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
        let place = place.key(name);
        let mut shown = property.clone();
        if let Some(target) =
            property.get("$ref").and_then(Json::as_str).filter(|_| property.get("description").is_none())
        {
            shown = whole.pointer(target.trim_start_matches('#')).unwrap().clone();
        }
        found.push((place.clone(), shown));
        found.extend(properties(property, whole, &place));
    }
    if let Some(free) = schema.get("additionalProperties").filter(|free| free.is_object()) {
        found.extend(properties(free, whole, &place.key("x")));
    }
    if let Some(item) = schema.get("items").filter(|item| item.is_object()) {
        found.extend(properties(item, whole, &place.index(0)));
    }
    found
}

#[test]
fn the_starter_file_has_neither_faults_nor_warnings() {
    let loaded = read_text("letterhead.yaml", STARTER, &nothing).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.config.model.to_string(), "demo");
    assert_eq!(loaded.config.entry, "assistant");
}

#[test]
fn what_the_starter_file_suggests_works() {
    let key = |name: &str| matches!(name, "OPENAI_API_KEY" | "USERS_API_TOKEN").then(|| "sk-1".to_owned());
    let mut changed = STARTER.replace("\nmodel: demo\n", "\nmodel: openai:gpt-4.1-mini\n");
    assert_ne!(changed, STARTER);
    for suggestion in
        ["# required:", "# model: openai", "# requires:", "# sessions:", "# limits:", "# allow_models:", "# auth:"]
    {
        assert!(changed.contains(suggestion), "{suggestion}");
        changed = changed.replace(suggestion, &suggestion[2..]);
    }
    for suggestion in ["# model_aliases:", "# cors:"] {
        assert!(changed.contains(suggestion), "{suggestion}");
        changed = changed.replace(suggestion, &suggestion[2..]);
    }
    let (before, block) = changed.split_once("# context:\n").unwrap();
    let (block, after) = block.split_once("\n\n").unwrap();
    let block: Vec<&str> =
        block.lines().map(|line| line.strip_prefix("# ").or(line.strip_prefix('#')).unwrap()).collect();
    let changed = format!("{before}context:\n{}\n\n{after}", block.join("\n"));
    let loaded = read_text("letterhead.yaml", &changed, &key).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.config.context[0].request.url.text(), "https://api.example.com/users/{{ headers.user_id }}");
    assert_eq!(loaded.config.model.to_string(), "openai:gpt-4.1-mini");
    let only_token = |name: &str| (name == "USERS_API_TOKEN").then(|| "t".to_owned());
    let without_key: Report = read_text("letterhead.yaml", &changed, &only_token).unwrap().warnings;
    assert!(without_key.to_string().contains("provider `openai` has no key"), "{without_key}");
}

#[test]
fn checks_of_the_caller_are_in_the_same_report() {
    let report =
        read_text_with("a.yaml", "agents: {a: {instructions: '{{ x }}'}}\nentry: b", &nothing, &|config, faults| {
            let template = config.agents[0].instructions.as_ref().unwrap();
            let span = faults.document().locate_part(template.pointer(), 3..4);
            faults.add(super::Diagnostic::error(span, "unknown name"));
        })
        .unwrap_err();
    let messages: Vec<&str> = report.diagnostics().iter().map(|found| found.message.as_str()).collect();
    assert_eq!(messages, ["unknown name", "no agent is called `b`"]);
    assert!(report.to_string().contains("a.yaml:1:32"), "{report}");
}
