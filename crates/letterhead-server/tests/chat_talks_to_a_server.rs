//! `letterhead chat` on a pipe: the answer alone on the standard output, the session kept, failures told in plain words.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the functions that tests share fail by panicking, as tests do")]

mod chatting;

use chatting::{Demo, Scripted, chat, chat_with_input, interrupted_after};

#[test]
fn one_message_brings_the_answer_alone() {
    let demo = Demo::start();
    let said = chat(&["--url", &demo.url, "-H", "user_id: u_1", "-H", "auth_token: canary", "Hello there"]);
    assert!(said.status.success(), "{}", said.err);
    assert!(said.out.starts_with("I am the demo model.") && said.out.ends_with(" message.\n"), "{}", said.out);
    assert!(said.out.contains("User ID: u_1") && said.out.contains("\"Hello there\""), "{}", said.out);
    assert_eq!(said.err, "", "nothing beside it");
}

#[test]
fn a_pipe_is_the_message_and_the_session_goes_on() {
    let demo = Demo::start();
    let first = chat_with_input(
        &[
            "--url",
            &demo.url,
            "--session",
            "s-1",
            "-H",
            "user_id: u_1",
            "-H",
            "auth_token: canary",
            "-H",
            "org_name: Acme",
        ],
        "First line\nsecond line\n",
    );
    assert!(first.status.success(), "{}", first.err);
    assert!(first.out.contains("First line") && first.out.contains("second line"), "{}", first.out);
    // The headers are not sent again: the session remembers them.
    let second = chat(&["--url", &demo.url, "--session", "s-1", "And now?"]);
    assert!(second.status.success(), "{}", second.err);
    assert!(second.out.contains("a member of Acme. User ID: u_1"), "{}", second.out);
    assert!(second.out.contains("I was sent 3 messages."), "{}", second.out);
    assert!(!format!("{first:?}{second:?}").contains("canary"));
}

#[test]
fn other_agents_are_heard_beside_the_answer() {
    let demo = Demo::start();
    let asked = chat(&["--url", &demo.url, "--agent", "orchestrator-agent", "/ask sentiment-analyzer What a day!"]);
    assert!(asked.status.success(), "{}", asked.err);
    assert!(asked.err.contains("→ ask_agent {\"agent\":\"sentiment-analyzer\""), "{}", asked.err);
    assert!(asked.err.contains("sentiment-analyzer: I am the demo model."), "{}", asked.err);
    assert!(asked.out.starts_with("I am the demo model. `ask_agent` answered:"), "{}", asked.out);

    let handed = chat(&["--url", &demo.url, "--agent", "orchestrator-agent", "/handoff billing"]);
    assert!(handed.err.contains("billing has the conversation now"), "{}", handed.err);
    assert!(handed.out.contains("You handle billing."), "{}", handed.out);
}

#[test]
fn a_server_of_its_own_serves_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("letterhead.yaml");
    let text = "store: memory\nmodel: demo\nheaders: { properties: { user_id: { type: string } } }\n\
                agents: { helper: { instructions: 'You help {{ headers.user_id }}.' } }\n";
    std::fs::write(&config, text).unwrap();
    let said = chat(&["--config", config.to_str().unwrap(), "-H", "User-Id: u_7", "Hello"]);
    assert!(said.status.success(), "{}", said.err);
    assert!(said.out.contains("You help u_7."), "{}", said.out);

    std::fs::write(&config, format!("{text}modle: demo\n")).unwrap();
    let refused = chat(&["--config", config.to_str().unwrap(), "Hello"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.err.contains("letterhead.yaml:5:1") && refused.err.contains("nothing was started"),
        "{}",
        refused.err
    );
}

