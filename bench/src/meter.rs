//! What a process has used, as the kernel counts it.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The CPU time of a process's threads at one moment.
pub(crate) struct Reading {
    threads: HashMap<u32, u64>,
}

impl Reading {
    /// Reads the nanoseconds that each thread of process `id` has run, in the kernel and out of it.
    ///
    /// `/proc/ID/task/*/schedstat` counts nanoseconds where `/proc/ID/stat` counts hundredths of a second.
    ///
    /// # Errors
    /// When the process is gone, or the kernel does not keep the figures.
    pub(crate) fn take(id: u32) -> Result<Self> {
        let folder = format!("/proc/{id}/task");
        let mut threads = HashMap::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {folder}"))? {
            let path = entry?.path().join("schedstat");
            // A thread may end between the listing and the look.
            let Ok(line) = fs::read_to_string(&path) else { continue };
            let thread = path.parent().and_then(|path| path.file_name()?.to_str()?.parse().ok());
            let nanoseconds = line.split_whitespace().next().and_then(|field| field.parse().ok());
            if let (Some(thread), Some(nanoseconds)) = (thread, nanoseconds) {
                threads.insert(thread, nanoseconds);
            }
        }
        anyhow::ensure!(!threads.is_empty(), "the kernel keeps no schedstat for process {id}");
        Ok(Self { threads })
    }

    /// The CPU time used between an earlier reading and this one. What a thread did that ended in between is lost.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let used = self.threads.iter().map(|(thread, now)| {
            let before = earlier.threads.get(thread).copied().unwrap_or_default();
            now.saturating_sub(before)
        });
        Duration::from_nanos(used.sum())
    }
}

/// The most memory that process `id` has held at a time, in MiB.
///
/// # Errors
/// When the process is gone.
pub(crate) fn peak_memory(id: u32) -> Result<f64> {
    Ok(kibibytes(id, "VmHWM:")? / 1024.0)
}

/// The memory that process `id` holds now, in KiB.
///
/// # Errors
/// When the process is gone.
pub(crate) fn memory(id: u32) -> Result<f64> {
    kibibytes(id, "VmRSS:")
}

fn kibibytes(id: u32, field: &'static str) -> Result<f64> {
    let path = format!("/proc/{id}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context(field)?;
    Ok(line.split_whitespace().next().context(field)?.parse()?)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn work_is_seen_and_rest_is_not() {
        let id = std::process::id();
        let before = Reading::take(id).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(60) {
            std::hint::spin_loop();
        }
        // The kernel brings a running thread's figure up to date when it is interrupted: 20 ms of 60 is safe to expect.
        let used = Reading::take(id).unwrap().since(&before);
        assert!(used > Duration::from_millis(20), "{used:?}");
    }

    #[test]
    fn this_process_has_a_size() {
        let now = memory(std::process::id()).unwrap();
        assert!(now > 1024.0 && peak_memory(std::process::id()).unwrap() >= now / 2048.0);
    }
}
