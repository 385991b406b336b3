use std::sync::Arc;

use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::model::{OutputSchema, ToolSpec};

fn call(instructions: &str, messages: &[Value]) -> ModelCall {
    ModelCall {
        model: "demo".into(),
        instructions: Some(instructions.into()),
        messages: messages.iter().map(|message| message.to_string().into()).collect(),
        stream: true,
        ..ModelCall::default()
    }
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn tool(name: &str) -> Arc<ToolSpec> {
    let schema = json!({"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]});
    Arc::new(ToolSpec::new(name, None, schema).unwrap())
}

fn text(call: &ModelCall) -> String {
    answer(call)
        .into_iter()
        .filter_map(|event| match event {
            ModelEvent::Text(text) => Some(text),
            _ => None,
        })
        .collect()
}

fn tool_calls(call: &ModelCall) -> Vec<(String, String, String)> {
    answer(call)
        .into_iter()
        .filter_map(|event| match event {
            ModelEvent::ToolCall { id, name, arguments, .. } => Some((id.unwrap(), name.unwrap(), arguments)),
            _ => None,
        })
        .collect()
}

#[test]
fn it_says_what_it_is_and_what_it_was_told() {
    let call =
        call("You help Ada.\n\nBe kind.", &[user("Hello"), json!({"role":"assistant","content":"x"}), user("Again")]);
    assert_eq!(
        text(&call),
        "I am the demo model. My instructions begin: \"You help Ada. Be kind.\". You said: \"Again\". I was sent 3 messages."
    );
    let events = answer(&call);
    assert_eq!(events.first(), Some(&ModelEvent::Model("demo".into())));
    assert_eq!(events.get(1), Some(&ModelEvent::Text("I ".into())), "in words");
    let usage = Usage { input_tokens: 8, output_tokens: 21, ..Usage::default() };
    assert_eq!(events[events.len() - 2..], [ModelEvent::Usage(usage), ModelEvent::Finish(FinishReason::Stop)]);
    assert_eq!(answer(&call), events, "the same each time");
}

#[test]
fn an_empty_conversation_and_parts_are_told_as_well() {
    assert_eq!(
        text(&ModelCall::default()),
        "I am the demo model. I was given no instructions. You have said nothing yet. I was sent 0 messages."
    );
    let parts = json!([{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "data:,"}}]);
    let told = text(&call("x", &[json!({"role": "user", "content": parts})]));
    assert!(told.contains("You said: \"Look: [image_url]\""), "{told}");
}

#[test]
fn commands_become_tool_calls_if_the_tool_is_there() {
    let mut call =
        call("x", &[user("/tool get_order {\"order_id\": \"42\"}\n/ask researcher Who was Ada?\n/handoff billing")]);
    call.tools = ["get_order", "ask_agent", "handoff_to_billing"].map(tool).into();
    assert_eq!(
        tool_calls(&call),
        [
            ("call_demo_1_0", "get_order", r#"{"order_id":"42"}"#),
            ("call_demo_1_1", "ask_agent", r#"{"agent":"researcher","input":"Who was Ada?"}"#),
            ("call_demo_1_2", "handoff_to_billing", "{}"),
        ]
        .map(|(id, name, arguments)| (id.to_owned(), name.to_owned(), arguments.to_owned()))
    );
    assert_eq!(answer(&call).last(), Some(&ModelEvent::Finish(FinishReason::ToolCalls)));
}

#[test]
fn what_it_cannot_do_it_says() {
    for (said, expected) in [
        ("/tool get_time", "There is no tool `get_time` here. I am offered get_order."),
        ("/handoff billing", "There is no tool `handoff_to_billing` here."),
        ("/tool get_order [1]", "must be a JSON object"),
        ("/dance", "I do not know `/dance`. I obey `/tool NAME {json}`"),
    ] {
        let mut call = call("x", &[user(said)]);
        call.tools = vec![tool("get_order")];
        assert_eq!(tool_calls(&call), []);
        assert!(text(&call).contains(expected), "{said}: {}", text(&call));
    }
}

#[test]
fn after_tools_it_gives_their_results() {
    let asked = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "get_order", "arguments": "{}"}},
    ]});
    let result = json!({"role": "tool", "tool_call_id": "a", "content": "{\"state\":\"shipped\"}"});
    let mut after = call("x", &[user("/tool get_order"), asked, result]);
    after.tools = vec![tool("get_order")];
    assert_eq!(text(&after), "I am the demo model. `get_order` answered: {\"state\":\"shipped\"}");
}

