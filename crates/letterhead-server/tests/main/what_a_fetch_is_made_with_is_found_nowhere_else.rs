//! CONTRACT 2.5, 3 and 13: a secret goes to the API that a fetcher or a tool names, and is found nowhere else: in no
//! prompt, no answer, no file, no log, whatever the API does with it.

use std::path::Path;
use std::process::Command;

use letterhead_testkit::{Postgres, ScriptedApi};

use crate::support::canary::{BILLING, CRM, ENV, KEY, NEWER, SECRETS, Setting, is_clean, is_shown};
use crate::support::{Send, key};

#[tokio::test]
async fn not_in_answers_nor_prompts_nor_files_nor_debug() {
    for vault in [None, Some(KEY)] {
        let setting = Setting::new().await;
        let house = setting.house(vault).await;
        setting.exercise(&house.url("")).await;
        let app = &house.app;
        let parts = format!("{:#?} {:#?} {:#?} {:#?}", app.registry, app.ingress, app.auth, app.edge);
        is_clean("Debug of the application", parts);
        let session = app.store.session(&key(None, None, "s")).await.unwrap().unwrap();
        let kept = session.variables.iter().find(|kept| kept.name.as_ref() == "whole_kept").unwrap();
        assert!(kept.secret && is_shown(kept.value.to_string().as_bytes()).is_some(), "it is kept, in memory");
        is_clean("Debug of a session", format!("{session:#?}"));
        setting.files_are_clean();
        house.stopped().await;
        setting.files_are_clean();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn not_in_a_database_of_postgresql_nor_in_its_log() {
    // One of its own: nobody else writes into its log.
    let Some(postgres) = Postgres::start() else { return };
    for vault in [None, Some(KEY)] {
        let database = postgres.database();
        // Every statement with its parameters, as an operator may have it logged.
        postgres.sql(&database, "ALTER SYSTEM SET log_min_duration_statement = 0");
        postgres.sql(&database, "SELECT pg_reload_conf()");
        let setting = Setting::on(Some(postgres.url(&database))).await;
        let house = setting.house(vault).await;
        setting.exercise(&house.url("")).await;
        house.stopped().await;
        let tables = postgres.sql(&database, "SELECT tablename FROM pg_tables WHERE schemaname = 'letterhead'");
        let rows = |table: &str| postgres.sql(&database, &format!("SELECT * FROM letterhead.{table}"));
        let written: Vec<String> = tables.lines().map(rows).collect();
        // What is binary is written in hexadecimal, which the search knows.
        is_clean("the database", written.join("\n"));
        assert!(written.iter().any(|rows| rows.contains("u_1")), "nothing was written: {tables}");
    }
    assert!(postgres.log().contains("u_1"), "parameters are not logged");
    is_clean("the database's log", postgres.log());
}

#[tokio::test]
async fn not_in_the_logs_at_trace_nor_in_what_a_crash_leaves_behind() {
    let setting = Setting::new().await;
    let program = setting.program(0, Some(KEY)).await;
    setting.exercise(&program.url).await;
    program.kill();
    setting.files_are_clean();

    let mut program = setting.program(1, None).await;
    setting.exercise(&program.url).await;
    program.terminate();
    assert!(program.ended().await.success());
    assert!(program.said().contains("/api/v1/chat/completions/{session_id}"), "nothing was logged");
    setting.files_are_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn not_in_what_the_command_line_says() {
    let setting = Setting::new().await;
    let config = setting.config();
    let run = |arguments: &[&str], env: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_letterhead"));
        command.args(arguments).args(["--config", config.to_str().unwrap()]);
        command.env("RUST_LOG", "trace").env_remove("LETTERHEAD_KEY_PREVIOUS").env("LETTERHEAD_KEY", KEY);
        let output = command.envs(env.iter().copied()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        is_clean(&arguments.join(" "), &said);
        said
    };
    let sent = SECRETS.map(|(name, value)| format!("{name}: {value}"));
    let dry: Vec<&str> = ["check"].into_iter().chain(sent.iter().flat_map(|header| ["-H", header])).collect();
    let env = [CRM, ENV];
    assert!(run(&dry, &env).contains("********"));
    let fetched = run(&[&dry[..], &["--fetch"]].concat(), &env);
    assert!(fetched.contains("You help Ada Ada Ada Ada Ada"), "{fetched}");
    for refused in ["..", "=?base64?Li4KdG9rLWM0bjRyeQ==?="] {
        let header = format!("auth_token: {refused}");
        run(&["check", "--agent", "failing", "-H", "user_id: u_1", "-H", &header, "--fetch"], &env);
    }
    run(&["map"], &env);
    run(&["map", "--format", "json"], &env);
    // A session that has it all, while a server has the store, and after that.
    let mut program = setting.program(0, Some(KEY)).await;
    setting.exercise(&program.url).await;
    assert!(run(&["export", "s"], &env).contains(r#""name": "whole_kept""#));
    program.terminate();
    assert!(program.ended().await.success());
    assert!(run(&["export", "s"], &env).contains("headers.auth_token"));
    // What a start that fails leaves: a credential that is none, one that is not there, keys that are none.
    std::fs::write(setting.folder.path().join("billing-token"), format!("{BILLING}\n{BILLING}\n")).unwrap();
    run(&["check"], &env);
    std::fs::remove_file(setting.folder.path().join("billing-token")).unwrap();
    run(&["check"], &[CRM, (ENV.0, "env-c4n4ry\u{7}")]);
    run(&["serve", "--listen", "127.0.0.1:0"], &[CRM]);
    run(&["serve", "--listen", "127.0.0.1:0"], &[CRM, ENV, ("LETTERHEAD_KEY", &KEY[1..])]);
}

/// The places that were asked since the last look.
fn asked(api: &ScriptedApi, seen: &mut usize) -> Vec<String> {
    let requests = api.requests();
    let new = requests.iter().skip(*seen).map(|request| request.route().to_owned()).collect();
    *seen = requests.len();
    new
}

/// What is fetched in every turn.
const EACH_TURN: [&str; 1] = ["/whole_turn"];

#[tokio::test]
async fn with_another_key_what_was_kept_is_gone_and_fetched_again() {
    let setting = Setting::new().await;
    let say = async |key: Option<&str>, headers: &[(&str, &str)]| {
        let house = setting.house(key).await;
        let post = headers.iter().fold(house.say_in("s", "Hi"), |post, (name, value)| post.header(*name, *value));
        let answered = post.answered().await;
        house.stopped().await;
        answered
    };
    let mut seen = 0;
    assert_eq!(say(Some(KEY), &SECRETS).await.status, 200);
    assert_eq!(asked(&setting.api, &mut seen).len(), 9);
    assert_eq!(say(Some(KEY), &[]).await.status, 200);
    assert_eq!(asked(&setting.api, &mut seen), EACH_TURN, "with the key it is kept");
    // Neither the token is there, nor what was fetched with it. Once the client has sent it again, all is as before.
    assert_eq!(say(Some(NEWER), &[]).await.status, 502);
    assert!(asked(&setting.api, &mut seen).iter().all(|path| !path.contains("tok-c4n4ry")));
    assert_eq!(say(Some(NEWER), &SECRETS).await.status, 200);
    assert!(asked(&setting.api, &mut seen).contains(&"/whole_kept".to_owned()));
    assert_eq!(say(Some(NEWER), &[]).await.status, 200);
    assert_eq!(asked(&setting.api, &mut seen), EACH_TURN);
    assert_eq!(say(None, &[]).await.status, 502);
}

#[tokio::test]
async fn a_kept_value_that_is_moved_to_another_session_is_not_read_there() {
    let setting = Setting::new().await;
    let house = setting.house(Some(KEY)).await;
    for session in ["s", "t"] {
        let post = SECRETS.iter().fold(house.say_in(session, "Hi"), |post, (name, value)| post.header(*name, *value));
        assert_eq!(post.answered().await.status, 200);
    }
    house.stopped().await;
    swap_sealed(&setting.data().join("letterhead.db"));

    let mut seen = setting.api.requests().len();
    let house = setting.house(Some(KEY)).await;
    assert_eq!(house.say_in("s", "Hi").answered().await.status, 200, "the headers were not touched");
    let again = asked(&setting.api, &mut seen);
    assert!(again.contains(&"/whole_kept".to_owned()), "{again:?}");
    house.stopped().await;
}

/// Puts what one session keeps into the other's place, as who can write to the file could.
fn swap_sealed(database: &Path) {
    let database = rusqlite::Connection::open(database).unwrap();
    let sessions: (i64, i64) = database
        .query_row("SELECT min(session), max(session) FROM variables", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let moved = "UPDATE variables SET body = (SELECT body FROM variables AS other
                 WHERE other.name = variables.name AND other.session = ?2) WHERE session = ?1 AND sealed = 1";
    assert!(database.execute(moved, [sessions.0, sessions.1]).unwrap() >= 7);
}
