//! Whatever an agent on another machine does, the model is told, the run goes on, and nothing of it is believed that is not
//! the protocol's.

use std::time::Duration;

use futures_util::StreamExt;
use letterhead::{Delegate, ExternalAgent, Limits, RegistryFault, RunEvent, Runner};
use letterhead_testkit::agent::{artifact, error, status, task};
use letterhead_testkit::{A2a, Answer as HttpAnswer, ScriptedAgent, ScriptedApi};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::external::{TOKEN, ask, asking, desk, legal, result_of, run};
use crate::script::{Answer, Script};
use crate::support::agent;

#[tokio::test]
async fn each_end_without_an_answer_says_what_it_is() {
    for (state, says) in [
        ("TASK_STATE_INPUT_REQUIRED", "legal asks back before it answers, and keeps nothing of this question"),
        ("TASK_STATE_AUTH_REQUIRED", "legal wants to be authorised first, which cannot be done here"),
        ("TASK_STATE_REJECTED", "legal refuses to do this"),
        ("TASK_STATE_FAILED", "legal failed"),
        ("TASK_STATE_CANCELED", "legal has cancelled its work on this"),
    ] {
        for version in [A2a::One, A2a::Zero3] {
            for (words, told) in [("Which one?", "It says: Which one?"), ("", "It does not say why.")] {
                let agent = ScriptedAgent::start(version).await;
                agent.then([task(state, words)]);
                let text = run(&agent, "May we?").await;
                assert!(text.starts_with(says) && text.ends_with(told), "{text}");
                // What waits for an answer that will not come is told so.
                let waits = matches!(state, "TASK_STATE_INPUT_REQUIRED" | "TASK_STATE_AUTH_REQUIRED");
                if waits {
                    agent.api.received(3).await;
                }
                assert_eq!(agent.cancels().len(), usize::from(waits), "{state}");
            }
        }
    }
}

#[tokio::test]
async fn an_error_is_told_in_its_own_words() {
    let agent = ScriptedAgent::start(A2a::One).await;
    agent.then_raw(|id| error(id, -32602, &format!("no `topic` in the question of {TOKEN}")));
    assert_eq!(
        run(&agent, "May we?").await,
        "legal refused the question with error -32602: no `topic` in the question of ‹removed›"
    );
    let agent = ScriptedAgent::start(A2a::One).await;
    agent.then_raw(|id| error(id, -32603, &"x".repeat(100_000)));
    assert!(run(&agent, "May we?").await.len() < 1300);
}

