//! A turn of a configuration without a server.

use letterhead::run::{Outcome, RunEnd, RunInput};
use letterhead::{Caller, Events, Limits, RequestContext, Sent};
use letterhead_server::assembly;
use serde_json::{Value, json};

/// What comes of a message with the headers `auth_token: t-canary` and `org_name: Acme`.
pub(crate) async fn turn(config: &str, message: &str) -> Outcome {
    let checked = assembly::check_text("test.yaml", config, &|_| None);
    let registry = checked.unwrap_or_else(|report| unreachable!("{report}")).registry;
    let (token, org) = (Value::from("t-canary"), Value::from("Acme"));
    let sent = [("auth_token", &token), ("org_name", &org)];
    let headers = registry.schema().merge(sent, &Sent::nothing(), &[]).unwrap();
    let context = RequestContext::builder(Caller::anonymous(), headers).build("assistant");
    let message = json!({ "role": "user", "content": message }).to_string();
    let input = RunInput::new([message.into()]);
    let outcome = registry.run(context, input, Limits::default(), Default::default(), Events::none()).await;
    assert!(matches!(outcome.end, RunEnd::Complete(_)), "{:?}", outcome.end);
    outcome
}
