//! The URL of a request: an address that is fixed, and a path and query in which values are encoded.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::OnceLock;

use url::{ParseError, Position, Url};

use super::not_sent::{NotSent, NotSentReason};
use super::place::{RequestFault, RequestPlace};
use super::{MAX_URL, rendered, segment};
use crate::egress::TextSource;
use crate::percent::{self, Pairs};
use crate::template::{MARK, Piece, Scope, Sink, Template, TemplateFault, View, mark_ends, pieces};

/// A checked URL.
pub(super) struct UrlTemplate {
    base: Base,
    /// The path and the query: what stands behind the address.
    rest: Template,
    /// The whole, for what it reads.
    whole: Template,
}

/// Scheme, host and port.
enum Base {
    Literal(Url),
    /// Made of these, with the environment; and what was made the first time, for an environment seldom changes.
    Made(Box<[Part]>, OnceLock<(String, Url)>),
}

enum Part {
    Text(Box<str>),
    Env { name: Box<str>, default: Option<Box<str>> },
}

const FIXED: &str = "scheme, host and port of a URL are literal text or `{{ env.NAME }}`: \
                     no value from elsewhere may choose where a request goes";

impl UrlTemplate {
    pub(super) fn compile(source: TextSource<'_>, scope: Scope<'_>) -> Result<Self, Vec<RequestFault>> {
        let template = |fault| RequestFault::template(&RequestPlace::Url, fault);
        let several = |faults: Vec<TemplateFault>| faults.into_iter().map(template).collect::<Vec<_>>();
        match source {
            TextSource::Literal(text) => {
                let text = text.trim();
                let (parts, rest) = split(text, vec![Piece::Text(text, 0)]).map_err(|fault| vec![template(fault)])?;
                let rest = Template::literal(text.get(rest..).unwrap_or_default(), Sink::Url);
                Ok(Self { base: base(parts)?, rest, whole: Template::literal(text, Sink::Url) })
            }
            TextSource::Template(text) => {
                let text = text.trim_end();
                let whole = Template::compile(text, Sink::Url, scope).map_err(several)?;
                let (parts, rest) = split(text, pieces(text)).map_err(|fault| vec![template(fault)])?;
                let rest = mark_ends(text.get(rest..).unwrap_or_default());
                let rest = Template::compile(&rest, Sink::Url, scope).map_err(several)?;
                Ok(Self { base: base(parts)?, rest, whole })
            }
        }
    }

    pub(super) fn template(&self) -> &Template {
        &self.whole
    }

    pub(super) fn address(&self) -> Option<&Url> {
        match &self.base {
            Base::Literal(url) => Some(url),
            Base::Made(..) => None,
        }
    }

    pub(super) fn render(&self, view: &View, query: &Pairs) -> Result<Url, NotSent> {
        let marked = rendered(&self.rest, view, || RequestPlace::Url)?;
        let rest = marked.replace(MARK, "");
        if rest.len() > MAX_URL {
            return Err(too_large());
        }
        check(&marked)?;
        let (address, mut text) = match &self.base {
            Base::Literal(url) => (Cow::Borrowed(url), url.as_str().trim_end_matches('/').to_owned()),
            Base::Made(parts, first) => {
                let text = made(parts, view)?;
                let url = match first.get() {
                    Some((known, url)) if *known == text => Cow::Borrowed(url),
                    _ => {
                        let url = address(&text).map_err(|why| refused(NotSentReason::InvalidUrl, why))?;
                        // Whoever was first was right too.
                        let _ = first.set((text.clone(), url.clone()));
                        Cow::Owned(url)
                    }
                };
                if !rest.is_empty() && url.query().is_some() {
                    return Err(refused(NotSentReason::InvalidUrl, MORE));
                }
                let text = if view.is_masked() { masked(parts, &url) } else { text };
                (url, text)
            }
        };
        if text.ends_with('/') && rest.starts_with('/') {
            text.pop();
        }
        text.push_str(&rest);
        if !query.as_str().is_empty() {
            if !text.contains('?') {
                text.push('?');
            } else if !text.ends_with(['?', '&']) {
                text.push('&');
            }
            text.push_str(query.as_str());
        }
        if text.len() > MAX_URL {
            return Err(too_large());
        }
        let url = read(&text, &address).map_err(|_| refused(NotSentReason::InvalidUrl, "would not be a URL"))?;
        // What was checked and what is sent must be one address, whatever a parser makes of the text between.
        let more = !url.username().is_empty() || url.password().is_some() || url.fragment().is_some();
        let same = |part: fn(&Url) -> Option<&str>| part(&url) == part(&address);
        if more || !same(Url::host_str) || !same(|url| Some(url.scheme())) || url.port() != address.port() {
            return Err(refused(NotSentReason::InvalidUrl, "would have another host than its template"));
        }
        Ok(url)
    }
}

/// Reads a URL. Where it begins with an address that was read before, what follows is all that is read.
fn read(text: &str, address: &Url) -> Result<Url, ParseError> {
    let path = text.strip_prefix(&address[..Position::BeforePath]).filter(|_| &address[Position::BeforePath..] == "/");
    // Behind two slashes, in any spelling, would stand another address.
    let one_slash =
        |path: &&str| path.strip_prefix('/').is_some_and(|rest| !rest.starts_with(['/', '\\', '\t', '\n', '\r']));
    match path.filter(one_slash) {
        Some(path) => address.join(path),
        None => Url::parse(text),
    }
}

fn refused(reason: NotSentReason, detail: impl Into<String>) -> NotSent {
    NotSent::new(reason, RequestPlace::Url, detail)
}

