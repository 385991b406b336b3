//! Templates: parsed and checked when they are loaded, rendered with one view of the roots and one escaping per sink.
//!
//! The language is a subset of Jinja (by minijinja). Rendering is one pass: a value is never evaluated.

mod check;
mod engine;
mod fault;
mod filters;
mod operands;
mod pieces;
mod plain;
mod roots;
mod sink;
mod source;
mod text;
mod uses;
mod variables;
mod view;

use std::fmt;
use std::sync::Arc;

use minijinja::Environment;

use crate::schema::HeaderSchema;

pub use fault::TemplateFault;
pub(crate) use pieces::{Piece, is_one_expression, mark_ends, pieces};
use plain::Plain;
pub(crate) use sink::MARK;
pub use sink::{Sink, without_invisible};
pub use uses::Use;
pub use variables::VariableValues;
pub use view::{Values, View};

/// Bytes that the source of a template may have.
const MAX_SOURCE: usize = 1024 * 1024;

/// What templates of one configuration may name.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The declared headers.
    pub schema: &'a HeaderSchema,
    /// The names of context variables.
    pub variables: &'a [String],
    /// The environment names listed under `env:`.
    pub env: &'a [String],
    /// The names listed under `credentials:`.
    pub credentials: &'a [String],
    /// Are there arguments of a tool call?
    pub args: bool,
}

impl<'a> Scope<'a> {
    /// A scope with declared headers alone.
    pub fn of(schema: &'a HeaderSchema) -> Self {
        Self { schema, variables: &[], env: &[], credentials: &[], args: false }
    }
}

/// Something that a template reads, known from its source alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Read {
    /// A declared header.
    Header {
        /// Its declared name.
        name: Arc<str>,
        /// Is it declared `writeOnly`?
        secret: bool,
    },
    /// A context variable.
    Variable(Arc<str>),
    /// Another root, with the member where one is named: `caller.user_id`, `env.REGION`, `credentials.crm`.
    Root(Arc<str>),
}

impl Read {
    /// As a trail names it: `headers.user_id`, `user`, `caller.tenant_id`.
    pub fn label(&self) -> Arc<str> {
        match self {
            Self::Header { name, .. } => format!("headers.{name}").into(),
            Self::Variable(name) | Self::Root(name) => Arc::clone(name),
        }
    }

    /// Is it something that no model, log or trail may show?
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Header { secret, .. } => *secret,
            Self::Root(path) => path.starts_with("env.") || path.starts_with("credentials."),
            Self::Variable(_) => false,
        }
    }
}

/// What rendering gave. `Debug` does not show it: for a destination it may hold a secret.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rendered {
    /// The text.
    Text(String),
    /// A value that the text needs is missing, where the sink does without the whole rather than with a hole.
    Missing,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Missing => f.write_str("Missing"),
        }
    }
}

/// A template could not be rendered. Says where and of what kind; never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}{}", self.line.map_or_else(String::new, |line| format!(" in line {line} of the template")))]
pub struct RenderError {
    kind: &'static str,
    line: Option<usize>,
}

/// A checked template for one sink. Cheap to clone.
///
/// The language is Jinja without what can call, include or repeat: expressions, `if`, `for`, `set name = expression`,
/// `raw`, comments, and the filters and tests that an error message lists. `headers` is used as `headers.name` or
/// `headers['name']`, in any spelling of the name; `headers.x-plan-tier` is one name, and a subtraction has blanks.
///
/// A value that is missing, or null, is empty in instructions and leaves a header out. A filter of it, or with it for an
/// argument, is missing too, until `default` fills it; so is a list or a map that the template makes of it for a destination.
/// It is false in `if`; a path into it is missing. To compare it by size, ask first whether it `is defined`.
///
/// A part of a text or a list is `part(from, to)`, with the places of Jinja's slices: `headers.user_id | part(0, 8)`. A
/// product is one of numbers that the source shows to be such: `item.price | float * item.count | int`.
///
/// ```
/// use letterhead_context::{Caller, HeaderSchema, Headers, RequestContext, Rendered, Scope, Sent, Sink, Template, View};
/// use serde_json::json;
///
/// let schema = HeaderSchema::compile(&json!({ "properties": {
///     "org_name": { "default": "Acme" }, "auth_token": { "writeOnly": true },
/// } }))
/// .unwrap();
/// let template = Template::compile("You work for {{ headers.org_name }}.", Sink::Instructions, Scope::of(&schema)).unwrap();
///
/// let headers = schema.merge([], &Sent::nothing(), &[]).unwrap();
/// let context = RequestContext::builder(Caller::anonymous(), headers).build("assistant");
/// let view = View::new(Sink::Instructions, &context);
/// assert_eq!(template.render(&view).unwrap(), Rendered::Text("You work for Acme.".into()));
///
/// // A secret in a prompt is a fault when the template is loaded.
/// assert!(Template::compile("{{ headers.auth_token }}", Sink::Instructions, Scope::of(&schema)).is_err());
/// ```
#[derive(Clone)]
pub struct Template {
    body: Body,
    sink: Sink,
    reads: Arc<[Read]>,
    uses: Arc<[Use]>,
}

