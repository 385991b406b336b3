//! Promises about what is sent of a conversation, tried on conversations of all kinds.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// What a turn of a made-up conversation is.
#[derive(Clone, Debug)]
struct Turn {
    question: usize,
    /// For each answer with calls, the lengths of their results.
    rounds: Vec<Vec<usize>>,
    answer: usize,
    image: bool,
}

fn turn(longest: usize) -> impl Strategy<Value = Turn> {
    let rounds = prop::collection::vec(prop::collection::vec(1..longest, 1..3), 0..3);
    (1..longest, rounds, 1..longest, any::<bool>()).prop_map(|(question, rounds, answer, image)| Turn {
        question,
        rounds,
        answer,
        image,
    })
}

/// Words in a row that differ from those of other messages.
fn words(characters: usize, seed: usize) -> String {
    let word = format!("w{seed}-è漢 ");
    word.chars().cycle().take(characters).collect()
}

/// The messages of a turn; `first` makes them differ from others.
fn messages(turn: &Turn, first: usize) -> Vec<Arc<str>> {
    let text = words(turn.question, first);
    let question = if turn.image {
        json!([{ "type": "text", "text": text }, { "type": "image_url", "image_url": { "url": "https://x/y.png" } }])
    } else {
        json!(text)
    };
    let mut messages = vec![json!({ "role": "user", "content": question })];
    for (round, results) in turn.rounds.iter().enumerate() {
        let id = |at: usize| format!("call-{first}-{round}-{at}");
        let calls = results.iter().enumerate().map(|(at, _)| {
            json!({ "id": id(at), "type": "function", "function": { "name": "look", "arguments": "{\"a\":1}" } })
        });
        messages.push(json!({ "role": "assistant", "content": null, "tool_calls": calls.collect::<Vec<_>>() }));
        for (at, length) in results.iter().enumerate() {
            let text = words(*length, first + 10 * round + at + 1);
            messages.push(json!({ "role": "tool", "tool_call_id": id(at), "content": text }));
        }
    }
    messages.push(json!({ "role": "assistant", "content": words(turn.answer, first + 99) }));
    messages.into_iter().map(|message| message.to_string().into()).collect()
}

/// A conversation, and the places at which a model is called: behind a question, and behind results.
fn conversation(turns: &[Turn]) -> (Vec<Arc<str>>, Vec<usize>) {
    let all: Vec<_> = turns.iter().enumerate().flat_map(|(at, turn)| messages(turn, 100 * at)).collect();
    let calls = (1..=all.len()).filter(|end| matches!(measure(&all[end - 1]).speaker, Speaker::User | Speaker::Tool));
    let calls = calls.filter(|end| all.get(*end).is_none_or(|next| measure(next).speaker == Speaker::Assistant));
    let calls = calls.collect();
    (all, calls)
}

fn measure(body: &str) -> Measure {
    Measure::of(body)
}

fn sent(messages: &[Arc<str>], max: u32) -> (Vec<Arc<str>>, History) {
    let mut history = History::new(max);
    history.follow(messages);
    (history.sent(messages).cloned().collect(), history)
}

fn tokens_of(messages: &[Arc<str>]) -> u64 {
    messages.iter().map(|body| measure(body).whole).sum()
}