fn too_large() -> NotSent {
    refused(NotSentReason::TooLarge, format!("would have more than {MAX_URL} bytes"))
}

/// Takes the address apart, and says where in the source the path begins.
fn split(source: &str, pieces: Vec<Piece<'_>>) -> Result<(Vec<Part>, usize), TemplateFault> {
    let mut parts = Vec::new();
    let mut end = None;
    for piece in pieces {
        match piece {
            Piece::Text(text, start) => {
                literal(source, text, start)?;
                if end.is_some() {
                    continue;
                }
                let stop = |text: &str| text.find(['/', '?']);
                let scheme = text.find("://").filter(|at| stop(text) == Some(at + 1) && !has_text(&parts));
                if scheme.is_none() && parts.is_empty() {
                    break;
                }
                let host = scheme.map_or(0, |at| at + 3);
                match text.get(host..).and_then(stop) {
                    Some(at) => {
                        parts.push(Part::Text(text.get(..host + at).unwrap_or_default().into()));
                        end = Some(start + host + at);
                    }
                    None => parts.push(Part::Text(text.into())),
                }
            }
            Piece::Env(name, default) if end.is_none() => {
                parts.push(Part::Env { name: name.into(), default: default.map(Into::into) });
            }
            Piece::Other(fault) if end.is_none() => return Err(fault(FIXED)),
            Piece::Env(..) | Piece::Other(_) => {}
        }
    }
    if parts.is_empty() {
        return Err(TemplateFault { line: 1, column: 1, message: ABSOLUTE.to_owned() });
    }
    Ok((parts, end.unwrap_or(source.len())))
}

const ABSOLUTE: &str = "a URL is absolute: it begins with `https://` or `http://`, or with `{{ env.NAME }}`";

fn has_text(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part, Part::Text(_)))
}

/// The operator's own text may hold structure, but nothing that parsers of URLs disagree about.
fn literal(source: &str, text: &str, start: usize) -> Result<(), TemplateFault> {
    let Some((at, c)) =
        text.char_indices().find(|(_, c)| matches!(c, '\\' | '#') || c.is_whitespace() || c.is_control())
    else {
        return Ok(());
    };
    let before = source.get(..start + at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let message = match c {
        '#' => "what follows `#` is never sent to a server: write `%23` for the character itself",
        '\\' => "a URL has no `\\`: write `/`, or `%5C` for the character itself",
        _ => "a URL holds no blanks, line breaks or other controls: write `%20` for a blank",
    };
    Err(TemplateFault { line, column, message: message.to_owned() })
}

fn base(parts: Vec<Part>) -> Result<Base, Vec<RequestFault>> {
    if let [Part::Text(text)] = parts.as_slice() {
        let url = address(text).and_then(|url| if url.query().is_some() { Err(MORE) } else { Ok(url) });
        return url.map(Base::Literal).map_err(|why| vec![RequestFault::new(&RequestPlace::Url, format!("it {why}"))]);
    }
    Ok(Base::Made(parts.into(), OnceLock::new()))
}

fn made(parts: &[Part], view: &View) -> Result<String, NotSent> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Env { name, default } => match view.env(name).or(default.as_deref()) {
                Some(value) => text.push_str(value.trim()),
                None => {
                    let missing = vec![format!("env.{name}").into()];
                    return Err(NotSent::missing(NotSentReason::MissingValue, RequestPlace::Url, missing));
                }
            },
        }
    }
    Ok(text)
}

/// An address from the environment, for someone to look at: who is called may be seen, what else there is may be a key.
fn masked(parts: &[Part], url: &Url) -> String {
    let mut text = url.origin().ascii_serialization();
    if url.path() != "/" || url.query().is_some() {
        let names =
            parts.iter().filter_map(|part| if let Part::Env { name, .. } = part { Some(&**name) } else { None });
        for name in names {
            text.push('/');
            text.extend(percent::encoded(&format!("\u{2039}env.{name}\u{203a}")));
        }
    }
    text
}

const MORE: &str = "has an address with more in it than a path";

/// Reads an address, or says what is wrong with it.
fn address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "does not begin with an address such as `https://api.example.com`")?;
    if !matches!(url.scheme(), "http" | "https") {
        Err("is neither `http` nor `https`")
    } else if !url.username().is_empty() || url.password().is_some() {
        Err("has a user or a password in it: send them in a header")
    } else if url.fragment().is_some() || text.contains('\\') {
        Err(MORE)
    } else {
        Ok(url)
    }
}

/// Checks what values have made of the path.
fn check(marked: &str) -> Result<(), NotSent> {
    let unsafe_path = |detail| Err(refused(NotSentReason::UnsafePath, detail));
    // A literal `%` or `%2` before a value would make the value's first characters a part of the encoding. Each piece is
    // looked at once, however many marks there are.
    if marked.rsplit_once(MARK).is_some_and(|(before, _)| before.split(MARK).any(begins_an_encoding)) {
        return unsafe_path("has a `%` before a value, which would become a part of the encoding");
    }
    let path = marked.split('?').next().unwrap_or_default();
    for segment in path.split('/').filter(|segment| segment.contains(MARK)) {
        if !segment::is_safe(&segment.replace(MARK, "")) {
            return unsafe_path("would have a segment that is empty, `.` or `..`, or that some server takes for that");
        }
    }
    Ok(())
}

/// Does it end with a `%` and fewer than two digits?
fn begins_an_encoding(text: &str) -> bool {
    text.strip_suffix(|c: char| c.is_ascii_hexdigit()).unwrap_or(text).ends_with('%')
}
