//! Which core does what: the server under test has one to itself, everything else shares the others.

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Stdio};

/// The division of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    server: Option<usize>,
    others: Vec<usize>,
}

impl Cores {
    /// Divides the cores that this process may use, and moves this process (and so what it starts) off the server's.
    /// Without the `taskset` command, or with a single core, nothing is pinned.
    pub(crate) fn divide() -> Self {
        let allowed = fs::read_to_string("/proc/self/status").map(|status| allowed(&status)).unwrap_or_default();
        let none = Self { server: None, others: Vec::new() };
        let Some((server, others)) = allowed.split_first() else { return none };
        if others.is_empty() {
            return none;
        }
        let list = others.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let moved = Command::new("taskset")
            .args(["-a", "-p", "-c", &list, &std::process::id().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match moved {
            Ok(status) if status.success() => Self { server: Some(*server), others: others.to_vec() },
            _ => none,
        }
    }

    /// A command that runs `program` on the server's core. `taskset` replaces itself by the program, so that the
    /// process id is the program's.
    pub(crate) fn command_for_server(&self, program: impl AsRef<OsStr>) -> Command {
        match self.server {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string()]).arg(program);
                command
            }
            None => Command::new(program),
        }
    }

    /// The division for a second server: on the last of the other cores where the driver, the upstream and the database
    /// then have another one left; beside the first server where they have not.
    pub(crate) fn for_a_second(&self) -> Self {
        match self.others.as_slice() {
            [_, .., last] if self.server.is_some() => Self { server: Some(*last), others: self.others.clone() },
            _ => self.clone(),
        }
    }

    /// Whether two servers have a core each.
    pub(crate) fn has_two_for_servers(&self) -> bool {
        self.for_a_second().server != self.server
    }

    /// The same division, for a process that belongs with the load driver.
    pub(crate) fn beside_the_driver() -> Self {
        Self { server: None, others: Vec::new() }
    }

    /// What a reader of the table has to know about it.
    pub(crate) fn describe(&self) -> String {
        match self.server {
            Some(core) => format!("server on core {core}; load driver and upstream on {:?}", self.others),
            None => "NOT PINNED (one core, or no `taskset`): distrust the latencies".to_owned(),
        }
    }
}

/// Reads `Cpus_allowed_list:\t0-2,5` as 0, 1, 2, 5.
fn allowed(status: &str) -> Vec<usize> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    list.trim()
        .split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse().ok()?..=last.parse().ok()?)
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Cores, allowed};

    #[test]
    fn a_second_server_has_a_core_where_there_are_three() {
        let two = Cores { server: Some(0), others: vec![1] };
        assert_eq!((two.for_a_second().server, two.has_two_for_servers()), (Some(0), false));
        let three = Cores { server: Some(0), others: vec![1, 2] };
        assert_eq!((three.for_a_second().server, three.has_two_for_servers()), (Some(2), true));
        assert!(!Cores::beside_the_driver().has_two_for_servers());
    }

    #[test]
    fn lists_of_cores_are_read() {
        assert_eq!(allowed("Name:\tx\nCpus_allowed_list:\t0-2,5\nMems:\t0"), [0, 1, 2, 5]);
        assert_eq!(allowed("Cpus_allowed_list:\t3"), [3]);
        assert!(allowed("").is_empty());
    }
}
