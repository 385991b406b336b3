//! CONTRACT 6: tokens, API keys and the keys that verify them are in no log, no answer, no file and no `Debug`.

use std::path::Path;
use std::sync::Arc;

use axum::extract::FromRequest;
use letterhead::run::ApprovalAnswer;
use letterhead_context::TenantId;
use letterhead_server::arrival::{Arrival, Undecided};
use letterhead_server::auth::{Credential, KeyText};
use letterhead_server::model_choice::Asked;
use letterhead_server::turn::{Edit, Incoming, IncomingMessage, SessionChoice, ToolAnswer};
use letterhead_store::sqlite::{SqliteOptions, SqliteTool};
use letterhead_store::{ApiKey, ApiKeys, Lifetimes, MemoryStore, Role, SystemClock};
use serde_json::json;

use crate::support::{House, Program, Send, Signer, app_then, built, claims, encoded, said, said_streaming};

/// The secret that tokens are signed with.
const SECRET: &str = "c4n4ry-c4n4ry-c4n4ry-c4n4ry-c4n4ry-c4n4ry";

fn yaml() -> String {
    format!(
        "store: sqlite://letterhead.db\nauth:\n  api_keys: true\n  jwt: {{ issuer: 'https://id.example.com', audience: \
         letterhead, secret: {SECRET} }}\nagents: {{ a: {{ instructions: 'For {{{{ caller.user_id }}}}.' }} }}\n"
    )
}

/// What must not be seen: whole credentials, and the parts of them that prove something.
fn parts(credentials: &[String]) -> Vec<String> {
    let mut parts = vec![SECRET.to_owned(), encoded(SECRET)];
    for credential in credentials {
        parts.push(credential.clone());
        parts.extend(credential.rsplit(['.', '_']).next().filter(|part| part.len() > 20).map(str::to_owned));
    }
    parts
}

