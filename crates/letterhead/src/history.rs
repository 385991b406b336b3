//! What of a long conversation a model is sent.
//!
//! A conversation that is longer than it may be is shortened in its middle, in two steps. Of a message's long text the ends
//! are kept. If that is not enough, whole exchanges are left out, the oldest first. In either place a key stands, under
//! which the tool `lookup` finds what is missing: in the messages of the run itself, and so never those of others.
//!
//! What was said first and what was said last stays as it is, and so does the message that is being answered. Calls of tools
//! are not separated from their results, because exchanges begin with a user's message. Images and files stay or go as a
//! whole.
//!
//! # The same beginning from turn to turn
//!
//! Providers keep what they have read, and read a request with the same beginning faster and cheaper. So a conversation is not
//! shortened to just below what it may have each time, which would change its beginning each time: it is shortened to *half*,
//! and then nothing changes until it has grown to the whole again. Where that happens depends on the messages alone, one
//! after the other, so that the same conversation is cut at the same places in every turn, on every node, and after a
//! restart, and nothing about it has to be stored.

mod key;
mod message;
#[cfg(test)]
mod tests;
mod tokens;

use std::iter;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use self::key::Key;
use self::message::{Measure, Speaker};

/// The fewest tokens that a conversation may be bounded to.
pub(crate) const LEAST_TOKENS: u32 = 1_000;

/// What the line for messages that are left out counts for.
const NOTICE: u64 = 40;

/// The most tokens that one look-up shows.
const PAGE: u64 = 4_000;

/// A conversation as a model is sent it, while it grows.
#[derive(Debug)]
pub(crate) struct History {
    /// The most tokens that are sent.
    max: u64,
    /// What all messages before each place count for: a request may bring so many that they cannot be counted again and again.
    sums: Vec<Sum>,
    /// The messages that are no results of tools, and the first.
    starts: Vec<usize>,
    /// The messages of users.
    questions: Vec<usize>,
    /// How many messages there are to the first of a user, with it.
    head: usize,
    /// The message that is being answered, once it is known.
    asked: Option<usize>,
    /// Where the conversation is cut, once it is too long.
    cut: Option<Cut>,
    /// What is sent up to `cut.whole`.
    beginning: Vec<Arc<str>>,
    /// What is sent, in tokens.
    sent: u64,
    /// What was looked up last: a long text is read page by page, and made once.
    shown: Mutex<Option<(Key, Arc<str>)>>,
}

/// What messages count for together.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    /// As they are.
    whole: u64,
    /// How much less, with the middle of their long texts left out.
    less: u64,
}

/// Where a conversation is cut: `head`, then what is left out, then messages without their middle, then whole ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    /// The first message behind those that are left out. Either a user's, or that behind the head, if none are.
    kept: usize,
    /// The first message from which on all are whole.
    whole: usize,
    /// A message that stays whole before that: the one that was answered when the cut was made.
    spared: Option<usize>,
}

impl History {
    /// Of a conversation of which no more than so many tokens are sent.
    pub(crate) fn new(max_tokens: u32) -> Self {
        Self {
            max: max_tokens.into(),
            sums: vec![Sum::default()],
            starts: Vec::new(),
            questions: Vec::new(),
            head: 0,
            asked: None,
            cut: None,
            beginning: Vec::new(),
            sent: 0,
            shown: Mutex::default(),
        }
    }

    /// Takes in the messages that have been added to the conversation.
    pub(crate) fn follow(&mut self, messages: &[Arc<str>]) {
        let before = self.cut;
        for (at, body) in messages.iter().enumerate().skip(self.count()) {
            let Measure { speaker, whole, short } = Measure::of(body);
            let Sum { whole: all, less } = self.sum(0..at);
            self.sums.push(Sum { whole: all + whole, less: less + whole.saturating_sub(short) });
            if speaker != Speaker::Tool || at == 0 {
                self.starts.push(at);
            }
            if speaker == Speaker::User {
                self.questions.push(at);
            }
            if self.head == 0 && speaker == Speaker::User {
                self.head = at + 1;
            }
            self.sent += whole;
            // Nothing was asked yet in what stands before the first question.
            if self.sent > self.max && self.head > 0 {
                self.shorten();
            }
        }
        // Behind it come answers and results, and what the run itself tells the model.
        self.asked = self.asked.or(self.questions.last().copied());
        if self.cut != before {
            self.beginning = self.cut.map(|cut| self.render(cut, messages)).unwrap_or_default();
        }
    }

    /// What the model is sent of them.
    pub(crate) fn sent<'a>(&'a self, messages: &'a [Arc<str>]) -> impl Iterator<Item = &'a Arc<str>> {
        let whole = self.cut.map_or(0, |cut| cut.whole);
        self.beginning.iter().chain(messages.get(whole..).unwrap_or_default())
    }

    /// Is there anything that the model is not sent?
    pub(crate) fn is_shortened(&self) -> bool {
        let Some(cut) = self.cut else { return false };
        cut.kept > self.head || self.cost(cut, 0..cut.whole) < self.sum(0..cut.whole).whole
    }

