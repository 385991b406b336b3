//! Where a rendered text goes, and what it must not be able to do there.

use std::borrow::Cow;
use std::fmt::{self, Write};

use minijinja::Error;
use minijinja::value::Value;

use super::text::{is_whole, json_of, text_of};
use crate::percent;

/// Stands before every value in a URL while it is checked, so that what came from outside is told from what the operator
/// wrote. A URL's literal text holds no controls, and an encoded value holds none.
pub(crate) const MARK: char = '\u{1}';

/// Where a rendered text goes. Each sink has its own escaping and its own rule for missing values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sink {
    /// Instructions of an agent: a model reads them. Missing values are empty.
    Instructions,
    /// The description of a tool or an agent: a model reads it, too. Missing values are empty.
    Description,
    /// The value of an outbound header. A missing value leaves the header out.
    Header,
    /// A URL from its path on: values are percent-encoded. A missing value makes the whole missing.
    Url,
    /// A text that is encoded as a whole where it is put: a parameter of a query, a field of a form, a string in JSON. A
    /// missing value makes the whole missing.
    Text,
    /// A value of JSON, by one expression: values are written as JSON, with their type. A missing value makes the whole
    /// missing.
    Json,
}

impl Sink {
    /// Does a model read it? Then secrets are not in its view.
    pub fn is_model_visible(self) -> bool {
        match self {
            Self::Instructions | Self::Description => true,
            Self::Header | Self::Url | Self::Text | Self::Json => false,
        }
    }

    /// Is the whole left out when a value is missing, rather than rendered with a hole?
    pub(super) fn needs_every_value(self) -> bool {
        !self.is_model_visible()
    }

    /// Is something missing in this list or map, which the template has made, and is the whole missing for that?
    pub(super) fn lacks_part_of(self, value: &Value) -> bool {
        self.needs_every_value() && !is_whole(value)
    }

    /// Is a text of nothing but blanks nothing at all? A header cannot say it.
    pub(super) fn takes_blank_for_missing(self) -> bool {
        matches!(self, Self::Header)
    }

    /// Writes a value so that it cannot leave its place.
    pub(super) fn write_value(self, value: &Value, out: &mut dyn Write) -> Result<(), Error> {
        let written = match self {
            Self::Json => out.write_str(&json_of(value)?),
            _ => self.write(&text_of(value)?, out),
        };
        written.map_err(|_| Error::from(minijinja::ErrorKind::WriteFailure))
    }

    /// Writes a value's text so that it cannot leave its place.
    fn write(self, text: &str, out: &mut dyn Write) -> fmt::Result {
        match self {
            Self::Instructions | Self::Description => {
                if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
                    return out.write_str(text);
                }
                text.chars().filter(|c| !is_invisible(*c)).try_for_each(|c| out.write_char(c))
            }
            Self::Url => {
                out.write_char(MARK)?;
                percent::encoded(text).try_for_each(|piece| out.write_str(piece))
            }
            // A header's value is refused as a whole when it holds controls: see `runtime::header_value`. A text is encoded
            // as a whole, with what stands around the value.
            Self::Header | Self::Text | Self::Json => out.write_str(text),
        }
    }
}

/// A text without what a person does not see and a model obeys.
///
/// ```
/// use letterhead_context::without_invisible;
///
/// assert_eq!(without_invisible("to\u{202e}\u{e0041}day"), "today");
/// ```
pub fn without_invisible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_invisible) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|c| !is_invisible(*c)).collect())
}

/// What a person does not see and a model obeys: controls but line breaks and tabs, and all that Unicode says to show nothing
/// for, such as bidirectional formatting, tags and variation selectors. The joiners U+200C and U+200D stay, for Persian names
/// and many emoji; so do U+FE0E and U+FE0F, which choose between an emoji and a sign.
fn is_invisible(c: char) -> bool {
    match c {
        '\n' | '\t' | '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' => false,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' => true,
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' => true,
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => c.is_control(),
    }
}
