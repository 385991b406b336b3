//! The template engine, cut down to what is allowed, with our own rendering of values.

use std::io;
use std::sync::LazyLock;

use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, filters, tests};

use super::check::TemplateFault;
use super::sink::Sink;
use super::view::View;
use super::{RenderError, Rendered};

/// The one template of a program.
const NAME: &str = "template";

/// Steps that one rendering may take.
const FUEL: u64 = 100_000;

/// Bytes that one rendering may produce.
const MAX_OUTPUT: usize = 1024 * 1024;

/// The filters that templates may use.
pub(super) const FILTERS: [&str; 28] = [
    "abs", "bool", "capitalize", "count", "d", "default", "dictsort", "first", "float", "indent", "int", "items", "join",
    "last", "length", "lines", "list", "lower", "max", "min", "replace", "reverse", "round", "sort", "split", "tojson",
    "trim", "upper",
];

/// The tests that templates may use.
pub(super) const TESTS: [&str; 19] = [
    "boolean", "defined", "endingwith", "eq", "equalto", "even", "ge", "gt", "in", "integer", "le", "lt",
    "mapping", "ne", "none", "number", "odd", "sequence", "string",
];

/// Tests with two words for one thing, or of less use.
pub(super) const MORE_TESTS: [&str; 5] = ["undefined", "startingwith", "true", "false", "float"];

static INSTRUCTIONS: LazyLock<Environment<'static>> = LazyLock::new(|| environment(Sink::Instructions));
static HEADER: LazyLock<Environment<'static>> = LazyLock::new(|| environment(Sink::Header));

fn base(sink: Sink) -> Environment<'static> {
    match sink {
        Sink::Instructions => INSTRUCTIONS.clone(),
        Sink::Header => HEADER.clone(),
    }
}

fn environment(sink: Sink) -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Chainable);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(64);
    env.set_formatter(move |out, _state, value| write_value(sink, out, value));
    env.add_filter("abs", filters::abs);
    env.add_filter("bool", filters::bool);
    env.add_filter("capitalize", filters::capitalize);
    env.add_filter("count", filters::length);
    env.add_filter("d", filters::default);
    env.add_filter("default", filters::default);
    env.add_filter("dictsort", filters::dictsort);
    env.add_filter("first", filters::first);
    env.add_filter("float", filters::float);
    env.add_filter("indent", filters::indent);
    env.add_filter("int", filters::int);
    env.add_filter("items", filters::items);
    env.add_filter("join", join);
    env.add_filter("last", filters::last);
    env.add_filter("length", filters::length);
    env.add_filter("lines", filters::lines);
    env.add_filter("list", filters::list);
    env.add_filter("lower", filters::lower);
    env.add_filter("max", filters::max);
    env.add_filter("min", filters::min);
    env.add_filter("replace", filters::replace);
    env.add_filter("reverse", filters::reverse);
    env.add_filter("round", filters::round);
    env.add_filter("sort", filters::sort);
    env.add_filter("split", filters::split);
    env.add_filter("tojson", |value: &Value| json_text(value));
    env.add_filter("trim", filters::trim);
    env.add_filter("upper", filters::upper);
    env.add_test("boolean", tests::is_boolean);
    env.add_test("defined", tests::is_defined);
    env.add_test("undefined", tests::is_undefined);
    env.add_test("endingwith", tests::is_endingwith);
    env.add_test("startingwith", tests::is_startingwith);
    env.add_test("eq", tests::is_eq);
    env.add_test("equalto", tests::is_eq);
    env.add_test("even", tests::is_even);
    env.add_test("ge", tests::is_ge);
    env.add_test("gt", tests::is_gt);
    env.add_test("in", tests::is_in);
    env.add_test("integer", tests::is_integer);
    env.add_test("float", tests::is_float);
    env.add_test("le", tests::is_le);
    env.add_test("lt", tests::is_lt);
    env.add_test("mapping", tests::is_mapping);
    env.add_test("ne", tests::is_ne);
    env.add_test("none", tests::is_none);
    env.add_test("number", tests::is_number);
    env.add_test("odd", tests::is_odd);
    env.add_test("sequence", tests::is_sequence);
    env.add_test("string", tests::is_string);
    env.add_test("true", tests::is_true);
    env.add_test("false", tests::is_false);
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
    let mut out = Bounded { bytes: Vec::with_capacity(256) };
    match template.render_captured_to(view.root(), &mut out) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::UndefinedError && view.sink().needs_every_value() => {
            return Ok(Rendered::Missing);
        }
        Err(error) => return Err(describe(&error)),
    }
    String::from_utf8(out.bytes)
        .map(Rendered::Text)
        .map_err(|_| RenderError { kind: "the output is not text", line: None })
}

/// The kind of an error and its line. The engine's own message may carry a value, so it is not used.
fn describe(error: &Error) -> RenderError {
    let kind = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps",
        ErrorKind::WriteFailure => "its output is too large",
        ErrorKind::UndefinedError => "a value is missing",
        ErrorKind::InvalidOperation => "an operation does not fit its values",
        _ => "it failed",
    };
    RenderError { kind, line: error.line() }
}

struct Bounded {
    bytes: Vec<u8>,
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
    if value.is_undefined() || value.is_none() {
        return if sink.needs_every_value() { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(()) };
    }
    let written = match value.as_str() {
        Some(text) => sink.write(text, out),
        None => sink.write(&text_of(value)?, out),
    };
    written.map_err(|_| Error::from(ErrorKind::WriteFailure))
}

/// A value as text: `true`, `12`, `1.5`, and lists and objects as compact JSON.
fn text_of(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(String::new()),
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        _ => json_text(value),
    }
}

fn json_text(value: &Value) -> Result<String, Error> {
    let failed = |_| Error::from(ErrorKind::BadSerialization);
    let mut json = serde_json::to_value(value).map_err(failed)?;
    integral(&mut json);
    serde_json::to_string(&json).map_err(failed)
}

/// Writes `2.0` as `2`, at any depth.
fn integral(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) => {
            // Beyond 2^53 a float is not exact, and keeps its own spelling.
            let whole = number.as_f64().filter(|f| number.is_f64() && f.fract() == 0.0 && f.abs() < 9e15);
            if let Some(Ok(exact)) = whole.map(|f| format!("{f:.0}").parse::<i64>()) {
                *number = exact.into();
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(integral),
        serde_json::Value::Object(members) => members.values_mut().for_each(integral),
        _ => {}
    }
}

/// `join`, with items rendered as everywhere else; missing ones are passed over.
fn join(_state: &State<'_, '_>, list: &Value, separator: Option<&str>) -> Result<String, Error> {
    if list.is_undefined() || list.is_none() {
        return Ok(String::new());
    }
    let mut joined = String::new();
    for (at, item) in list.try_iter()?.enumerate() {
        if at > 0 {
            joined.push_str(separator.unwrap_or_default());
        }
        joined.push_str(&text_of(&item)?);
    }
    Ok(joined)
}
