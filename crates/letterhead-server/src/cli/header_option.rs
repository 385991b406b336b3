//! `-H 'name: value'`, as curl has it.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context, bail};
use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::name::reserved_outbound;

/// What stood behind `-H`. Neither its `Debug` nor any error shows a value.
#[derive(Clone)]
pub(super) struct HeaderOption(String);

impl FromStr for HeaderOption {
    type Err = Infallible;

    /// Everything is taken here: what the command line's parser refuses it shows, and this may hold a secret.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for HeaderOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeaderOption(…)")
    }
}

/// Reads the options: `name: value`, `name;` for a header that is sent empty, `@FILE` for a file with one a line.
///
/// # Errors
///
/// For what is no header, saying which option it was and never what stood in it.
pub(super) fn read(options: &[HeaderOption]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (at, HeaderOption(text)) in options.iter().enumerate() {
        match text.strip_prefix('@') {
            None => add(&mut headers, text).with_context(|| format!("-H number {}", at + 1))?,
            Some(path) => {
                let lines = std::fs::read_to_string(path).with_context(|| format!("-H @{path} cannot be read"))?;
                for (at, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                    add(&mut headers, line).with_context(|| format!("{path}:{}", at + 1))?;
                }
            }
        }
    }
    Ok(headers)
}

fn add(headers: &mut HeaderMap, text: &str) -> anyhow::Result<()> {
    let (name, value) = match (text.split_once(':'), text.trim_end().strip_suffix(';')) {
        (Some((name, value)), _) => (name, Some(value.trim()).filter(|value| !value.is_empty())),
        (None, Some(name)) => (name, Some("")),
        (None, None) => bail!("expected 'name: value'"),
    };
    let Ok(name) = HeaderName::from_bytes(name.trim().as_bytes()) else {
        bail!("what stands before the colon is no header name; expected 'name: value'");
    };
    let Some(value) = value else {
        bail!(
            "`{name}:` has no value, and would not be sent; '{name};' sends it empty, which clears a remembered value"
        );
    };
    let is_ours = name != http::header::HOST && name != http::header::COOKIE;
    if let Some(reason) = reserved_outbound(&name).filter(|_| is_ours) {
        bail!("`{name}` cannot be set here: {reason}");
    }
    let Ok(mut value) = HeaderValue::from_bytes(value.as_bytes()) else {
        bail!("the value of `{name}` holds a control character");
    };
    value.set_sensitive(true);
    headers.append(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &[&str]) -> anyhow::Result<HeaderMap> {
        let options: Vec<HeaderOption> = options.iter().map(|text| text.parse().unwrap()).collect();
        read(&options)
    }

    #[test]
    fn headers_are_read_as_curl_reads_them() {
        let headers =
            of(&["user_id: u_1", "org_name:Grüße AG ", "X-Url: http://a/b", "locale;", "tag: a", "tag: b"]).unwrap();
        assert_eq!(headers["user_id"], "u_1");
        assert_eq!(headers["org_name"].as_bytes(), "Grüße AG".as_bytes());
        assert_eq!(headers["x-url"], "http://a/b");
        assert_eq!(headers["locale"], "");
        assert_eq!(headers.get_all("tag").iter().count(), 2, "whether that is allowed, the server says");
    }

    #[test]
    fn headers_come_from_a_file_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        std::fs::write(&path, "auth_token: canary\n\nuser_id: u_1\n").unwrap();
        let headers = of(&[&format!("@{}", path.display())]).unwrap();
        assert_eq!(headers["auth_token"], "canary");
        std::fs::write(&path, "user_id: u_1\ncanary\n").unwrap();
        let told = format!("{:#}", of(&[&format!("@{}", path.display())]).unwrap_err());
        assert!(told.ends_with("headers:2: expected 'name: value'"), "{told}");
    }

    #[test]
    fn no_error_shows_a_value() {
        for (option, expected) in [
            ("auth_token canary", "-H number 2: expected 'name: value'"),
            ("auth token: canary", "no header name"),
            ("auth_token: canary\u{1}", "the value of `auth_token` holds a control character"),
            ("auth_token:", "'auth_token;' sends it empty"),
            ("Content-Length: canary", "`content-length` cannot be set here"),
            ("@/no/such/canary-free/file", "cannot be read"),
        ] {
            let told = format!("{:#}", of(&["a: b", option]).unwrap_err());
            assert!(told.contains(expected), "{told}");
            assert!(!told.contains("canary") || option.starts_with('@'), "{told}");
        }
        assert!(!format!("{:?}", HeaderOption("auth_token: canary".to_owned())).contains("canary"));
    }
}
