//! Templates that are no more than text and headers, such as `Bearer {{ headers.auth_token }}`: most are.
//!
//! They are rendered without the engine, by the same rules and several times as fast. A test renders random templates
//! both ways and compares.

use minijinja::machinery::ast::{CallArg, Expr, Stmt};

use super::engine::{Bounded, finish};
use super::text::{is_missing, text_of};
use super::view::View;
use super::{RenderError, Rendered};

/// What such a template is made of.
pub(super) struct Plain(Box<[Part]>);

enum Part {
    Text(Box<str>),
    Header { name: Box<str>, default: Option<Box<str>> },
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
                Part::Header { name, default } => match view.header(name).filter(|value| !is_missing(value)) {
                    Some(value) => {
                        let text = text_of(&value).map_err(|_| RenderError { kind: "it failed", line: None })?;
                        view.sink().write(&text, &mut out).map_err(too_large)?;
                    }
                    None => match default {
                        Some(text) => view.sink().write(text, &mut out).map_err(too_large)?,
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
                [CallArg::Pos(Expr::Const(text))] => Some(Part::Header {
                    name: header(filter.expr.as_ref()?)?,
                    default: Some(text.value.as_str()?.into()),
                }),
                _ => None,
            },
            other => Some(Part::Header { name: header(other)?, default: None }),
        },
        _ => None,
    }
}

/// The name in `headers.name`. The check has seen that it is declared, and that nothing else is called `headers`.
fn header(expression: &Expr<'_>) -> Option<Box<str>> {
    match expression {
        Expr::GetAttr(attr) => match &attr.expr {
            Expr::Var(root) if root.id == "headers" => Some(attr.name.into()),
            _ => None,
        },
        _ => None,
    }
}
