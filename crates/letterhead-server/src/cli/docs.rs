//! `letterhead docs`

mod show;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use letterhead_context::{TenantId, UserId};
use letterhead_store::sqlite::{SqliteOptions, SqliteTool};
use letterhead_store::{
    Clock, DocumentFilter, DocumentKey, Documents, NewDocument, Owner, Page, Shelf, SystemClock, Terms, Whose,
};

use super::{ConfigFile, check, identity, print, say, serve};
use crate::assembly::{self, Checked};
use crate::config::store::Store;
use crate::config::{Markdown, Report};

/// How the name of a file ends that is a document.
const ENDINGS: [&str; 3] = ["md", "markdown", "txt"];

/// What agents look up. Whether a server runs or not: it sees every change at its next look-up.
///
/// Without --user a document is shared by all callers of its tenant: agents read it in every conversation. Let nobody write
/// one whom all of them should not believe.
#[derive(Debug, Args)]
pub(crate) struct Docs {
    #[command(flatten)]
    config: ConfigFile,
    /// The tenant whose documents they are
    #[arg(long, short, value_name = "ID", default_value = "default", value_parser = identity, global = true)]
    tenant: String,
    /// The user whose documents they are; without this they are shared
    #[arg(long, short, value_name = "ID", value_parser = identity, global = true)]
    user: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add Markdown files (.md, .markdown, .txt), or replace what is there under their keys: all of them or none
    ///
    /// A file's front matter (YAML between two lines `---` at its beginning) can have `entity_key`, `title` and `tags`. The
    /// key of a file that does not say one is its name without the ending.
    Add {
        /// The files, such as `docs/*.md`
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// List what is shared; with --user what that user's agents find: its own, then shared ones
    List {
        /// Only documents that have this tag, written the same
        #[arg(long, value_name = "TAG")]
        tag: Option<String>,
    },
    /// Remove documents
    Rm {
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
}

impl Docs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let checked = self.config.checked("nothing was done")?;
        let owner = Owner { tenant: TenantId::new(self.tenant), user: self.user.map(UserId::new) };
        let shelf = Shelf::of(&owner).unwrap_or_else(|| Shelf::shared(owner.tenant.clone()));
        let documents = open(&checked)?;
        serve::runtime()?.block_on(async {
            match self.action {
                Action::Add { files } => add(&*documents, &checked, &shelf, &files).await,
                Action::List { tag } => list(&*documents, &owner, tag.as_deref()).await,
                Action::Rm { keys } => remove(&*documents, &shelf, &keys).await,
            }
        })
    }
}

/// The store's documents, beside a server that runs.
fn open(checked: &Checked) -> anyhow::Result<Arc<dyn Documents>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Ok(match &checked.loaded.config.store {
        Store::Memory => bail!(
            "`store: memory` is in the server alone: documents need a store that lasts, such as \
             `sqlite://letterhead.db`, or are written by `PUT /api/v1/docs/KEY`"
        ),
        Store::Sqlite { path } => Arc::new(SqliteTool::open(path, SqliteOptions::default(), clock)?),
        Store::Postgres { address } => Arc::new(assembly::open_postgres(checked, address, &clock)?),
    })
}

/// Adds files. Where something is wrong with one nothing is added, and what is wrong with the others is told too.
async fn add(documents: &dyn Documents, checked: &Checked, shelf: &Shelf, files: &[PathBuf]) -> anyhow::Result<()> {
    let most = checked.loaded.config.limits.document_size;
    let (mut added, mut is_faulty) = (Vec::<(NewDocument, &Path)>::new(), false);
    for file in files {
        let document =
            read(file, most).and_then(|new| match added.iter().find(|(other, _)| other.key() == new.key()) {
                Some((_, other)) => Err(Wrong::Whole(anyhow!(
                    "{}: {} has the key `{}` too: give one of them another by `entity_key` in its front matter",
                    file.display(),
                    other.display(),
                    new.key()
                ))),
                None => Ok(new),
            });
        match document {
            Ok(document) => added.push((document, file)),
            Err(wrong) => {
                is_faulty = true;
                match wrong {
                    Wrong::Whole(error) => say(&format!("{error:#}")),
                    Wrong::Inside(report) => check::show(&report),
                }
            }
        }
    }
    if is_faulty {
        bail!("nothing was added");
    }
    let by_tenant = checked.loaded.config.auth.jwt.as_ref().is_some_and(|jwt| jwt.expected.tenant_claim.is_some());
    if by_tenant && *shelf.tenant() == TenantId::default() {
        say(
            "tokens name a tenant here (`auth.jwt.tenant_claim`): for callers of others than `default` add `--tenant ID`",
        );
    }
    let new = added.iter().map(|(document, _)| document.clone()).collect();
    let written = documents.put_documents(shelf, new, Terms::default()).await.context("nothing was added")?;
    let lines = written.iter().zip(&added).map(|(written, (_, file))| show::written(written, shelf, file));
    Ok(print(&lines.collect::<String>())?)
}

