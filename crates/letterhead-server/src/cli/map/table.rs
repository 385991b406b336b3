//! The map as tables: from each header to where it goes, and from each destination to what it gets.

use std::sync::Arc;

use super::survey::{Declared, Destination, Providers, Received, Survey, Way};
use crate::cli::paint::Paint;
use crate::cli::trail::table;

/// What stands for the text of instructions, where otherwise an outbound header stands.
const PROMPT: &str = "(prompt)";

pub(super) fn render(survey: &Survey, paint: Paint) -> String {
    let mut parts = Vec::new();
    let mut part = |title: &str, body: String| parts.push(format!("{}\n\n{body}", paint.bold(title)));
    if survey.headers.is_empty() {
        part("Headers", "no header is declared\n".to_owned());
    } else {
        let rows = survey.headers.iter().flat_map(ways);
        part("Headers: where each can go", table(["header", "", "named in", "goes into", "sent to"], rows, paint));
    }
    if !survey.runtime_headers.is_empty() {
        let rows = survey.runtime_headers.iter().map(|row| {
            let value = if row.verified { "what the server believes" } else { "as it is sent" };
            [row.name.clone(), value.to_owned(), sent_to(&row.providers)]
        });
        part("Runtime headers: a caller may set them on its calls", table(["header", "value", "sent to"], rows, paint));
    }
    if !survey.destinations.is_empty() {
        let rows = survey.destinations.iter().flat_map(gets);
        part("Destinations: what each can get", table(["destination", "header", "", "made of", "set by"], rows, paint));
    }
    if chooses(survey) {
        let note = "(in parentheses: if the model is chosen for a request, by X-Model-Name, an alias, or an agent that asks \
                    another; `allow_models` narrows it)";
        parts.push(format!("{}\n", paint.dim(note)));
    }
    parts.join("\n")
}

fn ways(header: &Declared) -> Vec<[String; 5]> {
    let row = |named_in: &str, into: &str, sent_to| {
        [header.name.to_string(), mark(header.secret), named_in.to_owned(), into.to_owned(), sent_to]
    };
    if header.reaches.is_empty() {
        return vec![row("nothing: it stays here", "-", "-".to_owned())];
    }
    let way = |way: &Way| row(&way.destination, way.into.as_deref().unwrap_or(PROMPT), sent_to(&way.providers));
    header.reaches.iter().map(way).collect()
}

fn gets(destination: &Destination) -> impl Iterator<Item = [String; 5]> {
    let row = |received: &Received| {
        let set_by = if received.by_choice { format!("({})", received.set_by) } else { received.set_by.to_string() };
        let header = received.header.as_deref().unwrap_or(PROMPT).to_owned();
        [destination.name.to_string(), header, mark(received.secret), received.from.join(", "), set_by]
    };
    destination.receives.iter().map(row)
}

fn sent_to(providers: &Providers) -> String {
    let chosen = providers.providers_by_choice.iter().map(|provider| format!("({provider})"));
    providers.providers.iter().map(Arc::<str>::to_string).chain(chosen).collect::<Vec<_>>().join(", ")
}

fn mark(secret: bool) -> String {
    if secret { "secret" } else { "" }.to_owned()
}

/// Is anything in parentheses?
fn chooses(survey: &Survey) -> bool {
    survey.destinations.iter().any(|destination| destination.receives.iter().any(|received| received.by_choice))
}