    /// Tells the log how much of the conversation the model was sent, if not all: counts, and no words.
    pub(crate) fn log(&self, agent: &str) {
        let Some(cut) = self.cut.filter(|_| self.is_shortened()) else { return };
        let left_out = cut.kept.saturating_sub(self.head);
        let kept = (0..self.head).chain(cut.kept..cut.whole);
        let shortened = kept.filter(|at| !self.is_whole(cut, *at) && self.sum(*at..at + 1).less > 0).count();
        let (messages, tokens, max_tokens) = (self.count(), self.sent, self.max);
        tracing::debug!(
            agent,
            messages,
            left_out,
            shortened,
            tokens,
            max_tokens,
            "the conversation was shortened for the model"
        );
    }

    /// What a key that was put in place of something stands for, as text for the model; the error is for it, too. Nothing if
    /// the key is of another kind.
    pub(crate) fn look_up(&self, key: &str, messages: &[Arc<str>]) -> Option<Result<String, String>> {
        key::look_up(key, |key| self.text(key, messages), messages.len(), PAGE.min(self.max / 8))
    }

    /// All that a key stands for. Messages that are there do not change.
    fn text(&self, key: Key, messages: &[Arc<str>]) -> Option<Arc<str>> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = shown.as_ref().filter(|(last, _)| *last == key) {
            return Some(Arc::clone(text));
        }
        let text: Arc<str> = key.text(messages)?.into();
        *shown = Some((key, Arc::clone(&text)));
        Some(text)
    }

    /// Moves the cut, so that half of what may be sent is.
    fn shorten(&mut self) {
        let (end, goal) = (self.count(), self.max / 2);
        let before = self.cut.unwrap_or(Cut { kept: self.head, whole: 0, spared: None });
        let spared = self.asked.or(self.questions.last().copied());
        // Half of that half for what was said last; at least the last answer with its results, or the last question.
        let fits = self.starts.partition_point(|start| self.sum(*start..end).whole > goal / 2);
        let whole = self.starts.get(fits).or(self.starts.last()).copied().unwrap_or(end);
        let mut cut = Cut { kept: self.head, whole: whole.max(before.whole), spared };
        // What has room before it, down to the head: whole exchanges, and that of the message that is being answered.
        let from = spared.unwrap_or(0).max(self.head);
        let head = self.cost(cut, 0..self.head);
        let fits = |at: usize| head + NOTICE + self.cost(cut, at..end) <= goal;
        let kept = if fits(self.head) {
            self.head
        } else {
            let first = self.questions.partition_point(|at| *at < self.head || !fits(*at));
            self.questions.get(first).map_or(from, |at| from.min(*at))
        };
        cut.kept = kept.max(before.kept);
        cut.whole = cut.whole.max(cut.kept);
        let notice = if cut.kept > self.head { NOTICE } else { 0 };
        self.sent = head + notice + self.cost(cut, cut.kept..end);
        self.cut = Some(cut);
    }

    /// What messages count for, if the conversation is cut there and they are not left out.
    fn cost(&self, cut: Cut, range: Range<usize>) -> u64 {
        let shortened = range.start.max(self.whole_head())..range.end.min(cut.whole);
        let spared = cut.spared.filter(|at| shortened.contains(at)).map_or(0, |at| self.sum(at..at + 1).less);
        self.sum(range).whole + spared - self.sum(shortened).less
    }

    fn is_whole(&self, cut: Cut, at: usize) -> bool {
        at >= cut.whole || cut.spared == Some(at) || at < self.whole_head()
    }

    /// What was said first is whole, unless it alone would take a quarter of all.
    fn whole_head(&self) -> usize {
        if self.sum(0..self.head).whole <= self.max / 4 { self.head } else { 0 }
    }

    /// What these messages count for.
    fn sum(&self, range: Range<usize>) -> Sum {
        let until = |at: usize| self.sums.get(at).copied().unwrap_or_default();
        let (start, end) = (until(range.start.min(range.end)), until(range.end));
        Sum { whole: end.whole.saturating_sub(start.whole), less: end.less.saturating_sub(start.less) }
    }

    /// How many messages have been taken in.
    fn count(&self) -> usize {
        self.sums.len().saturating_sub(1)
    }

    /// What is sent up to where all is whole.
    fn render(&self, cut: Cut, messages: &[Arc<str>]) -> Vec<Arc<str>> {
        let one = |at: usize| {
            let body = messages.get(at)?;
            Some(if self.is_whole(cut, at) { Arc::clone(body) } else { message::shortened(body, at + 1) })
        };
        let notice = (cut.kept > self.head).then(|| notice(self.head, cut.kept));
        let (first, rest) = (0..self.head, cut.kept..cut.whole);
        first.filter_map(one).chain(notice).chain(rest.filter_map(one)).collect()
    }
}

/// The line in place of messages. It takes the place of answers, so it is the assistant's: there are models whose templates
/// want user and assistant in turn.
fn notice(from: usize, to: usize) -> Arc<str> {
    let (key, count) = (Key::Messages(from + 1, to), grouped(to - from));
    let text = format!("‹… {count} messages are left out here; lookup(\"{key}\") shows them …›");
    json!({ "role": "assistant", "content": text }).to_string().into()
}

/// A number with its thousands apart: `12,340`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (start, rest) = digits.split_at_checked(first).unwrap_or((&digits, ""));
    let groups = (0..rest.len()).step_by(3).filter_map(|at| rest.get(at..at + 3));
    let all = iter::once(start).filter(|start| !start.is_empty()).chain(groups);
    all.collect::<Vec<_>>().join(",")
}
