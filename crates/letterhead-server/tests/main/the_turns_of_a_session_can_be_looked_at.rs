//! CONTRACT 7 and 8: each turn has an id, and shows how it stands; what delegates said is kept with it, and nowhere else.

use letterhead_testkit::agent::{artifact, status};
use letterhead_testkit::{A2a, Answer, Reply, ScriptedAgent, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::{House, Send, said, said_streaming};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}", retries: 0 } }
model: openai:gpt
agents:
  front: { instructions: Front., delegates: [researcher, clerk] }
  researcher: { description: Facts., instructions: Research., delegates: [clerk] }
  clerk: { description: Looks things up., instructions: Look it up. }
entry: front
"#;

fn ask(agent: &str, input: &str) -> Reply {
    Reply::tool("ask_agent", json!({ "agent": agent, "input": input }))
}

async fn turns(house: &House, query: &str) -> Vec<Value> {
    house.rows(house.get(&format!("/api/v1/sessions/s/turns{query}"))).await
}

async fn turn(house: &House, id: &Value) -> Value {
    let answered = house.get(&format!("/api/v1/sessions/s/turns/{}", id.as_str().unwrap())).answered().await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered.json()
}

/// `role: content` of some messages; calls by the agents that they ask.
fn said_in(messages: &Value) -> Vec<String> {
    let shown = |message: &Value| {
        let call = message["tool_calls"][0]["function"]["arguments"].as_str();
        let asked = call.map(|text| format!("<{}>", serde_json::from_str::<Value>(text).unwrap()["agent"]));
        let content = asked.unwrap_or_else(|| message["content"].as_str().unwrap().to_owned());
        format!("{}: {content}", message["role"].as_str().unwrap())
    };
    messages.as_array().unwrap().iter().map(shown).collect()
}

#[tokio::test]
async fn what_delegates_say_is_kept_with_the_turn_at_every_depth_and_is_no_part_of_the_conversation() {
    for stream in [false, true] {
        let llm = ScriptedLlm::start().await;
        llm.then(ask("researcher", "Why?").and_tool("ask_agent", json!({ "agent": "nobody", "input": "?" })))
            .then(ask("clerk", "Which file?"))
            .then(Reply::text("File seven."))
            .then(Reply::text("Because."))
            .then(Reply::text("That is why."));
        let house = House::open(&llm, YAML).await;
        let body = if stream { said_streaming("Explain.") } else { said("Explain.") };
        let answered = house.post("/api/v1/chat/completions/s", &body).answered().await;
        assert_eq!(answered.status, 200, "{}", answered.text);

        let [listed] = turns(&house, "").await.try_into().unwrap();
        assert_eq!(
            (&listed["turn"], &listed["status"], &listed["agent"]),
            (&json!(1), &json!("complete"), &json!("front"))
        );
        assert_eq!((&listed["session_id"], &listed["has_children"]), (&json!("s"), &json!(true)));
        assert!(listed["began_at"].as_i64().unwrap() <= listed["ended_at"].as_i64().unwrap());
        assert_eq!(listed["usage"]["input_tokens"], 50, "all five calls: {listed}");

        let found = turn(&house, &listed["id"]).await;
        let result = "tool: This agent may not ask nobody. It may ask: researcher, clerk";
        let conversation =
            ["user: Explain.", "assistant: <\"researcher\">", "tool: Because.", result, "assistant: That is why."];
        assert_eq!(said_in(&found["messages"]), conversation);
        // Who could not be asked did not run.
        let [researcher]: [Value; 1] = found["children"].as_array().unwrap().clone().try_into().unwrap();
        assert_eq!((&researcher["agent"], &researcher["status"]), (&json!("researcher"), &json!("complete")));
        assert_eq!(researcher["call_id"], found["messages"][1]["tool_calls"][0]["id"]);
        assert_eq!(researcher["usage"]["input_tokens"], 30, "its own two calls and that of its child");
        let expected = ["user: Why?", "assistant: <\"clerk\">", "tool: File seven.", "assistant: Because."];
        assert_eq!(said_in(&researcher["messages"]), expected);
        let clerk = &researcher["children"][0];
        assert_eq!(
            (&clerk["agent"], &clerk["call_id"]),
            (&json!("clerk"), &researcher["messages"][1]["tool_calls"][0]["id"])
        );
        assert_eq!(said_in(&clerk["messages"]), ["user: Which file?", "assistant: File seven."]);
        assert_eq!((&clerk["messages"][1]["agent"], &clerk["children"]), (&json!("clerk"), &json!([])));
        // The conversation has none of it, today or tomorrow.
        llm.then(Reply::text("Welcome."));
        assert_eq!(house.say_in("s", "Thanks.").answered().await.status, 200);
        assert!(!llm.last().json().to_string().contains("File seven"), "{}", llm.last().json());
        let rows = house.rows(house.get("/api/v1/sessions/s/messages")).await;
        assert_eq!(said_in(&rows.into()).len(), 7);
        let [second, first] = turns(&house, "").await.try_into().unwrap();
        assert_eq!((&second["turn"], &second["has_children"]), (&json!(2), &json!(false)));
        assert_eq!((&first, turn(&house, &second["id"]).await["children"].clone()), (&listed, json!([])));
    }
}

