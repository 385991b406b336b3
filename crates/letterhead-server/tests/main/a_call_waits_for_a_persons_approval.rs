//! CONTRACT 7 and 9, Approvals: a tool with `approve: true` is called when a person has said so, with the arguments that the
//! person was shown, and the model learns what was decided.

use letterhead_testkit::{Answer, Reply};
use serde_json::{Value, json};

use crate::support::Send;
use crate::support::refunds::{Scene, approvals, is_over, refund, yes};

#[tokio::test]
async fn nobody_is_asked_for_a_call_that_cannot_be_made() {
    let scene = Scene::set().await;
    let wanted = Reply::tool("refund", json!({ "ordr": "7" })).and_tool("refund", json!({ "order": "8" }));
    let [asked] = &scene.pause(wanted).await[..] else { panic!("one of two can be made") };
    assert_eq!(asked["arguments"], r#"{"order":"8"}"#);
    scene.llm.then(refund("9")).then(Reply::text("Both."));
    let again = scene.answer(json!([yes(asked)])).await;
    let told = scene.told();
    assert!(
        told[0].1.contains("\"order\" is a required property") && told[0].1.contains("Nothing was called"),
        "{told:?}"
    );
    assert_eq!((told.len(), approvals(&again).len(), scene.refunds()), (2, 1, 1));
}

#[tokio::test]
async fn it_is_not_made_before_somebody_says_so_and_then_once() {
    let scene = Scene::set().await;
    let [asked] = &scene.pause(refund("7")).await[..] else { panic!() };
    assert_eq!((&asked["name"], &asked["tool_call_id"]), (&json!("refund"), &json!("call_0_0")));
    assert_eq!(asked["arguments"].as_str().unwrap(), r#"{"order":"7"}"#);
    assert_eq!((scene.refunds(), scene.llm.requests().len()), (0, 1));

    scene.llm.then(Reply::text("Refunded."));
    let done = scene.answer(json!([yes(asked)])).await;
    assert_eq!(done.content(), "Refunded.");
    is_over(&done);
    // With the stored header, as the agent that asked.
    let call = scene.api.last();
    assert_eq!((call.json(), call.header("authorization")), (json!({ "order": "7" }), vec!["Bearer t_1"]));
    assert_eq!(scene.told(), [("call_0_0".to_owned(), r#"{"refunded":true}"#.to_owned())]);

    // One after the other: the second finds nothing that waits.
    let again = scene.answer(json!([yes(asked)])).await;
    again.problem(400, "invalid_body");
    assert_eq!(again.faults(), [("/approvals".to_owned(), "invalid_body".to_owned())]);
    assert_eq!(scene.refunds(), 1);
    let said = scene.house.transcript("s").await;
    let roles: Vec<&str> = said.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "assistant"]);
}

#[tokio::test]
async fn its_turn_is_one_that_waits_and_the_next_one_says_which_it_goes_on_with() {
    let scene = Scene::set().await;
    let asked = scene.pause(refund("1").and_tool("refund", json!({ "order": "2" }))).await;
    scene.llm.then(Reply::text("Refunded."));
    scene.answer(json!([yes(&asked[0])])).await;
    let [waiting]: [Value; 1] = scene.waiting().await.try_into().unwrap();
    assert_eq!((&waiting["turn"], &waiting["approvals"]), (&json!(2), &json!([asked[1]])));
    scene.answer(json!([yes(&asked[1])])).await;
    assert!(scene.waiting().await.is_empty());
    let turns = scene.house.rows(scene.house.get("/api/v1/sessions/s/turns")).await;
    let statuses: Vec<&str> = turns.iter().map(|turn| turn["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["complete", "complete", "complete"], "newest first: {turns:#?}");
    assert_eq!((&turns[0]["continues"], &turns[1]["continues"]), (&turns[2]["id"], &turns[2]["id"]));
}

#[tokio::test]
async fn what_waits_is_found_again_by_its_turn() {
    let scene = Scene::set().await;
    // What is no question to a person is none there either.
    let handoff = refund("7").and_tool("transfer_to_billing", json!({})).and_tool("get_order", json!({ "order": "7" }));
    let asked = scene.pause(handoff).await;
    assert_eq!(asked.len(), 1);
    let [waiting]: [Value; 1] = scene.waiting().await.try_into().unwrap();
    assert_eq!(waiting["approvals"], json!(asked));
    // A model that fails leaves it waiting; a message that is answered does not.
    scene.llm.then(Answer::error(400, &json!({ "error": { "message": "no" } })));
    assert_eq!(scene.house.say_in("s", "Forget it").answered().await.status, 400);
    assert_eq!(scene.waiting().await, std::slice::from_ref(&waiting));
    scene.llm.then(Reply::text("Then not."));
    assert_eq!(scene.house.say_in("s", "Forget it").answered().await.status, 200);
    assert!(scene.waiting().await.is_empty());
    let over = scene.turn(&waiting["id"]).await;
    assert_eq!((&over["status"], over.get("approvals")), (&json!("complete"), None));
}

#[tokio::test]
async fn refused_it_is_not_made_and_the_model_hears_why() {
    let scene = Scene::set().await;
    let asked = scene.pause(refund("7")).await;
    scene.llm.then(Reply::text("All right."));
    let refusal = json!([{ "id": asked[0]["id"], "approved": false, "reason": "too much" }]);
    assert_eq!(scene.answer(refusal).await.content(), "All right.");
    assert_eq!(scene.refunds(), 0);
    let told = scene.told();
    assert!(told[0].1.contains("refused") && told[0].1.contains("too much"), "{told:?}");
    scene.answer(json!([yes(&asked[0])])).await.problem(400, "invalid_body");
    assert_eq!(scene.refunds(), 0, "a refusal holds");
}

#[tokio::test]
async fn a_new_message_goes_on_without_it() {
    let scene = Scene::set().await;
    let asked = scene.pause(refund("7")).await;
    scene.llm.then(Reply::text("Then not."));
    assert_eq!(scene.house.say_in("s", "Forget it").answered().await.content(), "Then not.");
    let told = scene.told();
    assert!(told[0].1.contains("it was not made"), "{told:?}");
    scene.answer(json!([yes(&asked[0])])).await.problem(400, "invalid_body");
    assert_eq!(scene.refunds(), 0);
}

#[tokio::test]
async fn an_answer_and_a_new_message_do_not_come_together() {
    let scene = Scene::set().await;
    let asked = scene.pause(refund("7")).await;
    let both = json!({ "messages": [{ "role": "user", "content": "And?" }], "approvals": [yes(&asked[0])] });
    let refused = scene.send(&both).await;
    refused.problem(400, "invalid_body");
    assert_eq!(refused.faults()[0].0, "/approvals");
    // Messages up to the assistant's last are history, as OpenAI's clients send it.
    scene.llm.then(Reply::text("Refunded."));
    let history = json!([{ "role": "user", "content": "Do it" }, { "role": "assistant", "content": "" }]);
    let done = scene.send(&json!({ "messages": history, "approvals": [yes(&asked[0])] })).await;
    assert_eq!((done.content().as_str(), scene.refunds()), ("Refunded.", 1));
}

#[tokio::test]
async fn of_several_those_that_are_answered_are_decided_and_the_rest_waits_on() {
    let scene = Scene::set().await;
    let wanted = refund("1").and_tool("refund", json!({ "order": "2" })).and_tool("get_order", json!({ "order": "7" }));
    let asked = scene.pause(wanted).await;
    assert_eq!(asked.len(), 2);
    assert_eq!(scene.api.requests_to("/orders/7").len(), 1, "what needs no approval is made at once");

    let left = scene.answer(json!([yes(&asked[1])])).await;
    assert_eq!(approvals(&left), asked[..1]);
    assert_eq!(
        (scene.refunds(), scene.llm.requests().len()),
        (1, 1),
        "the model is not called before all are answered"
    );
    assert_eq!(scene.api.last().json(), json!({ "order": "2" }));

    scene.llm.then(Reply::text("One of two."));
    let done = scene.answer(json!([{ "id": asked[0]["id"], "approved": false }, yes(&asked[1])])).await;
    assert_eq!((done.content().as_str(), scene.refunds()), ("One of two.", 1));
    let calls: Vec<String> = scene.told().into_iter().map(|(call, _)| call).collect();
    assert_eq!(calls, ["call_0_2", "call_0_1", "call_0_0"]);
}

#[tokio::test]
async fn a_clients_tool_in_the_same_answer_is_waited_for_too() {
    let scene = Scene::set().await;
    let tools = json!([{ "type": "function", "function": { "name": "pick", "parameters": { "type": "object" } } }]);
    let say = json!({ "messages": [{ "role": "user", "content": "Do it" }], "tools": tools });
    let both = || refund("7").and_tool("pick", json!({}));
    scene.llm.then(both());
    let paused = scene.send(&say).await;
    let asked = approvals(&paused);
    let choice = &paused.json()["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["tool_calls"][0]["id"]),
        (&json!("tool_calls"), &json!("call_0_1"))
    );

    // The approval first: the client's call is named again.
    let left = scene.send(&json!({ "approvals": [yes(&asked[0])], "tools": tools })).await;
    is_over(&left);
    assert_eq!(left.json()["choices"][0]["message"]["tool_calls"][0]["id"], "call_0_1");
    assert_eq!((scene.refunds(), scene.llm.requests().len()), (0, 1), "without the header the call cannot be made");
    scene.llm.then(Reply::text("Both."));
    let result = json!([{ "role": "tool", "tool_call_id": "call_0_1", "content": "red" }]);
    assert_eq!(scene.send(&json!({ "messages": result, "tools": tools })).await.content(), "Both.");
    assert!(scene.told()[0].1.contains("auth_token"), "{:?}", scene.told());

    // The client's result first: the approval is asked for again.
    scene.llm.then(both());
    let asked = approvals(&scene.send(&say).await);
    let result = json!([{ "role": "tool", "tool_call_id": "call_2_1", "content": "red" }]);
    assert_eq!(approvals(&scene.send(&json!({ "messages": result, "tools": tools })).await), asked);
    scene.llm.then(Reply::text("Again."));
    assert_eq!(scene.answer(json!([yes(&asked[0])])).await.content(), "Again.");
}

#[tokio::test]
async fn a_handoff_in_the_same_answer_waits() {
    let scene = Scene::set().await;
    let asked = scene.pause(refund("7").and_tool("handoff_to_billing", json!({}))).await;
    let session = scene.house.get("/api/v1/sessions/s").answered().await.json();
    assert_eq!(session["agent"], "assistant");
    scene.llm.then(Reply::text("Billing here."));
    assert_eq!(scene.answer(json!([yes(&asked[0])])).await.content(), "Billing here.");
    assert_eq!(scene.llm.last().json()["messages"][0]["content"], "You handle billing.");
    assert_eq!(scene.api.last().header("x-agent"), ["assistant"], "called as the agent that wanted it");
    let session = scene.house.get("/api/v1/sessions/s").answered().await.json();
    assert_eq!(session["agent"], "billing");
}

#[tokio::test]
async fn another_agent_may_be_asked_for_and_the_call_stays_what_it_was() {
    let scene = Scene::set().await;
    let asked = scene.pause(refund("7")).await;
    scene.llm.then(Reply::text("Billing here."));
    let done = scene.send(&json!({ "model": "billing", "approvals": [yes(&asked[0])] })).await;
    assert_eq!(done.content(), "Billing here.");
    assert_eq!(scene.api.last().header("x-agent"), ["assistant"]);
    assert_eq!(scene.llm.last().json()["messages"][0]["content"], "You handle billing.");
}

#[tokio::test]
async fn where_nobody_can_be_asked_it_is_not_made() {
    let scene = Scene::set().await;
    // Without a session.
    scene.llm.then(refund("7")).then(Reply::text("I may not."));
    let said = scene.house.say("Do it").header("auth_token", "t_1").answered().await;
    assert_eq!(said.content(), "I may not.");
    is_over(&said);
    assert!(scene.told()[0].1.contains("nobody can be asked"), "{:?}", scene.told());
    let body = json!({ "messages": [], "approvals": [{ "id": "msg_1:0", "approved": true }] });
    let refused = scene.house.post("/v1/chat/completions", &body).answered().await;
    refused.problem(400, "invalid_body");
    // In a delegate.
    scene.llm.then(Reply::tool("ask_agent", json!({ "agent": "clerk", "input": "Refund 7" })));
    scene.llm.then(refund("7")).then(Reply::text("I, too.")).then(Reply::text("He may not."));
    let said = scene.house.say_in("d", "Do it").header("auth_token", "t_1").answered().await;
    assert_eq!(said.content(), "He may not.");
    is_over(&said);
    assert_eq!(scene.refunds(), 0);
}

#[tokio::test]
async fn with_a_session_the_strict_protocol_pauses_too() {
    let scene = Scene::set().await;
    scene.llm.then(refund("7")).then(Reply::text("Refunded."));
    let said = scene.house.say("Do it").header("auth_token", "t_1").header("X-Session-Id", "v1").answered().await;
    let asked = approvals(&said);
    assert_eq!(said.json()["choices"][0]["finish_reason"], "stop");
    let body = json!({ "messages": [], "approvals": [yes(&asked[0])] });
    let done = scene.house.post("/v1/chat/completions", &body).header("X-Session-Id", "v1").answered().await;
    assert_eq!((done.content().as_str(), scene.refunds()), ("Refunded.", 1));
}
