//! CONTRACT 8: no loop of agents goes on for ever, whatever their models say; and what was said until then is told and kept.

use letterhead_testkit::{Reply, ScriptedLlm};
use serde_json::{Value, json};

use crate::support::a2a::{added_up, message};
use crate::support::{Event, House, Send, said, said_streaming};

const YAML: &str = r#"
providers: { openai: { kind: openai, base_url: "${LLM}" } }
model: openai:m
limits: { max_turns: 3, depth: 2, runs: 5 }
agents:
  a: { description: A., handoffs: [b], delegates: [b] }
  b: { description: B., handoffs: [a], delegates: [a] }
entry: a
"#;

/// Calls both, of which each agent has one.
fn both(tool: impl Fn(&str) -> (String, Value)) -> Reply {
    let [(a, of_a), (b, of_b)] = ["a", "b"].map(tool);
    Reply::tool(&a, of_a).and_tool(&b, of_b)
}

async fn last_turn(house: &House) -> Value {
    let turns = house.rows(house.get("/api/v1/sessions/s/turns")).await;
    let id = turns[0]["id"].as_str().unwrap();
    house.get(&format!("/api/v1/sessions/s/turns/{id}")).answered().await.json()
}

#[tokio::test]
async fn two_agents_that_hand_over_for_ever_are_stopped() {
    for stream in [false, true] {
        let llm = ScriptedLlm::start().await;
        llm.always(both(|agent| (format!("handoff_to_{agent}"), json!({}))));
        let house = House::open(&llm, YAML).await;
        let body = if stream { said_streaming("Hi") } else { said("Hi") };
        let answered = house.post("/api/v1/chat/completions/s", &body).answered().await;
        assert_eq!(llm.requests().len(), 3, "as many calls as one run may make, through all handoffs");
        if stream {
            let events = answered.events();
            let [.., error, done] = events.as_slice() else { panic!("{}", answered.text) };
            assert_eq!(
                (error.json()["code"].as_str(), done.json()["reason"].as_str()),
                (Some("max_turns_exceeded"), Some("error"))
            );
            assert!(
                !answered.text.contains("[DONE]") && !answered.text.contains("\"finish_reason\":\"stop\""),
                "{}",
                answered.text
            );
        } else {
            let problem = answered.problem(422, "max_turns_exceeded");
            assert!(problem["detail"].as_str().unwrap().contains("limits.max_turns"), "{problem}");
            assert_eq!(answered.header("x-should-retry"), Some("false"));
        }
        // The conversation stays with whom it was, and what was said is kept for whoever looks.
        let turn = last_turn(&house).await;
        assert_eq!((&turn["status"], turn["messages"].as_array().unwrap().len()), (&json!("failed"), 10));
        assert_eq!(house.get("/api/v1/sessions/s").answered().await.json()["agent"], "a");
        llm.always(Reply::text("Hello."));
        assert_eq!(house.say_in("s", "Again").answered().await.content(), "Hello.");
        assert_eq!(llm.last().json()["messages"].as_array().unwrap().len(), 1, "a failed turn is no history");
    }
}

/// The runs below a run, and the deepest of them.
fn runs(children: &Value) -> (usize, usize) {
    let below = children.as_array().unwrap().iter().map(|child| runs(&child["children"]));
    below.fold((0, 0), |(count, depth), (more, deeper)| (count + 1 + more, depth.max(deeper + 1)))
}

