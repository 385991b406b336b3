//! No key, no header value and no word of the provider's gets into an error, a `Debug` or a log.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use http::HeaderValue;
use letterhead::model::{Anthropic, OpenAi};
use letterhead_testkit::{Answer, ScriptedLlm};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{client, each, failure};

const KEY: &str = "canary-key-1";
const HEADER: &str = "canary-header-2";
const PROMPT: &str = "canary-prompt-3";
const BODY: &str = "canary-body-4";
const QUERY: &str = "canary-query-5";

/// Keeps everything that is logged, at every level, by this program and by what it uses.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0.lock().unwrap(), "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
        writeln!(self.0.lock().unwrap(), "[{}]", event.metadata().target()).unwrap();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn assert_clean(text: &str) {
    for canary in [KEY, HEADER, PROMPT, BODY, QUERY] {
        assert!(!text.contains(canary), "{canary} in: {text}");
    }
}

#[tokio::test]
async fn nothing_secret_is_told() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let error =
        json!({"error": {"message": format!("Bad key {KEY} {BODY}"), "code": BODY, "type": BODY, "param": BODY}});
    let answers: [&dyn Fn() -> Answer; 8] = [
        &|| Answer::error(401, &error),
        &|| Answer::error(400, &error),
        &|| Answer::error(500, &error).header("x-echo", HEADER),
        &|| Answer::json(&error),
        &|| Answer::sse([error.to_string()]),
        &|| Answer::bytes("text/html", BODY),
        &|| Answer::cut("application/json", BODY),
        &|| Answer::status(302).header("location", &format!("http://example.com/?{KEY}")),
    ];
    for answer in answers {
        for (name, llm, model, mut call) in each().await {
            for _ in 0..3 {
                llm.then(answer());
            }
            call.headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {KEY}")).unwrap());
            call.headers.insert("x-user-token", HeaderValue::from_static(HEADER));
            call.messages = vec![json!({"role": "user", "content": PROMPT}).to_string().into()];
            call.instructions = Some(PROMPT.into());
            assert_clean(&format!("{call:?}"));
            let error = failure(&model, call).await;
            assert_clean(&format!("{name}: {error} {error:?} {:?}", error.problem()));
        }
    }
    let log = log.0.lock().unwrap();
    assert!(log.contains("a call out failed and will be repeated"), "the log was read: {log}");
    assert_clean(&log);
}

#[tokio::test]
async fn a_base_url_is_not_told() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let base = format!("{}/v1?key={QUERY}", ScriptedLlm::nowhere().await);
    let (openai, anthropic) = (OpenAi::new(client(), &base).unwrap(), Anthropic::new(client(), &base).unwrap());
    assert_clean(&format!("{openai:?} {anthropic:?}"));
    let error = failure(&(Arc::new(openai) as _), crate::support::hello(false)).await;
    assert_clean(&format!("{error} {error:?}"));
    let wrong = OpenAi::new(client(), &format!("https://{KEY}@example.com")).unwrap_err();
    assert_clean(&format!("{wrong} {wrong:?}"));
    assert_clean(&log.0.lock().unwrap());
}
