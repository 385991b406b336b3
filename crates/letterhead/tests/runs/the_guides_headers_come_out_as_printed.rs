//! The three examples of the guide to custom request headers, seen on the wire.

use std::time::Duration;

use letterhead::outbound::{RetryPolicy, Timeouts, TrustedClient};
use letterhead::{Agent, Provider, Run, Runner};
use letterhead_testkit::{Recorded, Reply, ScriptedLlm};

fn client() -> TrustedClient {
    let retry = RetryPolicy { retries: 2, base: Duration::from_millis(1), max: Duration::from_millis(2) };
    TrustedClient::new(Timeouts::default(), retry).unwrap()
}

fn runner(llm: &ScriptedLlm, agent: Agent) -> Runner {
    let provider = Provider::openai("openai", client(), &llm.openai_url()).unwrap().with_api_key("key-1");
    Runner::with_agents([agent]).provider(provider).default_model("openai:gpt").build().unwrap()
}

/// The custom headers of a request, sorted; a header that came twice is there twice.
fn custom(request: &Recorded) -> Vec<(String, String)> {
    let mut found: Vec<_> =
        request.headers.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with("x-")).cloned().collect();
    found.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    found.sort();
    found
}

async fn sent(agent: Agent, run: impl Fn(Runner) -> Run) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    for stream in [false, true] {
        let llm = ScriptedLlm::start().await;
        llm.then(Reply::text("Hello."));
        crate::support::either(run(runner(&llm, agent.clone())), stream).await;
        let request = llm.last();
        assert_eq!(request.header("authorization"), ["Bearer key-1"], "the provider's own key, once");
        seen.push(custom(&request));
    }
    assert_eq!(seen[0], seen[1], "a stream carries the same");
    seen.remove(0)
}

fn expected(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn assistant() -> Agent {
    Agent::new("Assistant").with_instructions("You are a helpful assistant")
}

#[tokio::test]
async fn headers_of_an_agent_are_on_all_its_requests() {
    let agent = assistant().with_header("X-Custom-ID", "agent-123").with_header("X-Environment", "production");
    let seen = sent(agent, |runner| runner.run("Hello!")).await;
    assert_eq!(seen, expected(&[("x-custom-id", "agent-123"), ("x-environment", "production")]));
}

#[tokio::test]
async fn headers_of_a_run_are_on_its_requests() {
    let seen = sent(assistant(), |runner| {
        let headers = [("X-Request-ID", "req-456"), ("X-User-ID", "user-789")];
        runner.run("What's the weather?").headers(headers).unwrap()
    });
    assert_eq!(seen.await, expected(&[("x-request-id", "req-456"), ("x-user-id", "user-789")]));
}

#[tokio::test]
async fn headers_of_a_run_win_over_those_of_the_agent() {
    let agent = assistant().with_header("X-Environment", "staging").with_header("X-Agent-ID", "agent-001");
    let seen = sent(agent, |runner| {
        let headers = [("X-Environment", "production"), ("X-Request-ID", "req-123")];
        runner.run("Hello!").headers(headers).unwrap()
    });
    let printed = [("x-agent-id", "agent-001"), ("x-environment", "production"), ("x-request-id", "req-123")];
    assert_eq!(seen.await, expected(&printed));
}

#[tokio::test]
async fn a_name_is_one_name_in_any_case_and_a_run_may_take_a_header_away() {
    let agent = assistant().with_header("X-Env", "staging").with_header("X-Agent-ID", "agent-001");
    let seen = sent(agent, |runner| {
        runner
            .run("Hello!")
            .header("x-env", "one")
            .unwrap()
            .header("X-ENV", "two")
            .unwrap()
            .without_header("x-agent-id")
            .unwrap()
    });
    assert_eq!(seen.await, expected(&[("x-env", "two")]));
}

#[tokio::test]
async fn every_retry_carries_them() {
    let llm = ScriptedLlm::start().await;
    llm.then(letterhead_testkit::Answer::status(500))
        .then(letterhead_testkit::Answer::status(503))
        .then(Reply::text("Hello."));
    let runner = runner(&llm, assistant().with_header("X-Agent-ID", "agent-001"));
    runner.run("Hello!").header("X-Request-ID", "req-1").unwrap().await.unwrap();
    let requests = llm.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert_eq!(custom(&request), expected(&[("x-agent-id", "agent-001"), ("x-request-id", "req-1")]));
    }
}

#[tokio::test]
async fn a_program_may_replace_the_credential_whatever_its_name() {
    for name in ["Authorization", "x-api-key", "api-key"] {
        let llm = ScriptedLlm::start().await;
        llm.then(Reply::text("Hello."));
        runner(&llm, assistant()).run("Hello!").header(name, "mine").unwrap().await.unwrap();
        let request = llm.last();
        let found: Vec<_> =
            ["authorization", "x-api-key", "api-key"].iter().flat_map(|key| request.header(key)).collect();
        assert_eq!(found, ["mine"], "{name}: one credential, and it is the run's");
        assert_eq!(request.header(name), ["mine"]);
    }
}
