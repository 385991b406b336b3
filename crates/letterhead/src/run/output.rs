//! An answer that has to fit a schema: given out when it fits, and asked for once more when it does not.

use letterhead_context::{Code, Problem};
use serde_json::json;

use super::answer::Answer;
use super::turn::RunLoop;
use crate::agent::Agent;
use crate::model::FinishReason;
use crate::output::{OutputCheck, Unfit};

/// What becomes of an answer.
pub(super) enum Verdict {
    /// It is one.
    Taken,
    /// It is not; the model has been told, and is to be called again.
    AskedAgain,
    /// It is not, and no other is to be had.
    Refused(Problem),
}

impl RunLoop<'_> {
    /// Checks a whole answer of an agent whose answers have a form.
    pub(super) async fn judge(&mut self, output: &OutputCheck, agent: &Agent, answer: &mut Answer) -> Verdict {
        let finish = answer.finish();
        let is_withheld = answer.text.is_empty() && finish == FinishReason::ContentFilter;
        if !answer.tool_calls.is_empty() || !answer.refusal.is_empty() || is_withheld {
            return Verdict::Taken;
        }
        match output.check(&answer.text) {
            Ok(()) => {
                answer.release(&self.events).await;
                Verdict::Taken
            }
            // What was cut off would be cut off again.
            Err(unfit) if finish == FinishReason::Stop && !self.asked_again => {
                self.asked_again = true;
                self.ask_again(agent, answer, &unfit);
                Verdict::AskedAgain
            }
            Err(unfit) => Verdict::Refused(problem(agent, finish, &unfit)),
        }
    }

    /// Tells the model what is wrong, for this turn alone: what is kept is the conversation with an answer that fits.
    fn ask_again(&mut self, agent: &Agent, answer: &Answer, unfit: &Unfit) {
        let schema = agent.output().map(|output| format!(" The schema: {}", output.schema)).unwrap_or_default();
        let told = format!(
            "That answer cannot be used: {}. Answer again with one JSON value that fits the schema, and with nothing around \
             it: no words, no code fence.{schema}",
            unfit.told
        );
        self.input.messages.push(answer.message().into());
        self.input.messages.push(json!({ "role": "user", "content": told }).to_string().into());
    }
}

fn problem(agent: &Agent, finish: FinishReason, unfit: &Unfit) -> Problem {
    let why = match finish {
        FinishReason::Length => "it was cut off at the limit of tokens (see `max_tokens`)".to_owned(),
        FinishReason::ContentFilter => "the provider's filter ended it".to_owned(),
        FinishReason::Stop | FinishReason::ToolCalls => format!("asked twice, {}", unfit.reason),
    };
    let detail = format!("the answer of `{}` does not fit its `output` schema: {why}", agent.name());
    Problem::new(Code::UpstreamFailed, detail).with_should_retry(false)
}
