//! A reader that is slow slows the run down, and hears everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use letterhead::model::{FinishReason, ModelEvent};
use letterhead::run::RunEvent;

use crate::script::{Answer, Script};
use crate::support::{agent, runner};

const WORDS: usize = 500;

#[tokio::test(start_paused = true)]
async fn every_piece_arrives_in_order_and_the_model_waits() {
    let answer = (0..WORDS).fold(Answer::default(), |answer, at| answer.word_by_word(&format!("{at};")));
    let answer = answer.event(ModelEvent::Reasoning("why".into())).finish(FinishReason::Stop);
    let script = Script::default().on("a", [answer]);
    let done = Arc::new(AtomicUsize::new(0));
    let mut stream = runner(&script, [agent("a")]).run("Hello").stream();
    let mut heard = String::new();
    let mut since = tokio::time::Instant::now();
    while let Some(event) = stream.next().await {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let RunEvent::Text(text) = event {
            heard.push_str(&text);
            done.fetch_add(1, Ordering::SeqCst);
        }
        if done.load(Ordering::SeqCst) == 1 {
            since = tokio::time::Instant::now();
        }
    }
    let whole: String = (0..WORDS).map(|at| format!("{at};")).collect();
    assert_eq!(heard, whole);
    assert!(since.elapsed() >= Duration::from_secs(400), "it was slow");
    assert_eq!(stream.result().await.unwrap().output, whole);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_reading_stops_the_model() {
    let answer = (0..WORDS).fold(Answer::default(), |answer, _| answer.word_by_word("word "));
    let script = Script::default().on("a", [answer]);
    let stream = runner(&script, [agent("a")]).run("Hello").stream();
    // Time that is paused goes on only when nothing else can.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let result = stream.cancel().await.unwrap();
    let words = result.output.split_whitespace().count();
    assert!((50..100).contains(&words), "as much as there was room for: {words}");
}
