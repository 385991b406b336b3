//! CONTRACT 8, over MCP: children whose pieces arrive in every interleaving.

use letterhead::model::FinishReason;
use letterhead::run::RunEnd;
use proptest::prelude::*;
use serde_json::Value;

use super::super::revision::Revision;
use super::*;
use crate::stream::tests::children::{Picks, turn};
use crate::stream::tests::ended;

/// What the client has to be told of an event, but for that the agent is writing: how often it hears that is a matter of time.
fn told(event: &RunEvent, child: Option<&str>) -> Option<String> {
    Some(match (event, child) {
        (RunEvent::Child { agent, event, .. }, _) => return told(event, Some(agent)),
        (RunEvent::Text(text), Some(agent)) => format!("{agent}: {text}"),
        (RunEvent::ToolStarted { name, .. }, Some(agent)) => format!("{agent} calls {name}"),
        (RunEvent::ModelCallStarted { agent, .. }, None) => format!("{agent} is thinking"),
        (RunEvent::ToolStarted { name, .. }, None) => format!("calling {name}"),
        (RunEvent::ToolCompleted { name, is_error, .. }, None) => {
            format!("{name} {}", if *is_error { "failed" } else { "has answered" })
        }
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_reordered(plan in turn(), picks in prop::collection::vec(0_usize..24, 1..64)) {
        let events = Picks(picks.iter().cycle()).events(&plan);
        let id = || Id::Text("7".to_owned());
        let mut encoder = ProgressEncoder::new(Answers::to(id(), Revision::PerRequest), Id::Text("t".to_owned()));
        let mut out = Vec::new();
        encoder.begin(&mut out);
        events.iter().for_each(|event| encoder.event(event, &mut out));
        encoder.end(&ended(RunEnd::Complete(FinishReason::Stop)), &mut out);

        let text = String::from_utf8(out).unwrap();
        let mut messages: Vec<Value> = text
            .split_terminator("\n\n")
            .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
            .collect();
        let last = messages.pop().unwrap();
        prop_assert_eq!(&last["id"], "7");
        prop_assert!(last["result"].is_object(), "{}", last);
        for (at, message) in (1..).zip(&messages) {
            prop_assert_eq!(&message["method"], "notifications/progress");
            prop_assert_eq!(&message["params"]["progressToken"], "t");
            prop_assert_eq!(&message["params"]["progress"], &json!(at), "it grows");
        }
        let heard = messages.iter().map(|message| message["params"]["message"].as_str().unwrap());
        let (writing, heard): (Vec<&str>, Vec<&str>) = heard.partition(|message| *message == "writing");
        prop_assert_eq!(heard, events.iter().filter_map(|event| told(event, None)).collect::<Vec<_>>());
        prop_assert_eq!(!writing.is_empty(), events.iter().any(|event| matches!(event, RunEvent::Text(_))));
    }
}