#[derive(Clone)]
enum Body {
    /// Text without any expression.
    Literal(Arc<str>),
    /// Text and headers.
    Plain(Arc<Plain>),
    Program(Arc<Environment<'static>>),
}

impl Template {
    /// Parses and checks a template. All faults are reported at once, each with line and column of the source.
    pub fn compile(source: &str, sink: Sink, scope: Scope<'_>) -> Result<Self, Vec<TemplateFault>> {
        if source.len() > MAX_SOURCE {
            let message = format!("a template takes at most {MAX_SOURCE} bytes");
            return Err(vec![TemplateFault { line: 1, column: 1, message }]);
        }
        if source::is_text(source) {
            // As in every template, the line break at its end is not part of it: block scalars of YAML have one.
            let text = source.strip_suffix('\n').map_or(source, |text| text.strip_suffix('\r').unwrap_or(text));
            return Ok(Self::literal(text, sink));
        }
        let source = source::prepare(source).map_err(|fault| vec![fault])?;
        let check::Checked { reads, uses, plain } = check::check(&source, sink, scope)?;
        let body = match plain {
            Some(plain) => Body::Plain(Arc::new(plain)),
            None => Body::Program(Arc::new(engine::program(&source, sink).map_err(|fault| vec![fault])?)),
        };
        Ok(Self { body, sink, reads: reads.into(), uses: uses.into() })
    }

    /// Text that is no template: it goes out as it stands, whatever it holds.
    pub fn literal(text: &str, sink: Sink) -> Self {
        Self { body: Body::Literal(Arc::from(text)), sink, reads: Arc::from([]), uses: Arc::from([]) }
    }

    /// The sink that it was compiled for.
    pub fn sink(&self) -> Sink {
        self.sink
    }

    /// What it reads.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// The paths that it reads: `headers.user_id`, `user.name`.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// Does it read something that no model, log or trail may show?
    pub fn names_secret(&self) -> bool {
        self.reads.iter().any(Read::is_secret)
    }

    /// The paths that have no value, where the template does not say itself what is to be done then.
    pub(crate) fn missing(&self, view: &View) -> Vec<Arc<str>> {
        let absent = self.uses.iter().filter(|used| !used.guarded && view.lacks(used));
        absent.map(|used| Arc::clone(&used.path)).collect()
    }

    /// The text, if it holds no expression.
    pub fn as_literal(&self) -> Option<&str> {
        match &self.body {
            Body::Literal(text) => Some(text),
            Body::Plain(_) | Body::Program(_) => None,
        }
    }

    /// Renders with a view that was made for the same sink.
    pub fn render(&self, view: &View) -> Result<Rendered, RenderError> {
        match self.render_marked(view)? {
            Rendered::Text(text) if self.sink == Sink::Url => Ok(Rendered::Text(text.replace(MARK, ""))),
            rendered => Ok(rendered),
        }
    }

    /// The same, with a [`MARK`] before every value in a URL.
    pub(crate) fn render_marked(&self, view: &View) -> Result<Rendered, RenderError> {
        if view.sink() != self.sink {
            return Err(RenderError { kind: "the view was made for another sink", line: None });
        }
        match &self.body {
            Body::Literal(text) => Ok(Rendered::Text(text.to_string())),
            Body::Plain(plain) => plain.render(view),
            Body::Program(program) => engine::render(program, view),
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("sink", &self.sink).field("reads", &self.reads).finish_non_exhaustive()
    }
}
