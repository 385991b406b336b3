//! What is done to a source before it is parsed: it is kept within bounds, and dashed names of headers become one name.

use std::borrow::Cow;

use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::fault::TemplateFault;

/// Is there no tag in it? Then it is text, and nothing has to be checked.
pub(super) fn is_text(source: &str) -> bool {
    !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark))
}

/// Bytes of a line: the engine counts columns in 16 bits, and places beyond would be wrong.
const MAX_LINE: usize = 60_000;

/// Tokens of one tag. The parser recurses over `not not …`, `a | b | c …` and `x if y else …`, so that an expression
/// without a bound could exhaust the stack, which no error could report.
const MAX_TOKENS: usize = 256;

/// How deep `if` and `for` may nest. Each `elif` counts as one more level: that is how the parser reads it.
const MAX_DEPTH: usize = 48;

type Tokens<'a> = Vec<(Token<'a>, Span)>;

/// The source as it is parsed, or why it is not.
pub(super) fn prepare(source: &str) -> Result<Cow<'_, str>, TemplateFault> {
    if let Some(line) = source.lines().position(|line| line.len() > MAX_LINE) {
        let message = format!("a line of a template takes at most {MAX_LINE} bytes");
        return Err(TemplateFault { line: line + 1, column: 1, message });
    }
    // What the lexer refuses, the parser refuses too, and says why.
    let tokens: Tokens<'_> = tokenize(source, false, SyntaxConfig::default()).map_while(Result::ok).collect();
    bounded(&tokens)?;
    Ok(glue_dashed_names(source, &tokens))
}

fn bounded(tokens: &Tokens<'_>) -> Result<(), TemplateFault> {
    let mut length = 0;
    // One entry for each open `if` or `for`: the levels that it takes.
    let mut open: Vec<usize> = Vec::new();
    for (at, (token, span)) in tokens.iter().enumerate() {
        length += 1;
        match token {
            Token::TemplateData(_) | Token::VariableStart => length = 0,
            Token::BlockStart => {
                length = 0;
                match tokens.get(at + 1) {
                    Some((Token::Ident("if" | "for"), _)) => open.push(1),
                    Some((Token::Ident("elif"), _)) => open.iter_mut().next_back().into_iter().for_each(|d| *d += 1),
                    Some((Token::Ident("endif" | "endfor"), _)) => {
                        open.pop();
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        if length > MAX_TOKENS {
            return Err(TemplateFault::at(*span, "this tag is too long: split it, with `set` for the parts"));
        }
        if open.iter().sum::<usize>() > MAX_DEPTH {
            return Err(TemplateFault::at(
                *span,
                format!("`if`, `elif` and `for` nest deeper than {MAX_DEPTH} levels"),
            ));
        }
    }
    Ok(())
}

/// Makes `headers.x-plan-tier` one name: Jinja would subtract. A dash with blanks around it still subtracts.
///
/// Dashes become `_`, which is the same character in a header's name, so that every place in the source stays the same.
fn glue_dashed_names<'a>(source: &'a str, tokens: &Tokens<'_>) -> Cow<'a, str> {
    let mut dashes = Vec::new();
    for (at, window) in tokens.windows(3).enumerate() {
        let [(Token::Ident("headers"), _), (Token::Dot, _), (Token::Ident(_), name)] = window else { continue };
        if at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|(token, _)| matches!(token, Token::Dot))
        {
            // A member called `headers` of something else.
            continue;
        }
        let mut end = name.end_offset;
        for pair in tokens.get(at + 3..).unwrap_or_default().windows(2) {
            let [(dash, from), (_, part)] = pair else { break };
            // After a dash and its part comes the next dash; a part that was lexed in two (`2fa`) has none between.
            if from.start_offset != end {
                break;
            }
            end = from.end_offset;
            if matches!(dash, Token::Minus) && part.start_offset == end && is_part(source, *part) {
                dashes.push(from.start_offset as usize);
            } else if !is_part(source, *from) {
                break;
            }
        }
    }
    if dashes.is_empty() {
        return Cow::Borrowed(source);
    }
    let mut glued = source.to_owned();
    for dash in dashes {
        glued.replace_range(dash..=dash, "_");
    }
    Cow::Owned(glued)
}

/// Could this token be a part of a name?
fn is_part(source: &str, span: Span) -> bool {
    let text = source.get(span.start_offset as usize..span.end_offset as usize).unwrap_or_default();
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
