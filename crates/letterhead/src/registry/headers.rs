//! Which declared headers are read, and where: known from the configuration alone.

use std::sync::Arc;

use letterhead_context::Read;

use super::{PreparedInstructions, Registry};

/// A header that something reads: who, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRead {
    /// The declared header.
    pub header: Arc<str>,
    /// The destination, as a trail names it.
    pub destination: Arc<str>,
    /// The outbound header that it goes into; none for instructions.
    pub into: Option<Arc<str>>,
}

impl Registry {
    /// Every declared header that a template names, with where it goes: known from the configuration alone.
    pub fn header_reads(&self) -> Vec<HeaderRead> {
        let mut found = Vec::new();
        let mut note = |read: &Read, destination: &Arc<str>, into: Option<&str>| {
            if let Read::Header { name, .. } = read {
                let (header, destination) = (Arc::clone(name), Arc::clone(destination));
                found.push(HeaderRead { header, destination, into: into.map(Arc::from) });
            }
        };
        for provider in &self.providers {
            if let Some(credential) = &provider.credential {
                credential.reads().iter().for_each(|read| note(read, &provider.destination, Some("credential")));
            }
            provider.headers.reads().for_each(|(into, read)| note(read, &provider.destination, Some(into)));
        }
        for prepared in &self.agents {
            let name = prepared.agent.name();
            let instructions: Arc<str> = format!("agents.{name}.instructions").into();
            if let PreparedInstructions::Template(template) = &prepared.instructions {
                template.reads().iter().for_each(|read| note(read, &instructions, None));
            }
            let headers: Arc<str> = format!("agents.{name}.headers").into();
            prepared.headers.reads().for_each(|(into, read)| note(read, &headers, Some(into)));
        }
        found
    }
}
