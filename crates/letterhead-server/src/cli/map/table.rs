//! The map as tables: from each header to where it goes, and from each destination to what it gets.

use std::sync::Arc;

use letterhead_context::RequestPart;

use super::survey::{Declared, Destination, Providers, Received, Survey, Variable, Way};
use crate::cli::columns::table;
use crate::cli::paint::Paint;

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
    if !survey.variables.is_empty() {
        let rows = survey.variables.iter().flat_map(flows);
        let title = "Context variables: where the value of each can go";
        part(title, table(["variable", "named in", "goes into", "sent to"], rows, paint));
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
    let row = |[named_in, into, sent_to]: [String; 3]| {
        [header.name.to_string(), mark(header.secret), named_in, into, sent_to]
    };
    ends(&header.reaches, "nothing: it stays here").into_iter().map(row).collect()
}

fn flows(variable: &Variable) -> Vec<[String; 4]> {
    let row = |[named_in, into, sent_to]: [String; 3]| [variable.name.to_string(), named_in, into, sent_to];
    ends(&variable.reaches, "nothing: it is never fetched").into_iter().map(row).collect()
}

/// Where something is named, what it goes into there, and who is sent that.
fn ends(ways: &[Way], nowhere: &str) -> Vec<[String; 3]> {
    if ways.is_empty() {
        return vec![[nowhere.to_owned(), "-".to_owned(), "-".to_owned()]];
    }
    let end = |way: &Way| {
        let sent_to = match &way.address {
            Some(address) => address.to_string(),
            None if way.is_request() => "an address of the environment".to_owned(),
            None => sent_to(&way.providers),
        };
        [way.destination.to_string(), into(way.into.as_deref(), way.part).to_owned(), sent_to]
    };
    ways.iter().map(end).collect()
}

/// What something goes into: a header, by its name, or another part.
fn into(header: Option<&str>, part: Option<RequestPart>) -> &str {
    match (header, part) {
        (Some(header), _) => header,
        (None, None) => PROMPT,
        (None, Some(part)) => part_name(part),
    }
}

/// A part of a request, where otherwise a header stands.
pub(super) fn part_name(part: RequestPart) -> &'static str {
    match part {
        RequestPart::Url => "(address)",
        RequestPart::Query => "(query)",
        RequestPart::Body => "(body)",
        _ => "(request)",
    }
}

fn gets(destination: &Destination) -> impl Iterator<Item = [String; 5]> {
    let row = |received: &Received| {
        let set_by = if received.by_choice { format!("({})", received.set_by) } else { received.set_by.to_string() };
        let header = into(received.header.as_deref(), received.part).to_owned();
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
