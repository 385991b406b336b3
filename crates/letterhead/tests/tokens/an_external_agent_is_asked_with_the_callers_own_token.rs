//! An agent on another machine gets the caller's token for it: with the question, and with the request for its card.

use letterhead::{CallerSource, ExternalAgent, Registry};
use letterhead_testkit::agent::{artifact, status};
use letterhead_testkit::{A2a, Answer, ScriptedAgent, ScriptedTokens};
use serde_json::json;

use crate::bank::{Bank, carried, never_got, of, turn, user};
use crate::script::{Answer as Said, Script};
use crate::support::{agent, said_in};

fn desk(bank: &Bank, legal: &ScriptedAgent, turns: usize) -> Registry {
    let asking = || [Said::calls([("ask_agent", json!({ "agent": "legal", "input": "May we?" }))]), Said::text("done")];
    let script = (0..turns).fold(Script::default(), |script, _| script.on("a", asking()));
    let external = ExternalAgent::new("legal", legal.api.url("")).with_description("Knows the law.");
    let builder = bank.builder(&script).external_agent(external.with_token_exchange(bank.exchange()));
    builder.agent(agent("a").with_delegate("legal")).build().unwrap()
}

#[tokio::test]
async fn card_and_question_carry_it_and_callers_share_no_card() {
    for version in [A2a::One, A2a::Zero3] {
        let (bank, legal) = (Bank::start().await, ScriptedAgent::start(version).await);
        let desk = desk(&bank, &legal, 3);
        for name in ["ada", "ada", "bob"] {
            let outcome = turn(&desk, user(name), Vec::new()).await;
            assert!(said_in(&outcome).contains(&"tool: You asked: May we?".to_owned()), "{:?}", said_in(&outcome));
        }
        let token = |number| format!("Bearer {}", ScriptedTokens::token("orders", number));
        let (ada, bob) = (token(1), token(2));
        assert_eq!(carried(&legal.api), [&*ada, &ada, &ada, &bob, &bob], "a card, two questions; a card, a question");
        never_got(&legal.api, "own-canary");
    }
}

#[tokio::test]
async fn without_it_the_agent_is_not_asked() {
    let (bank, legal) = (Bank::start().await, ScriptedAgent::start(A2a::One).await);
    let desk = desk(&bank, &legal, 2);
    bank.tokens.then(Answer::error(400, &json!({ "error": "invalid_target" })));
    let key = of(CallerSource::ApiKey, Some("key:ci"), None);
    for (context, why) in [(user("ada"), "400 invalid_target"), (key, "the caller came with an API key")] {
        let outcome = turn(&desk, context, Vec::new()).await;
        let said = said_in(&outcome).join("\n");
        assert!(said.contains("tool: ") && said.contains(why), "{said}");
        assert!(outcome.trail.iter().all(|entry| !entry.sent || &*entry.destination != "external_agents.legal"));
        assert!(!outcome.had_effects);
    }
    assert!(legal.api.requests().is_empty());
}

#[tokio::test]
async fn one_that_it_refuses_is_got_anew_and_the_question_asked_once_more() {
    let (bank, legal) = (Bank::start().await, ScriptedAgent::start(A2a::One).await);
    legal.then_raw(|_| Answer::status(401));
    let outcome = turn(&desk(&bank, &legal, 1), user("ada"), Vec::new()).await;
    assert!(said_in(&outcome).contains(&"tool: You asked: May we?".to_owned()), "{:?}", said_in(&outcome));
    let asked: Vec<_> = legal.questions().iter().map(|asked| asked.header("authorization").concat()).collect();
    assert_eq!(asked, [1, 2].map(|number| format!("Bearer {}", ScriptedTokens::token("orders", number))));
}

/// In one piece, or in two of which neither is it.
#[tokio::test]
async fn an_agent_that_sends_it_back_does_not_show_it() {
    let (bank, legal) = (Bank::start().await, ScriptedAgent::start(A2a::One).await.streaming());
    let pieces = ["You sent ", "issued-cana", "ry-orders-1", "."];
    let words = pieces.iter().enumerate().map(|(at, text)| artifact(text, at > 0));
    legal.then(words.chain([status("TASK_STATE_COMPLETED")]));
    let outcome = turn(&desk(&bank, &legal, 1), user("ada"), Vec::new()).await;
    let said = said_in(&outcome).join("\n");
    assert!(said.contains("tool: You sent \u{2039}removed\u{203a}."), "{said}");
}
