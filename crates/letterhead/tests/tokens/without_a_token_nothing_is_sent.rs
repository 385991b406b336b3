//! No token, no call: whatever the reason is, and the caller's own token never goes in its place.

use std::time::Duration;

use letterhead::run::RunEnd;
use letterhead::{Caller, CallerSource, Code, SubjectToken, Variable};
use letterhead_testkit::{Answer, ScriptedApi, ScriptedTokens};
use serde_json::{Value, json};

use crate::bank::{Bank, of, order, own, told, turn, user};
use crate::script::{Answer as Said, Script};
use crate::support::agent;

#[tokio::test]
async fn a_caller_without_a_token_of_its_own_is_refused_and_told_why() {
    for (source, name, expected) in [
        (CallerSource::ApiKey, Some("key:ci"), "the caller came with an API key"),
        (CallerSource::TrustedHeader, Some("ada"), "the caller was named by headers"),
        (CallerSource::Anonymous, None, "the caller is not known"),
        (CallerSource::Token, Some("ada"), "the caller's is not there"),
    ] {
        let bank = Bank::start().await;
        let desk = bank.desk(bank.tool(), 1);
        let outcome = turn(&desk, of(source, name, None), Vec::new()).await;
        let said = crate::support::said_in(&outcome);
        let expected = format!(
            "tool: The call was not made: the token exchange needs a token of the caller's own, and {expected}."
        );
        assert!(said.contains(&expected), "{said:?}");
        assert!(bank.api.requests().is_empty() && bank.tokens.requests().is_empty());
        let entry = outcome.trail.iter().find(|entry| &*entry.destination == "tools.get_order").unwrap();
        assert!(!entry.sent && entry.reason.is_some(), "{entry:?}");
        assert!(!outcome.had_effects);
    }
}

fn jwt_for_another() -> Value {
    // {"alg":"none"}.{"aud":"billing"}
    ScriptedTokens::answer("eyJhbGciOiJub25lIn0.eyJhdWQiOiJiaWxsaW5nIn0.c2ln", 300)
}

