//! YAML to a tree with places.
//!
//! The events of the parser are taken as they come, so a file with duplicate keys in five places has five faults. Anchors and
//! aliases work; merge keys (`<<`, which YAML 1.2 no longer has) and tags other than `!!str` do not. What a file may cost is
//! bounded: its depth, and its size with all aliases written out.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::{
    report::Diagnostic,
    source::{Source, Span},
    tree::{Entry, Node, Origin, Scalar, Value},
};

/// How deep lists and maps may stand in each other.
const MAX_DEPTH: usize = 64;

/// What the tree may weigh: its text, and this much for each value. So there are at most 327,680 values: room
/// for a thousand agents with ten tools each.
const MAX_WEIGHT: usize = 40 << 20;
const NODE_WEIGHT: usize = 128;

/// How many keys one map may have. A report looks each fault's key up among those beside it.
const MAX_KEYS: usize = 16_384;

/// Reads a document.
///
/// A syntax error ends the reading, so there is no tree then; all other faults come with one.
pub(super) fn parse(source: &Source) -> (Option<Node>, Vec<Diagnostic>) {
    parse_within(MAX_WEIGHT, source)
}

/// The same, where the tree may weigh so much: what is not the operator's own file gets less.
pub(super) fn parse_within(max_weight: usize, source: &Source) -> (Option<Node>, Vec<Diagnostic>) {
    let mut builder = Builder::new(source, max_weight);
    let options = granit_parser::options! { emit_comments: false };
    for next in Parser::new_from_str_with_options(source.text(), options) {
        let step = match next {
            Ok((event, span)) => builder.take(event, span_of(source, span)),
            Err(error) => Err(Box::new(syntax_error(source, &error))),
        };
        if let Err(fault) = step {
            builder.faults.push(*fault);
            return (None, builder.faults);
        }
    }
    if builder.root.is_none() {
        let help = "run `letterhead init` to write a starter file";
        builder.faults.push(Diagnostic::error(None, "the configuration is empty").with_help(help));
    }
    (builder.root, builder.faults)
}

fn span_of(source: &Source, span: granit_parser::Span) -> Span {
    let range = span.byte_range().unwrap_or(0..0);
    let text = source.text().get(range.clone()).unwrap_or_default();
    Span::new(range.start, range.start + text.trim_end().len())
}

fn syntax_error(source: &Source, error: &ScanError) -> Diagnostic {
    let text = source.text();
    let at = error.marker().byte_offset().unwrap_or_default().min(text.len());
    let rest = text.get(at..).unwrap_or_default();
    let width = rest.chars().next().filter(|next| !next.is_whitespace()).map_or(0, char::len_utf8);
    let what = error.info();
    let line_end = source.line_range(source.position(at).line).end;
    let fault = Diagnostic::error(Span::new(at, (at + width).min(line_end.max(at))), format!("not valid YAML: {what}"));
    let before = text.get(source.line_range(source.position(at).line).start..at).unwrap_or_default();
    let advice = if before.ends_with("${") || (before.ends_with('$') && rest.starts_with('{')) {
        Some("inside `{ … }` or `[ … ]` a `${NAME}` needs quotes")
    } else {
        advice(rest, &what)
    };
    match advice {
        Some(help) => fault.with_help(help),
        None => fault,
    }
}

/// The mistakes that people make most, by what the parser says of them.
fn advice(rest: &str, what: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| what.contains(word));
    if rest.starts_with('\t') || says(&["tab"]) {
        Some("indent with spaces, not with tabs")
    } else if rest.starts_with('*') {
        Some("`*name` stands for an earlier `&name`; a text that begins with `*` needs quotes")
    } else if says(&["escape"]) {
        Some("in double quotes a backslash begins an escape: write two, or use single quotes")
    } else if says(&["unexpected character"]) {
        Some("put the text in quotes")
    } else if says(&["quoted scalar", "unclosed", "end of stream"]) {
        Some("something that was opened before this place, such as a quote or a bracket, is not closed")
    } else if says(&["mapping values", "':'"]) {
        Some("a text with `: ` in it needs quotes; or a quote or bracket before this place is not closed")
    } else if says(&["key"]) {
        Some("a key needs the indentation of its neighbours, and a colon and a blank after it")
    } else {
        None
    }
}

type Step = Result<(), Box<Diagnostic>>;

struct Builder<'s> {
    source: &'s Source,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    weight: usize,
    max_weight: usize,
    anchors: HashMap<usize, (Node, usize)>,
    faults: Vec<Diagnostic>,
}

/// A list or map that has begun.
struct Open {
    start: Span,
    anchor: usize,
    weight_before: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(Pairs),
}

/// A map that is being read.
#[derive(Default)]
struct Pairs {
    entries: Vec<Entry>,
    /// The keys of the entries.
    keys: HashSet<String>,
    /// A key that waits for its value.
    pending: Option<(String, Span)>,
}

