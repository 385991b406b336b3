//! The head of a Markdown document: YAML between two lines `---`, read as the configuration is.

use std::sync::Arc;

use letterhead_context::name::slip_of;
use letterhead_store::{DocumentFault, DocumentKey, NewDocument};

use super::{
    parse::parse_within,
    report::{Diagnostic, Report},
    source::{Source, Span},
    tree::{Node, Value},
};

/// The most bytes of a head, and what it may weigh as a tree, with its aliases written out. Callers send these, too.
const MAX_HEAD: usize = 16 << 10;
const MAX_WEIGHT: usize = 512 << 10;

/// What is read of a head. Files have other things in theirs, for other programs: those are passed over.
const KEYS: [&str; 3] = ["entity_key", "title", "tags"];

/// A Markdown document as it was read.
pub(crate) struct Markdown<'a> {
    /// What it says that it is found by.
    pub(crate) key: Option<DocumentKey>,
    /// What people call it.
    title: Option<String>,
    tags: Vec<String>,
    /// What follows the head.
    text: &'a str,
    /// In which line that begins, counted from 1.
    first_line: usize,
    source: Arc<Source>,
}

impl<'a> Markdown<'a> {
    /// Reads a document. Faults are told under this name.
    ///
    /// # Errors
    ///
    /// What is wrong with its head, with the places.
    pub(crate) fn read(name: &str, text: &'a str) -> Result<Self, Report> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let Some(end) = head_end(text) else {
            let source = Arc::new(Source::new(name, text.lines().next().unwrap_or_default()));
            if !text.lines().next().is_some_and(is_fence) {
                return Ok(Self { key: None, title: None, tags: Vec::new(), text, first_line: 1, source });
            }
            let fault = Diagnostic::error(Span::new(0, 3), "the front matter begins here, and does not end");
            let help = "end it with a line `---`; a rule at the beginning of a text can be `***`";
            return Err(Report::new(source, vec![fault.with_help(help)]));
        };
        let (head, rest) = text.split_at(end);
        if head.len() > MAX_HEAD {
            let source = Arc::new(Source::new(name, "---"));
            let fault = Diagnostic::error(Span::new(0, 3), "the front matter that begins here has more than 16 KiB");
            return Err(Report::new(source, vec![fault.with_help("what agents are to read belongs behind it")]));
        }
        // The line that begins the head begins a YAML document too, so that places are those in the file.
        let source = Arc::new(Source::new(name, head));
        let mut faults = Vec::new();
        let mut read = Self {
            key: None,
            title: None,
            tags: Vec::new(),
            text: rest.split_once('\n').map_or("", |(_, text)| text).trim_start_matches(['\r', '\n']),
            first_line: 0,
            source: Arc::clone(&source),
        };
        read.first_line = text.get(..text.len() - read.text.len()).unwrap_or_default().matches('\n').count() + 1;
        let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if !head.lines().skip(1).all(is_blank) {
            let (root, found) = parse_within(MAX_WEIGHT, &source);
            faults = found;
            if let Some(root) = root {
                read.take(&root, &mut faults);
            }
        }
        if faults.is_empty() { Ok(read) } else { Err(Report::new(source, faults)) }
    }

    /// The document of this key.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, in the same form.
    pub(crate) fn document(&self, key: DocumentKey) -> Result<NewDocument, Report> {
        let fault = |fault: DocumentFault| {
            let message = match fault {
                DocumentFault::Binary { line } => {
                    DocumentFault::Binary { line: line + self.first_line - 1 }.to_string()
                }
                other => other.to_string(),
            };
            Report::new(Arc::clone(&self.source), vec![Diagnostic::error(None, message)])
        };
        let document = NewDocument::new(key, self.text).map_err(fault)?;
        let document = document.with_tags(self.tags.iter().map(String::as_str)).map_err(fault)?;
        document.with_title(self.title.as_deref().unwrap_or_default()).map_err(fault)
    }

    fn take(&mut self, root: &Node, faults: &mut Vec<Diagnostic>) {
        if !matches!(root.value, Value::Map(_)) {
            let help = "such as `entity_key: opening-hours`";
            return faults.push(Diagnostic::error(root.span, "front matter is keys and values").with_help(help));
        }
        for entry in root.entries() {
            if KEYS.contains(&entry.key.as_str()) {
                continue;
            }
            if let Some(meant) = slip_of(&entry.key, KEYS) {
                let fault = Diagnostic::error(entry.key_span, format!("`{}` is not read", entry.key));
                faults.push(fault.with_help(format!("did you mean `{meant}`?")));
            }
        }
        if let Some(node) = root.get("entity_key").filter(|node| !is_null(node)) {
            let key = node.scalar().map_or(Err(DocumentFault::Key), |key| DocumentKey::parse(key.text.trim()));
            self.key = key.map_err(|fault| faults.push(Diagnostic::error(node.span, fault.to_string()))).ok();
        }
        if let Some(node) = root.get("title").filter(|node| !is_null(node)) {
            match node.scalar() {
                Some(title) => self.title = Some(title.text.clone()),
                None => faults.push(Diagnostic::error(node.span, "a title is one text")),
            }
        }
        let Some(node) = root.get("tags").filter(|node| !is_null(node)) else { return };
        if node.scalar().is_some_and(|text| text.text.contains(',')) {
            let fault = Diagnostic::error(node.span, "this is one tag with a comma in it: several are a list");
            return faults.push(fault.with_help("such as `tags: [orders, refunds]`"));
        }
        let one = std::slice::from_ref(node);
        for node in if node.scalar().is_some() { one } else { node.items() } {
            match node.scalar() {
                Some(tag) => self.tags.push(tag.text.clone()),
                None => faults.push(Diagnostic::error(node.span, "a tag is one text")),
            }
        }
        if matches!(node.value, Value::Map(_)) {
            let help = "such as `tags: [orders, refunds]`";
            faults.push(Diagnostic::error(node.span, "tags are a list").with_help(help));
        }
    }
}

