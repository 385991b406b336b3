//! An agent is a value: what is made of it changes it for nobody else. Its instructions are text, a template or a function.

use std::sync::Arc;

use letterhead::tool::{FunctionTool, ToolContext, ToolError};
use letterhead::{Code, HeaderSchema, Runner, Text};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::script::{Answer, Script};
use crate::support::{Nothing, agent, either, gives, runner};

#[test]
fn a_changed_copy_leaves_the_original_as_it_was() {
    let original = agent("a").with_instructions("One.").with_header("X-A", "1").with_param("seed", 1);
    let kept = original.clone();
    let changed = original
        .with_instructions("Two.")
        .with_header("X-B", "2")
        .with_param("seed", 2)
        .with_description("Changed.")
        .with_tool(gives("look", ""))
        .with_handoff("b")
        .with_delegate("c")
        .with_required_header("org");
    assert_eq!((kept.headers().len(), kept.params()["seed"].clone(), kept.description()), (1, json!(1), None));
    assert!(kept.tools().is_empty() && kept.handoffs().is_empty() && kept.delegates().is_empty());
    assert!(kept.requires().is_empty());
    assert_eq!((changed.headers().len(), changed.params()["seed"].clone()), (2, json!(2)));
    assert_eq!((changed.name(), changed.description()), ("a", Some("Changed.")));
}

#[tokio::test]
async fn instructions_are_a_template_text_as_it_stands_or_a_function_of_the_request() {
    let schema = HeaderSchema::compile(&json!({ "properties": { "org": {} } })).unwrap();
    for (made, told) in [
        (agent("a").with_instructions("For {{ headers.org }}."), "For Acme."),
        (agent("a").with_instructions(Text::literal("For {{ headers.org }}.")), "For {{ headers.org }}."),
        (
            agent("a").with_instructions_from(|context| {
                // What it returns is no template.
                let org = context.headers().get("org").and_then(|org| org.as_str().map(str::to_owned));
                format!("For {} by {}: {{{{ headers.org }}}}", org.unwrap_or_default(), context.agent())
            }),
            "For Acme by a: {{ headers.org }}",
        ),
    ] {
        let script = Script::default().on("a", [Answer::text("Hello.")]);
        let runner = Runner::with_agents([made]).provider(script.provider()).headers(schema.clone()).build().unwrap();
        runner.run("Hello").context_header("org", "Acme").await.unwrap();
        assert_eq!(script.calls()[0].instructions, told);
    }
}

#[tokio::test]
async fn a_function_that_panics_fails_its_run_before_any_call_and_nothing_else() {
    let script = Script::default().on("b", [Answer::text("Hello.")]);
    let broken = agent("a").with_instructions_from(|_| panic!("on purpose, in a test: canary"));
    let runner = runner(&script, [broken, agent("b")]);
    for stream in [false, true] {
        let run = runner.run("Hello");
        let error = if stream { run.stream().result().await } else { run.await }.unwrap_err();
        assert_eq!(error.problem.code(), Code::TemplateFailed);
        assert!(error.to_string().contains("`a`") && !error.to_string().contains("canary"), "{error}");
    }
    assert!(script.calls().is_empty());
    assert_eq!(either(runner.run("Hello").agent("b"), false).await.output, "Hello.");
}

#[tokio::test]
async fn the_agent_that_starts_is_the_first_or_the_one_that_the_run_names() {
    let script = Script::default().on("a", [Answer::text("A.")]).on("b", [Answer::text("B.")]);
    let runner = runner(&script, [agent("a"), agent("b")]);
    assert_eq!(runner.run("Hello").await.unwrap().output, "A.");
    assert_eq!(runner.run("Hello").agent("b").await.unwrap().output, "B.");
    let error = runner.run("Hello").agent("nobody").await.unwrap_err();
    assert_eq!(error.problem.code(), Code::AgentNotFound);
}

#[tokio::test]
async fn a_tool_is_told_when_its_run_is_cancelled() {
    let (began, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let script = Script::default().on("a", [Answer::tool("wait")]);
    let (tell, done) = (Arc::clone(&began), Arc::clone(&ended));
    let wait = FunctionTool::new("wait", "Waits.", move |_: Nothing, context: ToolContext| {
        let (tell, done) = (Arc::clone(&tell), Arc::clone(&done));
        // Work that goes on elsewhere hears of it, too.
        let cancelled = context.cancelled.clone();
        tokio::spawn(async move {
            cancelled.cancelled().await;
            done.notify_one();
        });
        async move {
            tell.notify_one();
            std::future::pending::<Result<(), ToolError>>().await
        }
    });
    let token = CancellationToken::new();
    let run = runner(&script, [agent("a").with_tool(wait.unwrap())]).run("Hello").cancelled_by(token.clone());
    let running = tokio::spawn(async move { run.await });
    began.notified().await;
    token.cancel();
    ended.notified().await;
    assert_eq!(running.await.unwrap().unwrap().finish, None);
}