impl<'s> Builder<'s> {
    fn new(source: &'s Source, max_weight: usize) -> Self {
        Self {
            source,
            open: Vec::new(),
            root: None,
            documents: 0,
            weight: 0,
            max_weight,
            anchors: HashMap::new(),
            faults: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Step {
        match event {
            Event::DocumentStart(..) => self.begin_document(span),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                self.check_tag(tag.as_deref(), span);
                let weight = NODE_WEIGHT + text.len();
                self.weigh(weight, span)?;
                let scalar = Scalar { text: text.into_owned(), plain, origin: Origin::File };
                self.place(Node { span, value: Value::Scalar(scalar) }, anchor, weight)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), span);
                self.begin(Content::List(Vec::new()), anchor, span)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), span);
                self.begin(Content::Map(Pairs::default()), anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => Ok(()),
        }
    }

    fn begin_document(&mut self, span: Span) -> Step {
        self.documents += 1;
        if self.documents > 1 {
            let fault = Diagnostic::error(span, "a second document begins here");
            return Err(Box::new(fault.with_help("a configuration is one document: remove the `---`")));
        }
        Ok(())
    }

    fn begin(&mut self, content: Content, anchor: usize, start: Span) -> Step {
        if self.open.len() >= MAX_DEPTH {
            return Err(Box::new(Diagnostic::error(start, format!("nested deeper than {MAX_DEPTH} levels"))));
        }
        let weight_before = self.weight;
        self.weigh(NODE_WEIGHT, start)?;
        self.open.push(Open { start, anchor, weight_before, content });
        Ok(())
    }

    fn end(&mut self, end: Span) -> Step {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map(pairs) => Value::Map(pairs.entries),
        };
        let text = self.source.text().get(open.start.start..end.end.max(open.start.start)).unwrap_or_default();
        let span = Span::new(open.start.start, open.start.start + text.trim_end().len());
        self.place(Node { span, value }, open.anchor, self.weight - open.weight_before)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Step {
        let Some((node, weight)) = self.anchors.get(&anchor).cloned() else {
            return Err(Box::new(Diagnostic::error(span, "this alias stands inside the very value it names")));
        };
        self.weigh(weight, span)?;
        self.place(node, 0, weight)
    }

    /// Counts what the tree costs before it is built.
    fn weigh(&mut self, weight: usize, span: Span) -> Step {
        self.weight = self.weight.saturating_add(weight);
        if self.weight > self.max_weight { Err(too_large(span)) } else { Ok(()) }
    }

    /// Puts a finished value where it belongs: the next key of a map, its value, the next item of a list, or the root.
    fn place(&mut self, node: Node, anchor: usize, weight: usize) -> Step {
        if anchor != 0 {
            self.weigh(weight, node.span)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map(pairs)) => match pairs.pending.take() {
                None => pairs.pending = Some(key_of(node)?),
                Some((_, key_span)) if pairs.entries.len() >= MAX_KEYS => return Err(too_large(key_span)),
                Some((key, key_span)) => match unusable(self.source, pairs, &key, key_span) {
                    Some(fault) => self.faults.push(fault),
                    None => {
                        pairs.keys.insert(key.clone());
                        pairs.entries.push(Entry { key, key_span, node });
                    }
                },
            },
        }
        Ok(())
    }

    fn check_tag(&mut self, tag: Option<&Tag>, span: Span) {
        let known = tag.is_none_or(|tag| tag.handle() == "tag:yaml.org,2002:" && tag.suffix() == "str");
        if !known {
            let fault = Diagnostic::error(span, "tags are not supported");
            self.faults.push(fault.with_help("remove the `!…`; only `!!str` has a meaning here"));
        }
    }
}

fn key_of(node: Node) -> Result<(String, Span), Box<Diagnostic>> {
    match node.value {
        Value::Scalar(scalar) => Ok((scalar.text, node.span)),
        Value::List(_) | Value::Map(_) => {
            let fault = Diagnostic::error(node.span, "a key must be a text");
            Err(Box::new(fault.with_help("a template needs quotes: \"{{ headers.user_id }}\"")))
        }
    }
}

fn too_large(span: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(span, "the configuration is too large from here on, with its aliases written out"))
}

/// Says why an entry is left out of its map, if it is.
fn unusable(source: &Source, pairs: &Pairs, key: &str, span: Span) -> Option<Diagnostic> {
    if key == "<<" {
        let fault = Diagnostic::error(span, "merge keys (`<<`) are not supported");
        return Some(fault.with_help("write the keys out, or use an alias for a whole value: `params: *shared`"));
    }
    if !pairs.keys.contains(key) {
        return None;
    }
    let first = pairs.entries.iter().find(|entry| entry.key == key)?;
    let line = source.position(first.key_span.start).line;
    let fault = Diagnostic::error(span, format!("`{key}` is here twice"));
    Some(fault.with_help(format!("the first one is in line {line}; keep one of them")))
}
