//! What somebody types who has read little: it works, or says what to write instead.
#![expect(clippy::unwrap_used, reason = "the functions that tests share fail by panicking, as tests do")]

mod printing;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use printing::printed;

const YAML: &str = "store: memory\nagents: { a: { instructions: Hi. } }\n";

/// A file of this name, alone in its folder.
fn folder(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), YAML).unwrap();
    folder
}

/// Where a server says that it listens; it is ended.
fn listens(folder: &Path, arguments: &[&str]) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_letterhead"))
        .arg("serve")
        .args(arguments)
        .current_dir(folder)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines().next().unwrap().unwrap();
    let _ = child.kill();
    child.wait().unwrap();
    said
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_letterhead"));
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn a_file_may_be_named_without_an_option_and_a_port_alone() {
    let folder = folder("mine.yaml");
    let folder = folder.path();
    let said = listens(folder, &["mine.yaml", "-p", "0"]);
    let port = said.strip_prefix("listening on http://127.0.0.1:");
    assert!(port.is_some_and(|port| !matches!(port, "0" | "8080")), "{said}");
    for command in ["check", "map"] {
        let output = Command::new(env!("CARGO_BIN_EXE_letterhead"))
            .args([command, "mine.yaml"])
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}");
    }
    let said = refused(folder, &["serve", "other.yaml"]);
    assert!(said.contains("other.yaml"), "{said}");
    let said = refused(folder, &["serve", "mine.yaml", "--config", "mine.yaml"]);
    assert!(said.contains("cannot be used with"), "{said}");
    let said = refused(folder, &["serve", "mine.yaml", "--port", "1", "--listen", "127.0.0.1:2"]);
    assert!(said.contains("cannot be used with"), "{said}");
    // The port changes nothing of who may reach the server.
    fs::write(folder.join("open.yaml"), format!("server: {{ listen: '0.0.0.0:1' }}\n{YAML}")).unwrap();
    let said = refused(folder, &["serve", "open.yaml", "--port", "0"]);
    assert!(said.contains("0.0.0.0:0 can be reached from outside"), "{said}");
}

#[test]
fn a_key_in_the_wrong_section_is_told_where_it_belongs() {
    for (agent, help) in [
        ("history: { max_tokens: 5000 }", "it belongs at the top of the file or in `agents.NAME.delegates[…]`"),
        ("approve: true", "it belongs in `mcp_servers.NAME` or in `tools.NAME`"),
        ("store: memory", "it belongs at the top of the file"),
        ("ttl: 1h", "it belongs in `context.NAME` or in `sessions`"),
        ("temperature: 0.2", "write it below `params`, as `params: { temperature: … }`"),
        ("instrctions: Hi", "did you mean `instructions`?"),
        ("zzz: 1", "the keys here are `description`"),
        ("name: a", "its name is the key that it stands under: `a`"),
        ("system_prompt: Hi", "here it is called `instructions`"),
        // It may belong to more sections than anybody wants to read of.
        ("url: x", "the keys here are `description`"),
    ] {
        let told = printed(&format!("agents: {{ a: {{ {agent} }} }}\n"), &["check"], 1);
        assert!(told.contains(help), "{agent}: {told}");
    }
    for (section, help) in [
        ("server: { port: 80 }", "here it is called `listen`"),
        ("server: { name: a }", "the keys here are `listen`"),
        ("tools: { t: { url: 'https://a', name: u } }", "its name is the key that it stands under: `t`"),
        ("mcp_servers: { fs: { url: 'https://a', command: npx } }", "it cannot be started as a program yet"),
        (
            "providers: { p: { kind: openai, timeout: 5s } }",
            "one of `connect_timeout`, `first_byte_timeout`, `idle_timeout`",
        ),
    ] {
        let told = printed(&format!("{section}\nagents: {{ a: {{}} }}\n"), &["check"], 1);
        assert!(told.contains(help), "{section}: {told}");
    }
    let told = printed("agents: { a: { delegates: [{ name: b }] } }\n", &["check"], 1);
    assert!(told.contains("here it is called `agent`"), "{told}");
    let told = printed("agents: [{ name: a }]\n", &["check"], 1);
    assert!(told.contains("1 error") && told.contains("must be a map"), "{told}");
    let told = printed("instructions: Hi.\nagents: { a: {} }\n", &["check"], 1);
    assert!(told.contains("it belongs in `agents.NAME`"), "{told}");
}

