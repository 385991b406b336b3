//! The context variables of a configuration, as the library has them.

use letterhead::{Variable, VariableBody, When};

use super::{text, token_exchange};
use crate::config::context::{ContextVariable, When as Configured};
use crate::config::request::{NamedText, RequestBody};

pub(super) fn variable(configured: &ContextVariable) -> Variable {
    let request = &configured.request;
    let when = match configured.when {
        Configured::Conversation => When::Conversation,
        Configured::Turn => When::Turn,
    };
    let mut variable = Variable::new(configured.name.as_str(), text(&request.url))
        .with_when(when)
        .with_method(request.method.clone())
        .with_timeout(configured.timeout)
        .with_body(body(&request.body));
    for header in &request.headers {
        variable = variable.with_header(header.name.as_str(), text(&header.value));
    }
    for NamedText { name, value } in &request.query {
        variable = variable.with_query(name.as_str(), text(value));
    }
    for template in &configured.requires {
        variable = variable.with_required(text(template));
    }
    if let Some(path) = &configured.select {
        variable = variable.with_select(path.value.as_str());
    }
    if let Some(schema) = &configured.response_schema {
        variable = variable.with_response_schema(schema.value.clone());
    }
    if let Some(default) = &configured.default {
        variable = variable.with_default(default.value.clone());
    }
    if configured.optional {
        variable = variable.optional();
    }
    if let Some(ttl) = configured.ttl {
        variable = variable.with_ttl(ttl);
    }
    if let Some(exchange) = &request.exchange {
        variable = variable.with_token_exchange(token_exchange::exchange(exchange));
    }
    if configured.trace { variable } else { variable.without_trace() }
}

pub(super) fn body(configured: &RequestBody) -> VariableBody {
    match configured {
        RequestBody::None => VariableBody::None,
        RequestBody::Json { value, .. } => VariableBody::Json(value.clone()),
        RequestBody::Form(fields) => {
            VariableBody::Form(fields.iter().map(|field| (field.name.clone(), text(&field.value))).collect())
        }
    }
}