#[tokio::test]
async fn two_agents_that_ask_each_other_for_ever_are_stopped() {
    for stream in [false, true] {
        let llm = ScriptedLlm::start().await;
        llm.always(both(|agent| ("ask_agent".to_owned(), json!({ "agent": agent, "input": "?" }))));
        let house = House::open(&llm, YAML).await;
        let body = if stream { said_streaming("Hi") } else { said("Hi") };
        let answered = house.post("/api/v1/chat/completions/s", &body).answered().await;
        assert!(answered.text.contains("max_turns_exceeded"), "{}", answered.text);
        let turn = last_turn(&house).await;
        // Five with the turn's own; and each made three calls, which is what each may make.
        assert_eq!(runs(&turn["children"]), (4, 2), "{turn}");
        assert_eq!(llm.requests().len(), 15);
        assert_eq!(turn["usage"]["input_tokens"], 150, "all are counted, though all failed");
        let asked: Vec<Value> = llm.requests().iter().map(|request| request.json()["messages"].clone()).collect();
        let told = Value::from(asked).to_string();
        assert!(told.contains("too deep already") && told.contains("too many have been"), "{told}");
    }
}

#[tokio::test]
async fn of_more_questions_at_once_than_there_may_be_runs_the_rest_are_told_so() {
    let llm = ScriptedLlm::start().await;
    let ask = || json!({ "agent": "b", "input": "?" });
    let many = (1..40).fold(Reply::tool("ask_agent", ask()), |reply, _| reply.and_tool("ask_agent", ask()));
    llm.then(many).always(Reply::text("Good."));
    let house = House::open(&llm, &YAML.replace("runs: 5", "runs: 32")).await;
    assert_eq!(house.say_in("s", "Hi").answered().await.content(), "Good.");
    let turn = last_turn(&house).await;
    assert_eq!(runs(&turn["children"]), (31, 1));
    let results: Vec<&str> = turn["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!(results.len(), 40);
    assert_eq!(results.iter().filter(|result| **result == "Good.").count(), 31);
    assert_eq!(results.iter().filter(|result| result.contains("too many have been")).count(), 9);
}

#[tokio::test]
async fn what_many_delegates_say_at_once_arrives_whole() {
    let words: String = (0..200).map(|n| format!("word{n} ")).collect();
    for count in [2, 12] {
        let llm = ScriptedLlm::start().await;
        let ask = || json!({ "agent": "b", "input": "?" });
        let many = (1..count).fold(Reply::tool("ask_agent", ask()), |reply, _| reply.and_tool("ask_agent", ask()));
        for _ in 0..3 {
            llm.then(many.clone());
            for _ in 0..count {
                llm.then(Reply::text(&words));
            }
            llm.then(Reply::text("Done."));
        }
        let house = House::open(&llm, &YAML.replace("runs: 5", "runs: 32")).await;
        let events = house.post("/api/v1/chat/completions/s", &said_streaming("Hi")).answered().await.events();
        let ui = json!({ "id": "t", "messages": [{ "id": "u", "role": "user", "parts": [{ "type": "text", "text": "Hi" }] }] });
        let parts = house.post("/api/chat", &ui).answered().await.events();
        let updates = house.tell_streaming(&message("Hi")).answered().await.updates();
        let children = added_up(&updates).into_iter().filter(|(_, agent, _)| agent == "b");
        let children: Vec<String> = children.map(|(_, _, text)| text).collect();
        assert!(children.len() == count && children.iter().all(|text| *text == words), "{children:?}");
        for at in 0..count {
            let id = format!("call_0_{at}");
            let of_call = events.iter().filter(|event| event.name.as_deref() == Some("child_content")).map(Event::json);
            let heard: String = of_call
                .filter(|data| data["call_id"] == *id)
                .map(|data| data["content"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(heard, words, "{id} of {count}");
            let id = format!("call_{}_{at}", count + 2);
            let of_call = parts.iter().filter(|part| part.data != "[DONE]").map(Event::json);
            let outputs: Vec<Value> =
                of_call.filter(|part| part["toolCallId"] == *id && part["type"] == "tool-output-available").collect();
            let [shown @ .., last] = outputs.as_slice() else { panic!("{id}") };
            assert_eq!(last["output"], *words, "{id}");
            assert!(shown.iter().all(|part| words.starts_with(part["output"]["text"].as_str().unwrap())), "{id}");
            assert!(shown.is_sorted_by_key(|part| part["output"]["text"].as_str().unwrap().len()), "{id}");
        }
    }
}
