//! Hooks are told what happens in runs, in order; nothing that they do reaches a run.

use std::future::IntoFuture;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use letterhead::model::ModelErrorKind;
use letterhead::run::RunEvent;
use letterhead::{Agent, RequestContext, Runner};
use serde_json::json;

use crate::script::{Answer, Script};
use crate::support::{agent, all, either, gives};

type Heard = Arc<Mutex<Vec<(String, RunEvent)>>>;

/// A hook that writes down what it hears, with the id of the run's request.
fn listener(heard: &Heard) -> impl FnMut(&RequestContext, &RunEvent) + Send + 'static {
    let heard = Arc::clone(heard);
    move |request, event| heard.lock().unwrap().push((request.request_id().to_owned(), event.clone()))
}

fn events(heard: &Heard) -> Vec<RunEvent> {
    heard.lock().unwrap().iter().map(|(_, event)| event.clone()).collect()
}

fn builder(script: &Script, agents: impl IntoIterator<Item = Agent>) -> letterhead::RunnerBuilder {
    Runner::with_agents(agents).provider(script.provider())
}

#[tokio::test]
async fn a_hook_hears_what_a_stream_tells() {
    let script = Script::default()
        .on(
            "a",
            [
                Answer::calls([("look", json!({}))]),
                Answer::calls([("ask_agent", json!({"agent": "c", "input": "?"}))]),
                Answer::tool("handoff_to_b"),
            ],
        )
        .on("c", [Answer::text("yes, of course")])
        .on("b", [Answer::text("all done")]);
    let a = agent("a").with_tool(gives("look", "seen")).with_delegate("c").with_handoff("b");
    let heard = Heard::default();
    let runner = builder(&script, [a, agent("b"), agent("c")]).hook(listener(&heard)).build().unwrap();
    let (told, _) = all(runner.run("Hello").stream()).await;
    runner.hooks_caught_up().await;
    assert_eq!(events(&heard), told);
    for what in
        ["RunStarted", "ModelCallStarted", "ModelCallCompleted", "ToolStarted", "ToolCompleted", "AgentCompleted"]
    {
        assert!(told.iter().any(|event| format!("{event:?}").starts_with(what)), "{what} is among them");
    }
    assert!(matches!(told.last(), Some(RunEvent::RunCompleted { .. })));
}

#[tokio::test]
async fn it_hears_runs_that_nobody_streams_and_can_tell_them_apart() {
    let script = Script::default().on("a", vec![Answer::text("Hello."); 2]);
    let heard = Heard::default();
    let runner = builder(&script, [agent("a")]).hook(listener(&heard)).build().unwrap();
    let (one, two) = tokio::join!(runner.run("1").into_future(), runner.run("2").into_future());
    assert!(one.is_ok() && two.is_ok());
    runner.hooks_caught_up().await;
    let heard = heard.lock().unwrap().clone();
    let mut ids: Vec<_> = heard.iter().map(|(id, _)| id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2, "each run has a request id of its own");
    for id in ids {
        let of_run: Vec<_> = heard.iter().filter(|(of, _)| *of == id).map(|(_, event)| event).collect();
        assert!(matches!(of_run.first(), Some(RunEvent::RunStarted { .. })));
        assert!(matches!(of_run.last(), Some(RunEvent::RunCompleted { .. })));
    }
}