/// The keys that stand in place of something.
fn keys(sent: &[Arc<str>]) -> Vec<String> {
    let keys = sent.iter().flat_map(|body| {
        let said = message::said(body);
        let keys: Vec<String> =
            said.split("lookup(\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect();
        keys
    });
    keys.collect()
}

/// All that a key stands for, part after part.
fn looked_up(history: &History, key: &str, messages: &[Arc<str>]) -> String {
    let (mut all, mut key) = (String::new(), key.to_owned());
    loop {
        let shown = history.look_up(&key, messages).unwrap().unwrap();
        let Some((part, rest)) = shown.rsplit_once("\n‹… ") else { return all + &shown };
        all += part;
        key = rest.split('"').nth(1).unwrap().to_owned();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_fits_is_sent_as_it_is(turns in prop::collection::vec(turn(400), 1..6)) {
        let (all, _) = conversation(&turns);
        let max = u32::try_from(tokens_of(&all)).unwrap();
        let (sent, history) = sent(&all, max);
        prop_assert!(!history.is_shortened());
        prop_assert!(sent.iter().zip(&all).all(|(sent, all)| Arc::ptr_eq(sent, all)) && sent.len() == all.len());
    }

    #[test]
    fn what_is_sent_is_a_conversation_with_its_first_and_its_last_words(
        turns in prop::collection::vec(turn(6_000), 1..16), max in 1_000_u32..20_000,
    ) {
        let (all, calls) = conversation(&turns);
        for end in calls.into_iter().rev().step_by(3) {
            let all = &all[..end];
            let (sent, history) = sent(all, max);
            // Every result comes behind its call, and every call is followed by its results.
            let mut open: HashSet<String> = HashSet::new();
            for body in &sent {
                let message: Value = serde_json::from_str(body).unwrap();
                match message["role"].as_str().unwrap() {
                    "tool" => prop_assert!(open.remove(message["tool_call_id"].as_str().unwrap())),
                    _ => prop_assert!(open.is_empty()),
                }
                let calls = message["tool_calls"].as_array().into_iter().flatten();
                open.extend(calls.map(|call| call["id"].as_str().unwrap().to_owned()));
            }
            prop_assert!(open.is_empty());
            // User and assistant still take turns.
            let speakers: Vec<Speaker> = sent.iter().map(|body| measure(body).speaker).collect();
            prop_assert!(!speakers.windows(2).any(|two| two == [Speaker::User, Speaker::User]));
            // What was said last is there, and the question that is being answered.
            let question = all.iter().rposition(|body| measure(body).speaker == Speaker::User).unwrap();
            let last = all.iter().rposition(|body| measure(body).speaker != Speaker::Tool).unwrap();
            prop_assert!(sent.ends_with(&all[last..]));
            prop_assert!(sent.contains(&all[question]));
            // What was said first is there, unless it alone is a quarter of everything.
            if measure(&all[0]).whole <= u64::from(max) / 4 {
                prop_assert_eq!(&sent[0], &all[0]);
            }
            // Images are there with their message, or not at all.
            for body in &sent {
                let message: Value = serde_json::from_str(body).unwrap();
                if let Some(parts) = message["content"].as_array() {
                    prop_assert_eq!(parts.len(), 2);
                }
            }
            prop_assert_eq!(history.is_shortened(), sent != all);
        }
    }

    #[test]
    fn it_is_no_more_than_it_may_be(turns in prop::collection::vec(turn(1_500), 1..24), max in 12_000_u32..30_000) {
        let (all, calls) = conversation(&turns);
        for end in calls.into_iter().rev().step_by(3) {
            let (sent, history) = sent(&all[..end], max);
            prop_assert!(tokens_of(&sent) <= u64::from(max), "{} of {max}", tokens_of(&sent));
            prop_assert!(history.sent >= tokens_of(&sent), "the sum is never less than what is sent");
        }
    }

    #[test]
    fn it_does_not_matter_how_a_conversation_came_about(
        turns in prop::collection::vec(turn(4_000), 1..20), max in 1_000_u32..15_000,
    ) {
        // A turn takes the stored messages in at once, and those of its own one after the other.
        let (all, calls) = conversation(&turns);
        for question in calls.iter().filter(|end| measure(&all[*end - 1]).speaker == Speaker::User) {
            let mut running = History::new(max);
            for end in calls.iter().filter(|end| *end >= question).take(3) {
                if all[*question..*end].iter().any(|body| measure(body).speaker == Speaker::User) {
                    break;
                }
                running.follow(&all[..*end]);
                let (at_once, history) = sent(&all[..*end], max);
                prop_assert_eq!(running.sent(&all[..*end]).cloned().collect::<Vec<_>>(), at_once);
                prop_assert_eq!((running.cut, running.sent), (history.cut, history.sent));
            }
        }
    }

    #[test]
    fn the_beginning_changes_seldom_and_is_else_the_one_before(
        turns in prop::collection::vec(turn(1_500), 1..40), max in 16_000_u32..30_000,
    ) {
        let (all, calls) = conversation(&turns);
        let mut before: Vec<Arc<str>> = Vec::new();
        let mut changes = 0;
        for end in calls {
            let (sent, _) = sent(&all[..end], max);
            if !sent.starts_with(&before) {
                changes += 1;
            }
            before = sent;
        }
        // Half of what may be sent has to be added before it changes again.
        let most = tokens_of(&all) / u64::from(max / 2);
        prop_assert!(changes <= most, "{changes} changes, {most} at most");
    }

    #[test]
    fn every_key_shows_what_was_left_out(turns in prop::collection::vec(turn(6_000), 2..20), max in 1_000_u32..8_000) {
        let (all, calls) = conversation(&turns);
        let all = &all[..*calls.last().unwrap()];
        let (sent, history) = sent(all, max);
        let shown: Vec<String> = keys(&sent).iter().map(|key| looked_up(&history, key, all)).collect();
        for body in all.iter().filter(|body| !sent.contains(body)) {
            let said = message::said(body);
            prop_assert!(shown.iter().any(|shown| shown.contains(&said)), "{said} is nowhere");
        }
        prop_assert_eq!(keys(&sent).is_empty(), !history.is_shortened());
    }

    #[test]
    fn anything_may_stand_in_a_conversation(
        bodies in prop::collection::vec(
            prop_oneof![
                ".{0,40}".prop_map(|text| text),
                Just("{}".to_owned()),
                Just(r#"{"role":"user"}"#.to_owned()),
                Just(r#"{"role":"user","content":[1,null,{"type":"text"},{"type":"text","text":7}]}"#.to_owned()),
                ("user|assistant|tool|system|x", "\\PC{0,3000}")
                    .prop_map(|(role, text)| json!({ "role": role, "content": text }).to_string()),
            ],
            0..30,
        ),
        max in 1_000_u32..4_000,
    ) {
        let all: Vec<Arc<str>> = bodies.into_iter().map(Arc::from).collect();
        let mut history = History::new(max);
        for end in 0..=all.len() {
            history.follow(&all[..end]);
            let (at_once, _) = sent(&all[..end], max);
            prop_assert!(at_once.len() <= end + 1);
            if let Some(last) = all[..end].last() {
                prop_assert_eq!(at_once.last(), Some(last));
            }
        }
    }
}

#[test]
fn a_long_message_keeps_its_ends() {
    let long = format!("{}{}{}", "Begin. ".repeat(100), "x".repeat(12_340), " End.".repeat(100));
    let mut all: Vec<Arc<str>> = vec![json!({ "role": "user", "content": "Read this." }).to_string().into()];
    all.push(json!({ "role": "assistant", "content": long }).to_string().into());
    all.push(json!({ "role": "user", "content": "And?" }).to_string().into());
    let (sent, history) = sent(&all, 1_000);
    let told = message::said(&sent[1]);
    assert_eq!(sent.len(), 3);
    assert!(told.starts_with("Begin. Begin.") && told.ends_with(" End. End."), "{told}");
    assert!(told.contains("\n‹… 12,686 characters are left out here; lookup(\"#2\") shows the whole …›\n"), "{told}");
    assert_eq!(looked_up(&history, "#2", &all), long);
}

#[test]
fn what_is_read_page_by_page_is_made_once() {
    let messages = [json!({ "role": "user", "content": "word ".repeat(2_000) }).to_string().into()];
    let (_, history) = sent(&messages, LEAST_TOKENS);
    let page = |key: &str, messages: &[Arc<str>]| history.look_up(key, messages).unwrap();
    let first = page("#1", &messages).unwrap();
    assert!(first.starts_with("word word") && first.contains("lookup(\"#1@"), "{first}");
    // The message is not looked at again.
    assert!(page("#1@9000", &[]).unwrap().starts_with("word word"));
    assert!(page("#2", &messages).is_err());
    assert_eq!(page("#1", &messages).unwrap(), first);
}

#[test]
fn exchanges_that_are_left_out_are_one_line() {
    let one = |text: &str| vec![json!({ "role": "user", "content": text }).to_string().into()];
    let all: Vec<Arc<str>> = (0..100)
        .flat_map(|at| {
            let mut exchange: Vec<Arc<str>> = one(&format!("Question {at}? {}", "why ".repeat(20)));
            exchange.push(json!({ "role": "assistant", "content": format!("Answer {at}.") }).to_string().into());
            exchange
        })
        .chain(one("The last one?"))
        .collect();
    let (sent, history) = sent(&all, 1_000);
    assert_eq!(message::said(&sent[1]), "‹… 171 messages are left out here; lookup(\"#2-172\") shows them …›");
    assert_eq!(message::said(&sent[2]), format!("Question 86? {}", "why ".repeat(20)));
    let shown = looked_up(&history, "#2-172", &all);
    assert!(shown.starts_with("#2 assistant: Answer 0.\n\n#3 user: Question 1?"), "{shown}");
    assert!(shown.ends_with("#172 assistant: Answer 85."), "{shown}");
}

/// A request may bring as many messages as it has bytes, and what a client sends as history need not be one that can be cut.
#[test]
fn messages_without_end_are_taken_in_at_once() {
    let one = |role: &str| -> Arc<str> { json!({ "role": role, "content": "a" }).to_string().into() };
    let many = |role: &str| vec![one(role); 20_000];
    for (first, then) in [("assistant", "assistant"), ("assistant", "user"), ("tool", "tool"), ("user", "tool")] {
        let all = [many(first), vec![one("user")], many(then)].concat();
        let begun = Instant::now();
        let (sent, history) = sent(&all, 200_000);
        assert!(history.is_shortened() || sent == all);
        // It tells a moment from minutes, not quick from slow.
        assert!(begun.elapsed() < Duration::from_secs(40), "{first}, {then}: {:?}", begun.elapsed());
    }
}

#[test]
fn numbers_have_their_thousands_apart() {
    let shown = [0, 7, 999, 1_000, 12_340, 1_234_567].map(grouped);
    assert_eq!(shown, ["0", "7", "999", "1,000", "12,340", "1,234,567"]);
}
