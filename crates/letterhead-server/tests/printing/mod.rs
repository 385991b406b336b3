//! What commands print about a configuration.

use std::process::Command;

/// What a command prints about a file. No secret is in it: all that tests have are canaries.
#[track_caller]
pub(crate) fn printed(config: &str, arguments: &[&str], code: i32) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letterhead.yaml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_letterhead"));
    command.args(arguments).current_dir(folder.path()).env_clear().env("CLIENT_SECRET", "secret-canary");
    let output = command.output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(!text.contains("canary"), "{text}");
    text
}
