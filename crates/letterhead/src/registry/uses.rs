//! The paths that templates read, place by place: what headers and variables have to have for a template to be whole.

use std::sync::Arc;

use letterhead_context::{Read, RequestPlace, Requirement, Use};

use super::{PreparedInstructions, Registry, RegistryPlace, VariablePlace};
use crate::tool::{HttpToolPlace, McpServerPlace};
use crate::variable::PreparedVariable;

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
        for variable in &self.variables {
            let place = |part| RegistryPlace::Variable(Arc::clone(&variable.name), VariablePlace::Request(part));
            let headers = variable.request.headers().uses();
            uses.extend(headers.map(|(header, used)| (place(RequestPlace::Header(header.to_owned())), used)));
            for (part, template) in variable.request.templates() {
                uses.extend(template.uses().iter().map(|used| (place(part.clone()), used)));
            }
        }
        for tool in &self.http_tools {
            let place = |part| RegistryPlace::HttpTool(Arc::from(tool.spec.name()), HttpToolPlace::Request(part));
            let headers = tool.request.headers().uses();
            uses.extend(headers.map(|(header, used)| (place(RequestPlace::Header(header.to_owned())), used)));
            for (part, template) in tool.request.templates() {
                uses.extend(template.uses().iter().map(|used| (place(part.clone()), used)));
            }
        }
        for server in &self.mcp_servers {
            let place = |part| RegistryPlace::McpServer(Arc::clone(&server.name), McpServerPlace::Request(part));
            let headers = server.request.headers().uses();
            uses.extend(headers.map(|(header, used)| (place(RequestPlace::Header(header.to_owned())), used)));
            for (part, template) in server.request.templates() {
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
    /// the tool fails, or the tools of the MCP server are not to be had.
    pub fn needs(&self) -> Vec<(RegistryPlace, &Use)> {
        let of = |variable: &PreparedVariable| Arc::clone(&variable.name);
        let needs = self.variables.iter().flat_map(|variable| {
            let place = move |part| RegistryPlace::Variable(of(variable), VariablePlace::Request(part));
            variable.request.needs().map(move |(part, used)| (place(part), used))
        });
        let tools = self.http_tools.iter().flat_map(|tool| {
            let place = |part| RegistryPlace::HttpTool(Arc::from(tool.spec.name()), HttpToolPlace::Request(part));
            tool.request.needs().map(move |(part, used)| (place(part), used))
        });
        let servers = self.mcp_servers.iter().flat_map(|server| {
            let place = |part| RegistryPlace::McpServer(Arc::clone(&server.name), McpServerPlace::Request(part));
            server.request.needs().map(move |(part, used)| (place(part), used))
        });
        needs.chain(tools).chain(servers).collect()
    }
}
