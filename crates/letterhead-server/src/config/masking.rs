//! What of a configuration file must not be shown, even where a fault is marked.
//!
//! Keys belong into the environment, but some are written down. Their text is hidden by name: the value of `api_key`, of an
//! `Authorization` header, of anything called like a token or password, private keys, and the user part of an address. A
//! value that is only a `${NAME}` or a template is no secret, and shown.

use letterhead_context::name::looks_secret;

use super::{
    source::{Source, Span},
    tree::Node,
    written_secrets::tokens,
};

/// The places to hide in a file that could be read.
pub(super) fn in_tree(root: &Node, source: &Source) -> Vec<Span> {
    let mut spans = in_any_text(source.text());
    root.visit_scalars("", &mut |key, scalar, span| {
        let written = source.text().get(span.range()).unwrap_or_default();
        let hidden = holds_secret(key) || written.contains("PRIVATE KEY");
        if hidden && scalar.to_json().is_string() && !is_placeholder(written) {
            spans.push(span);
        }
    });
    spans
}

/// Whether the value of a key is not shown: it is called like a secret, or may be a private key where a public one belongs
/// (`auth.jwt.keys`; the private members of a JWK, RFC 7518, 6).
fn holds_secret(key: &str) -> bool {
    looks_secret(key) || ["keys", "d", "k", "p", "q", "dp", "dq", "qi"].contains(&key)
}

/// The places to hide in a file that is not valid YAML: line by line, rather too much than too little.
pub(super) fn in_text(source: &Source) -> Vec<Span> {
    let mut spans = in_any_text(source.text());
    let mut hiding_below: Option<usize> = None;
    let mut start = 0;
    for line in source.text().split_inclusive('\n') {
        let content = line.trim_end();
        let indent = content.len() - content.trim_start().len();
        if hiding_below.is_some_and(|limit| indent > limit || content.is_empty()) {
            spans.push(Span::new(start + indent.min(content.len()), start + content.len()));
        } else {
            hiding_below = None;
            for value in secret_values(content) {
                spans.push(Span::new(start + value, start + content.len()));
                hiding_below = Some(indent);
            }
        }
        start += line.len();
    }
    spans
}

/// Where the values of keys called like secrets begin in a line.
fn secret_values(line: &str) -> impl Iterator<Item = usize> + '_ {
    line.match_indices(':').filter_map(|(at, _)| {
        let value = line.get(at + 1..)?;
        let begins = at + 1 + (value.len() - value.trim_start().len());
        let value = value.trim();
        let key = line.get(..at)?.rsplit([' ', '{', ',', '"', '\'']).find(|word| !word.is_empty())?;
        (holds_secret(key) && !value.starts_with(['{', '[']) && !is_placeholder(value)).then_some(begins)
    })
}

/// Whether a value is made of `${NAME}`, templates and the name of an authentication scheme alone.
fn is_placeholder(written: &str) -> bool {
    let mut rest = written.trim_matches(['"', '\'', ' ', '\n', '|', '>', '-']);
    rest = rest.strip_prefix("Bearer ").or_else(|| rest.strip_prefix("Basic ")).unwrap_or(rest);
    let plain = |inside: &str| inside.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-| ".contains(&byte));
    let mut seen = false;
    while !rest.is_empty() {
        let inside = rest
            .strip_prefix("${")
            .map(|rest| (rest, "}"))
            .or_else(|| rest.strip_prefix("{{").map(|rest| (rest, "}}")));
        let Some((inside, after)) = inside.and_then(|(rest, end)| rest.split_once(end)) else { return false };
        if !plain(inside) || inside.contains(":-") {
            return false;
        }
        seen = true;
        rest = after.trim();
    }
    seen
}

/// What is hidden wherever it stands: `user:password@` in addresses, and what looks like an access token.
fn in_any_text(text: &str) -> Vec<Span> {
    let users = text.match_indices("://").filter_map(|(at, _)| {
        let start = at + 3;
        let rest = text.get(start..)?;
        let authority = rest.split(|c: char| c.is_whitespace() || "/'\"?#,}".contains(c)).next()?;
        let user = authority.rfind('@')?;
        Some(Span::new(start, start + user))
    });
    users.chain(tokens(text).into_iter().map(|at| Span::new(at.start, at.end))).collect()
}

#[cfg(test)]
mod tests {
    use super::{in_text, in_tree, is_placeholder};
    use crate::config::{parse, source::Source};

    fn shown(text: &str, valid: bool) -> String {
        let mut source = Source::new("x", text);
        let spans = if valid { in_tree(&parse::parse(&source).0.unwrap(), &source) } else { in_text(&source) };
        source.hide(spans);
        (1..=text.lines().count()).map(|line| source.line(line) + "\n").collect()
    }

    #[test]
    fn keys_are_hidden_and_nothing_else_is() {
        let text = "api_key: 'sk-1'\nheaders: {Authorization: Bearer sk-2, X-Org: acme}\nb: {api_key: \"${KEY}\", max_tokens: 5}\n\
                    store: postgres://me:pw@host/db\ntoken: |\n  sk-3\n";
        let shown = shown(text, true);
        assert!(!shown.contains("sk-") && !shown.contains("me:pw"), "{shown}");
        for kept in ["X-Org: acme", "${KEY}", "max_tokens: 5", "@host/db"] {
            assert!(shown.contains(kept), "{shown}");
        }
    }

    #[test]
    fn in_a_broken_file_the_whole_value_is_hidden() {
        let text = "a: {api_key: sk-1, x: [\nheaders:\n  Authorization:\n    sk-2\n  X-Org: acme\nkey: \"${KEY}\"\nu: http://me:pw@host\n";
        let shown = shown(text, false);
        assert!(!shown.contains("sk-") && !shown.contains("me:pw"), "{shown}");
        assert!(shown.contains("X-Org: acme") && shown.contains("${KEY}"), "{shown}");
    }

    #[test]
    fn a_default_or_an_argument_may_be_a_secret() {
        for placeholder in ["\"${KEY}\"", "Bearer {{ headers.auth_token }}", "'Bearer ${A}${B}'"] {
            assert!(is_placeholder(placeholder), "{placeholder}");
        }
        for secret in ["${KEY:-sk-1}", "{{ headers.a | default(\"sk-1\") }}", "sk-${KEY}", "sk-1"] {
            assert!(!is_placeholder(secret), "{secret}");
        }
    }
}
