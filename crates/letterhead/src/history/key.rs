//! The keys under which the model finds what was left out of what it is sent.

use std::fmt;
use std::sync::Arc;

use super::{grouped, message, tokens};

/// What a key stands for, in the conversation of the run: messages by their number, the first being 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// `#14`
    Message(usize),
    /// `#2-13`
    Messages(usize, usize),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(number) => write!(f, "#{number}"),
            Self::Messages(first, last) => write!(f, "#{first}-{last}"),
        }
    }
}

impl Key {
    /// Reads a key, and behind `@` the character at which to begin. Nothing if it is none of ours.
    fn parse(text: &str) -> Option<(Self, usize)> {
        let text = text.trim().strip_prefix('#')?;
        let (numbers, from) = match text.split_once('@') {
            Some((numbers, from)) => (numbers, from.trim().parse().ok()?),
            None => (text, 0),
        };
        let number = |text: &str| text.trim().parse::<usize>().ok();
        Some(match numbers.split_once('-') {
            Some((first, last)) => (Self::Messages(number(first)?, number(last)?), from),
            None => (Self::Message(number(numbers)?), from),
        })
    }

    /// All that it stands for; nothing if the conversation has no such messages.
    pub(super) fn text(self, messages: &[Arc<str>]) -> Option<String> {
        let at = |number: usize| messages.get(number.checked_sub(1)?);
        match self {
            Self::Message(number) => at(number).map(|body| message::said(body)),
            Self::Messages(first, last) => {
                let range = messages.get(first.checked_sub(1)?..last).filter(|range| !range.is_empty())?;
                let lines = range.iter().zip(first..).map(|(body, number)| message::line(body, number));
                Some(lines.collect::<Vec<_>>().join("\n\n"))
            }
        }
    }
}

/// What a key of this conversation stands for, no more than `page` tokens of it at a time. Nothing if the key is of another
/// form: then it is not for a message. `text` gives all of it, of a conversation of `count` messages.
pub(super) fn look_up(
    key: &str,
    text: impl FnOnce(Key) -> Option<Arc<str>>,
    count: usize,
    page: u64,
) -> Option<Result<String, String>> {
    let (key, from) = Key::parse(key)?;
    let Some(text) = text(key) else {
        return Some(Err(format!("This conversation has no {key}: it has {count} messages.")));
    };
    let start = text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(from);
    let Some(rest) = start.and_then(|start| text.get(start..)) else {
        return Some(Err(format!("{key} ends before its character {from}.")));
    };
    let shown = tokens::start(rest, page);
    let left = rest.chars().count().saturating_sub(shown.chars().count());
    if left == 0 {
        return Some(Ok(rest.to_owned()));
    }
    let (next, left) = (from + shown.chars().count(), grouped(left));
    Some(Ok(format!("{shown}\n‹… {left} characters more; lookup(\"{key}@{next}\") goes on there …›")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(key: &str, messages: &[Arc<str>], page: u64) -> Option<Result<String, String>> {
        super::look_up(key, |key| key.text(messages).map(Arc::from), messages.len(), page)
    }

    fn conversation() -> Vec<Arc<str>> {
        let told = r#"{"role":"assistant","content":"Yes.","tool_calls":[{"id":"c","type":"function","function":{"name":"look","arguments":"{\"a\":1}"}}]}"#;
        [r#"{"role":"user","content":[{"type":"text","text":"Is it?"},{"type":"image_url","image_url":{"url":"x"}}]}"#, told]
            .map(Arc::from)
            .to_vec()
    }

    #[test]
    fn a_key_shows_a_message_or_several() {
        let messages = conversation();
        let shown = |key| look_up(key, &messages, 1_000).unwrap().unwrap();
        assert_eq!(shown("#1"), "Is it?\n\n[image_url]");
        assert_eq!(shown(" #2 "), "Yes.\n\n[calls look {\"a\":1}]");
        assert_eq!(shown("#1-2"), "#1 user: Is it?\n\n[image_url]\n\n#2 assistant: Yes.\n\n[calls look {\"a\":1}]");
        assert_eq!(shown("#1@3"), "it?\n\n[image_url]");
    }

    #[test]
    fn a_long_text_is_shown_in_parts_that_are_all_of_it() {
        let text: String = ('a'..='z').cycle().take(1_000).chain("漢字".chars().cycle().take(500)).collect();
        let messages = [serde_json::json!({"role": "user", "content": text}).to_string().into()];
        let (mut found, mut key, mut parts) = (String::new(), "#1".to_owned(), 0);
        loop {
            let shown = look_up(&key, &messages, 100).unwrap().unwrap();
            parts += 1;
            let Some((part, hint)) = shown.split_once("\n‹… ") else {
                found.push_str(&shown);
                break;
            };
            found.push_str(part);
            key = hint.split('"').nth(1).unwrap().to_owned();
        }
        assert_eq!(found, text);
        assert_eq!(parts, 8, "250 tokens of letters, 500 of others");
    }

    #[test]
    fn what_is_not_there_is_said_and_other_keys_are_others() {
        let messages = conversation();
        for key in ["#0", "#3", "#0-1", "#2-1", "#1-3", "#1@1000", "#18446744073709551615", "#2-18446744073709551615"] {
            let told = look_up(key, &messages, 1_000).unwrap().unwrap_err();
            assert!(told.contains("This conversation has no #") || told.contains("ends before"), "{key}: {told}");
        }
        for key in
            ["", "#", "headers", "# 1 2", "#-1", "#1-", "#1@", "#a", "#99999999999999999999999", "1", "##1", "#1-2-3"]
        {
            assert_eq!(look_up(key, &messages, 1_000), None, "{key}");
        }
    }
}