#[test]
fn after_a_handoff_the_new_agent_answers_the_user() {
    let asked = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "handoff_to_billing", "arguments": "{}"}},
    ]});
    let result = json!({"role": "tool", "tool_call_id": "a", "content": "transferred"});
    let told = text(&call("You handle billing.", &[user("/handoff billing"), asked, result]));
    assert!(told.contains("You handle billing.") && !told.contains("transferred"), "{told}");
}

#[test]
fn tool_choice_and_the_limit_of_tokens_hold() {
    let choose = |choice: &str, said: &str| {
        let mut call = call("x", &[user(said)]);
        call.tools = vec![tool("one"), tool("two")];
        call.tool_choice = Some(RawValue::from_string(choice.to_owned()).unwrap());
        tool_calls(&call).into_iter().map(|(_, name, arguments)| (name, arguments)).collect::<Vec<_>>()
    };
    let made = |name: &str| vec![(name.to_owned(), r#"{"id":"demo"}"#.to_owned())];
    assert_eq!(choose("\"required\"", "Hello"), made("one"));
    assert_eq!(choose(r#"{"type":"function","function":{"name":"two"}}"#, "Hello"), made("two"));
    assert_eq!(choose("\"none\"", "/tool one"), []);
    assert_eq!(choose("\"auto\"", "Hello"), []);

    let mut call = call("x", &[user("Hello")]);
    call.params.insert("max_tokens".into(), 5.into());
    assert_eq!(text(&call), "I am the demo model. ");
    assert_eq!(answer(&call).last(), Some(&ModelEvent::Finish(FinishReason::Length)));
}

#[test]
fn an_output_schema_gets_an_instance_that_fits() {
    for schema in [
        json!({"type": "object", "required": ["name", "age", "score", "tags", "kind", "when"], "additionalProperties": false,
        "properties": {
            "name": {"type": "string", "minLength": 6, "maxLength": 8}, "age": {"type": "integer", "minimum": 18},
            "score": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 2}, "minItems": 2},
            "kind": {"enum": ["a", "b"]}, "when": {"type": ["null", "string"], "format": "date-time"},
        }}),
        json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["value"],
            "properties": {"value": {"const": 7}, "next": {"$ref": "#/$defs/node"}}}}}),
        json!({"anyOf": [{"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "null"}]}, {"type": "string"}]}),
        json!({"allOf": [{"properties": {"a": {"type": "integer", "maximum": -3}}, "required": ["a"]},
            {"properties": {"b": {"type": "string", "format": "email"}}, "required": ["b"]}]}),
    ] {
        let mut call = call("x", &[user("Hello")]);
        call.output = Some(OutputSchema { name: "out".into(), schema: Arc::new(schema.clone()), strict: true });
        let instance: Value = serde_json::from_str(&text(&call)).unwrap();
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        assert!(validator.is_valid(&instance), "{instance} does not fit {schema}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_slows_the_words_of_a_stream() {
    let model = DemoModel::new().with_delay(Duration::from_secs(1));
    let begun = tokio::time::Instant::now();
    let mut events = model.call(call("x", &[user("Hello")])).await.unwrap();
    let mut words = 0;
    while let Some(event) = events.next().await {
        words += u32::from(matches!(event.unwrap(), ModelEvent::Text(_)));
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(1) * words);
    assert!(words > 5);
}
