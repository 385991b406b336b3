//! Documents: what agents look up. A caller reads its own and those that its tenant shares, and nothing tells of others'.

mod body;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use letterhead_context::{Code, Problem};
use letterhead_store::{
    Document, DocumentFilter, DocumentHead, DocumentKey, Owner, Revision, Shelf, Terms, Whose, Written,
};
use serde_json::{Value, json};

pub use self::body::Writing;
use super::sessions::{ListBody, Listing, seconds};
use crate::app::App;
use crate::arrival::{InPath, Reading};
use crate::auth::Scope;
use crate::error::{Failure, store_problem};

/// The caller's documents, by key: its own, and those shared ones that these do not hide.
pub async fn list(State(app): State<Arc<App>>, uri: Uri, reading: Reading) -> Result<Json<ListBody>, Failure> {
    let listing = Listing::read(&uri, &["limit", "after", "tag", "shared"]);
    let asked = listing.and_then(|listing| Ok((listing.page()?, filter(&listing)?)));
    let (page, filter) = asked.map_err(|problem| reading.failure(problem))?;
    let found = app.store.documents(&Owner::from(&reading.caller), &filter, &page).await;
    found.map(|list| ListBody::of(list, |head| row(&head))).map_err(|error| reading.failure(store_problem(&error)))
}

/// One document.
pub async fn one(
    State(app): State<Arc<App>>,
    InPath(key): InPath,
    uri: Uri,
    reading: Reading,
) -> Result<Response, Failure> {
    let filter = of_one(&uri).map_err(|problem| reading.failure(problem))?;
    // What cannot be a key is simply not there.
    let key = DocumentKey::parse(&key).map_err(|_| reading.failure(not_found()))?;
    match app.store.document(&Owner::from(&reading.caller), &key, filter.whose).await {
        Ok(Some(Document { head, text })) => {
            let mut body = row(&head);
            if let Some(body) = body.as_object_mut() {
                body.insert("text".to_owned(), (&*text).into());
            }
            Ok((tags(&head), Json(body)).into_response())
        }
        Ok(None) => Err(reading.failure(not_found())),
        Err(error) => Err(reading.failure(store_problem(&error))),
    }
}

/// Writes a document, in place of the one that the caller has under this key.
pub async fn put(
    State(app): State<Arc<App>>,
    InPath(key): InPath,
    uri: Uri,
    writing: Writing,
) -> Result<Response, Failure> {
    let reading = &writing.reading;
    let shelf = shelf(reading, &uri)?;
    let failure = |problem| reading.failure(problem);
    let key =
        DocumentKey::parse(&key).map_err(|fault| failure(Problem::new(Code::InvalidDocumentKey, fault.to_string())))?;
    let condition = writing.condition().map_err(failure)?;
    let document = writing.document(key, app.documents.size).map_err(failure)?;
    // What is shared is written by whom the operator lets.
    let most = shelf.user().map(|_| app.documents.per_user);
    let written = app.store.put_documents(&shelf, vec![document], Terms { condition, most }).await;
    let written = written.map_err(|error| failure(store_problem(&error)))?.pop();
    let Some(Written { head, is_new }) = written else {
        return Err(failure(Problem::new(Code::Internal, "the document was not written")));
    };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, tags(&head), Json(row(&head))).into_response())
}

/// Removes one of the caller's documents.
pub async fn delete(
    State(app): State<Arc<App>>,
    InPath(key): InPath,
    uri: Uri,
    writing: Writing,
) -> Result<StatusCode, Failure> {
    let reading = &writing.reading;
    let shelf = shelf(reading, &uri)?;
    let revision = writing.revision().map_err(|problem| reading.failure(problem))?;
    let key = DocumentKey::parse(&key).map_err(|_| reading.failure(not_found()))?;
    match app.store.delete_document(&shelf, &key, revision).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(reading.failure(not_found())),
        Err(error) => Err(reading.failure(store_problem(&error))),
    }
}

/// Where the caller may write: what is its own, or, with an API key that has the scope, what its tenant shares.
fn shelf(reading: &Reading, uri: &Uri) -> Result<Shelf, Failure> {
    let filter = of_one(uri).map_err(|problem| reading.failure(problem))?;
    if filter.whose == Whose::Shared {
        reading.needs(Scope::DocsWrite)?;
        return Ok(Shelf::shared(reading.caller.tenant().clone()));
    }
    Shelf::of(&Owner::from(&reading.caller)).ok_or_else(|| {
        let detail = "a document belongs to the user who writes it, and this request has none: send a token, an API key, \
                      or `X-User-Id` where that is trusted";
        reading.failure(Problem::new(Code::Unauthenticated, detail))
    })
}

/// Whose document of a key is meant.
fn of_one(uri: &Uri) -> Result<DocumentFilter, Problem> {
    Listing::read(uri, &["shared"]).and_then(|listing| filter(&listing))
}

fn filter(listing: &Listing) -> Result<DocumentFilter, Problem> {
    let whose = match listing.shared.as_deref() {
        None => Whose::OwnBeforeShared,
        Some("true") => Whose::Shared,
        Some("false") => Whose::Own,
        Some(_) => {
            let detail = "the query parameter `shared` is `true` or `false`";
            return Err(Problem::new(Code::InvalidBody, detail).with_param("shared"));
        }
    };
    Ok(DocumentFilter { whose, tag: listing.tag.as_deref().map(Arc::from) })
}

fn not_found() -> Problem {
    Problem::new(Code::DocumentNotFound, "there is no such document")
}

/// What a client may write on condition of, and how long it may keep what it read: not past the next look.
fn tags(head: &DocumentHead) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(tag) = HeaderValue::from_str(&etag(head.revision)) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers
}

fn etag(revision: Revision) -> String {
    format!("\"{revision}\"")
}

fn row(head: &DocumentHead) -> Value {
    json!({
        "key": head.key.as_str(),
        "title": head.title.as_deref(),
        "tags": head.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(),
        "shared": head.is_shared(),
        "size": head.bytes,
        "created_at": seconds(head.created_at_ms),
        "updated_at": seconds(head.updated_at_ms),
    })
}
