//! The caller's token goes to the endpoint, as RFC 8693 says it; the token that comes back goes to its destination.

use letterhead::{ClientAuthentication, HttpTool, SubjectTokenType, TokenExchange};
use letterhead_testkit::{Answer, ScriptedTokens};
use serde_json::json;

use crate::bank::{Bank, CLIENT_SECRET, calling, carried, never_got, order, own, told, turn, user};
use crate::support::agent;

#[tokio::test]
async fn the_endpoint_is_asked_as_the_standard_says() {
    let bank = Bank::start().await;
    bank.api.on("/orders").json(&order());
    let exchange = bank.exchange().with_scope("orders:read orders:list").with_resource("https://orders.example.com/v1");
    let desk = bank.desk(bank.plain_tool().with_token_exchange(exchange), 1);
    assert_eq!(told(&desk, user("ada")).await, order().to_string());

    let [exchange] = &*bank.tokens.exchanges() else { panic!("one exchange") };
    let form: Vec<(&str, &str)> = exchange.form.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(
        form,
        [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", &*own("ada")),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", "orders"),
            ("resource", "https://orders.example.com/v1"),
            ("scope", "orders:read orders:list"),
        ]
    );
    assert_eq!(exchange.content_type, "application/x-www-form-urlencoded");
    // `letter:head` and the secret, each encoded as in a form; worked out with another program.
    assert_eq!(exchange.authorization, ["Basic bGV0dGVyJTNBaGVhZDpjbGllbnQrY2FuYXJ5JTNBJTI1JTI2JTJCJTJG"]);
    assert_eq!(carried(&bank.api), [format!("Bearer {}", ScriptedTokens::token("orders", 1))]);
    never_got(&bank.api, "own-canary");
}

#[tokio::test]
async fn a_client_shows_its_secret_as_it_is_told_to() {
    let of = |bank: &Bank| TokenExchange::new(bank.tokens.url()).with_audience("orders");
    for (post, fields) in [(true, Some(CLIENT_SECRET)), (false, None)] {
        let bank = Bank::start().await;
        let exchange = match post {
            true => of(&bank).with_client("letterhead", "{{ credentials.client }}", ClientAuthentication::Post),
            false => of(&bank).with_public_client("letterhead").with_subject_token_type(SubjectTokenType::Jwt),
        };
        let desk = bank.desk(bank.plain_tool().with_token_exchange(exchange), 1);
        told(&desk, user("ada")).await;
        let [exchange] = &*bank.tokens.exchanges() else { panic!("one exchange") };
        assert_eq!((exchange.field("client_id"), exchange.field("client_secret")), (Some("letterhead"), fields));
        assert!(exchange.authorization.is_empty(), "one way of showing it, not two");
        let kind = if post { "access_token" } else { "jwt" };
        let kind = format!("urn:ietf:params:oauth:token-type:{kind}");
        assert_eq!(exchange.field("subject_token_type"), Some(&*kind));
    }
}

#[tokio::test]
async fn each_destination_has_a_token_of_its_own() {
    let bank = Bank::start().await;
    bank.api.always(|_| Answer::json(&order()));
    let tool = |name: &str, exchange: TokenExchange| {
        HttpTool::new(name, bank.api.url(&format!("/{name}"))).with_description("A tool.").with_token_exchange(exchange)
    };
    let exchange = || TokenExchange::new(bank.tokens.url());
    let calls = crate::script::Answer::calls([("one", json!({})), ("two", json!({})), ("three", json!({}))]);
    let script = crate::script::Script::default().on("a", [calls, crate::script::Answer::text("done")]);
    let registry = bank
        .builder(&script)
        .http_tool(tool("one", exchange().with_audience("orders")))
        .http_tool(tool("two", exchange().with_audience("orders")))
        .http_tool(tool("three", exchange().with_audience("billing").with_scope("read")))
        .agent(agent("a").with_tool_named("one").with_tool_named("two").with_tool_named("three"))
        .build()
        .unwrap();
    turn(&registry, user("ada"), Vec::new()).await;

    let mut audiences: Vec<_> =
        bank.tokens.exchanges().iter().map(|one| one.field("audience").unwrap().to_owned()).collect();
    audiences.sort_unstable();
    assert_eq!(audiences, ["billing", "orders", "orders"], "the same audience at another destination is another token");
    let mut tokens = carried(&bank.api);
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 3);
    let billing = bank.api.requests_to("/three")[0].header("authorization").concat();
    assert!(billing.starts_with("Bearer issued-canary-billing-"), "{billing}");
}

#[tokio::test]
async fn a_trail_names_the_header_and_where_it_is_from() {
    let bank = Bank::start().await;
    bank.api.always(|_| Answer::json(&order()));
    let desk = bank.desk(bank.tool(), 1);
    let outcome = turn(&desk, user("ada"), Vec::new()).await;
    let [entry] = &*outcome.trail.iter().filter(|entry| &*entry.destination == "tools.get_order").collect::<Vec<_>>()
    else {
        panic!("{:?}", outcome.trail)
    };
    assert_eq!((&*entry.header, &*entry.from, entry.sent), ("Authorization", "auth.token_exchange", true));
}

/// The model reads answers.
#[tokio::test]
async fn an_api_that_sends_its_token_back_does_not_show_it() {
    let bank = Bank::start().await;
    bank.api.always(|request| {
        let token = request.header("authorization").concat();
        Answer::json(&json!({ "you": [token, token.trim_start_matches("Bearer ")] }))
    });
    let told = told(&bank.desk(bank.tool(), 1), user("ada")).await;
    assert_eq!(told, "{\"you\":[\"Bearer \u{2039}removed\u{203a}\",\"\u{2039}removed\u{203a}\"]}");
}

#[tokio::test]
async fn a_tool_without_an_exchange_carries_nothing() {
    let bank = Bank::start().await;
    bank.api.always(|_| Answer::json(&order()));
    let script = calling(1);
    let registry = bank.builder(&script).http_tool(bank.plain_tool());
    let registry = registry.agent(agent("a").with_tool_named("get_order")).build().unwrap();
    told(&registry, user("ada")).await;
    assert_eq!(carried(&bank.api), [""]);
    assert!(bank.tokens.requests().is_empty());
}