#[test]
fn faults_of_the_declaration_hide_no_others() {
    let wrong = "
headers:
  required: [nobody]
  properties:
    user_id: { type: strin }
    authorization: { type: string }
    auth_token: { type: string, writeOnly: true, pattern: '(' }
runtime_headers: [Cookie]
context:
  user: { url: 'http://10.0.0.1/{{ headers.user_id }}' }
agents:
  a: { instructions: 'For {{ headers.user_id }}, {{ headers.user_di }} and {{ headers.auth_token }} {{ user }}.' }
";
    let told = printed(wrong, &["check"], 1);
    for place in ["3:14", "5:22", "6:5", "7:", "8:19", "10:16", "12:53", "12:79"] {
        assert!(told.contains(&format!("letterhead.yaml:{place}")), "{place}: {told}");
    }
    assert!(told.contains("did you mean `headers.user_id`?") && told.contains("egress"), "{told}");
    assert!(!told.contains("12:30"), "`user_id` is there, although its type is wrong: {told}");
}

#[test]
fn headers_without_properties_are_told_where_to_go_and_hide_nothing_else() {
    let wrong = "headers:\n  user_id: { type: string }\nagents: { a: { instructions: 'Hi {{ headers.user_di }}' } }\n";
    let told = printed(wrong, &["check"], 1);
    assert!(told.contains("a header is declared under `properties`, as `properties: { user_id: … }`"), "{told}");
    assert!(told.contains("did you mean `headers.user_id`?") && told.contains("2 errors"), "{told}");
}

#[test]
fn a_secret_that_is_written_down_is_warned_of_and_not_shown() {
    let token = "sk-proj-canary0123456789abcdef";
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.canary";
    let file = format!(
        "
providers:
  own: {{ kind: openai, base_url: 'http://127.0.0.1:1/v1', api_key: {token} }}
  plain: {{ kind: openai, base_url: 'http://127.0.0.1:1/v1', api_key: 0123456789canary0123456789 }}
  local: {{ kind: openai, base_url: 'http://127.0.0.1:1/v1', api_key: not-needed }}
tools:
  t: {{ url: 'https://api.example.com/', headers: {{ X-Org: 'a {token}' }}, body: {{ api_key: {token} }} }}
agents:
  a:
    tools: [t]
    instructions: |
      Hello.
      Use {jwt} for it.
# {token}
"
    );
    let told = printed(&file, &["check"], 0);
    for part in [
        "letterhead.yaml:3:59: warning: the provider's key is written into this file",
        "letterhead.yaml:4:61: warning: the provider's key is written into this file",
        "letterhead.yaml:7:62: warning: this looks like an access token that is written into this file",
        "letterhead.yaml:7:114: warning: this looks like an access token that is written into this file",
        "letterhead.yaml:13:11: warning: this looks like an access token, and every model that reads this text is sent it",
        "5 warnings",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // Nor where its line is no YAML, or it stands where a name belongs.
    let told = printed(&file.replace("'a sk-", "'a' sk-"), &["check"], 1);
    assert!(told.contains("letterhead.yaml:7:") && told.contains("X-Org"), "{told}");
    let key = "{ kind: openai, api_key: '${hf_canary0123456789abcdefgh}' }";
    let told = printed(&format!("providers: {{ p: {key} }}\nagents: {{ a: {{}} }}\n"), &["check"], 1);
    assert!(told.contains("the environment variable `***"), "{told}");
}

#[test]
fn what_is_wrong_with_a_definition_is_no_fault_of_those_who_use_it() {
    let file = "context: { user: { url: '${NOWHERE}/users' } }
tools: { t: { description: a } }
mcp_servers: { s: { url: '${NOWHERE}' } }
external_agents: { e: { description: a, url: '${NOWHERE}' } }
providers: { openai: { kind: openai, api_key: '${NOWHERE}' } }
model: openai:m
agents: { a: { instructions: 'Help {{ user.name }}.', tools: [s, t], delegates: [e] } }
";
    let told = printed(file, &["check"], 1);
    assert!(told.contains("5 errors") && !told.contains("warning"), "{told}");
    assert!(told.contains("`url` is missing in `tools.t`") && !told.contains("letterhead.yaml:7:"), "{told}");
}

#[test]
fn names_without_their_beginning_are_met_with_the_whole() {
    let agents = "agents: { a: { instructions: 'Help {{ user_id }}.', handoffs: [b] } }\n";
    let told = printed(&format!("headers: {{ properties: {{ user_id: {{}} }} }}\n{agents}"), &["check"], 1);
    assert!(told.contains("there is no `user_id`: did you mean `headers.user_id`?"), "{told}");
    assert!(told.contains("no agent is called `b`") && told.contains("there are no other agents"), "{told}");
    let provider = "providers: { p: { kind: openai, api_key: $OPENAI_API_KEY } }\nmodel: p:m\nagents: { a: {} }\n";
    let told = printed(provider, &["check"], 0);
    assert!(
        told.contains("the provider's key is written into this file") && told.contains("`api_key: \"${NAME}\"`"),
        "{told}"
    );
}
