//! An agent on another machine is asked as a child is: in the version that its card names, with the headers that its
//! configuration names, and whether or not its answer streams.

use std::time::Duration;

use futures_util::StreamExt;
use letterhead::run::RunEvent;
use letterhead::{Caller, ExternalAgent, RequestContext, RunResult, Sent, TraceContext};
use letterhead_testkit::agent::{artifact, status, task};
use letterhead_testkit::{A2a, ScriptedAgent};
use serde_json::json;

use crate::external::{TOKEN, asking, desk, legal, result_of, run};
use crate::script::Answer;
use crate::support::all;

const VERSIONS: [A2a; 2] = [A2a::One, A2a::Zero3];

/// What came of one question, streamed.
async fn streamed(agent: &ScriptedAgent) -> (Vec<RunEvent>, RunResult) {
    let script = asking("legal", "May we?");
    let runner = desk(&script, legal(agent)).build().unwrap();
    all(runner.run("Hello").context_header("token", TOKEN).stream()).await
}

/// The pieces of text that came from the child.
fn pieces(events: &[RunEvent]) -> Vec<String> {
    let piece = |event: &RunEvent| match event {
        RunEvent::Child { agent, event, .. } => match &**event {
            RunEvent::Text(text) => {
                assert_eq!(&**agent, "legal");
                Some(text.clone())
            }
            _ => None,
        },
        _ => None,
    };
    events.iter().filter_map(piece).collect()
}

#[tokio::test]
async fn in_both_versions_with_and_without_a_stream() {
    for version in VERSIONS {
        for streams in [false, true] {
            let agent = ScriptedAgent::start(version).await;
            let agent = if streams { agent.streaming() } else { agent };
            let (events, result) = streamed(&agent).await;
            assert_eq!(result_of(&result), "You asked: May we?", "{version:?} {streams}");
            assert_eq!(pieces(&events).concat(), "You asked: May we?");
            let question = agent.questions()[0].json();
            assert_eq!(question["params"]["message"]["parts"][0]["text"], "May we?");
            assert!(question["params"]["message"].get("contextId").is_none());
            assert!(agent.cancels().is_empty(), "what is over is not cancelled");
        }
    }
}

#[tokio::test]
async fn its_text_comes_in_the_pieces_in_which_it_came() {
    let agent = ScriptedAgent::start(A2a::One).await.streaming();
    let script = asking("legal", "May we?");
    // Without a secret in its headers nothing has to be held back.
    let open = ExternalAgent::new("legal", agent.api.url(""));
    let runner = desk(&script, open).build().unwrap();
    let (events, _) = all(runner.run("Hello").stream()).await;
    assert_eq!(pieces(&events), ["You ", "asked: ", "May ", "we?"]);
    let told = |wanted: fn(&RunEvent) -> bool| {
        events.iter().any(|event| matches!(event, RunEvent::Child { event, .. } if wanted(event)))
    };
    assert!(told(|event| matches!(event, RunEvent::RunStarted { agent } if &**agent == "legal")));
    assert!(told(|event| matches!(event, RunEvent::RunCompleted { agent, .. } if &**agent == "legal")));
}

#[tokio::test]
async fn card_and_question_carry_the_configured_headers_and_nothing_else() {
    let agent = ScriptedAgent::start(A2a::One).await;
    let script = asking("legal", "May we?");
    let runner = desk(&script, legal(&agent).with_header("X-Org", "{{ headers.org }}")).build().unwrap();
    let run = runner.run("Hello").context_header("token", TOKEN).context_header("org", "Acme");
    let result = run.header("X-Trace-Me", "canary").unwrap().await.unwrap();
    let requests = agent.api.requests();
    assert_eq!(requests.len(), 2, "the card, and the question");
    for request in &requests {
        assert_eq!(request.header("authorization"), [format!("Bearer {TOKEN}")]);
        assert_eq!(request.header("x-org"), ["Acme"]);
        assert_eq!(request.header("a2a-version"), ["1.0"]);
        let known = ["host", "accept", "accept-encoding", "user-agent", "authorization", "x-org", "a2a-version"];
        let more = ["content-type", "content-length", "traceparent"];
        for name in request.header_names() {
            assert!(known.contains(&&*name) || more.contains(&&*name), "{name}");
        }
    }
    let question = requests[1].json();
    let names: Vec<&str> = question["params"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["message"], "nothing says who asks");
    let trail: Vec<_> = result.trail.iter().filter(|entry| &*entry.destination == "external_agents.legal").collect();
    let headers: Vec<&str> = trail.iter().map(|entry| &*entry.header).collect();
    assert_eq!(headers, ["Authorization", "X-Org"]);
    assert!(trail.iter().all(|entry| entry.sent));
    assert_eq!(serde_json::to_value(trail[0]).unwrap()["kind"], "external_agent");
}

