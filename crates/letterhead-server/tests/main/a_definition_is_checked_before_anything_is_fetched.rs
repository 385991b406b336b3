//! CONTRACT 3, 4 and 13: what is wrong with variables, credentials and addresses is told when the file is read, with its place.

use std::fmt::Write;

use letterhead_server::assembly;
use letterhead_server::config::{Report, Severity};

/// The faults of a configuration, each with its line and column.
fn told(yaml: &str) -> String {
    let env = |name: &str| match name {
        "TOKEN" => Some("tok-canary".to_owned()),
        "ORIGIN" => Some("https://api.example.com".to_owned()),
        _ => None,
    };
    let report: Report = match assembly::check_text("letterhead.yaml", yaml, &env) {
        Ok(checked) => checked.loaded.warnings,
        Err(report) => report,
    };
    assert!(!report.to_string().contains("canary"), "{report}");
    report.diagnostics().iter().fold(String::new(), |mut text, found| {
        let place = found.span.map(|span| report.source().position(span.start));
        let place = place.map_or_else(|| "-".to_owned(), |place| format!("{}:{}", place.line, place.column));
        let mark = if found.severity == Severity::Warning { " (warning)" } else { "" };
        let help = found.help.as_ref().map_or_else(String::new, |help| format!(" → {}", help.replace('\n', "; ")));
        writeln!(text, "{place}{mark} {}{help}", found.message).unwrap();
        text
    })
}

#[test]
fn every_slip_of_a_definition_has_its_place() {
    insta::assert_snapshot!(told(
        r#"
headers: { properties: { user_id: { type: string }, token: { writeOnly: true } } }
env: [ORIGIN]
context:
  user:
    url: >-
      https://api.example.com/users/{{ headers.user_id }}/of/{{
      headers.usr_id }}
    heders: { X: a }
    select: "$.a["
    requires: ["{{ headers.tokn }}", plain]
    timeout: 10
  plan:
    fetchConfig:
      url: "{{ env.ORIGIN }}/plans"
      method: FETCH
      headers: { X-A: "{{ usr.name }}", Host: a }
      body: { a: ["x", { b: "{{ headers.token | uper }}" }] }
      transfrom: a
    trigger: initialisation
  form: { url: "https://a.example.com", form: { a: "{{ nobody }}" }, query: { b: "{{ b }}" }, body: {} }
  nowhere: { method: GET }
  headers: { url: "https://a.example.com" }
  if: { url: "https://a.example.com" }
  a-b: { url: "https://a.example.com" }
agents: { a: { instructions: "{{ user.name }} {{ plam }} {{ credentials.x }}" } }
"#
    ));
}

#[test]
fn every_slip_of_a_tool_has_its_place() {
    insta::assert_snapshot!(told(
        r#"
headers: { properties: { token: { writeOnly: true } } }
context: { user: { url: "https://a.example.com/{{ args.id }}" } }
tools:
  get_order:
    description: "With {{ headers.token }}"
    parameters: { type: object, properties: { order_id: { type: strin } } }
    url: https://api.example.com/orders/{{ args.order_id }}
  find:
    descripton: a
    parameters: { properties: { text: { type: string } } }
    url: https://api.example.com/find
    query: { q: "{{ args.txt }}", w: "{{ usr.name }}" }
    select: "a b"
    timeout: 0s
  nowhere: {}
  "a b": { url: "https://api.example.com" }
  handoff_to_b: { url: "https://api.example.com" }
agents:
  a: { instructions: "{{ args.id }} {{ user }}", tools: [get_order, fnd, handoff_to_b], handoffs: [b] }
  b: { description: b }
entry: a
"#
    ));
    insta::assert_snapshot!(told(
        r#"
headers: { properties: { org: { type: string } } }
context:
  user: { url: "https://a.example.com/" }
tools:
  find: { url: "https://a.example.com/{{ headers.org }}" }
  lost: { url: "https://a.example.com/" }
agents: { a: { instructions: Hi., tools: [find] } }
"#
    ));
}

#[test]
fn who_waits_for_himself_is_told_the_way_round() {
    insta::assert_snapshot!(told(
        r#"
context:
  one: { url: "https://a.example.com/{{ two }}" }
  two: { url: "https://a.example.com/", headers: { X-A: "{{ three.x }}" } }
  three: { url: "https://a.example.com/", requires: ["{{ one }}"] }
agents: { a: { instructions: "{{ one }}" } }
"#
    ));
}

#[test]
fn both_spellings_of_a_key_are_one_too_many() {
    insta::assert_snapshot!(told(
        r#"
context:
  user:
    when: turn
    trigger: invocation
    url: https://a.example.com
    fetchConfig: { url: "https://a.example.com", transform: a, timeout: 5, requiredToFetch: ["{{ caller.user_id }}"] }
    select: b
    timeout: 1s
    requires: ["{{ caller.user_id }}"]
    response_schema: {}
    responseSchema: {}
    default: 1
    defaultValue: 2
agents: { a: { instructions: "{{ user }}" } }
"#
    ));
}

