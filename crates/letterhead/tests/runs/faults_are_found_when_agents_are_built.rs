//! What can be wrong with a set of agents is found when it is built, all of it at once.

use letterhead::{Agent, Delegate, HeaderSchema, KeyHeader, Provider, Registry, RegistryPlace, Runner, Text};
use serde_json::json;

use crate::script::Script;
use crate::support::gives;

fn faults(agents: impl IntoIterator<Item = Agent>) -> String {
    Runner::with_agents(agents).build().unwrap_err().to_string()
}

#[test]
fn two_agents_of_one_name_or_of_names_too_alike() {
    assert!(faults([Agent::new("a"), Agent::new("a")]).contains("agent `a`: there are two agents of this name"));
    let alike = faults([Agent::new("Billing-Desk"), Agent::new("billing_desk")]);
    assert!(alike.contains("agent `billing_desk`: its name is too like `Billing-Desk`"), "{alike}");
}

#[test]
fn two_tools_of_one_name_wherever_they_come_from() {
    let called = |agent: Agent| faults([agent, Agent::new("b"), Agent::new("c")]);
    let own = || Agent::new("a").with_tool(gives("look", "")).with_tool(gives("look", ""));
    assert!(called(own()).contains("two tools would be called `look`"));
    let handoff = Agent::new("a").with_tool(gives("handoff_to_b", "")).with_handoff("b");
    assert!(called(handoff).contains("two tools would be called `handoff_to_b`"));
    let twice = Agent::new("a").with_handoff("b").with_handoff("b");
    assert!(called(twice).contains("two tools would be called `handoff_to_b`"));
    let ask = Agent::new("a").with_tool(gives("ask_agent", "")).with_delegate("b");
    assert!(called(ask).contains("two tools would be called `ask_agent`"));
    let delegates = Agent::new("a").with_delegate("b").with_delegate(Delegate::new("b").with_history());
    assert!(called(delegates).contains("`b` is named twice"));
}

#[test]
fn targets_that_are_not_there_and_oneself() {
    let told = faults([Agent::new("a").with_handoff("x").with_delegate("y").with_handoff("a").with_delegate("a")]);
    for fault in [
        "there is no agent `x` to hand over to",
        "there is no agent `y` to ask",
        "an agent cannot hand over to itself",
        "an agent cannot ask itself",
    ] {
        assert!(told.contains(fault), "{fault}: {told}");
    }
}

#[test]
fn names_that_are_none() {
    for name in ["", "with blank", "a/../b", "a.b", &"x".repeat(49)] {
        assert!(faults([Agent::new(name)]).contains("1 to 48 letters, digits"), "{name}");
    }
    assert!(Runner::with_agents([Agent::new("x".repeat(48))]).build().is_ok());
    assert!(faults([]).contains("there is no agent"));
    let entry = Registry::builder().agent(Agent::new("a")).entry("b").build().unwrap_err();
    assert_eq!(entry.to_string(), "the entry agent `b` does not exist");
}

#[test]
fn models_and_providers() {
    assert!(
        faults([Agent::new("a").with_model("openai:gpt")]).contains("the model `openai:gpt` is at no known provider")
    );
    let script = Script::default();
    let build = |provider: Provider| {
        Runner::with_agents([Agent::new("a")])
            .provider(script.provider())
            .provider(provider)
            .build()
            .unwrap_err()
            .to_string()
    };
    assert!(build(script.provider()).contains("provider `test`: there are two providers of this name"));
    for name in ["", "a:b"] {
        let provider = Provider::new(name, letterhead::ProviderKind::OpenAi, std::sync::Arc::new(script.clone()));
        assert!(build(provider).contains("a provider's name"), "{name}");
    }
    let default = Runner::with_agents([Agent::new("a")]).default_model("nowhere:x").build().unwrap_err();
    assert_eq!(default.0[0].place, RegistryPlace::DefaultModel);
}

#[test]
fn headers_and_templates_with_line_and_column() {
    let schema = HeaderSchema::compile(&json!({"properties": {
        "user_id": {"type": "string"}, "token": {"type": "string", "writeOnly": true},
    }}))
    .unwrap();
    let agent = Agent::new("a")
        .with_instructions("Hello\n{{ headers.user_di }} {{ headers.token }}")
        .with_header("X-User", "{{ headers.nobody }}")
        .with_header("x-user", "twice")
        .with_required_header("user_di");
    let provider = Script::default().provider().with_api_key_in(KeyHeader::Bearer, "{{ nowhere }}");
    let BuildFaults(faults) = build(Runner::with_agents([agent]).headers(schema).provider(provider));
    let found = |place: RegistryPlace| faults.iter().filter(move |fault| fault.place == place).collect::<Vec<_>>();

    let instructions = found(RegistryPlace::Instructions("a".into()));
    assert_eq!(instructions.iter().map(|fault| fault.position.unwrap().0).collect::<Vec<_>>(), [2, 2]);
    assert!(instructions[0].message.contains("user_id"), "the nearest name: {}", instructions[0].message);
    assert_eq!(found(RegistryPlace::AgentHeader("a".into(), "X-User".into())).len(), 1);
    assert_eq!(found(RegistryPlace::Requires("a".into(), 0)).len(), 1);
    assert_eq!(found(RegistryPlace::ApiKey("test".into())).len(), 1);
}

struct BuildFaults(Vec<letterhead::RegistryFault>);

fn build(builder: letterhead::run::RunnerBuilder) -> BuildFaults {
    BuildFaults(builder.build().unwrap_err().0)
}

#[test]
fn keys_that_no_call_can_carry_and_fields_that_a_call_says_itself() {
    let faults = |provider: Provider, agent: Agent| {
        let BuildFaults(faults) = build(Runner::with_agents([agent]).provider(provider));
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let provider = || Script::default().provider();
    let named = |name: &'static str| KeyHeader::Named(http::HeaderName::from_static(name));
    for (provider, told) in [
        (provider().with_api_key(Text::literal("canary\n")), "a line break"),
        (provider().with_api_key(Text::literal(" ")), "is empty"),
        (provider().with_api_key_in(named("host"), "canary"), "`host` is reserved"),
        (provider().with_api_key_in(named("content-type"), "canary"), "`content-type` is reserved"),
    ] {
        let faults = faults(provider, Agent::new("a"));
        assert!(faults.contains("provider `test`: ") && faults.contains(told), "{faults}");
        assert!(!faults.contains("canary"), "{faults}");
    }
    for name in ["model", "messages", "tools", "tool_choice", "stream"] {
        let faults = faults(provider().with_param(name, "x"), Agent::new("a").with_param(name, true));
        assert!(faults.contains(&format!("provider `test`: `{name}`")), "{faults}");
        assert!(faults.contains(&format!("agent `a`: `{name}`")), "{faults}");
    }
}

#[test]
fn text_that_is_meant_as_it_stands_is_no_template() {
    let agent = Agent::new("a").with_instructions(Text::literal("{{ not a root }}"));
    assert!(Runner::with_agents([agent]).build().is_ok());
}
