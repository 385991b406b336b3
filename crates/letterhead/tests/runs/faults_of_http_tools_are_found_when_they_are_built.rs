//! A tool that could not work is found before anybody calls it: all faults at once.

use std::time::Duration;

use letterhead::variable::VariableBody;
use letterhead::{Agent, HeaderSchema, HttpTool, Runner};
use serde_json::{Value, json};

fn faults(tools: impl IntoIterator<Item = HttpTool>, names: &[&str]) -> Vec<String> {
    let schema = HeaderSchema::compile(&json!({ "properties": { "user_id": {}, "token": { "writeOnly": true } } }));
    let agent = names.iter().fold(Agent::new("a"), |agent, name| agent.with_tool_named(*name));
    let builder = Runner::with_agents([agent]).headers(schema.unwrap());
    let built = tools.into_iter().fold(builder, letterhead::RunnerBuilder::http_tool).build();
    built.err().map_or_else(Vec::new, |error| error.0.iter().map(ToString::to_string).collect())
}

fn tool() -> HttpTool {
    HttpTool::new("get_order", "https://api.example.com/orders")
}

fn order() -> Value {
    json!({ "properties": { "order_id": {} } })
}

#[test]
fn a_tool_without_fault_is_built() {
    assert_eq!(
        faults([tool().with_parameters(order()).with_query("id", "{{ args.order_id }}")], &["get_order"]),
        [""; 0]
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let wrong = tool()
        .with_description("For {{ headers.token }}.")
        .with_parameters(order())
        .with_header("X-User", "{{ headers.usr_id }}")
        .with_query("id", "{{ args.orderid }}")
        .with_body(VariableBody::Json(json!({ "note": "{{ args.note }}", "x": "{{ nobody.x }}" })))
        .with_select("order[")
        .with_timeout(Duration::ZERO);
    let told = faults([wrong.clone()], &["get_order"]);
    for part in ["`headers.token`", "`headers.user_id`", "`nobody`", "JSONPath", "more time than none"] {
        assert!(
            told.iter().any(|fault| fault.starts_with("tool `get_order`") && fault.contains(part)),
            "{part}: {told:#?}"
        );
    }
    assert_eq!(told.len(), 5, "{told:#?}");
}

#[test]
fn an_argument_that_no_call_has_is_told_with_the_one_that_may_be_meant() {
    let wrong =
        tool().with_parameters(order()).with_query("id", "{{ args.orderid }}").with_header("X-N", "{{ args.n }}");
    let mut told = faults([wrong], &[]);
    told.sort();
    assert_eq!(
        told,
        [
            "tool `get_order`, the header `X-N`: there is no argument `n`: add it to `parameters`",
            "tool `get_order`, the query parameter `id`: there is no argument `orderid`: did you mean `args.order_id`?",
        ]
    );
}

#[test]
fn names_must_be_there_and_differ() {
    let told = faults([tool(), tool()], &["get_order", "get_ordr", "other"]);
    assert_eq!(
        told,
        [
            "tool `get_order`: there are two tools of this name",
            "agent `a`: there is no tool `get_ordr`: did you mean `get_order`?",
            "agent `a`: there is no tool `other`: define it under `tools`",
        ]
    );
    assert_eq!(
        faults([tool()], &["get_order", "get_order"]),
        ["agent `a`: two tools would be called `get_order`: names of tools must differ"]
    );
    let [told] = <[String; 1]>::try_from(faults([HttpTool::new("get order", "https://api.example.com")], &[])).unwrap();
    assert_eq!(told, "tool `get order`: a tool's name must be 1 to 64 characters of `A-Za-z0-9_-`");
}

#[test]
fn parameters_must_be_a_schema_of_an_object() {
    let [told] = <[String; 1]>::try_from(faults([tool().with_parameters(json!({ "type": "array" }))], &[])).unwrap();
    assert_eq!(told, "tool `get_order`: the arguments of a tool are an `object`");
    let wrong = json!({ "properties": { "a": { "type": "text" } } });
    let [told] = <[String; 1]>::try_from(faults([tool().with_parameters(wrong)], &[])).unwrap();
    assert!(told.starts_with("tool `get_order`: this is no JSON Schema"), "{told}");
}

#[test]
fn an_address_is_fixed() {
    let schema = order();
    for url in ["https://{{ args.order_id }}/", "{{ headers.user_id }}://x/", "ftp://example.com/", "orders"] {
        let told = faults([HttpTool::new("get_order", url).with_parameters(schema.clone())], &[]);
        assert!(told.iter().any(|fault| fault.starts_with("tool `get_order`, the URL: ")), "{url}: {told:?}");
    }
}
