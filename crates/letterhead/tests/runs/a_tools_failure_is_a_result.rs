//! Whatever goes wrong in a tool is a result that the model sees; the run goes on.

use async_trait::async_trait;
use letterhead::lookup::{Found, LookedUp, LookupSource};
use letterhead::tool::{FunctionTool, ToolContext, ToolError};
use letterhead::{Caller, Runner};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::script::{Answer, Script};
use crate::support::{agent, gives, runner, said, tool};

#[derive(Deserialize, JsonSchema)]
struct City {
    name: String,
}

#[tokio::test]
async fn errors_panics_wrong_arguments_and_unknown_names_are_results() {
    let script = Script::default().on(
        "a",
        [
            Answer::calls([
                ("fails", json!({})),
                ("panics", json!({})),
                ("weather", json!({"name": 5})),
                ("weather", json!({"name": "Rome"})),
                ("none_such", json!({})),
            ]),
            Answer::text("done"),
        ],
    );
    let weather = |city: City, _: ToolContext| async move { Ok::<_, ToolError>(format!("Sunny in {}.", city.name)) };
    let a = agent("a")
        .with_tool(tool("fails", |_| async { Err(ToolError::new("The shop is closed.")) }))
        .with_tool(tool("panics", |_| async { panic!("on purpose, in a test") }))
        .with_tool(FunctionTool::new("weather", "Tells the weather.", weather).unwrap());
    let result = runner(&script, [a]).run("Hello").await.unwrap();
    assert_eq!(result.output, "done");
    let said = said(&result.messages);
    assert_eq!(said[2], "tool: The shop is closed.");
    assert_eq!(said[3], "tool: The tool failed.", "a panic's words stay inside");
    assert!(said[4].starts_with("tool: the arguments do not fit the tool's parameters: "), "{}", said[4]);
    assert_eq!(said[5], "tool: Sunny in Rome.");
    assert_eq!(said[6], "tool: There is no tool of this name. There are: fails, panics, weather");
    assert_eq!(script.calls()[1].messages.len(), 7, "one result for each call");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_hangs_is_given_up_and_one_that_says_too_much_is_cut() {
    let calls = ["hangs", "babbles"].map(|name| (name, json!({})));
    let script = Script::default().on("a", [Answer::calls(calls), Answer::text("done")]);
    let a = agent("a")
        .with_tool(tool("hangs", |_| std::future::pending()))
        .with_tool(gives("babbles", "0123456789".repeat(1_000_000).as_str()));
    let since = tokio::time::Instant::now();
    let result = runner(&script, [a]).run("Hello").await.unwrap();
    assert_eq!(since.elapsed().as_secs(), 300);
    let said = said(&result.messages);
    assert_eq!(said[2], "tool: The tool did not answer within 300 seconds, and was given up.");
    assert!(said[3].ends_with("[Cut here: these are the first 65536 of 10000000 bytes.]"), "{}", said[3].len());
    assert!(said[3].len() < 66_000, "{}", said[3].len());
    assert_eq!(result.output, "done");
}

/// Where a program's own source of documents fails.
struct Library;

#[async_trait]
impl LookupSource for Library {
    async fn look_up(&self, key: &str, _: &Caller) -> Result<Found, ToolError> {
        match key {
            "panics" => panic!("on purpose, in a test"),
            "hangs" => std::future::pending().await,
            _ => Ok(Found::Text(LookedUp::new(key, "found"))),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn so_it_is_with_a_look_up() {
    let calls = ["panics", "hangs", "faq"].map(|key| ("lookup", json!({ "key": key })));
    let script = Script::default().on("a", [Answer::calls(calls), Answer::text("done")]);
    let runner =
        Runner::with_agents([agent("a").with_tool_named("lookup")]).provider(script.provider()).lookup(Library);
    let since = tokio::time::Instant::now();
    let result = runner.build().unwrap().run("Hello").await.unwrap();
    assert_eq!(since.elapsed().as_secs(), 300);
    let said = said(&result.messages);
    assert_eq!(said[2], "tool: The tool failed.");
    assert_eq!(said[3], "tool: The tool did not answer within 300 seconds, and was given up.");
    assert_eq!(said[4], "tool: ‹document faq›\nfound");
    assert_eq!(result.output, "done");
}

#[tokio::test]
async fn results_stand_in_the_order_of_the_calls_however_long_each_takes() {
    let script = Script::default()
        .on("a", [Answer::calls(["slow", "fast", "slow"].map(|name| (name, json!({})))), Answer::text("done")]);
    let slow = tool("slow", |context| async move {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        Ok(format!("slow {}", context.call_id).into())
    });
    tokio::time::pause();
    let result =
        runner(&script, [agent("a").with_tool(slow).with_tool(gives("fast", "fast"))]).run("Hello").await.unwrap();
    assert_eq!(said(&result.messages)[2..5], ["tool: slow call_0", "tool: fast", "tool: slow call_2"]);
    let ids: Vec<_> = script.calls()[1].messages[2..].iter().map(|message| message["tool_call_id"].clone()).collect();
    assert_eq!(ids, ["call_0", "call_1", "call_2"]);
}

#[tokio::test]
async fn a_tool_knows_who_asks_and_the_model_cannot_say_otherwise() {
    let script = Script::default().on("a", [Answer::tool("who"), Answer::text("done")]);
    let who = tool("who", |context| async move {
        let request = &context.request;
        Ok(json!({
            "tenant": request.caller().tenant().as_str(), "agent": request.agent(), "call": &*context.call_id,
            "org": request.headers().get("org"), "has_token": request.headers().secret("token").is_some(),
        }))
    });
    let schema = letterhead::HeaderSchema::compile(&json!({"properties": {
        "org": {"type": "string"}, "token": {"type": "string", "writeOnly": true},
    }}));
    let runner = letterhead::Runner::with_agents([agent("a").with_tool(who)])
        .provider(script.provider())
        .headers(schema.unwrap())
        .build()
        .unwrap();
    let run = runner.run("Hello").context_header("Org", "Acme").context_header("token", "t0p-secret");
    let result = run.await.unwrap();
    assert_eq!(
        said(&result.messages)[2],
        r#"tool: {"tenant":"default","agent":"a","call":"call_0","org":"Acme","has_token":true}"#
    );
    assert!(!format!("{result:?}").contains("t0p-secret"));
}
