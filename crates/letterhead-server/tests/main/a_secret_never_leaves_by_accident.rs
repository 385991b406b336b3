//! CONTRACT 1 to 6: a secret goes where a template names it, and is found nowhere else: no file, no log, no answer.

use std::path::Path;

use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{Answered, House, Program, Send, said, said_streaming};

/// In every value that must not be seen.
const CANARY: &str = "c4n4ry";

const YAML: &str = r#"
providers:
  openai:
    kind: openai
    base_url: "${LLM}"
    api_key: sk-c4n4ry
    retries: 0
    headers: { X-Static: static-c4n4ry }
model: openai:gpt-test
runtime_headers: [X-Run]
headers:
  required: [user_id]
  properties:
    user_id:    { type: string }
    auth_token: { type: string, writeOnly: true, minLength: 6 }
    pin:        { type: integer, writeOnly: true }
    profile:    { type: object, writeOnly: true }
agents:
  assistant:
    instructions: "For {{ headers.user_id }}."
    headers: { X-Token: "{{ headers.auth_token }}" }
    delegates: [helper]
  helper: { description: Helps., instructions: Help., headers: { X-Pin: "{{ headers.pin }}" } }
entry: assistant
"#;

/// What a request carries that nobody may see again.
const SECRETS: [(&str, &str); 6] = [
    ("auth_token", "tok-c4n4ry"),
    ("pin", "904140915"),
    ("profile", r#"{"a":"c4n4ry"}"#),
    ("x-run", "run-c4n4ry"),
    ("authorization", "Bearer inbound-c4n4ry"),
    ("cookie", "session=c4n4ry"),
];

fn is_shown(text: &[u8]) -> bool {
    let found = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    found(CANARY.as_bytes()) || found(b"904140915") || found(b"YzRuNHJ5")
}

#[track_caller]
fn is_clean(what: &str, answered: &Answered) {
    let all = format!("{:?}\n{}", answered.headers, answered.text);
    assert!(!is_shown(all.as_bytes()), "{what}: {all}");
}

/// Everything that a caller may do with secrets: answers, streams, errors, and all that can be read afterwards.
async fn exercise(llm: &ScriptedLlm, base: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let send = |method: &str, path: &str, body: Option<&Value>, secrets: &[(&str, &str)]| {
        let request = client.request(method.parse().unwrap(), format!("{base}{path}"));
        let request = secrets.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    };
    let user = [&SECRETS[..], &[("user_id", "u_1")]].concat();
    for path in ["/v1/chat/completions", "/api/v1/chat/completions/s", "/api/chat"] {
        for body in [said("Hi"), said_streaming("Hi")] {
            llm.then(Reply::tool("ask_agent", json!({ "agent": "helper", "input": "?" })));
            let answered = send("POST", path, Some(&body), &user).answered().await;
            assert_eq!(answered.status, 200, "{}", answered.text);
            is_clean(path, &answered);
            // The template named them: on the wire they are.
            assert_eq!(llm.last().header("x-token"), ["tok-c4n4ry"]);
            assert_eq!(llm.requests().iter().rev().nth(1).unwrap().header("x-pin"), ["904140915"]);
            let bodies: Vec<u8> = llm.requests().iter().flat_map(|request| request.body.to_vec()).collect();
            assert!(!is_shown(&bodies), "the model was told a secret");
        }
    }
    // Refused ones: too short, no integer, twice, too large, not UTF-8, badly encoded, missing beside.
    let large = format!("{CANARY}{}", "x".repeat(5000));
    for wrong in [
        vec![("user_id", "u"), ("auth_token", "c4n4r")],
        vec![("user_id", "u"), ("pin", "c4n4ry")],
        vec![("user_id", "u"), ("profile", "c4n4ry")],
        vec![("user_id", "u"), ("auth_token", "tok-c4n4ry"), ("auth-token", "tok-c4n4ry")],
        vec![("user_id", "u"), ("auth_token", large.as_str())],
        vec![("user_id", "u"), ("auth_token", "=?base64?c4n4ry?=")],
        vec![("auth_token", "tok-c4n4ry"), ("x-session-id", "none")],
        vec![("user_id", "u"), ("auth_token", "tok-c4n4ry"), ("x-run", "c4n4ry"), ("x-run", "c4n4ry")],
        vec![("user_id", "u"), ("auth_token", "tok-c4n4ry"), ("x-user-id", "a\u{9b}c4n4ry")],
    ] {
        let answered = send("POST", "/v1/chat/completions", Some(&said("Hi")), &wrong).answered().await;
        assert!((400..500).contains(&answered.status), "{wrong:?}: {}", answered.text);
        is_clean("an error", &answered);
    }
    // What the upstream says back is not passed on.
    let words = json!({ "error": { "message": "wrong key sk-c4n4ry for tok-c4n4ry", "code": "c4n4ry" } });
    for status in [400, 401, 429, 500] {
        llm.then(Answer::error(status, &words).header("x-echo", CANARY));
        let answered = send("POST", "/api/v1/chat/completions/s", Some(&said("Hi")), &user).answered().await;
        assert!(answered.status >= 400);
        is_clean("an upstream's error", &answered);
    }
    for path in [
        "/v1/models",
        "/api/v1/sessions",
        "/api/v1/sessions/s",
        "/api/v1/sessions/s/messages",
        "/api/v1/sessions/s/trail",
        "/health",
        "/ready",
        "/nowhere",
    ] {
        is_clean(path, &send("GET", path, None, &user).answered().await);
    }
}

/// Every file of a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

#[tokio::test]
async fn not_in_answers_nor_in_the_files_nor_in_debug() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letterhead.db");
    let house = House::on_file(&llm, YAML, &file).await;
    exercise(&llm, &house.url("")).await;
    let app = &house.app;
    let parts = format!("{:#?} {:#?} {:#?} {:#?} {:#?}", app.registry, app.ingress, app.auth, app.edge, app.env);
    assert!(!is_shown(parts.as_bytes()), "Debug shows a secret");
    let session = app.store.session(&crate::support::key(None, None, "s")).await.unwrap().unwrap();
    assert!(session.header("auth_token").is_some(), "it is remembered, in memory");
    assert!(!is_shown(format!("{session:#?}").as_bytes()), "Debug of a session shows a secret");
    let open = files(folder.path());
    house.stopped().await;
    let closed = files(folder.path());
    for (name, bytes) in open.iter().chain(&closed) {
        assert!(!is_shown(bytes), "{name}");
    }
    // The search would find it: what is no secret is there.
    assert!(closed.iter().any(|(_, bytes)| bytes.windows(3).any(|window| window == b"u_1")), "nothing was written");
}

