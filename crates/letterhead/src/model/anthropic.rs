//! Anthropic's Messages API.
//!
//! The conversation is kept in OpenAI's form, so it is translated on the way out, and the answer on the way back:
//!
//! - system and developer messages, wherever they stand, become `system`;
//! - tool results become `tool_result` blocks of a user message; neighbours of one role become one message;
//! - images and documents go as data or by URL; audio and files by id cannot be taken;
//! - an output schema becomes `output_config.format`, the documented structured output, without the keywords that it
//!   does not know. (Not a forced tool, which would rule out other tools.)

mod content;
mod messages;
mod params;
mod response;
mod schema;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::{ChatModel, ModelCall, ModelError, ModelStream, stream};
use crate::outbound::{BaseUrlError, Outgoing, TrustedClient, Url, base_url, endpoint};

/// The version of the API that this adapter speaks.
const VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// The adapter for Anthropic's Messages API.
#[derive(Clone)]
pub struct Anthropic {
    client: TrustedClient,
    url: Url,
}

/// Shows the host alone: a query may hold a key.
impl fmt::Debug for Anthropic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anthropic").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Anthropic {
    /// An adapter for the service at `base` (`https://api.anthropic.com`, without `/v1`).
    ///
    /// The credential is not the adapter's: it comes with the headers of each call. `anthropic-version` is
    /// `2023-06-01` unless those headers have one.
    ///
    /// # Errors
    ///
    /// If `base` is no usable URL.
    pub fn new(client: TrustedClient, base: &str) -> Result<Self, BaseUrlError> {
        Ok(Self { client, url: endpoint(base_url(base)?, "/v1/messages") })
    }
}

#[async_trait]
impl ChatModel for Anthropic {
    async fn call(&self, mut call: ModelCall) -> Result<ModelStream, ModelError> {
        let body = Bytes::from(body(&call)?.to_string());
        let streamed = call.stream;
        let mut headers = std::mem::take(&mut call.headers);
        drop(call);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.entry("anthropic-version").or_insert(VERSION);
        let accept = if streamed { "text/event-stream" } else { "application/json" };
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static(accept));
        let outgoing = Outgoing { method: Method::POST, url: self.url.clone(), headers, body };
        let answer = self.client.send(outgoing).await?;
        stream::read(answer, response::Answer::default(), streamed).await
    }
}

/// The request's body.
fn body(call: &ModelCall) -> Result<Value, ModelError> {
    let conversation = messages::translate(call)?;
    let mut body = params::translate(&call.params);
    body.insert("model".to_owned(), (*call.model).into());
    body.insert("messages".to_owned(), conversation.messages.into());
    if !conversation.system.is_empty() {
        body.insert("system".to_owned(), conversation.system.into());
    }
    if call.stream {
        body.insert("stream".to_owned(), true.into());
    }
    let (mut tools, mut choice) = params::tools(call);
    if tools.is_empty() {
        // A conversation with calls in it needs tools defined, also after a handoff to an agent that has none.
        tools = conversation.tools_called.iter().map(|name| params::gone(name)).collect();
        choice = Some(json!({"type": "none"}));
    }
    if !tools.is_empty() {
        body.insert("tools".to_owned(), tools.into());
        if let Some(choice) = choice {
            body.insert("tool_choice".to_owned(), choice);
        }
    }
    if let Some(schema) = schema::of(call) {
        let config = body.entry("output_config").or_insert_with(|| json!({}));
        if let Some(config) = config.as_object_mut() {
            config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
        }
    }
    Ok(body.into())
}

#[cfg(test)]
mod tests;
