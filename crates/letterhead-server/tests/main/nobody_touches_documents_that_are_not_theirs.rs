//! CONTRACT 11: whatever callers do with documents, in whatever order and by whatever way in, each reads its own and what
//! its tenant shares; it changes its own; and of everything else it finds no sign.
//!
//! Random callers write, read, list, remove and look up; keys with the scope, and the command line, write what is shared. A
//! model of a few lines says what each must see.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use letterhead_store::postgres::{PostgresAddress, PostgresOptions};
use letterhead_store::{PostgresStore, Store, SystemClock};
use letterhead_testkit::Postgres;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::documents_belong_to_who_writes_them::api_key;
use crate::support::{Answered, House, PATIENCE, Send, app, memory, sqlite};

const YAML: &str = "auth: { api_keys: true, trust_identity_headers: loopback, anonymous: allow }\n\
                    agents: { assistant: { instructions: Hi., tools: [lookup] } }";
/// Users that are called like tenants, and the other way round.
const TENANTS: [&str; 2] = ["default", "ada"];
const USERS: [Option<&str>; 4] = [None, Some("ada"), Some("default"), Some("bob")];
/// Keys that all of them use.
const KEYS: [&str; 3] = ["faq", "ada", "bob"];
/// A key that nobody uses.
const NOBODYS: &str = "never-used";

#[derive(Clone, Copy, Debug)]
enum Does {
    /// Writes it, in one of two forms.
    Puts {
        json: bool,
    },
    /// Writes it where there was none.
    Makes,
    /// Writes or removes it as what somebody else has read there.
    ActsAsAnother {
        deletes: bool,
    },
    /// Tries to write or remove what is shared.
    Shares {
        deletes: bool,
    },
    Reads(Option<bool>),
    Lists,
    Deletes,
    LooksUp,
    /// The same by the command line, as this user or as nobody.
    Cli {
        deletes: bool,
    },
    CliLists,
    /// A key of the tenant with the scope writes, or removes, what is shared.
    KeyShares {
        deletes: bool,
    },
}

#[derive(Clone, Copy, Debug)]
struct Step {
    tenant: usize,
    user: usize,
    key: usize,
    does: Does,
    /// Which of several servers is asked.
    node: usize,
}

fn step(by_hand: u32) -> impl Strategy<Value = Step> {
    let does = prop_oneof![
        6 => any::<bool>().prop_map(|json| Does::Puts { json }),
        2 => Just(Does::Makes),
        3 => any::<bool>().prop_map(|deletes| Does::ActsAsAnother { deletes }),
        2 => any::<bool>().prop_map(|deletes| Does::Shares { deletes }),
        3 => any::<Option<bool>>().prop_map(Does::Reads),
        2 => Just(Does::Lists),
        3 => Just(Does::Deletes),
        6 => Just(Does::LooksUp),
        3 => any::<bool>().prop_map(|deletes| Does::KeyShares { deletes }),
        by_hand => any::<bool>().prop_map(|deletes| Does::Cli { deletes }),
        by_hand => Just(Does::CliLists),
    ];
    let places = (0..TENANTS.len(), 0..USERS.len(), 0..KEYS.len(), 0..2_usize);
    (places, does).prop_map(|((tenant, user, key, node), does)| Step { tenant, user, key, does, node })
}

/// What must be there: by tenant and user, none being all of a tenant; by key, what was written.
type Model = BTreeMap<(usize, Option<usize>), BTreeMap<usize, String>>;

/// The servers, and what else has a way to the documents.
struct Stage {
    nodes: Vec<House>,
    /// Of each tenant, with the scope.
    keys: Vec<String>,
    /// Where a configuration stands that names the same store, for the command line.
    folder: Option<PathBuf>,
    /// What was read of each document, for others to try.
    tags: Vec<String>,
    model: Model,
}

/// An answer without what differs from request to request.
fn without_request_id(answered: &Answered) -> (u16, Value) {
    let mut body = if answered.text.is_empty() { Value::Null } else { answered.json() };
    body["request_id"] = Value::Null;
    (answered.status, body)
}

impl Stage {
    fn ask(&self, step: Step, method: Method, path: &str) -> RequestBuilder {
        let request = self.nodes[step.node % self.nodes.len()].request(method, path);
        let request = request.header("x-tenant-id", TENANTS[step.tenant]);
        USERS[step.user].into_iter().fold(request, |request, user| request.header("x-user-id", user))
    }