#[tokio::test]
async fn not_in_the_configuration_as_debug_shows_it_nor_in_its_faults() {
    let env = |name: &str| (name == "KEY").then(|| format!("sk-{CANARY}"));
    let good = r#"
providers: { openai: { kind: openai, api_key: "${KEY}", headers: { X-Key: "${KEY}" } } }
model: openai:gpt-test
agents: { assistant: { instructions: Hi., headers: { X-Key: "${KEY}" } } }
"#;
    let checked =
        letterhead_server::assembly::check_text("letterhead.yaml", good, &env).unwrap_or_else(|r| panic!("{r}"));
    for shown in [format!("{:#?}", checked.loaded), format!("{:#?}", checked.registry)] {
        assert!(!is_shown(shown.as_bytes()), "{}", shown.lines().find(|line| is_shown(line.as_bytes())).unwrap());
    }
    for wrong in [
        "providers: { openai: { kind: openai, api_key: \"a${KEY}\\n\" } }\nagents: { a: {} }",
        "providers: { openai: { kind: openai, api_key: \"${KEY}{{ headers.x }}\" } }\nagents: { a: {} }",
        "providers: { openai: { kind: \"${KEY}\" } }\nagents: { a: {} }",
        "providers: { openai: { kind: openai, base_url: \"${KEY}\" } }\nagents: { a: {} }",
        "model: \"${KEY}\"\nagents: { a: {} }",
        "server: { listen: \"${KEY}\" }\nagents: { a: {} }",
        "agents: { a: {} }\nentry: \"${KEY}\"",
        "runtime_headers: [\"${KEY} \"]\nagents: { a: {} }",
    ] {
        let Err(report) = letterhead_server::assembly::check_text("letterhead.yaml", wrong, &env) else { continue };
        assert!(!is_shown(report.to_string().as_bytes()), "{wrong}: {report}");
    }
}

#[tokio::test]
async fn not_in_the_logs_at_trace() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("letterhead.yaml");
    let yaml = YAML.replace("${LLM}", &llm.openai_url());
    std::fs::write(&config, format!("store: sqlite://letterhead.db\n{}", yaml.trim())).unwrap();
    let log = folder.path().join("log");
    let mut program = Program::start(&config, &log).await;
    exercise(&llm, &program.url).await;
    program.terminate();
    assert!(program.ended().await.success());
    let said = program.said();
    assert!(!is_shown(said.as_bytes()), "{}", said.lines().find(|line| is_shown(line.as_bytes())).unwrap());
    // The search finds what is there: the requests were logged, with their routes and sessions.
    assert!(said.contains("/api/v1/chat/completions/{session_id}") && said.contains(r#""session_id":"s""#), "{said}");
    assert!(!said.contains("u_1"), "no value of a header is logged, secret or not");
}
