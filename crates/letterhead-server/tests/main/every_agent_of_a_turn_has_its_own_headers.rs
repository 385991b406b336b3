//! CONTRACT 5 and 8: who takes over brings its own headers and params; the run's own reach everyone.

use letterhead_testkit::{Recorded, Reply, ScriptedLlm};
use serde_json::json;

use crate::support::{House, Send, said_streaming};

const YAML: &str = r#"
providers:
  openai: { kind: openai, base_url: "${LLM}", api_key: sk-main }
  other: { kind: openai, base_url: "${LLM}" }
model: openai:gpt-main
runtime_headers: [X-Run, X-User-Id]
headers: { properties: { user_id: {} } }
agents:
  front:
    instructions: "front for {{ headers.user_id }}"
    headers: { X-Agent: front, X-Front-Only: "1", Authorization: Bearer front }
    params: { temperature: 0.1, seed: 1 }
    handoffs: [billing]
    delegates: [researcher]
  billing: { description: Invoices., instructions: "billing for {{ headers.user_id }}", model: "other:gpt-billing" }
  researcher: { description: Facts., instructions: "researcher for {{ headers.user_id }}", headers: { X-Agent: researcher }, params: { top_p: 0.5 } }
entry: front
"#;

fn named(request: &Recorded) -> Vec<String> {
    let interesting = |name: &str| name.starts_with("x-") || name == "authorization";
    let mut lines: Vec<String> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| interesting(name))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.sort();
    lines
}

