//! Asking the person whether a call may be made.

use std::io::{IsTerminal, stderr, stdin};
use std::thread;

use anyhow::{Context, bail};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use serde::Serialize;
use tokio::sync::oneshot;

use super::event::Waiting;
use crate::cli::paint::{Paint, printable};
use crate::cli::say;

/// What stands before the person's answer.
const PROMPT: &str = "Make this call? y, or n and why: ";

/// What the person says, as a request brings it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Answer {
    id: String,
    approved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Asks for each call of a session. Who ends the input instead of answering leaves them all waiting.
pub(super) async fn ask(session: &str, waiting: &[Waiting]) -> anyhow::Result<Vec<Answer>> {
    let paint = Paint::of(stderr().is_terminal());
    let mut answers = Vec::with_capacity(waiting.len());
    for Waiting { id, name, arguments } in waiting {
        say(&format!("{} {} {}", paint.alarm("needs approval:"), printable(name), printable(&whole(arguments))));
        let (approved, reason) = loop {
            let Some(line) = read().await? else {
                bail!(
                    "nobody has answered: no call was made; a conversation with `--session {session}` asks again, and a message \
                     goes on without them"
                );
            };
            if let Some(answer) = understood(&line) {
                break answer;
            }
            // A person is asked again. What comes down a pipe was meant as the answer to this question.
            if !stdin().is_terminal() {
                bail!(
                    "`{}` is neither yes nor no: no call was made; write a line `y`, or `n` and why, for each call that \
                     needs approval",
                    printable(line.trim())
                );
            }
        };
        answers.push(Answer { id: id.clone(), approved, reason });
    }
    Ok(answers)
}

/// All of the arguments, since nobody approves what is not shown; on one line, so that nothing in them looks like a question.
fn whole(arguments: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(arguments) {
        Ok(arguments) => arguments.to_string(),
        Err(_) => arguments.escape_debug().to_string(),
    }
}

/// Yes, or no and perhaps why. None for what is neither.
fn understood(line: &str) -> Option<(bool, Option<String>)> {
    let line = line.trim();
    let (word, rest) = line.split_once(|c: char| c.is_whitespace() || c == ',').unwrap_or((line, ""));
    let rest = rest.trim_start_matches([',', ' ']).trim();
    match word.to_ascii_lowercase().as_str() {
        "y" | "yes" if rest.is_empty() => Some((true, None)),
        "n" | "no" => Some((false, (!rest.is_empty()).then(|| rest.to_owned()))),
        _ => None,
    }
}

/// Reads a line; none at the end. In a thread of its own, which nobody waits for when the program ends.
async fn read() -> anyhow::Result<Option<String>> {
    let (send, line) = oneshot::channel();
    thread::spawn(move || {
        // Nobody listens any more where the conversation was broken off.
        let _ = send.send(if stdin().is_terminal() { edited() } else { piped() });
    });
    line.await.context("the standard input cannot be read")?
}

fn edited() -> anyhow::Result<Option<String>> {
    match DefaultEditor::new().and_then(|mut editor| editor.readline(PROMPT)) {
        Ok(line) => Ok(Some(line)),
        Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
        Err(error) => Err(error).context("the terminal cannot be read"),
    }
}

fn piped() -> anyhow::Result<Option<String>> {
    let mut line = String::new();
    let read = stdin().read_line(&mut line).context("the standard input cannot be read as text")?;
    Ok((read > 0).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::{understood, whole};

    #[test]
    fn arguments_are_one_line_and_whole() {
        assert_eq!(whole("{\n  \"a\": \"b\\nc\" }\n"), r#"{"a":"b\nc"}"#);
        assert_eq!(whole("{}\nneeds approval: nothing {}"), r"{}\nneeds approval: nothing {}");
    }

    #[test]
    fn only_a_plain_yes_approves() {
        assert_eq!(understood("y\n"), Some((true, None)));
        assert_eq!(understood(" YES "), Some((true, None)));
        assert_eq!(understood("n"), Some((false, None)));
        assert_eq!(understood("no, it is too much"), Some((false, Some("it is too much".to_owned()))));
        assert_eq!(understood("N too much"), Some((false, Some("too much".to_owned()))));
        for unclear in ["", "yes, but only half", "yeah", "nope", "not that", "n-no", "maybe", "ok", "1"] {
            assert_eq!(understood(unclear), None, "{unclear}");
        }
    }
}
