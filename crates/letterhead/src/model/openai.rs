//! OpenAI's chat completions, and everything that speaks them: Azure, vLLM, Ollama, LM Studio, OpenRouter, Groq,
//! Mistral, DeepSeek, ….

mod request;
mod response;

use std::fmt;

use async_trait::async_trait;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};

use super::{ChatModel, ModelCall, ModelError, ModelStream, stream};
use crate::outbound::{BaseUrlError, Outgoing, TrustedClient, Url, base_url, endpoint};

/// The adapter for OpenAI's chat completions.
#[derive(Clone)]
pub struct OpenAi {
    client: TrustedClient,
    url: Url,
}

/// Shows the host alone: a query may hold a key.
impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl OpenAi {
    /// An adapter for the service at `base` (`https://api.openai.com/v1`). A query in it is kept, as Azure needs.
    ///
    /// The credential is not the adapter's: it comes with the headers of each call.
    ///
    /// # Errors
    ///
    /// If `base` is no usable URL.
    pub fn new(client: TrustedClient, base: &str) -> Result<Self, BaseUrlError> {
        Ok(Self { client, url: endpoint(base_url(base)?, "/chat/completions") })
    }
}

#[async_trait]
impl ChatModel for OpenAi {
    async fn call(&self, mut call: ModelCall) -> Result<ModelStream, ModelError> {
        let body = request::body(&call);
        let streamed = call.stream;
        let mut headers = std::mem::take(&mut call.headers);
        drop(call);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if streamed { "text/event-stream" } else { "application/json" };
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static(accept));
        let outgoing = Outgoing { method: Method::POST, url: self.url.clone(), headers, body };
        let answer = self.client.send(outgoing).await?;
        stream::read(answer, response::Answer::default(), streamed).await
    }
}
