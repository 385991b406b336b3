//! The headers of a turn as a type of the program.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::Headers;

/// Why headers are not a value of a type. It names headers, and shows no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadersUnfit {
    /// The type has a field that must be there, and there is no value for it.
    #[error("there is no header `{0}`")]
    Missing(String),
    /// A header's value is not of its field's type.
    #[error("the header `{0}` is not of the type that the program wants")]
    Type(String),
    /// The type is none that has headers for fields.
    #[error("the type of the program is not a struct whose fields are headers")]
    Shape,
}

impl de::Error for HeadersUnfit {
    /// What serde has to say may hold values: it is not repeated.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Shape
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field.to_owned())
    }
}

impl Headers {
    /// The headers as a struct whose fields are named like them, whatever the case and whichever of `-` and `_` is used.
    /// Secrets are among them: as fields of the type [`Secret`](crate::Secret) they stay hidden.
    ///
    /// ```
    /// use letterhead_context::{HeaderSchema, Secret, Sent};
    /// use schemars::JsonSchema;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct AppHeaders {
    ///     #[serde(default = "german")]
    ///     language: String,
    ///     auth_token: Option<Secret>,
    /// }
    ///
    /// fn german() -> String {
    ///     "de".to_owned()
    /// }
    ///
    /// let headers = HeaderSchema::of::<AppHeaders>()?.merge([], &Sent::nothing(), &[]).unwrap();
    /// let app: AppHeaders = headers.typed()?;
    /// assert_eq!(app.language, "de");
    /// assert!(app.auth_token.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a field has no value and needs one, or the value is not of its type. Of the type from which the declaration was
    /// [made](crate::HeaderSchema::of) neither happens.
    pub fn typed<'a, T: Deserialize<'a>>(&'a self) -> Result<T, HeadersUnfit> {
        T::deserialize(Fields(self))
    }

    /// A value, secret or not, by its position in the declaration.
    fn value_at(&self, at: usize) -> Option<&Value> {
        self.open_at(at).or_else(|| self.secret_at(at).map(crate::value::Secret::reveal))
    }
}

/// Headers as what serde reads a struct from.
struct Fields<'a>(&'a Headers);

impl<'a> Fields<'a> {
    /// All that have a value, by their declared names.
    fn declared(&self) -> Pairs<'a> {
        let named = self.0.schema().fields().iter().enumerate();
        let pairs: Vec<_> = named.filter_map(|(at, field)| Some((field.name(), self.0.value_at(at)?))).collect();
        Pairs { pairs: pairs.into_iter(), value: None }
    }

    /// Those that a struct has fields for, by the names of the fields.
    fn wanted(&self, fields: &'static [&'static str]) -> Pairs<'a> {
        let mut taken = Vec::with_capacity(fields.len());
        let mut pairs = Vec::with_capacity(fields.len());
        for name in fields {
            let Some(at) = self.0.schema().position(name).filter(|at| !taken.contains(at)) else { continue };
            taken.push(at);
            pairs.extend(self.0.value_at(at).map(|value| (*name, value)));
        }
        Pairs { pairs: pairs.into_iter(), value: None }
    }
}

impl<'de> Deserializer<'de> for Fields<'de> {
    type Error = HeadersUnfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, HeadersUnfit> {
        visitor.visit_map(self.declared())
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, HeadersUnfit> {
        visitor.visit_map(self.wanted(fields))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, HeadersUnfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, HeadersUnfit> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

/// Names with their values, one after the other.
struct Pairs<'a> {
    pairs: std::vec::IntoIter<(&'a str, &'a Value)>,
    /// The pair whose name has been read.
    value: Option<(&'a str, &'a Value)>,
}

impl<'de> MapAccess<'de> for Pairs<'de> {
    type Error = HeadersUnfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, HeadersUnfit> {
        self.value = self.pairs.next();
        let Some((name, _)) = self.value else { return Ok(None) };
        let name: StrDeserializer<'_, HeadersUnfit> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, HeadersUnfit> {
        let (name, value) = self.value.take().ok_or(HeadersUnfit::Shape)?;
        seed.deserialize(value).map_err(|_| HeadersUnfit::Type(name.to_owned()))
    }
}
