//! A run can be cancelled wherever it waits. It ends at once, and what came before is kept.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, poll};
use letterhead::model::{ChatModel, ModelCall, ModelError, ModelStream, ToolSpec};
use letterhead::run::{Events, Limits, Outcome, RunEnd, RunEvent, RunInput, Status};
use letterhead::{Agent, Caller, Headers, Provider, ProviderKind, Registry, RequestContext, Runner};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::script::{Answer, Script};
use crate::support::{agent, gives, runner, said_in, tool};

fn registry(provider: Provider, agents: impl IntoIterator<Item = Agent>) -> Registry {
    agents.into_iter().fold(Registry::builder().provider(provider), letterhead::RegistryBuilder::agent).build().unwrap()
}

fn start(registry: &Registry, cancelled: CancellationToken, events: Events) -> impl Future<Output = Outcome> + Send {
    let context = RequestContext::builder(Caller::anonymous(), Headers::none()).build(registry.entry().name());
    let mut input = RunInput::new([json!({"role": "user", "content": "Hello"}).to_string().into()]);
    input.client_tools = vec![Arc::new(ToolSpec::new("theirs", None, json!({})).unwrap())];
    input.stream = true;
    registry.run(context, input, Limits::default(), cancelled, events)
}

/// Runs until nothing moves any more, then cancels.
async fn cancel_when_stuck(registry: &Registry, events: Events) -> Outcome {
    let cancelled = CancellationToken::new();
    let mut run = pin!(start(registry, cancelled.clone(), events));
    tokio::select! {
        outcome = &mut run => panic!("it ended by itself: {outcome:?}"),
        // Time that is paused goes on when nothing else can.
        () = tokio::time::sleep(Duration::from_secs(60)) => cancelled.cancel(),
    }
    tokio::time::timeout(Duration::from_secs(1), run).await.expect("it ends at once")
}

/// Tells when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A model that never begins to answer.
struct Silent(Arc<AtomicBool>);

