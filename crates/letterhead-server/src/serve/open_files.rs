//! How many files the process may have open: every connection is one, and every call out.

/// What the store, its connections, credentials and logs take.
const BESIDES: u64 = 64;

/// Connections at a time where nobody says how many.
const USUAL: u32 = 10_000;

/// How many connections there may be at a time with so many open files: as many as are wanted, and half of the files at
/// most. The other half is for the calls out that answer them.
pub(crate) fn connections(wanted: Option<u32>, files: u64) -> u32 {
    let half = u32::try_from(files.saturating_sub(BESIDES) / 2).unwrap_or(u32::MAX);
    wanted.unwrap_or(USUAL).min(half.max(1))
}

/// The open files that so many connections need.
pub(crate) fn needed(connections: u32) -> u64 {
    2 * u64::from(connections) + BESIDES
}

/// How many files this process may have open once it has [raised](raise) its limit.
pub(crate) fn most() -> u64 {
    system::limits().1
}

/// Raises the limit of open files to the most that the system allows this process, and tells how many that are.
///
/// Shells and service managers give 1,024, for programs that cannot count further, and leave it to others to take more.
pub(crate) fn raise() -> u64 {
    // What macOS takes where it says that there is no limit.
    const OPEN_MAX: u64 = 10_240;
    let (now, most) = system::limits();
    let raised = [most, OPEN_MAX].into_iter().find(|wanted| *wanted > now && system::set(*wanted, most));
    raised.unwrap_or(now)
}

#[cfg(unix)]
mod system {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    /// The limit as it is, and the most that it may be.
    pub(super) fn limits() -> (u64, u64) {
        getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((u64::MAX, u64::MAX))
    }

    pub(super) fn set(limit: u64, most: u64) -> bool {
        setrlimit(Resource::RLIMIT_NOFILE, limit, most).is_ok()
    }
}

#[cfg(not(unix))]
mod system {
    pub(super) fn limits() -> (u64, u64) {
        (u64::MAX, u64::MAX)
    }

    pub(super) fn set(_: u64, _: u64) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_files_are_for_calls_out() {
        let none = u64::MAX;
        for (wanted, files, expected) in [
            (None, none, 10_000),
            (None, 20_000, 9_968),
            (None, 256, 96),
            (Some(50), 256, 50),
            (Some(200), 256, 96),
            (Some(200), needed(200), 200),
            (Some(200), needed(200) - 1, 199),
            (Some(1_000_000), none, 1_000_000),
            (None, 3, 1),
        ] {
            assert_eq!(connections(wanted, files), expected, "{wanted:?} of {files}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_limit_is_raised_to_the_most() {
        let most = most();
        // What shells give.
        assert!(system::set(most.min(1_024), most));
        let raised = raise();
        assert_eq!((raised, raise()), (system::limits().0, raised));
        assert!(raised >= most.min(10_240), "{raised} of {most}");
    }
}
