//! What an agent has said so far, told to whoever listens as it comes.

use letterhead_context::{CarriedSecrets, SecretsInPieces};
use serde_json::Value;

use super::reading::Artifact;
use crate::run::{Events, RunEvent};
use crate::tool::endpoint::Line;
use crate::tool::json_rpc::AskFault;

/// The most artifacts of one answer.
const MOST_ARTIFACTS: usize = 256;

/// What stands between two artifacts.
const BETWEEN: &str = "\n\n";

/// The answer as far as it has come. What the question carried is taken out of all that leaves here: an agent may repeat it.
pub(super) struct Heard<'a> {
    events: &'a Events,
    carried: CarriedSecrets,
    pieces: SecretsInPieces,
    /// Each artifact's id and text, in the order of their coming.
    artifacts: Vec<(String, String)>,
    /// Something that was told already has been replaced by something else: then no more is told on the way.
    taken_back: bool,
}

impl<'a> Heard<'a> {
    pub(super) fn new(events: &'a Events, carried: CarriedSecrets) -> Self {
        Self { events, carried, pieces: SecretsInPieces::default(), artifacts: Vec::new(), taken_back: false }
    }

    /// What a request carried that is not known before it is made.
    pub(super) fn also_carried(&mut self, line: &Line) {
        line.pass.iter().for_each(|pass| pass.hide_in(&mut self.carried));
    }

    /// Takes an artifact, or more of one.
    pub(super) async fn artifact(&mut self, artifact: &Artifact) -> Result<(), AskFault> {
        let Artifact { id, pieces, append } = artifact;
        let Some(at) = self.artifacts.iter().position(|(known, _)| known == id) else {
            if self.artifacts.len() == MOST_ARTIFACTS {
                return Err(AskFault::Malformed("its answer has more than 256 artifacts"));
            }
            let mut text = String::new();
            pieces.iter().for_each(|piece| piece.add_to(&mut text));
            return self.add(id, text).await;
        };
        let is_last = at + 1 == self.artifacts.len();
        let Some((_, text)) = self.artifacts.get_mut(at) else { return Ok(()) };
        let mut before = text.len();
        if !append {
            let mut whole = String::new();
            pieces.iter().for_each(|piece| piece.add_to(&mut whole));
            // Many agents send all of it each time.
            if !whole.starts_with(text.as_str()) {
                self.taken_back = true;
                before = whole.len();
            }
            *text = whole;
        } else {
            pieces.iter().for_each(|piece| piece.add_to(text));
        }
        let more = text.get(before..).unwrap_or_default().to_owned();
        if !is_last && !more.is_empty() {
            self.taken_back = true;
        }
        self.tell(more).await;
        Ok(())
    }

    /// Adds words that are no artifact: a message, or what is said at the end. Words that were said already are not added.
    pub(super) async fn words(&mut self, words: &str) -> Result<(), AskFault> {
        if words.trim().is_empty() || self.artifacts.iter().any(|(_, text)| text.contains(words)) {
            return Ok(());
        }
        self.add("", words.to_owned()).await
    }

    async fn add(&mut self, id: &str, text: String) -> Result<(), AskFault> {
        let is_first = self.artifacts.iter().all(|(_, text)| text.is_empty());
        let more = if is_first || text.is_empty() { text.clone() } else { format!("{BETWEEN}{text}") };
        self.artifacts.push((id.to_owned(), text));
        self.tell(more).await;
        Ok(())
    }

    async fn tell(&mut self, more: String) {
        if !self.taken_back && !more.is_empty() {
            let more = self.pieces.push(&self.carried, &more);
            self.emit(more).await;
        }
    }

    async fn emit(&self, text: String) {
        if !text.is_empty() {
            self.events.emit(|| RunEvent::Text(text)).await;
        }
    }

    /// What the agent says of its work while it is at it: no part of the answer.
    pub(super) async fn progress(&self, words: &str) {
        if !words.trim().is_empty() {
            let words = self.without_secrets(words);
            self.events.emit(|| RunEvent::Reasoning(words)).await;
        }
    }

    /// Nothing more will come: tells what was held back. The whole answer.
    pub(super) async fn finish(&mut self) -> String {
        let rest = self.pieces.finish(&self.carried);
        if !self.taken_back {
            self.emit(rest).await;
        }
        let texts: Vec<&str> =
            self.artifacts.iter().map(|(_, text)| text.as_str()).filter(|text| !text.is_empty()).collect();
        self.without_secrets(texts.join(BETWEEN).trim_end())
    }

    /// Has anything been said?
    pub(super) fn is_silent(&self) -> bool {
        self.artifacts.is_empty()
    }

    pub(super) fn without_secrets(&self, text: &str) -> String {
        let mut text = Value::from(text);
        self.carried.remove_from(&mut text);
        text.as_str().unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::tool::external_agent::reading::Piece;

    fn artifact(id: &str, text: &str, append: bool) -> Artifact {
        Artifact { id: id.to_owned(), pieces: vec![Piece::Text(text.to_owned())], append }
    }

    /// What is told on the way, and the whole.
    async fn heard(artifacts: &[(&str, &str, bool)], words: &str) -> (String, String) {
        let (sender, mut told) = mpsc::channel(64);
        let events = Events::to(sender);
        let mut heard = Heard::new(&events, CarriedSecrets::default());
        for (id, text, append) in artifacts {
            heard.artifact(&artifact(id, text, *append)).await.unwrap();
        }
        heard.words(words).await.unwrap();
        let whole = heard.finish().await;
        let mut all = String::new();
        while let Ok(event) = told.try_recv() {
            if let RunEvent::Text(text) = event {
                all.push_str(&text);
            }
        }
        (all, whole)
    }

    #[tokio::test]
    async fn what_is_told_on_the_way_is_the_answer() {
        for (artifacts, words, answer) in [
            (vec![("a", "One", false), ("a", " two", true), ("a", ".", true)], "", "One two."),
            (vec![("a", "One", false), ("a", "One two.", false)], "", "One two."),
            (vec![("a", "One.", false), ("b", "Two", false), ("b", ".", true)], "", "One.\n\nTwo."),
            (vec![("a", "", false), ("b", "Two.", true)], "", "Two."),
            (vec![("a", "One.", false)], "One.", "One."),
            (vec![("a", "One.", false)], "And that is all.", "One.\n\nAnd that is all."),
            (vec![], "Hello", "Hello"),
            (vec![], " ", ""),
        ] {
            assert_eq!(heard(&artifacts, words).await, (answer.to_owned(), answer.to_owned()));
        }
    }

    #[tokio::test]
    async fn what_is_taken_back_is_not_in_the_answer() {
        let replaced = [("a", "One", false), ("a", "Two", false), ("a", ".", true)];
        assert_eq!(heard(&replaced, "").await, ("One".to_owned(), "Two.".to_owned()));
        let earlier = [("a", "One", false), ("b", "Two.", false), ("a", ".", true)];
        assert_eq!(heard(&earlier, "").await, ("One\n\nTwo.".to_owned(), "One.\n\nTwo.".to_owned()));
    }

    #[tokio::test]
    async fn an_answer_has_an_end() {
        let events = Events::none();
        let mut heard = Heard::new(&events, CarriedSecrets::default());
        for id in 0..MOST_ARTIFACTS {
            heard.artifact(&artifact(&id.to_string(), "x", false)).await.unwrap();
        }
        assert!(heard.artifact(&artifact("more", "x", false)).await.is_err());
    }
}
