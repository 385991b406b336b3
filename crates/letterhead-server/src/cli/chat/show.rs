//! What a person sees of an answer: its text on the standard output, everything beside it, dim, on the standard error.

use std::io::Write;

use super::event::Event;
use crate::cli::paint::{Paint, printable};

/// How much of a tool's arguments or result is shown.
const SHOWN: usize = 200;

/// Shows one answer.
#[derive(Debug)]
pub(super) struct Show<O, E> {
    out: O,
    beside: E,
    /// The text is for a person's eyes: nothing in it may repaint the terminal.
    to_terminal: bool,
    paint: Paint,
    agent: Option<String>,
    /// An agent that was asked has been heard: its result need not be repeated.
    child_heard: bool,
    /// Whose line is not at its end.
    open: Open,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Open {
    Nobody,
    Answer,
    Child(String),
}

impl<O: Write, E: Write> Show<O, E> {
    /// `to_terminal` says whether the text goes to one; `paint` is for what stands beside it.
    pub(super) fn new(out: O, beside: E, to_terminal: bool, paint: Paint) -> Self {
        Self { out, beside, to_terminal, paint, agent: None, child_heard: false, open: Open::Nobody }
    }

    /// Shows one thing that happened.
    pub(super) fn event(&mut self, event: &Event) -> std::io::Result<()> {
        match event {
            Event::Text(text) => self.text(text),
            Event::Child { agent, text } => self.child(agent, text),
            // The first agent is the one that was asked; only another one is news.
            Event::Agent(agent) if self.agent.as_ref().is_none_or(|now| now == agent) => {
                self.agent = Some(agent.clone());
                Ok(())
            }
            Event::Agent(agent) => {
                self.agent = Some(agent.clone());
                self.note(&format!("{agent} has the conversation now"))
            }
            // That another agent has taken over is told when it has.
            Event::ToolStarted { tool, .. } | Event::ToolEnded { tool, failed: false, .. }
                if tool.starts_with("handoff_to_") =>
            {
                Ok(())
            }
            Event::ToolEnded { tool, failed: false, .. } if tool == "ask_agent" && self.child_heard => self.end_line(),
            Event::ToolStarted { tool, arguments } => self.note(&format!("→ {tool} {}", short(arguments))),
            Event::ToolEnded { tool, result, failed: false } => self.note(&format!("← {tool} {}", short(result))),
            Event::ToolEnded { tool, result, failed: true } => self.note(&format!("✗ {tool} {}", short(result))),
            Event::Finished(reason) if reason == "length" => self.note("the answer is cut at the limit of tokens"),
            Event::Finished(reason) if reason == "content_filter" => self.note("the provider's filter cut the answer"),
            // Somebody is asked, once all are known.
            Event::Waits(_) | Event::Finished(_) | Event::Failed { .. } | Event::Done => Ok(()),
        }
    }

    /// Ends the line that is open, if one is.
    pub(super) fn end_line(&mut self) -> std::io::Result<()> {
        match std::mem::replace(&mut self.open, Open::Nobody) {
            Open::Nobody => Ok(()),
            Open::Answer => {
                self.out.write_all(b"\n")?;
                self.out.flush()
            }
            Open::Child(_) => self.beside.write_all(b"\n"),
        }
    }

    fn text(&mut self, text: &str) -> std::io::Result<()> {
        if self.open != Open::Answer {
            self.end_line()?;
        }
        let shown = if self.to_terminal { printable(text) } else { text.to_owned() };
        self.out.write_all(shown.as_bytes())?;
        self.out.flush()?;
        self.open = if text.ends_with('\n') { Open::Nobody } else { Open::Answer };
        Ok(())
    }

    fn child(&mut self, agent: &str, text: &str) -> std::io::Result<()> {
        self.child_heard = true;
        let goes_on = matches!(&self.open, Open::Child(open) if open == agent);
        if !goes_on {
            self.end_line()?;
            self.beside.write_all(self.paint.dim(&printable(&format!("{agent}: "))).as_bytes())?;
            self.open = Open::Child(agent.to_owned());
        }
        self.beside.write_all(self.paint.dim(&printable(text)).as_bytes())?;
        self.beside.flush()
    }

    fn note(&mut self, text: &str) -> std::io::Result<()> {
        self.end_line()?;
        writeln!(self.beside, "{}", self.paint.dim(&printable(text)))
    }
}

/// One line of bounded length.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} …", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(to_terminal: bool, events: &[Event]) -> (String, String) {
        let mut show = Show::new(Vec::new(), Vec::new(), to_terminal, Paint::plain());
        for event in events {
            show.event(event).unwrap();
        }
        show.end_line().unwrap();
        (String::from_utf8(show.out).unwrap(), String::from_utf8(show.beside).unwrap())
    }

    fn agent(name: &str) -> Event {
        Event::Agent(name.to_owned())
    }

    fn text(text: &str) -> Event {
        Event::Text(text.to_owned())
    }

    #[test]
    fn the_answer_is_alone_on_its_output_and_everything_else_is_beside_it() {
        let child = |text: &str| Event::Child { agent: "researcher".to_owned(), text: text.to_owned() };
        let (out, beside) = shown(
            true,
            &[
                agent("assistant"),
                text("Let me ask."),
                Event::ToolStarted {
                    tool: "ask_agent".to_owned(),
                    arguments: "{\n \"agent\": \"researcher\"}".to_owned(),
                },
                child("It is "),
                child("so."),
                Event::ToolEnded { tool: "ask_agent".to_owned(), result: "It is so.".to_owned(), failed: false },
                Event::ToolEnded { tool: "get_time".to_owned(), result: "12:00".to_owned(), failed: false },
                Event::ToolEnded { tool: "get_order".to_owned(), result: "x".repeat(500), failed: true },
                Event::ToolStarted { tool: "handoff_to_billing".to_owned(), arguments: "{}".to_owned() },
                agent("billing"),
                text("It "),
                text("is so."),
            ],
        );
        assert_eq!(out, "Let me ask.\nIt is so.\n");
        let expected = format!(
            "→ ask_agent {{ \"agent\": \"researcher\"}}\nresearcher: It is so.\n← get_time 12:00\n✗ get_order {} …\n\
             billing has the conversation now\n",
            "x".repeat(SHOWN)
        );
        assert_eq!(beside, expected);
    }

    #[test]
    fn an_answer_that_ends_its_line_gets_no_second_end() {
        assert_eq!(shown(false, &[text("a\n"), Event::Done]).0, "a\n");
        assert_eq!(shown(false, &[Event::Done]).0, "");
        let cut = shown(false, &[text("a"), Event::Finished("length".to_owned())]);
        assert_eq!(cut, ("a\n".to_owned(), "the answer is cut at the limit of tokens\n".to_owned()));
    }

    #[test]
    fn controls_reach_a_pipe_as_they_are_and_a_terminal_not_at_all() {
        assert_eq!(shown(true, &[text("\u{1b}[2Ja")]).0, "\u{fffd}[2Ja\n");
        assert_eq!(shown(false, &[text("\u{1b}[2Ja")]).0, "\u{1b}[2Ja\n");
    }
}
