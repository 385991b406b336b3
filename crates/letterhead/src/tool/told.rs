//! How much of what came from outside a model is told.

/// The most bytes of a result. More would fill a model's context with what nobody reads.
pub(crate) const MOST_TOLD: usize = 64 * 1024;

/// The most bytes of an error's message.
pub(super) const MOST_OF_MESSAGE: usize = 1024;

/// The beginning of a text that is too long, and a word on it.
pub(crate) fn cut(mut text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let whole = text.len();
    let end = text.floor_char_boundary(most);
    text.truncate(end);
    text.push_str(&format!("\n[Cut here: these are the first {end} of {whole} bytes.]"));
    text
}
