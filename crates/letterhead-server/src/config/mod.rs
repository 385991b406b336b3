//! The configuration: `letterhead.yaml`, read whole, checked whole, then typed.
//!
//! A file goes through five stages, and one report has the faults of all of them:
//!
//! 1. `parse` reads YAML into a tree in which every key and value knows its place;
//! 2. `interpolate` replaces `${NAME}`;
//! 3. `schema` checks the tree with the very JSON Schema that `letterhead schema` prints, and `explain` says its faults in plain
//!    words;
//! 4. the typed sections, one file each, read the tree with defaults for what has faults, and check what a schema cannot see;
//! 5. checks of the caller, such as those of templates and of the declared headers.
//!
//! ```
//! use letterhead_server::config;
//!
//! let yaml = "agents:\n  assistant:\n    instructions: Be brief.\n";
//! let loaded = config::read_text("letterhead.yaml", yaml, &|_| None).expect("a valid configuration");
//! assert_eq!(loaded.config.entry, "assistant");
//! assert_eq!(loaded.config.model.to_string(), "demo");
//!
//! let report = config::read_text("letterhead.yaml", "agent: {}", &|_| None).expect_err("no agents");
//! assert!(report.to_string().contains("did you mean `agents`?"));
//! ```

pub mod agents;
mod align;
pub mod auth;
pub mod context;
pub mod credentials;
mod declared;
mod document;
pub mod egress;
pub mod endpoint;
pub mod environment;
mod explain;
pub mod external_agents;
mod faults;
mod file;
mod front_matter;
mod header_rules;
pub mod history;
mod homes;
mod interpolate;
pub mod limits;
mod masking;
pub mod mcp_servers;
pub mod models;
mod nearest;
pub mod outgoing;
mod parse;
mod placed;
mod pointer;
pub mod providers;
mod quantity;
mod render;
mod report;
pub mod request;
mod root;
pub mod runtime_headers;
mod scalar;
mod schema;
mod section;
pub mod server;
pub mod sessions;
mod source;
pub mod store;
mod template;
#[cfg(test)]
mod tests;
pub mod token_exchange;
pub mod tools;
mod tree;
mod written_secrets;

use std::{path::Path, sync::Arc};

pub use document::Document;
pub use faults::Faults;
pub(crate) use front_matter::Markdown;
pub use placed::Placed;
pub use pointer::Pointer;
pub(crate) use quantity::duration as parse_duration;
pub use render::Colour;
pub use report::{Diagnostic, Report, Severity};
pub use root::{Alias, AliasTarget, Config};
pub use schema::SCHEMA;
pub(crate) use server::parse_listen;
pub use source::{Position, Source, Span};
pub use template::TemplateSource;

use section::Section;

/// The file that `letterhead init` writes: it works as it is, with the built-in model, and explains the keys.
pub const STARTER: &str = include_str!("starter.yaml");

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The typed configuration.
    pub config: Config,
    /// The file, for the places of later faults.
    pub document: Document,
    /// The warnings; often empty.
    pub warnings: Report,
}

/// Looks up environment variables: `&|name| std::env::var(name).ok()`, or something fixed in a test.
pub type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Checks of a caller, made before the report is closed. They see the typed configuration, in which values with faults are
/// defaults: [`Faults::is_faulty`] tells.
pub type Checks<'c> = &'c dyn Fn(&Config, &Faults<'_>);

/// Reads a configuration file.
///
/// # Errors
/// A report of every fault, if there is one. It has the warnings too.
pub fn read(path: &Path, env: Env<'_>) -> Result<Loaded, Report> {
    read_with(path, env, &|_, _| {})
}

/// Reads a configuration file, with further checks whose faults belong to the same report.
///
/// # Errors
/// A report of every fault, if there is one.
pub fn read_with(path: &Path, env: Env<'_>, checks: Checks<'_>) -> Result<Loaded, Report> {
    load(file::read(path)?, env, checks)
}

/// Reads a configuration from a text, which reports call `name`.
///
/// # Errors
/// A report of every fault, if there is one.
pub fn read_text(name: &str, text: &str, env: Env<'_>) -> Result<Loaded, Report> {
    read_text_with(name, text, env, &|_, _| {})
}

/// Reads a configuration from a text, with further checks.
///
/// # Errors
/// A report of every fault, if there is one.
pub fn read_text_with(name: &str, text: &str, env: Env<'_>, checks: Checks<'_>) -> Result<Loaded, Report> {
    load(Source::new(name, text), env, checks)
}

fn load(mut source: Source, env: Env<'_>, checks: Checks<'_>) -> Result<Loaded, Report> {
    let (root, mut found) = parse::parse(&source);
    let Some(mut root) = root else {
        let hidden = masking::in_text(&source);
        source.hide(hidden);
        return Err(Report::new(Arc::new(source), found));
    };
    let hidden = masking::in_tree(&root, &source);
    source.hide(hidden);
    found.extend(interpolate::interpolate(&mut root, &source, env));

    let mut document = Document { source: Arc::new(source), root };
    let faults = schema::check(&mut document, &found);
    found.extend(faults);

    let faults = Faults::after(&document, found);
    let config = Config::read(&Section::root(&faults), env);
    checks(&config, &faults);

    let report = Report::new(Arc::clone(document.source()), faults.into_found());
    if report.has_errors() { Err(report) } else { Ok(Loaded { config, document, warnings: report }) }
}