/// What is wrong with a file.
enum Wrong {
    /// As a whole.
    Whole(anyhow::Error),
    /// At places in it.
    Inside(Report),
}

impl From<anyhow::Error> for Wrong {
    fn from(error: anyhow::Error) -> Self {
        Self::Whole(error)
    }
}

fn read(file: &Path, most: u64) -> Result<NewDocument, Wrong> {
    let name = file.display().to_string();
    let bytes = bytes(file, most).with_context(|| name.clone())?;
    let text = str::from_utf8(&bytes).map_err(|error| {
        let line =
            bytes.get(..error.valid_up_to()).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() + 1;
        anyhow!("{name}: line {line} is not UTF-8: a document is plain text")
    })?;
    let markdown = Markdown::read(&name, text).map_err(Wrong::Inside)?;
    let key = match &markdown.key {
        Some(key) => key.clone(),
        None => {
            let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            DocumentKey::parse(stem).map_err(|fault| {
                anyhow!("{name}: its name cannot be its key: {fault}; say one by `entity_key` in its front matter")
            })?
        }
    };
    markdown.document(key).map_err(Wrong::Inside)
}

/// A file's bytes, if they are not too many. What is no file, such as a terminal, is not waited for.
fn bytes(file: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    use std::io::Read;
    let found = std::fs::metadata(file)?;
    if !found.is_file() {
        bail!("it is no file: name each one, such as `docs/*.md`");
    }
    // A configuration or a key beside the texts is not for everybody's conversations.
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if !ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending)) {
        bail!("a document's name ends with `.md`, `.markdown` or `.txt`: rename it if this is one");
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    std::fs::File::open(file)?.take(most + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        bail!("it has more than {most} bytes (`limits.document_size`): split it");
    }
    Ok(bytes)
}

async fn list(documents: &dyn Documents, owner: &Owner, tag: Option<&str>) -> anyhow::Result<()> {
    let filter = DocumentFilter { whose: Whose::OwnBeforeShared, tag: tag.map(Into::into) };
    let (mut heads, mut page) = (Vec::new(), Page::first(letterhead_store::MAX_PAGE));
    loop {
        let list = documents.documents(owner, &filter, &page).await?;
        heads.extend(list.data);
        match heads.last() {
            Some(last) if list.has_more => page = Page::first(letterhead_store::MAX_PAGE).after(last.key.as_str()),
            _ => break,
        }
    }
    Ok(print(&show::table(&heads))?)
}

async fn remove(documents: &dyn Documents, shelf: &Shelf, keys: &[String]) -> anyhow::Result<()> {
    let mut missing = Vec::new();
    for shown in keys {
        // What cannot be a key is not there.
        let removed = match DocumentKey::parse(shown) {
            Ok(key) => documents.delete_document(shelf, &key, None).await?,
            Err(_) => false,
        };
        if removed {
            print(&format!("removed {}\n", shown.to_ascii_lowercase()))?;
        } else {
            missing.push(format!("`{}`", shown.escape_debug()));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let (missing, whose) = (missing.join(", "), show::whose(shelf));
    match shelf.user() {
        Some(_) => bail!("there is no document {missing} {whose}; `letterhead docs list --user …` shows the keys"),
        None => bail!(
            "there is no document {missing} {whose}; `letterhead docs list` shows the keys, and `--user ID` removes a \
             document of that user"
        ),
    }
}
