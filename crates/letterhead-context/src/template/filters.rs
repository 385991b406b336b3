//! The filters and tests that templates may use.
//!
//! One law holds for all filters but `default`: a filter of nothing is nothing, and so is one with nothing for an argument.
//! What is missing stays missing, so that `Bearer {{ headers.token | trim }}` without a token is a missing credential, and
//! not an empty one.

use minijinja::value::{Kwargs, Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, filters, tests};

use super::engine::MAX_OUTPUT;
use super::sink::Sink;
use super::text::{is_missing, json_of, text_of};
use super::variables::is_placeholder;

/// The filters that templates may use.
pub(super) const FILTERS: [&str; 29] = [
    "abs",
    "bool",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "max",
    "min",
    "part",
    "replace",
    "reverse",
    "round",
    "sort",
    "split",
    "tojson",
    "trim",
    "upper",
];

/// The tests that templates may use.
pub(super) const TESTS: [&str; 19] = [
    "boolean",
    "defined",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "ge",
    "gt",
    "in",
    "integer",
    "le",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "string",
];

/// Tests with two words for one thing, or of less use.
pub(super) const MORE_TESTS: [&str; 5] = ["undefined", "startingwith", "true", "false", "float"];

/// The widest indentation: without a bound, one number in a header could ask for all memory.
const MAX_INDENT: usize = 64;

/// What a filter works on.
#[derive(Clone, Copy)]
enum On {
    /// Values as they are.
    Values,
    /// The text of its subject: `true` and not the engine's `True`.
    Text,
    /// The text of its subject and of all its arguments.
    Texts,
}

/// Adds the filters and tests to an environment that has none.
pub(super) fn add(env: &mut Environment<'static>, sink: Sink) {
    let mut filter = |name, on, function| env.add_filter(name, of_something(sink, on, function));
    filter("abs", On::Values, Value::from_function(filters::abs));
    filter("bool", On::Values, Value::from_function(filters::bool));
    filter("capitalize", On::Text, Value::from_function(filters::capitalize));
    filter("count", On::Values, Value::from_function(filters::length));
    filter("dictsort", On::Values, Value::from_function(filters::dictsort));
    filter("first", On::Values, Value::from_function(filters::first));
    filter("indent", On::Text, Value::from_function(indent));
    filter("items", On::Values, Value::from_function(filters::items));
    filter("join", On::Values, Value::from_function(move |list: &Value, by: Option<&str>| join(sink, list, by)));
    filter("last", On::Values, Value::from_function(filters::last));
    filter("length", On::Values, Value::from_function(filters::length));
    filter("lines", On::Text, Value::from_function(filters::lines));
    filter("list", On::Values, Value::from_function(filters::list));
    filter("lower", On::Text, Value::from_function(filters::lower));
    filter("max", On::Values, Value::from_function(filters::max));
    filter("min", On::Values, Value::from_function(filters::min));
    filter("part", On::Values, Value::from_function(part));
    filter("replace", On::Texts, Value::from_function(replace));
    filter("reverse", On::Values, Value::from_function(filters::reverse));
    filter("round", On::Values, Value::from_function(filters::round));
    filter("sort", On::Values, Value::from_function(filters::sort));
    filter("split", On::Text, Value::from_function(filters::split));
    filter("tojson", On::Values, Value::from_function(move |value: &Value| to_json(sink, value)));
    filter("trim", On::Text, Value::from_function(filters::trim));
    filter("upper", On::Text, Value::from_function(filters::upper));
    env.add_filter("default", default);
    env.add_filter("d", default);
    // These two take a default of their own.
    env.add_filter("float", number_or(Value::from_function(filters::float)));
    env.add_filter("int", number_or(Value::from_function(filters::int)));
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
}

/// A filter that answers something missing with something missing, and what stands for a value with what stands for one.
fn of_something(
    sink: Sink,
    on: On,
    function: Value,
) -> impl Fn(&mut State<'_, '_>, Value, Rest<ValueOrKwargs>) -> Result<Value, Error> {
    move |state: &mut State<'_, '_>, subject: Value, rest: Rest<ValueOrKwargs>| {
        let given = rest.into_values();
        if is_missing(&subject) || find(&given, is_missing).is_some() {
            return Ok(Value::UNDEFINED);
        }
        if is_placeholder(&subject) {
            return Ok(subject);
        }
        if let (On::Values | On::Text, Some(unknown)) = (on, find(&given, is_placeholder)) {
            return Ok(unknown);
        }
        let mut arguments = Vec::with_capacity(1 + given.len());
        for value in std::iter::once(subject).chain(given) {
            let is_text = match on {
                On::Values => false,
                On::Text => arguments.is_empty(),
                On::Texts => !value.is_kwargs(),
            };
            if is_text && sink.lacks_part_of(&value) {
                return Ok(Value::UNDEFINED);
            }
            arguments.push(if is_text { as_text(value)? } else { value });
        }
        function.call(state, &arguments)
    }
}

/// The first argument of this kind, those with a name among them.
fn find(arguments: &[Value], kind: fn(&Value) -> bool) -> Option<Value> {
    arguments.iter().find_map(|argument| {
        if !argument.is_kwargs() {
            return kind(argument).then(|| argument.clone());
        }
        let named = Kwargs::try_from(argument.clone()).ok()?;
        named.args().filter_map(|name| named.peek::<Value>(name).ok()).find(kind)
    })
}

