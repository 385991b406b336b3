//! CONTRACT 9, `/a2a`: A2A v1.0 by JSON-RPC. A message becomes a task, a task is a turn, its context is the session.

use insta::{assert_json_snapshot, assert_snapshot};
use letterhead_testkit::{Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::a2a::{added_up, artifacts, ids, message, message_in, rpc, state};
use crate::support::{House, Program, Send, tidy, transcript};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt-test
headers:
  required: [user_name]
  properties: { user_name: { type: string, maxLength: 16 }, seats: { type: integer } }
agents:
  assistant: { description: Answers questions., instructions: "Serve {{ headers.user_name }}.", delegates: [researcher], handoffs: [billing] }
  researcher: { description: Finds facts., instructions: Find facts. }
  billing: { instructions: Bill. }
  form: { description: Fills a form., instructions: Fill., output: { type: object } }
entry: assistant
"#;

async fn open() -> (ScriptedLlm, House) {
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, YAML).await;
    (llm, house)
}

fn as_ada(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    request.header("user_name", "Ada")
}

#[tokio::test]
async fn the_card_is_there_for_everyone() {
    let house = House::alone(&YAML.replace("${LLM}", "http://127.0.0.1:1")).await;
    let card = house.get("/.well-known/agent-card.json").answered().await;
    assert_eq!(
        (card.header("content-type"), card.header("cache-control")),
        (Some("application/json"), Some("no-store"))
    );
    let mut shown = card.json();
    assert_eq!(shown["supportedInterfaces"][0]["url"], house.url("/a2a"));
    shown["supportedInterfaces"][0]["url"] = "[url]".into();
    shown["version"] = "[version]".into();
    assert_json_snapshot!(shown);
    assert_eq!(house.get("/a2a/.well-known/agent-card.json").answered().await.json(), card.json());
    let known = house.get("/.well-known/agent-card.json").header("if-none-match", card.header("etag").unwrap());
    let known = known.answered().await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));
    let stranger = house.get("/.well-known/agent-card.json").header("host", "evil.example");
    stranger.answered().await.problem(403, "unknown_host");
}

#[tokio::test]
async fn the_card_says_how_to_be_known_and_under_which_address() {
    let auth = "auth: { api_keys: true, jwt: { issuer: 'https://id.example', audience: a, jwks_url: 'https://id.example/jwks' } }\n";
    let cards = [
        ("server: { public_url: 'https://agents.example/' }\n", "https://agents.example/a2a", "public, max-age=300"),
        ("", "https://reached.example/a2a", "no-store"),
    ];
    for (server, url, caching) in cards {
        let house = House::alone(&format!("{server}{auth}{}", YAML.replace("${LLM}", "http://127.0.0.1:1"))).await;
        let request = house.get("/.well-known/agent-card.json").header("host", "reached.example");
        let card = request.header("x-forwarded-proto", "https").answered().await;
        assert_eq!(card.header("cache-control"), Some(caching));
        let card = card.json();
        assert_eq!(card["supportedInterfaces"][0]["url"], url);
        assert_eq!(card["securitySchemes"]["token"]["httpAuthSecurityScheme"]["bearerFormat"], "JWT");
        assert_eq!(card["securitySchemes"]["apiKey"]["apiKeySecurityScheme"]["name"], "X-Api-Key");
        let required = json!([{ "schemes": { "token": { "list": [] } } }, { "schemes": { "apiKey": { "list": [] } } }]);
        assert_eq!(card["securityRequirements"], required);
        // Everything else is for callers that are known.
        house.a2a("ListTasks", &json!({})).answered().await.problem(401, "unauthenticated");
    }
    // What a client says of its own way here goes nowhere else, and is no text of a card.
    let house = House::alone(&format!("{auth}{}", YAML.replace("${LLM}", "http://127.0.0.1:1"))).await;
    let odd = house.get("/.well-known/agent-card.json").header("host", "a\"b/c").answered().await;
    odd.problem(404, "not_found");
}

