//! A folder that goes away.

use std::fs::DirBuilder;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A folder for temporary files that nobody else can read. It is removed, with everything in it, when this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes one under a name that nobody can guess.
    pub(super) fn create() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("letterhead-demo-{}", uuid::Uuid::new_v4().simple()));
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays for the system's own cleaning of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::Folder;

    #[test]
    fn it_is_gone_with_everything_in_it() {
        let folder = Folder::create().unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("letterhead.db"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
