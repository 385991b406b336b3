//! Documents as people read them.

use std::io::IsTerminal;
use std::path::Path;

use letterhead_store::{DocumentHead, Shelf, Written};

use crate::cli::columns;
use crate::cli::paint::Paint;

/// The columns of a list.
const HEAD: [&str; 6] = ["key", "title", "tags", "whose", "size", "changed"];

/// Whose the documents of a shelf are.
pub(super) fn whose(shelf: &Shelf) -> String {
    let tenant = shelf.tenant();
    match shelf.user() {
        Some(user) => format!("of the user `{user}` of the tenant `{tenant}`"),
        None => format!("that the tenant `{tenant}` shares"),
    }
}

/// A line on a document that was written.
pub(super) fn written(written: &Written, shelf: &Shelf, file: &Path) -> String {
    let did = if written.is_new { "added" } else { "replaced" };
    let by = match shelf.user() {
        Some(user) => format!("for the user `{user}`"),
        None => "for everybody".to_owned(),
    };
    let (key, size) = (&written.head.key, size(written.head.bytes));
    format!("{did} {key} ({size}) {by} of the tenant `{}`, from {}\n", shelf.tenant(), file.display())
}

/// A list of documents.
pub(super) fn table(heads: &[DocumentHead]) -> String {
    if heads.is_empty() {
        return "no documents; `letterhead docs add FILE` adds one\n".to_owned();
    }
    columns::table(HEAD, heads.iter().map(row), Paint::of(std::io::stdout().is_terminal()))
}

fn row(head: &DocumentHead) -> [String; 6] {
    [
        head.key.to_string(),
        head.title.as_deref().unwrap_or("-").to_owned(),
        if head.tags.is_empty() { "-".to_owned() } else { head.tags.join(", ") },
        head.owner.as_ref().map_or("shared", |user| user.as_str()).to_owned(),
        size(head.bytes),
        columns::day(head.updated_at_ms),
    ]
}

fn size(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} B") } else { format!("{} KiB", bytes.div_ceil(1024)) }
}
