//! The URLs that an operator writes down, and the endpoints below them.

use super::Url;

/// Why a text is not the base URL of a service. Says nothing of the URL itself, which may hold a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// It is no URL at all.
    #[error("not a URL: expected something like `https://api.example.com/v1`")]
    Invalid,
    /// Neither `http` nor `https`.
    #[error("the URL must begin with `http://` or `https://`")]
    Scheme,
    /// It has a user or a password, which would become a second credential on each call.
    #[error("the URL must hold no user name or password: set the credential as a header")]
    Credentials,
}

/// Reads the base URL of a service. A query (`?api-version=…`) is kept, a fragment is not.
///
/// # Errors
///
/// If it is not an absolute `http` or `https` URL, or if it holds a user name or password.
pub fn base_url(text: &str) -> Result<Url, BaseUrlError> {
    let mut url = Url::parse(text.trim()).map_err(|_| BaseUrlError::Invalid)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(BaseUrlError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BaseUrlError::Credentials);
    }
    url.set_fragment(None);
    Ok(url)
}

/// The URL of `path`, which begins with a slash, below a base URL. The base's query stays.
pub fn endpoint(mut base: Url, path: &str) -> Url {
    let joined = format!("{}{path}", base.path().trim_end_matches('/'));
    base.set_path(&joined);
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_below_the_base_and_keeps_its_query() {
        for (base, expected) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions"),
            ("http://localhost:11434", "http://localhost:11434/chat/completions"),
            (
                "https://x.openai.azure.com/openai/deployments/d%20e?api-version=2024-10-21#top",
                "https://x.openai.azure.com/openai/deployments/d%20e/chat/completions?api-version=2024-10-21",
            ),
        ] {
            assert_eq!(endpoint(base_url(base).unwrap(), "/chat/completions").as_str(), expected);
        }
    }

    #[test]
    fn what_would_go_wrong_later_is_refused_now() {
        assert_eq!(base_url("api.openai.com"), Err(BaseUrlError::Invalid));
        assert_eq!(base_url("ftp://api.openai.com"), Err(BaseUrlError::Scheme));
        assert_eq!(base_url("https://key@api.openai.com/v1"), Err(BaseUrlError::Credentials));
        assert_eq!(base_url("https://:key@api.openai.com/v1"), Err(BaseUrlError::Credentials));
    }
}
