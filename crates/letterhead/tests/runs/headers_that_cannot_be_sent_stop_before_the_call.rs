//! What cannot be sent is an error before any call, the same at every level.

use letterhead::{Code, HeaderSchema, Provider, Runner};
use serde_json::json;

use crate::script::Script;
use crate::support::{agent, runner};

const BAD: [(&str, &str); 7] = [
    ("Host", "example.com"),
    ("Content-Length", "3"),
    ("Transfer-Encoding", "chunked"),
    ("Cookie", "a=b"),
    ("not a name", "a"),
    ("X-Team", "a\r\nX-Other: b"),
    ("X-Team", "a\u{0}b"),
];

#[test]
fn at_every_level_the_error_names_the_header() {
    let script = Script::default();
    for (name, value) in BAD {
        let at_run = runner(&script, [agent("a")]).run("Hello").header(name, value).unwrap_err().to_string();
        let at_agent = Runner::with_agents([agent("a").with_header(name, value)]).provider(script.provider()).build();
        let at_agent = at_agent.unwrap_err().to_string();
        let provider = script.provider().with_header(name, value);
        let at_provider = Runner::with_agents([agent("a")]).provider(provider).build().unwrap_err().to_string();
        for (place, error) in [("run", at_run), ("agent `a`", at_agent), ("provider `test`", at_provider)] {
            assert!(error.contains(name), "{place}: {error}");
            assert!(error.contains(place) || place == "run", "{place}: {error}");
            assert!(!error.contains("X-Other") && !error.contains("example.com"), "no value: {error}");
        }
    }
    assert!(script.calls().is_empty());
}

#[tokio::test]
async fn a_value_that_only_shows_when_it_is_rendered_stops_the_call() {
    let schema = HeaderSchema::compile(&json!({"properties": {"note": {"type": "string"}}})).unwrap();
    let script = Script::default();
    let agents = || [agent("a").with_header("X-Note", "{{ headers.note }}")];
    let runner = Runner::with_agents(agents()).provider(script.provider()).headers(schema).build().unwrap();
    // The MCP encoding may carry a line break into a value, which no header can carry on.
    let error = runner.run("Hello").context_header("note", "=?base64?YQpi?=").await.unwrap_err();
    assert_eq!(error.problem.code(), Code::InvalidHeaderValue);
    assert!(error.problem.detail().contains("X-Note") && error.problem.detail().contains("providers.test"));
    assert!(script.calls().is_empty());
}

#[tokio::test]
async fn a_credential_without_a_value_stops_the_call_and_falls_back_to_nothing() {
    let schema = HeaderSchema::compile(&json!({"properties": {"key": {"type": "string", "writeOnly": true}}})).unwrap();
    let script = Script::default();
    let provider: Provider = script.provider().with_api_key("{{ headers.key }}");
    let runner = Runner::with_agents([agent("a")]).provider(provider).headers(schema).build().unwrap();
    for stream in [false, true] {
        let run = runner.run("Hello");
        let error = if stream { run.stream().result().await } else { run.await }.unwrap_err();
        assert_eq!(error.problem.code(), Code::MissingCredential);
        assert_eq!(error.problem.param(), Some("key"));
    }
    assert!(script.calls().is_empty());
}

#[tokio::test]
async fn faults_of_context_headers_are_told_all_at_once() {
    let schema = HeaderSchema::compile(&json!({
        "required": ["user_id"], "properties": {"user_id": {"type": "string"}, "age": {"type": "integer"}},
    }));
    let script = Script::default();
    let runner =
        Runner::with_agents([agent("a")]).provider(script.provider()).headers(schema.unwrap()).build().unwrap();
    let run = runner.run("Hello").context_headers([("age", "old"), ("user-di", "u1")]);
    let error = run.await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`age`") && text.contains("did you mean `user_id`?"), "{text}");
    assert!(!text.contains("old"), "no value: {text}");
    assert!(text.contains("`user_id`: required"), "what is missing, too: {text}");
    let error = runner.run("Hello").context_headers([("user_id", "a\u{7}b"), ("age", "1"), ("\u{e9}", "x")]).await;
    let faults: Vec<_> = error.unwrap_err().problem.errors().iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 2, "one that cannot be read is not missing besides: {faults:?}");
    assert!(script.calls().is_empty());
}
