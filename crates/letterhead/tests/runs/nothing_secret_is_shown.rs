//! No value of a header and no key is in what `Debug` or an error shows, or in a result that is kept.

use letterhead::{HeaderSchema, Runner, Text};
use serde_json::json;

use crate::script::{Answer, Script};
use crate::support::agent;

const SECRETS: [&str; 5] = ["key-in-config", "value-of-agent", "value-of-run", "value-of-context", "t0p-secret"];

fn clean(shown: &str) {
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[tokio::test]
async fn neither_by_debug_nor_in_a_result() {
    let schema = HeaderSchema::compile(&json!({"properties": {
        "org": {"type": "string"}, "token": {"type": "string", "writeOnly": true},
    }}))
    .unwrap();
    let script = Script::default().on("a", [Answer::text("Hello.")]);
    let agent = agent("a").with_header("X-A", "value-of-agent").with_header("X-T", "{{ headers.token }}");
    let provider = script.provider().with_api_key("key-in-config");
    clean(&format!("{provider:?} {agent:?} {:?}", agent.headers()));
    let builder = Runner::with_agents([agent]).provider(provider).headers(schema);
    clean(&format!("{builder:?}"));
    let runner = builder.build().unwrap();
    clean(&format!("{runner:?}"));
    let run = runner.run("Hello").header("X-R", "value-of-run").unwrap();
    let run = run.context_headers([("org", "value-of-context"), ("token", "t0p-secret")]);
    clean(&format!("{run:?}"));

    let result = run.await.unwrap();
    let call = script.call_of("a");
    assert_eq!(call.header("x-t"), Some("t0p-secret"), "it did go out");
    clean(&format!("{result:?}"));
    clean(&serde_json::to_string(&result).unwrap());
    let noted: Vec<_> = result.trail.iter().map(|entry| (&*entry.header, &*entry.from)).collect();
    assert!(noted.contains(&("X-T", "headers.token")), "the trail has the names: {noted:?}");
}

#[test]
fn text_of_a_configuration_may_be_a_key() {
    clean(&format!("{:?} {:?}", Text::literal("key-in-config"), Text::template("key-in-config")));
}
