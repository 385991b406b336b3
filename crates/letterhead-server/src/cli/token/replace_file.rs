//! A file gets a new text whole, or stays as it was: also where the disk is full, or the power goes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Replaces a file's text, if the new file passes a look; it says whether it did. The file keeps its mode, and a link to it
/// goes on leading to it.
///
/// # Errors
///
/// What the system refused. The file is as it was then.
pub(super) fn replace(path: &Path, text: &str, passes: impl FnOnce(&Path) -> bool) -> io::Result<bool> {
    let path = fs::canonicalize(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".new-{}-{name}", std::process::id()));
    let replaced = write(&new, text, &path).and_then(|()| {
        let is_good = passes(&new);
        if is_good {
            fs::rename(&new, &path)?;
        }
        Ok(is_good)
    });
    if !matches!(replaced, Ok(true)) {
        // What is left behind would do no harm.
        let _ = fs::remove_file(&new);
    }
    replaced
}

/// Writes a file that is on the disk when this returns, with the mode of another.
fn write(new: &Path, text: &str, like: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(new)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::metadata(like)?.permissions())?;
    file.sync_all()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.yaml"), folder.path().join("link.yaml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();

        let seen = |new: &Path| (fs::read_to_string(new).unwrap(), fs::read_to_string(&file).unwrap());
        let look = |new: &Path| {
            assert_eq!(seen(new), ("new".to_owned(), "old".to_owned()));
            false
        };
        assert!(!replace(&link, "new", look).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");

        assert!(replace(&link, "new", |_| true).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
    }
}
