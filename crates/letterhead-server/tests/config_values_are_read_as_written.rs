//! What a configuration says is what the server gets, with the defaults of the contract.
#![expect(clippy::panic, reason = "the functions that tests share fail by panicking, as tests do")]

use std::time::Duration;

use letterhead_server::config::{
    self, AliasTarget, Loaded, Position,
    auth::{Anonymous, Trust},
    models::{Model, UnknownModel},
    providers::ProviderKind,
    server::Cors,
    store::Store,
};

fn env(name: &str) -> Option<String> {
    let value = match name {
        "NUMBER" => "7",
        "FLAG" => "true",
        "TEXT" => "plain text",
        "BRACES" => "{{ headers.auth_token }}",
        "YAML" => "x: [1, 2]",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

#[track_caller]
fn load(text: &str) -> Loaded {
    config::read_text("letterhead.yaml", text, &env).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn what_is_left_out_has_the_defaults_of_the_contract() {
    let config = load("agents: {only: {}}").config;
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        (config.server.max_body, config.server.header_timeout.as_secs(), config.server.drain.as_secs()),
        (4_194_304, 75, 30)
    );
    assert_eq!(config.store, Store::Sqlite { path: "letterhead.db".into() });
    assert_eq!((config.model.clone(), config.entry.as_str()), (Model::Demo, "only"));
    let sessions = &config.sessions;
    assert_eq!((sessions.ttl, sessions.headers_ttl.as_secs(), sessions.secrets_ttl.as_secs()), (None, 86_400, 3_600));
    assert_eq!((sessions.turn_wait.as_secs(), sessions.disconnect_grace.as_secs()), (10, 0));
    let limits = &config.limits;
    assert_eq!((limits.max_turns, limits.depth, limits.runs), (10, 4, 32));
    assert_eq!((limits.header_value, limits.headers_total), (4_096, 16_384));
    assert_eq!(config.history.max_tokens, None);
    assert_eq!((config.auth.trust_identity_headers.is_none(), config.auth.anonymous), (true, None));
    assert!(config.headers.is_none() && config.allow_models.is_none() && config.allow_params.is_none());
    assert!(config.allows_model(&Model::Demo) && config.allows_param("temperature"));
}

#[test]
fn the_example_of_the_design_is_read() {
    let config = load(
        r#"
server: { listen: 127.0.0.1:8080 }
store: sqlite://letterhead.db            # memory | sqlite://…
providers:
  openai:    { kind: openai, api_key: "${TEXT}" }
  anthropic: { kind: anthropic, api_key: "${TEXT}" }
  local:     { kind: openai, base_url: "http://127.0.0.1:11434/v1/" }
model: openai:gpt-4.1-mini
headers:
  required: [user_id, auth_token]
  properties:
    user_id:    { type: string, maxLength: 64 }
    auth_token: { type: string, writeOnly: true }
    org_name:   { type: string, maxLength: 80 }
runtime_headers: [X-Request-ID, X-Environment, X-Trace-*]
agents:
  assistant:
    instructions: |
      You are a helpful assistant from {{ headers.org_name | default("an unknown organisation") }}.
    headers: { X-Agent-ID: assistant, X-Environment: staging, X-Version: 1.10 }
    params: { temperature: 0.2 }
    requires: [Org-Name]
    delegates: [researcher]
    handoffs: [billing]
  researcher: { description: Finds facts., instructions: Answer with sources., model: openai:gpt-4.1-nano }
  billing:    { description: Invoices and payments., instructions: You handle billing. }
entry: assistant
"#,
    )
    .config;
    let local = config.providers.get("local").unwrap();
    assert_eq!((local.kind, local.base_url.as_deref()), (ProviderKind::OpenAi, Some("http://127.0.0.1:11434/v1")));
    let anthropic = config.providers.get("anthropic").unwrap();
    assert_eq!(anthropic.base_url.as_deref(), Some("https://api.anthropic.com"));
    let assistant = config.agent("assistant").unwrap();
    let headers: Vec<_> = assistant.headers.iter().map(|header| (header.name.as_str(), header.value.text())).collect();
    assert_eq!(headers, [("X-Agent-ID", "assistant"), ("X-Environment", "staging"), ("X-Version", "1.10")]);
    assert_eq!(assistant.params["temperature"], 0.2);
    assert_eq!(assistant.requires[0].name, "org_name");
    assert_eq!(
        (assistant.delegates[0].name.as_str(), assistant.handoffs[0].pointer.as_str()),
        ("researcher", "/agents/assistant/handoffs/0")
    );
    assert_eq!(config.model_of(assistant).to_string(), "openai:gpt-4.1-mini");
    assert_eq!(config.model_of(config.agent("researcher").unwrap()).to_string(), "openai:gpt-4.1-nano");
    assert_eq!(config.headers.unwrap()["properties"]["user_id"]["maxLength"], 64);
    let runtime: Vec<_> = config.runtime_headers.iter().map(|row| (row.entry(), row.is_prefix)).collect();
    let expected = [("X-Request-ID", false), ("X-Environment", false), ("X-Trace-*", true)];
    assert_eq!(runtime, expected.map(|(entry, is_prefix)| (entry.to_owned(), is_prefix)));
}

#[test]
fn every_section_takes_its_values() {
    let config = load(
        "server: {listen: 'localhost:0', hosts: [Agents.Example.com], cors: ['https://App.example.com'], max_body: 1024, drain: 500ms}
store: sqlite:///var/lib/letterhead.db
sessions: {ttl: 30d, turn_wait: 5m}
limits: {max_turns: 3, runs: 0x10, header_value: 1KiB}
auth: {trust_identity_headers: [10.0.0.0/8, 'fd00::/8'], anonymous: allow}
allow_params: [temperature]
providers: {x: {kind: demo, retries: 0, max_headers: 10, max_header_bytes: 8KiB, idle_timeout: 1s, params: {a: {b: [1, null]}}}}
agents: {a: {model: 'x:anything'}}",
    )
    .config;
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:0");
    assert_eq!(config.server.hosts, ["agents.example.com"]);
    assert_eq!(config.server.cors, Cors::Origins(vec!["https://app.example.com".to_owned()]));
    assert_eq!((config.server.max_body, config.server.drain), (1_024, Duration::from_millis(500)));
    assert_eq!(config.store, Store::Sqlite { path: "/var/lib/letterhead.db".into() });
    assert_eq!((config.sessions.ttl.unwrap().as_secs(), config.sessions.turn_wait.as_secs()), (2_592_000, 300));
    assert_eq!((config.limits.max_turns, config.limits.runs), (3, 16));
    let Some(Trust::Networks(networks)) = &config.auth.trust_identity_headers else { panic!("networks") };
    assert!(networks[0].contains("10.1.2.3".parse().unwrap()) && !networks[1].contains("10.1.2.3".parse().unwrap()));
    assert_eq!((config.auth.anonymous, config.auth.has_verifier()), (Some(Anonymous::Allow), true));
    assert!(config.allows_param("temperature") && !config.allows_param("seed"));
    let provider = config.providers.get("x").unwrap();
    assert_eq!((provider.kind, provider.base_url.as_deref(), provider.retries), (ProviderKind::Demo, None, 0));
    assert_eq!(
        (provider.max_headers, provider.max_header_bytes, provider.idle_timeout.as_secs()),
        (Some(10), Some(8_192), 1)
    );
    assert_eq!(provider.params["a"]["b"], serde_json::json!([1, null]));
    assert_eq!(load("store: memory\nagents: {a: {}}").config.store, Store::Memory);
}

#[test]
fn variables_are_replaced_once_and_are_never_templates() {
    let config = load(
        r#"
providers:
  p:
    kind: openai
    api_key: "${BRACES}"
    retries: ${NUMBER}
    headers:
      X-A: a${TEXT}b
      X-N: ${NUMBER}
      X-F: ${FLAG}
limits: { max_turns: "${NUMBER}", header_value: "${NUMBER}" }
agents:
  a:
    instructions: "{{ headers.user_id }} has $$5 and $x"
    description: ${YAML}
    model: p:${NUMBER}
    params:
      n1: ${NUMBER}
      n2: "${NUMBER}"
      flag: ${FLAG}
      mixed: ${NUMBER}0
      empty: ${EMPTY}
      none: "${NONE:-}"
      other: ${NONE:-3}
"#,
    )
    .config;
    let provider = config.providers.get("p").unwrap();
    let key = provider.api_key.as_ref().unwrap();
    assert_eq!((key.text(), key.is_literal()), ("{{ headers.auth_token }}", true));
    assert_eq!((provider.retries, config.limits.max_turns, config.limits.header_value), (7, 7, 7));
    let values: Vec<_> = provider.headers.iter().map(|header| header.value.text()).collect();
    assert_eq!(values, ["aplain textb", "7", "true"]);
    let agent = config.agent("a").unwrap();
    let instructions = agent.instructions.as_ref().unwrap();
    assert_eq!((instructions.text(), instructions.is_literal()), ("{{ headers.user_id }} has $5 and $x", false));
    assert_eq!(agent.description.as_ref().unwrap().text(), "x: [1, 2]");
    let params = serde_json::Value::Object(agent.params.clone());
    let expected =
        serde_json::json!({"n1": 7, "n2": "7", "flag": true, "mixed": "70", "empty": "", "none": "", "other": 3});
    assert_eq!(params, expected);
}

#[test]
fn an_empty_key_is_no_key() {
    let config = load("providers: {p: {kind: openai, api_key: '${NONE:-}'}}\nagents: {a: {}}").config;
    assert!(config.providers.get("p").unwrap().api_key.is_none());
}

#[test]
fn a_model_is_found_by_its_providers_name_or_only_kind() {
    let config = load(
        "providers: {main: {kind: openai, api_key: a}, second: {kind: openai, api_key: a}, claude: {kind: anthropic, api_key: a}}
allow_models: ['main:gpt-*', 'anthropic:*', demo]
model_aliases: {gpt-4o: a, o3: 'main:o3', echo: demo}
agents: {a: {model: 'anthropic:claude-sonnet'}}",
    )
    .config;
    let resolve = |text: &str| config.providers.resolve(text);
    let claude = Model::Of { provider: "claude".to_owned(), model: "claude-sonnet".to_owned() };
    assert_eq!(config.agents[0].model.as_ref(), Some(&claude));
    assert_eq!(resolve("main:llama3:8b").unwrap().to_string(), "main:llama3:8b");
    assert_eq!(resolve("demo"), Ok(Model::Demo));
    let ambiguous =
        UnknownModel::Ambiguous { kind: "openai".to_owned(), providers: vec!["main".to_owned(), "second".to_owned()] };
    assert_eq!(resolve("openai:gpt-4.1"), Err(ambiguous));
    assert_eq!(resolve("mistral:x"), Err(UnknownModel::Provider("mistral".to_owned())));
    for text in ["", "gpt-4.1", ":x", "main:"] {
        assert_eq!(resolve(text), Err(UnknownModel::Form), "{text}");
    }
    for (text, allowed) in
        [("main:gpt-4.1", true), ("main:o3", false), ("claude:x", true), ("second:gpt-4.1", false), ("demo", true)]
    {
        assert_eq!(config.allows_model(&resolve(text).unwrap()), allowed, "{text}");
    }
    let targets: Vec<_> = config.model_aliases.iter().map(|alias| alias.target.clone()).collect();
    let o3 = Model::Of { provider: "main".to_owned(), model: "o3".to_owned() };
    assert_eq!(targets, [AliasTarget::Agent("a".to_owned()), AliasTarget::Model(o3), AliasTarget::Model(Model::Demo)]);
}

#[test]
fn aliases_of_yaml_stand_for_whole_values() {
    let config = load("agents: {a: {params: &shared {temperature: 0.2}}, b: {params: *shared}}\nentry: a").config;
    assert_eq!(config.agents[0].params, config.agents[1].params);
}

#[test]
fn places_are_found_in_the_file_for_later_checks() {
    let text = "headers:\n  properties:\n    user/id: {type: strin}\nagents:\n  a:\n    instructions: |\n      Hello\n        {{ heders.x }}\n    description: >-\n      folded\n      {{ y }}\n    headers: {X-A: 'it''s {{ z }}'}\n";
    let document = load(text).document;
    let at = |needle: &str| text.find(needle).unwrap();
    let shown = |span: config::Span| &text[span.start..span.end];
    assert_eq!(shown(document.locate("/headers/properties/user~1id/type")), "strin");
    assert_eq!(shown(document.locate("/agents/a")), "a");
    assert_eq!(shown(document.locate("/agents/a/headers/X-Missing")), "headers");
    assert_eq!(shown(document.locate_key("/agents/a/instructions")), "instructions");
    let template = document.locate_position("/agents/a/instructions", Position { line: 2, column: 6 });
    assert_eq!(template.start, at("heders"));
    assert_eq!(document.source().position(template.start), Position { line: 8, column: 12 });
    assert_eq!(document.locate_position("/agents/a/description", Position { line: 1, column: 11 }).start, at("y }}"));
    assert_eq!(shown(document.locate_part("/agents/a/headers/X-A", 5..12)), "{{ z }}");
    assert_eq!(document.json("/headers/properties/user~1id").unwrap(), serde_json::json!({"type": "strin"}));
}
