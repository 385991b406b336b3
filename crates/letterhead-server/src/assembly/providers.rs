//! The providers of a configuration, as the library has them.

use letterhead::Provider;
use letterhead::outbound::{RetryPolicy, Timeouts, TrustedClient};
use letterhead_context::HeaderBudget;

use super::{bytes, text};
use crate::config;
use crate::config::providers::ProviderKind;

/// A provider with its client. Providers with equal timeouts share one, and its connections.
pub(super) fn prepare(
    provider: &config::providers::Provider,
    clients: &mut Vec<((Timeouts, u32), TrustedClient)>,
) -> Result<Provider, String> {
    let name = provider.name.as_str();
    let base_url = provider.base_url.as_deref().unwrap_or_default();
    let timeouts = Timeouts {
        connect: provider.connect_timeout,
        first_byte: provider.first_byte_timeout,
        idle: provider.idle_timeout,
    };
    let wanted = (timeouts, provider.retries);
    let mut client = || match clients.iter().find(|(known, _)| *known == wanted) {
        Some((_, client)) => Ok(client.clone()),
        None => {
            let retry = RetryPolicy { retries: provider.retries, ..RetryPolicy::default() };
            let client = TrustedClient::new(timeouts, retry).map_err(|error| error.to_string())?;
            clients.push((wanted, client.clone()));
            Ok::<_, String>(client)
        }
    };
    let made = match provider.kind {
        ProviderKind::OpenAi => Provider::openai(name, client()?, base_url).map_err(|error| error.to_string())?,
        ProviderKind::Anthropic => Provider::anthropic(name, client()?, base_url).map_err(|error| error.to_string())?,
        ProviderKind::Demo => Provider::demo(name),
        _ => return Err("providers of this kind cannot be configured".to_owned()),
    };
    let budget = HeaderBudget {
        max_headers: provider.max_headers.map(|count| count as usize),
        max_bytes: provider.max_header_bytes.map(bytes),
    };
    let mut made = made.with_params(provider.params.clone()).with_budget(budget);
    if !provider.trace {
        made = made.without_trace();
    }
    if let Some(key) = &provider.api_key {
        made = if is_azure(base_url) {
            made.with_api_key_in(letterhead::KeyHeader::Named(http::HeaderName::from_static("api-key")), text(key))
        } else {
            made.with_api_key(text(key))
        };
    }
    Ok(provider.headers.iter().fold(made, |made, header| made.with_header(header.name.as_str(), text(&header.value))))
}

/// Azure takes the key in a header of its own.
fn is_azure(base_url: &str) -> bool {
    let host = letterhead::outbound::Url::parse(base_url).ok();
    host.as_ref()
        .and_then(|url| url.host_str())
        .is_some_and(|host| host.ends_with(".openai.azure.com") || host.ends_with(".cognitiveservices.azure.com"))
}
