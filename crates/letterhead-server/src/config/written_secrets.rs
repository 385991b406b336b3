//! Access tokens that somebody wrote into the file, known by how they look.

use std::ops::Range;

use super::section::Section;

/// How tokens of a service begin, how many characters follow at least, and which.
type Beginning = (&'static str, usize, fn(&u8) -> bool);

/// Tokens of services that many have. Where names begin alike, such as `npm_config_registry`, it is the characters that tell.
const BEGINNINGS: [Beginning; 25] = [
    ("sk-", 20, any),
    ("sk_live_", 16, u8::is_ascii_alphanumeric),
    ("sk_test_", 16, u8::is_ascii_alphanumeric),
    ("rk_live_", 16, u8::is_ascii_alphanumeric),
    ("rk_test_", 16, u8::is_ascii_alphanumeric),
    ("gsk_", 20, any),
    ("xai-", 20, any),
    ("hf_", 20, any),
    ("AIza", 30, any),
    ("AKIA", 16, is_capital),
    ("ASIA", 16, is_capital),
    ("ghp_", 20, any),
    ("gho_", 20, any),
    ("ghu_", 20, any),
    ("ghs_", 20, any),
    ("ghr_", 20, any),
    ("github_pat_", 20, any),
    ("glpat-", 16, any),
    ("npm_", 36, u8::is_ascii_alphanumeric),
    ("xoxb-", 16, any),
    ("xoxp-", 16, any),
    ("xoxa-", 16, any),
    ("xoxr-", 16, any),
    ("xapp-", 16, any),
    ("lh_", 30, any),
];

/// Whatever stands in a word.
fn any(_: &u8) -> bool {
    true
}

fn is_capital(byte: &u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

/// How long a key is at least that is a key by its place, however it looks: shorter ones stand for nothing in particular.
const SHORTEST: usize = 20;

/// Where tokens stand in a text.
pub(super) fn tokens(text: &str) -> Vec<Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let word = rest.get(start..).unwrap_or_default();
        let word = word.get(..word.find(|c| !is_part(c)).unwrap_or(word.len())).unwrap_or_default();
        let begins = text.len() - rest.len() + start;
        let token = word.trim_end_matches('.');
        if is_token(token) {
            found.push(begins..begins + token.len());
        }
        rest = text.get(begins + word.len()..).unwrap_or_default();
    }
    found
}

fn is_token(word: &str) -> bool {
    // A JSON Web Token: header and claims are JSON objects, so both begin alike.
    let mut parts = word.split('.');
    let (head, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_jwt = head.len() > 10 && head.starts_with("eyJ") && claims.starts_with("eyJ");
    is_jwt || word.split('.').any(begins_as_one)
}

fn begins_as_one(part: &str) -> bool {
    let has_digit = part.bytes().any(|byte| byte.is_ascii_digit());
    has_digit
        && BEGINNINGS.iter().any(|(beginning, least, is_part)| {
            // Whatever stands behind it: `_old`.
            part.strip_prefix(beginning).is_some_and(|rest| rest.bytes().take_while(is_part).count() >= *least)
        })
}

/// A text without the tokens that stand in it.
pub(super) fn masked(mut text: String) -> String {
    for at in tokens(&text) {
        let stars = "*".repeat(at.len());
        text.replace_range(at, &stars);
    }
    text
}

/// Warns of tokens anywhere in the file.
pub(super) fn warn(root: &Section<'_>) {
    visit("", root);
}

fn visit(key: &str, section: &Section<'_>) {
    for (key, entry) in section.entries() {
        visit(key, &entry);
    }
    section.items().iter().for_each(|item| visit(key, item));
    // These two say so themselves.
    let place: Vec<String> = section.pointer().segments().collect();
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    let is_told = matches!(*place, ["providers", _, "api_key"] | [.., "token_exchange", "client_secret"]);
    let Some(written) = section.scalar().filter(|scalar| !is_told && !scalar.is_from_environment()) else { return };
    for at in tokens(&written.text) {
        let (message, help) = if matches!(key, "instructions" | "description") {
            let help = "take it out, and put a new one into its place: a tool's `headers` can carry `credentials`, which no \
                        model sees";
            ("this looks like an access token, and every model that reads this text is sent it", help)
        } else {
            ("this looks like an access token that is written into this file", KEEP_OUTSIDE)
        };
        section.warn_part(at, message, help.to_owned());
    }
}

/// What to do about a secret in the file.
const KEEP_OUTSIDE: &str = "keep it outside: `\"${NAME}\"` takes it from the environment; in headers of destinations, \
                            `\"{{ credentials.NAME }}\"` takes it from `credentials`";

/// Warns of a key that is one by its place, and is written out.
pub(super) fn warn_of_key(section: &Section<'_>, whose: &str, help: &str) {
    // `$NAME` without braces is no variable, and so a key as it stands.
    let is_key = |text: &str| text.chars().count() >= SHORTEST || text.starts_with('$') || is_token(text);
    let is_written = |text: &str| !text.contains("{{") && is_key(text);
    let literal = section.template().filter(|template| !template.is_literal());
    if literal.is_some_and(|template| is_written(template.text())) {
        section.warn_at_key(format!("{whose} is written into this file"), help.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::{masked, tokens};

    #[test]
    fn a_token_is_known_by_its_beginning_and_length() {
        let text = "Use sk-proj-abcdefghij0123456789, or \"ghp_0123456789abcdefghijABCDEFGHIJ012345\".";
        let found: Vec<&str> = tokens(text).into_iter().map(|at| &text[at]).collect();
        assert_eq!(found, ["sk-proj-abcdefghij0123456789", "ghp_0123456789abcdefghijABCDEFGHIJ012345"]);
        let between = "Use sk-proj-abcdefghij0123456789.Then go to v1.hf_abcdefghij0123456789klm";
        assert_eq!(masked(between.to_owned()), format!("Use {} go to {}", "*".repeat(33), "*".repeat(29)));
        // Each of these is put together here, so that nobody's scanner takes this file for a leak.
        let letters = "1a2B3c4D5e6F7g8H9i0J1k2L3m4N5o6P7q8R";
        for (beginning, rest) in [
            ("xoxp-", "123456789012-123456789012-123456789012-0123456789abcdef0123456789abcdef"),
            ("xapp-", "1-A0123456789-1234567890123-0123456789abcdef"),
            ("sk_test_", &letters[..24]),
            ("rk_live_", &letters[..24]),
            ("ASIA", "Y34FZKBOKMUTVV7A"),
            ("AKIA", "Y34FZKBOKMUTVV7A_old"),
            ("npm_", letters),
        ] {
            let token = format!("{beginning}{rest}");
            assert_eq!(
                masked(format!("Bearer {token}, please")),
                format!("Bearer {}, please", "*".repeat(token.len()))
            );
        }
        let jwt = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl.";
        assert_eq!(tokens(jwt).first(), Some(&(7..jwt.len() - 1)));
        for plain in [
            "sk-short1",
            "the task-force-of-the-second-quarter-2026",
            "sk-a-very-long-name-of-something-else",
            "{{ headers.auth_token }}",
            "https://api.example.com/v1/users.json",
            "https://sk-prod-cluster-eu-02.internal.example.com",
            "eyJhbGciOiJIUzI1NiJ9",
            "ASIA-PACIFIC-SOUTH-2026-Q3-REPORT",
            "ASIApacific2026quarterly",
            "npm_config_registry_of_the_second_mirror_2",
            "sk_test_environment_of_region_2",
            "ünïcödé … 7",
        ] {
            assert!(tokens(plain).is_empty(), "{plain}");
        }
    }
}
