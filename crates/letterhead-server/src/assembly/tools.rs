//! The HTTP tools of a configuration, as the library has them.

use letterhead::HttpTool;

use super::{bytes, text, token_exchange, variables};
use crate::config::request::NamedText;
use crate::config::tools::HttpTool as Configured;

pub(super) fn tool(configured: &Configured) -> HttpTool {
    let request = &configured.request;
    let mut tool = HttpTool::new(configured.name.as_str(), text(&request.url))
        .with_method(request.method.clone())
        .with_body(variables::body(&request.body))
        .with_timeout(configured.timeout)
        .with_max_answer(bytes(configured.max_answer));
    if let Some(description) = &configured.description {
        tool = tool.with_description(text(description));
    }
    if let Some(parameters) = &configured.parameters {
        tool = tool.with_parameters(parameters.value.clone());
    }
    for header in &request.headers {
        tool = tool.with_header(header.name.as_str(), text(&header.value));
    }
    for NamedText { name, value } in &request.query {
        tool = tool.with_query(name.as_str(), text(value));
    }
    if let Some(path) = &configured.select {
        tool = tool.with_select(path.value.as_str());
    }
    if let Some(effects) = configured.effects {
        tool = tool.with_effects(effects);
    }
    if configured.approve {
        tool = tool.with_approval();
    }
    if let Some(exchange) = &request.exchange {
        tool = tool.with_token_exchange(token_exchange::exchange(exchange));
    }
    if configured.trace { tool } else { tool.without_trace() }
}
