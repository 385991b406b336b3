//! The template engine, cut down to what is allowed, with our own rendering of values.

use std::sync::LazyLock;
use std::{fmt, io};

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, Output, UndefinedBehavior};

use super::fault::TemplateFault;
use super::sink::Sink;
use super::text::is_missing;
use super::view::View;
use super::{RenderError, Rendered, filters};

/// The one template of a program.
const NAME: &str = "template";

/// Steps that one rendering may take.
const FUEL: u64 = 100_000;

/// Bytes that one rendering may produce.
pub(super) const MAX_OUTPUT: usize = 1024 * 1024;

type Base = LazyLock<Environment<'static>>;

fn base(sink: Sink) -> Environment<'static> {
    static INSTRUCTIONS: Base = LazyLock::new(|| environment(Sink::Instructions));
    static DESCRIPTION: Base = LazyLock::new(|| environment(Sink::Description));
    static HEADER: Base = LazyLock::new(|| environment(Sink::Header));
    static URL: Base = LazyLock::new(|| environment(Sink::Url));
    static TEXT: Base = LazyLock::new(|| environment(Sink::Text));
    static JSON: Base = LazyLock::new(|| environment(Sink::Json));
    let base: &Base = match sink {
        Sink::Instructions => &INSTRUCTIONS,
        Sink::Description => &DESCRIPTION,
        Sink::Header => &HEADER,
        Sink::Url => &URL,
        Sink::Text => &TEXT,
        Sink::Json => &JSON,
    };
    Environment::clone(base)
}

fn environment(sink: Sink) -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Chainable);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(64);
    env.set_formatter(move |out, _state, value| write_value(sink, out, value));
    filters::add(&mut env, sink);
    env
}

/// Compiles a checked source.
pub(super) fn program(source: &str, sink: Sink) -> Result<Environment<'static>, TemplateFault> {
    let mut env = base(sink);
    env.add_template_owned(NAME, source.to_owned()).map_err(|error| TemplateFault::syntax(source, &error))?;
    Ok(env)
}

/// Renders, within the limits.
pub(super) fn render(program: &Environment<'static>, view: &View) -> Result<Rendered, RenderError> {
    let template = program.get_template(NAME).map_err(|error| describe(&error))?;
    let mut out = Bounded::new();
    match template.render_captured_to(view.root(), &mut out) {
        Ok(_) => finish(view.sink(), out),
        Err(error) if view.sink().needs_every_value() && tells_of_missing(&error) => Ok(Rendered::Missing),
        Err(error) => Err(describe(&error)),
    }
}

/// What a finished output amounts to.
pub(super) fn finish(sink: Sink, out: Bounded) -> Result<Rendered, RenderError> {
    let text = String::from_utf8(out.bytes).map_err(|_| RenderError { kind: "the output is not text", line: None })?;
    // `{% if headers.plan %}{{ headers.plan }}{% endif %}` without a plan has no value either.
    let blank = sink.takes_blank_for_missing() && text.trim().is_empty();
    Ok(if blank { Rendered::Missing } else { Rendered::Text(text) })
}

/// Did rendering stop because of a value that is not there? `"Bearer " + headers.token` without a token is an operator
/// that does not fit its operands; the engine then names their kinds, and nothing else.
fn tells_of_missing(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::UndefinedError => true,
        ErrorKind::InvalidOperation => error.detail().is_some_and(|detail| {
            detail.starts_with("tried to use ") && (detail.contains(" undefined") || detail.contains(" none"))
        }),
        _ => false,
    }
}

/// The kind of an error and its line. The engine's own message may carry a value, so it is not used.
pub(super) fn describe(error: &Error) -> RenderError {
    let kind = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps",
        ErrorKind::WriteFailure => "its output is too large",
        ErrorKind::UndefinedError => "a value is missing",
        ErrorKind::InvalidOperation => "an operation does not fit its values",
        _ => "it failed",
    };
    RenderError { kind, line: error.line() }
}

/// Output that ends where it becomes too large.
pub(super) struct Bounded {
    bytes: Vec<u8>,
}

impl Bounded {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(256) }
    }

    pub(super) fn push(&mut self, text: &str) -> fmt::Result {
        if self.bytes.len() + text.len() > MAX_OUTPUT {
            return Err(fmt::Error);
        }
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text)
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_value(sink: Sink, out: &mut Output<'_>, value: &Value) -> Result<(), Error> {
    if is_missing(value) || sink.lacks_part_of(value) {
        return if sink.needs_every_value() { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(()) };
    }
    sink.write_value(value, out)
}
