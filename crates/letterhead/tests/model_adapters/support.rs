//! What the tests of the adapters share.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use letterhead::model::{Anthropic, ChatModel, FinishReason, ModelCall, ModelError, ModelEvent, ModelStream, OpenAi};
use letterhead::outbound::{RetryPolicy, Timeouts, TrustedClient};
use letterhead_testkit::ScriptedLlm;
use serde_json::json;

/// A client with the usual timeouts, that repeats twice and at once.
pub(crate) fn client() -> TrustedClient {
    let retry = RetryPolicy { retries: 2, base: Duration::from_millis(1), max: Duration::from_millis(2) };
    TrustedClient::new(Timeouts::default(), retry).unwrap()
}

pub(crate) fn openai(url: &str) -> Arc<dyn ChatModel> {
    Arc::new(OpenAi::new(client(), &format!("{url}/v1")).unwrap())
}

pub(crate) fn anthropic(url: &str) -> Arc<dyn ChatModel> {
    Arc::new(Anthropic::new(client(), url).unwrap())
}

/// Both adapters, for what both must do alike.
pub(crate) fn adapters(url: &str) -> [(&'static str, Arc<dyn ChatModel>); 2] {
    [("openai", openai(url)), ("anthropic", anthropic(url))]
}

/// Each adapter in each mode, with a server of its own.
pub(crate) async fn each() -> Vec<(String, ScriptedLlm, Arc<dyn ChatModel>, ModelCall)> {
    let client = client();
    let mut all = Vec::new();
    for is_anthropic in [false, true] {
        for stream in [false, true] {
            let llm = ScriptedLlm::start().await;
            let (name, model): (_, Arc<dyn ChatModel>) = if is_anthropic {
                ("anthropic", Arc::new(Anthropic::new(client.clone(), &llm.url()).unwrap()))
            } else {
                ("openai", Arc::new(OpenAi::new(client.clone(), &llm.openai_url()).unwrap()))
            };
            all.push((format!("{name}, stream: {stream}"), llm, model, hello(stream)));
        }
    }
    all
}

pub(crate) fn hello(stream: bool) -> ModelCall {
    ModelCall {
        model: "model-1".into(),
        instructions: Some("You help Ada.".into()),
        messages: vec![json!({"role": "user", "content": "Hello"}).to_string().into()],
        stream,
        ..ModelCall::default()
    }
}

/// All text of an answer, and how it ended.
pub(crate) async fn read(mut stream: ModelStream) -> (String, Result<FinishReason, ModelError>) {
    let mut text = String::new();
    let mut finish = None;
    while let Some(event) = stream.next().await {
        assert!(finish.is_none(), "nothing comes after the finish");
        match event {
            Ok(ModelEvent::Text(piece)) => text.push_str(&piece),
            Ok(ModelEvent::Finish(reason)) => finish = Some(reason),
            Ok(_) => {}
            Err(error) => {
                assert!(stream.next().await.is_none(), "nothing comes after an error");
                return (text, Err(error));
            }
        }
    }
    (text, Ok(finish.expect("a stream that ends without an error has a finish")))
}

/// The error of a call, wherever it shows.
pub(crate) async fn failure(model: &Arc<dyn ChatModel>, call: ModelCall) -> ModelError {
    match model.call(call).await {
        Err(error) => error,
        Ok(stream) => read(stream).await.1.expect_err("an error"),
    }
}