#[test]
fn where_the_log_is_is_said_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("letterhead.yaml");
    let nowhere = "store: memory\nproviders: { p: { kind: openai, base_url: 'http://127.0.0.1:1', retries: 0 } }\nmodel: p:m\n\
                   context: { user: { url: 'http://127.0.0.1:1/' } }\negress: { allow: ['127.0.0.1:1'] }\n\
                   agents: { helper: { instructions: 'You help {{ user.name }}.' } }\n";
    std::fs::write(&config, nowhere).unwrap();
    let config = config.to_str().unwrap();
    let own = chat(&["--config", config, "Hello"]);
    assert!(
        own.err.contains("context_unavailable") && own.err.contains("`RUST_LOG=letterhead=info` shows"),
        "{}",
        own.err
    );
    assert!(!own.err.contains("request id"), "{}", own.err);
    let server = chatting::Served::start(config);
    let other = chat(&["--url", &server.url, "Hello"]);
    assert!(other.err.contains("the server's log has it under request id req_"), "{}", other.err);
}

#[test]
fn every_fault_is_told_in_plain_words() {
    let demo = Demo::start();
    let missing = chat(&["--url", &demo.url, "-H", "org_name: Acme", "Hello"]);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(missing.out, "");
    for name in ["user_id", "auth_token"] {
        let fault = format!("header `{name}`: required, and neither sent nor stored → send it with -H '{name}: …'");
        assert!(missing.err.contains(&fault), "{}", missing.err);
    }

    let long = format!("user_id: {}", "canary".repeat(20));
    let invalid = chat(&["--url", &demo.url, "-H", &long, "-H", "auth_token: canary", "Hello"]);
    assert_eq!(invalid.status.code(), Some(1));
    assert!(invalid.err.contains("header `user_id`: expected"), "{}", invalid.err);
    assert!(!invalid.err.contains("canary"), "{}", invalid.err);

    let unknown = chat(&["--url", &demo.url, "--agent", "nobody", "Hello"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(unknown.err.contains("there is no agent `nobody`; there are `personal-assistant`"), "{}", unknown.err);
    assert!(unknown.err.contains("--agent"), "{}", unknown.err);
}

#[test]
fn a_server_that_is_not_there_is_to_be_started() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = chat(&["--url", &format!("http://{free}"), "-H", "auth_token: canary", "Hello"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(said.err.contains(&format!("there is no server at http://{free}")), "{}", said.err);
    assert!(said.err.contains("letterhead serve"), "{}", said.err);
    assert!(!said.err.contains("canary"), "{}", said.err);
}

#[test]
fn an_answer_that_breaks_off_is_a_failure() {
    let chunk = r#"data: {"choices":[{"index":0,"delta":{"content":"Half an"},"finish_reason":null}]}"#;
    let server = Scripted::streaming(&format!("{chunk}\n\n"));
    let said = chat(&["--url", &server.url, "Hello"]);
    assert_eq!(said.status.code(), Some(1));
    assert_eq!(said.out, "Half an\n", "what came is shown");
    assert!(said.err.contains("the answer broke off"), "{}", said.err);
}

#[test]
fn a_turn_that_fails_after_its_beginning_is_a_failure() {
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Half\"},\"finish_reason\":null}]}\n\n\
        event: error\ndata: {\"choices\":[],\"type\":\"error\",\"code\":\"upstream_failed\",\"message\":\"the model went away\"}\n\n\
        event: done\ndata: {\"choices\":[],\"type\":\"done\",\"reason\":\"error\"}\n\n";
    let said = chat(&["--url", &Scripted::streaming(stream).url, "Hello"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(said.err.contains("the model went away"), "{}", said.err);
}

#[test]
fn what_is_no_letterhead_is_said_to_be_none() {
    let server = Scripted::answering("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi");
    let said = chat(&["--url", &server.url, "Hello"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(said.err.contains("no Letterhead server"), "{}", said.err);
}

#[test]
fn headers_with_secrets_do_not_follow_a_redirect() {
    let elsewhere = Scripted::streaming("data: [DONE]\n\n");
    let location = &elsewhere.url;
    let server = Scripted::answering(&format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
    ));
    let said = chat(&["--url", &server.url, "-H", "auth_token: canary", "Hello"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(server.received().contains("auth_token: canary"), "it was sent where it was meant to go");
    assert_eq!(elsewhere.received(), "", "and nowhere else");
}

#[test]
fn nothing_to_say_and_nothing_to_read_are_told_apart() {
    let said = chat_with_input(&["--url", "http://127.0.0.1:9"], " \n");
    assert_eq!(said.status.code(), Some(1));
    assert!(said.err.contains("there is nothing to say"), "{}", said.err);
    let bad = chat(&["-H", "auth_token canary", "Hello"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(bad.err.contains("-H number 1: expected 'name: value'") && !bad.err.contains("canary"), "{}", bad.err);
}

#[test]
#[cfg(unix)]
fn an_interrupted_answer_has_its_own_exit_code() {
    let chunk = r#"data: {"choices":[{"index":0,"delta":{"content":"Half\n"},"finish_reason":null}]}"#;
    let server = Scripted::falling_silent(&format!("{chunk}\n\n"));
    let ended = interrupted_after("Half\n", &["--url", &server.url, "Hello"]);
    assert_eq!(ended.code(), Some(130), "{ended}");
}

const SHOP: &str = r#"
store: memory
model: demo
egress: { allow: ["127.0.0.1:1"] }
tools:
  refund:
    parameters: { type: object, properties: { order: { type: string } } }
    url: http://127.0.0.1:1/refunds
    body: { order: "{{ args.order }}" }
    approve: true
agents: { assistant: { instructions: Help., tools: [refund] } }
"#;

/// What is shown of a call that needs approval, for these lines on the standard input.
fn asked(message: &str, input: &str) -> chatting::Said {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("letterhead.yaml");
    std::fs::write(&config, SHOP).unwrap();
    chat_with_input(&["--config", config.to_str().unwrap(), message], input)
}

#[test]
fn a_call_that_needs_approval_is_asked_for_and_made_on_a_plain_yes() {
    let wish = r#"/tool refund {"order": "A-7"}"#;
    let yes = asked(wish, "y\n");
    assert!(yes.status.success(), "{}", yes.err);
    assert_eq!(yes.err.matches("needs approval: refund {\"order\":\"A-7\"}\n").count(), 1, "{}", yes.err);
    // Nobody listens there; but the call was tried.
    assert!(yes.err.contains("→ refund") && yes.err.contains("✗ refund The call failed"), "{}", yes.err);
    assert!(yes.out.starts_with("I am the demo model. `refund` answered:"), "{}", yes.out);

    let no = asked(wish, "n, not that one\n");
    assert!(no.status.success(), "{}", no.err);
    assert!(no.err.contains("✗ refund was refused") && !no.err.contains("→ refund"), "{}", no.err);
    assert!(no.out.contains("The person's reason: not that one"), "{}", no.out);

    let two = asked(&format!("{wish}\n{wish}"), "n\nn\n");
    assert_eq!(two.err.matches("needs approval:").count(), 2, "{}", two.err);
}

#[test]
fn without_an_answer_nothing_is_called_and_the_answer_is_not_whole() {
    let nobody = asked(r#"/tool refund {"order": "A-7"}"#, "");
    assert!(!nobody.status.success());
    assert!(nobody.err.contains("nobody has answered: no call was made"), "{}", nobody.err);
    // The session was the server's choice: without its name nobody could come back to it.
    assert!(
        nobody.err.contains("a conversation with `--session ") && nobody.err.contains("asks again"),
        "{}",
        nobody.err
    );
    assert!(!nobody.err.contains("→ refund"), "{}", nobody.err);
    assert_eq!(nobody.out, "");
}

#[test]
fn what_is_neither_yes_nor_no_calls_nothing_and_says_what_to_write() {
    for unclear in ["maybe", "ok", "nope", "y, but only half", ""] {
        let said = asked(r#"/tool refund {"order": "A-7"}"#, &format!("{unclear}\ny\n"));
        assert!(!said.status.success(), "{unclear}: {}", said.err);
        assert!(said.err.contains(&format!("`{unclear}` is neither yes nor no: no call was made")), "{}", said.err);
        assert!(said.err.contains("write a line `y`") && !said.err.contains("→ refund"), "{}", said.err);
    }
}

#[test]
fn all_that_is_approved_is_shown_and_nothing_repaints_the_terminal() {
    let order = format!("{}\u{202e}\u{1b}[2J", "x".repeat(2000));
    let message = format!("/tool refund {}", serde_json::json!({ "order": order }));
    let no = asked(&message, "n\n");
    let line = no.err.lines().find(|line| line.starts_with("needs approval:")).unwrap();
    assert!(line.len() > 2000, "{line}");
    assert!(!line.contains('\u{1b}') && !line.contains('\u{202e}'), "{line:?}");
}

#[cfg(unix)]
#[test]
fn at_a_terminal_a_session_that_waits_asks_before_anything_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("letterhead.yaml");
    let store = format!("store: sqlite://{}", folder.path().join("letterhead.db").display());
    std::fs::write(&config, SHOP.replace("store: memory", &store)).unwrap();
    let config = config.to_str().unwrap();
    let wish = r#"/tool refund {"order": "A-7"}"#;
    let nobody = chat_with_input(&["--config", config, "--session", "s1", wish], "");
    assert!(nobody.err.contains("nobody has answered"), "{}", nobody.err);

    let mut terminal = chatting::Terminal::start(&["--config", config, "--session", "s1"]);
    terminal.until("needs approval:");
    terminal.until(r#"refund {"order":"A-7"}"#);
    terminal.until("n and why: ");
    terminal.says("n, not now");
    terminal.until("The person's reason: not now");
    terminal.until("> ");
    assert!(terminal.quits().success());

    // It was answered; and a session that is not there waits for nothing.
    for session in ["s1", "s2"] {
        let terminal = chatting::Terminal::start(&["--config", config, "--session", session]);
        let shown = terminal.until("> ");
        assert!(!shown.contains("approval") && !shown.contains("session_not_found"), "{shown}");
        assert!(terminal.quits().success());
    }
}

#[cfg(unix)]
#[test]
fn at_a_terminal_another_clients_pause_is_answered_before_a_message_passes_it_over() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("letterhead.yaml");
    std::fs::write(&config, SHOP).unwrap();
    let server = chatting::Served::start(config.to_str().unwrap());
    let at = ["--url", &server.url, "--session", "s1"];
    let pause = |order: &str| {
        let wish = format!(r#"/tool refund {{"order": "{order}"}}"#);
        let nobody = chat(&[&at[..], &[&wish]].concat());
        assert!(nobody.err.contains("nobody has answered"), "{}", nobody.err);
    };
    let mut terminal = chatting::Terminal::start(&at);
    terminal.until("> ");
    pause("A-7");
    terminal.says("Hello.");
    terminal.until("a turn of another client waits");
    terminal.until(r#"refund {"order":"A-7"}"#);
    terminal.until("n and why: ");
    terminal.says("n, not now");
    terminal.until("The person's reason: not now");
    terminal.until("You said: \"Hello.\"");
    terminal.until("> ");

    // Who leaves it waiting has not said the message, and is not asked twice.
    pause("B-8");
    terminal.says("And now?");
    terminal.until("n and why: ");
    terminal.ends_the_input();
    terminal.until("your message was not sent: nobody has answered");
    terminal.until("> ");
    terminal.says("Never mind.");
    let shown = terminal.until("You said: \"Never mind.\"");
    assert!(!shown.contains("approval"), "{shown}");
    terminal.until("> ");
    assert!(terminal.quits().success());
}
