//! CONTRACT 8 and seed 002: what an agent that takes over, or is asked, has of the request; row by row, streaming or not.

use letterhead_testkit::{A2a, Recorded, Reply, ScriptedAgent, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{House, Send};

const YAML: &str = r#"
providers: { main: { kind: openai, base_url: "${LLM}", api_key: sk-main, params: { seed: 7 } } }
model: main:gpt-default
allow_models: ["main:*"]
runtime_headers: [X-Run]
headers:
  properties:
    org:   { type: string }
    token: { type: string, writeOnly: true }
agents:
  front:
    instructions: "@"
    headers: { X-Front: "1", X-Agent: front, Authorization: Bearer front-c4n4ry }
    params: { temperature: 0.125, metadata: { from: front-c4n4ry } }
    model: main:gpt-front
    output: { type: object, properties: { front_c4n4ry: { type: string } } }
    handoffs: [target]
    delegates: [target, middle]
  middle: { description: M., instructions: "@", model: "main:gpt-middle", headers: { X-Middle: "1" }, delegates: [target] }
  target: { description: T., instructions: "@", model: "main:gpt-target", headers: { X-Agent: target, X-Token: "{{ headers.token }}" } }
entry: front
"#;

/// All that a template may know of a request, each between two bars.
const TOLD: &str = "|{{ caller.user_id }}|{{ caller.tenant_id }}|{{ session.id }}|{{ request.client_id }}|{{ session.mode }}\
                    |{{ headers.org }}|{{ request.id }}|{{ agent.name }}|";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
/// Everything that a request may say in its headers.
const SENT: [(&str, &str); 9] = [
    ("X-User-Id", "user-123"),
    ("X-Tenant-Id", "acme"),
    ("X-Client-Id", "web"),
    ("X-Is-Eval", "yes"),
    ("org", "Acme Inc"),
    ("token", "tok"),
    ("X-Request-Id", "req-7"),
    ("X-Run", "r1"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
];

/// How the target comes to be called.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Handoff,
    Delegate,
    DelegateOfDelegate,
}

const WAYS: [Way; 3] = [Way::Handoff, Way::Delegate, Way::DelegateOfDelegate];

fn ask(agent: &str) -> Reply {
    Reply::tool("ask_agent", json!({ "agent": agent, "input": "Well?" }))
}

/// The calls of the model in one turn, that of the target among them; the request says everything that one can say.
async fn called(way: Way, stream: bool, more: &[(&str, &str)]) -> (Vec<Recorded>, Recorded) {
    let llm = ScriptedLlm::start().await;
    match way {
        Way::Handoff => llm.then(Reply::tool("handoff_to_target", json!({}))),
        Way::Delegate => llm.then(ask("target")),
        Way::DelegateOfDelegate => llm.then(ask("middle")).then(ask("target")),
    };
    llm.always(Reply::text("{}"));
    let house = House::open(&llm, &YAML.replace('@', TOLD)).await;
    let format =
        json!({ "type": "json_schema", "json_schema": { "name": "of_the_run", "schema": { "type": "object" } } });
    let body = json!({
        "messages": [{ "role": "user", "content": "Hi" }], "stream": stream, "top_p": 0.25, "response_format": format,
    });
    let request = house.post("/api/v1/chat/completions/sess-456", &body);
    let request = SENT.iter().chain(more).fold(request, |request, (name, value)| request.header(*name, *value));
    let answered = request.answered().await;
    assert_eq!(answered.status, 200, "{way:?}: {}", answered.text);
    let calls = llm.requests();
    let target =
        calls.iter().find(|call| system(call).ends_with("|target|")).unwrap_or_else(|| panic!("{way:?}")).clone();
    (calls, target)
}

fn system(call: &Recorded) -> String {
    call.json()["messages"][0]["content"].as_str().unwrap().to_owned()
}

/// What the call shows of a row of the table.
fn seen(call: &Recorded, row: &str) -> String {
    let told: Vec<String> = system(call).split('|').map(str::to_owned).collect();
    let header = |name: &str| call.header(name).concat();
    match row {
        "user" => told[1].clone(),
        "tenant" => told[2].clone(),
        "session" => told[3].clone(),
        "client id" => told[4].clone(),
        "is-eval" => told[5].clone(),
        "context headers" => format!("{} {}", told[6], header("x-token")),
        "request id" => told[7].clone(),
        "trace" => header("traceparent")[3..35].to_owned(),
        "runtime headers" => header("x-run"),
        "agent" => told[8].clone(),
        "model" => call.json()["model"].as_str().unwrap().to_owned(),
        _ => panic!("{row}"),
    }
}

const INHERITED: [(&str, &str); 9] = [
    ("user", "user-123"),
    ("tenant", "acme"),
    ("session", "sess-456"),
    ("client id", "web"),
    ("is-eval", "evaluation"),
    ("context headers", "Acme Inc tok"),
    ("request id", "req-7"),
    ("trace", TRACE),
    ("runtime headers", "r1"),
];

#[tokio::test]
async fn what_is_inherited_arrives_by_every_way() {
    for (way, stream) in WAYS.iter().flat_map(|way| [(*way, false), (*way, true)]) {
        let (calls, target) = called(way, stream, &[]).await;
        for (row, expected) in INHERITED {
            assert_eq!(seen(&target, row), expected, "{way:?} {stream}: {row}");
        }
        let mut spans: Vec<String> = calls.iter().map(|call| call.header("traceparent").concat()).collect();
        let count = spans.len();
        spans.sort();
        spans.dedup();
        assert_eq!(spans.len(), count, "each call is a span of its own");
    }
}

#[tokio::test]
async fn agent_and_model_are_the_targets_own() {
    for (way, stream) in WAYS.iter().flat_map(|way| [(*way, false), (*way, true)]) {
        let (_, target) = called(way, stream, &[]).await;
        assert_eq!(
            (seen(&target, "agent"), seen(&target, "model")),
            ("target".to_owned(), "gpt-target".to_owned()),
            "{way:?}"
        );
        // A model that was chosen for the run stays its model when it is handed over; a child's is another run.
        let (calls, target) =
            called(way, stream, &[("X-Model-Name", "main:gpt-run"), ("X-Agent-Schema", "front")]).await;
        assert_eq!(seen(&calls[0], "model"), "gpt-run");
        assert_eq!(seen(&target, "model"), if way == Way::Handoff { "gpt-run" } else { "gpt-target" }, "{way:?}");
    }
}

#[tokio::test]
async fn nothing_of_the_one_that_asks_leaks() {
    for (way, stream) in WAYS.iter().flat_map(|way| [(*way, false), (*way, true)]) {
        let (calls, target) = called(way, stream, &[]).await;
        // It was there to leak.
        let first = format!("{:?} {}", calls[0].headers, calls[0].text());
        assert!(first.contains("Bearer front-c4n4ry") && first.contains("0.125"), "{first}");
        let all = format!("{:?} {}", target.headers, target.text());
        assert!(
            !all.contains("c4n4ry"),
            "{way:?} {stream}: headers, credential, params or schema of the source: {all}"
        );
        for name in ["x-front", "x-middle"] {
            assert!(target.header(name).is_empty(), "{way:?}: {name}");
        }
        assert_eq!(target.header("authorization"), ["Bearer sk-main"], "{way:?}: the provider's own, once");
        assert_eq!(target.header("x-agent"), ["target"], "{way:?}");
        let body = target.json();
        for field in ["temperature", "metadata", "tools"] {
            assert!(body.get(field).is_none(), "{way:?}: {field}: {body}");
        }
        // The form that the client wants is that of the answer: who takes over gives it, who is asked does not.
        let format = &body["response_format"]["json_schema"]["name"];
        assert_eq!(*format, if way == Way::Handoff { json!("of_the_run") } else { Value::Null }, "{way:?}: {body}");
        // What belongs to the provider and to the run goes on.
        assert_eq!((body["seed"].as_i64(), body["top_p"].as_f64()), (Some(7), Some(0.25)), "{way:?}");
        // Identity headers were admitted, and are nobody's to pass on.
        for name in ["x-user-id", "x-tenant-id", "x-client-id", "x-is-eval", "x-session-id", "org", "token", "cookie"] {
            assert!(target.header(name).is_empty(), "{way:?}: {name}");
        }
    }
}

#[tokio::test]
async fn a_child_is_given_another_model_only_where_it_is_allowed() {
    for stream in [false, true] {
        for (allowed, expected) in [
            ("[\"main:*\"]", Some("gpt-cheap")),
            ("[\"main:gpt-cheap\"]", Some("gpt-cheap")),
            ("[\"main:gpt-big\"]", None),
        ] {
            let llm = ScriptedLlm::start().await;
            let question = json!({ "agent": "target", "input": "?", "model": "main:gpt-cheap" });
            llm.then(Reply::tool("ask_agent", question)).always(Reply::text("{}"));
            let yaml = YAML.replace('@', TOLD).replace("[\"main:*\"]", allowed);
            let house = House::open(&llm, &yaml).await;
            let body = json!({ "messages": [{ "role": "user", "content": "Hi" }], "stream": stream });
            assert_eq!(
                house.post("/api/v1/chat/completions/s", &body).header("token", "t").answered().await.status,
                200
            );
            let calls = llm.requests();
            let offered = calls[0].json()["tools"].to_string();
            assert!(offered.contains("\"model\""), "{offered}");
            let target = calls.iter().find(|call| system(call).ends_with("|target|"));
            assert_eq!(target.map(|call| seen(call, "model")).as_deref(), expected, "{allowed}");
            if expected.is_none() {
                let told = calls[1].json()["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
                assert!(told.contains("cannot be chosen"), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn a_delegate_with_history_sees_the_conversation_and_one_without_its_input_alone() {
    for (delegates, expected) in [
        ("[target]", vec!["Well?"]),
        ("[{ agent: target }]", vec!["Well?"]),
        ("[{ agent: target, history: true }]", vec!["One", "First.", "Two", "Well?"]),
    ] {
        for stream in [false, true] {
            let llm = ScriptedLlm::start().await;
            llm.then(Reply::text("First.")).then(ask("target")).always(Reply::text("Good."));
            let yaml = format!(
                "providers: {{ main: {{ kind: openai, base_url: '${{LLM}}' }} }}\nmodel: main:gpt\nagents:\n  front: {{ delegates: {delegates} }}\n  \
                 target: {{ description: T., instructions: I am it. }}\nentry: front\n"
            );
            let house = House::open(&llm, &yaml).await;
            for text in ["One", "Two"] {
                let body = json!({ "messages": [{ "role": "user", "content": text }], "stream": stream });
                assert_eq!(house.post("/api/v1/chat/completions/s", &body).answered().await.status, 200);
            }
            let calls = llm.requests();
            let target = calls.iter().find(|call| system(call) == "I am it.").unwrap().json();
            let contents: Vec<&str> =
                target["messages"].as_array().unwrap()[1..].iter().map(|m| m["content"].as_str().unwrap()).collect();
            assert_eq!(contents, expected, "{delegates}");
            // Kept is what it was asked and said: the conversation is kept already.
            let turns = house.rows(house.get("/api/v1/sessions/s/turns")).await;
            let turn =
                house.get(&format!("/api/v1/sessions/s/turns/{}", turns[0]["id"].as_str().unwrap())).answered().await;
            let kept: Vec<Value> = turn.json()["children"][0]["messages"].as_array().unwrap().clone();
            assert_eq!(kept.iter().map(|m| m["content"].as_str().unwrap()).collect::<Vec<_>>(), ["Well?", "Good."]);
        }
    }
}

/// The headers that any HTTP client sends.
const OF_HTTP: [&str; 7] =
    ["host", "accept", "accept-encoding", "user-agent", "content-type", "content-length", "connection"];

#[tokio::test]
async fn an_external_agent_has_what_its_configuration_names_and_nothing_else() {
    for (way, stream) in WAYS.iter().flat_map(|way| [(*way, false), (*way, true)]) {
        let agent = ScriptedAgent::start(A2a::One).await;
        let agent = if stream { agent.streaming() } else { agent };
        let llm = ScriptedLlm::start().await;
        match way {
            Way::Handoff => llm.then(Reply::tool("handoff_to_target", json!({}))),
            Way::Delegate => llm.then(ask("target")),
            Way::DelegateOfDelegate => llm.then(ask("middle")).then(ask("target")),
        };
        llm.then(ask("legal")).always(Reply::text("{}"));
        let external = "external_agents:\n  legal:\n    url: \"@URL@\"\n    description: L.\n    \
                        headers: { X-Org: \"{{ headers.org }}\", X-Who: \"{{ caller.user_id }}\", X-By: \"{{ agent.name }}\" }\n";
        let yaml = format!("{}egress: {{ allow: [127.0.0.1] }}\n{external}", YAML.replace('@', TOLD));
        let yaml = yaml.replace("\n  target: { description: T.,", "\n  target: { description: T., delegates: [legal],");
        let yaml = yaml.replace("@URL@", &agent.api.url(""));
        let house = House::open(&llm, &yaml).await;
        let body = json!({ "messages": [{ "role": "user", "content": "Words of the client" }], "stream": stream });
        let request = house.post("/api/v1/chat/completions/sess-456", &body);
        let answered =
            SENT.iter().fold(request, |request, (name, value)| request.header(*name, *value)).answered().await;
        assert_eq!(answered.status, 200, "{}", answered.text);

        let requests = agent.api.requests();
        assert_eq!(requests.len(), 2, "{way:?}: the card, and the question");
        for request in &requests {
            let mut carried: Vec<(String, &str)> =
                request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_str())).collect();
            carried.retain(|(name, _)| !OF_HTTP.contains(&name.as_str()));
            carried.sort();
            // The trace of the turn goes on, unless `trace: false` says otherwise; `a2a-…` is the protocol's own.
            let trace = carried.iter().position(|(name, _)| name == "traceparent").map(|at| carried.remove(at).1);
            assert_eq!(trace.map(|trace| &trace[3..35]), Some(TRACE), "{way:?}");
            carried.retain(|(name, _)| !name.starts_with("a2a-"));
            let named = [("x-by", "target"), ("x-org", "Acme Inc"), ("x-who", "user-123")];
            assert_eq!(carried, named.map(|(name, value)| (name.to_owned(), value)), "{way:?} {stream}");
        }
        // Nor does anything else say of the request what its configuration does not name.
        let question = agent.questions()[0].text().to_owned();
        for word in
            ["acme", "sess-456", "web", "evaluation", "tok", "req-7", "r1", "c4n4ry", "client", "sk-main", "gpt"]
        {
            assert!(!question.contains(word), "{way:?}: {word} in {question}");
        }
        assert!(question.contains("Well?"), "{question}");
        // What it was asked, and has answered, is kept with the turn.
        let get = |path: &str| {
            let request = house.get(&format!("/api/v1/sessions/sess-456/turns{path}"));
            request.header("X-User-Id", "user-123").header("X-Tenant-Id", "acme")
        };
        let id = house.rows(get("")).await[0]["id"].as_str().unwrap().to_owned();
        let turn = get(&format!("/{id}")).answered().await.json();
        let mut child = &turn["children"][0];
        while child["agent"] != "legal" {
            child = &child["children"][0];
        }
        assert_eq!(child["status"], "complete");
        let said: Vec<&str> =
            child["messages"].as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap()).collect();
        assert_eq!(said, ["Well?", "You asked: Well?"]);
    }
}
