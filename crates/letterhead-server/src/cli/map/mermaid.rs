//! The map as a Mermaid flowchart: headers on the left, then the places that name them, then the providers.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use super::survey::{Providers, Survey, Way};
use super::table::part_name;

pub(super) fn render(survey: &Survey) -> String {
    let mut chart = Chart { nodes: Vec::new(), edges: BTreeSet::new(), text: "flowchart LR\n".to_owned() };
    for header in &survey.headers {
        let from = chart.node(&format!("header {}", header.name), &header.name, Shape::header(header.secret));
        if header.reaches.is_empty() {
            let nothing = chart.node("nothing", "nothing", Shape::Nothing);
            chart.edge(from, nothing, None, false);
        }
        header.reaches.iter().for_each(|way| chart.way(from, way));
    }
    for variable in &survey.variables {
        let destination = format!("context.{}", variable.name);
        let from = chart.node(&destination, &destination, Shape::Provider);
        variable.reaches.iter().for_each(|way| chart.way(from, way));
    }
    for row in &survey.runtime_headers {
        let from = chart.node(&format!("runtime {}", row.name), &row.name, Shape::Runtime);
        chart.providers(from, &row.providers, None);
    }
    chart.text.push_str("  classDef secret stroke:#c00,stroke-width:3px\n  classDef nothing stroke-dasharray:4\n");
    chart.text
}

#[derive(Clone, Copy)]
enum Shape {
    Header,
    Secret,
    Runtime,
    Place,
    Provider,
    Nothing,
}

impl Shape {
    fn header(secret: bool) -> Self {
        if secret { Self::Secret } else { Self::Header }
    }
}

struct Chart {
    /// What each node stands for; its place here is its name in the chart.
    nodes: Vec<String>,
    edges: BTreeSet<(usize, usize, Option<String>, bool)>,
    text: String,
}

impl Chart {
    /// The node of this key, drawn where it is first met.
    fn node(&mut self, key: &str, label: &str, shape: Shape) -> usize {
        if let Some(at) = self.nodes.iter().position(|known| known == key) {
            return at;
        }
        let (at, label) = (self.nodes.len(), escaped(label));
        self.nodes.push(key.to_owned());
        // Writing to a text does not fail.
        let _ = match shape {
            Shape::Header => writeln!(self.text, "  n{at}([\"{label}\"])"),
            Shape::Secret => writeln!(self.text, "  n{at}([\"{label} (secret)\"]):::secret"),
            Shape::Runtime => writeln!(self.text, "  n{at}([\"{label} (runtime)\"])"),
            Shape::Place => writeln!(self.text, "  n{at}[\"{label}\"]"),
            Shape::Provider => writeln!(self.text, "  n{at}[[\"{label}\"]]"),
            Shape::Nothing => writeln!(self.text, "  n{at}[\"{label}\"]:::nothing"),
        };
        at
    }

    /// A line, once; dotted where the model has to be chosen for it.
    fn edge(&mut self, from: usize, to: usize, label: Option<&str>, by_choice: bool) {
        if !self.edges.insert((from, to, label.map(str::to_owned), by_choice)) {
            return;
        }
        let line = if by_choice { "-.->" } else { "-->" };
        let label = label.map_or_else(String::new, |label| format!("|\"{}\"|", escaped(label)));
        let _ = writeln!(self.text, "  n{from} {line}{label} n{to}");
    }

    fn way(&mut self, from: usize, way: &Way) {
        let into = way.into.as_deref().or(way.part.map(part_name));
        if way.providers.providers.contains(&way.destination) || &*way.destination == "runtime_headers" {
            return self.providers(from, &way.providers, into);
        }
        let place = self.node(
            &way.destination,
            &way.destination,
            if way.is_request() { Shape::Provider } else { Shape::Place },
        );
        self.edge(from, place, into, false);
        self.providers(place, &way.providers, None);
    }

    fn providers(&mut self, from: usize, to: &Providers, label: Option<&str>) {
        let both: [(&[Arc<str>], bool); 2] = [(&to.providers, false), (&to.providers_by_choice, true)];
        for (providers, by_choice) in both {
            for provider in providers {
                let provider = self.node(provider, provider, Shape::Provider);
                self.edge(from, provider, label, by_choice);
            }
        }
    }
}

/// A label that can end neither itself nor its line, and means nothing to Markdown or HTML.
fn escaped(label: &str) -> String {
    label.chars().fold(String::with_capacity(label.len()), |mut text, c| {
        if c.is_alphanumeric() || matches!(c, ' ' | '.' | '-' | '_') {
            text.push(c);
        } else {
            let _ = write!(text, "#{};", u32::from(c));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn no_name_ends_its_label() {
        assert_eq!(escaped("providers.my-llm_2"), "providers.my-llm_2");
        assert_eq!(escaped("a\"];\n<b>#`|"), "a#34;#93;#59;#10;#60;b#62;#35;#96;#124;");
    }
}
