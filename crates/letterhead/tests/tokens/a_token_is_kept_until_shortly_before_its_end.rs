//! One exchange is made for a token that is good for many calls, and another one in time.

use std::time::Duration;

use letterhead::{Registry, Variable};
use letterhead_testkit::{Answer, ScriptedTokens};
use serde_json::json;

use crate::bank::{Bank, NOW, carried, order, own, told, turn, user, user_until};
use crate::script::{Answer as Said, Script};
use crate::support::agent;

async fn desk(turns: usize) -> (Bank, Registry) {
    let bank = Bank::start().await;
    bank.api.always(|_| Answer::json(&order()));
    let desk = bank.desk(bank.tool(), turns);
    (bank, desk)
}

/// The numbers of the tokens that the API has got.
fn numbers(bank: &Bank) -> Vec<String> {
    let number = |header: String| header.rsplit('-').next().unwrap().to_owned();
    carried(&bank.api).into_iter().map(number).collect()
}

#[tokio::test]
async fn it_is_used_for_most_of_its_time_and_then_another_is_got() {
    let (bank, desk) = desk(5).await;
    for (advance, expected) in [(0, "1"), (200, "1"), (39, "1"), (1, "2"), (1, "2")] {
        bank.clock.advance(Duration::from_secs(advance));
        told(&desk, user("ada")).await;
        assert_eq!(numbers(&bank).last().unwrap(), expected, "after {advance} s more, of 300");
    }
}

#[tokio::test]
async fn callers_and_new_tokens_of_a_caller_share_none() {
    let (bank, desk) = desk(4).await;
    for name in ["ada", "bob", "ada", "carl"] {
        told(&desk, user(name)).await;
    }
    assert_eq!(numbers(&bank), ["1", "2", "1", "3"]);
    let subjects: Vec<_> =
        bank.tokens.exchanges().iter().map(|one| one.field("subject_token").unwrap().to_owned()).collect();
    assert_eq!(subjects, [own("ada"), own("bob"), own("carl")]);
}

#[tokio::test]
async fn it_does_not_outlive_the_token_that_it_was_traded_for() {
    let (bank, desk) = desk(3).await;
    let ada = || user_until("ada", Some(NOW + 10));
    told(&desk, ada()).await;
    bank.clock.advance(Duration::from_secs(9));
    told(&desk, ada()).await;
    bank.clock.advance(Duration::from_secs(1));
    bank.tokens.then(Answer::error(400, &json!({ "error": "invalid_grant" })));
    assert!(told(&desk, ada()).await.contains("400 invalid_grant"), "the endpoint is asked, and not the cache");
    assert_eq!(numbers(&bank), ["1", "1"]);
}

#[tokio::test]
async fn one_that_its_destination_refuses_is_got_anew_once() {
    let (bank, desk) = desk(3).await;
    bank.api.then(Answer::error(401, &json!({ "error": "invalid_token" })));
    assert_eq!(told(&desk, user("ada")).await, order().to_string());
    assert_eq!(numbers(&bank), ["1", "2"]);

    bank.api.then(Answer::error(401, &json!({}))).then(Answer::error(401, &json!({})));
    assert_eq!(told(&desk, user("ada")).await, "The API answered with status 401 (Unauthorized).");
    assert_eq!(numbers(&bank), ["1", "2", "2", "3"], "once, and not for ever");

    bank.api.then(Answer::error(403, &json!({})));
    told(&desk, user("ada")).await;
    assert_eq!(numbers(&bank).len(), 5, "403 is no matter of the token");
    assert_eq!(bank.tokens.exchanges().len(), 4, "the one that was refused last is not used again");
}

#[tokio::test]
async fn where_no_other_is_to_be_had_the_refusal_is_told() {
    let (bank, desk) = desk(1).await;
    bank.tokens.then(Answer::json(&ScriptedTokens::answer("first-canary", 300)));
    bank.tokens.then(Answer::error(400, &json!({ "error": "invalid_grant" })));
    bank.api.then(Answer::error(401, &json!({})));
    assert_eq!(told(&desk, user("ada")).await, "The API answered with status 401 (Unauthorized).");
    assert_eq!(carried(&bank.api), ["Bearer first-canary"]);
}

#[tokio::test]
async fn who_needs_one_at_the_same_time_waits_for_the_same() {
    let bank = Bank::start().await;
    bank.api.always(|_| Answer::json(&order()));
    let calls = Said::calls(std::iter::repeat_n(("get_order", json!({})), 6));
    let script = Script::default().on("a", [calls, Said::text("done")]);
    let registry = bank.builder(&script).http_tool(bank.tool()).agent(agent("a").with_tool_named("get_order"));
    let registry = registry.build().unwrap();
    let (answer, gate) = Answer::json(&ScriptedTokens::answer("held-canary", 300)).held();
    bank.tokens.then(answer);
    let turn = turn(&registry, user("ada"), Vec::new());
    let (_, ()) = tokio::join!(turn, async {
        bank.tokens.received(1).await;
        gate.open();
    });
    assert_eq!(carried(&bank.api), vec!["Bearer held-canary"; 6]);
    assert_eq!(bank.tokens.exchanges().len(), 1);
}

/// A failure is told to all who wait for it, and to nobody after them.
#[tokio::test]
async fn a_failure_is_not_kept() {
    let (bank, desk) = desk(2).await;
    bank.tokens.then(Answer::error(400, &json!({ "error": "invalid_target" })));
    assert!(told(&desk, user("ada")).await.contains("invalid_target"));
    assert_eq!(told(&desk, user("ada")).await, order().to_string());
}

/// What was fetched for one token is not shown for another.
#[tokio::test]
async fn a_variable_is_kept_as_long_as_the_callers_token_is_the_same() {
    let bank = Bank::start().await;
    bank.api.always(|request| Answer::json(&json!({ "by": request.header("authorization").concat().len() })));
    let script = Script::default().on("a", std::iter::repeat_n(Said::text("Hi."), 4));
    let variable = Variable::new("me", bank.api.url("/me")).with_token_exchange(bank.exchange());
    let registry = bank.builder(&script).variable(variable).agent(agent("a").with_instructions("{{ me.by }}"));
    let registry = registry.build().unwrap();
    let first = turn(&registry, user("ada"), Vec::new()).await;
    assert_eq!((first.kept.len(), bank.api.requests().len()), (1, 1));
    assert!(first.kept[0].secret, "its fingerprint is kept under a key alone");
    turn(&registry, user("ada"), first.kept.clone()).await;
    assert_eq!(bank.api.requests().len(), 1, "kept");
    turn(&registry, user("bob"), first.kept.clone()).await;
    assert_eq!(bank.api.requests().len(), 2, "another token, another request");
}

/// Nobody waits for it any more.
#[tokio::test]
async fn an_exchange_that_nobody_needs_any_more_is_given_up() {
    let (bank, desk) = desk(2).await;
    bank.tokens.then(Answer::hang());
    tokio::select! {
        _ = turn(&desk, user("ada"), Vec::new()) => panic!("the endpoint hangs"),
        () = bank.tokens.received(1) => {}
    }
    bank.tokens.left(1).await;
    // The model's other answer of that turn.
    turn(&desk, user("ada"), Vec::new()).await;
    assert_eq!(told(&desk, user("ada")).await, order().to_string(), "and the next who needs one asks anew");
}
