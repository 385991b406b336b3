//! CONTRACT 8: children whose pieces arrive in every interleaving. Whatever the protocol, nothing is lost, and of each child
//! nothing is reordered, though models use the ids of calls again and again.

use letterhead::model::FinishReason;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// What an agent does: it speaks, makes some calls at once, and so on.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) agent: &'static str,
    pub(crate) rounds: Vec<(Vec<String>, Vec<Call>)>,
    fails: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Tool(bool),
    Ask(Plan),
}

fn plan() -> impl Strategy<Value = Plan> {
    // Words of any bytes; each begins with the mark of a child.
    let words = || prop::collection::vec("[ -~é𝄞\n\"\\\\]{0,40}".prop_map(|word| format!("c4n4ry{word}")), 0..5);
    let agent = || prop_oneof![Just("b"), Just("c")];
    let leaf = (agent(), words(), any::<bool>()).prop_map(|(agent, words, fails)| Plan {
        agent,
        rounds: vec![(words, Vec::new())],
        fails,
    });
    leaf.prop_recursive(3, 24, 3, move |inner| {
        let call = prop_oneof![1 => any::<bool>().prop_map(Call::Tool), 3 => inner.prop_map(Call::Ask)];
        let round = (words(), prop::collection::vec(call, 0..4));
        (agent(), prop::collection::vec(round, 1..4), any::<bool>()).prop_map(|(agent, rounds, fails)| Plan {
            agent,
            rounds,
            fails,
        })
    })
}

/// A plan for the turn's own agent, whose words are no child's.
pub(crate) fn turn() -> impl Strategy<Value = Plan> {
    plan().prop_map(|mut plan| {
        plan.agent = "a";
        for (words, _) in &mut plan.rounds {
            words.iter_mut().for_each(|word| *word = word.replace("c4n4ry", "own "));
        }
        plan
    })
}

/// What comes next, where several go on at once.
pub(crate) struct Picks<'a>(pub(crate) std::iter::Cycle<std::slice::Iter<'a, usize>>);

impl Picks<'_> {
    fn merge(&mut self, mut queues: Vec<std::vec::IntoIter<RunEvent>>) -> Vec<RunEvent> {
        let mut merged = Vec::new();
        while !queues.is_empty() {
            let at = self.0.next().unwrap() % queues.len();
            match queues[at].next() {
                Some(event) => merged.push(event),
                None => drop(queues.remove(at)),
            }
        }
        merged
    }

    pub(crate) fn events(&mut self, plan: &Plan) -> Vec<RunEvent> {
        let mut events = vec![RunEvent::RunStarted { agent: plan.agent.into() }];
        for (step, (words, calls)) in (1..).zip(&plan.rounds) {
            let model = "m".into();
            events.push(RunEvent::ModelCallStarted { agent: plan.agent.into(), model, step });
            events.extend(words.iter().cloned().map(RunEvent::Text));
            let id = |at: usize| format!("call_{at}").into();
            let mut queues = Vec::new();
            for (at, call) in calls.iter().enumerate() {
                let (name, is_error, result, inner) = match call {
                    Call::Tool(fails) => ("look", *fails, "found".to_owned(), Vec::new()),
                    Call::Ask(child) => ("ask_agent", child.fails, result(child), self.events(child)),
                };
                events.push(RunEvent::ToolStarted { id: id(at), name: name.into(), arguments: "{}".into() });
                let agent = |call: &Call| if let Call::Ask(child) = call { child.agent } else { "" }.into();
                let wrapped = inner.into_iter().map(|event| RunEvent::Child {
                    agent: agent(call),
                    call_id: id(at),
                    event: Box::new(event),
                });
                let done = RunEvent::ToolCompleted { id: id(at), name: name.into(), result: result.into(), is_error };
                queues.push(wrapped.chain([done]).collect::<Vec<_>>().into_iter());
            }
            events.extend(self.merge(queues));
        }
        events
    }
}