#[test]
fn an_address_that_calls_would_be_refused_for_is_refused_at_once() {
    insta::assert_snapshot!(told(
        r#"
egress: { allow: ["10.0.0.0/8", "crm.internal", "127.0.0.1:9000", "10.0.0.1/8", "*.internal", "a b"] }
agents: { a: { instructions: Hi. } }
"#
    ));
    insta::assert_snapshot!(told(
        r#"
egress: { allow: ["10.0.0.0/8", "127.0.0.1:9000"] }
context:
  a: { url: "http://127.0.0.1:9000/{{ caller.user_id }}" }
  b: { url: "http://127.0.0.1:9001/{{ caller.user_id }}" }
  c: { url: "http://169.254.169.254/latest" }
  d: { url: "http://0x7f.1/" }
  e: { url: "http://[::1]:80/" }
  f: { url: "http://10.1.2.3/" }
  g: { fetchConfig: { url: "http://localhost" } }
  h: { url: "ftp://a.example.com/" }
  i: { url: "https://me:canary@a.example.com/" }
agents: { a: { instructions: "{{ a }}{{ b }}{{ c }}{{ d }}{{ e }}{{ f }}{{ g }}{{ h }}{{ i }}" } }
"#
    ));
}

#[test]
fn an_allowed_place_from_the_environment_is_not_repeated() {
    let told = told("egress: { allow: [\"${TOKEN}/x\", \"${TOKEN} x\"] }\nagents: { a: { instructions: Hi. } }\n");
    assert_eq!(told.matches("the value of this variable is none").count(), 2, "{told}");
    assert!(!told.contains("canary"), "{told}");
}

#[test]
fn a_credential_has_one_source_and_it_is_there() {
    insta::assert_snapshot!(told(
        r#"
credentials:
  fine: { env: TOKEN }
  unset: { env: NOT_SET }
  both: { env: TOKEN, file: /a }
  gone: { file: /no/such/file }
  none: {}
  own: { env: LETTERHEAD_KEY }
  typo: { fiel: /a }
providers:
  p: { kind: openai, api_key: { file: /no/such/key } }
  q: { kind: openai, api_key: "{{ credentials.fyne }}" }
agents: { a: { instructions: "{{ credentials.fine }}", model: "p:x" } }
"#
    ));
}

/// Whoever reads the file complains of it, and whoever builds the agents from it would again.
#[test]
fn a_key_or_a_field_that_no_call_can_carry_is_told_once() {
    let told = told(
        "providers: { p: { kind: openai, api_key: ' ', params: { stream: true } } }\n\
         agents: { a: { instructions: Hi., model: 'p:x', params: { tool_choice: auto } } }\n",
    );
    assert_eq!(told.lines().count(), 3, "{told}");
    for slip in ["1:42 `api_key` has blanks", "1:57 `stream` is set by", "2:59 `tool_choice` is set by"] {
        assert!(told.contains(slip), "{told}");
    }
}

#[test]
fn what_may_be_missing_where_it_matters_is_warned_of() {
    insta::assert_snapshot!(told(
        r#"
headers:
  required: [always]
  properties: { always: { type: string }, sometimes: { type: string }, defaulted: { type: string, default: x } }
context:
  user:
    url: "https://a.example.com/{{ headers.always }}/{{ headers.sometimes }}/{{ headers.defaulted }}"
    query: { q: "{{ headers.sometimes }}" }
    body: { a: "{{ headers.sometimes }}", b: "x {{ headers.sometimes | default('y') }}" }
    headers: { X-A: "{{ headers.sometimes }}" }
    default: { name: Guest, address: { city: null } }
  safe:
    url: "https://a.example.com/{{ headers.sometimes }}"
    requires: ["{{ headers.sometimes }}"]
    default: Guest User
agents:
  a:
    instructions: "{{ user.name }} {{ user.email }} {{ user.address.city }} {{ safe.name }} {% if user.age %}{{ user.age }}{% endif %}"
    headers: { X-Plan: "{{ user.plan | default('none') }}" }
"#
    ));
}

#[test]
fn a_misspelt_keyword_of_any_schema_is_told_at_its_key() {
    // In a declaration it is an error: every keyword there is known.
    let declared = told("headers: { properties: { org: { type: string, maxLenght: 9 } } }\nagents: { a: {} }\n");
    assert_eq!(declared, "1:47 `maxLenght` is not a keyword of JSON Schema 2020-12; did you mean `maxLength`?\n");
    let told = told(
        r#"
tools:
  find:
    parameters: { type: object, required: [id], propertys: {}, properties: { id: { type: string, maxLenght: 20 } } }
    url: https://api.example.com/{{ args.id }}
context: { user: { url: "https://api.example.com", response_schema: { requird: [name], nullable: true } } }
agents: { a: { instructions: "{{ user.name }}", tools: [find], output: { type: object, additionalProperty: false } } }
"#,
    );
    assert_eq!(
        told,
        "4:49 (warning) `propertys` is not a keyword of JSON Schema, and does nothing; did you mean `properties`?\n\
         4:98 (warning) `maxLenght` is not a keyword of JSON Schema, and does nothing; did you mean `maxLength`?\n\
         6:71 (warning) `requird` is not a keyword of JSON Schema, and does nothing; did you mean `required`?\n\
         7:88 (warning) `additionalProperty` is not a keyword of JSON Schema, and does nothing; did you mean \
         `additionalProperties`?\n"
    );
}

#[test]
fn a_place_to_allow_is_added_to_those_that_are_there() {
    let agents = "context: { user: { url: \"http://127.0.0.1:9001/\" } }\nagents: { a: { instructions: \"{{ user.name }}\" } }\n";
    assert!(told(agents).contains(r#"write `egress: { allow: ["127.0.0.1:9001"] }`"#));
    let told = told(&format!("egress: {{ allow: [crm.internal] }}\n{agents}"));
    assert!(told.contains(r#"add `"127.0.0.1:9001"` to `egress.allow`"#), "{told}");
}