    fn shelf(&self, tenant: usize, user: Option<usize>) -> Option<&BTreeMap<usize, String>> {
        self.model.get(&(tenant, user))
    }

    /// What the caller must find under a key, and whether it is shared.
    fn found(&self, step: Step, key: usize) -> Option<(&String, bool)> {
        let own = USERS[step.user].and_then(|_| self.shelf(step.tenant, Some(step.user))?.get(&key));
        let shared = self.shelf(step.tenant, None).and_then(|shared| shared.get(&key));
        own.map(|text| (text, false)).or(shared.map(|text| (text, true)))
    }

    /// Everything that the caller must see in a list, as `key text-as-title`.
    fn listed(&self, step: Step) -> Vec<(String, String)> {
        let mut rows: Vec<_> =
            (0..KEYS.len()).filter_map(|key| Some((KEYS[key].to_owned(), self.found(step, key)?.0.clone()))).collect();
        rows.sort();
        rows
    }

    async fn take(&mut self, step: Step, at: usize) {
        let text = format!("word-{at}-of-{}-{}", step.tenant, step.user);
        let path = |key: &str| format!("/api/v1/docs/{key}");
        let own = USERS[step.user].map(|_| (step.tenant, Some(step.user)));
        let there = own.and_then(|own| self.model.get(&own)).and_then(|own| own.get(&step.key)).is_some();
        let key = KEYS[step.key];
        // The title tells whose it is wherever the text does not stand.
        let body = json!({ "text": text, "title": text, "tags": [text] });
        match step.does {
            Does::Puts { .. } | Does::Makes => {
                let request = self.ask(step, Method::PUT, &path(key));
                let request = match step.does {
                    Does::Puts { json: true } => request.json(&body),
                    Does::Makes => request.json(&body).header("if-none-match", "*"),
                    _ => request
                        .header("content-type", "text/markdown")
                        .body(format!("---\ntitle: {text}\ntags: {text}\n---\n{text}")),
                };
                let answered = request.answered().await;
                let Some(own) = own else { return drop(answered.problem(401, "unauthenticated")) };
                // Whether others have one, or share one, makes no difference.
                let status = match (there, matches!(step.does, Does::Makes)) {
                    (false, _) => 201,
                    (true, false) => 200,
                    (true, true) => 412,
                };
                assert_eq!(answered.status, status, "{step:?}: {}", answered.text);
                if status != 412 {
                    self.tags.push(answered.header("etag").unwrap().to_owned());
                    self.model.entry(own).or_default().insert(step.key, text);
                }
            }
            Does::ActsAsAnother { deletes } => {
                // Of the last documents that anybody has written, none is this key of this caller.
                let current = self.ask(step, Method::GET, &format!("{}?shared=false", path(key))).answered().await;
                let current = current.header("etag").map(str::to_owned);
                let Some(tag) = self.tags.iter().rev().find(|tag| Some(*tag) != current.as_ref()).cloned() else {
                    return;
                };
                let method = if deletes { Method::DELETE } else { Method::PUT };
                let act = async |key: &str| {
                    let request = self.ask(step, method.clone(), &path(key)).header("if-match", &tag);
                    let request = if deletes { request } else { request.json(&body) };
                    request.answered().await
                };
                let (answered, absent) = (act(key).await, act(NOBODYS).await);
                assert_eq!(without_request_id(&answered), without_request_id(&absent), "{step:?}");
                assert_eq!(answered.status, if own.is_some() { 412 } else { 401 }, "{step:?}");
            }
            Does::Shares { deletes } => {
                let path = format!("{}?shared=true", path(key));
                let request = self.ask(step, if deletes { Method::DELETE } else { Method::PUT }, &path);
                let request = if deletes { request } else { request.json(&body) };
                request.answered().await.problem(403, "insufficient_scope");
            }
            Does::Reads(shared) => {
                let query = shared.map_or_else(String::new, |shared| format!("?shared={shared}"));
                let read =
                    async |key: &str| self.ask(step, Method::GET, &format!("{}{query}", path(key))).answered().await;
                let answered = read(key).await;
                let wanted = match shared {
                    None => self.found(step, step.key).map(|(text, _)| text),
                    Some(true) => self.shelf(step.tenant, None).and_then(|shared| shared.get(&step.key)),
                    Some(false) => own.and_then(|own| self.model.get(&own)?.get(&step.key)),
                };
                match wanted {
                    Some(text) => {
                        assert_eq!(answered.status, 200, "{step:?}: {}", answered.text);
                        assert_eq!(answered.json()["text"].as_str().unwrap().trim(), text, "{step:?}");
                    }
                    // Somebody else's looks as one that never was.
                    None => {
                        let absent = without_request_id(&read(NOBODYS).await);
                        assert_eq!((answered.status, without_request_id(&answered)), (404, absent), "{step:?}");
                    }
                }
            }
            Does::Lists => {
                let answered = self.ask(step, Method::GET, "/api/v1/docs").answered().await;
                let rows = answered.json()["data"].as_array().unwrap().clone();
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let rows: Vec<_> = rows.iter().map(|row| (text(&row["key"]), text(&row["title"]))).collect();
                assert_eq!(rows, self.listed(step), "{step:?}");
                // Nor does a tag lead to anybody else's.
                for tag in self.model.values().flat_map(BTreeMap::values).take(8) {
                    let listed = self.ask(step, Method::GET, &format!("/api/v1/docs?tag={tag}")).answered().await;
                    let mine = self.listed(step).iter().any(|(_, text)| text == tag);
                    assert_eq!(listed.text.contains(tag.as_str()), mine, "{step:?}");
                }
            }
            Does::Deletes => {
                let answered = self.ask(step, Method::DELETE, &path(key)).answered().await;
                let Some(own) = own else { return drop(answered.problem(401, "unauthenticated")) };
                if self.model.get_mut(&own).and_then(|own| own.remove(&step.key)).is_some() {
                    assert_eq!(answered.status, 204, "{step:?}");
                } else {
                    let absent = self.ask(step, Method::DELETE, &path(NOBODYS)).answered().await;
                    assert_eq!(without_request_id(&answered), without_request_id(&absent), "{step:?}");
                    assert_eq!(answered.status, 404);
                }
            }
            Does::LooksUp => {
                let say = json!({ "messages": [{ "role": "user", "content": format!("/lookup {key}") }] });
                let request = self.ask(step, Method::POST, "/v1/chat/completions").json(&say);
                let said = request.answered().await.content();
                match self.found(step, step.key) {
                    Some((text, shared)) => {
                        let whose = if shared { "shared" } else { "the person's own" };
                        let wanted = format!("‹document {key} ({text}), {whose}›\n{text}");
                        assert!(said.trim().ends_with(&wanted), "{step:?}: {said}, not {wanted}");
                    }
                    None => {
                        assert!(said.contains(&format!("There is no document `{key}`.")), "{step:?}: {said}");
                        let near = said.split_once("Known keys: ").map_or("", |(_, near)| near);
                        for known in near.trim_end_matches('.').split(", ").filter(|known| !known.is_empty()) {
                            let known = known.trim_matches('`');
                            assert!(self.listed(step).iter().any(|(key, _)| key == known), "{step:?}: {said}");
                        }
                    }
                }
            }
            Does::KeyShares { deletes } => {
                let path = format!("{}?shared=true", path(key));
                let method = if deletes { Method::DELETE } else { Method::PUT };
                let house = &self.nodes[step.node % self.nodes.len()];
                // What the headers say of tenant and user counts for nothing beside a key.
                let request = house.request(method, &path).bearer_auth(&self.keys[step.tenant]);
                let request = request.header("x-tenant-id", TENANTS[1 - step.tenant]);
                let request = if deletes { request } else { request.json(&body) };
                let answered = request.answered().await;
                let shared = self.model.entry((step.tenant, None)).or_default();
                let was_there =
                    if deletes { shared.remove(&step.key) } else { shared.insert(step.key, text) }.is_some();
                let status = match (deletes, was_there) {
                    (true, true) => 204,
                    (true, false) => 404,
                    (false, true) => 200,
                    (false, false) => 201,
                };
                assert_eq!(answered.status, status, "{step:?}: {}", answered.text);
            }
            Does::Cli { deletes } => {
                let Some(folder) = self.folder.clone() else { return };
                let file = folder.join("document.md");
                std::fs::write(&file, format!("---\nentity_key: {key}\ntitle: {text}\ntags: {text}\n---\n{text}"))
                    .unwrap();
                let arguments = if deletes { ["rm", key] } else { ["add", "document.md"] };
                let (worked, said) = self.types(step, &arguments);
                let shelf = self.model.entry((step.tenant, USERS[step.user].map(|_| step.user))).or_default();
                let was_there = if deletes { shelf.remove(&step.key) } else { shelf.insert(step.key, text) }.is_some();
                assert_eq!(worked, !deletes || was_there, "{step:?}: {said}");
                let did = if was_there { "replaced" } else { "added" };
                assert!(deletes || said.starts_with(did), "{step:?}: {said}");
            }
            Does::CliLists => {
                if self.folder.is_none() {
                    return;
                }
                let (worked, said) = self.types(step, &["list"]);
                let rows =
                    said.lines().skip(1).map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
                let rows: Vec<String> = if said.starts_with("no documents") { vec![] } else { rows.collect() };
                let wanted: Vec<String> = self.listed(step).iter().map(|(key, text)| format!("{key} {text}")).collect();
                assert!(worked && rows == wanted, "{step:?}: {said}, not {wanted:?}");
            }
        }
    }

