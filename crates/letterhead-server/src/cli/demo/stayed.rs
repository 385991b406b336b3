//! What stayed behind, and why: from the trail, from what the session remembers, and from what was never admitted.

use crate::cli::rules::{Fate, Rules};
use crate::cli::trail::{self, Row};

/// Where a header would have gone that nothing wants.
const NOWHERE: &str = "-";

/// One row for each header that did not go out: turn, header, where it would have gone, why.
///
/// `remembered` are the headers of the session, `arrived` those of its first request.
pub(super) fn behind(rows: &[Row], remembered: &[String], arrived: &[&str], rules: &Rules) -> Vec<[String; 4]> {
    let row = |header: &str, why: &str| ["1".to_owned(), header.to_owned(), NOWHERE.to_owned(), why.to_owned()];
    let mut behind = Vec::new();
    for header in remembered.iter().filter(|header| !was_read(rows, header)) {
        let why = match rules.fate(header) {
            Fate::Secret => "a secret, and nothing in the configuration names it: it went nowhere",
            _ => "remembered, and nothing in the configuration names it",
        };
        behind.push(row(header, why));
    }
    for header in arrived {
        match rules.fate(header) {
            Fate::Credential => behind.push(row(header, "a credential for this server: it is never passed on")),
            Fate::Undeclared => behind.push(row(header, "not declared: it was dropped at the door")),
            _ => {}
        }
    }
    behind.extend(trail::stayed(rows));
    behind
}

/// Did the value of a context header go anywhere?
fn was_read(rows: &[Row], header: &str) -> bool {
    let wanted = format!("headers.{header}");
    rows.iter().filter(|row| row.sent).any(|row| row.from.split(", ").any(|from| from == wanted))
}
