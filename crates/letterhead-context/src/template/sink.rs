//! Where a rendered text goes, and what it must not be able to do there.

use std::fmt::{self, Write};

/// Where a rendered text goes. Each sink has its own escaping and its own rule for missing values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sink {
    /// Instructions of an agent: a model reads them. Missing values are empty.
    Instructions,
    /// The value of an outbound header. A missing value leaves the header out.
    Header,
}

impl Sink {
    /// Does a model read it? Then secrets are not in its view.
    pub fn is_model_visible(self) -> bool {
        match self {
            Self::Instructions => true,
            Self::Header => false,
        }
    }

    /// Is the whole left out when a value is missing, rather than rendered with a hole?
    pub(super) fn needs_every_value(self) -> bool {
        match self {
            Self::Instructions => false,
            Self::Header => true,
        }
    }

    /// Writes a value's text so that it cannot leave its place.
    pub(super) fn write(self, text: &str, out: &mut dyn Write) -> fmt::Result {
        match self {
            Self::Instructions => {
                if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
                    return out.write_str(text);
                }
                text.chars().filter(|c| !is_invisible(*c)).try_for_each(|c| out.write_char(c))
            }
            // A header's value is refused as a whole when it holds controls: see `runtime::header_value`.
            Self::Header => out.write_str(text),
        }
    }
}

/// Controls but line breaks and tabs, bidirectional formatting, tag characters, and what else a person does not see and
/// a model obeys. The joiners U+200C and U+200D stay: Persian names and many emoji need them.
fn is_invisible(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
