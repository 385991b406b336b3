//! A turn that was refused before any model was called: nobody was asked anything, so nothing was said.

use letterhead::run::Outcome;
use letterhead_context::{Code, Problem};

use super::Stored;

impl Stored {
    /// What is to be written of a turn; nothing where it was refused and has left nothing.
    ///
    /// What was refused has not happened to the conversation, and its question is not kept: the client sends it again, with
    /// what was missing. What was fetched has happened, though, and calls that change something are not to be made twice. And
    /// the headers that came with it were accepted, unless they may be what it was refused for. A turn of which the client was
    /// told already is kept, as one that failed.
    pub(super) fn unless_refused(
        mut self: Box<Self>,
        outcome: &Outcome,
        problem: Option<&Problem>,
    ) -> Option<Box<Self>> {
        let refused = problem.filter(|problem| outcome.model.is_empty() && problem.status().is_client_error());
        let Some(problem) = refused else { return Some(self) };
        if !self.announced {
            self.record.messages.clear();
        }
        // Something else is missing, and nothing is wrong with what was sent.
        if problem.code() != Code::MissingCredential {
            self.record.headers.clear();
        }
        // And a call that was approved and made is not to be open again.
        let lasts = outcome.messages.iter().any(|message| message.lasting);
        (self.announced || lasts || !self.record.headers.is_empty() || !outcome.kept.is_empty()).then_some(self)
    }
}