#[tokio::test]
async fn whatever_the_endpoint_answers_that_is_no_token_for_it() {
    let with = |member: &str, value: Value| {
        let mut answer = ScriptedTokens::answer("issued-canary", 300);
        answer[member] = value;
        Answer::json(&answer)
    };
    let denied = json!({ "error": "access_denied", "error_description": "canary" });
    for (answer, expected) in [
        (Answer::error(400, &denied), "the token endpoint refused, with 400 access_denied"),
        (Answer::error(401, &json!({ "error": "canary" })), "the token endpoint answered with status 401"),
        (Answer::status(404), "the token endpoint answered with status 404"),
        (Answer::text("canary"), "the token endpoint's answer is not what RFC 8693 says"),
        (Answer::bytes("application/json", &b"\xff\xfe{"[..]), "the token endpoint's answer is not what RFC 8693 says"),
        (Answer::json(&json!({})), "the token endpoint's answer has no `access_token`"),
        (Answer::large(10 << 20), "the token endpoint could not be asked, the answer is too large"),
        (Answer::endless(), "the token endpoint could not be asked, the answer is too large"),
        (Answer::gzip_bomb(10 << 20), "the token endpoint could not be asked, the answer is too large"),
        (with("token_type", json!("N_A")), "is no access token (`token_type` is `N_A`)"),
        (with("token_type", json!("DPoP")), "has another `token_type` than `Bearer`"),
        (
            with("issued_token_type", json!("urn:ietf:params:oauth:token-type:refresh_token")),
            "another type of token than an access token",
        ),
        (with("access_token", json!(own("ada"))), "gave the caller's own token back"),
        (Answer::json(&jwt_for_another()), "is for another audience than the one that was asked for"),
        (Answer::redirect(307, "/elsewhere"), "redirects, and a caller's token is not sent along"),
        (Answer::redirect(302, "https://canary.example/"), "redirects, and a caller's token is not sent along"),
        (
            Answer::cut("application/json", "{\"access_token\":\"canary"),
            "could not be asked, the connection ended before the answer did",
        ),
    ] {
        let bank = Bank::start().await;
        bank.tokens.then(answer);
        let desk = bank.desk(bank.tool(), 1);
        let told = told(&desk, user("ada")).await;
        assert!(told.starts_with("The call was not made: no token for it: ") && told.contains(expected), "{told}");
        assert!(bank.api.requests().is_empty(), "nothing is sent: {told}");
        assert!(bank.tokens.requests().iter().all(|request| request.route() == "/token"), "{told}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_slow_or_away_is_given_up() {
    let bank = Bank::start().await;
    bank.tokens.then(Answer::hang());
    let exchange = bank.exchange().with_timeout(Duration::from_millis(50));
    let slow = told(&bank.desk(bank.plain_tool().with_token_exchange(exchange), 1), user("ada")).await;
    assert!(slow.contains("gave no whole answer within 50ms"), "{slow}");

    let away = letterhead::TokenExchange::new(ScriptedApi::nowhere().await).with_audience("orders");
    let away = told(&bank.desk(bank.plain_tool().with_token_exchange(away), 1), user("ada")).await;
    assert!(away.contains("could not be asked, the connection was refused"), "{away}");
    assert!(bank.api.requests().is_empty());
}

/// What passes by itself is asked for once more, in the same call.
#[tokio::test]
async fn an_endpoint_that_stumbles_is_asked_again() {
    let bank = Bank::start().await;
    bank.api.always(|_| Answer::json(&order()));
    bank.tokens.then(Answer::status(503));
    assert_eq!(told(&bank.desk(bank.tool(), 1), user("ada")).await, order().to_string());
    assert_eq!(bank.tokens.requests().len(), 2);
}

#[tokio::test]
async fn without_the_clients_secret_the_endpoint_is_not_asked() {
    let bank = Bank::start().await;
    let context = letterhead::RequestContext::builder(
        Caller::new(letterhead::TenantId::default(), None, CallerSource::Token),
        letterhead::Headers::none(),
    )
    .subject_token(SubjectToken::new(own("ada"), None))
    .build("a");
    let told = told(&bank.desk(bank.tool(), 1), context).await;
    assert!(told.contains("the secret of the token exchange's client is missing"), "{told}");
    assert!(bank.tokens.requests().is_empty() && bank.api.requests().is_empty());
}

#[tokio::test]
async fn a_variable_without_its_token_has_its_default_is_missing_or_ends_the_turn() {
    let nobody = || of(CallerSource::ApiKey, Some("key:ci"), None);
    for (kind, expected) in [("default", Some("none")), ("optional", Some("")), ("needed", None)] {
        for by_endpoint in [false, true] {
            let bank = Bank::start().await;
            let script = Script::default().on("a", [Said::text("Hi.")]);
            let variable = Variable::new("me", bank.api.url("/me")).with_token_exchange(bank.exchange());
            let variable = match kind {
                "default" => variable.with_default(json!("none")),
                "optional" => variable.optional(),
                _ => variable,
            };
            let agent = agent("a").with_instructions("[{{ me }}]");
            let registry = bank.builder(&script).variable(variable).agent(agent).build().unwrap();
            bank.tokens.then(Answer::error(400, &json!({ "error": "invalid_target" })));
            let context = if by_endpoint { user("ada") } else { nobody() };
            let outcome = turn(&registry, context, Vec::new()).await;
            assert!(bank.api.requests().is_empty());
            assert!(outcome.trail.iter().all(|entry| !entry.sent || &*entry.destination != "context.me"));
            match expected {
                Some(value) => {
                    assert_eq!(script.calls_of("a").pop().unwrap().instructions, format!("[{value}]"));
                }
                None => {
                    let RunEnd::Failed(problem) = outcome.end else { panic!("{:?}", outcome.end) };
                    assert_eq!(problem.code(), Code::ContextUnavailable);
                    let reason = if by_endpoint { "invalid_target" } else { "came with an API key" };
                    assert!(problem.detail().contains(reason), "{problem:?}");
                }
            }
        }
    }
}
