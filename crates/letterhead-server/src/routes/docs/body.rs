//! What comes with a document that is written: its body, in one of two forms, and on which condition.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use letterhead_context::{Code, Fault, Problem};
use letterhead_store::{Condition, DocumentFault, DocumentKey, NewDocument, Revision};

use crate::app::App;
use crate::arrival::{Reading, Undecided};
use crate::config::{Markdown, Report};
use crate::error::Failure;
use crate::members::Members;

/// What an answer of this server says besides, and what is therefore no fault in what comes back to it.
const READ_ONLY: [&str; 5] = ["key", "shared", "size", "created_at", "updated_at"];

/// A request that writes: who asks, and what it brings.
pub struct Writing {
    /// Who asks.
    pub(crate) reading: Reading,
    body: Bytes,
    media: Media,
    if_match: Option<String>,
    if_none_match: Option<String>,
}

/// What a body says that it is.
enum Media {
    Json,
    Markdown,
    Other,
}

impl FromRequest<Arc<App>> for Writing {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let headers = request.headers();
        let media = media(headers);
        let (if_match, if_none_match) = (text(headers, header::IF_MATCH), text(headers, header::IF_NONE_MATCH));
        let arrived = Undecided::from_request(request, app).await?;
        let body = arrived.body.clone();
        Ok(Self { reading: arrived.reading()?, body, media, if_match, if_none_match })
    }
}

/// A header's value; of one that stands several times, or is no text, what nothing is equal to.
fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().unwrap_or_default().trim().to_owned();
    Some(if values.next().is_some() { String::new() } else { value })
}

fn media(headers: &HeaderMap) -> Media {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return Media::Other;
    };
    let mut parts = value.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let is_utf8 = parts.all(|part| match part.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    match media {
        _ if !is_utf8 => Media::Other,
        json if json.eq_ignore_ascii_case("application/json") => Media::Json,
        markdown if markdown.eq_ignore_ascii_case("text/markdown") => Media::Markdown,
        _ => Media::Other,
    }
}

impl Writing {
    /// On which condition it is written (RFC 9110, 13.1).
    pub(crate) fn condition(&self) -> Result<Condition, Problem> {
        match (self.revision()?, self.if_none_match.as_deref()) {
            (Some(_), Some(_)) => {
                Err(Problem::new(Code::InvalidBody, "`If-Match` and `If-None-Match` together are never met: send one"))
            }
            (Some(revision), None) => Ok(Condition::Unchanged(revision)),
            (None, Some("*")) => Ok(Condition::Absent),
            (None, Some(_)) => {
                let detail = "`If-None-Match` can be `*` here: write it only where there is none yet";
                Err(Problem::new(Code::InvalidBody, detail).with_param("If-None-Match"))
            }
            (None, None) => Ok(Condition::Always),
        }
    }

    /// Which one is to be changed: one that was read, by its `ETag`.
    pub(crate) fn revision(&self) -> Result<Option<Revision>, Problem> {
        let Some(tag) = &self.if_match else { return Ok(None) };
        let revision = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(Revision::parse);
        let detail = "`If-Match` takes one `ETag`, as an answer of this server had it, with its quotes";
        revision.map(Some).ok_or_else(|| Problem::new(Code::InvalidBody, detail).with_param("If-Match"))
    }

    /// The document that the body makes, of so many bytes at most.
    pub(crate) fn document(&self, key: DocumentKey, most: usize) -> Result<NewDocument, Problem> {
        let document = match self.media {
            Media::Json => json(&self.body, key)?,
            Media::Markdown => markdown(&self.body, key)?,
            Media::Other => {
                let detail = "send `Content-Type: application/json` with `title`, `tags` and `text`, or `text/markdown`, in \
                              UTF-8";
                return Err(Problem::new(Code::UnsupportedMediaType, detail));
            }
        };
        if document.text().len() > most {
            let detail = format!("a document may have at most {most} bytes of text (`limits.document_size`): split it");
            return Err(Problem::new(Code::BodyTooLarge, detail));
        }
        Ok(document)
    }
}

fn json(body: &[u8], key: DocumentKey) -> Result<NewDocument, Problem> {
    let members = Members::read(body)?;
    let fault = |member: &str, detail: String| {
        Problem::faults(vec![Fault::pointer(format!("/{member}"), Code::InvalidBody, detail)])
    };
    for (name, _) in members.iter() {
        if !["title", "tags", "text"].contains(&name) && !READ_ONLY.contains(&name) {
            let detail = "a document has `title`, `tags` and `text`".to_owned();
            return Err(fault(&crate::error::shown(name), detail));
        }
    }
    let said: Option<String> = members.get("key", "a text")?;
    if said.is_some_and(|said| DocumentKey::parse(&said).as_ref() != Ok(&key)) {
        return Err(fault("key", other_key()));
    }
    let text: Option<String> = members.get("text", "a text")?;
    let text = text.ok_or_else(|| fault("text", "the document's text is missing".to_owned()))?;
    let tags: Vec<String> = members.get("tags", "a list of texts")?.unwrap_or_default();
    let title: Option<String> = members.get("title", "a text")?;
    let at = |member| move |found: DocumentFault| fault(member, found.to_string());
    let document = NewDocument::new(key, text).map_err(at("text"))?;
    let document = document.with_title(title.as_deref().unwrap_or_default()).map_err(at("title"))?;
    document.with_tags(tags.iter().map(String::as_str)).map_err(at("tags"))
}

fn markdown(body: &[u8], key: DocumentKey) -> Result<NewDocument, Problem> {
    let text = str::from_utf8(body).map_err(|error| {
        let line =
            body.get(..error.valid_up_to()).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() + 1;
        Problem::new(Code::InvalidBody, format!("line {line} is not UTF-8: a document is plain text"))
    })?;
    let read = Markdown::read("body", text).map_err(|report| refused(&report))?;
    if read.key.as_ref().is_some_and(|said| *said != key) {
        let detail = format!("`entity_key` in the front matter: {}", other_key());
        return Err(Problem::new(Code::InvalidBody, detail));
    }
    read.document(key).map_err(|report| refused(&report))
}

fn other_key() -> String {
    "it is another key than that in the path; leave it out, or write to its own path".to_owned()
}

/// What is wrong with a Markdown document, for who sent it.
fn refused(report: &Report) -> Problem {
    let told = report.diagnostics().iter().map(|fault| {
        let place = fault.span.map_or_else(String::new, |span| {
            let place = report.source().position(span.start);
            format!("line {}, column {}: ", place.line, place.column)
        });
        let help = fault.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
        format!("{place}{}{help}", fault.message)
    });
    Problem::new(Code::InvalidBody, told.collect::<Vec<_>>().join("; "))
}
