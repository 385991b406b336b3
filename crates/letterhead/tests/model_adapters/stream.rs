//! Streams as they come over a real connection.

use crate::support::{adapters, each, hello, openai, read};
use futures_util::StreamExt;
use letterhead::model::{FinishReason, ModelEvent};
use letterhead_testkit::{Answer, Reply, ScriptedLlm};
use serde_json::json;

const EVENTS: &str = "\u{feff}: hello\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"H\u{e9}l\"}}]}\r\n\r\n\
    : keep-alive\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"l\u{1f600} \"}}]}\n\n\
    data: {\"choices\":[{\"delta\":{\"content\":\"you\"},\"finish_reason\":\"stop\"}]}\r\r";

#[tokio::test]
async fn the_same_answer_however_the_bytes_are_cut() {
    for size in [1, 2, 3, 7, 64, 1000] {
        let llm = ScriptedLlm::start().await;
        let (answer, tap) = Answer::live();
        llm.then(answer);
        let stream = openai(&llm.url()).call(hello(true)).await.unwrap();
        for piece in EVENTS.as_bytes().chunks(size) {
            tap.send(piece.to_vec());
        }
        tap.end();
        assert_eq!(read(stream).await, ("Hél\u{6c}😀 you".to_owned(), Ok(FinishReason::Stop)), "{size}");
    }
}

#[tokio::test]
async fn pieces_are_given_as_they_come() {
    let llm = ScriptedLlm::start().await;
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let mut stream = openai(&llm.url()).call(hello(true)).await.unwrap();
    for word in ["one ", "two ", "three"] {
        tap.event(&json!({"choices": [{"delta": {"content": word}}]}).to_string());
        assert_eq!(stream.next().await.unwrap().unwrap(), ModelEvent::Text(word.into()));
    }
    tap.event(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#);
    tap.event("[DONE]");
    // The connection stays open, and the answer is complete all the same.
    assert_eq!(stream.next().await.unwrap().unwrap(), ModelEvent::Finish(FinishReason::Stop));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_finished_answer_is_whole_even_if_the_connection_then_breaks() {
    let llm = ScriptedLlm::start().await;
    let (answer, tap) = Answer::live();
    llm.then(answer);
    let stream = openai(&llm.url()).call(hello(true)).await.unwrap();
    tap.event(r#"{"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}"#);
    tap.break_off();
    assert_eq!(read(stream).await, ("Hi".to_owned(), Ok(FinishReason::Stop)));
}

#[tokio::test]
async fn both_modes_of_both_protocols_say_the_same() {
    for (name, llm, model, mut call) in each().await {
        llm.then(Reply::text("Let me look.").and_tool("get_order", json!({"order_id": "é1"})).usage(12, 34));
        call.params.insert("temperature".into(), json!(0));
        let mut stream = model.call(call).await.unwrap();
        let (mut text, mut call, mut rest) = (String::new(), (String::new(), String::new(), String::new()), Vec::new());
        while let Some(event) = stream.next().await {
            match event.unwrap() {
                ModelEvent::Text(piece) => text.push_str(&piece),
                ModelEvent::ToolCall { index, id, name: tool, arguments } => {
                    assert_eq!(index, 0);
                    call.0.extend(id);
                    call.1.extend(tool);
                    call.2.push_str(&arguments);
                }
                ModelEvent::Model(model) => assert!(model.contains("scripted"), "{model}"),
                event => rest.push(event),
            }
        }
        assert_eq!(text, "Let me look.", "{name}");
        assert_eq!(call, ("call_0_0".into(), "get_order".into(), r#"{"order_id":"é1"}"#.into()), "{name}");
        let [ModelEvent::Usage(usage), ModelEvent::Finish(FinishReason::ToolCalls)] = rest.as_slice() else {
            panic!("{name}: {rest:?}")
        };
        assert_eq!((usage.input_tokens, usage.output_tokens), (12, 34), "{name}");
    }
}

#[tokio::test]
async fn a_provider_that_ignores_stream_is_understood() {
    let llm = ScriptedLlm::start().await;
    let whole = json!({"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}]});
    llm.then(Answer::json(&whole))
        .then(Answer::sse([r#"{"choices":[{"delta":{"content":"Hello."},"finish_reason":"stop"}]}"#]));
    let model = openai(&llm.url());
    for stream in [true, false] {
        assert_eq!(read(model.call(hello(stream)).await.unwrap()).await.0, "Hello.", "asked to stream: {stream}");
    }
}

#[tokio::test]
async fn dropping_the_stream_ends_the_connection() {
    let llm = ScriptedLlm::start().await;
    for (_, model) in adapters(&llm.url()) {
        let (answer, tap) = Answer::live();
        llm.then(answer);
        let stream = model.call(hello(true)).await.unwrap();
        tap.send(": begun\n\n");
        drop(stream);
        tap.left().await;
    }
}

#[tokio::test]
async fn dropping_the_call_ends_the_connection() {
    for (_, llm, model, call) in each().await {
        llm.then(Answer::hang());
        let running = tokio::spawn(async move { model.call(call).await.map(drop) });
        llm.received(1).await;
        running.abort();
        llm.left(1).await;
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    for (name, llm, model, _) in each().await {
        llm.always(Reply::text("Hello there, you."));
        for at in 0..6 {
            read(model.call(hello(at % 2 == 0)).await.unwrap()).await.1.unwrap();
            // The end of the body is read behind our back.
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(llm.connections(), 1, "{name}");
    }
}