/// What a child gives back: its last words, or why there are none.
fn result(child: &Plan) -> String {
    if child.fails {
        return format!("{} failed", child.agent);
    }
    child.rounds.last().map(|(words, _)| words.concat()).unwrap_or_default()
}

fn encoded(mut encoder: impl Encoder, events: &[RunEvent]) -> Vec<(Option<String>, Value)> {
    let mut out = Vec::new();
    encoder.begin(&mut out);
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.end(&ended(RunEnd::Complete(FinishReason::Stop)), &mut out);
    let text = String::from_utf8(out).unwrap();
    let frames = text.split_terminator("\n\n").map(|frame| {
        let name = frame.lines().find_map(|line| line.strip_prefix("event: ")).map(str::to_owned);
        let data: Vec<&str> = frame.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data.len(), 1, "{frame}");
        (name, serde_json::from_str(data[0]).unwrap_or_else(|_| data[0].into()))
    });
    frames.collect()
}

fn chunks(dialect: Dialect, events: &[RunEvent]) -> Vec<(Option<String>, Value)> {
    let head =
        Head { id: "i".into(), object: "chat.completion.chunk", created: 1, model: "m".into(), session_id: None };
    encoded(ChunkEncoder::new(dialect, head, false), events)
}

/// The words and calls of all, in the order of their coming, as `/api/v1` has to tell them.
fn told(event: &RunEvent, agent: Option<&str>, way: &str) -> Option<Value> {
    let named = |name: &str| agent.map_or_else(|| name.to_owned(), |agent| format!("{agent}:{name}"));
    Some(match event {
        RunEvent::Text(text) => match agent {
            Some(agent) => json!([agent, way, &**text]),
            None => json!([&**text]),
        },
        RunEvent::ToolStarted { id, name, .. } => json!([way, named(name), &**id, "started"]),
        RunEvent::ToolCompleted { id, name, result, is_error } => {
            json!([way, named(name), &**id, if *is_error { "failed" } else { "completed" }, &**result])
        }
        RunEvent::Child { agent, call_id, event } => {
            let way = if way.is_empty() { call_id.to_string() } else { format!("{way}/{call_id}") };
            return told(event, Some(agent), &way);
        }
        _ => return None,
    })
}

fn heard((name, data): &(Option<String>, Value)) -> Option<Value> {
    let way = || data["call_id"].as_str().unwrap_or_default();
    match name.as_deref() {
        Some("child_content") => Some(json!([data["agent_name"], way(), data["content"]])),
        Some("tool_call") => {
            let mut row = json!([way(), data["tool_name"], data["tool_id"], data["status"]]);
            if let Some(result) = data.get("result") {
                row.as_array_mut().unwrap().push(result.clone());
            }
            Some(row)
        }
        Some(_) => None,
        None => data["choices"][0]["delta"]["content"]
            .as_str()
            .filter(|_| data["choices"][0]["delta"]["role"].is_null())
            .map(|content| json!([content])),
    }
}

/// What a child's output has to show in the end: its words, and those of whom it asked; these in no certain order.
fn whole(plan: &Plan) -> Value {
    let words: String = plan.rounds.iter().flat_map(|(words, _)| words).cloned().collect();
    let asked = plan.rounds.iter().flat_map(|(_, calls)| calls).filter_map(|call| match call {
        Call::Ask(child) => Some(whole(child)),
        Call::Tool(_) => None,
    });
    sorted(json!({ "agent": plan.agent, "text": words, "children": asked.collect::<Vec<_>>() }))
}

fn sorted(mut output: Value) -> Value {
    let children = output["children"].take();
    let mut children: Vec<Value> = children.as_array().cloned().unwrap_or_default().into_iter().map(sorted).collect();
    // Who says nothing is not heard.
    children.retain(|child| child["text"] != "" || child["children"] != json!([]));
    children.sort_by_key(ToString::to_string);
    output["children"] = children.into();
    output
}