#[tokio::test]
async fn what_is_no_answer_of_the_protocol_is_a_fault() {
    fn result(id: &Value, result: &Value) -> HttpAnswer {
        HttpAnswer::json(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
    }
    type Case = (fn(&Value) -> HttpAnswer, &'static str);
    let cases: [Case; 20] = [
        (|_| HttpAnswer::text("canary-body"), "no message of the protocol"),
        (|_| HttpAnswer::json(&json!([1])), "no message of the protocol"),
        (|_| result(&json!(0), &task("TASK_STATE_COMPLETED", "canary-body")), "no message of the protocol"),
        (|_| result(&json!("1"), &task("TASK_STATE_COMPLETED", "canary-body")), "no message of the protocol"),
        (|id| HttpAnswer::json(&json!({ "id": id, "result": {} })), "no message of the protocol"),
        (|id| result(id, &json!({})), "no result of the protocol"),
        (
            |id| result(id, &json!({ "task": { "id": "t", "status": { "state": "LOST" } } })),
            "no result of the protocol",
        ),
        (|id| result(id, &json!({ "message": "canary-body" })), "no result of the protocol"),
        (|_| HttpAnswer::sse(["{"]), "no message of the protocol"),
        (|_| HttpAnswer::sse([""]), "ended before its end"),
        (|_| HttpAnswer::cut("application/json", "{"), "the connection ended before the answer did"),
        (|_| HttpAnswer::close(), "the connection ended before the answer did"),
        (|_| HttpAnswer::hang(), "no whole answer within 300ms"),
        (|_| HttpAnswer::large(10 << 20), "larger than 1048576 bytes"),
        (|_| HttpAnswer::endless(), "larger than 1048576 bytes"),
        (|_| HttpAnswer::gzip_bomb(10 << 20), "larger than 1048576 bytes"),
        (|_| HttpAnswer::redirect(307, "http://127.0.0.1:1/a2a"), "redirects to another origin"),
        (|_| HttpAnswer::redirect(302, "/a2a"), "redirects a call that may have effects"),
        (|_| HttpAnswer::status(500), "status 500"),
        (|_| HttpAnswer::status(401).body("canary-body"), "status 401"),
    ];
    for (answer, part) in cases {
        let agent = ScriptedAgent::start(A2a::One).await;
        agent.then_raw(answer);
        let told = ask(legal(&agent).with_timeout(Duration::from_millis(300)), "May we?").await;
        assert!(told.starts_with("legal gave no answer: ") && told.contains(part), "{part}: {told}");
        assert!(!told.contains("canary"), "{told}");
    }
}

#[tokio::test]
async fn a_stream_that_never_ends_is_given_up_and_its_task_cancelled() {
    let agent = ScriptedAgent::start(A2a::One).await.streaming();
    agent.then_raw(|id| {
        let (answer, tap) = HttpAnswer::live();
        let event = |result| json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
        tap.event(&event(task("TASK_STATE_WORKING", "")));
        tap.event(&event(artifact("and so on, ", true)));
        tokio::spawn(async move { tap.left().await });
        answer
    });
    let told = ask(legal(&agent).with_timeout(Duration::from_millis(300)), "May we?").await;
    assert_eq!(told, "legal gave no answer: no whole answer within 300ms.");
    agent.api.received(3).await;
    assert_eq!(agent.cancels()[0].json()["params"]["id"], "task-1");
}

/// The clock is moved by hand, and only while the run does nothing but wait: the answers come over a real connection.
#[tokio::test]
async fn a_task_that_never_ends_is_asked_for_ever_more_rarely_given_up_and_cancelled() {
    const LIMIT: Duration = Duration::from_secs(20);
    for version in [A2a::One, A2a::Zero3] {
        let agent = ScriptedAgent::start(version).await;
        let working = |n: usize| task("TASK_STATE_WORKING", &format!("step {n}"));
        agent.then([working(0)]);
        for n in 1..50 {
            agent.then_task(working(n));
        }
        let script = asking("legal", "May we?");
        let runner = desk(&script, legal(&agent).with_timeout(LIMIT)).build().unwrap();
        let mut run = runner.run("Hello").context_header("token", TOKEN).stream();
        let (heard, mut steps) = tokio::sync::mpsc::unbounded_channel();
        let running = tokio::spawn(async move {
            while let Some(event) = run.next().await {
                if matches!(&event, RunEvent::Child { event, .. } if matches!(&**event, RunEvent::Reasoning(_))) {
                    heard.send(()).unwrap();
                }
            }
            run.result().await.unwrap()
        });
        let (mut wait, mut left) = (Duration::from_millis(200), LIMIT);
        while !left.is_zero() {
            steps.recv().await.unwrap();
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            let step = wait.min(left);
            tokio::time::pause();
            tokio::time::advance(step).await;
            tokio::time::resume();
            (wait, left) = ((wait * 2).min(Duration::from_secs(5)), left - step);
        }
        let result = running.await.unwrap();
        assert_eq!(result_of(&result), "legal gave no answer: no whole answer within 20s.");
        // After 0.2, 0.6, 1.4, 3, 6.2, 11.2 and 16.2 seconds.
        agent.api.received(2 + 7 + 1).await;
        assert_eq!((agent.questions().len(), agent.polls().len(), agent.cancels().len()), (1, 7, 1), "{version:?}");
        assert_eq!(agent.cancels()[0].json()["params"]["id"], "task-1");
    }
}

#[tokio::test]
async fn a_stream_without_measure_is_given_up() {
    let agent = ScriptedAgent::start(A2a::One).await.streaming();
    agent.then_raw(|id| {
        let piece = "x".repeat(900_000);
        let event = |result| json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
        HttpAnswer::sse((0..20).map(|_| event(artifact(&piece, true))))
    });
    assert_eq!(run(&agent, "May we?").await, "legal gave no answer: the answer is larger than 8388608 bytes.");
}

#[tokio::test]
async fn an_answer_of_another_task_is_not_taken() {
    let mut other = artifact("canary", false);
    other["artifactUpdate"]["taskId"] = "task-2".into();
    let agent = ScriptedAgent::start(A2a::One).await.streaming();
    agent.then([task("TASK_STATE_WORKING", ""), other]);
    assert_eq!(run(&agent, "May we?").await, "legal gave no answer: its answer is of another task.");
    let agent = ScriptedAgent::start(A2a::One).await;
    let mut other = task("TASK_STATE_COMPLETED", "canary");
    other["task"]["id"] = "task-2".into();
    agent.then([task("TASK_STATE_WORKING", "")]).then_task(other);
    assert_eq!(run(&agent, "May we?").await, "legal gave no answer: its answer is of another task.");
}

#[tokio::test]
async fn a_card_may_send_questions_to_no_other_origin() {
    let elsewhere = ScriptedApi::start().await;
    for field in ["supportedInterfaces", "url"] {
        let agent = ScriptedAgent::start(if field == "url" { A2a::Zero3 } else { A2a::One }).await;
        let mut card = agent.card();
        match field {
            "url" => card["url"] = elsewhere.url("/a2a").into(),
            _ => card[field][0]["url"] = elsewhere.url("/a2a").into(),
        }
        agent.set_card(card);
        let told = run(&agent, "May we?").await;
        assert!(told.starts_with("legal was not asked") && told.contains("at another origin"), "{told}");
        assert!(agent.questions().is_empty());
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_card_that_is_none_is_said() {
    type Case = (fn() -> HttpAnswer, &'static str);
    let cases: [Case; 7] = [
        (|| HttpAnswer::status(404), "status 404"),
        (|| HttpAnswer::text("canary"), "its card is no JSON"),
        (|| HttpAnswer::json(&json!([])), "its card is no JSON object"),
        (|| HttpAnswer::json(&json!({ "name": "canary" })), "no interface that is spoken here"),
        (|| HttpAnswer::large(10 << 20), "larger than 1048576 bytes"),
        (|| HttpAnswer::hang(), "no whole answer within 300ms"),
        (|| HttpAnswer::redirect(302, "http://127.0.0.1:1/card"), "redirects to another origin"),
    ];
    for (answer, part) in cases {
        let api = ScriptedApi::start().await;
        api.always(move |_| answer());
        let external = ExternalAgent::new("legal", api.url("")).with_timeout(Duration::from_millis(300));
        let told = ask(external, "May we?").await;
        assert!(told.starts_with("legal was not asked") && told.contains(part), "{part}: {told}");
        assert!(!told.contains("canary"), "{told}");
    }
}

#[tokio::test]
async fn nobody_there_is_said_and_nothing_was_sent() {
    let script = asking("legal", "May we?");
    let external = ExternalAgent::new("legal", ScriptedApi::nowhere().await).with_header("X-Org", "{{ headers.org }}");
    let runner = desk(&script, external).build().unwrap();
    let result = runner.run("Hello").context_header("org", "Acme").await.unwrap();
    assert_eq!(result_of(&result), "legal was not asked: the connection was refused.");
    let entry = result.trail.iter().find(|entry| &*entry.destination == "external_agents.legal").unwrap();
    assert_eq!((entry.sent, entry.reason.as_deref()), (false, Some("nothing was sent: the connection was refused")));
}

#[tokio::test]
async fn a_private_address_is_refused() {
    let script = asking("legal", "May we?");
    let runner = Runner::with_agents([agent("a").with_delegate("legal")])
        .provider(script.provider())
        .external_agent(ExternalAgent::new("legal", "http://127.0.0.1:9"));
    let result = runner.build().unwrap().run("Hello").await.unwrap();
    assert!(result_of(&result).contains("a place where calls out do not go"));
}

#[tokio::test]
async fn without_its_credential_it_is_not_asked() {
    let agent = ScriptedAgent::start(A2a::One).await;
    let script = asking("legal", "May we?");
    let runner = desk(&script, legal(&agent)).build().unwrap();
    let result = runner.run("Hello").await.unwrap();
    let told = result_of(&result);
    assert!(told.starts_with("legal was not asked: ") && told.contains("`headers.token`, which is missing"), "{told}");
    assert!(agent.api.requests().is_empty());
}

#[tokio::test]
async fn what_a_question_carried_comes_back_nowhere() {
    for streams in [false, true] {
        let agent = ScriptedAgent::start(A2a::One).await;
        let agent = if streams { agent.streaming() } else { agent };
        if streams {
            // The secret comes back in pieces.
            let (first, second) = TOKEN.split_at(5);
            let working = task("TASK_STATE_WORKING", &format!("working with {TOKEN}"));
            agent.then([
                working,
                artifact(&format!("You sent {first}"), false),
                artifact(&format!("{second}."), true),
                status("TASK_STATE_COMPLETED"),
            ]);
        } else {
            agent.then([task("TASK_STATE_COMPLETED", &format!("You sent {TOKEN}."))]);
        }
        let script = asking("legal", "May we?");
        let runner = desk(&script, legal(&agent)).build().unwrap();
        let run = runner.run("Hello").context_header("token", TOKEN).stream();
        let (events, result) = crate::support::all(run).await;
        assert_eq!(result_of(&result), "You sent ‹removed›.");
        for event in &events {
            if let RunEvent::Child { event, .. } = event {
                let said = match &**event {
                    RunEvent::Text(text) | RunEvent::Reasoning(text) => text.as_str(),
                    _ => "",
                };
                assert!(!said.contains("canary") && !said.contains("t_sec"), "{said}");
            }
        }
    }
}

#[tokio::test]
async fn a_cancelled_turn_cancels_its_task() {
    for version in [A2a::One, A2a::Zero3] {
        let agent = ScriptedAgent::start(version).await.streaming();
        let stop = CancellationToken::new();
        let zero3 = version == A2a::Zero3;
        agent.then_raw(move |id| {
            let (answer, tap) = HttpAnswer::live();
            let begun = if zero3 {
                json!({ "kind": "task", "id": "task-1", "status": { "state": "working" } })
            } else {
                task("TASK_STATE_WORKING", "")
            };
            let said = json!({ "kind": "status-update", "taskId": "task-1", "status": {
                "state": "working", "message": { "parts": [{ "kind": "text", "text": "I look into it." }] },
            } });
            for result in [begun, said] {
                tap.event(&json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string());
            }
            tokio::spawn(async move { tap.left().await });
            answer
        });
        let script = asking("legal", "May we?");
        let runner = desk(&script, legal(&agent)).build().unwrap();
        let mut run = runner.run("Hello").context_header("token", TOKEN).cancelled_by(stop.clone()).stream();
        while let Some(event) = run.next().await {
            if matches!(&event, RunEvent::Child { event, .. } if matches!(&**event, RunEvent::Reasoning(_))) {
                stop.cancel();
            }
        }
        agent.api.received(3).await;
        let cancel = &agent.cancels()[0];
        assert_eq!(cancel.json()["params"]["id"], "task-1");
        assert_eq!(cancel.header("authorization"), [format!("Bearer {TOKEN}")]);
    }
}

#[tokio::test]
async fn no_model_can_be_chosen_for_it_and_nobody_named() {
    let agent = ScriptedAgent::start(A2a::One).await;
    for (arguments, says) in [
        (json!({ "agent": "legal", "input": "x", "model": "test:a" }), "a model of its own"),
        (json!({ "agent": "legal", "input": "x", "user_id": "u_2" }), "and nothing else"),
        (json!({ "agent": "illegal", "input": "x" }), "may not ask illegal"),
    ] {
        let script = Script::default().on("a", [Answer::calls([("ask_agent", arguments)]), Answer::text("done")]);
        let runner = desk(&script, legal(&agent)).allow_models(vec!["*".to_owned()]).build().unwrap();
        let result = runner.run("Hello").context_header("token", TOKEN).await.unwrap();
        assert!(result_of(&result).contains(says), "{}", result_of(&result));
    }
    assert!(agent.api.requests().is_empty());
}

#[tokio::test]
async fn questions_are_bounded_as_those_to_other_children_are() {
    let agent = ScriptedAgent::start(A2a::One).await;
    let call = ("ask_agent", json!({ "agent": "legal", "input": "x" }));
    let script = Script::default().on("a", [Answer::calls([call.clone(), call.clone(), call]), Answer::text("done")]);
    let mut limits = Limits::default();
    limits.runs = 3;
    let runner = desk(&script, legal(&agent)).limits(limits).build().unwrap();
    let result = runner.run("Hello").context_header("token", TOKEN).await.unwrap();
    assert_eq!((agent.questions().len(), agent.cards().len()), (2, 1), "the card is asked for once");
    let said = crate::support::said(&result.messages);
    assert!(said.iter().any(|said| said.contains("too many have been")), "{said:?}");
}

#[test]
fn what_cannot_be_right_is_found_when_it_is_built() {
    let faults = |external: ExternalAgent| -> Vec<String> {
        let built = Runner::with_agents([agent("a").with_delegate("legal"), agent("b")])
            .provider(Script::default().provider())
            .external_agent(external)
            .external_agent(ExternalAgent::new("b", "https://b.example.com"))
            .build();
        built.unwrap_err().0.iter().map(RegistryFault::to_string).collect()
    };
    let external = ExternalAgent::new("legal", "https://{{ headers.host }}.example.com")
        .with_header("Accept", "x")
        .with_header("A2A-Version", "1")
        .with_header("X-Org", "{{ headers.nobody }}")
        .with_header("Host", "x")
        .with_timeout(Duration::ZERO);
    let found = faults(external).join("\n");
    for part in [
        "external agent `legal`, the header `Accept`: the header `accept` belongs to the protocol",
        "external agent `legal`, the header `A2A-Version`: the header `a2a-version` belongs to the protocol",
        "external agent `legal`, the header `X-Org`",
        "external agent `legal`: a question needs more time than none",
        "external agent `b`: an agent has this name too",
    ] {
        assert!(found.contains(part), "{part}\n{found}");
    }
    let history = Runner::with_agents([agent("a").with_delegate(Delegate::new("legal").with_history())])
        .provider(Script::default().provider())
        .external_agent(ExternalAgent::new("legal", "https://legal.example.com"));
    assert!(history.build().unwrap_err().to_string().contains("sees its input alone"));
}