#[tokio::test]
async fn a_run_that_fails_or_is_cancelled_is_told_too() {
    let broken = Answer::default().word_by_word("So").fail(ModelErrorKind::Failed);
    let script = Script::default().on("a", [broken, Answer::default().word_by_word("So").hang()]);
    let heard = Heard::default();
    let runner = builder(&script, [agent("a")]).hook(listener(&heard)).build().unwrap();
    let error = runner.run("Hello").await.unwrap_err();
    let stream = runner.run("Hello").stream();
    stream.cancel().await.unwrap();
    runner.hooks_caught_up().await;
    let heard = events(&heard);
    assert!(heard.contains(&RunEvent::RunFailed { problem: error.problem }), "{heard:?}");
    assert_eq!(heard.last(), Some(&RunEvent::RunCancelled { agent: "a".into() }), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn so_is_one_that_is_awaited_no_more() {
    let script = Script::default().on("a", [Answer::default().word_by_word("So").hang()]);
    let heard = Heard::default();
    let runner = builder(&script, [agent("a")]).hook(listener(&heard)).build().unwrap();
    let second = std::time::Duration::from_secs(1);
    assert!(tokio::time::timeout(second, runner.run("Hello").into_future()).await.is_err());
    runner.hooks_caught_up().await;
    let heard = events(&heard);
    assert_eq!(heard.last(), Some(&RunEvent::RunCancelled { agent: "a".into() }), "{heard:?}");
    assert!(heard.contains(&RunEvent::Text("So".to_owned())), "{heard:?}");
}

#[tokio::test]
async fn a_panic_stays_in_the_hook_which_hears_what_comes_next() {
    let script = Script::default().on("a", vec![Answer::text("Hello."); 2]);
    let heard = Heard::default();
    let mut listen = listener(&heard);
    let runner = builder(&script, [agent("a")])
        .hook(|_, _| panic!("on purpose, in a test"))
        .hook(move |request, event| {
            listen(request, event);
            assert!(!matches!(event, RunEvent::RunStarted { .. }), "on purpose, in a test");
        })
        .build()
        .unwrap();
    for stream in [false, true] {
        assert_eq!(either(runner.run("Hello"), stream).await.output, "Hello.");
    }
    runner.hooks_caught_up().await;
    let ends = events(&heard).iter().filter(|event| matches!(event, RunEvent::RunCompleted { .. })).count();
    assert_eq!(ends, 2);
}

/// On a runtime of one thread, which a hook that blocks would hold up for ever.
#[tokio::test(flavor = "current_thread")]
async fn a_hook_that_blocks_holds_up_neither_runs_nor_other_hooks() {
    let (go, gate): (_, Receiver<()>) = mpsc::channel();
    let script = Script::default().on("a", vec![Answer::text("Hello."); 3]);
    let (heard, late) = (Heard::default(), Heard::default());
    let mut listen = listener(&late);
    let mut waited = false;
    let runner = builder(&script, [agent("a")])
        .hook(move |request, event| {
            if !waited {
                waited = true;
                gate.recv().unwrap();
            }
            listen(request, event);
        })
        .hook(listener(&heard))
        .build()
        .unwrap();
    for _ in 0..3 {
        runner.run("Hello").await.unwrap();
    }
    // The other hook hears it while the first one is held.
    let ends = |heard: &Heard| events(heard).iter().filter(|e| matches!(e, RunEvent::RunCompleted { .. })).count();
    while ends(&heard) < 3 {
        tokio::task::yield_now().await;
    }
    assert!(events(&late).is_empty());
    go.send(()).unwrap();
    runner.hooks_caught_up().await;
    assert_eq!(events(&late), events(&heard), "late, whole and in order");
}

#[tokio::test]
async fn one_that_is_too_far_behind_misses_events_and_costs_no_more_memory() {
    let (go, gate): (_, Receiver<()>) = mpsc::channel();
    let many = "word ".repeat(3_000);
    let script = Script::default().on("a", vec![Answer::text(&many); 3]);
    let heard = Arc::new(Mutex::new(0_usize));
    let count = Arc::clone(&heard);
    let mut waited = false;
    let runner = builder(&script, [agent("a")])
        .hook(move |_, _| {
            if !waited {
                waited = true;
                gate.recv().unwrap();
            }
            *count.lock().unwrap() += 1;
        })
        .build()
        .unwrap();
    let mut told = 0;
    for _ in 0..3 {
        told += all(runner.run("Hello").stream()).await.0.len();
    }
    go.send(()).unwrap();
    runner.hooks_caught_up().await;
    let heard = *heard.lock().unwrap();
    assert!(told > 9_000 && (4_096..=4_098).contains(&heard), "{heard} of {told}");
}
