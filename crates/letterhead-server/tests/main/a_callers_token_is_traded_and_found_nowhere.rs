//! Issue 5, token exchange: the caller's verified token goes to the token endpoint, what comes back to its destination, and
//! neither is found anywhere else: no answer, no log, no file, no prompt.

use std::path::Path;

use letterhead_testkit::{Answer, Reply, ScriptedApi, ScriptedLlm, ScriptedTokens};
use serde_json::{Value, json};

use crate::support::{Answered, House, Program, Send, Signer, claims, said, said_streaming};

/// The secret that tokens are signed with.
const SECRET: &str = "c4n4ry-c4n4ry-c4n4ry-c4n4ry-c4n4ry-c4n4ry";

const CLIENT_SECRET: &str = "client-c4n4ry";

const YAML: &str = r#"
store: "@STORE@"
providers: { openai: { kind: openai, base_url: "@LLM@", api_key: sk-1, retries: 0 } }
model: openai:gpt-test
credentials: { client: { file: "@FOLDER@/client-secret" } }
auth:
  api_keys: @KEYS@
  anonymous: allow
  jwt: { issuer: 'https://id.example.com', audience: letterhead, secret: c4n4ry-c4n4ry-c4n4ry-c4n4ry-c4n4ry-c4n4ry }
egress: { allow: ["@HOST@"] }
context:
  me:
    url: "@API@/me"
    auth:
      token_exchange:
        endpoint: "@TOKENS@"
        audience: orders
        client_id: letterhead
        client_secret: "{{ credentials.client }}"
tools:
  get_order:
    description: Looks an order up.
    url: "@API@/orders"
    auth: { token_exchange: { endpoint: "@TOKENS@", audience: orders, client_id: letterhead, client_secret: "{{ credentials.client }}", client_auth: post } }
mcp_servers:
  crm:
    url: "@API@/mcp"
    auth: { token_exchange: { endpoint: "@TOKENS@", resource: "https://crm.example.com" } }
agents:
  assistant: { instructions: "You help {{ me.name }}.", tools: [get_order] }
  tool_only: { instructions: "Be brief.", tools: [get_order] }
  crm_only:  { instructions: "Be brief.", tools: [crm] }
entry: assistant
"#;

/// What is outside, and the configuration that names it.
struct Scene {
    llm: ScriptedLlm,
    api: ScriptedApi,
    tokens: ScriptedTokens,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let (llm, api, tokens) =
            (ScriptedLlm::start().await, ScriptedApi::start().await, ScriptedTokens::start().await);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("client-secret"), CLIENT_SECRET).unwrap();
        // Careless: it repeats what it was sent.
        api.always(|request| {
            let seen = request.header("authorization").concat();
            Answer::json(&json!({ "name": "Ada", "state": "shipped", "seen": seen }))
        });
        api.on("/mcp").always(|request| {
            let message = request.json();
            let result = match message["method"].as_str().unwrap_or_default() {
                "server/discover" => json!({ "supportedVersions": ["2026-07-28"] }),
                "tools/list" => json!({ "tools": [{ "name": "add", "inputSchema": { "type": "object" } }] }),
                _ => json!({ "content": [{ "type": "text", "text": request.header("authorization").concat() }] }),
            };
            Answer::json(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
        });
        Self { llm, api, tokens, folder }
    }

    fn yaml(&self, store: &str) -> String {
        // There is no key of the server's own in a store that keeps nothing.
        let keys = (store != "memory").to_string();
        [
            ("@STORE@", store),
            ("@KEYS@", &keys),
            ("@LLM@", &self.llm.openai_url()),
            ("@API@", &self.api.url("")),
            ("@HOST@", &self.api.host()),
            ("@TOKENS@", &self.tokens.url()),
            ("@FOLDER@", &self.folder.path().display().to_string()),
        ]
        .iter()
        .fold(YAML.to_owned(), |yaml, (name, value)| yaml.replace(name, value))
    }

    async fn house(&self) -> House {
        House::open(&self.llm, &self.yaml("memory")).await
    }
}

/// A good token of a user.
fn token(sub: &str) -> String {
    let exp = jiff::Timestamp::now().as_second() + 300;
    Signer::Secret(SECRET.as_bytes().to_vec()).token("k", &claims(&json!({ "sub": sub, "exp": exp })))
}

/// What nobody may see: the caller's token and the part of it that proves something, the client's secret, what was issued.
fn hidden(tokens: &[String]) -> Vec<String> {
    let mut hidden = vec![CLIENT_SECRET.to_owned(), "issued-canary".to_owned(), "c4n4ry".to_owned()];
    for token in tokens {
        hidden.push(token.clone());
        hidden.extend(token.rsplit('.').next().map(str::to_owned));
    }
    hidden
}

