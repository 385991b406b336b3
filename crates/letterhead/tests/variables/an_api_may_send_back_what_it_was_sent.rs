//! An API may repeat what it was sent, to be read by a model, a client, and whoever finds the store. What was secret in
//! the request is taken out of the value, wherever it stands.

use std::collections::BTreeMap;

use letterhead::{Text, Variable, VariableBody};
use letterhead_context::{Caller, ListedEnv, RequestContext, Secret, Sent};
use letterhead_testkit::{Answer as Reply, Recorded, ScriptedApi};
use serde_json::json;

use crate::support::{agent, builder, schema, script, told, turn};

const TOKEN: &str = "tok/canary 1";

fn echo(request: &Recorded) -> Reply {
    let seen = format!("{} {:?} {}", request.path, request.headers, request.text());
    Reply::json(&json!({ "name": "Ada", "seen": [seen], "by": { (seen.as_str()): "it" } }))
}

fn context() -> RequestContext {
    let sent = [("auth_token", json!(TOKEN)), ("user_id", json!("user-by-name"))];
    let headers = schema().merge(sent.iter().map(|(name, value)| (*name, value)), &Sent::nothing(), &[]).unwrap();
    RequestContext::builder(Caller::anonymous(), headers)
        .env(ListedEnv::new(BTreeMap::from([("API_SECRET".to_owned(), "env-canary".to_owned())])))
        .credentials([("crm", Secret::new(json!("crm-canary")))].into_iter().collect())
        .build("a")
}

#[tokio::test]
async fn neither_a_prompt_nor_what_is_kept_has_it() {
    let api = ScriptedApi::start().await;
    api.always(echo);
    let me = || Variable::new("me", api.url("/me/{{ headers.user_id }}"));
    let form = VariableBody::Form(vec![("t".to_owned(), "{{ headers.auth_token }}".into())]);
    let json = VariableBody::Json(json!({ "t": ["{{ headers.auth_token }}"], "of": "lit-canary{{ '' }}" }));
    for (variable, sent) in [
        (me().with_header("X-T", "{{ headers.auth_token }}"), TOKEN),
        (me().with_header("Authorization", "Bearer {{ credentials.crm }}"), "crm-canary"),
        (me().with_header("X-E", "{{ env.API_SECRET }}"), "env-canary"),
        (me().with_header("Authorization", "Bearer lit-canary"), "lit-canary"),
        (me().with_header("X-Crm", Text::literal("lit-canary")), "lit-canary"),
        (me().with_query("t", "{{ headers.auth_token }}"), "tok%2Fcanary%201"),
        (Variable::new("me", api.url("/{{ headers.auth_token }}/user-by-name")), "tok%2Fcanary%201"),
        (me().with_body(form), "tok%2Fcanary%201"),
        (me().with_body(json.clone()), TOKEN),
        (me().with_body(json), "lit-canary"),
    ] {
        for variable in [variable.clone(), variable.clone().with_select("seen"), variable.with_select("by")] {
            let script = script();
            let registry = builder(&api, &script)
                .env(vec!["API_SECRET".to_owned()])
                .credentials(vec!["crm".to_owned()])
                .variable(variable)
                .agent(agent("{{ me }}"))
                .build()
                .unwrap();
            let outcome = turn(&registry, context(), Vec::new()).await;
            let request = api.last();
            let went = format!("{} {:?} {}", request.path, request.headers, request.text());
            assert!(went.contains(sent), "it went to the API: {went}");
            let (told, kept) = (told(&script), outcome.kept[0].value.to_string());
            assert!(told.contains("\u{2039}removed\u{203a}") && told.contains("user-by-name"), "{told}");
            assert!(!told.contains("canary") && !kept.contains("canary"), "{told} {kept}");
        }
    }
}
