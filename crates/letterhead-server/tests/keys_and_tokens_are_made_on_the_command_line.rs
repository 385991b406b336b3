//! `letterhead token` and `letterhead api-key`: what a newcomer types, and what then works.
#![expect(clippy::unwrap_used, reason = "the functions that tests share fail by panicking, as tests do")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const AGENTS: &str = "agents: { a: { instructions: 'For {{ caller.tenant_id }}/{{ caller.user_id }} by {{ caller.source }}, {{ claims.role }}.' } }";

struct Said {
    out: String,
    beside: String,
    worked: bool,
}

fn run(folder: &Path, arguments: &[&str]) -> Said {
    let output = command(folder).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { out: text(output.stdout), beside: text(output.stderr), worked: output.status.success() }
}

#[track_caller]
fn works(folder: &Path, arguments: &[&str]) -> Said {
    let said = run(folder, arguments);
    assert!(said.worked, "{arguments:?}: {}", said.beside);
    said
}

#[track_caller]
fn fails(folder: &Path, arguments: &[&str]) -> String {
    let said = run(folder, arguments);
    assert!(!said.worked, "{arguments:?} worked: {}{}", said.out, said.beside);
    said.beside
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_letterhead"));
    command.current_dir(folder).env_remove("LETTERHEAD_KEY").env_remove("LETTERHEAD_KEY_PREVIOUS").stdin(Stdio::null());
    command
}

/// A server that runs until it is dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut command = command(folder);
        let mut child = command.args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some(url) = line.strip_prefix("listening on ") {
                break url.to_owned();
            }
        };
        // It would stop at a pipe that nobody empties.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }

    /// Status and text of an answer.
    async fn say(&self, header: Option<(&str, &str)>) -> (u16, String) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(format!("{}/v1/chat/completions", self.url));
        let request = header.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let body = serde_json::json!({ "messages": [{ "role": "user", "content": "Hi" }] });
        let answer = request.json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder(yaml: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letterhead.yaml"), yaml).unwrap();
    folder
}

#[tokio::test]
async fn one_command_and_a_token_works() {
    let folder = folder(&format!("# Mine.\nstore: memory\n{AGENTS}"));
    let folder = folder.path();
    let config = folder.join("letterhead.yaml");
    let before = fs::read_to_string(&config).unwrap();
    // Without `--add` nothing is written but the key.
    let first = works(folder, &["token"]);
    assert!(first.beside.contains("letterhead token --add") && first.beside.contains("kty: OKP"), "{}", first.beside);
    assert_eq!(fs::read_to_string(&config).unwrap(), before);
    let added = works(folder, &["token", "--add"]);
    assert!(added.beside.contains("added `auth.jwt`"), "{}", added.beside);
    assert!(fs::read_to_string(&config).unwrap().starts_with(before.trim_end()));
    assert!(works(folder, &["check", "--strict"]).beside.contains("is valid"));

    let server = Server::start(folder);
    let second =
        works(folder, &["token", "--user", "ada", "--tenant", "acme", "--claim", "role=admin", "--claim", "n=[1]"]);
    assert_eq!(second.beside, "", "there is nothing left to say");
    for (token, told) in [
        (&first.out, "For default/developer by token, ."),
        (&added.out, "For default/developer by token, ."),
        (&second.out, "For acme/ada by token, admin."),
    ] {
        assert_eq!(token.lines().count(), 1);
        let (status, text) = server.say(Some(("authorization", &format!("Bearer {}", token.trim())))).await;
        assert!(status == 200 && text.contains(told), "{text}");
    }
    let header = format!("Authorization: Bearer {}", second.out.trim());
    let tried = works(folder, &["check", "-H", &header]);
    assert!(tried.out.contains("ada"), "{}", tried.out);
    assert_eq!(server.say(None).await.0, 401);
    // The key is this folder's alone: a token of another one's is refused.
    let elsewhere = self::folder(AGENTS);
    let other = works(elsewhere.path(), &["token"]).out;
    assert_eq!(server.say(Some(("authorization", &format!("Bearer {}", other.trim())))).await.0, 401);
}