/// Whether everything in an output is still there in a later one.
fn grows(before: &Value, after: &Value) -> bool {
    let texts = |output: &Value| output["text"].as_str().unwrap_or_default().to_owned();
    let children = |output: &Value| output["children"].as_array().cloned().unwrap_or_default();
    texts(after).starts_with(&texts(before))
        && before["agent"] == after["agent"]
        && children(before).iter().zip(children(after)).all(|(before, after)| grows(before, &after))
        && children(before).len() <= children(after).len()
}

fn shown_in_ui(plan: &Plan, frames: &[(Option<String>, Value)]) {
    let mut calls = plan.rounds.iter().map(|(_, calls)| calls);
    let (mut round, mut last) = (&Vec::new(), vec![Value::Null; 4]);
    let (mut own, mut done) = (String::new(), 0);
    for (name, chunk) in frames {
        assert!(name.is_none());
        let at = chunk["toolCallId"].as_str().map(|id| id.trim_start_matches("call_").parse::<usize>().unwrap());
        match (chunk["type"].as_str(), at) {
            (Some("start-step"), _) => (round, last) = (calls.next().unwrap(), vec![Value::Null; 4]),
            (Some("text-delta"), _) => own.push_str(chunk["delta"].as_str().unwrap()),
            (Some("tool-output-available"), Some(at)) if chunk["preliminary"] == true => {
                assert!(last[at].is_null() || grows(&last[at], &chunk["output"]), "{} {chunk}", last[at]);
                last[at] = chunk["output"].clone();
            }
            (Some("tool-output-available" | "tool-output-error"), Some(at)) => {
                done += 1;
                let Call::Ask(child) = &round[at] else { continue };
                let (expected, result) = (whole(child), result(child));
                let seen = sorted(last[at].clone());
                let is_in_result = expected["children"] == json!([]) && expected["text"] == *result;
                let is_silent = expected["text"] == "" && expected["children"] == json!([]);
                assert!(seen == expected || is_in_result || is_silent, "{seen} {expected}");
            }
            _ => {}
        }
    }
    assert_eq!(own, plan.rounds.iter().flat_map(|(words, _)| words).cloned().collect::<String>());
    assert_eq!(done, plan.rounds.iter().map(|(_, calls)| calls.len()).sum::<usize>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_reordered(plan in turn(), picks in prop::collection::vec(0_usize..24, 1..64)) {
        let events = Picks(picks.iter().cycle()).events(&plan);

        let frames = chunks(Dialect::WithEvents, &events);
        let wanted: Vec<Value> = events.iter().filter_map(|event| told(event, None, "")).collect();
        prop_assert_eq!(frames.iter().filter_map(heard).collect::<Vec<_>>(), wanted);

        // OpenAI's own protocol has no place for them.
        let strict = chunks(Dialect::Strict, &events);
        prop_assert!(strict.iter().all(|(name, data)| name.is_none() && !data.to_string().contains("c4n4ry")));
        let own: Vec<Value> = events.iter().filter(|event| matches!(event, RunEvent::Text(_))).filter_map(|event| told(event, None, "")).collect();
        prop_assert_eq!(strict.iter().filter_map(heard).collect::<Vec<_>>(), own);

        shown_in_ui(&plan, &encoded(UiEncoder::new("m".into(), json!({})), &events));
    }
}

#[test]
fn a_long_text_of_a_child_is_shown_in_ever_larger_steps_and_whole_at_its_end() {
    let child = |event| RunEvent::Child { agent: "b".into(), call_id: "c".into(), event: Box::new(event) };
    let mut events: Vec<RunEvent> = (0..5000).map(|n| child(RunEvent::Text(format!("word {n} ")))).collect();
    events.push(RunEvent::ToolCompleted {
        id: "c".into(),
        name: "ask_agent".into(),
        result: "b failed".into(),
        is_error: true,
    });
    let frames = encoded(UiEncoder::new("m".into(), json!({})), &events);
    let shown: Vec<&Value> =
        frames.iter().map(|(_, chunk)| chunk).filter(|chunk| chunk["preliminary"] == true).collect();
    assert!((50..200).contains(&shown.len()), "{}", shown.len());
    assert!(shown.last().unwrap()["output"]["text"].as_str().unwrap().ends_with("word 4999 "));
}
