//! `credentials:` — secrets of the operator for destinations: from the environment, or from files that may change.

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{interpolate::Environment, pointer::Pointer, section::Section};

/// What a file with a credential may have at most, in bytes.
const LARGEST: u64 = 64 << 10;

/// Variables of the server itself, which no destination may get.
const OWN: &str = "LETTERHEAD_";

/// A credential that templates of destinations read as `credentials.NAME`.
#[derive(Clone)]
#[non_exhaustive]
pub struct Credential {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub source: CredentialSource,
    /// Its value when the configuration was read.
    pub value: Zeroizing<String>,
    /// Where it stands.
    pub pointer: Pointer,
}

/// Where a credential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// An environment variable.
    Env(String),
    /// A file. A relative path counts from the directory that the server is started in.
    File(PathBuf),
}

impl fmt::Debug for Credential {
    /// Not the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("name", &self.name).field("source", &self.source).finish_non_exhaustive()
    }
}

/// Why a text or a file is no credential. Never says what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCredential {
    /// The file cannot be read.
    #[error("{0}")]
    Unreadable(&'static str),
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It is longer than any credential.
    #[error("it has more than 64 KiB")]
    TooLong,
    /// It is not a line of text.
    #[error("it is not one line of UTF-8 text without control characters")]
    NotText,
}

/// Reads those under `credentials:`, and those that stand where a provider's key does.
pub(super) fn read_all(root: &Section<'_>, env: Environment<'_>) -> Vec<Credential> {
    let listed = root.child("credentials").entries().into_iter().map(|(name, entry)| (name.to_owned(), entry));
    let keys = root.child("providers").entries().into_iter().map(|(name, provider)| (name, provider.child("api_key")));
    let keys = keys.filter(|(_, key)| key.is_map()).map(|(name, key)| (of_provider(name), key));
    listed.chain(keys).map(|(name, section)| read_one(name, &section, env)).collect()
}

/// What the credential is called that stands where a provider's key does.
pub(super) fn of_provider(name: &str) -> String {
    format!("providers.{name}.api_key")
}

/// Reads one, where a section has `env` or `file`. One with a fault is there without a value: templates name it rightly.
fn read_one(name: String, section: &Section<'_>, env: Environment<'_>) -> Credential {
    let (variable, file) = (section.child("env"), section.child("file"));
    let (source, value) = match (variable.text(), file.text()) {
        (Some(_), Some(_)) => {
            let help = "keep one of them".to_owned();
            file.error_at_key("a credential comes from `env` or from `file`, not from both", help);
            (CredentialSource::Env(String::new()), None)
        }
        (Some(name), None) => (CredentialSource::Env(name.to_owned()), read_env(name, &variable, env)),
        (None, Some(path)) => {
            let path = PathBuf::from(path);
            let value = read_file(&path).map_err(|no| {
                file.error(format!("the file {} is no credential: {no}", file.shown()), None);
            });
            (CredentialSource::File(path), value.ok())
        }
        (None, None) => {
            if !variable.exists() && !file.exists() {
                let help = "for example `{ env: CRM_TOKEN }` or `{ file: /run/secrets/crm }`".to_owned();
                section.error_at_key(format!("nothing says where `{}` comes from", section.pointer().dotted()), help);
            }
            (CredentialSource::Env(String::new()), None)
        }
    };
    Credential { name, source, value: value.unwrap_or_default(), pointer: section.pointer().clone() }
}

fn read_env(name: &str, section: &Section<'_>, env: Environment<'_>) -> Option<Zeroizing<String>> {
    if name.starts_with(OWN) {
        section.error(format!("{} belongs to the server and is no credential", section.shown()), None);
        return None;
    }
    let Some(value) = env(name).map(Zeroizing::new) else {
        let help = "set it, or remove the credential".to_owned();
        section.error(format!("the environment variable {} is not set", section.shown()), help);
        return None;
    };
    let value = line(&value).map_err(|no| {
        section.error(format!("the environment variable {} is no credential: {no}", section.shown()), None);
    });
    value.ok()
}

/// Reads a credential from a file: one line of text, without the line break at its end.
///
/// # Errors
///
/// If it is not that.
pub fn read_file(path: &Path) -> Result<Zeroizing<String>, NoCredential> {
    let unreadable = |error: io::Error| {
        NoCredential::Unreadable(match error.kind() {
            io::ErrorKind::NotFound => "there is no such file",
            io::ErrorKind::PermissionDenied => "this user may not read it",
            io::ErrorKind::IsADirectory => "it is a directory",
            _ => "it cannot be read",
        })
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(NoCredential::TooLong);
    }
    line(std::str::from_utf8(&bytes).map_err(|_| NoCredential::NotText)?)
}

/// A credential as it was written, without the line break that editors and `echo` put at its end.
fn line(text: &str) -> Result<Zeroizing<String>, NoCredential> {
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.trim().is_empty() {
        return Err(NoCredential::Empty);
    }
    if text.chars().any(char::is_control) {
        return Err(NoCredential::NotText);
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{NoCredential, read_file};

    #[test]
    fn a_file_holds_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_file(&path).map(|value| value.to_string())
        };
        assert_eq!(read(b"sk-1\n").unwrap(), "sk-1");
        assert_eq!(read(b"sk 1\r\n").unwrap(), "sk 1");
        assert_eq!(read(b"sk-1").unwrap(), "sk-1");
        assert_eq!(read(b" \n"), Err(NoCredential::Empty));
        assert_eq!(read(b"one\ntwo\n"), Err(NoCredential::NotText));
        assert_eq!(read(b"\xff"), Err(NoCredential::NotText));
        assert_eq!(read(&vec![b'x'; 70_000]), Err(NoCredential::TooLong));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(read_file(&path), Err(NoCredential::Unreadable(_))));
    }
}