#[tokio::test]
async fn a_delegate_that_fails_is_kept_as_far_as_it_came_also_where_the_turn_fails() {
    let llm = ScriptedLlm::start().await;
    let refused = || Answer::error(400, &json!({ "error": { "message": "CANARY" } }));
    llm.then(ask("researcher", "Why?")).then(ask("clerk", "Which?")).then(refused()).then(refused()).then(refused());
    let house = House::open(&llm, YAML).await;
    assert_eq!(house.say_in("s", "Explain.").answered().await.status, 400);
    let [listed] = turns(&house, "?status=failed").await.try_into().unwrap();
    let found = turn(&house, &listed["id"]).await;
    assert_eq!(found["messages"][0]["status"], "failed");
    let researcher = &found["children"][0];
    assert_eq!(researcher["status"], "failed");
    let clerk = &researcher["children"][0];
    assert_eq!((&clerk["status"], said_in(&clerk["messages"])), (&json!("failed"), vec!["user: Which?".to_owned()]));
    let said = said_in(&researcher["messages"]);
    assert_eq!(said[..2], ["user: Why?", "assistant: <\"clerk\">"]);
    assert!(said[2].starts_with("tool: clerk failed"), "{said:?}");
    assert!(!found.to_string().contains("CANARY"), "{found}");
    assert_eq!(researcher["usage"]["input_tokens"], 10);
}

#[tokio::test]
async fn a_turn_that_failed_says_why_as_its_client_was_told() {
    for stream in [false, true] {
        let llm = ScriptedLlm::start().await;
        llm.then(Answer::error(400, &json!({ "error": { "message": "CANARY" } }))).always(Reply::text("Good."));
        let house = House::open(&llm, YAML).await;
        let body = if stream { said_streaming("Explain.") } else { said("Explain.") };
        let told = house.post("/api/v1/chat/completions/s", &body).answered().await;
        assert_eq!(house.say_in("s", "Hi").answered().await.status, 200);
        let [second, first] = turns(&house, "").await.try_into().unwrap();
        assert_eq!((&first["status"], &first["error"]["code"]), (&json!("failed"), &json!("upstream_rejected")));
        let message = first["error"]["message"].as_str().unwrap();
        assert!(message.contains("the model provider") && told.text.contains(message), "{first}: {}", told.text);
        assert_eq!(turn(&house, &first["id"]).await["error"], first["error"]);
        assert!(!turn(&house, &first["id"]).await.to_string().contains("CANARY"));
        assert_eq!((&second["error"], &turn(&house, &second["id"]).await["error"]), (&Value::Null, &Value::Null));
    }
}