fn is_null(node: &Node) -> bool {
    node.scalar().is_some_and(|scalar| scalar.to_json().is_null())
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}

/// Where the line begins that ends the head; nothing where there is no head, or no end of it.
fn head_end(text: &str) -> Option<usize> {
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        match (number, is_fence(line)) {
            (0, false) => return None,
            (1.., true) => return Some(at),
            _ => at += line.len(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key, title, tags and text.
    type Parts<'a> = (Option<String>, Option<String>, Vec<String>, &'a str);

    fn read(text: &str) -> Result<Parts<'_>, String> {
        let read = Markdown::read("a.md", text).map_err(|report| report.to_string())?;
        Ok((read.key.as_ref().map(ToString::to_string), read.title, read.tags, read.text))
    }

    fn document(text: &str) -> Result<NewDocument, String> {
        let read = Markdown::read("a.md", text).map_err(|report| report.to_string())?;
        read.document(DocumentKey::parse("k").unwrap()).map_err(|report| report.to_string())
    }

    #[test]
    fn a_head_says_key_title_and_tags() {
        let text = "---\nentity_key: Sse-Events\ntitle: \"Events: all\"\ntags: [a, 'b c', 7]\nlayout: x\n---\n\n# Hi\n";
        let tags = ["a", "b c", "7"].map(str::to_owned).to_vec();
        assert_eq!(read(text), Ok((Some("sse-events".into()), Some("Events: all".into()), tags.clone(), "# Hi\n")));
        assert_eq!(read(&format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap().2, tags);
        let others = "---\nsubtitle: a\ndate: 2026-11-22\nlayout: b\nkeywords: c\n---\nx";
        assert_eq!(read(others), Ok((None, None, vec![], "x")), "other programs' keys are passed over");
        let block = "---\ntags:\n  - a\n  - b c\n  - \"7\"\n---\nx";
        assert_eq!(read(block), Ok((None, None, tags, "x")));
        assert_eq!(read("---\ntags: one\ntitle:\nentity_key: 007\n--- \nx").unwrap().2, ["one"]);
        assert_eq!(read("---\nentity_key: 007\n---\nx").unwrap().0.as_deref(), Some("007"));
    }

    #[test]
    fn a_text_without_a_head_is_a_text() {
        for text in ["# Hi\n---\nentity_key: x\n---\n", "text", " ---\nx\n---\n", "----\nx\n----\n", ""] {
            assert_eq!(read(text), Ok((None, None, vec![], text)), "{text:?}");
        }
        for empty in ["---\n---\nx", "---\n\n# nothing yet\n---\nx"] {
            assert_eq!(read(empty), Ok((None, None, vec![], "x")), "{empty:?}");
        }
        // A rule further down is part of the text.
        assert_eq!(read("---\ntitle: t\n---\na\n---\nb").unwrap().3, "a\n---\nb");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, place, message) in [
            ("---\nentity_key: a\nno end", "a.md:1:1", "does not end"),
            ("---\ntitle: a: b\n---\nx", "a.md:2:", "not valid YAML"),
            ("---\ntitle: [a\n---\nx", "a.md:", "not valid YAML"),
            ("---\ntags:\n\t- a\n---\nx", "a.md:3:", "tab"),
            ("---\n- a\n---\nx", "a.md:2:", "front matter is keys and values"),
            ("---\njust words\n---\nx", "a.md:2:1", "front matter is keys and values"),
            ("---\ntitle: x\nentity_key: ../a\n---\nx", "a.md:3:13", "a key is 1 to 128"),
            ("---\nentity_key: [a]\n---\nx", "a.md:2:", "a key is 1 to 128"),
            ("---\nentity-key: a\n---\nx", "a.md:2:1", "did you mean `entity_key`?"),
            ("---\nTags: [a]\n---\nx", "a.md:2:1", "did you mean `tags`?"),
            ("---\ntag: a\n---\nx", "a.md:2:1", "did you mean `tags`?"),
            ("---\ntitel: a\n---\nx", "a.md:2:1", "did you mean `title`?"),
            ("---\nentiy_key: a\n---\nx", "a.md:2:1", "did you mean `entity_key`?"),
            ("---\ntitle: a\ntitle: b\n---\nx", "a.md:3:1", "`title` is here twice"),
            ("---\ntitle: {a: b}\n---\nx", "a.md:2:", "a title is one text"),
            ("---\ntags: {a: b}\n---\nx", "a.md:2:", "tags are a list"),
            ("---\ntags: a, b\n---\nx", "a.md:2:7", "such as `tags: [orders, refunds]`"),
            ("---\ntags: [a, [b]]\n---\nx", "a.md:2:", "a tag is one text"),
            ("---\ntitle: !!binary aGk=\n---\nx", "a.md:2:", "tags are not supported"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(place) && told.contains(message), "{text:?}: {told}");
        }
        let laughs: String =
            (1..9).map(|level| format!("a{level}: &a{level} [{}]\n", format!("*a{}, ", level - 1).repeat(9))).collect();
        let told = read(&format!("---\na0: &a0 [x, x, x, x, x, x, x, x, x]\n{laughs}---\nx")).unwrap_err();
        assert!(told.contains("too large from here on"), "{told}");
        let told = read(&format!("---\n{}---\nx", "#\n".repeat(9_000))).unwrap_err();
        assert!(told.contains("a.md:1:1") && told.contains("more than 16 KiB"), "{told}");
        assert!(document("---\ntitle: x\n---\n\n").unwrap_err().contains("the document has no text"));
        assert!(document("---\ntitle: x\n---\n\nok\n\0").unwrap_err().contains("line 6 has control"));
        assert!(document("a\nb\u{1b}").unwrap_err().contains("line 2 has control"));
        let many: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        assert!(
            document(&format!("---\ntags: [{}]\n---\nx", many.join(", "))).unwrap_err().contains("at most 32 tags")
        );
        let long = "t".repeat(300);
        assert!(document(&format!("---\ntitle: {long}\n---\nx")).unwrap_err().contains("at most 200"));
    }
}
