//! What a source is made of, as far as a URL or a leaf of JSON needs to know.

use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::fault::TemplateFault;
use super::sink::MARK;

/// A part of a source, in order.
pub(crate) enum Piece<'a> {
    /// Text, and where in the source it begins.
    Text(&'a str, usize),
    /// `{{ env.NAME }}`, perhaps with a `default` that is text.
    Env(String, Option<String>),
    /// Any other tag: how to complain of it.
    Other(Box<dyn Fn(&str) -> TemplateFault>),
}

fn tokens(source: &str) -> Vec<(Token<'_>, Span)> {
    tokenize(source, false, SyntaxConfig::default()).map_while(Result::ok).collect()
}

/// Takes a source apart.
pub(crate) fn pieces(source: &str) -> Vec<Piece<'_>> {
    let tokens = tokens(source);
    let mut pieces = Vec::new();
    let mut rest = tokens.as_slice();
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        let (token, span) = first;
        if let Token::TemplateData(text) = token {
            let start = span.start_offset as usize;
            // The text of a `raw` block, or text that a tag beside it trimmed, does not stand there as it is.
            if source.get(start..).is_some_and(|from| from.starts_with(text)) {
                pieces.push(Piece::Text(text, start));
                continue;
            }
        }
        let end = rest.iter().position(|(token, _)| matches!(token, Token::VariableEnd | Token::BlockEnd));
        let (tag, after) = rest.split_at(end.unwrap_or(rest.len()));
        if matches!(token, Token::VariableStart) {
            rest = after.get(1..).unwrap_or_default();
            if let Some(env) = env(tag) {
                pieces.push(env);
                continue;
            }
        } else if matches!(token, Token::BlockStart) {
            rest = after.get(1..).unwrap_or_default();
        }
        let span = *span;
        pieces.push(Piece::Other(Box::new(move |message| TemplateFault::at(span, message))));
    }
    pieces
}

fn env<'a>(tag: &[(Token<'_>, Span)]) -> Option<Piece<'a>> {
    let tag: Vec<&Token<'_>> = tag.iter().map(|(token, _)| token).collect();
    let (name, filter) = match tag.as_slice() {
        [Token::Ident("env"), Token::Dot, Token::Ident(name), filter @ ..] => (*name, filter),
        _ => return None,
    };
    let default = match filter {
        [] => None,
        [Token::Pipe, Token::Ident("default" | "d"), Token::ParenOpen, Token::Str(text), Token::ParenClose] => {
            Some(*text)
        }
        _ => return None,
    };
    Some(Piece::Env(name.to_owned(), default.map(str::to_owned)))
}

/// Is it one expression, and nothing around it?
pub(crate) fn is_one_expression(source: &str) -> bool {
    let tokens = tokens(source);
    let (Some((Token::VariableStart, first)), Some((Token::VariableEnd, last))) = (tokens.first(), tokens.last())
    else {
        return false;
    };
    let starts = tokens.iter().filter(|(token, _)| matches!(token, Token::VariableStart)).count();
    starts == 1 && first.start_offset == 0 && last.end_offset as usize == source.len()
}

/// Puts a [`MARK`] after every `endif` and `endfor`: whether anything stands before it was not for the source to say.
pub(crate) fn mark_ends(source: &str) -> String {
    let tokens = tokens(source);
    let mut marked = source.to_owned();
    for window in tokens.windows(3).rev() {
        if let [(Token::BlockStart, _), (Token::Ident("endif" | "endfor"), _), (Token::BlockEnd, end)] = window {
            marked.insert(end.end_offset as usize, MARK);
        }
    }
    marked
}
