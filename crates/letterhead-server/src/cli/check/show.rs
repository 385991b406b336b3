//! What a dry run found, for people.

use letterhead::run::PreviewHeader;
use letterhead::variable::PreviewRequest;
use letterhead_context::{Caller, Place, Problem};

use super::behind::layer_name;
use super::dry_run::Tried;
use crate::cli::columns::table;
use crate::cli::paint::{Paint, printable};

/// What stands for a value that nobody may see, however long it is.
const HIDDEN: &str = "********";

/// The call that would be made: who asks, what the agent is told, what is sent, and what stays.
pub(super) fn call(tried: &Tried, behind: &[[String; 3]], paint: Paint) -> String {
    let preview = &tried.preview;
    let told = match &preview.instructions {
        Some(instructions) => indented(printable(instructions).trim_end()),
        None => paint.dim("  nothing\n"),
    };
    let title = |text: &str| paint.bold(&printable(text));
    let mut text = format!(
        "{}\n\n  agent   {}\n  model   {}\n  caller  {}\n\n{}\n\n{told}\n",
        title("A request with these headers is taken"),
        preview.agent,
        printable(&preview.model),
        printable(&who(&tried.caller)),
        title(&format!("What the agent is told (agents.{}.instructions)", preview.agent)),
    );
    for request in &preview.requests {
        text.push_str(&fetch(request, paint));
    }
    text.push_str(&format!("{}\n\n", title(&format!("What is sent to {}", preview.destination))));
    let headers = preview.headers.iter().map(line);
    text.push_str(&indented(&table(["header", "value", "from", "layer"], headers, paint)));
    if !behind.is_empty() {
        let behind = table(["header", "destination", "why"], behind.iter().cloned(), paint);
        text.push_str(&format!("\n{}\n\n{}", title("What stays behind"), indented(&behind)));
    }
    text
}

/// A request for a context variable: its first line as HTTP has it, its headers, its body.
fn fetch(request: &PreviewRequest, paint: Paint) -> String {
    let title = paint.bold(&printable(&format!("What is sent to {}", request.destination)));
    let first = printable(&format!("{} {}", request.method, request.url));
    let mut text = format!("{title}\n\n  {first}\n");
    if let Some(body) = &request.body {
        text.push_str(&format!("  {}\n", printable(body)));
    }
    text.push('\n');
    if !request.headers.is_empty() {
        let headers = request.headers.iter().map(|header| {
            let [name, value, from, _] = line(header);
            [name, value, from]
        });
        text.push_str(&indented(&table(["header", "value", "from"], headers, paint)));
        text.push('\n');
    }
    text
}

/// Every fault, as the request would get them.
pub(super) fn refusal(problem: &Problem, paint: Paint) -> String {
    let (status, code) = (problem.status().as_u16(), problem.code());
    let title = paint.bold(&format!("A request with these headers is refused: {status} {code}"));
    let faults = problem.errors().iter().map(|fault| {
        let place = match &fault.place {
            Place::Header(name) => name.to_string(),
            Place::Pointer(pointer) => pointer.clone(),
            _ => String::new(),
        };
        [place, fault.code.to_string(), fault.detail.clone()]
    });
    let faults = if problem.errors().is_empty() {
        format!("{}\n", printable(problem.detail()))
    } else {
        table(["header", "code", "detail"], faults, paint)
    };
    format!("{title}\n\n{}", indented(&faults))
}

fn who(caller: &Caller) -> String {
    let source = caller.source().as_str();
    match caller.user() {
        Some(user) => format!("user {user} of tenant {} ({source})", caller.tenant()),
        None => format!("no user, tenant {} ({source})", caller.tenant()),
    }
}

fn line(header: &PreviewHeader) -> [String; 4] {
    let value = header.value.clone().unwrap_or_else(|| HIDDEN.to_owned());
    // What is made for each call is not shown as if it would be sent again.
    let Some((_, layer)) = header.from.last() else {
        return [header.name.to_string(), "(new for each call)".to_owned(), "trace".to_owned(), "-".to_owned()];
    };
    let from: Vec<&str> = header.from.iter().map(|(from, _)| &**from).collect();
    [header.name.to_string(), value, from.join(", "), layer_name(*layer)]
}

fn indented(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    text.lines().map(line).collect()
}
