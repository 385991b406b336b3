//! `external_agents:` — agents on other machines, by the Agent2Agent protocol.

use std::time::Duration;

use super::{endpoint::Endpoint, section::Section, template::TemplateSource};

/// How long a question may take, unless the file says otherwise.
const TIMEOUT: Duration = Duration::from_secs(120);

/// An agent on another machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExternalAgent {
    /// The address below which its card is, and the headers of its requests.
    pub endpoint: Endpoint,
    /// What it is good for, told to the models that may ask it.
    pub description: Option<TemplateSource>,
}

/// Reads the agents. `asked` are the names that other agents have among their delegates.
pub(super) fn read(section: &Section<'_>, asked: &[&str]) -> Vec<ExternalAgent> {
    let read = |(name, agent): (&str, Section<'_>)| {
        let description = agent.child("description");
        if asked.contains(&name) && !description.exists() {
            let help = "add a `description`: other agents choose by it".to_owned();
            agent.warn_at_key(format!("other agents may ask `{name}`, but nothing says what it is good for"), help);
        }
        let endpoint = Endpoint::read(name, &agent, TIMEOUT, "https://legal.example.com");
        ExternalAgent { endpoint, description: description.template() }
    };
    section.entries().into_iter().map(read).collect()
}
