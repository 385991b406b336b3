//! How many files a process may have open: every connection is one.

use std::fs;
use std::process::{Command, Stdio};

/// Has this process, and all that it starts from now on, open `wanted` files at a time, or as many as it may. Tells how
/// many that are.
pub(crate) fn allow(wanted: usize) -> usize {
    let (soft, hard) = limits();
    // Only some users may raise the second; the `prlimit` command does it as `taskset` moves us between cores.
    for (soft_wanted, hard_wanted) in [(wanted, hard.max(wanted)), (hard.min(wanted), hard)] {
        if limits().0 < soft_wanted {
            let limit = format!("--nofile={}:{}", shown(soft_wanted), shown(hard_wanted));
            let raising = Command::new("prlimit")
                .args(["--pid", &std::process::id().to_string(), &limit])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            // What came of it is read below.
            drop(raising);
        }
    }
    limits().0.max(soft)
}

fn limits() -> (usize, usize) {
    // Where nothing can be read: what POSIX calls the least, and nearly every system has.
    const USUAL: usize = 1024;
    fs::read_to_string("/proc/self/limits").ok().and_then(|limits| read(&limits)).unwrap_or((USUAL, USUAL))
}

/// The two limits of `Max open files  1024  524288  files`: today's, and the one that it may be raised to.
fn read(limits: &str) -> Option<(usize, usize)> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut fields = line.split_whitespace();
    let mut limit = || match fields.next()? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    };
    Some((limit()?, limit()?))
}

fn shown(limit: usize) -> String {
    if limit == usize::MAX { "unlimited".to_owned() } else { limit.to_string() }
}

#[cfg(test)]
mod tests {
    use super::{allow, limits, read};

    #[test]
    fn both_limits_are_read() {
        let text = "Limit     Soft Limit  Hard Limit  Units\nMax open files            1024      524288      files\n";
        assert_eq!(read(text), Some((1024, 524_288)));
        assert_eq!(read("Max open files  1024  unlimited  files"), Some((1024, usize::MAX)));
        assert_eq!(read("Max processes  1  2  processes"), None);
    }

    #[test]
    fn what_there_is_already_is_not_lowered() {
        let before = limits().0;
        assert_eq!(allow(1), before);
    }
}
