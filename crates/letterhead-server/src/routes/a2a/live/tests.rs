//! CONTRACT 8, over A2A: children whose pieces arrive in every interleaving, and readers who read whenever they like.

use std::collections::HashSet;

use letterhead::model::FinishReason;
use letterhead::run::PendingApproval;
use letterhead_context::Code;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::stream::tests::children::{Call, Picks, Plan, turn};
use crate::stream::tests::ended;

/// An artifact as it has to be in the end: by what way its agent was asked, which agent, and all of its words.
type Whole = (String, String, String);

fn whole(plan: &Plan, way: &str, out: &mut Vec<Whole>) {
    for (words, calls) in &plan.rounds {
        if !words.is_empty() {
            out.push((way.to_owned(), plan.agent.to_owned(), words.concat()));
        }
        for (at, call) in calls.iter().enumerate() {
            if let Call::Ask(child) = call {
                let way = if way == "answer" { "asked" } else { way };
                whole(child, &format!("{way}/call_{at}"), out);
            }
        }
    }
}

/// The way in an artifact's id: without the number of the answer, and of the call among those of the same id.
fn way(id: &str) -> String {
    let (way, _) = id.rsplit_once('/').unwrap();
    way.split('/').map(|step| step.split_once('~').map_or(step, |(step, _)| step)).collect::<Vec<_>>().join("/")
}

/// Whose words, in the order of their coming: the agent, the call that asked it, the words.
fn told(event: &RunEvent, by: (&str, Option<&str>)) -> Option<(String, Option<String>, String)> {
    match event {
        RunEvent::Child { agent, call_id, event } => told(event, (agent, Some(call_id))),
        RunEvent::Text(text) => Some((by.0.to_owned(), by.1.map(str::to_owned), text.clone())),
        _ => None,
    }
}

/// What a reader has been told, as the protocol has it.
fn read(reader: &mut Reader, most: usize, heard: &mut Vec<Value>) -> bool {
    let until = heard.len() + most;
    reader.read(|event| {
        heard.push(serde_json::to_value(event).unwrap());
        if heard.len() < until { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_reordered(plan in turn(), picks in prop::collection::vec(0_usize..24, 1..64)) {
        let events = Picks(picks.iter().cycle()).events(&plan);
        let live = Live::begun();
        let (mut reader, mut scribe) = (live.reader_of_all(), Scribe::of_turn(1));
        let (mut heard, mut pick) = (Vec::new(), picks.iter().cycle());
        for event in &events {
            live.write(|log| scribe.take(event, log));
            // Now and then, and not always all that there is.
            let most = pick.next().unwrap() % 4;
            if most > 0 {
                prop_assert!(!read(&mut reader, most, &mut heard));
            }
        }
        live.write(|log| log.end(&ended(RunEnd::Complete(FinishReason::Stop)), 0));
        while !read(&mut reader, 3, &mut heard) {}
        let status = heard.pop().unwrap();
        prop_assert_eq!(&status["statusUpdate"]["status"]["state"], "TASK_STATE_COMPLETED");

        let pieces: Vec<(&Value, &Value)> =
            heard.iter().map(|event| (&event["artifactUpdate"]["artifact"], &event["artifactUpdate"]["append"])).collect();
        let said = pieces.iter().map(|(artifact, _)| {
            let by = &artifact["metadata"];
            (text(&by["agent"]), by["callId"].as_str().map(str::to_owned), text(&artifact["parts"][0]["text"]))
        });
        let wanted = events.iter().filter_map(|event| told(event, ("a", None)));
        prop_assert_eq!(said.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());

        // Put together by their ids they are the words of one agent, asked by one call, between two of its own calls.
        let (mut order, mut texts) = (Vec::new(), HashMap::<String, Whole>::new());
        for (artifact, append) in &pieces {
            let id = text(&artifact["artifactId"]);
            let (_, _, words) = texts.entry(id.clone()).or_insert_with(|| {
                order.push(id.clone());
                (way(&id), text(&artifact["metadata"]["agent"]), String::new())
            });
            prop_assert_eq!(append.as_bool().unwrap_or(false), !words.is_empty(), "{}", id);
            words.push_str(artifact["parts"][0]["text"].as_str().unwrap());
        }
        let mut wanted = Vec::new();
        whole(&plan, "answer", &mut wanted);
        let mut got: Vec<Whole> = texts.values().cloned().collect();
        got.sort();
        wanted.sort();
        prop_assert_eq!(got, wanted);

        // Who reads the task when it has ended finds the same.
        let artifacts = live.task().artifacts.unwrap_or_default();
        prop_assert_eq!(artifacts.iter().map(|it| it.artifact_id.to_string()).collect::<Vec<_>>(), order);
        prop_assert!(artifacts.iter().all(|artifact| artifact.text() == texts[&*artifact.artifact_id].2));
        let names: HashSet<_> = artifacts.iter().map(|artifact| &artifact.artifact_id).collect();
        prop_assert_eq!(names.len(), artifacts.len());
    }
}

#[test]
fn what_was_not_stored_asks_nobody() {
    let call =
        PendingApproval { id: "m:0".into(), call_id: "c1".into(), name: "refund".into(), arguments: "{}".into() };
    let away = Problem::new(Code::StoreUnavailable, "the store is away");
    let complete = RunEnd::Complete(FinishReason::Stop);
    for (end, problem, state) in [
        (complete.clone(), None, State::InputRequired),
        // It asked, and the store did not take that.
        (complete, Some(away.clone()), State::Failed),
        // What it began with waits on.
        (RunEnd::Failed(away.clone()), Some(away.clone()), State::InputRequired),
        (RunEnd::Cancelled, None, State::InputRequired),
    ] {
        let mut ended = ended(end.clone());
        (ended.outcome.approvals, ended.problem) = (vec![call.clone()], problem);
        let live = Live::begun();
        live.write(|log| log.end(&ended, 0));
        assert_eq!(live.task().status.state, state, "{end:?}");
    }
}
