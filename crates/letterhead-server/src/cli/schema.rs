//! `letterhead schema`

/// Prints the schema that the configuration is really checked with.
pub(super) fn run() -> anyhow::Result<()> {
    Ok(super::print(crate::config::SCHEMA)?)
}