#[test]
fn the_development_key_is_its_owners_and_made_once() {
    let folder = folder(AGENTS);
    let folder = folder.path();
    let file = folder.join("letterhead.dev-key.pem");
    let first = works(folder, &["token"]);
    assert!(first.beside.contains("letterhead.dev-key.pem: whoever has it"), "{}", first.beside);
    let key = fs::read_to_string(&file).unwrap();
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"), "openssl reads it, too");
    let again = works(folder, &["token"]);
    assert!(!again.beside.contains("whoever has it"));
    assert_eq!(fs::read_to_string(&file).unwrap(), key);
    assert!(
        !format!("{}{}{}{}", first.out, first.beside, again.out, again.beside).contains(key.lines().nth(1).unwrap())
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(fails(folder, &["token"]).contains("chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::write(&file, "nonsense").unwrap();
    assert!(fails(folder, &["token"]).contains("is no development key"));
}

#[test]
fn a_development_key_that_others_reach_is_warned_of() {
    let folder = folder(&format!("store: memory\n{AGENTS}"));
    let folder = folder.path();
    let config = folder.join("letterhead.yaml");
    works(folder, &["token", "--add"]);
    let warned = "tokens that `letterhead token` makes are believed";
    let started = |arguments: &[&str]| {
        let mut child = command(folder).args(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let told: Vec<String> = lines.take_while(|line| !line.starts_with("listening on")).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        told.join("\n")
    };
    assert!(started(&["serve", "--listen", "0.0.0.0:0"]).contains(warned));
    let here = started(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(!here.contains(warned), "{here}");

    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("server: {{ listen: '0.0.0.0:0' }}\n{text}")).unwrap();
    let outside = works(folder, &["check"]).beside;
    assert!(outside.contains(warned) && outside.contains("warning: "), "{outside}");
    assert!(fails(folder, &["check", "--strict"]).contains(warned));
    assert_eq!(started(&["serve"]).matches(warned).count(), 1);
}

#[test]
fn a_configuration_of_ones_own_is_not_changed_and_told_what_is_missing() {
    let secret = folder(&format!(
        "auth: {{ jwt: {{ issuer: i, audience: a, secret: {} }} }}\n{AGENTS}",
        "0123456789abcdef".repeat(4)
    ));
    assert!(fails(secret.path(), &["token"]).contains("for development use a file of its own"));
    assert!(!secret.path().join("letterhead.dev-key.pem").exists());
    let url =
        "auth: { jwt: { issuer: 'https://id.example.com', audience: a, jwks_url: 'https://id.example.com/keys' } }";
    let other = folder(&format!("{url}\n{AGENTS}"));
    assert!(fails(other.path(), &["token", "--add"]).contains("for development use a file of its own"));
    assert!(!other.path().join("letterhead.dev-key.pem").exists());
    let with_auth = folder(&format!("auth: {{ anonymous: deny }}\n{AGENTS}"));
    let said = fails(with_auth.path(), &["token", "--add"]);
    assert!(said.contains("has a section `auth` already") && said.contains("without `--add`"), "{said}");
    assert!(!with_auth.path().join("letterhead.dev-key.pem").exists());
    let told = works(with_auth.path(), &["token"]).beside;
    let (_, block) = told.split_once("section `auth`:\n\n").unwrap();
    let whole = folder(&format!("auth:\n  anonymous: deny\n{block}\n{AGENTS}"));
    let key = "letterhead.dev-key.pem";
    fs::copy(with_auth.path().join(key), whole.path().join(key)).unwrap();
    assert_eq!(works(whole.path(), &["token"]).beside, "", "what it told to add is what was missing");
    let flow = folder("{agents: {a: {}}}");
    let said = fails(flow.path(), &["token", "--add"]);
    assert!(said.contains("nothing can be added to"), "{said}");
    assert_eq!(fs::read_to_string(flow.path().join("letterhead.yaml")).unwrap(), "{agents: {a: {}}}");
    let broken = folder("agents: [");
    assert!(fails(broken.path(), &["token"]).contains("has faults; nothing was done"));
    assert!(!broken.path().join("letterhead.dev-key.pem").exists());
    let good = folder(AGENTS);
    for arguments in [["token", "--expires=0s"], ["token", "--expires=soon"], ["token", "--claim=x"]] {
        assert!(fails(good.path(), &arguments).contains("error:"));
    }
    assert!(fails(good.path(), &["token", "--expires=0s"]).contains("longer than nothing"));
    assert!(fails(good.path(), &["token", "--user="]).contains("an id is 1 to 256 bytes"));
    for (claim, told) in
        [("sub=root", "--user"), ("exp=1", "--expires"), ("tenant=x", "--tenant"), ("aud=x", "audience")]
    {
        let said = fails(good.path(), &["token", "--claim", claim]);
        assert!(said.contains("--claim: ") && said.contains(told), "{said}");
    }
    assert!(!good.path().join(key).exists());
}

#[tokio::test]
async fn an_api_key_is_made_listed_and_revoked_while_the_server_runs() {
    let folder = folder(&format!("store: sqlite://letterhead.db\nauth: {{ api_keys: true }}\n{AGENTS}"));
    let folder = folder.path();
    assert!(works(folder, &["api-key", "list"]).out.starts_with("no API keys"));
    let server = Server::start(folder);
    let made =
        works(folder, &["api-key", "new", "reports", "--tenant", "acme", "--expires", "90d", "--scope", "docs:write"]);
    let key = made.out.trim();
    assert!(made.beside.contains("it is not shown again") && !made.beside.contains(key), "{}", made.beside);
    let on_behalf = works(folder, &["api-key", "new", "app", "--on-behalf"]).out;
    let (status, text) = server.say(Some(("x-api-key", key))).await;
    assert!(status == 200 && text.contains("For acme/key:reports by api_key"), "{text}");

    let listed = works(folder, &["api-key", "list"]).out;
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 3, "{listed}");
    assert_eq!(rows[1][1..4], ["reports", "acme", "docs:write"]);
    assert_eq!((rows[2][1..4].to_vec(), rows[2][5]), (vec!["app", "default", "on-behalf"], "never"));
    for secret in [key, on_behalf.trim()] {
        assert!(!listed.contains(secret.rsplit('_').next().unwrap()), "{listed}");
    }
    // A dry run does not open the store, and says so.
    let tried = works(folder, &["check", "-H", &format!("X-Api-Key: {key}")]);
    assert!(tried.beside.contains("is not looked up") && tried.out.contains("key:unverified"), "{}", tried.out);
    assert!(!format!("{}{}", tried.out, tried.beside).contains(key));
    let tried = works(folder, &["check", "-H", &format!("Authorization: Bearer {key}"), "-H", "X-User-Id: ada"]);
    assert!(tried.out.contains("default/ada"), "{}", tried.out);
    let malformed = run(folder, &["check", "-H", "X-Api-Key: lh_x"]);
    assert!(!malformed.worked && malformed.out.contains("not of the form"), "{}", malformed.out);
    let revoked = works(folder, &["api-key", "revoke", rows[1][0]]);
    assert!(revoked.beside.contains(rows[1][0]));
    // The whole key will do, and is not told back.
    let secret = on_behalf.trim().rsplit('_').next().unwrap();
    assert!(!works(folder, &["api-key", "revoke", on_behalf.trim()]).beside.contains(secret));
    let listed = works(folder, &["api-key", "list"]).out;
    assert_eq!(listed.lines().filter(|line| line.ends_with("revoked")).count(), 2, "{listed}");
    assert!(fails(folder, &["api-key", "revoke", "0000000000000000"]).contains("there is no such key"));
}

#[test]
fn an_address_to_listen_at_is_read_as_in_the_configuration() {
    let folder = folder(&format!("store: memory\n{AGENTS}"));
    let said = fails(folder.path(), &["serve", "--listen", "myhost:1"]);
    assert!(said.contains("an IP address, or `localhost`, and a port"), "{said}");
    // Understood: what is missed next is the configuration.
    let said = fails(folder.path(), &["serve", "--listen", "localhost:0", "--config", "none.yaml"]);
    assert!(said.contains("none.yaml"), "{said}");
}

#[test]
fn keys_need_a_store_that_lasts_and_a_server_that_takes_them() {
    let memory = folder(&format!("store: memory\n{AGENTS}"));
    assert!(fails(memory.path(), &["api-key", "new", "x"]).contains("`store: memory` keeps nothing"));
    let closed = folder(AGENTS);
    let made = works(closed.path(), &["api-key", "new", "x"]);
    assert!(made.out.starts_with("lh_") && made.beside.contains("auth: { api_keys: true }"), "{}", made.beside);
    let again = works(closed.path(), &["api-key", "new", "x"]).beside;
    let id = made.out.split('_').nth(1).unwrap();
    assert!(again.contains(&format!("is called `x` too (id {id})")), "{again}");
    for differs in [&["api-key", "new", "y"][..], &["api-key", "new", "x", "--tenant", "acme"]] {
        assert!(!works(closed.path(), differs).beside.contains("too (id"), "{differs:?}");
    }
    works(closed.path(), &["api-key", "revoke", id]);
    let listed = works(closed.path(), &["api-key", "list"]).out;
    assert!(listed.lines().any(|line| line.starts_with(id) && line.ends_with("revoked")), "{listed}");
    for arguments in
        [&["api-key", "new", "a b"][..], &["api-key", "new", "x", "--scope", "everything"], &["api-key", "new"]]
    {
        assert!(fails(closed.path(), arguments).contains("error:"));
    }
}