fn as_text(value: Value) -> Result<Value, Error> {
    if value.as_str().is_some() { Ok(value) } else { Ok(Value::from(text_of(&value)?.as_ref())) }
}

/// A conversion to a number: of something missing it is its own default, or missing. With a default that is missing it is
/// missing, too: the engine would take none for 0.
fn number_or(function: Value) -> impl Fn(&mut State<'_, '_>, Value, Rest<ValueOrKwargs>) -> Result<Value, Error> {
    move |state: &mut State<'_, '_>, subject: Value, rest: Rest<ValueOrKwargs>| {
        let given = rest.into_values();
        if (is_missing(&subject) && given.is_empty()) || find(&given, is_missing).is_some() {
            return Ok(Value::UNDEFINED);
        }
        if is_placeholder(&subject) {
            return Ok(subject);
        }
        let arguments: Vec<Value> = std::iter::once(subject).chain(given).collect();
        function.call(state, &arguments)
    }
}

/// `default`: for what is missing or null; with `true` as second argument for whatever counts as false, too.
#[expect(clippy::needless_pass_by_value, reason = "the engine passes what is left of the arguments so")]
fn default(value: Value, arguments: Rest<Value>) -> Result<Value, Error> {
    let (other, also_false) = match arguments.as_slice() {
        [] => (Value::from(""), false),
        [other] => (other.clone(), false),
        [other, also_false] => (other.clone(), also_false.is_true()),
        _ => return Err(Error::from(ErrorKind::TooManyArguments)),
    };
    Ok(if is_missing(&value) || (also_false && !value.is_true()) { other } else { value })
}

/// `join`, with items rendered as everywhere else. A missing item is passed over, or makes the whole missing where the
/// sink needs every value.
fn join(sink: Sink, list: &Value, separator: Option<&str>) -> Result<Value, Error> {
    let mut joined = String::new();
    let mut first = true;
    for item in list.try_iter()? {
        if is_missing(&item) || sink.lacks_part_of(&item) {
            if sink.needs_every_value() {
                return Ok(Value::UNDEFINED);
            }
            continue;
        }
        if !std::mem::take(&mut first) {
            joined.push_str(separator.unwrap_or_default());
        }
        joined.push_str(&text_of(&item)?);
        bounded(joined.len())?;
    }
    Ok(Value::from(joined))
}

/// `part`: from a place on, and up to another one, each counted from the end if it is negative. Of a list these are items, of
/// all else the characters of its text.
fn part(value: &Value, from: i64, to: Option<i64>) -> Result<Value, Error> {
    let bounds = |length: usize| {
        let place = |at: i64| {
            let distance = usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX);
            if at < 0 { length.saturating_sub(distance) } else { distance.min(length) }
        };
        let from = place(from);
        (from, to.map_or(length, place).saturating_sub(from))
    };
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<Value> = value.try_iter()?.collect();
            let (before, length) = bounds(items.len());
            Ok(items.into_iter().skip(before).take(length).collect())
        }
        ValueKind::Map => Err(Error::from(ErrorKind::InvalidOperation)),
        _ => {
            let text = text_of(value)?;
            let (before, length) = bounds(text.chars().count());
            Ok(Value::from(text.chars().skip(before).take(length).collect::<String>()))
        }
    }
}

/// `replace`, unless the result would be too large: two long texts together could ask for all memory.
fn replace(text: &str, from: &str, to: &str) -> Result<String, Error> {
    let found = text.matches(from).count();
    bounded((text.len() - found * from.len()).saturating_add(found.saturating_mul(to.len())))?;
    Ok(text.replace(from, to))
}

/// What is longer than any output may be is not made.
fn bounded(length: usize) -> Result<(), Error> {
    if length > MAX_OUTPUT { Err(Error::from(ErrorKind::WriteFailure)) } else { Ok(()) }
}

/// `tojson`. With something missing in it, it is missing where the sink needs every value, and null elsewhere.
fn to_json(sink: Sink, value: &Value) -> Result<Value, Error> {
    if sink.lacks_part_of(value) { Ok(Value::UNDEFINED) } else { json_of(value).map(Value::from) }
}

/// `indent`: blanks before every line but the first (and before that too with `first=true`), and not before empty ones.
#[expect(clippy::needless_pass_by_value, reason = "the engine passes named arguments so")]
fn indent(text: &str, width: Option<usize>, first: Option<bool>, options: Kwargs) -> Result<String, Error> {
    let width = width.map_or_else(|| options.get::<Option<usize>>("width"), |width| Ok(Some(width)))?.unwrap_or(4);
    let first = first.map_or_else(|| options.get::<Option<bool>>("first"), |first| Ok(Some(first)))?.unwrap_or(false);
    options.assert_all_used()?;
    if width > MAX_INDENT {
        return Err(Error::from(ErrorKind::InvalidOperation));
    }
    let mut indented = String::with_capacity(text.len() + width);
    for (at, line) in text.lines().enumerate() {
        if at > 0 {
            indented.push('\n');
        }
        if (at > 0 || first) && !line.is_empty() {
            indented.extend(std::iter::repeat_n(' ', width));
        }
        indented.push_str(line);
    }
    Ok(indented)
}