fn roles(request: &Recorded) -> Vec<String> {
    let body = request.json();
    let messages = body["messages"].as_array().unwrap().iter();
    messages.map(|message| message["role"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn after_a_handoff_nothing_of_the_source_survives_but_the_run() {
    let llm = ScriptedLlm::start().await;
    llm.then(Reply::tool("handoff_to_billing", json!({}))).then(Reply::text("Your invoice."));
    let house = House::open(&llm, YAML).await;
    let request =
        house.say_in("s", "An invoice?").header("X-Run", "r1").header("user_id", "u").header("X-User-Id", "U");
    let answered = request.answered().await;
    assert_eq!(answered.content(), "Your invoice.");
    let [first, second] = llm.requests().try_into().unwrap();
    assert_eq!(
        named(&first),
        ["authorization: Bearer front", "x-agent: front", "x-front-only: 1", "x-run: r1", "x-user-id: U"]
    );
    assert_eq!(named(&second), ["x-run: r1", "x-user-id: U"], "no credential of the other agent or provider either");
    let (first_body, second_body) = (first.json(), second.json());
    assert_eq!((first_body["temperature"].as_f64(), first_body["seed"].as_i64()), (Some(0.1), Some(1)));
    assert!(second_body.get("temperature").is_none() && second_body.get("seed").is_none(), "{second_body}");
    assert_eq!(second_body["model"], "gpt-billing");
    assert_eq!(second_body["messages"][0]["content"], "billing for u");
    assert!(second_body.get("tools").is_none(), "the tools of the source: {second_body}");
    // The target sees the whole conversation.
    assert_eq!(roles(&second), ["system", "user", "assistant", "tool"]);
    assert_eq!(answered.json()["usage"]["total_tokens"], 30, "both calls are counted");
}

#[tokio::test]
async fn a_child_inherits_the_run_and_nothing_of_its_parent() {
    let llm = ScriptedLlm::start().await;
    llm.then(Reply::tool("ask_agent", json!({ "agent": "researcher", "input": "How many?" })))
        .then(Reply::text("Seven."))
        .then(Reply::text("It is seven."));
    let house = House::open(&llm, YAML).await;
    let request = house.say_in("s", "Find out.").header("X-Run", "r1").header("user_id", "u").header("X-User-Id", "U");
    let answered = request.answered().await;
    assert_eq!(answered.content(), "It is seven.");
    let [_, child, parent] = llm.requests().try_into().unwrap();
    assert_eq!(named(&child), ["authorization: Bearer sk-main", "x-agent: researcher", "x-run: r1", "x-user-id: U"]);
    let body = child.json();
    assert_eq!(
        body["messages"],
        json!([{ "role": "system", "content": "researcher for u" }, { "role": "user", "content": "How many?" }])
    );
    assert_eq!(body["top_p"], 0.5);
    assert!(body.get("temperature").is_none(), "{body}");
    assert_eq!(named(&parent), named(&llm.requests()[0]));
    assert_eq!(roles(&parent), ["system", "user", "assistant", "tool"]);
    assert_eq!(answered.json()["usage"]["total_tokens"], 45, "the child's call is counted");
    // The child's messages are no part of the conversation.
    let own = |path: &str| house.get(&format!("/api/v1/sessions/s/{path}")).header("X-User-Id", "U");
    let rows = house.rows(own("messages")).await;
    let roles: Vec<&str> = rows.iter().map(|row| row["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "assistant"]);
    // Its headers are in the trail, under its own name.
    let rows = house.rows(own("trail")).await;
    assert!(rows.iter().any(|row| row["agent"] == "researcher" && row["header"] == "x-run" && row["sent"] == true));
}

#[tokio::test]
async fn no_argument_of_a_delegation_can_name_a_caller() {
    let llm = ScriptedLlm::start().await;
    let question = json!({ "agent": "researcher", "input": "Hi", "user_id": "somebody else" });
    llm.then(Reply::tool("ask_agent", question)).then(Reply::text("No."));
    let house = House::open(&llm, YAML).await;
    assert_eq!(house.say_in("s", "Try.").answered().await.content(), "No.");
    assert_eq!(llm.requests().len(), 2, "no child ran");
    assert_eq!(roles(&llm.last()), ["system", "user", "assistant", "tool"]);
}

#[tokio::test]
async fn a_child_that_fails_is_a_tool_result_without_the_upstreams_words() {
    let llm = ScriptedLlm::start().await;
    llm.then(Reply::tool("ask_agent", json!({ "agent": "researcher", "input": "Hi" })))
        .then(letterhead_testkit::Answer::error(400, &json!({ "error": { "message": "CANARY" } })))
        .then(Reply::text("It failed."));
    let house = House::open(&llm, YAML).await;
    assert_eq!(house.say_in("s", "Try.").answered().await.content(), "It failed.");
    let body = llm.last().json().to_string();
    assert!(body.contains("researcher failed") && !body.contains("CANARY"), "{body}");
}

#[tokio::test]
async fn a_handoff_holds_in_later_turns_though_the_model_is_sent_each_time() {
    let llm = ScriptedLlm::start().await;
    llm.then(Reply::tool("handoff_to_billing", json!({}))).always(Reply::text("Good."));
    let house = House::open(&llm, YAML).await;
    let say = |text: &str, model: &str| {
        let mut body = crate::support::said(text);
        if !model.is_empty() {
            body["model"] = model.into();
        }
        house.post("/v1/chat/completions", &body).header("x-session-id", "s")
    };
    let agent = || async { house.get("/api/v1/sessions/s").answered().await.json()["agent"].clone() };
    assert_eq!(say("Over to billing.", "front").answered().await.status, 200);
    assert_eq!(agent().await, "billing");
    for model in ["front", ""] {
        assert_eq!(say("Go on.", model).answered().await.status, 200);
        assert_eq!(llm.last().json()["messages"][0]["content"], "billing for ", "asked for `{model}`");
        assert_eq!(agent().await, "billing");
    }
    // Another name switches both: the one asked for, and the current one.
    assert_eq!(say("Facts.", "researcher").answered().await.status, 200);
    assert_eq!(agent().await, "researcher");
    assert_eq!(say("Front again.", "front").answered().await.status, 200);
    assert_eq!(llm.last().json()["messages"][0]["content"], "front for ");
    assert_eq!(agent().await, "front");
}

#[tokio::test]
async fn a_childs_words_stream_under_its_name_and_never_as_the_answer() {
    let llm = ScriptedLlm::start().await;
    let script = || {
        llm.then(Reply::tool("ask_agent", json!({ "agent": "researcher", "input": "How many?" })))
            .then(Reply::text("Seven of them."))
            .then(Reply::text("It is seven."));
    };
    let house = House::open(&llm, YAML).await;
    script();
    let strict = house.post("/v1/chat/completions", &said_streaming("Find out.")).answered().await;
    let said: String = strict
        .events()
        .iter()
        .filter(|event| event.data != "[DONE]")
        .filter_map(|event| event.json()["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(said, "It is seven.");
    assert!(!strict.text.contains("Seven of") && !strict.text.contains("tool_calls"), "{}", strict.text);

    script();
    let events = house.post("/api/v1/chat/completions", &said_streaming("Find out.")).answered().await.events();
    let child: String = events
        .iter()
        .filter(|event| event.name.as_deref() == Some("child_content"))
        .map(|event| {
            let data = event.json();
            assert_eq!(
                (data["type"].as_str(), data["agent_name"].as_str()),
                (Some("child_content"), Some("researcher"))
            );
            data["content"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(child, "Seven of them.", "nothing is lost, and in order");
}

#[tokio::test]
async fn the_model_of_a_run_goes_with_a_handoff() {
    let llm = ScriptedLlm::start().await;
    llm.then(Reply::tool("handoff_to_billing", json!({}))).then(Reply::text("Good."));
    let house = House::open(&llm, YAML).await;
    assert_eq!(house.say("Hi").header("X-Model-Name", "other:gpt-run").answered().await.status, 200);
    let models: Vec<String> =
        llm.requests().iter().map(|request| request.json()["model"].as_str().unwrap().to_owned()).collect();
    assert_eq!(models, ["gpt-run", "gpt-run"]);
}

#[tokio::test]
async fn of_several_handoffs_the_first_wins() {
    let llm = ScriptedLlm::start().await;
    let yaml = YAML.replace("handoffs: [billing]", "handoffs: [billing, researcher]");
    let two = Reply::tool("handoff_to_researcher", json!({})).and_tool("handoff_to_billing", json!({}));
    llm.then(two).then(Reply::text("Good."));
    let house = House::open(&llm, &yaml).await;
    assert_eq!(house.say_in("s", "Hi").answered().await.status, 200);
    assert_eq!(house.get("/api/v1/sessions/s").answered().await.json()["agent"], "researcher");
    let body = llm.last().json();
    let results: Vec<&str> = body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|m| m["role"] == "tool")
        .map(|m| m["content"].as_str().unwrap())
        .collect();
    assert_eq!(results.len(), 2, "both calls have a result: {body}");
    assert!(results[1].contains("already"), "{results:?}");
}

#[tokio::test]
async fn asking_an_agent_whose_headers_are_missing_is_a_tool_error() {
    let llm = ScriptedLlm::start().await;
    let yaml =
        YAML.replace("researcher: { description: Facts.,", "researcher: { description: Facts., requires: [user_id],");
    llm.then(Reply::tool("ask_agent", json!({ "agent": "researcher", "input": "?" }))).then(Reply::text("Sorry."));
    let house = House::open(&llm, &yaml).await;
    assert_eq!(house.say("Hi").answered().await.content(), "Sorry.");
    let body = llm.last().json();
    assert!(body["messages"][3]["content"].as_str().unwrap().contains("`user_id`"), "{body}");
}

#[tokio::test]
async fn agents_that_ask_each_other_come_to_an_end() {
    let llm = ScriptedLlm::start().await;
    let yaml = r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:m
limits: { depth: 2, runs: 5 }
agents:
  a: { description: A., delegates: [b] }
  b: { description: B., delegates: [a] }
entry: a
"#;
    let house = House::open(&llm, yaml).await;
    let ask = |agent: &str| Reply::tool("ask_agent", json!({ "agent": agent, "input": "?" }));
    // a asks b asks a asks b: that is one too deep, and the asker is told so.
    llm.then(ask("b")).then(ask("a")).then(ask("b")).always(Reply::text("Enough."));
    assert_eq!(house.say("Hi").answered().await.content(), "Enough.");
    let told = llm.requests()[3].json()["messages"].to_string();
    assert!(told.contains("too deep"), "{told}");
    assert_eq!(llm.requests().len(), 6);
}
