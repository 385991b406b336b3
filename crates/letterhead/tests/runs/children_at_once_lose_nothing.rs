//! Two children that stream at the same time: nothing is lost, and nothing is out of order.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use letterhead::run::RunEvent;
use letterhead::{Runner, run::RunStream};
use proptest::prelude::*;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::script::{Answer, Script};
use crate::support::{agent, runner, said};

/// A word of a child, or none if the event is something else.
fn word(event: &RunEvent) -> Option<(String, String, String)> {
    match event {
        RunEvent::Child { agent, call_id, event } => match &**event {
            RunEvent::Text(text) => Some((agent.to_string(), call_id.to_string(), text.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// Asks `b` and `c` at once; each waits for its gate before each word.
fn gated(words: usize, gates: &[Arc<Semaphore>; 2]) -> (Script, Runner) {
    let ask = |agent: &str| ("ask_agent", json!({"agent": agent, "input": "?"}));
    let spoken = |name: &str, gate: &Arc<Semaphore>| {
        (0..words)
            .fold(Answer::default(), |answer, at| answer.wait(gate).word_by_word(&format!("{name}{at}")))
            .usage(1, 1)
    };
    let script = Script::default()
        .on("a", [Answer::calls([ask("b"), ask("c")]), Answer::text("done")])
        .on("b", [spoken("b", &gates[0])])
        .on("c", [spoken("c", &gates[1])]);
    let runner = runner(&script, [agent("a").with_delegate("b").with_delegate("c"), agent("b"), agent("c")]);
    (script, runner)
}

async fn next_word(stream: &mut RunStream) -> (String, String, String) {
    while let Some(event) = stream.next().await {
        if let Some(word) = word(&event) {
            return word;
        }
    }
    panic!("the stream ended before all was said");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever speaks next is heard next, in every interleaving.
    #[test]
    fn words_are_heard_in_the_order_in_which_they_are_spoken(turns in prop::collection::vec(any::<bool>(), 0..24)) {
        let words = turns.len();
        block_on(async {
            let gates = [Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0))];
            let (_script, runner) = gated(words, &gates);
            let mut stream = runner.run("Hello").stream();
            let mut spoken = [0, 0];
            for second in turns {
                let who = usize::from(second);
                gates[who].add_permits(1);
                let name = ["b", "c"][who];
                let expected = (name.to_owned(), format!("call_{who}"), format!("{name}{}", spoken[who]));
                assert_eq!(next_word(&mut stream).await, expected);
                spoken[who] += 1;
            }
            gates.iter().for_each(|gate| gate.add_permits(words));
            assert_eq!(stream.result().await.unwrap().output, "done");
        });
    }

    /// A reader that pauses at random hears all of it, each child in order, and the results are the same.
    #[test]
    fn nothing_is_lost_on_a_slow_reader(words in 0_usize..120, pauses in prop::collection::vec(any::<bool>(), 1..20)) {
        block_on(async {
            let gates = [Arc::new(Semaphore::new(words)), Arc::new(Semaphore::new(words))];
            let (_script, runner) = gated(words, &gates);
            let mut stream = runner.run("Hello").stream();
            let mut heard: HashMap<String, String> = HashMap::new();
            for pause in pauses.into_iter().cycle() {
                if pause {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                let Some(event) = stream.next().await else { break };
                if let Some((agent, _, text)) = word(&event) {
                    heard.entry(agent).or_default().push_str(&text);
                }
            }
            let result = stream.result().await.unwrap();
            let said = said(&result.messages);
            for (at, name) in [(2, "b"), (3, "c")] {
                let whole: String = (0..words).map(|at| format!("{name}{at}")).collect();
                assert_eq!(heard.get(name).cloned().unwrap_or_default(), whole);
                assert_eq!(said[at], format!("tool: {whole}"));
            }
        });
    }
}

#[tokio::test]
async fn what_a_grandchild_says_comes_through_both() {
    let ask = |agent: &str| Answer::calls([("ask_agent", json!({"agent": agent, "input": "?"}))]);
    let script = Script::default()
        .on("a", [ask("b"), Answer::text("done")])
        .on("b", [ask("c"), Answer::text("b")])
        .on("c", [Answer::text("c")]);
    let agents = [agent("a").with_delegate("b"), agent("b").with_delegate("c"), agent("c")];
    let (events, _) = crate::support::all(runner(&script, agents).run("Hello").stream()).await;
    let text = RunEvent::Text("c".into());
    let child =
        |agent: &str, event| RunEvent::Child { agent: agent.into(), call_id: "call_0".into(), event: Box::new(event) };
    assert!(events.contains(&child("b", child("c", text))), "{events:?}");
}
