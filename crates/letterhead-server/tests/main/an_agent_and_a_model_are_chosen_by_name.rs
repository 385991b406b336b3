//! CONTRACT 6: a header beats the body, an alias stands for a name, and what there is not is a 404 that says what there is.

use letterhead_testkit::{Reply, ScriptedLlm};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{House, Send, said};

const YAML: &str = r#"
providers:
  main: { kind: openai, base_url: "${LLM}" }
  claude: { kind: anthropic, base_url: "${LLM}" }
model: main:gpt-main
model_aliases: { gpt-4o: helper, fast: "main:gpt-fast" }
allow_models: ["main:gpt-*", "claude:opus"]
agents:
  assistant: { instructions: I am assistant., delegates: [helper] }
  helper: { description: Helps., instructions: I am helper., model: "main:gpt-helper" }
entry: assistant
"#;

async fn house() -> (ScriptedLlm, House) {
    let llm = ScriptedLlm::start().await;
    llm.always(Reply::text("Good."));
    let house = House::open(&llm, YAML).await;
    (llm, house)
}

fn with(house: &House, model: &str) -> RequestBuilder {
    let mut body = said("Hi");
    body["model"] = model.into();
    house.post("/v1/chat/completions", &body)
}

/// Which agent answered on which model.
async fn chosen(llm: &ScriptedLlm, request: RequestBuilder) -> (String, String) {
    let answered = request.answered().await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    let body = llm.last().json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let instructions = if body["system"].is_null() { &body["messages"][0]["content"] } else { &body["system"] };
    let instructions = instructions.as_str().map_or_else(|| instructions.to_string(), str::to_owned);
    let agent = if instructions.contains("helper") { "helper" } else { "assistant" };
    (agent.to_owned(), text(&body["model"]))
}

#[track_caller]
fn is(got: &(String, String), agent: &str, model: &str) {
    assert_eq!((got.0.as_str(), got.1.as_str()), (agent, model));
}

#[tokio::test]
async fn the_bodys_model_names_an_agent_a_model_or_an_alias() {
    let (llm, house) = house().await;
    is(&chosen(&llm, house.say("Hi")).await, "assistant", "gpt-main");
    is(&chosen(&llm, with(&house, "")).await, "assistant", "gpt-main");
    is(&chosen(&llm, with(&house, "helper")).await, "helper", "gpt-helper");
    is(&chosen(&llm, with(&house, "gpt-4o")).await, "helper", "gpt-helper");
    is(&chosen(&llm, with(&house, "main:gpt-9")).await, "assistant", "gpt-9");
    is(&chosen(&llm, with(&house, "fast")).await, "assistant", "gpt-fast");
    // A provider's kind, where one provider has it.
    let yaml = YAML.replace("\"claude:opus\"", "\"openai:*\"");
    let house = House::open(&llm, &yaml).await;
    is(&chosen(&llm, with(&house, "openai:gpt-kind")).await, "assistant", "gpt-kind");
}

#[tokio::test]
async fn a_header_beats_the_body() {
    let (llm, house) = house().await;
    is(&chosen(&llm, with(&house, "helper").header("x-agent-schema", "assistant")).await, "assistant", "gpt-main");
    is(&chosen(&llm, with(&house, "main:gpt-1").header("x-model-name", "main:gpt-2")).await, "assistant", "gpt-2");
    let both = with(&house, "gpt-4o").header("x-model-name", "main:gpt-2");
    is(&chosen(&llm, both).await, "helper", "gpt-2");
    // Where a header names the agent, a client's fixed `model` need not mean anything here.
    is(&chosen(&llm, with(&house, "gpt-unheard-of").header("x-agent-schema", "helper")).await, "helper", "gpt-helper");
}

#[tokio::test]
async fn the_model_of_a_run_holds_for_the_run_and_not_for_delegates() {
    let (llm, house) = house().await;
    llm.then(Reply::tool("ask_agent", json!({ "agent": "helper", "input": "?" })));
    assert_eq!(house.say("Hi").header("x-model-name", "main:gpt-run").answered().await.status, 200);
    let models: Vec<String> =
        llm.requests().iter().map(|request| request.json()["model"].as_str().unwrap().to_owned()).collect();
    assert_eq!(models, ["gpt-run", "gpt-helper", "gpt-run"]);
}

#[tokio::test]
async fn what_there_is_not_is_a_404_that_names_what_there_is() {
    let (llm, house) = house().await;
    let answered = with(&house, "gpt-4").answered().await;
    let problem = answered.problem(404, "model_not_found");
    assert_eq!(problem["error"]["param"], "model");
    for name in ["assistant", "helper", "gpt-4o", "fast"] {
        assert!(problem["detail"].as_str().unwrap().contains(&format!("`{name}`")), "{problem}");
    }
    for model in ["main:", "main", ":gpt-1", "nobody:gpt-1", "claude:haiku", "main:other", "demo"] {
        with(&house, model).answered().await.problem(404, "model_not_found");
        let by_header = house.say("Hi").header("x-model-name", model).answered().await;
        by_header.problem(404, "model_not_found");
    }
    for agent in
        ["nobody", "Assistant", "gpt-4o", "../../etc/passwd", "/etc/passwd", "assistant/../helper", "main:gpt-1"]
    {
        let answered = house.say("Hi").header("x-agent-schema", agent).answered().await;
        let problem = answered.problem(404, "agent_not_found");
        assert!(problem["detail"].as_str().unwrap().contains("`assistant`, `helper`"), "{problem}");
    }
    assert!(llm.requests().is_empty());
    assert!(house.rows(house.get("/api/v1/sessions")).await.is_empty());
}

#[tokio::test]
async fn the_models_are_listed_and_found_by_id() {
    let (_llm, house) = house().await;
    let rows = house.rows(house.get("/v1/models")).await;
    let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["assistant", "helper", "fast", "gpt-4o", "claude:opus"]);
    for row in &rows {
        assert_eq!((row["object"].as_str(), row["created"].as_i64()), (Some("model"), Some(0)));
        assert!(row["owned_by"].is_string());
    }
    for path in ["/v1/models/helper", "/v1/models/claude:opus", "/v1/models/claude%3Aopus"] {
        assert_eq!(house.get(path).answered().await.json()["object"], "model", "{path}");
    }
    house.get("/v1/models/nobody").answered().await.problem(404, "model_not_found");
}
