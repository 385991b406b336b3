//! Templates that are no more than text and paths, such as `Bearer {{ headers.auth_token }}` and `{{ user.name }}`: most
//! are.
//!
//! They are rendered without the engine, by the same rules and several times as fast. A test renders random templates
//! both ways and compares.

use minijinja::Value;
use minijinja::machinery::ast::{CallArg, Expr, Stmt};

use super::engine::{Bounded, describe, finish};
use super::text::is_missing;
use super::view::{View, fetched};
use super::{RenderError, Rendered};

/// What such a template is made of.
pub(super) struct Plain(Box<[Part]>);

enum Part {
    Text(Box<str>),
    Value { path: Path, default: Option<Value> },
}

/// Where a value is.
enum Path {
    /// `headers.name`.
    Header(Box<str>),
    /// Another root, and the members on the way from it.
    Other(Box<str>, Box<[Box<str>]>),
}

impl Path {
    /// The value. None where there is none, or nothing to write.
    fn find(&self, view: &View) -> Option<Value> {
        let found = match self {
            Self::Header(name) => view.header(name),
            Self::Other(root, members) => match view.variable(root).filter(|_| !members.is_empty()) {
                Some(variable) => members.iter().try_fold(variable, |value, name| value.get(&**name)).map(fetched),
                None => members.iter().try_fold(view.value(root)?, |value, name| value.get_attr(name).ok()),
            },
        };
        found.filter(|value| !is_missing(value))
    }
}

impl Plain {
    /// Takes a checked tree apart, if there is nothing else in it.
    pub(super) fn of(tree: &Stmt<'_>) -> Option<Self> {
        let Stmt::Template(template) = tree else { return None };
        template.children.iter().map(part).collect::<Option<_>>().map(Self)
    }

    pub(super) fn render(&self, view: &View) -> Result<Rendered, RenderError> {
        let too_large = |_| RenderError { kind: "its output is too large", line: None };
        let mut out = Bounded::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push(text).map_err(too_large)?,
                Part::Value { path, default } => match path.find(view) {
                    Some(value) => view.sink().write_value(&value, &mut out).map_err(|error| describe(&error))?,
                    None => match default {
                        Some(value) => view.sink().write_value(value, &mut out).map_err(|error| describe(&error))?,
                        None if view.sink().needs_every_value() => return Ok(Rendered::Missing),
                        None => {}
                    },
                },
            }
        }
        finish(view.sink(), out)
    }
}

fn part(statement: &Stmt<'_>) -> Option<Part> {
    match statement {
        Stmt::EmitRaw(text) => Some(Part::Text(text.raw.into())),
        Stmt::EmitExpr(emit) => match &emit.expr {
            Expr::Filter(filter) if matches!(filter.name, "default" | "d") => match filter.args.as_slice() {
                [CallArg::Pos(Expr::Const(text))] => Some(Part::Value {
                    path: path(filter.expr.as_ref()?)?,
                    default: Some(Value::from(text.value.as_str()?)),
                }),
                _ => None,
            },
            other => Some(Part::Value { path: path(other)?, default: None }),
        },
        _ => None,
    }
}

/// The path that an expression is, if it is no more. The check has seen that its root is there, and a template without
/// statements has no other names.
fn path(expression: &Expr<'_>) -> Option<Path> {
    let (mut members, mut inner) = (Vec::new(), expression);
    while let Expr::GetAttr(attr) = inner {
        members.push(Box::from(attr.name));
        inner = &attr.expr;
    }
    let Expr::Var(root) = inner else { return None };
    members.reverse();
    if root.id != "headers" {
        return Some(Path::Other(root.id.into(), members.into()));
    }
    // A member of a header's value is for the engine.
    let only: [Box<str>; 1] = members.try_into().ok()?;
    let [name] = only;
    Some(Path::Header(name))
}