#[async_trait]
impl ChatModel for Silent {
    async fn call(&self, _: ModelCall) -> Result<ModelStream, ModelError> {
        let _guard = Dropped(Arc::clone(&self.0));
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn before_it_began() {
    let script = Script::default().on("a", [Answer::text("never")]);
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let outcome = start(&registry(script.provider(), [agent("a")]), cancelled, Events::none()).await;
    assert_eq!((outcome.end, outcome.messages.len()), (RunEnd::Cancelled, 0));
    assert!(script.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn while_the_provider_is_silent() {
    let dropped = Arc::new(AtomicBool::new(false));
    let provider = Provider::new("test", ProviderKind::OpenAi, Arc::new(Silent(Arc::clone(&dropped))));
    let outcome = cancel_when_stuck(&registry(provider, [agent("a")]), Events::none()).await;
    assert_eq!((outcome.end, outcome.messages.len()), (RunEnd::Cancelled, 0));
    assert!(dropped.load(Ordering::SeqCst), "the call is over");
}

#[tokio::test(start_paused = true)]
async fn in_the_middle_of_an_answer() {
    let script = Script::default().on("a", [Answer::default().word_by_word("Half an").usage(10, 2).hang()]);
    let outcome = cancel_when_stuck(&registry(script.provider(), [agent("a")]), Events::none()).await;
    assert_eq!((&outcome.end, outcome.output.as_str()), (&RunEnd::Cancelled, "Half an"));
    assert_eq!(said_in(&outcome), ["assistant: Half an"]);
    assert_eq!(outcome.messages[0].status, Status::Incomplete);
    assert_eq!(outcome.usage.output_tokens, 2);
}

#[tokio::test(start_paused = true)]
async fn calls_of_an_answer_that_was_cut_short_are_forgotten() {
    let half = Answer::default().word_by_word("Wait.").call(0, Some("c"), Some("look"), "{\"a").hang();
    let script = Script::default().on("a", [half]);
    let registry = registry(script.provider(), [agent("a").with_tool(gives("look", "seen"))]);
    let outcome = cancel_when_stuck(&registry, Events::none()).await;
    assert_eq!(said_in(&outcome), ["assistant: Wait."]);
}

#[tokio::test(start_paused = true)]
async fn in_a_tool_whose_neighbour_is_done() {
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = Arc::clone(&dropped);
    let hangs = tool("hangs", move |_| {
        let guard = Dropped(Arc::clone(&guard));
        async move {
            let _guard = guard;
            pending().await
        }
    });
    let script = Script::default().on("a", [Answer::calls(["look", "hangs", "theirs"].map(|name| (name, json!({}))))]);
    let registry = registry(script.provider(), [agent("a").with_tool(gives("look", "seen")).with_tool(hangs)]);
    let outcome = cancel_when_stuck(&registry, Events::none()).await;
    assert_eq!(outcome.end, RunEnd::Cancelled);
    assert!(outcome.had_effects && outcome.client_calls.is_empty());
    assert_eq!(
        said_in(&outcome),
        ["assistant: <look><hangs><theirs>", "tool: seen", "tool: The call was interrupted."]
    );
    tokio::task::yield_now().await;
    assert!(dropped.load(Ordering::SeqCst), "the tool is stopped");
}

#[tokio::test(start_paused = true)]
async fn in_a_child_whose_cost_still_counts() {
    let ask = |agent: &str| ("ask_agent", json!({"agent": agent, "input": "?"}));
    let script = Script::default()
        .on("a", [Answer::calls([ask("b"), ask("c")])])
        .on("b", [Answer::text("b is done")])
        .on("c", [Answer::default().word_by_word("Half").usage(100, 1).hang()]);
    let agents = [agent("a").with_delegate("b").with_delegate("c"), agent("b"), agent("c")];
    let outcome = cancel_when_stuck(&registry(script.provider(), agents), Events::none()).await;
    assert_eq!(outcome.end, RunEnd::Cancelled);
    assert_eq!(said_in(&outcome), ["assistant: <ask_agent><ask_agent>", "tool: b is done", "tool: c was interrupted."]);
    assert_eq!(outcome.usage.input_tokens, 120);
}

/// A run with a bit of everything: tools, a child, a handoff, text.
fn everything() -> (Script, Vec<Agent>) {
    let script = Script::default()
        .on(
            "a",
            [
                Answer::default().word_by_word("Let me see. ").call(0, Some("c0"), Some("look"), "{}").call(
                    1,
                    Some("c1"),
                    Some("ask_agent"),
                    "{\"agent\": \"b\", \"input\": \"?\"}",
                ),
                Answer::tool("handoff_to_c"),
            ],
        )
        .on("b", [Answer::tool("look"), Answer::text("one two")])
        .on("c", [Answer::text("three four five")]);
    let look = || {
        tool("look", |_| async {
            tokio::task::yield_now().await;
            Ok("seen".into())
        })
    };
    let a = agent("a").with_tool(look()).with_delegate("b").with_handoff("c");
    (script, vec![a, agent("b").with_tool(look()), agent("c")])
}

/// What holds for every outcome, wherever it was cut off.
fn check(outcome: &Outcome, at: usize) {
    let mut open: Vec<Value> = Vec::new();
    for message in &outcome.messages {
        let body: Value = serde_json::from_str(&message.body).unwrap();
        match body["role"].as_str().unwrap() {
            "assistant" => {
                assert!(open.is_empty(), "{at}: every call has its result before the next answer");
                open = body["tool_calls"].as_array().into_iter().flatten().map(|call| call["id"].clone()).collect();
            }
            "tool" => open.retain(|id| *id != body["tool_call_id"]),
            other => panic!("{at}: {other}"),
        }
    }
    assert!(open.is_empty(), "{at}: every call has a result: {:?}", said_in(outcome));
    let took_over = said_in(outcome).iter().any(|said| said == "tool: c has the conversation now.");
    assert_eq!(&*outcome.agent, if took_over { "c" } else { "a" }, "{at}: what is said is so");
    let incomplete = outcome.messages.iter().filter(|message| message.status == Status::Incomplete).count();
    assert!(incomplete <= 1 && outcome.messages.iter().rev().skip(1).all(|m| m.status == Status::Complete), "{at}");
}

#[tokio::test(start_paused = true)]
async fn after_any_number_of_steps() {
    let mut steps = 0;
    loop {
        let (script, agents) = everything();
        let registry = registry(script.provider(), agents);
        let cancelled = CancellationToken::new();
        let (sender, mut events) = mpsc::channel(1000);
        let mut run = pin!(start(&registry, cancelled.clone(), Events::to(sender)));
        let mut ended = None;
        for _ in 0..steps {
            if let std::task::Poll::Ready(outcome) = poll!(&mut run) {
                ended = Some(outcome);
                break;
            }
            tokio::task::yield_now().await;
        }
        cancelled.cancel();
        let ended_by_itself = ended.is_some();
        let outcome = match ended {
            Some(outcome) => outcome,
            None => run.await,
        };
        check(&outcome, steps);
        let mut heard = String::new();
        while let Ok(event) = events.try_recv() {
            if let RunEvent::Text(text) = event {
                heard.push_str(&text);
            }
        }
        let kept: String = said_in(&outcome)
            .iter()
            .filter_map(|said| said.strip_prefix("assistant: "))
            .map(|said| said.split('<').next().unwrap())
            .collect();
        assert_eq!(heard, kept, "{steps}: what was heard is what is kept");
        if ended_by_itself {
            assert_eq!(outcome.output, "three four five");
            break;
        }
        steps += 1;
    }
    assert!(steps > 20, "the run has places to be cut off at: {steps}");
}

#[tokio::test(start_paused = true)]
async fn while_it_waits_for_a_reader_that_does_not_read() {
    let mut room = 0;
    loop {
        room += 1;
        let (script, agents) = everything();
        let (sender, events) = mpsc::channel(room);
        let registry = registry(script.provider(), agents);
        let mut run = Box::pin(start(&registry, CancellationToken::new(), Events::to(sender.clone())));
        let fits = tokio::time::timeout(Duration::from_secs(60), &mut run).await.is_ok();
        drop((run, sender, events));
        if fits {
            break;
        }
        let (script, agents) = everything();
        let registry = self::registry(script.provider(), agents);
        let (sender, _events) = mpsc::channel(room);
        let outcome = cancel_when_stuck(&registry, Events::to(sender)).await;
        assert!(matches!(outcome.end, RunEnd::Cancelled | RunEnd::Complete(_)), "{outcome:?}");
        check(&outcome, room);
    }
    assert!(room > 20, "the run has events to wait at: {room}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_cancels_nothing_by_itself() {
    let (script, agents) = everything();
    let (sender, events) = mpsc::channel(1);
    drop(events);
    let registry = registry(script.provider(), agents);
    let outcome = start(&registry, CancellationToken::new(), Events::to(sender)).await;
    assert_eq!(outcome.output, "three four five");
}

/// Begins a run, and drops it when it has been silent for so long.
async fn drop_after(silence: Duration, runner: &Runner, streamed: bool) {
    if streamed {
        let mut stream = runner.run("Hello").stream();
        while let Ok(Some(_)) = tokio::time::timeout(silence, stream.next()).await {}
    } else {
        assert!(tokio::time::timeout(silence, runner.run("Hello").into_future()).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_run_or_its_stream_ends_the_call() {
    for streamed in [false, true] {
        let dropped = Arc::new(AtomicBool::new(false));
        let provider = Provider::new("test", ProviderKind::OpenAi, Arc::new(Silent(Arc::clone(&dropped))));
        let runner = Runner::with_agents([agent("a")]).provider(provider).build().unwrap();
        let short = Duration::from_millis(1);
        drop_after(short, &runner, streamed).await;
        tokio::time::sleep(short).await;
        assert!(dropped.load(Ordering::SeqCst), "streamed: {streamed}");
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_a_tool_began_hears_that_its_run_was_dropped() {
    for streamed in [false, true] {
        let (told, mut heard) = mpsc::unbounded_channel();
        let slow = tool("slow", move |context| {
            let told = told.clone();
            async move {
                // Nothing but the token tells this task.
                tokio::spawn(async move {
                    context.cancelled.cancelled().await;
                    told.send(()).unwrap();
                });
                pending().await
            }
        });
        let runner = runner(&Script::default().on("a", [Answer::tool("slow")]), [agent("a").with_tool(slow)]);
        let short = Duration::from_secs(1);
        drop_after(short, &runner, streamed).await;
        assert!(tokio::time::timeout(short, heard.recv()).await.is_ok(), "streamed: {streamed}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_result_of_a_cancelled_run_is_what_came_until_then() {
    let script = || Script::default().on("a", [Answer::default().word_by_word("Half an").hang()]);
    let mut stream = runner(&script(), [agent("a")]).run("Hello").stream();
    while !matches!(stream.next().await, Some(RunEvent::Text(text)) if text == "an") {}
    let result = stream.cancel().await.unwrap();
    assert_eq!((result.output.as_str(), result.finish), ("Half an", None));

    let token = CancellationToken::new();
    let run = runner(&script(), [agent("a")]).run("Hello").cancelled_by(token.clone()).into_future();
    let cancel = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        token.cancel();
    };
    let (result, ()) = tokio::join!(run, cancel);
    assert_eq!((result.unwrap().output.as_str()), "Half an");
}