#[track_caller]
fn is_clean(what: &str, text: impl AsRef<[u8]>, hidden: &[String]) {
    let text = text.as_ref();
    for part in hidden {
        let found = text.windows(part.len()).any(|window| window == part.as_bytes());
        assert!(!found, "{what} shows {part}: {}", String::from_utf8_lossy(text));
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mine = |path: &std::path::PathBuf| {
        path.extension().is_none_or(|extension| extension != "yaml") && !path.ends_with("client-secret")
    };
    entries.filter(mine).map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

/// Every turn that carries tokens out, and every one that does not get that far.
async fn exercise(scene: &Scene, url: &str, token: &str, hidden: &[String]) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let send = |path: &str, agent: &str, body: &Value| {
        let request = client.post(format!("{url}{path}")).bearer_auth(token);
        request.header("x-agent-schema", agent).json(body)
    };
    let clean = |what: &str, answered: &Answered| {
        is_clean(what, format!("{:?}\n{}", answered.headers, answered.text), hidden);
    };
    for path in ["/v1/chat/completions", "/api/v1/chat/completions/s", "/api/chat"] {
        for body in [said("Hi"), said_streaming("Hi")] {
            for (agent, tool) in [("assistant", "get_order"), ("crm_only", "crm_add")] {
                scene.llm.then(Reply::tool(tool, json!({})));
                let answered = send(path, agent, &body).answered().await;
                assert_eq!(answered.status, 200, "{}", answered.text);
                clean(path, &answered);
            }
        }
    }
    // What the endpoint says when it refuses is not passed on.
    let words =
        json!({ "error": "invalid_target", "error_description": format!("{token} is none"), "error_uri": "c4n4ry" });
    for (agent, status) in [("assistant", 502), ("crm_only", 502), ("tool_only", 200)] {
        // A user for whom no token is kept.
        let other = self::token(&format!("other-{agent}"));
        scene.tokens.then(Answer::error(400, &words));
        scene.llm.then(Reply::tool("get_order", json!({})));
        let request = client.post(format!("{url}/api/v1/chat/completions/t")).bearer_auth(other);
        let answered = request.header("x-agent-schema", agent).json(&said("Hi")).answered().await;
        assert_eq!(answered.status, status, "{agent}: {}", answered.text);
        clean("a refusal of the endpoint", &answered);
        if status == 502 {
            scene.llm.then(Reply::text("not asked"));
        }
    }
    for path in ["/api/v1/sessions", "/api/v1/sessions/s", "/api/v1/sessions/s/messages", "/api/v1/sessions/s/trail"] {
        clean(path, &client.get(format!("{url}{path}")).bearer_auth(token).answered().await);
    }
}

#[tokio::test]
async fn not_in_answers_nor_in_logs_nor_in_files_nor_in_prompts() {
    let scene = Scene::new().await;
    scene.llm.always(Reply::text("Good."));
    let config = scene.folder.path().join("letterhead.yaml");
    std::fs::write(&config, scene.yaml("sqlite://letterhead.db")).unwrap();
    let log = scene.folder.path().join("log");
    let key = ("LETTERHEAD_KEY", "c0ffee0123456789c0ffee0123456789c0ffee0123456789c0ffee0123456789");
    for env in [&[][..], &[key]] {
        let ada = token("ada");
        let hidden = hidden(std::slice::from_ref(&ada));
        let mut program = Program::start_with(&config, &log, env).await;
        exercise(&scene, &program.url, &ada, &hidden).await;
        let open = files(scene.folder.path());
        program.terminate();
        assert!(program.ended().await.success());
        for (name, bytes) in open.iter().chain(&files(scene.folder.path())) {
            is_clean(name, bytes, &hidden);
        }
        for request in scene.llm.requests() {
            is_clean("a call of the model", format!("{:?} {}", request.headers, request.text()), &hidden);
        }
        // The search would find it: that there was none is said.
        let said = program.said();
        assert!(said.contains("no token for it: the token endpoint refused, with 400 invalid_target"), "{said}");
        // Each got its own, and never the caller's.
        for request in scene.api.requests() {
            let carried = request.header("authorization").concat();
            assert!(carried.starts_with("Bearer issued-canary-"), "{carried}");
            assert_eq!(carried.contains("crm"), request.route() == "/mcp", "{carried}");
            assert!(!format!("{:?} {}", request.headers, request.text()).contains(&ada));
        }
        let exchanges = scene.tokens.exchanges();
        assert!(exchanges.iter().any(|one| one.field("subject_token") == Some(&*ada)));
        assert!(exchanges.iter().all(|one| one.field("subject_token").unwrap().split('.').count() == 3));
    }
}

/// What the model was told of its last call.
fn result(llm: &ScriptedLlm) -> String {
    llm.last().json()["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_caller_without_a_token_is_told_what_is_missing_and_nothing_is_sent() {
    let scene = Scene::new().await;
    let house = scene.house().await;
    let ask = |agent: &str| house.say_in("s", "Hi").header("x-agent-schema", agent);
    let problem = ask("assistant").answered().await;
    problem.problem(502, "context_unavailable");
    let why = "the token exchange needs a token of the caller's own, and the caller is not known";
    assert!(
        problem.text.contains("`context.me` could not be fetched") && problem.text.contains(why),
        "{}",
        problem.text
    );
    let problem = ask("crm_only").answered().await;
    problem.problem(400, "missing_credential");
    assert!(problem.text.contains("mcp_servers.crm") && problem.text.contains(why), "{}", problem.text);
    scene.llm.then(Reply::tool("get_order", json!({}))).then(Reply::text("I could not."));
    assert_eq!(ask("tool_only").answered().await.content(), "I could not.");
    assert_eq!(result(&scene.llm), format!("The call was not made: {why}."));
    assert!(scene.api.requests().is_empty() && scene.tokens.requests().is_empty());
}

#[tokio::test]
async fn a_trail_has_the_header_and_its_source_and_a_delegate_has_the_callers_token_too() {
    let scene = Scene::new().await;
    let yaml = scene
        .yaml("memory")
        .replace("  tool_only: {", "  tool_only: { description: Looks up.,")
        .replace("tools: [get_order] }\n  tool_only", "tools: [get_order], delegates: [tool_only] }\n  tool_only");
    let house = House::open(&scene.llm, &yaml).await;
    scene
        .llm
        .then(Reply::tool("ask_agent", json!({ "agent": "tool_only", "input": "?" })))
        .then(Reply::tool("get_order", json!({})))
        .then(Reply::text("Shipped."))
        .then(Reply::text("It is shipped."));
    let ada = token("ada");
    let answered = house.say_in("s", "Hi").bearer_auth(&ada).answered().await;
    assert_eq!(answered.content(), "It is shipped.", "{}", answered.text);
    assert_eq!(scene.api.requests_to("/orders").len(), 1);
    let rows = house.rows(house.get("/api/v1/sessions/s/trail").bearer_auth(&ada)).await;
    for (destination, agent) in [("context.me", "assistant"), ("tools.get_order", "tool_only")] {
        let row = rows.iter().find(|row| row["destination"] == destination).unwrap_or_else(|| panic!("{rows:#?}"));
        assert_eq!((&row["header"], &row["from"]), (&json!("Authorization"), &json!("auth.token_exchange")));
        assert_eq!((&row["sent"], &row["agent"]), (&json!(true), &json!(agent)));
    }
}

/// A scope of the caller's token is a right at its issuer's APIs, and none here.
#[tokio::test]
async fn a_tokens_scope_claim_gives_no_right_of_an_api_key() {
    let scene = Scene::new().await;
    let house = scene.house().await;
    let exp = jiff::Timestamp::now().as_second() + 300;
    let claims = claims(&json!({ "sub": "ada", "exp": exp, "scope": "docs:write", "scopes": ["docs:write"] }));
    let token = Signer::Secret(SECRET.as_bytes().to_vec()).token("k", &claims);
    let headers: http::HeaderMap =
        [(http::header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap())].into_iter().collect();
    let shown = house.app.auth.credential(&headers);
    let peer = letterhead_server::edge::Peer(std::net::SocketAddr::from(([192, 0, 2, 1], 4000)));
    let identity = house.app.auth.identify(shown, peer, false, &Default::default()).await.unwrap();
    assert!(!identity.scopes.has(letterhead_server::auth::Scope::DocsWrite));
    is_clean("Debug", format!("{:?}", identity.claims), &hidden(&[token]));
}

/// Whichever protocol a turn began in, it has its caller's token.
#[tokio::test]
async fn so_it_is_for_turns_of_mcp_and_a2a_too() {
    let scene = Scene::new().await;
    let house = scene.house().await;
    let hidden = hidden(&[]);
    let mcp = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "tool_only", "arguments": { "input": "Hi" } },
    });
    let a2a = json!({
        "jsonrpc": "2.0", "id": 1, "method": "SendMessage",
        "params": { "message": { "messageId": "m-1", "role": "ROLE_USER", "parts": [{ "text": "Hi" }] } },
    });
    for (path, body) in [("/mcp", mcp), ("/a2a", a2a)] {
        scene.llm.then(Reply::tool("get_order", json!({}))).then(Reply::text("It is shipped."));
        let before = scene.api.requests_to("/orders").len();
        let user = format!("of-{}", &path[1..]);
        let request = house.post(path, &body).bearer_auth(token(&user)).header("x-agent-schema", "tool_only");
        let request = request.header("accept", "application/json, text/event-stream");
        let answered = request.header("mcp-protocol-version", "2025-11-25").answered().await;
        assert!(answered.text.contains("It is shipped."), "{path}: {}", answered.text);
        is_clean(path, &answered.text, &hidden);
        let orders = scene.api.requests_to("/orders");
        assert_eq!(orders.len(), before + 1, "{path}");
        let carried = orders.last().unwrap().header("authorization").concat();
        assert!(carried.starts_with("Bearer issued-canary-orders-"), "{carried}");
    }
    assert_eq!(scene.tokens.exchanges().len(), 2, "one for each of the two callers");
}
