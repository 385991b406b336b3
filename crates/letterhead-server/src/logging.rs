//! Logs: text on a terminal, JSON otherwise; never a header's value.
//!
//! `RUST_LOG` governs this program's own targets. What dependencies log at DEBUG may hold values (SQL parameters,
//! headers), so they are capped at INFO unless `LETTERHEAD_LOG_DEPENDENCIES=1` is set.

mod access;
mod outage;

use std::io::IsTerminal;

use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, filter::filter_fn, fmt};

use letterhead_store::{Clock, SystemClock};

pub use access::AccessLog;
pub(crate) use access::Line;
pub use outage::Outage;

/// Starts logging to the standard error. `quiet` logs nothing but warnings, for commands that talk to a person.
pub(crate) fn start(quiet: bool, env: &dyn Fn(&str) -> Option<String>) {
    let default = if quiet { "warn" } else { "info" };
    let wanted = env("RUST_LOG").unwrap_or_else(|| default.to_owned());
    let read = EnvFilter::try_new(&wanted);
    let unread = read.as_ref().err().map(ToString::to_string);
    let filter = read.unwrap_or_else(|_| EnvFilter::new(default));
    let dependencies = env("LETTERHEAD_LOG_DEPENDENCIES").is_some_and(|flag| flag == "1");
    let ours = filter_fn(move |metadata| {
        dependencies || metadata.target().starts_with("letterhead") || *metadata.level() <= LevelFilter::INFO
    })
    // Without a hint of its own it would hide the other's, and every line that a dependency might write would be looked at.
    .with_max_level_hint(LevelFilter::TRACE);
    // One filter, not two in a row: of two, either one is enough for `tracing::enabled!`.
    let filter = filter.and(ours);
    let registry = tracing_subscriber::registry();
    let to_stderr = fmt::layer().with_timer(Now).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        let layer = to_stderr.with_target(false).compact().with_filter(filter);
        let _ = registry.with(layer).try_init();
    } else {
        let layer = to_stderr.json().flatten_event(true).with_filter(filter);
        let _ = registry.with(layer).try_init();
    }
    if let Some(fault) = unread {
        tracing::warn!("`RUST_LOG` cannot be read ({fault}), and `{default}` holds; write it as in `letterhead=debug`");
    }
    if dependencies {
        tracing::warn!("LETTERHEAD_LOG_DEPENDENCIES is set: what dependencies log at DEBUG may hold values of headers");
    }
}

/// The time of a line that is written now.
struct Now;

impl fmt::time::FormatTime for Now {
    fn format_time(&self, out: &mut fmt::format::Writer<'_>) -> std::fmt::Result {
        out.write_str(&timestamp(SystemClock.now_ms()))
    }
}

/// A time as all lines have it: to the millisecond, in UTC (RFC 3339).
fn timestamp(ms: i64) -> String {
    format!("{:.3}", jiff::Timestamp::from_millisecond(ms).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::fmt::{format::Writer, time::FormatTime};

    #[test]
    fn a_line_of_the_log_and_one_of_a_request_have_the_same_kind_of_time() {
        let mut now = String::new();
        super::Now.format_time(&mut Writer::new(&mut now)).unwrap();
        let whole = super::timestamp(1_795_344_734_000);
        assert_eq!((now.len(), whole.as_str()), (whole.len(), "2026-11-22T10:52:14.000Z"));
    }
}
