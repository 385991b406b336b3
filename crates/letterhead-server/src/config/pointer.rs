//! JSON Pointers (RFC 6901): how every part of the server names a place in the configuration.

use std::fmt;

/// A place in the configuration, such as `/agents/assistant/headers/X-Agent-ID`.
///
/// The empty pointer is the whole document. In a segment `~` is written `~0` and `/` is written `~1`; [`Pointer::key`] and
/// [`Pointer::segments`] do that themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer(String);

impl Pointer {
    /// The whole document.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The value under `name` in the object that this pointer names.
    #[must_use]
    pub fn key(&self, name: &str) -> Self {
        // Sections are read by the thousand.
        let mut pointer = String::with_capacity(self.0.len() + 1 + name.len());
        pointer.push_str(&self.0);
        pointer.push('/');
        for part in name.split_inclusive(['~', '/']) {
            match (part.strip_suffix('~'), part.strip_suffix('/')) {
                (Some(plain), _) => pointer.extend([plain, "~0"]),
                (_, Some(plain)) => pointer.extend([plain, "~1"]),
                (None, None) => pointer.push_str(part),
            }
        }
        Self(pointer)
    }

    /// The item at `index`, counted from 0, of the list that this pointer names.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// The segments in order, with `~0` and `~1` read back.
    pub fn segments(&self) -> impl Iterator<Item = String> + '_ {
        self.0.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"))
    }

    /// What holds this place; the root holds itself.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self(self.0.rsplit_once('/').map_or_else(String::new, |(parent, _)| parent.to_owned()))
    }

    /// Whether this is the whole document.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The pointer as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The place as people write it: `agents.assistant.headers`. The root is `the configuration`.
    #[must_use]
    pub fn dotted(&self) -> String {
        if self.is_root() {
            return "the configuration".to_owned();
        }
        let mut path = String::new();
        for segment in self.segments() {
            if segment.bytes().all(|byte| byte.is_ascii_digit()) && !path.is_empty() {
                path.push_str(&format!("[{segment}]"));
            } else {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&segment);
            }
        }
        path
    }
}

impl From<&str> for Pointer {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&Pointer> for Pointer {
    fn from(pointer: &Pointer) -> Self {
        pointer.clone()
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Pointer;

    #[test]
    fn a_key_with_a_slash_comes_back_as_it_was() {
        let pointer = Pointer::root().key("a/b~c").index(3);
        assert_eq!(pointer.as_str(), "/a~1b~0c/3");
        assert_eq!(pointer.segments().collect::<Vec<_>>(), ["a/b~c", "3"]);
        assert_eq!(pointer.dotted(), "a/b~c[3]");
        assert_eq!(pointer.parent().as_str(), "/a~1b~0c");
        assert!(pointer.parent().parent().is_root());
    }
}