#[tokio::test]
async fn a_turn_that_runs_is_seen_and_one_that_is_cancelled_takes_its_delegates_along() {
    let llm = ScriptedLlm::start().await;
    let (answer, tap) = Answer::live();
    llm.then(ask("researcher", "Why?")).then(answer.header("content-type", "text/event-stream"));
    let house = House::open(&llm, YAML).await;
    let running = house.post("/api/v1/chat/completions/s", &said_streaming("Explain.")).send().await.unwrap();
    llm.received(2).await;
    let [listed] = turns(&house, "?status=running").await.try_into().unwrap();
    assert_eq!((&listed["turn"], &listed["agent"], &listed["ended_at"]), (&json!(1), &Value::Null, &Value::Null));
    let found = turn(&house, &listed["id"]).await;
    assert_eq!((&found["status"], &found["messages"], &found["children"]), (&json!("running"), &json!([]), &json!([])));

    tap.send("data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"It is\"}}]}\n\n");
    // Its words are on their way to the client, who leaves.
    let mut running = running;
    let mut heard = String::new();
    while !heard.contains("It is") {
        heard.push_str(&String::from_utf8_lossy(&running.chunk().await.unwrap().unwrap()));
    }
    drop(running);
    llm.left(1).await;
    let found = loop {
        let found = turn(&house, &listed["id"]).await;
        if found["status"] != "running" {
            break found;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(found["status"], "incomplete");
    let child = &found["children"][0];
    assert_eq!(
        (&child["status"], said_in(&child["messages"])),
        (&json!("incomplete"), vec!["user: Why?".to_owned(), "assistant: It is".to_owned()])
    );
    assert_eq!(child["messages"][1]["status"], "incomplete");
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_told() {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house = House::open(&llm, YAML).await;
    for session in ["s", "t"] {
        for _ in 0..3 {
            assert_eq!(house.say_in(session, "Hi").answered().await.status, 200);
        }
    }
    let get = |path: &str| house.get(&format!("/api/v1/sessions/{path}")).answered();
    let all = turns(&house, "").await;
    assert_eq!(all.iter().map(|turn| turn["turn"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 2, 1]);
    let first = turns(&house, "?limit=2").await;
    let after = first[1]["id"].as_str().unwrap();
    assert_eq!(turns(&house, &format!("?limit=2&after={after}")).await, all[2..]);
    assert!(turns(&house, "?status=failed").await.is_empty());

    for query in ["?status=broken", "?limit=0", "?after=s", "?after=", "?status=failed&status=failed"] {
        get(&format!("s/turns{query}")).await.problem(400, "invalid_body");
    }
    for path in ["/s/turns?offset=1", "/s/messages?status=failed", "/s/trail?limi=1", "?status=paused"] {
        let refused = house.get(&format!("/api/v1/sessions{path}")).answered().await;
        refused.problem(400, "invalid_body");
        assert!(refused.text.contains("is not known here; there can be `limit`, `after`"), "{}", refused.text);
    }
    for session in ["nobodys", "%ff", "a%2fb", ".."] {
        let answered = get(&format!("{session}/turns")).await;
        assert_eq!(answered.status, 404, "{session}: {}", answered.text);
    }
    let other = turns(&house, "").await[0]["id"].as_str().unwrap().to_owned();
    for path in [
        format!("t/turns/{other}"),
        "s/turns/x".to_owned(),
        "s/turns/%ff".to_owned(),
        format!("s/turns/{{{other}}}"),
        "s/turns/0193a2c4-5e6f-7abc-8def-0123456789ab".to_owned(),
        format!("nobodys/turns/{other}"),
    ] {
        get(&path).await.problem(404, "turn_not_found");
    }
    assert_eq!(house.post(&format!("/api/v1/sessions/s/turns/{other}"), &json!({})).answered().await.status, 405);
    // They go with their session.
    assert_eq!(house.delete("/api/v1/sessions/s").answered().await.status, 204);
    get("s/turns").await.problem(404, "session_not_found");
    get(&format!("s/turns/{other}")).await.problem(404, "turn_not_found");
}

#[tokio::test]
async fn an_external_agent_that_breaks_off_is_kept_as_far_as_it_came() {
    for stream in [false, true] {
        let agent = ScriptedAgent::start(A2a::One).await.streaming();
        agent.then([artifact("It is", false), artifact(" seven", true), status("TASK_STATE_FAILED")]);
        let llm = ScriptedLlm::start().await;
        llm.then(ask("legal", "Why?")).then(Reply::text("It failed."));
        let yaml = YAML.replace("[researcher, clerk]", "[legal]");
        let external = format!("external_agents: {{ legal: {{ url: '{}', description: L. }} }}", agent.api.url(""));
        let house = House::open(&llm, &format!("{yaml}egress: {{ allow: [127.0.0.1] }}\n{external}\n")).await;
        let body = if stream { said_streaming("Explain.") } else { said("Explain.") };
        assert_eq!(house.post("/api/v1/chat/completions/s", &body).answered().await.status, 200);
        let found = turn(&house, &turns(&house, "").await[0]["id"]).await;
        let child = &found["children"][0];
        assert_eq!((&child["agent"], &child["status"]), (&json!("legal"), &json!("failed")), "{found}");
        assert_eq!(said_in(&child["messages"]), ["user: Why?", "assistant: It is seven"]);
        assert_eq!(child["messages"][1]["status"], "incomplete");
    }
}
