//! Talking at a terminal: a line, an answer, the next line.

use anyhow::Context;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::conversation::Conversation;
use crate::cli::columns::table;
use crate::cli::paint::Paint;
use crate::cli::trail;
use crate::cli::{print, say};

/// What stands before a line.
const PROMPT: &str = "> ";

const HELP: &str = "\
/trail  which header went where in this session
/new    a new session
/quit   the end; Ctrl-D is the same
Everything else is said to the agent. Ctrl-C breaks an answer off.";

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Nothing,
    Help,
    Trail,
    New,
    Quit,
    Message(&'a str),
}

impl<'a> Line<'a> {
    /// Only our own commands are taken; other words with a slash may mean something to the agent.
    fn of(text: &'a str) -> Self {
        match text.trim() {
            "" => Self::Nothing,
            "/help" | "/?" => Self::Help,
            "/trail" => Self::Trail,
            "/new" => Self::New,
            "/quit" | "/exit" => Self::Quit,
            message => Self::Message(message),
        }
    }
}

/// Talks until the person ends it. A turn that fails does not end it.
pub(super) async fn talk(conversation: &mut Conversation, paint: Paint) -> anyhow::Result<()> {
    let mut editor = DefaultEditor::new().context("the terminal cannot be read")?;
    let mut interrupted = false;
    say(&paint.dim("/trail, /new, /quit, /help; everything else is said to the agent"));
    // What is said next would go on without the calls that wait.
    match conversation.waiting().await {
        Ok(waiting) if waiting.is_empty() => {}
        Ok(waiting) => show(conversation.go_on(waiting), paint).await?,
        Err(failure) => say(&failure.to_string()),
    }
    loop {
        let (back, line) = read(editor).await?;
        editor = back;
        let text = match line {
            Ok(text) => text,
            Err(ReadlineError::Eof) => break,
            // The first one only clears the line.
            Err(ReadlineError::Interrupted) if interrupted => break,
            Err(ReadlineError::Interrupted) => {
                interrupted = true;
                say(&paint.dim("Ctrl-C again, Ctrl-D or /quit ends"));
                continue;
            }
            Err(error) => return Err(error).context("the terminal cannot be read"),
        };
        interrupted = false;
        match Line::of(&text) {
            Line::Nothing => {}
            Line::Quit => break,
            Line::Help => say(HELP),
            Line::New => {
                conversation.leave();
                say(&paint.dim("the next message opens a new session"));
            }
            Line::Trail => show_trail(conversation, paint).await?,
            Line::Message(message) => {
                // History is in memory alone: what is said here may be nobody else's business.
                let _ = editor.add_history_entry(text.as_str());
                show(say_next(conversation, message, paint), paint).await?;
            }
        }
    }
    if let Some(session) = conversation.session() {
        say(&paint.dim(&format!("--session {session} goes on with it")));
    }
    Ok(())
}

/// Says something, after what waits for an answer: another client's turn may have paused since, and would be passed over.
async fn say_next(conversation: &mut Conversation, message: &str, paint: Paint) -> anyhow::Result<()> {
    // Where nobody can be asked, neither can the message be said, which tells why.
    let waiting = conversation.waiting().await.unwrap_or_default();
    if !waiting.is_empty() {
        say(&paint.dim("a turn of another client waits in this session; your message comes after your answer"));
        conversation.go_on(waiting).await.context("your message was not sent")?;
    }
    conversation.say(message).await
}

/// Reading a line blocks its thread.
async fn read(mut editor: DefaultEditor) -> anyhow::Result<(DefaultEditor, Result<String, ReadlineError>)> {
    let reading = tokio::task::spawn_blocking(move || {
        let line = editor.readline(PROMPT);
        (editor, line)
    });
    reading.await.context("the terminal cannot be read")
}

/// Waits for an answer, which shows itself.
async fn show(answer: impl Future<Output = anyhow::Result<()>>, paint: Paint) -> anyhow::Result<()> {
    let answered = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            say(&format!("\n{}", paint.dim("broken off; the session keeps what was said")));
            return Ok(());
        }
        answered = answer => answered,
    };
    if let Err(error) = answered {
        say(&format!("{} {error:#}", paint.alarm("letterhead:")));
    }
    print("\n").context("the terminal is gone")
}

async fn show_trail(conversation: &Conversation, paint: Paint) -> anyhow::Result<()> {
    match conversation.trail().await {
        Err(failure) => say(&failure.to_string()),
        Ok(rows) => {
            print(&trail::sent(&rows, paint))?;
            let stayed: Vec<_> = trail::stayed(&rows).collect();
            if !stayed.is_empty() {
                print(&format!("\n{}", table(["turn", "stayed behind", "destination", "why"], stayed, paint)))?;
            }
            print("\n")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn only_our_own_commands_are_taken() {
        assert_eq!(Line::of("  "), Line::Nothing);
        assert_eq!(Line::of(" /quit "), Line::Quit);
        assert_eq!(Line::of("/new"), Line::New);
        assert_eq!(Line::of("/trail"), Line::Trail);
        assert_eq!(Line::of("/handoff billing"), Line::Message("/handoff billing"));
        assert_eq!(Line::of("/newspaper, please"), Line::Message("/newspaper, please"));
    }
}
