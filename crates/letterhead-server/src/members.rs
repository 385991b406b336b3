//! The members of a JSON body as raw text: each is read where it is understood, and messages are passed on as they came.

use std::borrow::Cow;
use std::fmt;

use letterhead_context::{Code, Fault, Problem};
use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// More members than any client sends; each is compared with those before it.
const MOST: usize = 256;

/// Messages or tools of one request. More cost more to look at than anybody's conversation is worth.
const MAX_ITEMS: usize = 10_000;

/// The members of a JSON object, in order, each as raw text.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads a request's body.
    ///
    /// # Errors
    ///
    /// 400 for what is no JSON object, saying where it stops being one.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Problem> {
        serde_json::from_slice(body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            let is_object = body.trim_ascii_start().starts_with(b"{");
            let detail = if body.is_empty() {
                "the body is empty; send a JSON object".to_owned()
            } else if is_object && error.is_data() {
                format!("a member of the body stands twice, or there are more than {MOST} ({place})")
            } else if error.is_eof() {
                format!("the body is cut off: its JSON breaks off at {place}")
            } else if error.is_data() {
                "the body is JSON, but no object; send a JSON object".to_owned()
            } else {
                format!("the body is not JSON ({place}); send a JSON object")
            };
            Problem::new(Code::InvalidBody, detail)
        })
    }

    /// A member as raw text; an explicit null is none.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let member = self.0.iter().find(|(known, _)| known == name)?;
        (member.1.get() != "null").then_some(member.1)
    }

    /// All members.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, raw)| (&**name, *raw))
    }

    /// A member of a type.
    ///
    /// # Errors
    ///
    /// 400 naming the member and what was expected.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| wrong(&format!("/{name}"), expected))
    }

    /// A list of raw values.
    ///
    /// # Errors
    ///
    /// 400 if the member is something else, or too long.
    pub(crate) fn list(&self, name: &str) -> Result<Option<Vec<&'a RawValue>>, Problem> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            Ok(list) if list.len() <= MAX_ITEMS => Ok(Some(list)),
            Ok(_) => Err(wrong(&format!("/{name}"), &format!("a list of at most {MAX_ITEMS}"))),
            Err(_) => Err(wrong(&format!("/{name}"), "a list")),
        }
    }
}

/// A fault of the body: where, and what was expected.
pub(crate) fn wrong(pointer: &str, expected: &str) -> Problem {
    Problem::faults(vec![Fault::pointer(pointer, Code::InvalidBody, format!("expected {expected}"))])
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(12);
                while let Some(Name(name)) = map.next_key()? {
                    if members.len() == MOST || members.iter().any(|(known, _)| *known == name) {
                        // Two readers could take different ones of two.
                        return Err(M::Error::custom("a member stands twice, or there are too many"));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Read)
    }
}

struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_ITEMS, Members};

    #[test]
    fn what_is_wrong_with_a_body_is_called_what_it_is() {
        let detail = |body: &str| Members::read(body.as_bytes()).unwrap_err().detail().to_owned();
        assert_eq!(detail("{"), "the body is cut off: its JSON breaks off at line 1, column 1");
        assert_eq!(detail("{\"a\": [1"), "the body is cut off: its JSON breaks off at line 1, column 8");
        assert_eq!(detail("[]"), "the body is JSON, but no object; send a JSON object");
        assert_eq!(detail("{a}"), "the body is not JSON (line 1, column 2); send a JSON object");
        assert_eq!(detail(""), "the body is empty; send a JSON object");
    }

    #[test]
    fn a_list_has_an_end() {
        let body = |items: usize| format!("{{\"tools\":[{}]}}", vec!["1"; items].join(","));
        let (most, more) = (body(MAX_ITEMS), body(MAX_ITEMS + 1));
        assert_eq!(Members::read(most.as_bytes()).unwrap().list("tools").unwrap().unwrap().len(), MAX_ITEMS);
        assert!(Members::read(more.as_bytes()).unwrap().list("tools").is_err());
    }
}
