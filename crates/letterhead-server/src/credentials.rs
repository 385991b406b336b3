//! The operator's credentials while the server runs: those from files are read again when their files change.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use letterhead_context::{Credentials, Secret};
use letterhead_store::Clock;
use serde_json::Value;

use crate::config::credentials::{Credential, CredentialSource, read_file};

/// How long a file is believed to be as it was, in milliseconds.
const LOOK_AGAIN_AFTER: i64 = 1000;

/// The credentials of a configuration. A turn that begins a second after a file has changed, or later, has the new value.
pub struct LiveCredentials {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    current: Credentials,
    values: BTreeMap<String, Secret>,
    files: Vec<Watched>,
    looked_at_ms: i64,
}

/// A file, and how it was when it was last read.
struct Watched {
    name: String,
    path: PathBuf,
    /// None until it was read here, and while it cannot be.
    stamp: Option<Stamp>,
    /// It could not be read the last time, and that was said.
    lost: bool,
}

/// What tells that a file is another one: somebody wrote into it, or put another in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl LiveCredentials {
    /// Begins with the values that a configuration was read with. Their files may have changed since, so that the first who
    /// asks has them read again.
    pub fn new(configured: &[Credential], clock: Arc<dyn Clock>) -> Self {
        let file = |credential: &Credential| match &credential.source {
            CredentialSource::Env(_) => None,
            CredentialSource::File(path) => {
                Some(Watched { name: credential.name.clone(), path: path.clone(), stamp: None, lost: false })
            }
        };
        let value = |credential: &Credential| (credential.name.clone(), secret(&credential.value));
        let values: BTreeMap<String, Secret> = configured.iter().map(value).collect();
        let state = State {
            current: Credentials::new(values.clone()),
            values,
            files: configured.iter().filter_map(file).collect(),
            looked_at_ms: i64::MIN,
        };
        Self { clock, state: Mutex::new(state) }
    }

    /// The credentials as they are now. A file that cannot be read any more leaves its value as it was.
    pub fn current(&self) -> Credentials {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.now_ms();
        // A clock that was set back is not waited for.
        let since = now_ms.saturating_sub(state.looked_at_ms);
        if !state.files.is_empty() && !(0..LOOK_AGAIN_AFTER).contains(&since) {
            state.looked_at_ms = now_ms;
            state.look();
        }
        state.current.clone()
    }
}

impl State {
    fn look(&mut self) {
        let Self { current, values, files, .. } = self;
        let mut changed = false;
        for file in files {
            let stamp = Stamp::of(&file.path);
            if stamp.is_some() && stamp == file.stamp {
                continue;
            }
            match read_file(&file.path) {
                Ok(value) => {
                    (file.stamp, file.lost) = (stamp, false);
                    if values.get(&file.name).is_some_and(|known| known.reveal().as_str() == Some(&**value)) {
                        continue;
                    }
                    tracing::info!(credential = file.name, "a credential was read again: its file has changed");
                    values.insert(file.name.clone(), secret(&value));
                    changed = true;
                }
                Err(error) => {
                    file.stamp = None;
                    if !std::mem::replace(&mut file.lost, true) {
                        tracing::warn!(
                            credential = file.name,
                            "a credential stays as it was: its file is none: {error}"
                        );
                    }
                }
            }
        }
        if changed {
            *current = Credentials::new(values.clone());
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Some(Self { modified: metadata.modified().ok(), length: metadata.len(), inode })
    }
}

fn secret(value: &str) -> Secret {
    Secret::new(Value::String(value.to_owned()))
}

impl fmt::Debug for LiveCredentials {
    /// Nothing of what is in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveCredentials").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use letterhead_store::FixedClock;
    use zeroize::Zeroizing;

    use super::*;
    use crate::config::Pointer;

    #[test]
    fn a_file_that_changed_while_the_server_was_started_is_read_again_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "two\n").unwrap();
        let source = CredentialSource::File(path);
        let value = Zeroizing::new("one".to_owned());
        let configured = Credential { name: "crm".to_owned(), source, value, pointer: Pointer::root() };
        let live = LiveCredentials::new(&[configured], Arc::new(FixedClock::at(0)));
        assert_eq!(live.current().get("crm").unwrap().reveal(), "two");
    }

    #[test]
    fn a_file_that_changes_is_read_again_within_a_second_and_one_that_goes_leaves_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let write = |value: &str| {
            // As a secret manager does it: another file takes the place.
            let new = folder.path().join("new");
            std::fs::write(&new, value).unwrap();
            std::fs::rename(&new, &path).unwrap();
        };
        write("one\n");
        let source = CredentialSource::File(path.clone());
        let value = Zeroizing::new("one".to_owned());
        let configured = Credential { name: "crm".to_owned(), source, value, pointer: Pointer::root() };
        let clock = Arc::new(FixedClock::at(0));
        let live = LiveCredentials::new(&[configured], Arc::clone(&clock) as Arc<dyn Clock>);
        let crm = || live.current().get("crm").unwrap().reveal().as_str().unwrap().to_owned();
        assert_eq!(crm(), "one");

        write("two\n");
        assert_eq!(crm(), "one", "not looked at again yet");
        clock.advance(Duration::from_secs(1));
        assert_eq!(crm(), "two");

        write("\n");
        clock.advance(Duration::from_secs(1));
        assert_eq!(crm(), "two", "what is none leaves the value as it was");
        std::fs::remove_file(&path).unwrap();
        clock.advance(Duration::from_secs(1));
        assert_eq!(crm(), "two");
        write("three");
        clock.set(-5_000);
        assert_eq!(crm(), "three", "a clock that was set back is not waited for");
    }
}