#[track_caller]
fn is_clean(what: &str, text: &[u8], parts: &[String]) {
    for part in parts {
        let found = text.windows(part.len()).any(|window| window == part.as_bytes());
        assert!(!found, "{what} shows {part}");
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let kept = entries.filter(|path| path.extension().is_none_or(|extension| extension != "yaml"));
    kept.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

#[tokio::test]
async fn not_in_logs_at_trace_nor_in_answers_nor_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("letterhead.yaml");
    std::fs::write(&config, yaml()).unwrap();
    let made = KeyText::generate().unwrap();
    let tool =
        SqliteTool::open(folder.path().join("letterhead.db"), SqliteOptions::default(), Arc::new(SystemClock)).unwrap();
    let stored = ApiKey {
        id: Arc::clone(made.id()),
        name: "reports".into(),
        tenant: TenantId::default(),
        scopes: Vec::new(),
        on_behalf: false,
        created_at_ms: 0,
        expires_at_ms: None,
        revoked_at_ms: None,
        secret_sha256: made.secret_sha256(),
    };
    tool.create_api_key(stored).await.unwrap();
    let signer = Signer::Secret(SECRET.as_bytes().to_vec());
    let now = jiff::Timestamp::now().as_second();
    let token = |sub: &str, exp: i64| signer.token("k", &claims(&json!({ "sub": sub, "exp": exp })));
    let credentials = [
        token("ada", now + 300),
        token("ada", now - 300),
        token("", now + 300),
        format!("{}x", token("ada", now + 300)),
        Signer::Secret(b"another".to_vec()).token("k", &claims(&json!({ "exp": now + 300 }))),
        "not-a-token-but-c4n4ry-as-well-whatever".to_owned(),
        made.reveal().to_string(),
        format!("lh_{}_{}", made.id(), encoded([5; 32])),
        KeyText::generate().unwrap().reveal().to_string(),
        "lh_c4n4ry-c4n4ry-c4n4ry-c4n4ry".to_owned(),
    ];
    let hidden = parts(&credentials);
    let log = folder.path().join("log");
    let mut program = Program::start(&config, &log).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut statuses = Vec::new();
    for credential in &credentials {
        for (path, body) in [
            ("/api/v1/chat/completions/s", Some(said("Hi"))),
            ("/api/chat", Some(said_streaming("Hi"))),
            ("/v1/models", None),
            ("/api/v1/sessions/s/trail", None),
        ] {
            for name in ["authorization", "x-api-key"] {
                let value = if name == "authorization" { format!("Bearer {credential}") } else { credential.clone() };
                let request = match &body {
                    Some(body) => client.post(format!("{}{path}", program.url)).json(body),
                    None => client.get(format!("{}{path}", program.url)),
                };
                let answered = request.header(name, value).answered().await;
                statuses.push(answered.status);
                is_clean(path, format!("{:?}\n{}", answered.headers, answered.text).as_bytes(), &hidden);
            }
        }
    }
    assert!(statuses.contains(&200) && statuses.contains(&401));
    let open = files(folder.path());
    program.terminate();
    assert!(program.ended().await.success());
    for (name, bytes) in open.iter().chain(&files(folder.path())) {
        is_clean(name, bytes, &hidden);
    }
    // The search would find it: why they were refused is there.
    let said = program.said();
    assert!(said.contains("the token is refused: it has expired") && said.contains("the API key is refused"), "{said}");
}

#[tokio::test]
async fn not_in_the_debug_of_a_request_nor_anything_else_that_it_says() {
    let yaml = yaml().replace("store: sqlite://letterhead.db", "model: demo\nheaders: { properties: { note: {} } }");
    let yaml = yaml.replace("{{ caller.user_id }}", "{{ headers.note }}");
    let (app, _) = app_then(&yaml, |clock| Arc::new(MemoryStore::new(Lifetimes::default(), clock)));
    let token =
        Signer::Secret(SECRET.as_bytes().to_vec()).token("k", &claims(&json!({ "email": "c4n4ry@example.com" })));
    let bearer = format!("Bearer {token}");
    let request = || {
        let headers = [("authorization", bearer.as_str()), ("note", "c4n4ry"), ("idempotency-key", "c4n4ry")];
        built("POST", "/v1/chat/completions", &headers, said("c4n4ry").to_string())
    };
    let arrival = Box::<Arrival>::from_request(request(), &app).await.ok().unwrap();
    let undecided = Undecided::from_request(request(), &app).await.ok().unwrap();
    let mut incoming = Incoming {
        session: SessionChoice::New,
        asked: Asked::default(),
        messages: vec![IncomingMessage {
            id: None,
            role: Role::User,
            body: r#"{"role":"user","content":"c4n4ry"}"#.into(),
        }],
        instructions: vec!["c4n4ry".into()],
        answers: vec![ToolAnswer { call_id: "call_1".into(), result: "c4n4ry".to_owned() }],
        approvals: vec![ApprovalAnswer { id: "c4n4ry".into(), approved: false, reason: Some("c4n4ry".into()) }],
        edit: Edit::Append,
        tools: Vec::new(),
        tool_choice: serde_json::value::to_raw_value("c4n4ry").ok(),
        params: [("user".to_owned(), json!("c4n4ry"))].into_iter().collect(),
        stream: false,
        announced: false,
    };
    let text = format!(
        "{arrival:#?} {undecided:#?} {incoming:#?} {:?} {:?} {:?}",
        incoming.messages, incoming.answers, incoming.approvals
    );
    is_clean("Debug", text.as_bytes(), &[parts(&[token]), vec!["c4n4ry".to_owned()]].concat());
    incoming.approvals.clear();
    // Who asks, and how much, is in it.
    let length = said("c4n4ry").to_string().len();
    assert!(
        text.contains("ada") && text.contains(&format!("body_bytes: {length}")) && text.contains("messages: 1"),
        "{text}"
    );
    let run = letterhead_server::turn::begin(&app, arrival, Box::new(incoming)).await.unwrap();
    let ended = run.end.await.unwrap();
    assert!(ended.outcome.output.contains("c4n4ry"), "{}", ended.outcome.output);
    is_clean("Debug", format!("{ended:?}").as_bytes(), &["c4n4ry".to_owned()]);
}

#[tokio::test]
async fn not_in_debug_nor_in_the_faults_of_a_configuration() {
    let house = House::alone(&yaml().replace("store: sqlite://letterhead.db", "store: memory")).await;
    let key = KeyText::generate().unwrap();
    let credential = |name: &'static str, value: String| {
        let mut headers = http::HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        house.app.auth.credential(&headers)
    };
    let token = Signer::Secret(SECRET.as_bytes().to_vec()).token("k", &claims(&json!({})));
    let bearer = credential("authorization", format!("Bearer {token}"));
    let shown = credential("x-api-key", key.reveal().to_string());
    assert!(matches!((&bearer, &shown), (Credential::Bearer(_), Credential::Key(_))));
    let hidden = parts(&[token, key.reveal().to_string()]);
    let text = format!("{:#?} {bearer:?} {shown:?} {key:?}", house.app.auth);
    is_clean("Debug", text.as_bytes(), &hidden);
    assert!(text.contains("Hs256"), "the keys are in it, without what is secret in them: {text}");
    let checked = letterhead_server::assembly::check_text("letterhead.yaml", &yaml(), &|_| None).ok().unwrap();
    is_clean("Debug", format!("{:#?}", checked.loaded).as_bytes(), &hidden);
    let private = json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA", "d": SECRET });
    let block = format!("'-----BEGIN PRIVATE KEY----- {SECRET} -----END PRIVATE KEY-----'");
    for jwt in [
        format!("{{ issuer: a, audience: b, secret: {SECRET}, keys: [] }}"),
        format!("{{ issuer: a, audience: b, keys: [{private}] }}"),
        format!("{{ issuer: a, audience: b, keys: [{block}] }}"),
        format!("{{ issuer: a, audience: b, keys: [{{ kty: oct, k: {SECRET} }}] }}"),
        format!("{{ issuer: a, audience: b, jwks_url: 'https://u:{SECRET}@id.example.com/' }}"),
        format!("{{ secret: {SECRET}, secrets: [] }}"),
        format!("{{ issuer: a, audience: b, secret: [{SECRET}] }}"),
    ] {
        let yaml = format!("auth: {{ jwt: {jwt} }}\nagents: {{ a: {{}} }}");
        let report = letterhead_server::assembly::check_text("letterhead.yaml", &yaml, &|_| None).err().unwrap();
        is_clean(&jwt, report.to_string().as_bytes(), &hidden);
    }
}
