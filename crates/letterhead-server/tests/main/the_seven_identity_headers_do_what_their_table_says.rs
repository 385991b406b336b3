//! Seed 002: its table of request headers row by row, its flow, and its two examples as printed. REM's words are in the
//! names of the tests; what it promises and does not do is in `PEERS`.

use letterhead_testkit::{Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{House, Send, Signer, claims, key};

const YAML: &str = r#"
providers:
  openai: { kind: openai, base_url: "${LLM}", api_key: k }
  anthropic: { kind: anthropic, base_url: "${LLM}", api_key: k }
model: openai:gpt-4.1-mini
runtime_headers: [X-User-Id, X-Tenant-Id, X-Session-Id, X-Is-Eval, X-Client-Id]
agents:
  entry: { instructions: "entry for {{ caller.tenant_id }}/{{ caller.user_id }}" }
  orchestrator-agent:
    instructions: "orchestrator for {{ caller.tenant_id }}/{{ caller.user_id }} in {{ session.id }}, {{ session.mode }}, {{ request.client_id }}"
    delegates: [sentiment-analyzer]
  sentiment-analyzer:
    description: Feels.
    instructions: "sentiment for {{ caller.tenant_id }}/{{ caller.user_id }} in {{ session.id }}, {{ session.mode }}, {{ request.client_id }}"
    model: openai:gpt-4.1-nano
entry: entry
"#;

/// What the model was told to be, and which model it was.
fn told(llm: &ScriptedLlm) -> (String, String) {
    let body: Value = serde_json::from_slice(&llm.last().body).unwrap();
    let system = body["messages"][0]["content"].as_str().or_else(|| body["system"].as_str()).unwrap_or_default();
    (system.to_owned(), body["model"].as_str().unwrap().to_owned())
}

async fn house(auth: &str) -> (House, ScriptedLlm) {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house = House::open(&llm, &format!("{auth}\n{}", YAML.trim())).await;
    (house, llm)
}

fn asked() -> Value {
    json!({ "messages": [{ "role": "user", "content": "Research neural networks" }] })
}

#[tokio::test]
async fn x_user_id_counts_where_no_token_is_there_and_the_token_where_one_is() {
    let signer = Signer::ed();
    let exp = jiff::Timestamp::now().as_second() + 300;
    let keys = json!([signer.jwk("k")]);
    let jwt =
        format!("jwt: {{ issuer: 'https://id.example.com', audience: letterhead, tenant_claim: org, keys: {keys} }}");
    let (house, llm) = house(&format!("auth: {{ {jwt}, trust_identity_headers: loopback }}")).await;
    let say = || {
        house.post("/v1/chat/completions", &asked()).header("x-user-id", "user-123").header("x-tenant-id", "claimed")
    };
    // The fallback, from an address that is trusted to.
    assert_eq!(say().answered().await.status, 200);
    assert_eq!(told(&llm).0, "entry for claimed/user-123");
    // The secure way goes first, and takes nothing from the other.
    let token = signer.token("k", &claims(&json!({ "sub": "ada", "org": "acme", "exp": exp })));
    assert_eq!(say().bearer_auth(token).answered().await.status, 200);
    assert_eq!(told(&llm).0, "entry for acme/ada");
    // A bad token does not become a fallback, as it does elsewhere.
    say().bearer_auth("nonsense").answered().await.problem(401, "unauthenticated");
    let expired = signer.token("k", &claims(&json!({ "sub": "ada", "org": "acme", "exp": exp - 7200 })));
    say().bearer_auth(expired).answered().await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn x_tenant_id_is_default_where_nobody_says_another() {
    let (house, llm) = house("").await;
    for (tenant, told_of) in [(None, "default"), (Some(""), "default"), (Some("acme"), "acme")] {
        let request = house.post("/v1/chat/completions", &asked()).header("x-user-id", "u");
        let request = tenant.into_iter().fold(request, |request, tenant| request.header("x-tenant-id", tenant));
        assert_eq!(request.answered().await.status, 200);
        assert_eq!(told(&llm).0, format!("entry for {told_of}/u"));
    }
}

#[tokio::test]
async fn the_session_is_the_paths_before_the_headers() {
    let (house, _llm) = house("").await;
    let by_header = house.post("/api/v1/chat/completions", &asked()).header("x-user-id", "user-123");
    let by_header = by_header.header("x-session-id", "sess-456").answered().await;
    assert_eq!(by_header.header("x-session-id"), Some("sess-456"));
    let both = house.post("/api/v1/chat/completions/sess-789", &asked()).header("x-user-id", "user-123");
    let both = both.header("x-session-id", "sess-456").answered().await;
    assert_eq!(both.header("x-session-id"), Some("sess-789"));
}

#[tokio::test]
async fn its_two_examples_work_as_printed() {
    for (path, session) in [("/api/v1/chat/completions/sess-456", None), ("/api/v1/chat/completions", Some("sess-456"))]
    {
        let (house, llm) = house("").await;
        let body = json!({ "messages": [{ "role": "user", "content": "Research neural networks" }], "stream": true });
        let request = house.post(path, &body).header("X-User-Id", "user-123");
        let request = request.header("X-Agent-Schema", "orchestrator-agent").header("X-Model-Name", "openai:gpt-4.1");
        let request = session.into_iter().fold(request, |request, id| request.header("X-Session-Id", id));
        let answered = request.answered().await;
        assert_eq!(answered.header("x-session-id"), Some("sess-456"));
        assert!(answered.events().iter().any(|event| event.data.contains("Good.")), "{}", answered.text);
        let (instructions, model) = told(&llm);
        assert_eq!(instructions, "orchestrator for default/user-123 in sess-456, normal, ");
        assert_eq!(model, "gpt-4.1");
        assert!(house.app.store.session(&key(None, Some("user-123"), "sess-456")).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn x_is_eval_and_x_client_id_are_recorded_and_can_be_searched_for() {
    let (house, llm) = house("").await;
    for (id, eval, client) in [("a", "true", "web"), ("b", "1", "mobile"), ("c", "yes", "cli"), ("d", "false", "web")] {
        let request = house.post(&format!("/api/v1/chat/completions/{id}"), &asked()).header("x-user-id", "u");
        let request = request
            .header("x-is-eval", eval)
            .header("x-client-id", client)
            .header("x-agent-schema", "orchestrator-agent");
        assert_eq!(request.answered().await.status, 200);
        let mode = if eval == "false" { "normal" } else { "evaluation" };
        assert_eq!(told(&llm).0, format!("orchestrator for default/u in {id}, {mode}, {client}"));
    }
    let listed =
        |query: &'static str| house.rows(house.get(&format!("/api/v1/sessions{query}")).header("x-user-id", "u"));
    let ids = |rows: Vec<Value>| rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(listed("?mode=evaluation").await), ["c", "b", "a"]);
    assert_eq!(ids(listed("?client_id=web").await), ["d", "a"]);
}

#[tokio::test]
async fn a_child_inherits_user_tenant_and_session_and_neither_agent_nor_model() {
    let (house, llm) = house("").await;
    // What a model writes cannot name the caller: such a question is not asked.
    let forged = json!({ "agent": "sentiment-analyzer", "input": "?", "user_id": "mallory", "tenant_id": "evil" });
    llm.then(Reply::tool("ask_agent", forged));
    llm.then(Reply::tool("ask_agent", json!({ "agent": "sentiment-analyzer", "input": "How is it?" })));
    let request = house.post("/api/v1/chat/completions/sess-456", &asked()).header("x-user-id", "user-123");
    let request = request.header("x-tenant-id", "acme").header("x-agent-schema", "orchestrator-agent");
    let request =
        request.header("x-model-name", "openai:gpt-4.1").header("x-client-id", "web").header("x-is-eval", "1");
    assert_eq!(request.answered().await.status, 200);
    let calls: Vec<Value> = llm.requests().iter().map(|call| serde_json::from_slice(&call.body).unwrap()).collect();
    let of = |at: usize| (calls[at]["messages"][0]["content"].as_str().unwrap(), calls[at]["model"].as_str().unwrap());
    let same = "for acme/user-123 in sess-456, evaluation, web";
    assert_eq!(of(0), (&*format!("orchestrator {same}"), "gpt-4.1"));
    assert_eq!(of(1), of(0));
    assert_eq!(of(2), (&*format!("sentiment {same}"), "gpt-4.1-nano"));
    assert_eq!((calls.len(), of(3)), (4, of(0)));
    for call in llm.requests() {
        assert_eq!(
            (call.header("x-user-id").concat(), call.header("x-tenant-id").concat()),
            ("user-123".into(), "acme".into())
        );
        assert_eq!(call.header("x-session-id").concat(), "sess-456");
    }
}

#[tokio::test]
async fn an_anonymous_caller_has_no_user_and_no_fake_id() {
    let (house, llm) = house("").await;
    assert_eq!(house.post("/api/v1/chat/completions/sess-456", &asked()).answered().await.status, 200);
    assert_eq!(told(&llm).0, "entry for default/");
    assert!(llm.last().header("x-user-id").is_empty(), "no id is made up");
    assert!(house.app.store.session(&key(None, None, "sess-456")).await.unwrap().is_some());
    // It sees nobody's private data.
    let private = house.post("/api/v1/chat/completions/mine", &asked()).header("x-user-id", "user-123");
    assert_eq!(private.answered().await.status, 200);
    house.get("/api/v1/sessions/mine").answered().await.problem(404, "session_not_found");
    assert_eq!(house.rows(house.get("/api/v1/sessions")).await.len(), 1);
}
