//! Reads the file itself.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    path::Path,
    sync::Arc,
};

use super::{
    report::{Diagnostic, Report},
    source::{Source, Span},
};

/// The largest configuration file, in bytes: room for a thousand agents with ten tools each.
const MAX_BYTES: usize = 8 << 20;

/// Reads a file as text.
pub(super) fn read(path: &Path) -> Result<Source, Report> {
    let name = path.display().to_string();
    let fault = |fault: Diagnostic| Report::new(Arc::new(Source::new(name.clone(), "")), vec![fault]);
    let bytes = read_bytes(path).map_err(|error| fault(unreadable(&error)))?;
    if bytes.len() > MAX_BYTES {
        let help = "that is no configuration; long instructions can be shortened or split over several agents";
        return Err(fault(Diagnostic::error(None, "the file is larger than 8 MiB").with_help(help)));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(error) => Err(not_utf8(&name, &error)),
    }
}

/// Reads one byte more than is allowed, so that a pipe without an end is noticed too.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(error: &io::Error) -> Diagnostic {
    match error.kind() {
        ErrorKind::NotFound => Diagnostic::error(None, "there is no such file")
            .with_help("run `letterhead init` to write a starter file, or name yours with `--config FILE`"),
        ErrorKind::IsADirectory => {
            Diagnostic::error(None, "this is a directory").with_help("name the file in it: `--config FILE`")
        }
        ErrorKind::PermissionDenied => Diagnostic::error(None, "the file may not be read")
            .with_help("give the user that runs the server the right to"),
        _ => Diagnostic::error(None, format!("the file cannot be read: {error}")),
    }
}

/// Points to the first byte that is no UTF-8. Nothing of its line can be shown but what comes before.
fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Report {
    let valid = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default()).into_owned();
    let mut source = Source::new(name, text);
    let at = source.text().len();
    let hidden = super::masking::in_text(&source);
    source.hide(hidden);
    let fault = Diagnostic::error(Span::new(at, at), "the file is not UTF-8 from here on");
    Report::new(Arc::new(source), vec![fault.with_help("save it as UTF-8")])
}