    /// `letterhead docs`, for the tenant and the user of a step: whether it worked, and what it said.
    fn types(&self, step: Step, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_letterhead"));
        command.current_dir(self.folder.as_ref().unwrap()).args(["docs", "--tenant", TENANTS[step.tenant]]);
        if let Some(user) = USERS[step.user] {
            command.args(["--user", user]);
        }
        let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }
}

/// Plays random stories, each on fresh stores: one for each node, and where the command line finds them.
fn play(stories: u32, by_hand: u32, stores: impl Fn() -> (Vec<Arc<dyn Store>>, Option<(PathBuf, String)>)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        cases: stories,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    });
    let played = runner.run(&prop::collection::vec(step(by_hand), 1..80), |story| {
        runtime.block_on(async {
            let (stores, place) = stores();
            let mut keys = Vec::new();
            for tenant in TENANTS {
                keys.push(api_key(&*stores[0], tenant, &["docs:write"], false).await);
            }
            let mut nodes = Vec::new();
            for store in stores {
                nodes.push(House::serve(app("http://127.0.0.1:1", YAML, || store), PATIENCE).await);
            }
            let folder = place.map(|(folder, store)| {
                std::fs::write(folder.join("letterhead.yaml"), format!("store: '{store}'\n{YAML}")).unwrap();
                folder
            });
            let mut stage = Stage { nodes, keys, folder, tags: Vec::new(), model: Model::new() };
            for (at, step) in story.into_iter().enumerate() {
                stage.take(step, at).await;
            }
            for house in stage.nodes {
                house.stopped().await;
            }
        });
        Ok(())
    });
    if let Err(fault) = played {
        panic!("{fault}");
    }
}

