//! `letterhead docs`: files become documents, all of them or none, beside a server that runs.
#![expect(clippy::unwrap_used, reason = "the functions that tests share fail by panicking, as tests do")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const YAML: &str = "store: sqlite://letterhead.db\nlimits: { document_size: 2KiB }\n\
                    agents: { a: { instructions: Hi., tools: [lookup] } }\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letterhead.yaml"), YAML).unwrap();
    folder
}

/// Whether it worked, what it printed, and what it said beside.
fn run(folder: &Path, arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_letterhead"));
    let output = command.current_dir(folder).args(arguments).env_remove("LETTERHEAD_KEY").stdin(Stdio::null()).output();
    let output = output.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn works(folder: &Path, arguments: &[&str]) -> String {
    let (worked, out, beside) = run(folder, arguments);
    assert!(worked, "{arguments:?}: {beside}");
    out
}

#[track_caller]
fn fails(folder: &Path, arguments: &[&str]) -> String {
    let (worked, out, beside) = run(folder, arguments);
    assert!(!worked && out.is_empty(), "{arguments:?} worked: {out}{beside}");
    beside
}

/// The rows of a list, each as its words.
fn rows(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let listed = works(folder, arguments);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    listed.lines().skip(1).map(words).collect()
}

#[test]
fn files_are_found_by_their_front_matter_or_their_name() {
    let folder = folder();
    let folder = folder.path();
    fs::create_dir(folder.join("texts")).unwrap();
    let head =
        "---\nentity_key: Delivery-Times\ntitle: Delivery times\ntags: [orders, shipping]\nlayout: page\n---\n\n";
    fs::write(folder.join("texts/a.md"), format!("{head}# Delivery\n\nThree days.\n")).unwrap();
    fs::write(folder.join("texts/Return_Policy.v2.md"), "Within 30 days.\n").unwrap();
    fs::write(folder.join("texts/other-site.txt"), "---\nlayout: default\ntitle: Other\n---\nText.\n").unwrap();
    assert!(works(folder, &["docs", "list"]).starts_with("no documents; `letterhead docs add FILE`"));

    let said = works(folder, &["docs", "add", "texts/a.md", "texts/Return_Policy.v2.md", "texts/other-site.txt"]);
    assert_eq!(
        said,
        "added delivery-times (24 B) for everybody of the tenant `default`, from texts/a.md\n\
         added return_policy.v2 (16 B) for everybody of the tenant `default`, from texts/Return_Policy.v2.md\n\
         added other-site (6 B) for everybody of the tenant `default`, from texts/other-site.txt\n"
    );
    let listed = rows(folder, &["docs", "list"]);
    assert_eq!(listed.len(), 3);
    assert!(listed[0].starts_with("delivery-times Delivery times orders, shipping shared 24 B 20"), "{listed:?}");
    assert!(listed[1].starts_with("other-site Other - shared 6 B 20"), "{listed:?}");
    assert_eq!(rows(folder, &["docs", "list", "--tag", "orders"]).len(), 1);

    fs::write(folder.join("texts/a.md"), format!("{head}Two days.\n")).unwrap();
    let said = works(folder, &["docs", "add", "texts/a.md", "--user", "ada", "--tenant", "acme"]);
    assert_eq!(said, "added delivery-times (10 B) for the user `ada` of the tenant `acme`, from texts/a.md\n");
    let said = works(folder, &["docs", "add", "texts/a.md"]);
    assert_eq!(said, "replaced delivery-times (10 B) for everybody of the tenant `default`, from texts/a.md\n");
    assert_eq!(rows(folder, &["docs", "--tenant", "acme", "list"]).len(), 0);
    let hers = rows(folder, &["docs", "list", "--tenant", "acme", "--user", "ada"]);
    assert!(hers.len() == 1 && hers[0].contains(" ada 10 B"), "{hers:?}");

    assert_eq!(
        works(folder, &["docs", "rm", "DELIVERY-times", "other-site"]),
        "removed delivery-times\nremoved other-site\n"
    );
    let (worked, out, beside) = run(folder, &["docs", "rm", "other-site", "return_policy.v2", "../x"]);
    assert!(!worked && out == "removed return_policy.v2\n", "{out}{beside}");
    assert!(beside.contains("no document `other-site`, `../x` that the tenant `default` shares"), "{beside}");
    let beside = fails(folder, &["docs", "rm", "delivery-times", "--user", "bob", "--tenant", "acme"]);
    assert!(beside.contains("of the user `bob` of the tenant `acme`"), "{beside}");
    let beside = fails(folder, &["docs", "rm", "delivery-times", "--tenant", "acme"]);
    assert!(beside.contains("`--user ID` removes a document of that user"), "{beside}");
    let elsewhere = fails(folder, &["docs", "list", "--config", "other.yaml"]);
    assert!(
        elsewhere.contains("other.yaml has faults"),
        "an option of the command may follow what is done: {elsewhere}"
    );
    assert_eq!(rows(folder, &["docs", "list", "--tenant", "acme", "--user", "ada"]).len(), 1);
}

#[test]
fn what_is_wrong_with_one_file_keeps_all_out_and_everything_is_told() {
    let folder = folder();
    let folder = folder.path();
    for (name, content) in [
        ("good.md", &b"fine"[..]),
        ("yaml.md", b"---\ntitle: a: b\n---\nx"),
        ("open.md", b"---\ntitle: a\nx"),
        ("key.md", b"---\n\nentity_key: a/b\n---\nx"),
        ("typo.md", b"---\nentity-key: a\n---\nx"),
        ("same.md", b"---\nentity_key: GOOD\n---\nx"),
        ("latin.md", b"one\ntwo na\xefve"),
        ("binary.md", b"one\n\0\x01"),
        ("empty.md", b"---\ntitle: a\n---\n\n"),
        ("my notes.md", b"x"),
        (".hidden", b"x"),
    ] {
        fs::write(folder.join(name), content).unwrap();
    }
    fs::write(folder.join("huge.md"), vec![b'x'; 3000]).unwrap();
    fs::create_dir(folder.join("inside")).unwrap();
    let files = [
        "good.md",
        "yaml.md",
        "open.md",
        "key.md",
        "typo.md",
        "same.md",
        "latin.md",
        "binary.md",
        "empty.md",
        "my notes.md",
        ".hidden",
        "letterhead.yaml",
        "huge.md",
        "inside",
        "nowhere.md",
    ];
    let beside = fails(folder, &[&["docs", "add"], &files[..]].concat());
    for says in [
        "yaml.md:2:9",
        "not valid YAML",
        "open.md:1:1",
        "does not end",
        "key.md:3:13",
        "a key is 1 to 128 letters",
        "typo.md:2:1",
        "did you mean `entity_key`?",
        "same.md: good.md has the key `good` too",
        "latin.md: line 2 is not UTF-8",
        "binary.md",
        "line 2 has control characters",
        "empty.md",
        "the document has no text",
        "my notes.md: its name cannot be its key",
        "say one by `entity_key`",
        ".hidden: a document's name ends with `.md`, `.markdown` or `.txt`",
        "letterhead.yaml: a document's name ends with",
        "huge.md: it has more than 2048 bytes (`limits.document_size`)",
        "inside: it is no file",
        "nowhere.md: No such file",
        "letterhead: nothing was added",
    ] {
        assert!(beside.contains(says), "{says}\n---\n{beside}");
    }
    assert!(!beside.contains("panicked"), "{beside}");
    assert!(works(folder, &["docs", "list"]).starts_with("no documents"));
}

#[test]
fn a_store_in_memory_has_no_command_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letterhead.yaml"), YAML.replace("sqlite://letterhead.db", "memory")).unwrap();
    let beside = fails(folder.path(), &["docs", "list"]);
    assert!(beside.contains("PUT /api/v1/docs/KEY"), "{beside}");
    fs::write(folder.path().join("letterhead.yaml"), "agent: {}").unwrap();
    assert!(fails(folder.path(), &["docs", "list"]).contains("nothing was done"));
    for arguments in
        [&["docs", "add"][..], &["docs", "rm"], &["docs", "list", "--tenant", ""], &["docs", "list", "--user", " a"]]
    {
        assert!(fails(folder.path(), arguments).contains("error:"), "{arguments:?}");
    }
}

#[test]
fn where_tokens_name_tenants_the_default_one_is_remarked_on() {
    let folder = folder();
    let folder = folder.path();
    fs::write(folder.join("hours.md"), "Nine to five.\n").unwrap();
    let (worked, _, beside) = run(folder, &["docs", "add", "hours.md"]);
    assert!(worked && !beside.contains("--tenant"), "{beside}");
    let secret = "s".repeat(32);
    let claim = |claim: &str| {
        let jwt = format!("auth: {{ jwt: {{ issuer: i, audience: a, secret: {secret}{claim} }} }}\n");
        fs::write(folder.join("letterhead.yaml"), format!("{YAML}{jwt}")).unwrap();
    };
    claim("");
    assert!(!run(folder, &["docs", "add", "hours.md"]).2.contains("--tenant"), "all are of one tenant");
    claim(", tenant_claim: org");
    let (worked, _, beside) = run(folder, &["docs", "add", "hours.md"]);
    assert!(worked && beside.contains("add `--tenant ID`"), "{beside}");
    assert!(!run(folder, &["docs", "add", "--tenant", "acme", "hours.md"]).2.contains("--tenant"));
}
