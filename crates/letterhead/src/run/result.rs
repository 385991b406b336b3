//! What a run of the library gives: a result that can be kept and continued, or an error.

use std::sync::Arc;

use letterhead_context::{Problem, TrailEntry};
use letterhead_store::KeptVariable;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::approval::PendingApproval;
use crate::model::{FinishReason, Usage};

/// The form in which results are kept.
const VERSION: u32 = 1;

/// What a run gave.
///
/// It can be serialised, and goes on from there with the agent that has the conversation: see
/// [`Run::previous`](super::Run::previous). It holds the conversation, and no secret, no runtime header and no token.
/// Serialised it is without the context variables whose requests had a secret in them: those are fetched again.
///
/// ```
/// use letterhead::{Agent, Runner, run::RunResult};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let runner = Runner::with_agents([
///     Agent::new("triage").with_handoff("billing"),
///     Agent::new("billing").with_instructions("You handle billing."),
/// ])
/// .build()?;
/// let kept = serde_json::to_string(&runner.run("/handoff billing").await?)?;
///
/// let earlier: RunResult = serde_json::from_str(&kept)?;
/// let result = runner.run("And my invoice?").previous(&earlier).await?;
/// assert_eq!(&*result.current_agent, "billing");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Kept", try_from = "Kept")]
#[non_exhaustive]
pub struct RunResult {
    /// The answer's text.
    pub output: String,
    /// What the model said instead of an answer, where it refused to give one.
    pub refusal: String,
    /// Why the answer ended; none if the run was cancelled, and the answer is what came until then.
    pub finish: Option<FinishReason>,
    /// The conversation so far, each message as JSON in OpenAI's form.
    pub messages: Vec<Arc<str>>,
    /// The calls that wait for a person's approval: see [`Runner::resume`](super::Runner::resume). While there are any, the
    /// model has not been called after them.
    pub approvals: Vec<PendingApproval>,
    /// What all model calls cost together, those of children included.
    pub usage: Usage,
    /// The agent that has the conversation now.
    pub current_agent: Arc<str>,
    /// The object that tools and templates share. A later run works on its own copy.
    pub state: Arc<Value>,
    /// The context variables that the conversation keeps.
    pub kept: Vec<KeptVariable>,
    /// Which header went where: names, never values.
    pub trail: Vec<TrailEntry>,
}

impl RunResult {
    /// The answer as a value: of an agent [with an output schema](crate::Agent::with_output), which it then fits.
    ///
    /// ```
    /// use letterhead::model::OutputSchema;
    /// use letterhead::{Agent, Runner};
    /// use schemars::JsonSchema;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Invoice {
    ///     number: String,
    ///     total: f64,
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let clerk = Agent::new("clerk").with_output(OutputSchema::of::<Invoice>());
    /// let result = Runner::with_agents([clerk]).build()?.run("What do I owe?").await?;
    /// let invoice: Invoice = result.output_as()?;
    /// # let _ = (invoice.number, invoice.total);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// If the answer is not JSON, or not of this type: the model refused, calls a tool of the client's, or the schema says
    /// something else than the type.
    pub fn output_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.output)
    }
}

/// A run that failed.
///
/// An earlier result is what it was, and another run may go on from it. Where [`Problem::should_retry`] says no, ask somebody
/// first: a tool that may have changed something has been called, or waiting would not help.
#[derive(Clone, PartialEq, thiserror::Error)]
#[error("{problem}")]
#[non_exhaustive]
pub struct RunError {
    /// What went wrong.
    pub problem: Problem,
    /// What was said before.
    pub output: String,
    /// What the model calls until then cost together.
    pub usage: Usage,
    /// Which header went where until then, and what stayed: names, never values.
    pub trail: Vec<TrailEntry>,
}

impl RunError {
    /// Before anything was done.
    pub(super) fn before(problem: Problem) -> Self {
        Self { problem, output: String::new(), usage: Usage::default(), trail: Vec::new() }
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    output: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    refusal: String,
    finish: Option<FinishReason>,
    messages: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    approvals: Vec<PendingApproval>,
    usage: Usage,
    current_agent: Arc<str>,
    state: Arc<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    variables: Vec<KeptValue>,
    trail: Vec<TrailEntry>,
}

/// A context variable of which nothing was secret.
#[derive(Serialize, Deserialize)]
struct KeptValue {
    name: Arc<str>,
    value: Arc<Value>,
    fingerprint: [u8; 32],
    fetched_at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<i64>,
}

impl KeptValue {
    fn of(kept: KeptVariable) -> Option<Self> {
        let KeptVariable { name, value, fingerprint, fetched_at_ms, expires_at_ms, secret } = kept;
        (!secret).then_some(Self { name, value, fingerprint, fetched_at_ms, expires_at_ms })
    }

    fn variable(self) -> KeptVariable {
        let Self { name, value, fingerprint, fetched_at_ms, expires_at_ms } = self;
        KeptVariable { name, value, fingerprint, fetched_at_ms, expires_at_ms, secret: false }
    }
}

/// A kept result of another version.
#[derive(Debug, thiserror::Error)]
#[error("a result of version {0}; this library reads version {VERSION}")]
struct OtherVersion(u32);

impl From<RunResult> for Kept {
    fn from(result: RunResult) -> Self {
        let RunResult { output, refusal, finish, messages, approvals, usage, current_agent, state, kept, trail } =
            result;
        // Messages are JSON that this library, or a provider's adapter, has written.
        let messages = messages.iter().map(|message| serde_json::from_str(message).unwrap_or_default()).collect();
        let variables = kept.into_iter().filter_map(KeptValue::of).collect();
        let version = VERSION;
        Self { version, output, refusal, finish, messages, approvals, usage, current_agent, state, variables, trail }
    }
}

impl TryFrom<Kept> for RunResult {
    type Error = OtherVersion;

    fn try_from(kept: Kept) -> Result<Self, OtherVersion> {
        let Kept {
            version,
            output,
            refusal,
            finish,
            messages,
            approvals,
            usage,
            current_agent,
            state,
            variables,
            trail,
        } = kept;
        if version != VERSION {
            return Err(OtherVersion(version));
        }
        let messages = messages.iter().map(|message| message.to_string().into()).collect();
        let kept = variables.into_iter().map(KeptValue::variable).collect();
        Ok(Self { output, refusal, finish, messages, approvals, usage, current_agent, state, kept, trail })
    }
}