#[tokio::test]
async fn its_card_is_kept_for_its_caller_and_headers() {
    let agent = ScriptedAgent::start(A2a::One).await;
    let script = asking("legal", "One?").on("a", [call("legal", "Two?"), Answer::text("done")]);
    let script = script.on("a", [call("legal", "Three?"), Answer::text("done")]);
    let external = legal(&agent).with_header_per_call("X-Request-Id", "{{ request.id }}");
    let runner = desk(&script, external).build().unwrap();
    for token in [TOKEN, TOKEN, "another-token"] {
        runner.run("Hello").context_header("token", token).await.unwrap();
    }
    assert_eq!((agent.cards().len(), agent.questions().len()), (2, 3));
}

fn call(agent: &str, input: &str) -> Answer {
    Answer::calls([("ask_agent", json!({ "agent": agent, "input": input }))])
}

#[tokio::test]
async fn a_card_that_is_out_of_date_is_asked_for_anew() {
    let agent = ScriptedAgent::start(A2a::Zero3).await;
    let script = asking("legal", "One?").on("a", [call("legal", "Two?"), Answer::text("done")]);
    let runner = desk(&script, legal(&agent)).build().unwrap();
    runner.run("Hello").context_header("token", TOKEN).await.unwrap();
    agent.set_version(A2a::One);
    let result = runner.run("Hello").context_header("token", TOKEN).await.unwrap();
    assert_eq!(result_of(&result), "You asked: Two?");
    assert_eq!(agent.cards().len(), 2);
}

#[tokio::test]
async fn a_message_or_the_words_of_a_status_are_an_answer_too() {
    let message = json!({ "messageId": "m", "role": "ROLE_AGENT", "parts": [{ "text": "Yes." }] });
    let mut silent = task("TASK_STATE_COMPLETED", "");
    silent["task"]["artifacts"] = json!([]);
    let mut in_status = silent.clone();
    in_status["task"]["status"]["message"] = message.clone();
    let mut in_history = silent.clone();
    in_history["task"]["history"] = json!([{ "role": "ROLE_USER", "parts": [] }, message]);
    for version in VERSIONS {
        for (answer, told) in [
            (json!({ "message": message }), "Yes."),
            (in_status.clone(), "Yes."),
            (in_history.clone(), "Yes."),
            (silent.clone(), "legal is done, and says nothing."),
        ] {
            let agent = ScriptedAgent::start(version).await;
            agent.then([answer]);
            assert_eq!(run(&agent, "May we?").await, told);
        }
    }
}

#[tokio::test]
async fn what_is_no_text_is_named() {
    let agent = ScriptedAgent::start(A2a::One).await;
    let mut answer = task("TASK_STATE_COMPLETED", "See:");
    let file =
        json!({ "url": "https://x.example/report.pdf", "mediaType": "application/pdf", "filename": "report.pdf" });
    answer["task"]["artifacts"][0]["parts"].as_array_mut().unwrap().extend([json!({ "data": { "sum": 7 } }), file]);
    agent.then([answer]);
    let told = run(&agent, "May we?").await;
    assert_eq!(told, "See:\n{\"sum\":7}\n[file: report.pdf, application/pdf, https://x.example/report.pdf]");
}