/// A new folder within one.
fn folder_in(folder: &tempfile::TempDir, count: &AtomicUsize) -> PathBuf {
    let path = folder.path().join(count.fetch_add(1, Ordering::Relaxed).to_string());
    std::fs::create_dir(&path).unwrap();
    path
}

#[test]
fn in_memory() {
    play(32, 1, || (vec![memory()], None));
}

#[test]
fn in_sqlite_with_the_command_line_beside() {
    let (folder, count) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    play(12, 2, || {
        let folder = folder_in(&folder, &count);
        (vec![sqlite(&folder.join("letterhead.db"), None)], Some((folder, "sqlite://letterhead.db".to_owned())))
    });
}

#[test]
fn on_two_nodes_with_one_postgresql_and_the_command_line() {
    let Some(postgres) = Postgres::shared() else { return };
    let (folder, count) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    play(6, 1, || {
        let url = postgres.url(&postgres.database());
        let address: PostgresAddress = url.parse().unwrap();
        let node = || {
            let options = PostgresOptions { connections: 4, ..PostgresOptions::default() };
            let store = PostgresStore::open(&address, options, Arc::new(SystemClock)).unwrap();
            Arc::new(store) as Arc<dyn Store>
        };
        (vec![node(), node()], Some((folder_in(&folder, &count), url)))
    });
}