#[tokio::test]
async fn a_message_is_answered_by_a_task() {
    let (llm, house) = open().await;
    llm.then(Reply::text("Good morning, Ada."));
    let answered = as_ada(house.tell(&message("Hello"))).header("x-session-id", "s-1").answered().await;
    assert_eq!(answered.header("x-session-id"), Some("s-1"));
    assert_json_snapshot!(tidy(answered.json()));
    assert_eq!(llm.last().json()["messages"][0]["content"], "Serve Ada.");
    assert_eq!(llm.last().json()["messages"][1]["content"], "Hello");
    let got = house.about("GetTask", &ids(&answered.task()).0).answered().await;
    assert_eq!(tidy(got.task()), tidy(answered.task()), "what is kept is what was told");
}

#[tokio::test]
async fn a_stream_is_the_task_its_artifacts_and_its_end() {
    let (llm, house) = open().await;
    llm.then(Reply::text("Let me ask. ").and_tool("ask_agent", json!({ "agent": "researcher", "input": "Ink?" })));
    llm.then(Reply::text("Soot and gum.")).then(Reply::text("It is soot."));
    let request = as_ada(house.tell_streaming(&message("What is ink?"))).header("x-session-id", "s-1");
    let streamed = request.answered().await;
    assert_eq!(streamed.header("x-session-id"), Some("s-1"));
    assert_snapshot!(transcript(&streamed.events()));
    let updates = streamed.updates();
    assert_eq!(state(&updates[0]["task"]), "WORKING");
    assert_eq!(state(&updates.last().unwrap()["statusUpdate"]), "COMPLETED");
    let said = [
        ("answer/1", "assistant", "Let me ask. "),
        ("asked/call_0_0/1", "researcher", "Soot and gum."),
        ("answer/2", "assistant", "It is soot."),
    ];
    let said = said.map(|(id, agent, text)| (id.to_owned(), agent.to_owned(), text.to_owned()));
    assert_eq!(added_up(&updates), said);
    let kept = house.about("GetTask", &ids(&updates[0]["task"]).0).answered().await;
    assert_eq!(artifacts(&kept.task()), said, "what is kept is what was told");
}

#[tokio::test]
async fn a_context_is_a_session_of_every_protocol() {
    let (llm, house) = open().await;
    llm.always(Reply::text("Yes."));
    let first = as_ada(house.tell(&message("One."))).answered().await.task();
    let (_, context) = ids(&first);
    // The headers are remembered, too.
    let second = house.tell(&message_in("Two.", "contextId", &context)).answered().await.task();
    assert_eq!(ids(&second).1, context);
    assert_ne!(ids(&second).0, ids(&first).0);
    assert_eq!(house.say_in(&context, "Three.").answered().await.status, 200);
    let said = llm.last().json()["messages"].as_array().unwrap().len();
    assert_eq!(said, 6, "instructions, and five messages");
    // What the header says comes first, as everywhere.
    let named = as_ada(house.tell(&message_in("Hi", "contextId", "one"))).header("x-session-id", "other");
    assert_eq!(ids(&named.answered().await.task()).1, "other");
    // A turn of another protocol is a task as well.
    let listed = house.a2a("ListTasks", &json!({ "contextId": context })).answered().await.rpc_result();
    assert_eq!(listed["totalSize"], 3);
}

#[tokio::test]
async fn the_same_message_id_again_is_another_message() {
    let (llm, house) = open().await;
    llm.always(Reply::text("Yes."));
    for _ in 0..3 {
        let told = as_ada(house.tell(&message_in("Hi", "contextId", "c"))).answered().await.task();
        assert_eq!(state(&told), "COMPLETED");
    }
    assert_eq!(house.transcript("c").await.len(), 6, "nothing was cut off, and nothing refused");
}

#[tokio::test]
async fn an_agent_is_chosen_by_its_header_and_holds_the_conversation_it_was_handed() {
    let (llm, house) = open().await;
    llm.then(Reply::tool("handoff_to_billing", json!({}))).always(Reply::text("You owe nothing."));
    let handed = as_ada(house.tell_streaming(&message("My bill?"))).answered().await.updates();
    let by = ("answer/1".to_owned(), "billing".to_owned(), "You owe nothing.".to_owned());
    assert_eq!(added_up(&handed), std::slice::from_ref(&by));
    assert_eq!(handed.last().unwrap()["statusUpdate"]["metadata"]["agent"], "billing");
    let (id, _) = ids(&handed[0]["task"]);
    assert_eq!(artifacts(&house.about("GetTask", &id).answered().await.task()), [by]);
    let chosen = as_ada(house.tell(&message("Hi"))).header("x-agent-schema", "researcher").answered().await;
    assert_eq!(chosen.task()["metadata"]["agent"], "researcher");
    let unknown = as_ada(house.tell(&message("Hi"))).header("x-agent-schema", "nobody").answered().await;
    assert!(unknown.rpc_error(-32602)["message"].as_str().unwrap().contains("`assistant`, `researcher`"));
}

