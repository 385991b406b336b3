//! The paths that templates read, place by place: what headers and variables have to have for a template to be whole.

use std::sync::Arc;

use letterhead_context::{Read, RequestPlace, RequestTemplate, Requirement, Use};

use super::{PreparedInstructions, Registry, RegistryPlace, VariablePlace};
use crate::tool::{ExternalAgentPlace, HttpToolPlace, McpServerPlace};
use crate::variable::PreparedVariable;

/// Makes a place in a request one of the registry.
type PlaceOf<'a> = Box<dyn Fn(RequestPlace) -> RegistryPlace + 'a>;

impl Registry {
    /// Every path that a template of instructions, headers, variables and tools reads, with the place of the template.
    ///
    /// ```
    /// use letterhead::{Agent, Registry, Variable};
    ///
    /// let user = Variable::new("user", "https://api.example.com/me");
    /// let agent = Agent::new("assistant").with_instructions("{{ user.name }} <{{ user.email }}>");
    /// let registry = Registry::builder().variable(user).agent(agent).build().unwrap();
    /// let paths: Vec<&str> = registry.uses().iter().map(|(_, used)| &*used.path).collect();
    /// assert_eq!(paths, ["user.name", "user.email"]);
    /// ```
    pub fn uses(&self) -> Vec<(RegistryPlace, &Use)> {
        let mut uses = Vec::new();
        for provider in &self.providers {
            let place = |header: &str| RegistryPlace::ProviderHeader(Arc::clone(&provider.name), header.to_owned());
            uses.extend(provider.headers.uses().map(|(header, used)| (place(header), used)));
        }
        for prepared in &self.agents {
            let name = || prepared.agent.shared_name();
            if let PreparedInstructions::Template(template, _) = &prepared.instructions {
                uses.extend(template.uses().iter().map(|used| (RegistryPlace::Instructions(name()), used)));
            }
            let place = |header: &str| RegistryPlace::AgentHeader(name(), header.to_owned());
            uses.extend(prepared.headers.uses().map(|(header, used)| (place(header), used)));
        }
        for (place, request) in self.requests() {
            let headers = request.headers().uses();
            uses.extend(headers.map(|(header, used)| (place(RequestPlace::Header(header.to_owned())), used)));
            for (part, template) in request.templates() {
                uses.extend(template.uses().iter().map(|used| (place(part.clone()), used)));
            }
        }
        uses
    }

    /// Does a variable do without asking where this declared header is missing?
    pub fn asks_for(&self, variable: &str, header: &str) -> bool {
        let variable = self.variables.iter().find(|known| &*known.name == variable);
        let mut reads = variable.into_iter().flat_map(PreparedVariable::requires).flat_map(Requirement::reads);
        reads.any(|read| matches!(read, Read::Header { name, .. } if &**name == header))
    }

    /// The paths without which a request is not sent: where one has no value, the variable has none either, the call of
    /// the tool fails, the tools of the MCP server are not to be had, or the external agent cannot be asked.
    pub fn needs(&self) -> Vec<(RegistryPlace, &Use)> {
        let requests = self.requests().into_iter();
        let needs = requests.flat_map(|(place, request)| request.needs().map(move |(part, used)| (place(part), used)));
        needs.collect()
    }

    /// The requests that are made of templates, and what a place in each is as one of the registry.
    fn requests(&self) -> Vec<(PlaceOf<'_>, &RequestTemplate)> {
        let mut requests: Vec<(PlaceOf<'_>, &RequestTemplate)> = Vec::new();
        for variable in &self.variables {
            let place = |part| RegistryPlace::Variable(Arc::clone(&variable.name), VariablePlace::Request(part));
            requests.push((Box::new(place), &variable.request));
        }
        for tool in &self.http_tools {
            let place = |part| RegistryPlace::HttpTool(Arc::from(tool.spec.name()), HttpToolPlace::Request(part));
            requests.push((Box::new(place), &tool.request));
        }
        for server in &self.mcp_servers {
            let place =
                |part| RegistryPlace::McpServer(Arc::clone(&server.endpoint.name), McpServerPlace::Request(part));
            requests.push((Box::new(place), &server.endpoint.request));
        }
        for agent in &self.external_agents {
            let place = |part| {
                RegistryPlace::ExternalAgent(Arc::clone(&agent.endpoint.name), ExternalAgentPlace::Request(part))
            };
            requests.push((Box::new(place), &agent.endpoint.request));
        }
        requests
    }
}