#[tokio::test]
async fn a_task_that_goes_on_is_asked_for() {
    for (version, streams) in [(A2a::One, false), (A2a::Zero3, true)] {
        let agent = ScriptedAgent::start(version).await;
        let agent = if streams { agent.streaming() } else { agent };
        // The answer, and the stream too, ends before the task does.
        agent.then([task("TASK_STATE_SUBMITTED", "")]);
        agent.then_task(task("TASK_STATE_WORKING", "Reading.")).then_task(task("TASK_STATE_COMPLETED", "Read."));
        assert_eq!(run(&agent, "May we?").await, "Read.");
        assert_eq!(agent.polls().len(), 2);
        assert_eq!(agent.polls()[0].json()["params"]["id"], "task-1");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_loses_nothing() {
    let agent = ScriptedAgent::start(A2a::One).await.streaming();
    agent.then_raw(|id| {
        let (answer, tap) = letterhead_testkit::Answer::live();
        for result in [task("TASK_STATE_WORKING", ""), artifact("Yes, ", false)] {
            tap.event(&json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string());
        }
        tap.break_off();
        answer
    });
    agent.then_task(task("TASK_STATE_COMPLETED", "Yes, you may."));
    let (events, result) = streamed(&agent).await;
    assert_eq!(
        (result_of(&result), pieces(&events).concat()),
        ("Yes, you may.".to_owned(), "Yes, you may.".to_owned())
    );
    assert_eq!(agent.questions().len(), 1, "the question is not asked again");
}

/// What a program writes that wants to wait for ever.
#[tokio::test]
async fn it_may_have_all_the_time_there_is() {
    let agent = ScriptedAgent::start(A2a::One).await.streaming();
    let (taps, mut tapped) = tokio::sync::mpsc::unbounded_channel();
    agent.then_raw(move |id| {
        let (answer, tap) = letterhead_testkit::Answer::live();
        let event = |result| json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
        tap.event(&event(task("TASK_STATE_WORKING", "I look into it.")));
        taps.send((tap, event(task("TASK_STATE_COMPLETED", "You may.")))).unwrap();
        answer
    });
    let script = asking("legal", "May we?");
    let runner = desk(&script, legal(&agent).with_timeout(Duration::MAX)).build().unwrap();
    let mut run = runner.run("Hello").context_header("token", TOKEN).stream();
    while let Some(event) = run.next().await {
        if matches!(&event, RunEvent::Child { event, .. } if matches!(&**event, RunEvent::Reasoning(_))) {
            // By now the run waits for more.
            let (tap, last) = tapped.recv().await.unwrap();
            tap.event(&last);
            tap.end();
        }
    }
    assert_eq!(result_of(&run.result().await.unwrap()), "You may.");
}

#[tokio::test]
async fn words_on_its_work_are_no_part_of_the_answer() {
    let agent = ScriptedAgent::start(A2a::One).await.streaming();
    let working = task("TASK_STATE_WORKING", "I look into the contract.");
    agent.then([working, artifact("Yes.", false), status("TASK_STATE_COMPLETED")]);
    let (events, result) = streamed(&agent).await;
    assert_eq!(result_of(&result), "Yes.");
    let thought = events.iter().any(|event| {
        matches!(event, RunEvent::Child { event, .. }
            if **event == RunEvent::Reasoning("I look into the contract.".to_owned()))
    });
    assert!(thought);
}

#[tokio::test]
async fn the_model_is_told_what_its_configuration_says_of_it_and_not_what_its_card_says() {
    let agent = ScriptedAgent::start(A2a::One).await;
    let script = asking("legal", "May we?");
    let runner = desk(&script, legal(&agent)).build().unwrap();
    runner.run("Hello").context_header("token", TOKEN).await.unwrap();
    let told = script.calls()[0].descriptions.concat();
    assert!(told.contains("- legal: Answers contract questions."), "{told}");
    assert!(!told.contains("What the card says"), "{told}");
}

#[tokio::test]
async fn the_tenant_of_an_interface_is_the_agents_own_matter() {
    let agent = ScriptedAgent::start(A2a::One).await;
    let mut card = agent.card();
    card["supportedInterfaces"][0]["tenant"] = "their-tenant".into();
    agent.set_card(card);
    assert_eq!(run(&agent, "May we?").await, "You asked: May we?");
    assert_eq!(agent.questions()[0].json()["params"]["tenant"], "their-tenant");
}

#[tokio::test]
async fn the_trace_goes_along_unless_it_is_told_not_to() {
    for traced in [true, false] {
        let agent = ScriptedAgent::start(A2a::One).await;
        let external = ExternalAgent::new("legal", agent.api.url(""));
        let script = asking("legal", "May we?");
        let runner = desk(&script, if traced { external } else { external.without_trace() }).build().unwrap();
        let headers = runner.registry().schema().merge([], &Sent::nothing(), &[]).unwrap();
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = RequestContext::builder(Caller::anonymous(), headers);
        let context = context.trace(TraceContext::parse(trace).unwrap()).build("a");
        runner.run("Hello").request(context).await.unwrap();
        for request in agent.api.requests() {
            let sent = request.header("traceparent").concat();
            assert_eq!(sent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), traced, "{sent}");
            assert_ne!(sent, trace, "each hop has its own");
        }
        assert_eq!(agent.questions().len(), 1);
    }
}
