//! `${NAME}`: values from the environment inside the texts of a configuration.
//!
//! | written | means |
//! |---|---|
//! | `${NAME}` | the variable; it is an error if it is not set |
//! | `${NAME:-default}` | the variable, or `default` if it is not set or empty; a default holds no `}` |
//! | `$$` | a dollar sign |
//! | `$` before anything else | itself |
//!
//! Only values are replaced, never keys, and only after YAML has been read: a variable cannot add keys or break quotes. What
//! comes from the environment is literal text, so a `{{` in it is never read as a template; therefore one text cannot hold both.
//!
//! A value that is one `${…}` and nothing else takes the type that the schema wants, in quotes or not: `retries: ${RETRIES}` is a
//! number, and an `api_key` of digits is a text. Where the schema leaves it open, as in `params`, an unquoted one is read as if its
//! value stood in the file, and a quoted one is a text. An empty one is the empty text, never null.

use super::{
    align,
    report::Diagnostic,
    source::{Source, Span},
    tree::{Node, Origin, Scalar},
};

/// Where variables are looked up. The process's own environment is only one of the possible ones.
pub(super) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Replaces in every scalar below `root`; a scalar with a fault keeps its text.
pub(super) fn interpolate(root: &mut Node, source: &Source, env: Environment<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    root.visit_scalars_mut(&mut |scalar, span| {
        if scalar.text.contains('$') {
            replace(scalar, span, source, env, &mut faults);
        }
    });
    faults
}

fn replace(scalar: &mut Scalar, span: Span, source: &Source, env: Environment<'_>, faults: &mut Vec<Diagnostic>) {
    let place = |part: std::ops::Range<usize>| {
        let written = source.text().get(span.range()).unwrap_or_default();
        align::locate(written, span, &scalar.text, part)
    };
    let known = faults.len();
    let mut text = String::with_capacity(scalar.text.len());
    let mut placeholders = 0;
    let mut whole = false;
    let mut at = 0;
    while let Some(rest) = scalar.text.get(at..).filter(|rest| !rest.is_empty()) {
        let piece = Piece::first(rest);
        let part = at..at + piece.length;
        match piece.kind {
            Kind::Text(literal) => text.push_str(literal),
            Kind::Broken => faults.push(
                Diagnostic::error(place(part.clone()), "this `${` does not begin a variable")
                    .with_help("write `${NAME}` or `${NAME:-default}`; for a dollar sign before a brace write `$${`"),
            ),
            Kind::Variable { name, default } => {
                placeholders += 1;
                whole = part == (0..scalar.text.len());
                let value = env(name).filter(|value| default.is_none() || !value.is_empty());
                match value.as_deref().or(default) {
                    Some(value) => text.push_str(value),
                    None => faults.push(
                        Diagnostic::error(place(part.clone()), format!("the environment variable `{name}` is not set"))
                            .with_help(format!("set it, or write `${{{name}:-default}}`")),
                    ),
                }
            }
        }
        at = part.end;
    }
    let template = ["{{", "{%", "{#"].iter().find_map(|begin| scalar.text.find(begin).map(|at| at..at + begin.len()));
    if let (Some(begin), true) = (template, placeholders > 0) {
        faults.push(Diagnostic::error(place(begin), "one text cannot hold both `${…}` and a template").with_help(
            "list the variable under `env:` and write `{{ env.NAME }}`; in instructions write the value itself",
        ));
    }
    if faults.len() == known {
        scalar.text = text;
        if placeholders > 0 {
            scalar.origin = Origin::Environment { whole };
        }
    }
}

/// The next part of a text, and its length in bytes.
struct Piece<'t> {
    kind: Kind<'t>,
    length: usize,
}

enum Kind<'t> {
    Text(&'t str),
    Variable { name: &'t str, default: Option<&'t str> },
    Broken,
}

impl<'t> Piece<'t> {
    fn first(text: &'t str) -> Self {
        if text.starts_with("$$") {
            return Self { kind: Kind::Text("$"), length: 2 };
        }
        let Some(inside) = text.strip_prefix("${") else {
            let length = text.char_indices().skip(1).find(|(_, next)| *next == '$').map_or(text.len(), |(at, _)| at);
            return Self { kind: Kind::Text(text.get(..length).unwrap_or(text)), length };
        };
        let variable = inside.split_once('}').map(|(inside, _)| (inside, inside.split_once(":-")));
        match variable {
            Some((inside, Some((name, default)))) if is_name(name) => {
                Self { kind: Kind::Variable { name, default: Some(default) }, length: inside.len() + 3 }
            }
            Some((name, None)) if is_name(name) => {
                Self { kind: Kind::Variable { name, default: None }, length: name.len() + 3 }
            }
            _ => Self { kind: Kind::Broken, length: 2 },
        }
    }
}

/// A name as POSIX shells have it: letters, digits and `_`, not beginning with a digit.
pub(super) fn is_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
