//! From the end of a question to what the model is told.

use super::conversation::Ended;
use super::heard::Heard;
use super::reading::Stage;
use crate::token_exchange::CallFault;
use crate::tool::ToolError;
use crate::tool::json_rpc::AskFault;
use crate::tool::told::{MOST_OF_MESSAGE, MOST_TOLD, cut};

/// The protocol's codes for a method and a version that the agent does not know.
const NO_METHOD: i64 = -32601;
const NO_VERSION: i64 = -32009;

/// Why a question has no end.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Nothing was asked: the card is not to be had, or is of no use.
    Card(AskFault),
    /// The question was not taken, as far as that can be known.
    Refused(AskFault),
    /// It was taken.
    Asked(AskFault),
}

impl Unanswered {
    /// May the card be out of date? Then nothing was done.
    pub(super) fn is_stale(&self) -> bool {
        match self {
            Self::Refused(AskFault::Status(status)) => matches!(status.as_u16(), 404 | 405 | 410),
            Self::Refused(AskFault::Error { code, .. }) => matches!(*code, NO_METHOD | NO_VERSION),
            Self::Refused(_) | Self::Asked(_) | Self::Card(_) => false,
        }
    }

    pub(super) fn fault(&self) -> &AskFault {
        let (Self::Card(fault) | Self::Refused(fault) | Self::Asked(fault)) = self;
        fault
    }

    /// The fault with which the last request reached nobody.
    pub(super) fn before_sending(&self) -> Option<CallFault> {
        match self.fault() {
            AskFault::NoToken(no) => Some(CallFault::NoToken(no.clone())),
            AskFault::Outbound(fault) if fault.is_before_sending() => Some(CallFault::Outbound(fault.clone())),
            _ => None,
        }
    }
}

/// What the model is told of an end.
pub(super) fn told(agent: &str, ended: Ended) -> Result<String, ToolError> {
    let Ended { stage, text } = ended;
    if stage == Stage::Completed {
        return Ok(if text.is_empty() { format!("{agent} is done, and says nothing.") } else { cut(text, MOST_TOLD) });
    }
    let what = match stage {
        Stage::InputRequired => {
            "asks back before it answers, and keeps nothing of this question: ask again, with all that it needs in one \
             input"
        }
        Stage::AuthRequired => "wants to be authorised first, which cannot be done here",
        Stage::Rejected => "refuses to do this",
        Stage::Canceled => "has cancelled its work on this",
        Stage::Failed | Stage::Underway | Stage::Completed => "failed",
    };
    let words = if text.is_empty() { "It does not say why.".to_owned() } else { format!("It says: {text}") };
    Err(ToolError::new(cut(format!("{agent} {what}. {words}"), MOST_TOLD)))
}

/// What the model is told where there was no end. What the agent says of an error in the protocol's own words, it may act on.
pub(super) fn failed(agent: &str, why: Unanswered, heard: &Heard<'_>) -> ToolError {
    match why {
        Unanswered::Refused(AskFault::Error { message, code, .. })
        | Unanswered::Asked(AskFault::Error { message, code, .. })
            if !message.trim().is_empty() =>
        {
            let message = cut(heard.without_secrets(&message), MOST_OF_MESSAGE);
            ToolError::new(format!("{agent} refused the question with error {code}: {message}"))
        }
        Unanswered::Refused(fault) | Unanswered::Asked(fault) => {
            ToolError::new(format!("{agent} gave no answer: {fault}."))
        }
        Unanswered::Card(fault @ (AskFault::NoToken(_) | AskFault::Outbound(_))) => {
            ToolError::new(format!("{agent} was not asked: {fault}."))
        }
        Unanswered::Card(fault) => {
            ToolError::new(format!("{agent} was not asked, for its card cannot be used: {fault}."))
        }
    }
}