#[tokio::test]
async fn every_fault_of_the_headers_is_told_in_the_details() {
    let (llm, house) = open().await;
    for method in ["SendMessage", "SendStreamingMessage"] {
        let params = json!({ "message": message("Hi") });
        let error = house.a2a(method, &params).header("seats", "none").answered().await.rpc_error(-32602);
        let violations = error["data"][1]["fieldViolations"].as_array().unwrap();
        let told: Vec<_> = violations.iter().map(|fault| (&fault["field"], &fault["reason"])).collect();
        let (seats, name) = (json!("headers.seats"), json!("headers.user_name"));
        let (invalid, missing) = (json!("INVALID_HEADER"), json!("MISSING_HEADER"));
        assert!(told.contains(&(&seats, &invalid)) && told.contains(&(&name, &missing)), "{error}");
        assert!(!error.to_string().contains("none"), "never the value");
    }
    assert!(llm.requests().is_empty());
    // Looking needs no context.
    assert_eq!(house.a2a("ListTasks", &json!({})).answered().await.rpc_result()["totalSize"], 0);
}

#[tokio::test]
async fn what_is_no_request_is_told_why() {
    let (_llm, house) = open().await;
    for (body, code, id) in [
        ("{", -32700, Value::Null),
        ("[]", -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":[],"method":"GetTask"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"1.0","id":"a","method":"GetTask"}"#, -32600, json!("a")),
        (r#"{"jsonrpc":"2.0","id":"a"}"#, -32600, json!("a")),
        (r#"{"jsonrpc":"2.0","method":"GetTask","params":{}}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":"a","result":{}}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":"a","method":"GetTask","params":[1]}"#, -32602, json!("a")),
        (r#"{"jsonrpc":"2.0","id":"a","method":"Dance"}"#, -32601, json!("a")),
        (r#"{"jsonrpc":"2.0","id":"a","method":"message/send","params":{}}"#, -32009, json!("a")),
        (r#"{"jsonrpc":"2.0","id":"a","method":"tasks/get","params":{}}"#, -32009, json!("a")),
        (r#"{"jsonrpc":"2.0","id":"a","method":"CreateTaskPushNotificationConfig","params":{}}"#, -32003, json!("a")),
        (r#"{"jsonrpc":"2.0","id":"a","method":"GetExtendedAgentCard"}"#, -32004, json!("a")),
    ] {
        let answered = house.raw("/a2a", &[], body.as_bytes()).await;
        assert_eq!(answered.status, 200, "{body}");
        answered.rpc_error(code);
        assert_eq!(answered.json().get("id"), Some(&id), "{body}: {}", answered.text);
    }
    let old = house.raw("/a2a", &[], br#"{"jsonrpc":"2.0","id":1,"method":"tasks/resubscribe"}"#).await;
    assert!(old.rpc_error(-32009)["message"].as_str().unwrap().ends_with("there it is `SubscribeToTask`"));
    house.request(reqwest::Method::GET, "/a2a").answered().await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn the_version_goes_by_the_methods_name_unless_it_is_another_protocols() {
    let (llm, house) = open().await;
    llm.always(Reply::text("Yes."));
    let list = rpc("ListTasks", &json!({})).to_string();
    for version in [None, Some("1.0"), Some("1.7"), Some("0.3"), Some(""), Some("1")] {
        let header = version.map(|version| ("a2a-version", version.as_bytes()));
        house.raw("/a2a", header.as_slice(), list.as_bytes()).await.rpc_result();
    }
    for version in [b"2.0".as_slice(), b"10.0", b"\xff", b"one", b"1.0, 2.0; drop"] {
        let answered = house.raw("/a2a", &[("a2a-version", version)], list.as_bytes()).await;
        if version == b"1.0, 2.0; drop" {
            answered.rpc_result();
        } else {
            answered.rpc_error(-32009);
        }
    }
    let twice = house.raw("/a2a", &[("a2a-version", b"1.0"), ("a2a-version", b"2.0")], list.as_bytes()).await;
    twice.rpc_error(-32009);
}

#[tokio::test]
async fn a_message_that_is_wrong_is_told_where() {
    let (llm, house) = open().await;
    let fields = async |params: Value| {
        let error = as_ada(house.a2a("SendMessage", &params)).answered().await.rpc_error(-32602);
        let violations = error["data"][1]["fieldViolations"].as_array().cloned().unwrap_or_default();
        violations.iter().map(|fault| fault["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let but = |member: &str, value: Value| {
        let mut message = message("Hi");
        message[member] = value;
        json!({ "message": message })
    };
    let with = |name: &str, value: Value| json!({ "message": message("Hi"), "configuration": { name: value } });
    assert_eq!(fields(json!({})).await, ["message"]);
    assert_eq!(fields(json!({ "message": "Hi" })).await, ["message"]);
    assert_eq!(fields(but("messageId", Value::Null)).await, ["message.messageId"]);
    assert_eq!(fields(but("messageId", json!(7))).await, ["message.messageId"]);
    assert_eq!(fields(but("role", json!("user"))).await, ["message.role"]);
    assert_eq!(fields(but("role", json!("ROLE_AGENT"))).await, ["message.role"]);
    assert_eq!(fields(but("parts", Value::Null)).await, ["message.parts"]);
    assert_eq!(fields(but("parts", json!([]))).await, ["message.parts"]);
    assert_eq!(fields(but("parts", json!("Hi"))).await, ["message.parts"]);
    assert_eq!(fields(but("parts", json!([{ "text": 1 }, {}]))).await, ["message.parts.0.text", "message.parts.1"]);
    assert_eq!(fields(but("contextId", json!([]))).await, ["message.contextId"]);
    assert_eq!(fields(json!({ "message": message("Hi"), "configuration": [] })).await, ["configuration"]);
    assert_eq!(fields(with("historyLength", json!(-1))).await, ["configuration.historyLength"]);
    assert_eq!(fields(with("returnImmediately", json!("yes"))).await, ["configuration.returnImmediately"]);
    assert_eq!(fields(with("acceptedOutputModes", json!("text"))).await, ["configuration.acceptedOutputModes"]);
    let bad_context = as_ada(house.tell(&message_in("Hi", "contextId", "a/b"))).answered().await;
    bad_context.rpc_error(-32602);
    let push = with("taskPushNotificationConfig", json!({ "url": "https://example.com" }));
    as_ada(house.a2a("SendMessage", &push)).answered().await.rpc_error(-32003);
    let moving = but("parts", json!([{ "raw": "AAAA", "mediaType": "video/mp4" }]));
    as_ada(house.a2a("SendMessage", &moving)).answered().await.rpc_error(-32005);
    let spoken = with("acceptedOutputModes", json!(["audio/wav"]));
    as_ada(house.a2a("SendMessage", &spoken)).answered().await.rpc_error(-32005);
    assert!(llm.requests().is_empty());
    // Those that it has are taken in each form.
    llm.always(Reply::text("{}"));
    for modes in [json!([]), json!(["*/*"]), json!(["audio/wav", "TEXT/PLAIN; charset=utf-8"]), json!(["text/*"])] {
        as_ada(house.a2a("SendMessage", &with("acceptedOutputModes", modes))).answered().await.task();
    }
    let form = as_ada(house.a2a("SendMessage", &with("acceptedOutputModes", json!(["application/json"]))));
    form.header("x-agent-schema", "form").answered().await.task();
}

#[tokio::test]
async fn what_a_message_brings_reaches_the_model() {
    let (llm, house) = open().await;
    llm.always(Reply::text("A cat."));
    let parts = json!([
        { "text": "What is this?" },
        { "data": { "asked": [1, 2] } },
        { "raw": "iVBO", "mediaType": "image/png", "filename": "cat.png" },
    ]);
    let message =
        json!({ "messageId": "m", "role": "ROLE_USER", "parts": parts, "metadata": { "a": 1 }, "extensions": [] });
    let told = as_ada(house.tell(&message)).answered().await.task();
    assert_eq!(
        llm.last().json()["messages"][1]["content"],
        json!([
            { "type": "text", "text": "What is this?" },
            { "type": "text", "text": r#"{"asked":[1,2]}"# },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBO" } },
        ])
    );
    assert_eq!(told["history"][0]["parts"][2], json!({ "raw": "iVBO", "mediaType": "image/png" }));
}

#[tokio::test]
async fn a_body_names_no_caller() {
    let yaml = format!("auth: {{ trust_identity_headers: loopback }}\n{}", YAML.trim());
    let llm = ScriptedLlm::start().await;
    let house = House::open(&llm, &yaml).await;
    llm.always(Reply::text("Yes."));
    let params =
        json!({ "tenant": "globex", "message": message_in("Hi", "contextId", "c"), "metadata": { "user": "eve" } });
    as_ada(house.a2a("SendMessage", &params)).header("x-user-id", "ada").answered().await.task();
    let listed = async |tenant: Option<&str>, user: &str| {
        let request = house.a2a("ListTasks", &json!({ "tenant": "globex" })).header("x-user-id", user);
        let request = tenant.into_iter().fold(request, |request, tenant| request.header("x-tenant-id", tenant));
        request.answered().await.rpc_result()["totalSize"].clone()
    };
    assert_eq!(listed(None, "ada").await, 1);
    assert_eq!(listed(Some("globex"), "ada").await, 0);
    assert_eq!(listed(None, "eve").await, 0);
}

#[tokio::test]
async fn a_caller_at_its_limit_is_a_429_that_says_when() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Yes."));
    let house = House::open(&llm, &format!("limits: {{ requests_per_minute: {{ user: 1 }} }}\n{}", YAML.trim())).await;
    as_ada(house.tell(&message("Hi"))).answered().await.task();
    let limited = as_ada(house.tell(&message("Hi"))).answered().await;
    assert_eq!(limited.status, 429);
    assert!(limited.header("retry-after").is_some() && limited.header("ratelimit").is_some());
    let error = limited.rpc_error(-32000);
    assert!(error["data"].to_string().contains("google.rpc.RetryInfo"), "{error}");
    // Looking is not limited.
    house.a2a("ListTasks", &json!({})).answered().await.rpc_result();
}

#[tokio::test]
async fn a_failed_turn_is_a_failed_task_and_never_the_upstreams_words() {
    let (llm, house) = open().await;
    for streaming in [false, true] {
        llm.then(letterhead_testkit::Answer::error(500, &json!({ "error": { "message": "c4n4ry" } })));
        let request = if streaming { house.tell_streaming(&message("Hi")) } else { house.tell(&message("Hi")) };
        let answered = as_ada(request).answered().await;
        assert!(!answered.text.contains("c4n4ry"), "{}", answered.text);
        let task = if streaming {
            let updates = answered.updates();
            let last = updates.last().unwrap()["statusUpdate"].clone();
            json!({ "id": last["taskId"], "contextId": last["contextId"], "status": last["status"] })
        } else {
            answered.task()
        };
        assert_eq!(state(&task), "FAILED");
        assert!(task["status"]["message"]["parts"][0]["text"].as_str().unwrap().contains("500"), "{task}");
        let kept = house.about("GetTask", &ids(&task).0).answered().await.task();
        assert_eq!(state(&kept), "FAILED");
    }
}

#[tokio::test]
async fn the_log_says_why_a_task_failed() {
    let (llm, folder) = (ScriptedLlm::start().await, tempfile::tempdir().unwrap());
    let (config, log) = (folder.path().join("letterhead.yaml"), folder.path().join("log"));
    std::fs::write(&config, YAML.replace("${LLM}", &llm.url())).unwrap();
    let mut program = Program::start(&config, &log).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    llm.then(letterhead_testkit::Answer::error(401, &json!({ "error": { "message": "c4n4ry" } })));
    llm.then(Reply::text("Yes."));
    let body = rpc("SendMessage", &json!({ "message": message("Hi") }));
    for expected in ["FAILED", "COMPLETED"] {
        let answered = as_ada(client.post(format!("{}/a2a", program.url))).json(&body).answered().await;
        assert_eq!(state(&answered.task()), expected);
    }
    program.terminate();
    assert!(program.ended().await.success());
    let said = program.said();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("\"/a2a\"")).collect();
    let [failed, completed] = lines[..] else { panic!("{said}") };
    assert!(failed.contains("\"status\":200") && failed.contains("\"code\":\"upstream_auth\""), "{failed}");
    assert!(!completed.contains("\"code\""), "{completed}");
    assert!(!said.contains("c4n4ry"), "{said}");
}
